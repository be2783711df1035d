//! How does one request become two?
//!
//! Shell: a part for each owner, each with the keys it owns, in request order; or the same request to both sides.
//! Both parts are enqueued or none is.

use super::dispatch::{Sending, Stop};
use super::exec::STAND_IN;
use super::merge::{Merge, MergeKind};
use super::state::State;
use super::ticket::Role;
use crate::cluster::Side;
use crate::data_plane::command;
use crate::resp::{Args, write_array};
use crate::routing::{Slot, Weight, majority_owner, owner};

/// Splits by owner of each key. The keys belong to both sides.
pub(super) fn by_owner(
    sending: &Sending<'_>,
    state: &mut State,
    kind: command::SplitKind,
) -> Result<(), Stop> {
    let old = sending.link_by_size(state, Side::Old)?;
    let new = sending.link_by_size(state, Side::New)?;
    let stride = if kind == command::SplitKind::Mset { 2 } else { 1 };
    let args = sending.request.args;
    let weight = sending.turn.snapshot.weight;
    let owner_of = |at| owner(Slot::of(args.get(at).unwrap_or_default()), weight);
    let owners: Vec<Side> = (1..args.len()).step_by(stride).map(owner_of).collect();
    let (number, parts) = match sending.request.again {
        Some(again) => match again.role {
            // A part whose keys have got two owners meanwhile: it keeps old's keys.
            Role::Part(index) => {
                let other = state
                    .replies
                    .merge(again.number)
                    .and_then(|merge| merge.split(index, &owners));
                (again.number, [index, other.unwrap_or(index)])
            }
            _ => {
                state
                    .replies
                    .make_merge(again.number, Merge::of_keys(merge_kind(kind), &owners));
                (again.number, [0, 1])
            }
        },
        None => (
            state
                .replies
                .open_merge(Merge::of_keys(merge_kind(kind), &owners)),
            [0, 1],
        ),
    };
    for (link, part) in [old, new].iter().zip(parts) {
        let ticket = sending.ticket(state, link, number, Role::Part(part));
        link.enqueue_with(ticket, |request| {
            write_share(request, args, stride, &owners, link.side)
        });
    }
    Ok(())
}

/// Sends the request to every side that owns anything.
pub(super) fn everywhere(
    sending: &Sending<'_>,
    state: &mut State,
    kind: command::MergeKind,
) -> Result<(), Stop> {
    let weight = sending.turn.snapshot.weight;
    let only = match weight {
        Weight::ZERO | Weight::FULL => Some(majority_owner(weight)),
        _ => None,
    };
    if let Some(again) = sending.request.again
        && let Role::Part(index) = again.role
    {
        let side = if index == 0 { Side::Old } else { Side::New };
        if only.is_some_and(|only| only != side) {
            // The side it was for owns nothing any more.
            if let Some(reply) = state.replies.merge(again.number).map(|merge| merge.empty_reply()) {
                state.replies.part_finish(again.number, index, reply);
            }
            return Ok(());
        }
        return sending.forward(state, side);
    }
    if let Some(only) = only {
        return match correction(sending, kind) {
            Some(kind) => one_side(sending, state, only, kind),
            None => sending.forward(state, only),
        };
    }
    let old = sending.link_by_size(state, Side::Old)?;
    let new = sending.link_by_size(state, Side::New)?;
    let kind = correction(sending, kind).unwrap_or(match kind {
        command::MergeKind::Sum => MergeKind::Sum,
        command::MergeKind::Least => MergeKind::Least,
        command::MergeKind::Either => MergeKind::Either,
        _ => MergeKind::First,
    });
    let merge = Merge::new(kind, 2);
    let number = sending.open_merge(state, merge);
    sending.enqueue_as(state, &old, number, Role::Part(0), sending.request.bytes);
    sending.enqueue_as(state, &new, number, Role::Part(1), sending.request.bytes);
    Ok(())
}

/// Has both sides wait for their replicas, each on a link of the session's own behind [`STAND_IN`].
pub(super) fn wait_for_replicas(sending: &Sending<'_>, state: &mut State) -> Result<(), Stop> {
    let again = sending.request.again;
    let part = again.filter(|again| matches!(again.role, Role::Part(_)));
    let sides = match part.map(|again| again.role) {
        None => &Side::BOTH[..],
        Some(Role::Part(0)) => &Side::BOTH[..1],
        Some(_) => &Side::BOTH[1..],
    };
    let mut links = Vec::new();
    for side in sides {
        links.push(sending.link_beside(state, *side)?);
    }
    let number = match part {
        Some(part) => part.number,
        None => sending.open_merge(state, Merge::new(MergeKind::Fewest, 2)),
    };
    for link in links {
        sending.enqueue_as(state, &link, number, Role::Aside, STAND_IN);
        let part = Role::Part(part_of(link.side));
        sending.enqueue_as(state, &link, number, part, sending.request.bytes);
    }
    Ok(())
}

/// Asks one side, and puts right what it says.
fn one_side(sending: &Sending<'_>, state: &mut State, only: Side, kind: MergeKind) -> Result<(), Stop> {
    let link = sending.link_by_size(state, only)?;
    let merge = Merge::new(kind, 2);
    let left = merge.empty_reply();
    let number = sending.open_merge(state, merge);
    state.replies.part_finish(number, part_of(only.other()), left);
    sending.enqueue_as(
        state,
        &link,
        number,
        Role::Part(part_of(only)),
        sending.request.bytes,
    );
    Ok(())
}

fn part_of(side: Side) -> u16 {
    match side {
        Side::Old => 0,
        Side::New => 1,
    }
}

/// What has to be put right in the nodes' words, for questions about who listens.
fn correction(sending: &Sending<'_>, kind: command::MergeKind) -> Option<MergeKind> {
    let audience = &sending.session.route.pubsub().audience;
    let args = sending.request.args;
    match kind {
        command::MergeKind::Channels(kind) => {
            let side = majority_owner(sending.turn.snapshot.weight);
            Some(MergeKind::Channels(audience.of_channels(kind, args.get(2), side)))
        }
        command::MergeKind::Subscribers(kind) => {
            let names = args.iter().skip(2);
            let corrections = names.map(|name| audience.of_topic(kind, name));
            Some(MergeKind::Subscribers(corrections.collect()))
        }
        command::MergeKind::Patterns => Some(MergeKind::Patterns(audience.of_patterns())),
        _ => None,
    }
}

fn merge_kind(kind: command::SplitKind) -> MergeKind {
    match kind {
        command::SplitKind::Mget => MergeKind::Places,
        command::SplitKind::Mset => MergeKind::First,
        command::SplitKind::Sum => MergeKind::Sum,
    }
}

/// Writes a request with the keys of one side. `stride` arguments belong to each key, the key first; they are copied as they stand in
/// the request, as many as follow one another at once.
fn write_share(request: &mut Vec<u8>, args: Args<'_>, stride: usize, owners: &[Side], side: Side) {
    let keys = owners.iter().filter(|owner| **owner == side).count();
    write_array(request, 1 + keys * stride);
    request.extend_from_slice(args.encoded(0, 1));
    let mut place = 0;
    for in_a_row in owners.chunk_by(PartialEq::eq) {
        let from = 1 + place * stride;
        place += in_a_row.len();
        if in_a_row.first() == Some(&side) {
            let to = args.len().min(1 + place * stride);
            request.extend_from_slice(args.encoded(from, to));
        }
    }
}
