//! An operator who cannot make up his mind: the weight changes at a steady pace, and now and then all goes back.

use std::time::{Duration, Instant};

use crate::running::Running;

/// What is done to a route.
#[derive(Clone, Copy)]
pub(crate) struct Shaking {
    /// Changes of weight.
    pub(crate) changes: u32,
    /// BACK, and then ARM, evenly among them.
    pub(crate) route_backs: u32,
    /// How long all of it takes.
    pub(crate) within: Duration,
    /// Two proxies that are shaken with different numbers never have the same weight for long.
    pub(crate) seed: u64,
}

/// What was done. Fewer changes than asked for: refused while the guard had no evidence yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shaken {
    pub(crate) changes: u32,
    pub(crate) route_backs: u32,
    pub(crate) refused: u32,
}

impl Shaking {
    /// Does it, and ends with the route armed.
    pub(crate) fn shake(self, running: &Running) -> Shaken {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut shaken = Shaken::default();
        let (start, pause) = (Instant::now(), self.within / self.changes.max(1));
        let every = (self.changes / self.route_backs.max(1)).max(1);
        for turn in 1..=self.changes {
            // A pace, not a wait for something: late turns are caught up with.
            std::thread::sleep((start + pause * turn).saturating_duration_since(Instant::now()));
            if turn % every == 0 && shaken.route_backs < self.route_backs {
                assert_eq!(running.say(&["BACK", "r", "REASON", "shaken"]), "OK");
                shaken.route_backs += 1;
                running.wait_until("the route to be armed", |_| running.say(&["ARM", "r"]) == "OK");
            }
            let steps = random.u32(0..=10_000);
            let percent = format!("{}.{:02}", steps / 100, steps % 100);
            match running.say(&["WEIGHT", "r", &percent]).as_str() {
                "OK" => shaken.changes += 1,
                _ => shaken.refused += 1,
            }
        }
        shaken
    }
}
