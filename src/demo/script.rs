//! What happens in the demo, in which order?
//!
//! Shell: the play. Whatever it starts ends with its values, on success, failure and Ctrl-C alike.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;

use super::breakage::Breakage;
use super::error::DemoError;
use super::interrupt::Interrupt;
use super::load::{Load, LoadOptions};
use super::messages::{MessageOptions, Messages, Target};
use super::narrator::{Narrator, failures};
use super::proxy::{EventLine, Proxy, Setting, Status};
use super::verdict::Measured;
use super::witness::Witness;
use crate::lab::{Group, GroupOptions, LabError, Server};

/// How long each weight is shown.
const HOLD: Duration = Duration::from_secs(4);
/// How long replication stays broken after the route back: whatever still went to `new` would show.
const AFTERMATH: Duration = Duration::from_secs(5);
/// After STATUS says tripped, new's own count may still be this much behind: replies on their way, and INFO asked for
/// every few milliseconds.
const COUNT_LAG: Duration = Duration::from_millis(100);
const READY_PATIENCE: Duration = Duration::from_secs(30);
const TRIP_PATIENCE: Duration = Duration::from_secs(30);

/// The demo. Tells its progress on stdout; fails when it could not be played or the promise was broken.
pub fn run() -> ExitCode {
    let narrator = Narrator::start();
    match play(&narrator) {
        Ok(measured) => {
            narrator.conclude(&measured);
            ExitCode::from(u8::from(!measured.broken_promises().is_empty()))
        }
        Err(error) => {
            eprintln!("switchback demo: {error}; everything it had started has ended");
            ExitCode::FAILURE
        }
    }
}

fn play(narrator: &Narrator) -> Result<Measured, DemoError> {
    let interrupt = Interrupt::watch().map_err(LabError::io("listening for signals"))?;
    let program = std::env::current_exe().map_err(LabError::io("finding this program"))?;
    narrator.say("starting two groups of real Redis, each a master, two replicas and three Sentinels");
    let (old, new) = start_groups()?;
    interrupt.check()?;
    let stage = Stage::set(narrator, interrupt, &program, [&old, &new])?;
    for percent in [0, 25, 50] {
        stage.shift(percent)?;
    }
    stage.break_new()
}

/// Both at once: most of a start is waiting.
fn start_groups() -> Result<(Group, Group), LabError> {
    let start = |name| {
        let mut options = GroupOptions::named(name);
        // What is to be seen is a group whose replication is broken and whose master is not.
        options.down_after = Duration::from_secs(5);
        Group::start(options)
    };
    std::thread::scope(|scope| {
        let new = scope.spawn(move || start("demo-new"));
        let old = start("demo-old");
        let new = new
            .join()
            .unwrap_or_else(|_| Err(LabError::Reply("the start of demo-new".to_owned())));
        Ok((old?, new?))
    })
}

/// Both groups, the proxy in front of them, the load on it, and the messages through it.
struct Stage<'a> {
    narrator: &'a Narrator,
    interrupt: Interrupt,
    masters: [&'a Server; 2],
    // Before the proxy: it would count the proxy's end as failures.
    load: Load,
    messages: Messages,
    proxy: Proxy,
}

impl<'a> Stage<'a> {
    fn set(
        narrator: &'a Narrator,
        interrupt: Interrupt,
        program: &Path,
        groups: [&'a Group; 2],
    ) -> Result<Self, DemoError> {
        let [old, new] = groups;
        let masters = [old.server(&old.master()?)?, new.server(&new.master()?)?];
        narrator.say(&format!(
            "old: master {}   new: master {}",
            masters[0].addr(),
            masters[1].addr()
        ));
        let proxy = Proxy::start(program, old, new, Setting::default())?;
        narrator.say(&format!(
            "proxy: apps connect to {}; waiting for evidence from both sides",
            proxy.addr()
        ));
        interrupt.wait_for("evidence that both sides are well", READY_PATIENCE, || {
            let Status { old, new, .. } = proxy.status()?;
            let are_well = old.verdict == "ok" && new.verdict == "ok";
            Ok(if are_well {
                Ok(())
            } else {
                Err(format!("old {}, new {}", old.verdict, new.verdict))
            })
        })?;
        let options = LoadOptions::default();
        let load = Load::start(proxy.addr(), &options)?;
        narrator.say(&format!(
            "load: {} apps, {} numbered commands a second, every reply checked",
            options.writers, options.per_second
        ));
        let options = MessageOptions {
            // PUBLISH goes to the replicas too, and it is replication that is broken here, not the machine.
            bytes: 16..=8 * 1024,
            ..MessageOptions::default()
        };
        let messages = Messages::start(&[Target::from(proxy.addr())], &options)?;
        narrator.say(&format!(
            "messages: {} publishers, {} numbered messages a second, {} subscribers that know what must come",
            options.publishers, options.per_second, options.subscribers
        ));
        Ok(Self {
            narrator,
            interrupt,
            masters,
            load,
            messages,
            proxy,
        })
    }

    /// One step of the shift, and a moment to see what it does.
    fn shift(&self, percent: u8) -> Result<(), DemoError> {
        let (before, delivered) = (self.proxy.status()?, self.messages.snapshot().delivered);
        if percent > 0 {
            self.proxy.shift(percent)?;
        }
        self.interrupt.pass(HOLD)?;
        let after = self.proxy.status()?;
        self.narrator.say(&format!(
            "weight {percent:>2} %: {} commands on old, {} on new; {} failed, {} late",
            after.old.commands_total.saturating_sub(before.old.commands_total),
            after.new.commands_total.saturating_sub(before.new.commands_total),
            failures(&self.load.snapshot().failed),
            self.load.snapshot().late,
        ));
        let messages = self.messages.snapshot();
        self.narrator.say(&format!(
            "             {} messages delivered; {} failed, {} late, {} lost, {} doubled, {} out of order",
            messages.delivered.saturating_sub(delivered),
            failures(&messages.failed),
            messages.late,
            messages.lost,
            messages.doubled,
            messages.reordered,
        ));
        Ok(())
    }

    /// The incident. Everything measured counts from the moment the replica buffer is made too small.
    fn break_new(self) -> Result<Measured, DemoError> {
        let [old, new] = self.masters;
        let witness = Witness::start(new)?;
        let resyncs_before = resyncs(new)?;
        self.narrator
            .say("breaking replication on new: tiny replica buffer, large writes");
        let broken = Timestamp::now();
        let breakage = Breakage::start(new)?;
        self.wait_for_trip()?;
        self.interrupt.pass(COUNT_LAG)?;
        let (after_trip, old_before) = (witness.seen(), self.proxy.status()?.old.commands_total);
        self.narrator
            .say("tripped: every command goes to old, and stays there until an operator arms the route");
        self.interrupt.pass(AFTERMATH)?;
        let (seen, status) = (witness.seen(), self.proxy.status()?);
        let strays = seen.commands.saturating_sub(after_trip.commands);
        let resyncs = resyncs(new)?.saturating_sub(resyncs_before);
        self.narrator.say(&format!(
            "after {} s: {} commands on old, {} on new; new has served {resyncs} full resyncs, {} replicas connected",
            AFTERMATH.as_secs(),
            status.old.commands_total.saturating_sub(old_before),
            strays,
            new.info("replication", "connected_slaves")?,
        ));
        drop(breakage);
        let events = self.proxy.events()?;
        let route_back = self.proxy.route_back_time()?;
        self.narrator.say(
            "stopping the load, reading back every key from both masters, waiting for the last messages",
        );
        let messages = self.messages.stop();
        let ledger = self.load.stop(&mut [old.client()?, new.client()?])?;
        let since = |time: Timestamp| time.as_millisecond() - broken.as_millisecond();
        let trip = events.iter().find(|event| event.kind == "trip");
        Ok(Measured {
            detection_millis: trip.and_then(EventLine::at).map(since),
            reason: trip.and_then(|event| event.reason.clone()).unwrap_or_default(),
            route_back_millis: route_back.and_then(|time| i64::try_from(time.as_millis()).ok()),
            last_on_new_millis: seen.last.map(since),
            stray_commands: strays,
            resyncs,
            ledger,
            messages,
        })
    }

    fn wait_for_trip(&self) -> Result<(), DemoError> {
        self.interrupt.wait_for("the guard to trip", TRIP_PATIENCE, || {
            let status = self.proxy.status()?;
            let is_back = status.state == "tripped" && status.latched && status.weight == 0.0;
            Ok(if is_back {
                Ok(())
            } else {
                Err(format!("state {}, new {}", status.state, status.new.verdict))
            })
        })
    }
}

fn resyncs(server: &Server) -> Result<u64, LabError> {
    let digits = server.info("stats", "sync_full")?;
    digits
        .parse()
        .map_err(|_| LabError::Reply("INFO stats".to_owned()))
}
