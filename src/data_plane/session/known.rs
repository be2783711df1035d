//! What does CLIENT LIST say of a client?
//!
//! Pure: a line in the format of Redis 7.0. What it counts of its own buffers is 0 here, or what the proxy has in their place.

use std::fmt::Write;

use super::state::{Session, State};
use super::tracking::Tracking;
use crate::data_plane::clients::{Client, Kind, Which};
use crate::data_plane::command::TopicKind;
use crate::resp::Protocol;

impl Session {
    /// Whether a filter means this client.
    pub(crate) fn is_meant(&self, which: &Which) -> bool {
        self.is_meant_as(&self.state.borrow(), which)
    }

    pub(super) fn is_meant_as(&self, state: &State, which: &Which) -> bool {
        which.is(&Client {
            id: self.id,
            kind: match state.subscriptions.is_empty() {
                _ if state.is_in_tunnel() => Kind::Replica,
                true => Kind::Normal,
                false => Kind::PubSub,
            },
            addr: self.ends.addr,
            laddr: self.ends.laddr,
            user: &self.route.name_of(state.setting.user),
        })
    }

    /// Its line, without an end.
    pub(crate) fn line(&self) -> String {
        self.line_as(&self.state.borrow())
    }

    pub(super) fn line_as(&self, state: &State) -> String {
        let count = |kind| state.subscriptions.count_of(kind);
        let queued = state.transaction.open.then_some(state.transaction.queued);
        let multi = state
            .executing
            .or(queued)
            .map_or(-1, |count| i64::try_from(count).unwrap_or(i64::MAX));
        let waiting = state.replies.bytes();
        let idle = self.route.clock().saturating_sub(self.last_micros.get()) / 1_000_000;
        let mut line = String::with_capacity(320);
        // Writing to a string does not fail.
        let _ = write!(
            line,
            "id={} addr={} laddr={} fd={} name={} age={} idle={idle} flags={} db={} sub={} psub={} ssub={} multi={multi} \
             qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={} omem={waiting} tot-mem={} events={} cmd={} \
             user={} redir={} resp={}",
            self.id,
            self.ends.addr,
            self.ends.laddr,
            self.ends.fd,
            String::from_utf8_lossy(&state.name),
            self.since.elapsed().as_secs(),
            flags(state),
            state.setting.database,
            count(TopicKind::Channel),
            count(TopicKind::Pattern),
            count(TopicKind::Shard),
            self.queued_bytes.get() + state.question_bytes,
            state.replies.output.chunks(),
            size_of::<Self>() + self.queued_bytes.get() + waiting,
            if waiting == 0 { "r" } else { "rw" },
            state.last.map_or("NULL", |spec| spec.name),
            String::from_utf8_lossy(&self.route.name_of(state.setting.user)),
            state.redirection(),
            match state.setting.protocol {
                Protocol::Resp2 => 2,
                Protocol::Resp3 => 3,
            },
        );
        line
    }
}

fn flags(state: &State) -> String {
    let is_tracking = |is: fn(&Tracking) -> bool| state.tracking.as_deref().is_some_and(is);
    let all = [
        (state.monitor.is_some(), 'O'),
        (state.is_in_tunnel(), 'S'),
        (!state.subscriptions.is_empty(), 'P'),
        (state.transaction.open || state.executing.is_some(), 'x'),
        (state.is_blocking() || state.postponed, 'b'),
        (state.tracking.is_some(), 't'),
        (is_tracking(|tracking| tracking.is_broken), 'R'),
        (is_tracking(|tracking| tracking.bcast), 'B'),
        (state.transaction.watching && state.transaction.lost, 'd'),
        (state.closing, 'c'),
        (state.no_evict, 'e'),
    ];
    let flags: String = all
        .iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, flag)| flag)
        .collect();
    if flags.is_empty() { "N".to_owned() } else { flags }
}
