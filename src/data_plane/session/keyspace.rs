//! Which keys are there, while two sides have them?
//!
//! Shell: SCAN, KEYS and RANDOMKEY. A side may have copies of keys that the other one owns: they are not what an app
//! would read, and are left out.

use super::cursor::{self, Cursor};
use super::dispatch::{Again, Sending, Stop, is_between};
use super::merge::{Merge, MergeKind};
use super::state::State;
use super::ticket::Role;
use crate::cluster::Side;
use crate::data_plane::command::KeyspaceUse;
use crate::limits::RANDOM_KEYS_A_SIDE;
use crate::resp::write_command;
use crate::routing::{Weight, majority_owner};

impl Sending<'_> {
    pub(super) fn keyspace(&self, state: &mut State, what: KeyspaceUse) -> Result<(), Stop> {
        let weight = self.turn.snapshot.weight;
        if let Some(Again {
            number,
            role: Role::Part(index),
            ..
        }) = self.request.again
        {
            // Whatever the weight is by now: the others answer for their keys as of then.
            let side = state.replies.merge(number).and_then(|merge| merge.side_of(index));
            return self.forward(state, side.unwrap_or_else(|| majority_owner(weight)));
        }
        match what {
            KeyspaceUse::Scan => self.scan(state),
            _ if !is_between(weight) => self.forward(state, majority_owner(weight)),
            KeyspaceUse::Keys => self.ask_both(state, MergeKind::Keys { weight }, 1),
            KeyspaceUse::Random => {
                let first = match fastrand::u16(..Weight::FULL.steps()) < weight.steps() {
                    true => Side::New,
                    false => Side::Old,
                };
                let null = state.setting.protocol.null();
                let kind = MergeKind::Random { weight, first, null };
                self.ask_both(state, kind, RANDOM_KEYS_A_SIDE)
            }
        }
    }

    fn scan(&self, state: &mut State) -> Result<(), Stop> {
        let Some(cursor) = self.cursor() else {
            // The server says what is wrong with it.
            return self.forward(state, majority_owner(self.turn.snapshot.weight));
        };
        if cursor.weight == Weight::ZERO {
            return self.forward(state, Side::Old);
        }
        let request = self.scan_of(cursor);
        let link = self.link_by_size(state, cursor.side)?;
        let number = self.open_merge(state, Merge::new(MergeKind::Scan(cursor), 1));
        self.enqueue_as(state, &link, number, Role::Part(0), &request);
        Ok(())
    }

    /// Where a SCAN goes on, or begins; `None` when what it says is no cursor.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        let snapshot = &self.turn.snapshot;
        let number = self.request.args.get(1).and_then(cursor::read)?;
        let given = Cursor::of(number).filter(|cursor| snapshot.side(cursor.side).is_some());
        Some(given.unwrap_or_else(|| Cursor::begin(number, snapshot.weight)))
    }

    /// The request with the server's own cursor.
    pub(super) fn scan_of(&self, cursor: Cursor) -> Vec<u8> {
        let server = cursor.server.to_string();
        let words: Vec<&[u8]> = [self.request.args.get(0).unwrap_or_default(), server.as_bytes()]
            .into_iter()
            .chain(self.request.args.iter().skip(2))
            .collect();
        let mut request = Vec::new();
        write_command(&mut request, &words);
        request
    }

    /// Sends the request to both sides, so many times to each.
    fn ask_both(&self, state: &mut State, kind: MergeKind, times: u16) -> Result<(), Stop> {
        let old = self.link_by_size(state, Side::Old)?;
        let new = self.link_by_size(state, Side::New)?;
        let number = self.open_merge(state, Merge::new(kind, 2 * usize::from(times)));
        for (link, parts) in [(old, 0..times), (new, times..2 * times)] {
            for part in parts {
                self.enqueue_as(state, &link, number, Role::Part(part), self.request.bytes);
            }
        }
        Ok(())
    }

    /// A slot for a request that is sent in parts: its own, if it has one.
    pub(super) fn open_merge(&self, state: &mut State, merge: Merge) -> u64 {
        match self.request.again {
            Some(again) => {
                state.replies.make_merge(again.number, merge);
                again.number
            }
            None => state.replies.open_merge(merge),
        }
    }
}
