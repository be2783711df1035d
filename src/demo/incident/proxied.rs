//! How does it go with Switchback?
//!
//! Shell: two groups and the proxy, whose operator begins at the same moment; with the guard off and forcing what is
//! refused, or with the proxy as shipped and doing what it advises.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::course::{Course, JOINING, USUAL};
use super::play::{Play, Theatre};
use super::run::{Noticed, Run};
use super::stage::{Stage, fill};
use super::watch::{Ending, MarkKind, Watch};
use crate::cluster::NodeAddr;
use crate::control_plane::guard::Rule;
use crate::demo::error::DemoError;
use crate::demo::proxy::{EventLine, PreflightRow, Proxy, Setting};
use crate::demo::{Messages, Target};
use crate::lab::{Group, LabError, Server};

/// Hosts of the run: two groups, and what joins.
const HOSTS: usize = 2 * (1 + USUAL) + JOINING;
const STEPS: [u8; 3] = [25, 50, 100];
/// How long the operator looks at each weight.
const HOLD: Duration = Duration::from_secs(2);
/// How long it takes the operator to read the advice and do it.
const HEED: Duration = Duration::from_secs(2);
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
    stage.narrow_links()?;
    theatre.interrupt.check()?;
    let setting = Setting {
        host: stage.hub(),
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
    let watch = Watch::default();
    let refusal = std::thread::scope(|scope| {
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
            refusal: None,
        }
        .run()
    })?;
    let (marks, looks) = watch.into_parts();
    let began = Timestamp::now().as_millisecond() - messages.elapsed().as_millis() as i64;
    let events = proxy.events()?;
    let refused = marks.iter().filter(|mark| mark.kind == MarkKind::Refused);
    let noticed = events
        .iter()
        .filter_map(|event| noticed(event, began))
        .chain(refused.map(|mark| Noticed {
            at: mark.at,
            text: "by the pre-flight".to_owned(),
        }));
    Ok(Run {
        name: match guard {
            Guard::Off => "guard off",
            Guard::AsShipped => "as shipped",
        },
        preflight: match (refusal, guard) {
            (None, _) => "passed".to_owned(),
            (Some(refusal), Guard::Off) => format!("refused, and ignored: {refusal}"),
            (Some(refusal), Guard::AsShipped) => format!("refused: {refusal}"),
        },
        noticed: noticed
            .filter(|one| one.at > course.attach_at)
            .min_by_key(|one| one.at),
        messages: messages.stop(),
        marks,
        looks,
    })
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

/// A rule that turned bad, or what came of it.
fn noticed(event: &EventLine, began_millis: i64) -> Option<Noticed> {
    if !matches!(event.kind.as_str(), "rule_bad" | "trip") {
        return None;
    }
    let since = event.at()?.as_millisecond() - began_millis;
    let side = event.side.as_deref().map(|side| format!("{side}: "));
    Some(Noticed {
        at: Duration::from_millis(u64::try_from(since).ok()?),
        text: format!(
            "{}{}",
            side.unwrap_or_default(),
            event.reason.clone().unwrap_or_default()
        ),
    })
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
    /// Why the pre-flight says no.
    refusal: Option<String>,
}

impl Script<'_> {
    /// Why the pre-flight says no, if it does.
    fn run(mut self) -> Result<Option<String>, DemoError> {
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
        Ok(self.refusal)
    }

    fn is_back(&self) -> Result<bool, DemoError> {
        Ok(self.proxy.status()?.latched)
    }

    fn tell_trip(&self) -> Result<(), DemoError> {
        let events = self.proxy.events()?;
        let trip = events.iter().find(|event| event.kind == "trip");
        let reason = trip.and_then(|event| event.reason.clone()).unwrap_or_default();
        self.play
            .mark(MarkKind::Trip, format!("the guard has routed back: {reason}"));
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

    /// Asks whether it may begin; an operator who heeds the answer does what it says.
    fn look_first(&mut self) -> Result<(), DemoError> {
        let refusing = self.proxy.preflight()?;
        let Some(first) = refusing.first() else {
            return Ok(());
        };
        let PreflightRow {
            check,
            side,
            measured,
            limit,
            advice,
            ..
        } = first;
        let more = match refusing.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let refusal = format!("{check} of {side}: {measured}, limit {limit}{more}");
        self.play.mark(
            MarkKind::Refused,
            format!("the pre-flight refuses: {refusal}. {advice}"),
        );
        self.refusal = Some(refusal);
        if self.guard == Guard::AsShipped {
            self.play.until(self.play.elapsed() + HEED)?;
            self.move_joined()?;
        }
        Ok(())
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
        let (mut ask_at, mut is_allowed) = (Duration::ZERO, false);
        self.play.until_or(self.course.give_up_at, || {
            if self.play.elapsed() >= ask_at {
                ask_at = self.play.elapsed() + ASK_AGAIN;
                is_allowed = self.proxy.try_shift(percent, force)?.is_ok();
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
        for joined in self.joined.drain(..).collect::<Vec<_>>() {
            let server = match joined {
                Joined::Old(replica) => self.old.release(&replica)?,
                Joined::New(replica) => self.new.release(&replica)?,
                Joined::Nowhere(server) => server,
            };
            server.call(&["REPLICAOF", "NO", "ONE"])?;
            self.joined.push(Joined::Nowhere(server));
        }
        // Or Sentinel would fetch them back.
        self.old.reset_sentinels()?;
        self.new.reset_sentinels()?;
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
