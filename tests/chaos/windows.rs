//! When may something have been lost that was promised, through no fault of the proxy's?
//!
//! Pure. Asynchronous replication loses what the master that acknowledged it had not passed on when another took its place.
//! Nothing else may lose anything, so only a side whose master has changed during a fault has such a window.

use std::fmt;
use std::time::Duration;

/// What a connection or a link under strain may be behind with before a fault, and a client after it.
const SLACK_BEFORE: Duration = Duration::from_millis(500);

/// Since the play began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// All of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Windows(Vec<Window>);

impl Windows {
    pub(crate) fn add(&mut self, from: Duration, to: Duration) {
        self.0.push(Window {
            from: from.saturating_sub(SLACK_BEFORE),
            to,
        });
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn cover(&self, at: Duration) -> bool {
        self.0.iter().any(|one| (one.from..=one.to).contains(&at))
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in &self.0 {
            write!(
                f,
                "[{:.2} s to {:.2} s] ",
                one.from.as_secs_f64(),
                one.to.as_secs_f64()
            )?;
        }
        Ok(())
    }
}

#[test]
fn a_window_covers_what_is_in_it_and_half_a_second_before() {
    let seconds = Duration::from_secs_f64;
    let mut windows = Windows::default();
    assert!(windows.is_empty() && !windows.cover(seconds(1.0)));
    windows.add(seconds(2.0), seconds(3.0));
    for (at, is_covered) in [(1.4, false), (1.6, true), (3.0, true), (3.1, false)] {
        assert_eq!(windows.cover(seconds(at)), is_covered, "{at}");
    }
}
