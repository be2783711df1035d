//! What does INFO say of the proxy?
//!
//! Shell: the majority owner's reply, with the proxy's clients where it counts clients, those that block on the other side too, and
//! behind it a section of the proxy's own where all sections are told, or this one.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::dispatch::{Sending, Stop, answer, is_between};
use super::merge::{Besides, Merge, MergeKind};
use super::state::State;
use super::ticket::Role;
use crate::routing::majority_owner;

/// The words that ask for it. Without any word INFO tells what `default` tells.
const SECTIONS: [&[u8]; 4] = [b"default", b"all", b"everything", b"switchback"];
/// The word that asks for what is said of clients, and for nothing else.
const CLIENTS: &[u8] = b"clients";
/// What the other side is asked between weights.
const OF_CLIENTS: &[u8] = b"*2\r\n$4\r\nINFO\r\n$7\r\nclients\r\n";

impl Sending<'_> {
    pub(super) fn info(&self, state: &mut State) -> Result<(), Stop> {
        let side = majority_owner(self.turn.snapshot.weight);
        let args = self.request.args;
        let is_asked = |word: &[u8]| SECTIONS.iter().any(|section| word.eq_ignore_ascii_case(section));
        let is_ours = args.len() < 2 || args.iter().skip(1).any(is_asked);
        let is_of_clients = is_ours || args.iter().skip(1).any(|word| word.eq_ignore_ascii_case(CLIENTS));
        match self.request.again.map(|again| again.role) {
            Some(Role::Part(0)) => return self.forward(state, side),
            // The other side was lost before it answered: the rest is not to wait for it.
            Some(Role::Part(_)) => {
                answer(state, self.request.again, b"");
                return Ok(());
            }
            _ => {}
        }
        if !is_of_clients {
            return self.forward(state, side);
        }
        let link = self.link_by_size(state, side)?;
        // Nor for one that is perhaps gone.
        let other = match is_between(self.turn.snapshot.weight) {
            true => self.link_by_size(state, side.other()).ok(),
            false => None,
        };
        let stats = &self.session.route.stats;
        let besides = Besides {
            section: if is_ours { self.section() } else { String::new() },
            connected: stats.clients.load(Ordering::Relaxed),
            paused: stats.paused.load(Ordering::Relaxed),
        };
        let parts = 1 + usize::from(other.is_some());
        let merge = Merge::new(MergeKind::Info(besides), parts);
        let number = self.open_merge(state, merge);
        self.enqueue_as(state, &link, number, Role::Part(0), self.request.bytes);
        if let Some(other) = other {
            self.enqueue_as(state, &other, number, Role::Part(1), OF_CLIENTS);
        }
        Ok(())
    }

    fn section(&self) -> String {
        let (route, snapshot) = (&self.session.route, &self.turn.snapshot);
        let fields: [(&str, &dyn std::fmt::Display); 7] = [
            ("version", &env!("CARGO_PKG_VERSION")),
            ("route", &route.name),
            ("weight", &snapshot.weight),
            ("epoch", &snapshot.epoch.0),
            ("latched", &u8::from(route.stats.latched.load(Ordering::Relaxed))),
            ("owner", &majority_owner(snapshot.weight)),
            ("clients", &route.stats.clients.load(Ordering::Relaxed)),
        ];
        let mut section = "# Switchback\r\n".to_owned();
        for (name, value) in fields {
            let _ = write!(section, "switchback_{name}:{value}\r\n");
        }
        section
    }
}
