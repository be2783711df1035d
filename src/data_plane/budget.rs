//! How many bytes of large requests does a route hold at once, and who waits for room?
//!
//! Shell: one lock, which only requests beyond [`crate::limits::LARGE_BYTES`] take. Whoever gets no room is not read until there
//! is some; TCP holds its client back. The whole of what a request announces is reserved before more of it is read, first come
//! first served, so that two half-read requests do not wait for each other. A request that goes on growing (a million small
//! arguments, a second large one) may have to: so one of them at a time goes beyond the budget until it is complete.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::stats::RouteStats;

/// What is held of all requests of a route, all workers together.
#[derive(Debug)]
pub(crate) struct Budget {
    books: Mutex<Books>,
    /// Told to whoever reads metrics.
    stats: Arc<RouteStats>,
}

#[derive(Debug, Default)]
struct Books {
    held: usize,
    /// A request has gone beyond the budget, as it was to be completed.
    is_overdrawn: bool,
    /// Those that hold something and need more; they come first.
    growing: VecDeque<Waiter>,
    /// Those that hold nothing yet.
    coming: VecDeque<Waiter>,
    next_number: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    waker: Waker,
}

/// What one request holds. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
    /// It is the one that has gone beyond the budget.
    overdraws: bool,
    /// Its place in a queue.
    waits: Option<u64>,
}

/// The request is larger than the whole budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverBudget;

impl Budget {
    pub(crate) fn new(stats: Arc<RouteStats>) -> Arc<Self> {
        Arc::new(Self {
            books: Mutex::default(),
            stats,
        })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a change: tells what is held, and wakes those whose turn it may be.
    fn settle(&self, books: MutexGuard<'_, Books>) {
        let waiting = books.growing.len() + books.coming.len();
        self.stats.request_bytes_held.store(books.held, Ordering::Relaxed);
        self.stats.requests_waiting.store(waiting, Ordering::Relaxed);
        let first = |queue: &VecDeque<Waiter>| queue.front().map(|waiter| waiter.waker.clone());
        let woken = [first(&books.growing), first(&books.coming)];
        drop(books);
        woken.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Books {
    fn queue(&mut self, grows: bool) -> &mut VecDeque<Waiter> {
        match grows {
            true => &mut self.growing,
            false => &mut self.coming,
        }
    }

    fn leave(&mut self, grows: bool, number: Option<u64>) {
        if let Some(number) = number {
            self.queue(grows).retain(|waiter| waiter.number != number);
        }
    }
}

impl Reservation {
    /// Of a request that holds nothing yet.
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
            overdraws: false,
            waits: None,
        }
    }

    /// How much it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it waits for more.
    pub(crate) fn waits(&self) -> bool {
        self.waits.is_some()
    }

    /// Makes it hold `bytes` of the `limit` that all may hold together; the task is woken when it may be its turn.
    ///
    /// # Errors
    /// It can never be: the client is told.
    pub(crate) fn poll_hold(
        &mut self,
        bytes: usize,
        limit: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<(), OverBudget>> {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else {
            return Poll::Ready(Ok(()));
        };
        let budget = Arc::clone(&self.budget);
        let mut books = budget.books();
        let grows = self.bytes > 0;
        if bytes > limit {
            books.leave(grows, self.waits.take());
            budget.settle(books);
            return Poll::Ready(Err(OverBudget));
        }
        let first = books.queue(grows).front().map(|waiter| waiter.number);
        let is_turn = (first.is_none() || first == self.waits) && (grows || books.growing.is_empty());
        let fits = books.held + more <= limit;
        let may_overdraw = self.overdraws || (grows && is_turn && !books.is_overdrawn);
        if (is_turn && fits) || may_overdraw {
            books.leave(grows, self.waits.take());
            books.held += more;
            self.bytes = bytes;
            self.overdraws |= !fits;
            books.is_overdrawn |= !fits;
            budget.settle(books);
            return Poll::Ready(Ok(()));
        }
        match self.waits {
            Some(number) => {
                let own = books
                    .queue(grows)
                    .iter_mut()
                    .find(|waiter| waiter.number == number);
                if let Some(own) = own {
                    own.waker.clone_from(cx.waker());
                }
            }
            None => {
                let number = books.next_number;
                books.next_number += 1;
                self.waits = Some(number);
                let waker = cx.waker().clone();
                books.queue(grows).push_back(Waiter { number, waker });
                let waiting = books.growing.len() + books.coming.len();
                budget.stats.requests_waiting.store(waiting, Ordering::Relaxed);
            }
        }
        Poll::Pending
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes == 0 && self.waits.is_none() {
            return;
        }
        let mut books = self.budget.books();
        books.leave(self.bytes > 0, self.waits);
        books.held -= self.bytes;
        books.is_overdrawn &= !self.overdraws;
        self.budget.settle(books);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const LIMIT: usize = 100;

    struct Request {
        reservation: Reservation,
        woken: Arc<Woken>,
    }

    impl Request {
        fn new(budget: &Arc<Budget>) -> Self {
            Self {
                reservation: Reservation::new(budget),
                woken: Arc::default(),
            }
        }

        fn holds(&mut self, bytes: usize) -> bool {
            let waker = Arc::clone(&self.woken).into();
            let polled = self
                .reservation
                .poll_hold(bytes, LIMIT, &Context::from_waker(&waker));
            assert_ne!(polled, Poll::Ready(Err(OverBudget)));
            polled.is_ready()
        }

        fn was_woken(&self) -> bool {
            self.woken.0.swap(0, Ordering::Relaxed) > 0
        }
    }

    fn requests<const N: usize>() -> (Arc<RouteStats>, [Request; N]) {
        let stats = Arc::default();
        let budget = Budget::new(Arc::clone(&stats));
        (stats, std::array::from_fn(|_| Request::new(&budget)))
    }

    #[test]
    fn the_first_that_waits_is_the_first_that_is_served() {
        let (stats, [mut a, mut b, mut c]) = requests();
        assert!(a.holds(60) && !b.holds(60));
        assert!(!c.holds(10), "it would fit, and is not the first");
        assert_eq!(stats.request_bytes_held.load(Ordering::Relaxed), 60);
        assert_eq!(stats.requests_waiting.load(Ordering::Relaxed), 2);
        drop(a);
        assert!(b.was_woken() && !c.was_woken());
        assert!(b.holds(60));
        assert!(c.was_woken());
        assert!(c.holds(10));
        drop((b, c));
        assert_eq!(stats.request_bytes_held.load(Ordering::Relaxed), 0);
        assert_eq!(stats.requests_waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_that_is_gone_keeps_nobody_waiting() {
        let (_, [mut a, mut b, mut c]) = requests();
        assert!(a.holds(60) && !b.holds(60) && !c.holds(40));
        drop(b);
        assert!(c.was_woken());
        assert!(c.holds(40));
    }

    #[test]
    fn what_never_fits_is_told_and_what_just_fits_is_not() {
        let (_, [mut a]) = requests();
        let waker = Waker::noop();
        let mut poll = |bytes| a.reservation.poll_hold(bytes, LIMIT, &Context::from_waker(waker));
        assert_eq!(poll(LIMIT + 1), Poll::Ready(Err(OverBudget)));
        assert_eq!(poll(LIMIT), Poll::Ready(Ok(())));
    }

    #[test]
    fn two_that_grow_do_not_wait_for_each_other() {
        let (stats, [mut a, mut b, mut c, mut d]) = requests();
        assert!(a.holds(50) && b.holds(50) && !c.holds(10));
        assert!(a.holds(70), "one goes beyond");
        assert!(!b.holds(70), "and only one");
        assert!(a.holds(90));
        assert!(!d.holds(10));
        drop(a);
        assert!(b.was_woken());
        assert!(b.holds(70));
        assert!(c.was_woken());
        assert!(c.holds(10) && d.holds(10));
        drop((b, c, d));
        assert_eq!(stats.request_bytes_held.load(Ordering::Relaxed), 0);
    }
}
