//! How does it go with Switchback?
//!
//! Shell: two groups and the proxy, whose operator begins at the same moment; with the guard off and forcing what is
//! refused, or with the proxy as shipped and doing what it advises.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::course::{Course, JOINING, USUAL};
use super::play::{Play, Theatre};
use super::run::{Event, Preflight, Run};
use super::stage::{Stage, fill};
use super::watch::{Ending, MarkKind, Watch};
use crate::cluster::NodeAddr;
use crate::control_plane::guard::Rule;
use crate::demo::error::DemoError;
use crate::demo::proxy::{EventLine, PreflightRow, Proxy, Setting};
use crate::demo::{Messages, StallWatch, Target};
use crate::lab::{Group, LabError, Server};

/// Hosts of the run: two groups, and what joins.
const HOSTS: usize = 2 * (1 + USUAL) + JOINING;
const STEPS: [u8; 3] = [25, 50, 100];
/// How long the operator looks at each weight.
const HOLD: Duration = Duration::from_secs(1);
/// How long it takes the operator to read the advice, and to see what has come of it.
const HEED: Duration = Duration::from_secs(1);
/// Between two commands of an operator. Replicas that have said where they went are not missed when Sentinel forgets them.
const SEEN: Duration = Duration::from_millis(500);
/// How often the operator looks again at most.
const LOOKS_MAX: usize = 4;
/// Between attempts at what was refused.
const ASK_AGAIN: Duration = Duration::from_millis(250);
const READY_PATIENCE: Duration = Duration::from_secs(30);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    Off,
    AsShipped,
}

/// Plays it.
pub(super) fn play(theatre: &Theatre<'_>, guard: Guard) -> Result<Run, DemoError> {
    let course = theatre.course;
    let mut stage = Stage::set(theatre.has_network.then_some(HOSTS))?;
    let mut old = stage.group("old", 0, None)?;
    let master = old.master()?;
    fill(old.server(&master)?, course)?;
    old.settle()?;
    let mut new = stage.group("new", 1 + USUAL, Some(master))?;
    // It was the old master's replica for a moment, which is long enough to be remembered.
    old.reset_sentinels()?;
    old.settle()?;
    stage.narrow_links(&[&old, &new])?;
    old.settle()?;
    new.settle()?;
    theatre.interrupt.check()?;
    let setting = Setting {
        host: stage.hub(),
        process: &theatre.proxy_config(guard.name())?,
        more: &config(guard),
    };
    let proxy = Proxy::start(theatre.program, &old, &new, setting)?;
    theatre
        .interrupt
        .wait_for("both masters to be found", READY_PATIENCE, || {
            let status = proxy.status()?;
            let are_well = |one: &str| one == "ok" || guard == Guard::Off;
            Ok(
                match are_well(&status.old.verdict) && are_well(&status.new.verdict) {
                    true => Ok(()),
                    false => Err(format!("old {}, new {}", status.old.verdict, status.new.verdict)),
                },
            )
        })?;
    let messages = Messages::start(&[Target::from(proxy.addr())], &course.messages())?;
    let stalls = StallWatch::start(&messages)?;
    let watch = Watch::default();
    let preflight = std::thread::scope(|scope| {
        scope.spawn(|| watch.run(course, &messages, Some(&proxy)));
        let _ending = Ending(&watch);
        Script {
            play: Play::new(theatre, &messages, &watch),
            guard,
            course,
            proxy: &proxy,
            stage: &mut stage,
            old: &mut old,
            new: &mut new,
            joined: Vec::new(),
            preflight: Preflight::default(),
        }
        .run()
    })?;
    let (marks, looks) = watch.into_parts();
    let mut events = events(&proxy, &messages)?;
    // Those of its start are about evidence that is not there yet.
    events.retain(|event| event.at > course.attach_at);
    let first = |kinds: &[&str]| {
        let found = events.iter().find(|event| kinds.contains(&event.kind.as_str()));
        found.map(Event::noticed)
    };
    Ok(Run {
        name: guard.name(),
        preflight: Some(preflight),
        noticed: first(&["rule_bad", "trip"]),
        trip: first(&["trip"]),
        route_back: proxy.route_back_time()?,
        stalls: stalls.stalls(),
        messages: messages.stop(),
        events,
        marks,
        looks,
    })
}

impl Guard {
    fn name(self) -> &'static str {
        match self {
            Self::Off => "guard off",
            Self::AsShipped => "as shipped",
        }
    }
}

fn config(guard: Guard) -> String {
    // Its usual number of replicas is stated, its links' bandwidth is not: that would refuse five of new as well.
    let mut text = format!("subscribe_to = \"replica\"\n[route.guard]\nreplicas_usual_old = {USUAL}\n");
    if guard == Guard::Off {
        for rule in Rule::ALL {
            // A String takes all that is written to it.
            let _ = write!(text, "[route.guard.{}]\naction = \"off\"\n", rule.name());
        }
    }
    text
}

/// What the proxy has told, oldest first.
fn events(proxy: &Proxy, messages: &Messages) -> Result<Vec<Event>, DemoError> {
    let began = Timestamp::now().as_millisecond() - messages.elapsed().as_millis() as i64;
    let event = |line: EventLine| {
        let since = line.at()?.as_millisecond() - began;
        Some(Event {
            // What was before the messages is as good as at their beginning.
            at: Duration::from_millis(u64::try_from(since).unwrap_or(0)),
            kind: line.kind,
            side: line.side,
            reason: line.reason.unwrap_or_default(),
        })
    };
    Ok(proxy.events()?.into_iter().rev().filter_map(event).collect())
}

/// Where the three replicas are.
enum Joined {
    Old(NodeAddr),
    New(NodeAddr),
    Nowhere(Server),
}

struct Script<'a> {
    play: Play<'a>,
    guard: Guard,
    course: &'a Course,
    proxy: &'a Proxy,
    stage: &'a mut Stage,
    old: &'a mut Group,
    new: &'a mut Group,
    joined: Vec<Joined>,
    preflight: Preflight,
}

impl Script<'_> {
    /// What the pre-flight says, and what is made of it.
    fn run(mut self) -> Result<Preflight, DemoError> {
        self.play.until(self.course.attach_at)?;
        self.attach()?;
        self.play.until(self.course.preflight_at())?;
        self.look_first()?;
        self.play.until(self.course.shift_at())?;
        self.shift()?;
        let is_back = self.play.until_or(self.course.give_up_at, || self.is_back())?;
        match (is_back, self.guard) {
            (true, _) => {
                self.tell_trip()?;
                self.play.until(self.play.elapsed() + HEED)?;
            }
            (false, Guard::Off) => {
                self.proxy.back()?;
                self.play
                    .mark(MarkKind::Back, "operators go back to old".to_owned());
            }
            (false, Guard::AsShipped) => {}
        }
        if is_back || self.guard == Guard::Off {
            self.detach()?;
        }
        self.play.until(self.course.end_at)?;
        Ok(self.preflight)
    }

    fn is_back(&self) -> Result<bool, DemoError> {
        Ok(self.proxy.status()?.latched)
    }

    fn tell_trip(&self) -> Result<(), DemoError> {
        let events = events(self.proxy, self.play.messages())?;
        let trip = events.iter().find(|event| event.kind == "trip");
        let (at, reason) = match trip {
            Some(trip) => (trip.at, trip.reason.as_str()),
            None => (self.play.elapsed(), ""),
        };
        let text = format!("the guard has routed back: {reason}");
        self.play.mark_at(at, MarkKind::Trip, text);
        Ok(())
    }

    fn attach(&mut self) -> Result<(), DemoError> {
        let master = self.old.master()?;
        for number in 0..JOINING {
            let host = self.stage.host(2 * (1 + USUAL) + number);
            let replica = self.old.attach(host, &master)?;
            self.joined.push(Joined::Old(replica));
        }
        let text = format!("{JOINING} new replicas join {master}, the master of old: five instead of two");
        self.play.mark(MarkKind::Attach, text);
        Ok(())
    }

    /// Asks whether it may begin. An operator who heeds the answer does all it says, and asks again.
    fn look_first(&mut self) -> Result<(), DemoError> {
        for _ in 0..LOOKS_MAX {
            let rows = self.proxy.preflight()?;
            let refusing: Vec<&PreflightRow> = rows.iter().filter(|row| row.refuses).collect();
            if refusing.is_empty() {
                self.play
                    .mark(MarkKind::Passed, "the pre-flight passes".to_owned());
                self.preflight.passed_at = Some(self.play.elapsed());
                return Ok(());
            }
            let refusals: Vec<String> = refusing.iter().map(|row| refusal(row)).collect();
            self.play.mark(
                MarkKind::Refused,
                format!("the pre-flight refuses: {}", refusals.join("; ")),
            );
            if self.preflight.refusals.is_empty() {
                self.preflight.refusals = refusals;
            }
            if self.guard == Guard::Off || self.play.elapsed() >= self.course.shift_at() {
                return Ok(());
            }
            self.play.until(self.play.elapsed() + HEED)?;
            self.heed(&rows)?;
        }
        Ok(())
    }

    /// Does what the rows say. Replicas that are too many on old go where they are to go anyway.
    fn heed(&mut self, rows: &[PreflightRow]) -> Result<(), DemoError> {
        let is_attached = self.joined.iter().any(|one| matches!(one, Joined::Old(_)));
        if is_attached && rows.iter().any(|row| row.refuses && row.check == "replicas") {
            self.move_joined()?;
        }
        for row in rows {
            let Some((name, value)) = advised_setting(&row.advice) else {
                continue;
            };
            let group = match row.side.as_str() {
                "old" => &*self.old,
                _ => &*self.new,
            };
            for server in group.servers() {
                server.call(&["CONFIG", "SET", name, value])?;
            }
            let text = format!("on every node of {}: CONFIG SET {name} {value}", row.side);
            self.play.mark(MarkKind::Heeded, text);
        }
        // To look before they have the data would only say so.
        let mut last = self.play.elapsed();
        self.play.until_or(self.course.shift_at(), || {
            last = self.play.elapsed();
            Ok(self.new.has_settled())
        })?;
        self.play.until(last + HEED)
    }

    /// All traffic to new, in steps, and with it the three replicas, as long as the guard lets that happen.
    fn shift(&mut self) -> Result<(), DemoError> {
        if self.joined.iter().any(|one| matches!(one, Joined::Old(_))) {
            self.move_joined()?;
        }
        for percent in STEPS {
            if !self.raise(percent)? {
                return Ok(());
            }
            self.play
                .mark(MarkKind::Shift, format!("weight {percent} % on new"));
            let until = self.play.elapsed() + HOLD;
            if self.play.until_or(until, || self.is_back())? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the weight is that in the end.
    fn raise(&self, percent: u8) -> Result<bool, DemoError> {
        let force = (self.guard == Guard::Off).then_some("it is planned for now");
        let (mut ask_at, mut is_allowed, mut is_told) = (Duration::ZERO, false, false);
        self.play.until_or(self.course.give_up_at, || {
            if self.play.elapsed() >= ask_at {
                ask_at = self.play.elapsed() + ASK_AGAIN;
                match self.proxy.try_shift(percent, force)? {
                    Ok(()) => is_allowed = true,
                    Err(refusal) if !is_told => {
                        is_told = true;
                        self.play.mark(MarkKind::Refused, format!("not yet: {refusal}"));
                    }
                    Err(_) => {}
                }
            }
            Ok(is_allowed || self.is_back()?)
        })?;
        Ok(is_allowed)
    }

    /// The three replicas follow the traffic.
    fn move_joined(&mut self) -> Result<(), DemoError> {
        let master = self.new.master()?;
        for joined in self.joined.drain(..).collect::<Vec<_>>() {
            let server = match joined {
                Joined::Old(replica) => self.old.release(&replica)?,
                Joined::New(replica) => self.new.release(&replica)?,
                Joined::Nowhere(server) => server,
            };
            let replica = server.addr();
            self.new.adopt(server, &master)?;
            self.joined.push(Joined::New(replica));
        }
        self.play.until(self.play.elapsed() + SEEN)?;
        self.old.reset_sentinels()?;
        self.play.mark(
            MarkKind::Attach,
            format!("the {JOINING} replicas go to {master}, the master of new: five instead of two"),
        );
        self.stage.strain(self.new.server(&master)?)?;
        Ok(())
    }

    /// The three replicas replicate from nobody.
    fn detach(&mut self) -> Result<(), DemoError> {
        let mut left = [false; 2];
        for joined in self.joined.drain(..).collect::<Vec<_>>() {
            let server = match joined {
                Joined::Old(replica) => {
                    left[0] = true;
                    self.old.release(&replica)?
                }
                Joined::New(replica) => {
                    left[1] = true;
                    self.new.release(&replica)?
                }
                Joined::Nowhere(server) => server,
            };
            server.call(&["REPLICAOF", "NO", "ONE"])?;
            self.joined.push(Joined::Nowhere(server));
        }
        self.play.until(self.play.elapsed() + SEEN)?;
        // Or Sentinel would fetch them back.
        for (group, has_lost_some) in [&*self.old, &*self.new].into_iter().zip(left) {
            if has_lost_some {
                group.reset_sentinels()?;
            }
        }
        self.relieve()?;
        self.play.mark(
            MarkKind::Detach,
            format!("the {JOINING} new replicas are detached"),
        );
        Ok(())
    }

    fn relieve(&mut self) -> Result<(), LabError> {
        let master = self.new.master()?;
        self.stage.relieve(self.new.server(&master)?)
    }
}

/// `"replicas of old: 5 replicas, limit 2"`.
fn refusal(row: &PreflightRow) -> String {
    let PreflightRow {
        check,
        side,
        measured,
        limit,
        ..
    } = row;
    format!("{check} of {side}: {measured}, limit {limit}")
}

/// The name and the value, where the advice is to set something on every node.
fn advised_setting(advice: &str) -> Option<(&str, &str)> {
    let (setting, _) = advice.strip_prefix("CONFIG SET ")?.split_once(" on every node")?;
    setting.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_to_set_something_everywhere_is_told_from_other_advice() {
        let backlog =
            "CONFIG SET repl-backlog-size 16mb on every node: a replica away for longer needs a full sync";
        assert_eq!(advised_setting(backlog), Some(("repl-backlog-size", "16mb")));
        for other in [
            "",
            "detach 3 of them (REPLICAOF NO ONE on each)",
            "CONFIG SET maxmemory on new",
        ] {
            assert_eq!(advised_setting(other), None);
        }
    }
}
