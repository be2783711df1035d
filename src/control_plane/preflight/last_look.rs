//! What did the last look at both sides come to, and does it still hold?
//!
//! Pure. It is good for some seconds only, and for the nodes that were looked at.

use std::fmt;
use std::time::Instant;

use super::{Facts, Finding};
use crate::cluster::{Side, Topology};
use crate::limits::PREFLIGHT_LIFETIME;

/// Of one route.
#[derive(Debug, Default)]
pub struct LastLook {
    outcome: Option<(Instant, Option<Finding>)>,
}

/// Why both sides as they are do not let a weight leave 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Reservation {
    /// They have not been looked at lately.
    Unseen,
    /// This was found.
    Found(Box<Finding>),
}

impl fmt::Display for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unseen => f.write_str(
                "rule=preflight node=none measured=unknown limit=none: both sides must be looked at first; try again in a moment",
            ),
            Self::Found(finding) => finding.fmt(f),
        }
    }
}

impl LastLook {
    /// It has come to this; what was found refuses, unless it is `None`. Returns whether that is news.
    pub fn came_to(&mut self, refusal: Option<Finding>, now: Instant) -> bool {
        let check = |refusal: &Option<Finding>| refusal.as_ref().map(|found| (found.check, found.side));
        let is_news = match self.fresh(now) {
            Some(before) => check(before) != check(&refusal),
            None => true,
        };
        self.outcome = Some((now, refusal));
        is_news
    }

    /// Other nodes than were looked at.
    pub fn forget(&mut self) {
        self.outcome = None;
    }

    /// What stands in the way, by it.
    pub fn reservation(&self, now: Instant) -> Option<Reservation> {
        match self.fresh(now) {
            None => Some(Reservation::Unseen),
            Some(refusal) => refusal.clone().map(Box::new).map(Reservation::Found),
        }
    }

    /// Whether it is time to look again, for who wants it to hold at every moment.
    pub fn is_due(&self, now: Instant) -> bool {
        self.outcome
            .as_ref()
            .is_none_or(|(at, _)| now.saturating_duration_since(*at) >= PREFLIGHT_LIFETIME / 2)
    }

    fn fresh(&self, now: Instant) -> Option<&Option<Finding>> {
        let (at, refusal) = self.outcome.as_ref()?;
        (now.saturating_duration_since(*at) < PREFLIGHT_LIFETIME).then_some(refusal)
    }
}

impl Facts {
    /// Whether these are facts of such sides. Without any, as a look comes back that took too long, they are of none.
    pub fn are_of(&self, topology: &[Topology; 2]) -> bool {
        Side::BOTH.into_iter().all(|side| {
            self.side(side)
                .is_some_and(|facts| facts.topology == topology[side.index()])
        })
    }

    /// Whether a master's stream has not been measured for long enough to have a rate.
    pub fn lack_a_rate(&self) -> bool {
        let mut sides = self.sides.iter().flatten();
        sides.any(|side| side.topology.master.is_some() && side.stream.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::preflight::{Check, Grade};
    use std::time::Duration;

    #[test]
    fn a_look_that_saw_nobody_is_of_no_sides() {
        assert!(!Facts::default().are_of(&Default::default()));
    }

    #[test]
    fn a_look_holds_for_some_seconds_and_not_for_other_nodes() {
        let now = Instant::now();
        let bad = Finding::new(Check::Backlog, Side::Old, Grade::Bad);
        let mut look = LastLook::default();
        assert_eq!(look.reservation(now), Some(Reservation::Unseen));
        assert!(look.came_to(Some(bad.clone()), now));
        assert_eq!(
            look.reservation(now),
            Some(Reservation::Found(Box::new(bad.clone())))
        );
        assert!(!look.came_to(Some(bad), now), "the same again is no news");
        assert!(look.came_to(None, now));
        let last = now + PREFLIGHT_LIFETIME - Duration::from_millis(1);
        assert_eq!(look.reservation(last), None);
        assert_eq!(
            look.reservation(now + PREFLIGHT_LIFETIME),
            Some(Reservation::Unseen)
        );
        assert!(!look.is_due(now) && look.is_due(now + PREFLIGHT_LIFETIME / 2));
        look.forget();
        assert_eq!(look.reservation(now), Some(Reservation::Unseen));
    }
}
