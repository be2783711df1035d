//! How do MULTI, EXEC and WATCH reach a server?
//!
//! Shell: on a private link of the side that owns the transaction's keys.

use super::dispatch::{Sending, Stop, answer};
use super::state::State;
use super::ticket::Role;
use super::transaction::Transaction;
use crate::cluster::Side;
use crate::data_plane::command::{Intent, LocalCommand};
use crate::data_plane::refusal::Refusal;
use crate::routing::{Owners, Slot, majority_owner};

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";

impl Sending<'_> {
    /// MULTI: which side it is for, the first queued command decides.
    pub(super) fn multi(&self, state: &mut State) -> Result<(), Stop> {
        state.transaction.open = true;
        answer(state, self.request.again, b"+OK\r\n");
        Ok(())
    }

    pub(super) fn watch(&self, state: &mut State) -> Result<(), Stop> {
        let side = self.side()?;
        if state.transaction.watching && state.transaction.side != Some(side) {
            return Err(Refusal::CrossSide {
                weight: self.turn.snapshot.weight,
            }
            .into());
        }
        let link = self.private_link(state, side)?;
        state.lanes[side.index()].stateless = false;
        state.transaction.side = Some(side);
        state.transaction.watching = true;
        for key in self.class.keys.bytes(self.request.args) {
            state.transaction.touch(Slot::of(key));
        }
        self.enqueue(state, &link, Role::Whole, self.request.bytes);
        Ok(())
    }

    pub(super) fn unwatch(&self, state: &mut State) -> Result<(), Stop> {
        let Some(side) = state.transaction.side.filter(|_| !state.transaction.lost) else {
            self.end(state);
            answer(state, self.request.again, b"+OK\r\n");
            return Ok(());
        };
        self.forward(state, side)?;
        self.end(state);
        Ok(())
    }

    /// A request between MULTI and EXEC.
    pub(super) fn in_transaction(&mut self, state: &mut State) -> Result<(), Stop> {
        state.transaction.check_owner(self.turn.snapshot.weight);
        self.check_link(state);
        match self.class.intent {
            Intent::Exec => self.exec(state),
            Intent::Discard => self.discard(state),
            Intent::Local(LocalCommand::Quit | LocalCommand::Reset) => {
                let Intent::Local(command) = self.class.intent else {
                    return Ok(());
                };
                super::local::answer(self, state, command)
            }
            Intent::Local(LocalCommand::Select) => Err(Refusal::Unsupported {
                name: self.name(),
                why: "in a transaction it is not supported yet",
            }
            .into()),
            Intent::Unsupported(why) => Err(Refusal::Unsupported {
                name: self.name(),
                why,
            }
            .into()),
            Intent::Multi => {
                answer(state, None, b"-ERR MULTI calls can not be nested\r\n");
                Ok(())
            }
            Intent::Watch => {
                answer(state, None, b"-ERR WATCH inside MULTI is not allowed\r\n");
                Ok(())
            }
            _ if state.transaction.lost => {
                answer(state, None, b"+QUEUED\r\n");
                Ok(())
            }
            _ => self.queue(state),
        }
    }

    fn queue(&self, state: &mut State) -> Result<(), Stop> {
        let weight = self.turn.snapshot.weight;
        let side = match (self.owners(), state.transaction.side) {
            (Owners::None, side) => side.unwrap_or_else(|| majority_owner(weight)),
            (Owners::One(owner), None) => owner,
            (Owners::One(owner), Some(side)) if owner == side => side,
            (Owners::One(_) | Owners::Both, _) => return Err(Refusal::CrossSide { weight }.into()),
        };
        let link = self.private_link(state, side)?;
        state.lanes[side.index()].stateless = false;
        if !state.transaction.begun {
            self.enqueue_as(state, &link, 0, Role::Own, MULTI);
        }
        state.transaction.begun = true;
        state.transaction.side = Some(side);
        for key in self.class.keys.bytes(self.request.args) {
            state.transaction.touch(Slot::of(key));
        }
        self.enqueue(state, &link, Role::Queued, self.request.bytes);
        Ok(())
    }

    fn exec(&self, state: &mut State) -> Result<(), Stop> {
        if self.request.args.len() != 1 {
            return Err(Refusal::Redis(b"ERR wrong number of arguments for 'exec' command".to_vec()).into());
        }
        if state.transaction.lost {
            let reply = state.transaction.lost_reply();
            return self.drop_transaction(state, &reply);
        }
        if state.transaction.refused {
            return self.drop_transaction(state, &Refusal::ExecAbortErrors.line());
        }
        let Some(side) = state.transaction.side else {
            return self.drop_transaction(state, b"*0\r\n");
        };
        let link = self.private_link(state, side)?;
        if !state.transaction.begun {
            // Keys are watched and nothing was queued: the server says whether they have changed.
            self.enqueue_as(state, &link, 0, Role::Own, MULTI);
        }
        self.enqueue(state, &link, Role::Exec, self.request.bytes);
        self.end(state);
        Ok(())
    }

    fn discard(&self, state: &mut State) -> Result<(), Stop> {
        if self.request.args.len() != 1 {
            return Err(
                Refusal::Redis(b"ERR wrong number of arguments for 'discard' command".to_vec()).into(),
            );
        }
        self.drop_transaction(state, b"+OK\r\n")
    }

    /// Ends a transaction that the server need not execute: with its connection, it is gone there too.
    fn drop_transaction(&self, state: &mut State, reply: &[u8]) -> Result<(), Stop> {
        if let Some(side) = state.transaction.side {
            drop_link(state, side);
        }
        state.transaction = Transaction::default();
        answer(state, self.request.again, reply);
        Ok(())
    }

    /// The server holds no more state of this session than what is in flight.
    fn end(&self, state: &mut State) {
        if let Some(side) = state.transaction.side {
            state.lanes[side.index()].stateless = true;
        }
        state.transaction = Transaction::default();
    }

    /// Nobody tells a session that an idle link of its own has ended: it looks.
    fn check_link(&self, state: &mut State) {
        let Some(side) = state.transaction.side else {
            return;
        };
        let lane = &state.lanes[side.index()];
        if !(lane.is_private() && lane.link.as_ref().is_some_and(|link| link.is_ready())) {
            state.transaction.connection_lost();
        }
    }
}

/// Closes the session's private link to `side`; replies in flight there are still told as they come, or as lost.
pub(super) fn drop_link(state: &mut State, side: Side) {
    let lane = &mut state.lanes[side.index()];
    if lane.is_private() {
        if let Some(link) = &lane.link {
            link.finish();
        }
        lane.stateless = false;
    }
}
