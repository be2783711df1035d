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
use super::state::{Session, State};
use crate::cluster::Side;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{Link, LinkKind, Setup};
use crate::limits::OWN_WORDS_MAX;
use crate::resp::Protocol;
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
    /// Whether a link that has been `told` this takes a further CLIENT TRACKING as the client does: the prefixes of a broadcast add up.
    pub(super) fn is_as_told(&self, told: Option<&Setup>) -> bool {
        let is_broadcast = self.tracking.as_ref().is_some_and(|tracking| tracking.bcast);
        !is_broadcast || told.is_some_and(|told| told.tracking == self.tracking_words())
    }

    /// A link has been told of tracking what the client has, if that is known.
    pub(super) fn has_tracked_on(&self, told: &mut Option<Setup>, is_known: bool) {
        match told.as_mut().filter(|_| is_known) {
            Some(told) => told.tracking = self.tracking_words(),
            None => *told = None,
        }
    }

    fn tracking_words(&self) -> Option<Vec<Vec<u8>>> {
        let setup = self.tracking.as_ref()?.setup(Protocol::Resp3)?;
        Some(setup.0)
    }

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

impl Session {
    /// A transaction has been executed on the link to `side`, which has been `told` this by now: it stays the session's if that is
    /// what its links are to be told. Otherwise what it read there (`has_read`) nobody tells of, nor of what was passed over there
    /// while it was not known to be for the client.
    pub(super) fn keep_told(
        self: &Rc<Self>,
        state: &mut State,
        side: Option<Side>,
        told: Option<&Setup>,
        has_read: bool,
    ) {
        let Some(side) = side else { return };
        let wanted = state.setup.as_deref().cloned().unwrap_or_default();
        let link = state.lanes[side.index()].link.clone();
        let is_kept =
            |link: &Rc<Link>| told == Some(&wanted) && link.kind() == LinkKind::Private && link.is_ready();
        let was_heard = match link.filter(is_kept) {
            Some(link) => {
                link.has_been_told(state.setup.clone());
                !link.has_passed_over()
            }
            None => {
                drop_link(state, side);
                false
            }
        };
        if let Some(tracking) = &mut state.tracking
            && has_read
            && !(was_heard && wanted.tracking.is_some())
        {
            tracking.has_read_untold = true;
            match tracking.redirect {
                _ if wanted.tracking.is_none() => {}
                0 => self.can_be_told(state),
                _ => self.all_is_stale(state),
            }
        }
    }
}
