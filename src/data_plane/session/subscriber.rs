//! What do topics do to a session that listens to them?
//!
//! Shell: the hub calls in here with messages, confirmations and refusals. A client that does not keep up is closed, as by
//! Redis: it would otherwise hold everyone's messages, or miss some unknowingly.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::state::{Session, State};
use crate::config::PubSubOutput;
use crate::data_plane::pubsub::{Delivery, Hub, Topic};

impl Session {
    /// A message for the subscription that request number `since` made: written at the end of the turn. Cost: a copy or a reference,
    /// and a flag.
    #[inline]
    pub(crate) fn deliver(self: &Rc<Self>, since: u64, message: &Delivery<'_>, limits: &PubSubOutput) {
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        if state.evicted {
            return;
        }
        let protocol = state.setting.protocol;
        state.replies.deliver(since, message, protocol);
        let waiting = state.replies.bytes();
        let is_over = limits.hard_bytes > 0 && waiting > limits.hard_bytes;
        if is_over || state.is_slow(waiting, limits) {
            self.evict_now(&mut state);
            self.wake.wake();
        } else if !self.to_write.replace(true) {
            self.route.reactor.writes_messages(Rc::clone(self));
        }
    }

    /// Closes a client that cannot keep up.
    pub(crate) fn evict(&self) {
        if !self.closed.get() {
            self.evict_now(&mut self.state.borrow_mut());
            self.wake.wake();
        }
    }

    fn evict_now(&self, state: &mut State) {
        if !std::mem::replace(&mut state.evicted, true) {
            self.route
                .stats
                .subscriber_evictions
                .fetch_add(1, Ordering::Relaxed);
            // Its memory is what it is closed for.
            self.hang_up(state);
        }
    }

    /// Closes it when it has been slow for too long; to be called now and then, as messages may have ceased.
    pub(crate) fn look_whether_slow(&self, limits: &PubSubOutput) {
        let mut state = self.state.borrow_mut();
        let waiting = state.replies.bytes();
        if state.slow_since.is_some() && !state.evicted && state.is_slow(waiting, limits) {
            self.evict_now(&mut state);
            self.wake.wake();
        }
    }

    /// A request for subscriptions is confirmed.
    pub(crate) fn subscribed(&self, number: u64, reply: &[u8]) {
        if !self.closed.get() {
            self.state.borrow_mut().replies.finish(number, reply);
            self.wake.wake();
        }
    }

    /// A request for subscriptions is refused: what it had joined is left.
    pub(crate) fn subscription_refused(&self, number: u64, line: &[u8], joined: &[Rc<Topic>]) {
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        for topic in joined {
            self.unsubscribe(&mut state, topic);
        }
        state.replies.finish(number, line);
        drop(state);
        self.wake.wake();
    }

    /// Where it listens: as its user.
    pub(super) fn hub(&self, state: &State) -> Rc<Hub> {
        self.route.hub_of(state.setting.user)
    }

    /// Its place among a topic's listeners is another one now.
    pub(crate) fn has_moved(&self, topic: &Rc<Topic>, place: usize) {
        self.state.borrow_mut().subscriptions.has_moved(topic, place);
    }

    /// Ends one subscription; `false` when there was none.
    pub(crate) fn unsubscribe(&self, state: &mut State, topic: &Rc<Topic>) -> bool {
        let Some(place) = state.subscriptions.remove(topic) else {
            return false;
        };
        self.hub(state).leave(topic, place);
        self.route.stats.subscriptions.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Ends them all, without a word.
    pub(crate) fn unsubscribe_all(&self, state: &mut State) {
        for topic in state.subscriptions.all() {
            self.unsubscribe(state, &topic);
        }
    }
}

impl State {
    /// Whether more than the soft limit has been waiting for too long.
    fn is_slow(&mut self, waiting: usize, limits: &PubSubOutput) -> bool {
        if limits.soft_bytes == 0 || waiting <= limits.soft_bytes {
            self.slow_since = None;
            return false;
        }
        self.slow_since.get_or_insert_with(Instant::now).elapsed() >= limits.soft_time
    }
}
