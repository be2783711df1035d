//! How are the three runs played, one after the other, and what is shown of them?
//!
//! Shell. Whatever a run starts ends with it, on success, failure and Ctrl-C alike.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::course::{Course, LINK_BITS};
use super::play::Theatre;
use super::proxied::Guard;
use super::run::Run;
use super::{as_done, chart, proxied, table};
use crate::demo::error::DemoError;
use crate::demo::interrupt::Interrupt;
use crate::demo::narrator::{Narrator, write_line};
use crate::lab::{LabError, Network};

/// What an operator asked for.
#[derive(Clone, Debug, Default)]
pub struct IncidentOptions {
    /// Chooses sizes, rates and moments.
    pub seed: u64,
    /// Where the runs are drawn.
    pub svg: Option<PathBuf>,
    /// One JSON document instead of a table.
    pub json: bool,
    /// Where what the guard sees is kept: a directory for each run that has one.
    pub trace: Option<PathBuf>,
    /// Only this one of the three.
    pub only: Option<IncidentRun>,
}

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentRun {
    /// No proxy.
    AsDone,
    /// With Switchback, its guard off.
    GuardOff,
    /// With Switchback as shipped.
    AsShipped,
}

impl IncidentRun {
    /// All of them, in the order they are played in.
    pub const ALL: [Self; 3] = [Self::AsDone, Self::GuardOff, Self::AsShipped];

    /// What it is called on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsDone => "as-done",
            Self::GuardOff => "guard-off",
            Self::AsShipped => "as-shipped",
        }
    }

    const fn story(self) -> &'static str {
        match self {
            Self::AsDone => "as it was done. No proxy, apps follow Sentinel, a failover onto a new node",
            Self::GuardOff => {
                "with Switchback, its guard off, and an operator who shifts anyway. The new side is a group of its own: its \
                 master was seeded from the old one; three more replicas join the old master first, and then go to new with \
                 the traffic"
            }
            Self::AsShipped => {
                "with Switchback as shipped, and an operator who follows all advice of the pre-flight, and then shifts at the \
                 same wrong moment"
            }
        }
    }

    fn play(self, theatre: &Theatre<'_>) -> Result<Run, DemoError> {
        match self {
            Self::AsDone => as_done::play(theatre),
            Self::GuardOff => proxied::play(theatre, Guard::Off),
            Self::AsShipped => proxied::play(theatre, Guard::AsShipped),
        }
    }
}

/// The three runs. Fails when they could not be played, whatever came of them.
pub fn run_incident(options: &IncidentOptions) -> ExitCode {
    let narrator = match options.json {
        true => Narrator::start_aside(),
        false => Narrator::start(),
    };
    match play(options, &narrator) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("switchback demo: {error}; everything it had started has ended");
            ExitCode::FAILURE
        }
    }
}

fn play(options: &IncidentOptions, narrator: &Narrator) -> Result<(), DemoError> {
    let interrupt = Interrupt::watch().map_err(LabError::io("listening for signals"))?;
    let program = std::env::current_exe().map_err(LabError::io("finding this program"))?;
    let course = Course::of(options.seed);
    let has_network = has_network(narrator);
    let theatre = Theatre {
        narrator,
        interrupt: &interrupt,
        course: &course,
        has_network,
        program: &program,
        trace: options.trace.as_deref(),
    };
    narrator.say(&format!(
        "seed {}: the same load each time, {} messages/s rising to {}; the shift begins at {:.1} s",
        options.seed,
        course.rate(std::time::Duration::ZERO),
        course.rate(course.end_at),
        course.shift_at().as_secs_f64()
    ));
    let mut runs = Vec::new();
    for (number, run) in (1..).zip(IncidentRun::ALL) {
        if options.only.is_none_or(|only| only == run) {
            narrator.say(&format!("{number}: {}", run.story()));
            runs.push(run.play(&theatre)?);
        }
    }
    show(options, has_network, &runs)
}

fn show(options: &IncidentOptions, has_network: bool, runs: &[Run]) -> Result<(), DemoError> {
    if let Some(file) = &options.svg {
        let named = LabError::io(format!("writing {}", file.display()));
        std::fs::write(file, chart::draw(options.seed, runs)).map_err(named)?;
    }
    if options.json {
        let document = json!({
            "seed": options.seed,
            "link_bits_per_second": has_network.then_some(LINK_BITS),
            "runs": runs.iter().map(Run::json).collect::<Vec<_>>(),
        });
        write_line(&document.to_string());
        return Ok(());
    }
    write_line("");
    table::lines(runs).iter().for_each(|line| write_line(line));
    Ok(())
}

/// Whether hosts with narrow links can be had here; tried, because being root is neither enough nor needed everywhere.
fn has_network(narrator: &Narrator) -> bool {
    let tried = Network::create(1).and_then(|network| match network.hosts() {
        [host, ..] => host.cap(LINK_BITS),
        [] => Ok(()),
    });
    match tried {
        Ok(()) => {
            narrator.say(&format!(
                "every server on a host of its own, whose link carries {} Mbit/s",
                LINK_BITS / 1_000_000
            ));
            true
        }
        Err(error) => {
            narrator.say(&format!(
                "no narrow links here ({error}); as root there are. Instead, a master that feeds five replicas gets an output \
                 buffer too small for what is written: replicas are lost as in the incident, messages are not late as there"
            ));
            false
        }
    }
}
