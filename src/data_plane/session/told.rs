//! What are a session's own links told, beyond their setting?
//!
//! Shell: what of CLIENT the proxy does not know, which a node answers on links of the client's own, each that takes their place
//! too; and which link, after a transaction that told it something, is still what the session needs.

use std::rc::Rc;

use super::client_tracking::undo_if_refused;
use super::dispatch::{Sending, Stop, answer};
use super::exec::drop_link;
use super::local::settle;
use super::queued::Change;
use super::state::State;
use crate::cluster::Side;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{LinkKind, Setup};
use crate::limits::OWN_WORDS_MAX;
use crate::routing::majority_owner;

impl Sending<'_> {
    /// What a later server may know (CLIENT NO-TOUCH) and may keep for the connection; a refusal is passed on.
    pub(super) fn client_unknown(&self, state: &mut State) -> Result<(), Stop> {
        let words = self.unknown_words(state, 0)?;
        settle(state)?;
        let before = state.unknown.clone();
        state.knows(words);
        state.setup = state.setup_with(state.tracking.as_deref()).map(Rc::new);
        if let Err(stop) = self.own_links(state) {
            state.unknown = before;
            undo_if_refused(state, &stop);
            return Err(stop);
        }
        answer(state, None, b"+OK\r\n");
        Ok(())
    }

    /// The same between MULTI and EXEC. The node refuses it at once, if at all.
    pub(super) fn queue_unknown(&self, state: &mut State) -> Result<(), Stop> {
        let queued_bytes = state.transaction.own.size().1;
        let change = Change::Unknown(self.unknown_words(state, queued_bytes)?);
        let side = state.transaction.side;
        let side = side.unwrap_or_else(|| majority_owner(self.turn.snapshot.weight));
        self.queue_change_on(state, side, change)
    }

    /// The words after CLIENT; `more` bytes are to be kept beside them.
    fn unknown_words(&self, state: &State, more: usize) -> Result<Vec<Vec<u8>>, Refusal> {
        let words: Vec<Vec<u8>> = self.request.args.iter().skip(1).map(<[u8]>::to_vec).collect();
        let size: usize = state.unknown.iter().chain([&words]).flatten().map(Vec::len).sum();
        match size + more > OWN_WORDS_MAX {
            true => Err(Refusal::TooBig {
                what: "what this client sets for its connection",
                limit: OWN_WORDS_MAX,
            }),
            false => Ok(words),
        }
    }
}

impl State {
    /// A node has taken this, in the place of what the same subcommand said before.
    pub(super) fn knows(&mut self, words: Vec<Vec<u8>>) {
        let is_other = |other: &Vec<Vec<u8>>| {
            !other
                .first()
                .zip(words.first())
                .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        };
        self.unknown.retain(is_other);
        self.unknown.push(words);
        self.refresh_setup();
    }

    /// What the session's link to `side` has been told, or any to come.
    pub(super) fn told(&self, side: Option<Side>) -> Setup {
        let of_link = side.and_then(|side| self.lanes[side.index()].link.as_ref());
        let setup = match of_link {
            Some(link) => link.setup(),
            None => self.setup.clone(),
        };
        setup.as_deref().cloned().unwrap_or_default()
    }
}

/// A transaction has been executed on the link to `side`, which has been `told` this by now: it stays the session's if that is what
/// its links are to be told.
pub(super) fn keep_told(state: &mut State, side: Option<Side>, told: &Setup) {
    let Some(side) = side else { return };
    let is_kept = state
        .setup
        .as_deref()
        .map_or(told.is_empty(), |wanted| wanted == told);
    let link = state.lanes[side.index()].link.clone();
    match link.filter(|link| is_kept && link.kind() == LinkKind::Private && link.is_ready()) {
        Some(link) => link.has_been_told(state.setup.clone()),
        None => drop_link(state, side),
    }
}
