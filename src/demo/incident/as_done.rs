//! How was it done?
//!
//! Shell: no proxy. Apps follow Sentinel; three new nodes join the old group as replicas; traffic is moved by failing the
//! group over to one of them, without a look at replication.

use std::time::Duration;

use super::course::{Course, JOINING, USUAL};
use super::play::{Play, Theatre};
use super::run::Run;
use super::stage::{Stage, fill};
use super::watch::{Ending, MarkKind, Watch};
use crate::cluster::NodeAddr;
use crate::demo::error::DemoError;
use crate::demo::{Messages, StallWatch, Target};
use crate::lab::{Group, LabError};

/// Hosts of the run.
const HOSTS: usize = 1 + USUAL + JOINING;
/// Sentinel refuses while it has no fresh news of a replica, and gives up on one that does not follow.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Plays it.
pub(super) fn play(theatre: &Theatre<'_>) -> Result<Run, DemoError> {
    let course = theatre.course;
    let mut stage = Stage::set(theatre.has_network.then_some(HOSTS))?;
    let mut group = stage.group("main", 0, None)?;
    let first = group.master()?;
    fill(group.server(&first)?, course)?;
    group.settle()?;
    stage.narrow_links(&[&group])?;
    group.settle()?;
    theatre.interrupt.check()?;
    let messages = Messages::start(&[Target::from(&group)], &course.messages())?;
    let stalls = StallWatch::start(&messages)?;
    let watch = Watch::default();
    std::thread::scope(|scope| {
        scope.spawn(|| watch.run(course, &messages, None));
        let _ending = Ending(&watch);
        Script {
            play: Play::new(theatre, &messages, &watch),
            course,
            stage: &mut stage,
            group: &mut group,
            first,
        }
        .run()
    })?;
    let (marks, looks) = watch.into_parts();
    Ok(Run {
        name: "as it was done",
        preflight: None,
        noticed: None,
        trip: None,
        route_back: None,
        stalls: stalls.stalls(),
        messages: messages.stop(),
        events: Vec::new(),
        marks,
        looks,
    })
}

struct Script<'a> {
    play: Play<'a>,
    course: &'a Course,
    stage: &'a mut Stage,
    group: &'a mut Group,
    /// The master before.
    first: NodeAddr,
}

impl Script<'_> {
    fn run(&mut self) -> Result<(), DemoError> {
        self.play.until(self.course.attach_at)?;
        let joined = self.attach()?;
        let Some(chosen) = joined.first() else {
            return Ok(());
        };
        self.prefer(chosen)?;
        self.play.until(self.course.shift_at())?;
        let asked = self.play.elapsed();
        self.fail_over_to(chosen, self.course.give_up_at)?;
        let took = self.play.elapsed().saturating_sub(asked).as_secs_f64();
        self.play.mark_at(
            asked,
            MarkKind::Shift,
            format!("failed over by Sentinel to the new node {chosen}, in {took:.1} s"),
        );
        self.stage.strain(self.group.server(chosen)?)?;
        self.play.until(self.course.give_up_at)?;
        self.go_back(chosen, &joined)?;
        self.play.until(self.course.end_at)
    }

    fn attach(&mut self) -> Result<Vec<NodeAddr>, LabError> {
        let mut joined = Vec::new();
        for number in 0..JOINING {
            let host = self.stage.host(1 + USUAL + number);
            joined.push(self.group.attach(host, &self.first)?);
        }
        self.play.mark(
            MarkKind::Attach,
            format!("{JOINING} new replicas join {}: five instead of two", self.first),
        );
        Ok(joined)
    }

    /// At the next failover this node becomes master.
    fn prefer(&self, chosen: &NodeAddr) -> Result<(), LabError> {
        for server in self.group.servers() {
            let priority = if server.addr() == *chosen { "1" } else { "100" };
            server.call(&["CONFIG", "SET", "replica-priority", priority])?;
        }
        Ok(())
    }

    /// Whether it could be done in time.
    fn fail_over_to(&self, chosen: &NodeAddr, until: Duration) -> Result<bool, DemoError> {
        let mut ask_at = Duration::ZERO;
        self.play.until_or(until, || {
            // All of them: one that has not heard of it yet would go on without it.
            if self.group.agreed_master().is_ok_and(|master| master == *chosen) {
                return Ok(true);
            }
            if self.play.elapsed() >= ask_at {
                ask_at = self.play.elapsed() + ASK_AGAIN;
                let mut sentinels = self.group.sentinels().iter();
                sentinels.any(|one| one.call(&["SENTINEL", "FAILOVER", self.group.name()]).is_ok());
            }
            Ok(false)
        })
    }

    /// What ended it: the new replicas are disconnected, and traffic goes back to the old nodes.
    fn go_back(&mut self, chosen: &NodeAddr, joined: &[NodeAddr]) -> Result<(), DemoError> {
        for replica in joined.iter().filter(|one| *one != chosen) {
            drop(self.group.release(replica)?);
        }
        self.play.mark(
            MarkKind::Detach,
            "operators disconnect the new replicas".to_owned(),
        );
        self.stage.relieve(self.group.server(chosen)?)?;
        self.prefer(&self.first)?;
        if self.fail_over_to(&self.first, self.course.end_at)? {
            let text = format!("and fail back to the old node {}", self.first);
            self.play.mark(MarkKind::Back, text);
            // Sentinel is not done before; made to forget them, it would never be.
            self.play
                .until_or(self.course.end_at, || Ok(self.have_come_back(chosen)))?;
            drop(self.group.release(chosen)?);
            self.group.reset_sentinels()?;
        }
        Ok(())
    }

    /// The old replicas follow the old master again.
    fn have_come_back(&self, chosen: &NodeAddr) -> bool {
        let mut others = self.group.servers().iter().filter(|one| {
            let addr = one.addr();
            addr != self.first && addr != *chosen
        });
        let port = self.first.port.to_string();
        others.all(|one| {
            one.info("replication", "master_port")
                .is_ok_and(|found| found == port)
        })
    }
}
