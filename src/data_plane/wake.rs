//! How does one task of a worker tell another that there is something to do?
//!
//! Shell: a waker that is kept, and a flag, so that fifty replies for one session wake it once. Channels were
//! rejected: they allocate and lock per message.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

/// The waker of one task, to be used by other tasks of the same thread.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    waker: RefCell<Option<Waker>>,
    scheduled: Cell<bool>,
}

impl Wake {
    /// The task is being polled: what was to be told is being looked at.
    #[inline]
    pub(crate) fn polled(&self, cx: &Context<'_>) {
        self.scheduled.set(false);
        let mut waker = self.waker.borrow_mut();
        match waker.as_ref() {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }

    /// The task is to be polled once more.
    #[inline]
    pub(crate) fn is_told(&self) -> bool {
        self.scheduled.get()
    }

    /// Has the task polled once more, if that is not already to happen.
    #[inline]
    pub(crate) fn wake(&self) {
        if !self.scheduled.replace(true)
            && let Some(waker) = self.waker.borrow().as_ref()
        {
            waker.wake_by_ref();
        }
    }
}
