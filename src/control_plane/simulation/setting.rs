//! As what is a simulated route configured?
//!
//! Shell: files, as an operator writes them, and what the configuration makes of them; each is read once a thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::rc::Rc;

use fastrand::Rng;

use crate::config::{self, Config};

/// Changed files of a setting, for a reload. The last one is refused.
pub(super) const FILES: usize = 5;
/// The route.
pub(super) const ROUTE: &str = "r";

/// What a schedule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Setting {
    pub(super) tempo: Tempo,
    /// By side: Sentinels watch it. Otherwise it is a fixed address.
    pub(super) is_watched: [bool; 2],
    /// Of each side.
    pub(super) replicas: u16,
    /// A weight rises from 08:00 to 20:00 only; a stretch begins at noon.
    pub(super) has_window: bool,
}

/// How fast the guard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tempo {
    /// As shipped, looking every 50 ms.
    Shipped,
    /// A look every half second, with the rules' times to match: ten times as many stretches in the same time.
    Coarse,
}

impl Tempo {
    /// From one look of the loop to the next. Unit: milliseconds.
    pub(super) const fn tick(self) -> u64 {
        match self {
            Self::Shipped => 50,
            Self::Coarse => 500,
        }
    }

    /// How many of those lie between two probes.
    pub(super) const fn ticks_a_probe(self) -> u64 {
        match self {
            Self::Shipped => 2,
            Self::Coarse => 1,
        }
    }
}

/// A setting's configuration, and the files a reload may find.
#[derive(Debug)]
pub(super) struct Configured {
    pub(super) config: Config,
    pub(super) files: [PathBuf; FILES],
    _directory: tempfile::TempDir,
}

thread_local! {
    static READ: RefCell<HashMap<Setting, Rc<Configured>>> = RefCell::default();
}

impl Setting {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        Self {
            tempo: match rng.u8(..) {
                0 => Tempo::Shipped,
                _ => Tempo::Coarse,
            },
            is_watched: [rng.u8(0..3) == 0, rng.u8(0..3) == 0],
            replicas: if rng.u8(0..4) == 0 { 2 } else { 1 },
            has_window: rng.u8(0..4) == 0,
        }
    }

    pub(super) fn configured(self) -> Rc<Configured> {
        READ.with_borrow_mut(|read| Rc::clone(read.entry(self).or_insert_with(|| Rc::new(self.write()))))
    }

    fn write(self) -> Configured {
        let directory = tempfile::tempdir().unwrap();
        let files = std::array::from_fn(|number| {
            let path = directory.path().join(format!("{number}.toml"));
            std::fs::write(&path, self.text(number)).unwrap();
            path
        });
        Configured {
            config: config::load(&files[0]).unwrap(),
            files,
            _directory: directory,
        }
    }

    /// File number 0 is the one it begins with.
    fn text(self, number: usize) -> String {
        let mut text = String::new();
        let url = |side: usize, name: &str| match self.is_watched[side] {
            true => {
                let sentinels = [1, 2, 3].map(|port| format!("sentinel-{name}:{port}")).join(",");
                format!("redis+sentinel://{sentinels}/{name}")
            }
            false => format!("redis://{name}:1"),
        };
        let _ = write!(
            text,
            "[proxy]\nworkers = 2\nstate_dir = \"/nowhere\"\n[[route]]\nname = \"{ROUTE}\"\n\
             listen = [\"127.0.0.1:6400\"]\nold = \"{}\"\nnew = \"{}\"\n",
            url(0, "old"),
            url(1, "new")
        );
        // What is learnt while a replica is away stays too small for ever: it would freeze all that is to be seen here.
        let _ = write!(text, "[route.guard]\nreplicas_usual = {}\n", self.replicas);
        if self.tempo == Tempo::Coarse {
            text += COARSE;
        }
        if number == 1 {
            // Nobody would; what is under way has to come to terms with it.
            text += "[route.guard.offset_lag]\naction = \"warn\"\n[route.guard.replica_excess]\naction = \"off\"\n";
        }
        let steps = if number == 2 { "[30]" } else { "[1, 25, 60, 100]" };
        let hold = if number == 3 { "1s" } else { "2s" };
        let _ = write!(text, "[route.ramp]\nsteps = {steps}\nhold = \"{hold}\"\n");
        if self.has_window {
            let window = if number == 3 { "13:00-19:00" } else { "08:00-20:00" };
            let _ = writeln!(text, "window = \"{window}\"");
        }
        if number == FILES - 1 {
            text += "a_key_nobody_knows = 1\n";
        }
        text
    }
}

/// Slower than shipped, where that is by time; and without the rules that nothing here has anything to do with.
const COARSE: &str = r#"probe_interval = "500ms"
heartbeat_interval = "500ms"
stale_after = "1600ms"
tilt_after = "1200ms"
tilt_for = "2s"
healthy_before = "2s"
unreachable = { limit = "1800ms", clear_for = "1s" }
heartbeat_delay = { limit = "1500ms", for = "500ms", clear_for = "1s" }
link_down = { for = "4s", clear_for = "1s" }
resync_loop = { window = "8s", clear_for = "1s" }
replica_flap = { window = "8s", clear_for = "1s" }
output_buffer = { for = "1s", clear_for = "1s" }
memory_cap = { action = "off" }
memory_gap = { action = "off" }
slowlog_growth = { action = "off" }
command_mismatch = { action = "off" }
traffic_rising = { action = "off" }
"#;
