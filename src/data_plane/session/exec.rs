//! How do MULTI, EXEC and WATCH reach a server?
//!
//! Shell: on a private link of the side that owns the transaction's keys.

use std::rc::Rc;

use super::dispatch::{Sending, Stop, answer, is_between};
use super::local;
use super::queued::Change;
use super::state::State;
use super::ticket::Role;
use super::transaction::Transaction;
use crate::cluster::Side;
use crate::data_plane::command::{Intent, KeyspaceUse, LocalCommand, ScriptUse, flags};
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{Link, LinkKind};
use crate::resp::write_command;
use crate::routing::{Owners, Slot, Weight, majority_owner};

/// What is queued for a command that the proxy answers: harmless, and never refused.
pub(super) const STAND_IN: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const NO_MULTI: &[u8] = b"ERR Command not allowed inside a transaction";
const DISCARD: &[u8] = b"*1\r\n$7\r\nDISCARD\r\n";
const UNWATCH: &[u8] = b"*1\r\n$7\r\nUNWATCH\r\n";

impl Sending<'_> {
    /// MULTI: which side it is for, the first queued command decides.
    pub(super) fn multi(&self, state: &mut State) -> Result<(), Stop> {
        state.transaction.open = true;
        let spelt = self.request.args.get(0).unwrap_or_default();
        state.transaction.multi = spelt.try_into().unwrap_or(*b"MULTI");
        answer(state, self.request.again, b"+OK\r\n");
        Ok(())
    }

    pub(super) fn watch(&self, state: &mut State) -> Result<(), Stop> {
        state.transaction.check_owner(self.turn.snapshot.weight);
        if state.transaction.watching && state.transaction.lost {
            // It stays lost whatever else is watched: EXEC will say that a key has changed.
            answer(state, self.request.again, b"+OK\r\n");
            return Ok(());
        }
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

    /// Whether a server refuses it there before it looks at anything else but the number of its arguments.
    fn is_forbidden_in_transactions(&self) -> bool {
        let count = self.request.args.len();
        self.class
            .spec
            .is_some_and(|spec| spec.has(flags::NO_MULTI) && spec.accepts(count))
    }

    pub(super) fn unwatch(&self, state: &mut State) -> Result<(), Stop> {
        self.abandon(state);
        answer(state, self.request.again, b"+OK\r\n");
        Ok(())
    }

    /// A request between MULTI and EXEC.
    pub(super) fn in_transaction(&mut self, state: &mut State) -> Result<(), Stop> {
        let weight = self.turn.snapshot.weight;
        state.transaction.check_owner(weight);
        self.check_link(state);
        if self.is_exec_with_arguments() {
            self.abandon(state);
            let text =
                b"EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command";
            return Err(Refusal::Redis(text.to_vec()).into());
        }
        match self.class.intent {
            Intent::Exec => self.exec(state),
            Intent::Discard => {
                self.abandon(state);
                answer(state, None, b"+OK\r\n");
                Ok(())
            }
            Intent::Local(command @ (LocalCommand::Quit | LocalCommand::Reset)) => {
                local::answer(self, state, command)
            }
            Intent::Subscribe(_) if self.request.args.len() < 2 => {
                Err(Refusal::Redis(self.wrong_arity()).into())
            }
            Intent::Unsupported(_) | Intent::Restricted(_) if self.is_forbidden_in_transactions() => {
                Err(Refusal::Redis(NO_MULTI.to_vec()).into())
            }
            Intent::Unsupported(why) => Err(Refusal::Unsupported {
                name: self.name(),
                why,
            }
            .into()),
            Intent::Restricted(why) if !self.is_allowed() => Err(Refusal::Unsupported {
                name: self.name(),
                why,
            }
            .into()),
            // The transaction is one side's; what concerns both would be half done.
            Intent::Everywhere(_)
            | Intent::Keyspace(_)
            | Intent::Script(ScriptUse::Load | ScriptUse::Flush)
            | Intent::Libraries
            | Intent::OneSideOnly
            | Intent::Restricted(_)
            | Intent::Unknown
                if is_between(weight) =>
            {
                Err(Refusal::BetweenWeights {
                    name: self.name(),
                    weight,
                }
                .into())
            }
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
            Intent::Local(command) => local::queue(self, state, command),
            Intent::Keyspace(KeyspaceUse::Scan) => self.queue_scan(state),
            Intent::Subscribe(kind) => self.queue_topics(state, kind, true),
            Intent::Unsubscribe(kind) => self.queue_topics(state, kind, false),
            _ => self.queue(state),
        }
    }

    /// EXEC is forwarded when its arguments do not fit, to be refused; here that ends the transaction.
    fn is_exec_with_arguments(&self) -> bool {
        self.class.spec.is_some_and(|spec| spec.name == "exec") && self.request.args.len() != 1
    }

    fn queue(&self, state: &mut State) -> Result<(), Stop> {
        let weight = self.turn.snapshot.weight;
        let side = match (self.owners(), state.transaction.side) {
            (Owners::None, side) => side.unwrap_or_else(|| majority_owner(weight)),
            (Owners::One(owner), None) => owner,
            (Owners::One(owner), Some(side)) if owner == side => side,
            (Owners::One(_) | Owners::Both, _) => return Err(Refusal::CrossSide { weight }.into()),
        };
        if self.class.intent == Intent::Script(ScriptUse::EvalSha) {
            self.load_script(state, side)?;
        }
        let is_ping = self.class.spec.is_some_and(|spec| spec.name == "ping");
        if is_ping {
            self.has_room_for(state, std::iter::empty())?;
        }
        self.queue_on(state, side, self.request.bytes)?;
        state.transaction.may_write |= self.may_write(state);
        if self.class.is_publish {
            // Not before: a request that has to wait for its link comes here again.
            let bytes = &mut state.transaction.published_bytes;
            *bytes = bytes.saturating_add(self.request.bytes.len());
        }
        for slot in self.slots() {
            state.transaction.touch(slot);
        }
        if self.class.intent == Intent::Script(ScriptUse::Flush) {
            state.transaction.flushes_scripts = true;
        }
        if is_ping {
            let at = state.transaction.queued - 1;
            state.transaction.own.ping(at);
        }
        Ok(())
    }

    pub(super) fn queue_on(&self, state: &mut State, side: Side, bytes: &[u8]) -> Result<(), Stop> {
        let link = self.begin_on(state, side)?;
        self.enqueue(state, &link, Role::Queued, bytes);
        state.transaction.queued += 1;
        Ok(())
    }

    /// The transaction's link, on which everything is queued that came before the transaction had a side.
    fn begin_on(&self, state: &mut State, side: Side) -> Result<Rc<Link>, Stop> {
        let link = self.private_link(state, side)?;
        state.lanes[side.index()].stateless = false;
        if !state.transaction.begun {
            self.tell_caching(state, &link);
            let mut multi = Vec::new();
            write_command(&mut multi, &[&state.transaction.multi]);
            self.enqueue_as(state, &link, 0, Role::Own, &multi);
        }
        state.transaction.begun = true;
        state.transaction.side = Some(side);
        for request in std::mem::take(&mut state.transaction.kept_back) {
            self.enqueue_as(state, &link, 0, Role::Own, &request);
        }
        Ok(link)
    }

    /// Queues what stands for a command that is the session's business. Between weights it decides no side, nor does what no server
    /// can refuse: while there is none it is kept back.
    pub(super) fn queue_own(&self, state: &mut State, request: &[u8]) -> Result<(), Stop> {
        let weight = self.turn.snapshot.weight;
        let only = (!is_between(weight) && request != STAND_IN).then(|| majority_owner(weight));
        if let Some(side) = state.transaction.side.or(only) {
            return self.queue_on(state, side, request);
        }
        state.transaction.kept_back.push(Box::from(request));
        state.transaction.queued += 1;
        answer(state, None, b"+QUEUED\r\n");
        Ok(())
    }

    /// SCAN at 0 or at 100: its cursor, and the one in EXEC's reply, say which side they are of.
    fn queue_scan(&self, state: &mut State) -> Result<(), Stop> {
        let snapshot = &self.turn.snapshot;
        let Some(cursor) = self.cursor() else {
            return self.queue(state);
        };
        let side = state.transaction.side.unwrap_or(majority_owner(snapshot.weight));
        if cursor.side != side {
            return Err(Refusal::CrossSide {
                weight: snapshot.weight,
            }
            .into());
        }
        if cursor.weight == Weight::ZERO {
            return self.queue(state);
        }
        self.has_room_for(state, std::iter::empty())?;
        let at = state.transaction.queued;
        self.queue_on(state, cursor.side, &self.scan_of(cursor))?;
        state.transaction.own.add(at, Change::Scan(cursor), 0);
        Ok(())
    }

    fn exec(&self, state: &mut State) -> Result<(), Stop> {
        let given_up = match &state.transaction {
            transaction if transaction.lost => Some(transaction.lost_reply(state.setting.protocol)),
            transaction if transaction.refused => Some(Refusal::ExecAbortErrors.line()),
            transaction if transaction.side.is_none() && transaction.queued == 0 => Some(b"*0\r\n".to_vec()),
            _ => None,
        };
        if let Some(reply) = given_up {
            self.abandon(state);
            self.session.leave_entry(state);
            answer(state, None, &reply);
            return Ok(());
        }
        self.enter(state)?;
        let side = match state.transaction.side {
            Some(side) => side,
            None if state
                .transaction
                .kept_back
                .iter()
                .all(|request| **request == *STAND_IN) =>
            {
                self.exec_alone(state);
                return Ok(());
            }
            None => majority_owner(self.turn.snapshot.weight),
        };
        // Where keys are watched and nothing was queued, the server says whether they have changed.
        let link = self.begin_on(state, side)?;
        self.enqueue(state, &link, Role::Exec, self.request.bytes);
        if state.transaction.flushes_scripts {
            let route = &self.session.route;
            route.scripts.flushed(route.shared_scripts());
        }
        state.entry_sent();
        self.end(state);
        Ok(())
    }

    /// Ends what the server need not execute: a transaction, watched keys, both or neither. The link stays, as others
    /// may be under way on it.
    pub(super) fn abandon(&self, state: &mut State) {
        let Some(side) = state.transaction.side else {
            state.transaction = Transaction::default();
            return;
        };
        let lane = &state.lanes[side.index()];
        let ready = |link: &&Rc<Link>| link.kind() == LinkKind::Private && link.is_ready();
        match lane.link.as_ref().filter(ready).map(Rc::clone) {
            Some(link) => {
                let undo = if state.transaction.begun { DISCARD } else { UNWATCH };
                self.enqueue_as(state, &link, 0, Role::Own, undo);
                self.end(state);
            }
            None => {
                drop_link(state, side);
                state.transaction = Transaction::default();
            }
        }
    }

    /// The server holds no more state of this session than what is in flight.
    fn end(&self, state: &mut State) {
        if let Some(side) = state.transaction.side {
            state.lanes[side.index()].stateless = true;
        }
        state.transaction = Transaction::default();
    }

    /// The link that watches keys outside a transaction, if it is still there.
    pub(super) fn watching_link(&self, state: &mut State) -> Option<Rc<Link>> {
        self.check_link(state);
        let side = state.transaction.side?;
        if state.transaction.lost {
            drop_link(state, side);
            return None;
        }
        state.lanes[side.index()].link.clone()
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
