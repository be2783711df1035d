//! How does a script get to a node that lacks it?
//!
//! Shell: in front of the first EVALSHA that names it on a link, on the same link. What a transaction queues is loaded by
//! another link first, as its own counts replies.

use std::sync::atomic::Ordering;

use super::dispatch::{Again, Sending, Stall, Stop, is_between, with_room};
use super::split;
use super::state::State;
use super::ticket::Role;
use crate::cluster::Side;
use crate::data_plane::command::{MergeKind, ScriptUse};
use crate::data_plane::scripts;
use crate::data_plane::upstream::{Lease, Link};
use crate::resp::write_command;
use crate::routing::majority_owner;

impl Sending<'_> {
    /// EVAL, EVALSHA, SCRIPT LOAD and SCRIPT FLUSH.
    pub(super) fn script(&self, state: &mut State, what: ScriptUse) -> Result<(), Stop> {
        let route = &self.session.route;
        let argument = |at: usize| self.request.args.get(at).unwrap_or_default();
        match what {
            ScriptUse::Eval => {
                route.scripts.evaluated(route.shared_scripts(), argument(1));
                self.forward(state, self.side()?)
            }
            ScriptUse::EvalSha => {
                let side = self.side()?;
                let link = self.link_by_size(state, side)?;
                self.has_second(&link)?;
                self.give_script(state, &link, argument(1));
                self.forward(state, side)
            }
            ScriptUse::Load => {
                route.scripts.loaded(route.shared_scripts(), argument(2));
                split::everywhere(self, state, MergeKind::First)
            }
            ScriptUse::Flush => {
                route.scripts.flushed(route.shared_scripts());
                split::everywhere(self, state, MergeKind::First)
            }
        }
    }

    /// FUNCTION LOAD, DELETE, FLUSH and RESTORE. At 0 and at 100 the owner's reply is the client's, and the other side is told
    /// besides: what does not get there, pre-flight finds missing before a raise. A side that was routed back from is told nothing.
    pub(super) fn libraries(&self, state: &mut State) -> Result<(), Stop> {
        let snapshot = &self.turn.snapshot;
        if is_between(snapshot.weight)
            || matches!(
                self.request.again,
                Some(Again {
                    role: Role::Part(_),
                    ..
                })
            )
        {
            return split::everywhere(self, state, MergeKind::First);
        }
        let (route, side) = (&self.session.route, majority_owner(snapshot.weight));
        self.forward(state, side)?;
        let other = side.other();
        let is_told = snapshot.side(other).is_some_and(|view| !view.abandoned)
            && !route.stats.latched.load(Ordering::Relaxed);
        if is_told && self.request.again.is_none() {
            route.tell_besides(other, self.session, state.setting.user, self.request.bytes);
        }
        Ok(())
    }

    /// The same for what a transaction queues, whose own link takes nothing else: on another, and before it is queued.
    pub(super) fn load_script(&self, state: &mut State, side: Side) -> Result<(), Stop> {
        let route = &self.session.route;
        let Some(id) = scripts::read_id(self.request.args.get(1).unwrap_or_default()) else {
            return Ok(());
        };
        let Some(body) = route.scripts.body(route.shared_scripts(), &id) else {
            return Ok(());
        };
        let link = match route.links(side).shared(route, state.setting) {
            Lease::Ready(link) => with_room(&link, self.session)?,
            Lease::Wait => return Err(Stall::Hold(side).into()),
            Lease::Refused(_) => return Ok(()),
        };
        if link.scripts.borrow_mut().add(route.shared_scripts(), id) {
            let mut request = Vec::new();
            write_command(&mut request, &[b"SCRIPT", b"LOAD", &body]);
            self.enqueue_as(state, &link, 0, Role::Script, &request);
            state.transaction.loading = true;
            return Err(Stall::Replies.into());
        }
        Ok(())
    }

    /// Loads the script on the link's node, once a link.
    fn give_script(&self, state: &mut State, link: &Link, name: &[u8]) {
        let route = &self.session.route;
        let Some(id) = scripts::read_id(name) else { return };
        let Some(body) = route.scripts.body(route.shared_scripts(), &id) else {
            return;
        };
        if link.scripts.borrow_mut().add(route.shared_scripts(), id) {
            let mut request = Vec::new();
            write_command(&mut request, &[b"SCRIPT", b"LOAD", &body]);
            self.enqueue_as(state, link, 0, Role::Aside, &request);
        }
    }
}
