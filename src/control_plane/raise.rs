//! What becomes of an order that would have a weight leave 0, until both sides have been looked at?
//!
//! Shell: the loop goes on meanwhile. The look is a task that comes back as an event; then the order is decided as any other,
//! by what holds at that moment. A later order overtakes one that waits.

use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::Event;
use super::admin::Reply;
use super::clock;
use super::preflight::{Facts, Finding, Known, Stated, findings, headline};
use super::run::Control;
use super::shift::Input;
use crate::limits::{PREFLIGHT_AGAIN_MAX, PREFLIGHT_MAX};

/// Between a look that came too early, before there was a rate or in a change of master, and the next.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How both sides are looked at: by asking all their nodes and Sentinels.
pub(super) type Look = Rc<dyn Fn([Option<Known>; 2]) -> Pin<Box<dyn Future<Output = Facts>>>>;

/// An order that waits.
#[derive(Debug)]
pub(super) struct PendingRaise {
    input: Input,
    reply: oneshot::Sender<Reply>,
    began: Instant,
}

/// A look under way. The one before it is over, and its connections with it.
#[derive(Debug)]
pub(super) struct Looking {
    number: u64,
    task: AbortHandle,
}

impl Control {
    /// Has both sides looked at, and the order decided then.
    pub(super) fn look_before(&mut self, at: usize, input: Input, reply: oneshot::Sender<Reply>) {
        self.routes[at].pending = Some(PendingRaise {
            input,
            reply,
            began: clock::now(),
        });
        // One that is under way may have seen a node before the operator mended it.
        self.look_at_both(at, Duration::ZERO);
    }

    /// Another order has come for the route.
    pub(super) fn overtake(&mut self, at: usize) {
        if let Some(pending) = self.routes[at].pending.take() {
            let text = "ERR not done: a later order came while both sides were looked at";
            let _ = pending.reply.send(Reply::Error(text.to_owned()));
        }
    }

    /// A raise that is under way and has not left 0 yet (a step still to come, a window still to open) needs a look that
    /// holds at the moment it does.
    pub(super) fn keep_looking(&mut self, at: usize, now: Instant) {
        let route = &self.routes[at];
        if route.waits_at_zero() && route.looking.is_none() && route.last_look.is_due(now) {
            self.look_at_both(at, Duration::ZERO);
        }
    }

    fn look_at_both(&mut self, at: usize, after: Duration) {
        let route = &mut self.routes[at];
        if let Some(before) = route.looking.take() {
            before.task.abort();
        }
        route.looks += 1;
        let number = route.looks;
        let (names, events, look) = (route.known(), self.events.clone(), Rc::clone(&self.look_at));
        let task = tokio::task::spawn_local(async move {
            sleep(after).await;
            // Each peer has a time of its own; this is the backstop.
            let facts = timeout(PREFLIGHT_MAX, look(names)).await;
            let facts = Box::new(facts.unwrap_or_default());
            let _ = events
                .send(Event::Looked {
                    route: at,
                    number,
                    facts,
                })
                .await;
        });
        self.routes[at].looking = Some(Looking {
            number,
            task: task.abort_handle(),
        });
    }

    /// Both sides have been looked at.
    pub(super) fn looked(&mut self, at: usize, number: u64, facts: &Facts) {
        let Some(route) = self.routes.get_mut(at).filter(|route| {
            let awaited = route.looking.as_ref().map(|looking| looking.number);
            awaited == Some(number)
        }) else {
            return;
        };
        route.looking = None;
        let is_of_now = facts.are_of(&route.topology);
        let since = |began| clock::now().saturating_duration_since(began);
        let waited = route.pending.as_ref().map(|pending| since(pending.began));
        if waited.is_some_and(|waited| waited < PREFLIGHT_AGAIN_MAX) && (!is_of_now || facts.lack_a_rate()) {
            self.look_at_both(at, LOOK_AGAIN);
            return;
        }
        let now = clock::now();
        let stated = Stated::from(&self.config.routes[at].guard);
        let findings = findings(facts, &stated);
        let refusal = findings.iter().find(|finding| finding.refuses);
        let is_news = match is_of_now {
            true => route.last_look.came_to(refusal.cloned(), now),
            false => {
                route.last_look.forget();
                false
            }
        };
        let pending = route.pending.take();
        if is_of_now && (is_news || pending.is_some()) {
            let force = pending.as_ref().and_then(|pending| pending.input.force());
            let (kind, reason) = told(&findings, refusal, force);
            self.note(at, refusal.map(|finding| finding.side), kind, reason);
        }
        if let Some(PendingRaise { input, reply, .. }) = pending {
            self.decide_order(at, input, reply);
        }
    }
}

/// The event's kind and line.
fn told(findings: &[Finding], refusal: Option<&Finding>, force: Option<&str>) -> (&'static str, String) {
    match (refusal, force) {
        (None, _) => ("preflight_ok", headline(findings)),
        (Some(finding), None) => ("preflight_refused", finding.to_string()),
        (Some(finding), Some(why)) => ("preflight_refused", format!("{finding}; forced: {why}")),
    }
}
