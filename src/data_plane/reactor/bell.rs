//! How do tasks that are woken, and other threads, have a worker look?
//!
//! Shell: a flag, and where the worker sleeps an event of the kernel's that ends its sleep.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use nix::sys::eventfd::{EfdFlags, EventFd};

/// One worker's.
pub(super) struct Bell {
    event: EventFd,
    has_rung: AtomicBool,
    sleeps: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self {
            event: EventFd::from_value_and_flags(0, flags)?,
            has_rung: AtomicBool::new(false),
            sleeps: AtomicBool::new(false),
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    pub(super) fn ring(&self) {
        // Either this sees that the worker sleeps, or the worker that it has rung.
        if !self.has_rung.swap(true, Ordering::SeqCst) && self.sleeps.load(Ordering::SeqCst) {
            // Nobody reads it: it can count more rings than there will be.
            let _ = self.event.write(1);
        }
    }

    /// Whether it has rung since this was asked last.
    pub(super) fn has_rung(&self) -> bool {
        self.has_rung.load(Ordering::Relaxed) && self.has_rung.swap(false, Ordering::SeqCst)
    }

    /// The worker is about to sleep; `false`: it must not, the bell has rung.
    pub(super) fn sleeps(&self) -> bool {
        if self.has_rung.load(Ordering::Relaxed) {
            return false;
        }
        self.sleeps.store(true, Ordering::SeqCst);
        !self.has_rung.load(Ordering::SeqCst)
    }

    /// The worker is awake.
    pub(super) fn is_awake(&self) {
        self.sleeps.store(false, Ordering::Relaxed);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn is_readable(bell: &Bell) -> bool {
        let mut fds = [PollFd::new(bell.fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn it_keeps_a_worker_from_sleep_and_wakes_it_from_it() {
        let bell = Bell::new().unwrap();
        bell.ring();
        assert!(!bell.sleeps() && !is_readable(&bell), "awake: a flag is enough");
        assert!(bell.has_rung() && !bell.has_rung());
        assert!(bell.sleeps());
        bell.ring();
        assert!(is_readable(&bell));
        bell.is_awake();
        assert!(!bell.sleeps(), "until it has been asked");
        assert!(bell.has_rung());
    }

    /// A ring that is lost between the two would leave the worker asleep.
    #[test]
    fn no_ring_is_lost() {
        const RINGS: usize = 20_000;
        let bell = Arc::new(Bell::new().unwrap());
        let other = Arc::clone(&bell);
        let (heard, answers) = std::sync::mpsc::sync_channel(0);
        let ringing = std::thread::spawn(move || {
            for _ in 0..RINGS {
                other.ring();
                answers.recv_timeout(Duration::from_secs(20)).unwrap();
            }
        });
        let mut count = 0;
        loop {
            if bell.has_rung() {
                count += 1;
                heard.send(()).unwrap();
                if count == RINGS {
                    break;
                }
            }
            if bell.sleeps() {
                let mut fds = [PollFd::new(bell.fd(), PollFlags::POLLIN)];
                assert_eq!(
                    poll(&mut fds, PollTimeout::from(20_000u16)).unwrap(),
                    1,
                    "a ring was lost"
                );
                bell.event.read().unwrap();
            }
            bell.is_awake();
        }
        ringing.join().unwrap();
    }
}
