//! What is to be played?
//!
//! Pure. Not clap, which is the program's: cargo adds arguments of its own that must be ignored.

use std::path::PathBuf;

pub(crate) const HELP: &str = "\
cargo bench --bench incident -- replays [COUNT] [--seed N] [--only-warn] [--trace DIR] [--json]
cargo bench --bench incident -- controls [NAME...] [--trace DIR] [--json]

replays    as many incidents on the new side as COUNT [10], each with parameters of its own
  --seed N     that of the first; the next ones follow [1]
  --only-warn  no rule trips: what each would have seen, and how long before the first harm
controls   what is nobody's incident, by name or all; nothing of it may trip
--trace DIR  keep what the guard was given, a directory for each, for `switchback guard replay`
--json       one JSON line for each besides";

pub(crate) enum What {
    Replays(u64),
    /// By name; none is all.
    Controls(Vec<String>),
}

pub(crate) struct Arguments {
    pub(crate) what: What,
    pub(crate) seed: u64,
    pub(crate) only_warn: bool,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) json: bool,
}

impl Arguments {
    /// `None` when there is nothing to play, or something is not understood.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Option<Self> {
        let mut words = words.filter(|word| word != "--bench");
        let what = words.next()?;
        let (mut named, mut seed, mut only_warn, mut trace, mut json) = (Vec::new(), 1, false, None, false);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seed" => seed = words.next()?.parse().ok()?,
                "--only-warn" => only_warn = true,
                "--trace" => trace = Some(PathBuf::from(words.next()?)),
                "--json" => json = true,
                flag if flag.starts_with('-') => return None,
                _ => named.push(word),
            }
        }
        let what = match what.as_str() {
            "replays" => What::Replays(named.first().map_or(Some(10), |count| count.parse().ok())?),
            "controls" => What::Controls(named),
            _ => return None,
        };
        Some(Self {
            what,
            seed,
            only_warn,
            trace,
            json,
        })
    }

    /// Lines of `[proxy]` that keep a trace of what is called so.
    pub(crate) fn proxy_config(&self, name: &str) -> String {
        let Some(folder) = &self.trace else {
            return String::new();
        };
        let folder = std::path::absolute(folder).unwrap().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        format!("trace_dir = {folder:?}\n")
    }
}
