//! What leaves for its link at once?
//!
//! Shell: most requests are of a command whose keys are at fixed places, from a client about which nothing is out of the ordinary,
//! for a link that it has used before. What [`super::dispatch`] would come to of these is known from a few comparisons, in a third of
//! the instructions (2026-11, callgrind). Whatever else there is goes through there, which alone decides.

use std::rc::Rc;

use super::dispatch::Turn;
use super::login::Standing;
use super::state::{Session, State};
use super::ticket::{Role, Ticket};
use crate::cluster::Side;
use crate::config::OnUncertain;
use crate::data_plane::command::{Intent, Spec, lookup};
use crate::data_plane::upstream::Link;
use crate::resp::{Args, Protocol};
use crate::routing::{Owners, Slot, Weight, majority_owner, owner};

impl State {
    /// Whether nothing about the client takes a closer look at what it sends.
    #[inline]
    fn is_ordinary(&self, turn: &Turn) -> bool {
        let is_waiting = self.blocked.is_some()
            || self.asking
            || self.postponed
            || self.entry.is_some()
            || self.learning.is_asked();
        self.standing == Standing::Admitted
            && !is_waiting
            && !self.transaction.open
            && !self.transaction.loading
            && self.tracking.is_none()
            && self.setup.is_none()
            && (self.setting.protocol == Protocol::Resp3 || self.subscriptions.is_empty())
            && self.replies.open_count() < turn.limits.in_flight
            && self.seen.0 == turn.snapshot.epoch
    }
}

impl Session {
    /// Sends a new request that is not large, if nothing about it takes a closer look. `false`: nothing has changed.
    #[inline]
    pub(super) fn express(
        self: &Rc<Self>,
        state: &mut State,
        turn: &Turn,
        request: &[u8],
        args: Args<'_>,
    ) -> bool {
        let Some(spec) = plain(args) else { return false };
        let route = &self.route;
        // The whole way counts keys.
        if args.len() > turn.limits.keys_per_command && args.len() > 2 {
            return false;
        }
        if !state.is_ordinary(turn) || route.pause().is_some() {
            return false;
        }
        let Some(side) = side_of(spec, args, turn.snapshot.weight) else {
            return false;
        };
        let [lane, other] = match side {
            Side::Old => state.lanes.each_mut(),
            Side::New => {
                let [old, new] = state.lanes.each_mut();
                [new, old]
            }
        };
        let in_flight = lane.in_flight();
        let is_open = |link: &Rc<Link>| link.takes(state.setting) && (in_flight > 0 || !link.is_occupied());
        if !lane.link.as_ref().is_some_and(is_open)
            || !lane.share.has_room(in_flight)
            || !other.fence_passed()
        {
            return false;
        }
        let Some((link, sequence)) = lane.sends(request.len()) else {
            return false;
        };
        state.last = Some(spec);
        let reads = spec.is_repeatable();
        let number = state.replies.open();
        let ticket = Ticket {
            reads,
            retry: reads || route.on_uncertain(false) == OnUncertain::Retry,
            ..self.bare_ticket(side, sequence, Role::Whole, number)
        };
        route.sent(side, false);
        link.enqueue(ticket, request);
        true
    }
}

/// The command, if its request says nothing but where it goes.
#[inline]
pub(crate) fn plain(args: Args<'_>) -> Option<&'static Spec> {
    let spec = lookup(args.get(0)?, None)?;
    (spec.is_plain() && spec.accepts(args.len())).then_some(spec)
}

/// The one side a request of a plain command goes to; `None`: that is not as simple.
#[inline]
pub(crate) fn side_of(spec: &Spec, args: Args<'_>, weight: Weight) -> Option<Side> {
    if weight == Weight::ZERO || weight == Weight::FULL {
        return Some(majority_owner(weight));
    }
    let mut owners = Owners::None;
    for key in spec.keys.positions(args).ok()?.bytes(args) {
        owners = owners.and(owner(Slot::of(key), weight));
        if owners == Owners::Both {
            break;
        }
    }
    match owners {
        Owners::One(side) => Some(side),
        Owners::None if spec.intent == Intent::Forward => Some(majority_owner(weight)),
        Owners::None | Owners::Both => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_plane::command::{classify, specs};
    use crate::resp::with_args;

    /// Of every command, with so many arguments, of which each may be a key: by itself, and as the whole way has it.
    #[test]
    fn plain_commands_go_where_the_whole_way_leads() {
        let weights = ["0", "37.5", "50", "100"].map(|weight| weight.parse::<Weight>().unwrap());
        let is_plain = |spec: &&Spec| spec.is_plain() && !spec.name.contains('|');
        let plain: Vec<&Spec> = specs().filter(is_plain).collect();
        assert!(plain.len() > 120, "{} of them are plain", plain.len());
        for (spec, count, seed) in plain.iter().flat_map(|spec| {
            let counts = (1..9).filter(|count| spec.accepts(*count));
            counts.flat_map(move |count| (0..20).map(move |seed| (*spec, count, seed)))
        }) {
            let numbers: Vec<String> = (1..count).map(|at| (seed * at % 7).to_string()).collect();
            let words: Vec<&str> = std::iter::once(spec.name)
                .chain(numbers.iter().map(String::as_str))
                .collect();
            with_args(&words, |args| {
                let class = classify(args);
                assert!(!class.is_publish && !class.is_script, "{words:?}");
                assert!(
                    matches!(class.intent, Intent::Forward | Intent::Split(_)),
                    "{words:?}"
                );
                for weight in weights {
                    let between = weight != Weight::ZERO && weight != Weight::FULL;
                    let key_owner = |key| owner(Slot::of(key), weight);
                    let owners = class.keys.bytes(args).map(key_owner);
                    match (
                        side_of(spec, args, weight),
                        owners.fold(Owners::None, Owners::and),
                    ) {
                        (Some(side), Owners::One(expected)) if between => assert_eq!(side, expected),
                        (None, Owners::Both | Owners::None) if between => {}
                        (Some(side), Owners::None) => assert_eq!(side, majority_owner(weight)),
                        (Some(side), _) if !between => assert_eq!(side, majority_owner(weight)),
                        other => panic!("{words:?} at {weight}: {other:?}"),
                    }
                }
            });
        }
    }
}
