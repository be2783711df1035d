//! What happens around the control plane, step by step?
//!
//! Shell: moves the clock, the nodes, the Sentinels, the workers and the disk, gives orders and faults as the schedule has them, and has
//! the [`Witness`] look after everything that was handled. What comes at the same time comes in an order drawn by the seed.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, yield_now};

use super::disk::Kept;
use super::look::look;
use super::nodes::Nodes;
use super::process::{Process, Waiting};
use super::schedule::{Disk, Event, Mischief, Order, SENTINELS, Schedule, Trouble};
use super::sentinels::{Sentinels, is_lie};
use super::setting::{Configured, ROUTE, Tempo};
use super::watcher::Watcher;
use super::witness::{Seen, Witness};
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::Event as Input;
use crate::control_plane::admin::{Command, Reply, Request};
use crate::control_plane::clock;
use crate::control_plane::guard::{Action, Observation, ObservationKind, Rule, Verdict};
use crate::control_plane::preflight::{Facts, Stated, findings};
use crate::control_plane::record::Record;
use crate::control_plane::shift::{RampOrder, Standing, TimeOfDay};
use crate::data_plane::RouteShared;
use crate::limits::{PREFLIGHT_LIFETIME, START_WAIT};
use crate::routing::{Epoch, Weight};

/// After the last fault, all must be well again within this, and what an operator wants then must be done. Unit: milliseconds.
/// The longest memories there are: a lost replica counts for 30 s, a Sentinel's view for 10 s, a handover for 30 s, a hold begins anew.
pub(super) const RECOVERY_MAX: u64 = 90_000;
/// An order is answered within this: a look that takes all its time, a worker and a disk that do. Unit: milliseconds.
const ANSWER_MAX: u64 = 18_000;
/// How long a look at both sides takes. Unit: milliseconds.
const LOOK: u64 = 40;
/// A ramp's hold begins anew when nobody has looked for longer than this. Unit: milliseconds.
const UNWATCHED: u64 = 1_000;
/// A stretch begins at noon.
const NOON: i64 = 1_767_268_800;

/// What has come of a stretch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Summary {
    /// Steps of the world.
    pub(super) steps: u64,
    /// Times the weight rose.
    pub(super) rises: u64,
    /// Trips and routes back.
    pub(super) trips: u64,
    /// Orders acknowledged.
    pub(super) acknowledged: u64,
    /// How long after the last fault all was well. Unit: milliseconds.
    pub(super) recovery: u64,
}

/// What must not be, and when it was.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) at: u64,
    pub(super) what: String,
}

/// How far the end has got, once everything is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There are faults.
    Faults,
    /// Until guard, topologies and state on disk are as they should be.
    Recovering,
    /// Until a ramp under way has gone on, or said why it does not.
    Ramping {
        from: Weight,
        since: u64,
    },
    /// Until an operator's order is acknowledged.
    Arming {
        is_given: bool,
    },
    Raising {
        to: Weight,
        is_given: bool,
    },
    Over,
}

/// How a process has ended.
enum Ended {
    Crashed,
    Over,
}

pub(super) struct World {
    schedule: Schedule,
    configured: Rc<Configured>,
    shared: Arc<RouteShared>,
    /// What is drawn while it runs, by what it is for.
    rng: Rng,
    sentinels_rng: Rng,
    pub(super) now: u64,
    base: Instant,
    nodes: [Nodes; 2],
    sentinels: [Option<Sentinels>; 2],
    disk: Kept,
    /// What is on disk.
    on_disk: Option<Record>,
    workers_take: u64,
    wall_minutes: i64,
    happened: usize,
    process: Option<Process>,
    /// A start looks for nodes since then.
    starting: Option<(u64, [Watcher; 2])>,
    down_until: u64,
    stalled_until: u64,
    was_stalled: bool,
    /// When it ran last, and when it did again after nobody had watched for too long.
    ran_at: u64,
    watched_since: u64,
    crashes: bool,
    hands_over: bool,
    orders: VecDeque<Order>,
    waiting: Vec<Waiting<(Order, Weight)>>,
    stage: Stage,
    witness: Witness,
    summary: Summary,
    /// By side: the master that is probed, and when it answered last in this process.
    masters: [Option<NodeAddr>; 2],
    answered: [Option<u64>; 2],
    has_cause: bool,
    looked: Option<u64>,
    last_old_silence: u64,
    /// Since when new's master is the one it is.
    new_since: u64,
}

impl World {
    fn new(schedule: Schedule) -> Self {
        let configured = schedule.setting.configured();
        let mut route = configured.config.routes[0].clone();
        route.weight = schedule.weight;
        let base = tokio::time::Instant::now().into_std();
        let ticks_a_second = 1_000 / schedule.setting.tempo.tick();
        let details_every = ticks_a_second.max(3);
        let seed = schedule.seed;
        Self {
            configured,
            shared: Arc::new(RouteShared::new(route)),
            rng: Rng::with_seed(seed ^ 0x5117),
            sentinels_rng: Rng::with_seed(seed ^ 0x5e27),
            now: 0,
            base,
            nodes: Side::BOTH.map(|side| Nodes::new(side, schedule.setting.replicas, details_every, base)),
            sentinels: Side::BOTH
                .map(|side| schedule.setting.is_watched[side.index()].then(|| Sentinels::new(side))),
            disk: Kept::default(),
            on_disk: None,
            workers_take: 20,
            wall_minutes: 0,
            happened: 0,
            process: None,
            starting: None,
            down_until: 0,
            stalled_until: 0,
            was_stalled: false,
            ran_at: 0,
            watched_since: 0,
            crashes: false,
            hands_over: false,
            orders: VecDeque::new(),
            waiting: Vec::new(),
            stage: Stage::Faults,
            witness: Witness::default(),
            summary: Summary::default(),
            masters: [None, None],
            answered: [None, None],
            has_cause: false,
            looked: None,
            last_old_silence: 0,
            new_since: 0,
            schedule,
        }
    }

    /// Runs a stretch to its end.
    pub(super) async fn run(schedule: Schedule) -> Result<Summary, Failure> {
        let mut world = Self::new(schedule);
        loop {
            let tasks = LocalSet::new();
            let ended = tasks.run_until(world.live()).await;
            match ended {
                Ok(Ended::Crashed) => {}
                Ok(Ended::Over) => {
                    (world.summary.rises, world.summary.trips) = (world.witness.rises, world.witness.trips);
                    super::set_wall(None);
                    return Ok(world.summary);
                }
                Err(what) => return Err(Failure { at: world.now, what }),
            }
        }
    }

    /// From a start, or before it, to a crash.
    async fn live(&mut self) -> Result<Ended, String> {
        loop {
            self.step().await?;
            if std::mem::take(&mut self.hands_over) {
                self.hand_over();
            }
            if std::mem::take(&mut self.crashes) {
                self.crash();
                return Ok(Ended::Crashed);
            }
            if self.stage == Stage::Over {
                return Ok(Ended::Over);
            }
        }
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_millis(self.now)
    }

    fn tick(&self) -> u64 {
        self.schedule.setting.tempo.tick()
    }

    async fn step(&mut self) -> Result<(), String> {
        let tick = self.tick();
        self.now += tick;
        self.summary.steps += 1;
        tokio::time::advance(Duration::from_millis(tick)).await;
        let (now, instant) = (self.now, self.instant());
        let seconds = i64::try_from(now / 1_000).unwrap_or_default() + self.wall_minutes * 60;
        super::set_wall(jiff::Timestamp::from_second(NOON + seconds).ok());
        let foreigners = Side::BOTH.map(|side| self.nodes[side.other().index()].addr(0).clone());
        for side in Side::BOTH {
            let nodes = &mut self.nodes[side.index()];
            nodes.step(now, instant, tick);
            if let Some(sentinels) = &mut self.sentinels[side.index()] {
                sentinels.step(now, nodes, &foreigners[side.index()], &mut self.sentinels_rng);
            }
        }
        while let Some((_, event)) = self
            .schedule
            .events
            .get(self.happened)
            .filter(|(at, _)| *at <= now)
        {
            let event = event.clone();
            self.happened += 1;
            self.happen(event);
        }
        if self.stage == Stage::Faults && now >= self.schedule.calm {
            self.heal();
        }
        if self.crashes {
            return Ok(());
        }
        self.start_when_due()?;
        if now >= self.stalled_until && self.process.is_some() {
            if now > self.ran_at + UNWATCHED {
                self.watched_since = now;
            }
            self.ran_at = now;
            self.go().await?;
            self.was_stalled = false;
            self.check_trip_in_time()?;
            self.advance_stage()?;
        }
        if self.stage != Stage::Faults && now > self.schedule.calm + RECOVERY_MAX {
            return Err(format!(
                "{:?}, {RECOVERY_MAX} ms after the last fault: {}",
                self.stage,
                self.complaint()
            ));
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Order(order) => self.orders.push_back(order),
            Event::Node(side, index, trouble) => {
                self.nodes[side.index()].trouble(index, trouble, now);
                self.has_cause |= side == Side::New && trouble != Trouble::Well;
            }
            Event::Sentinel(side, index, mischief) => {
                if let Some(sentinels) = &mut self.sentinels[side.index()] {
                    sentinels.mischief(index, mischief, now);
                    self.has_cause |= side == Side::New && is_lie(mischief);
                }
            }
            Event::Failover(side) => {
                if let Some(sentinels) = &mut self.sentinels[side.index()] {
                    sentinels.force_failover();
                    self.has_cause |= side == Side::New;
                }
            }
            Event::Stall(time) => {
                self.stalled_until = self.stalled_until.max(now + time);
                self.was_stalled = true;
            }
            Event::Crash(time) => {
                if self.process.is_some() || self.starting.is_some() {
                    self.crashes = true;
                    self.down_until = now + time;
                }
            }
            Event::HandOver => self.hands_over = self.process.is_some(),
            Event::Disk(mode) => self.disk.mode(mode),
            Event::Workers(takes) => self.workers_take = takes,
            Event::Wall(minutes) => self.wall_minutes += i64::from(minutes),
        }
    }

    /// Everybody is well from now on.
    fn heal(&mut self) {
        let now = self.now;
        self.stage = Stage::Recovering;
        let is_reload = |(_, event): &(u64, Event)| matches!(event, Event::Order(Order::Reload(_)));
        if self.schedule.events.iter().any(is_reload) {
            self.orders.push_back(Order::Reload(0));
        }
        for (nodes, sentinels) in self.nodes.iter_mut().zip(&mut self.sentinels) {
            (0..nodes.count()).for_each(|index| nodes.trouble(index, Trouble::Well, now));
            if let Some(sentinels) = sentinels {
                (0..SENTINELS).for_each(|index| sentinels.mischief(index, Mischief::Honest, now));
            }
        }
        self.disk.mode(Disk::Fine);
        self.workers_take = 20;
        self.wall_minutes = 0;
        self.stalled_until = self.stalled_until.min(now);
        self.down_until = self.down_until.min(now);
    }

    fn crash(&mut self) {
        self.process = None;
        self.starting = None;
        self.waiting.clear();
        self.masters = [None, None];
        self.answered = [None, None];
        self.looked = None;
        if let Some(record) = self.disk.crash(&mut self.rng) {
            self.on_disk = Some(record);
        }
    }

    /// The process ends in order, as it does when another one is prepared to take over.
    fn hand_over(&mut self) {
        let Some(process) = &mut self.process else { return };
        if process.control.handle(Input::HandOver).is_none() {
            return;
        }
        let (record, is_whole) = self.disk.close(&process.tray(), &mut self.rng);
        if is_whole {
            self.witness.ended(process.route());
        }
        self.on_disk = record.or(self.on_disk.take());
        self.crashes = true;
    }

    fn start_when_due(&mut self) -> Result<(), String> {
        let (now, instant) = (self.now, self.instant());
        if self.process.is_some() || now < self.down_until || now < self.stalled_until {
            return Ok(());
        }
        if self.starting.is_none() {
            let watcher = |side: Side| {
                let sentinels = self.sentinels[side.index()].as_ref();
                Watcher::new(side, sentinels, &self.nodes[side.index()], instant)
            };
            self.starting = Some((now, Side::BOTH.map(watcher)));
        }
        let Some((since, watchers)) = &mut self.starting else {
            return Ok(());
        };
        let mut has_both = true;
        for (watcher, sentinels) in watchers.iter_mut().zip(&mut self.sentinels) {
            watcher.go_round(&self.nodes, sentinels.as_mut(), now, instant)?;
            has_both &= watcher.topology.master.is_some();
        }
        let waited = Duration::from_millis(now - *since);
        if !has_both && waited < START_WAIT {
            return Ok(());
        }
        let Some((_, watchers)) = self.starting.take() else {
            return Ok(());
        };
        let left = self.disk.record(ROUTE);
        let process = Process::start(&self.configured, &self.shared, left.clone(), watchers, now);
        self.new_since = now;
        self.witness.started(&process, left.as_ref())?;
        self.process = Some(process);
        Ok(())
    }

    /// One turn of the process's loop, or what would be several within the step, in some order.
    async fn go(&mut self) -> Result<(), String> {
        let refused = self.disk.refused;
        let mut actions = [0_u8, 1, 2, 3, 4, 5, 6];
        self.rng.shuffle(&mut actions);
        for action in actions {
            match action {
                0 => {
                    self.process_mut().control.tick();
                    self.look_on(false)?;
                }
                1 | 2 => self.watch(Side::BOTH[usize::from(action - 1)])?,
                3 | 4 => self.probe(Side::BOTH[usize::from(action - 3)])?,
                5 => {
                    while let Some(order) = self.orders.pop_front() {
                        self.give(order)?;
                    }
                }
                _ => self.work(),
            }
        }
        self.settle().await?;
        let process = self.process.as_ref().unwrap();
        if refused == Some(process.route().epoch()) {
            Witness::not_saved(process.route(), self.on_disk.as_ref())?;
        }
        Ok(())
    }

    fn process_mut(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// Has tasks run, and what they send handled, until nothing comes any more.
    async fn settle(&mut self) -> Result<(), String> {
        loop {
            yield_now().await;
            self.answer_looks();
            self.hear_replies()?;
            let Ok(event) = self.process_mut().inbox.try_recv() else {
                break;
            };
            let refuses = match &event {
                Input::Looked { facts, .. } => Some(self.refuses(facts)),
                _ => None,
            };
            if refuses.is_some() {
                self.witness.decided();
            }
            let (epoch, standing) = self.standing();
            let is_saved = matches!(event, Input::Saved { .. });
            self.process_mut().control.handle(event);
            if is_saved && self.standing().1 != standing {
                self.take_back(epoch);
            }
            // One that has come too early is made again, and one that is not awaited any more is no look.
            if let Some(refuses) = refuses.filter(|_| self.process_mut().route().looking.is_none()) {
                self.looked = (!refuses).then_some(self.now);
            }
            self.note_decided();
            self.look_on(false)?;
        }
        self.work();
        Ok(())
    }

    fn standing(&self) -> (Epoch, Standing) {
        let route = self.process.as_ref().unwrap().route();
        (route.epoch(), route.controller.standing())
    }

    /// What was decided up to this epoch and is not on disk has been undone, if it was for a raise.
    fn take_back(&mut self, until: Epoch) {
        let saved = self.on_disk.as_ref().map_or(Epoch(0), |record| record.epoch);
        for waiting in &mut self.waiting {
            let raises = match &waiting.order {
                (Order::Weight { to, .. }, before) => to > before,
                (Order::Ramp(order), _) => *order != RampOrder::Abort,
                _ => false,
            };
            let is_of_them = waiting
                .decided
                .is_some_and(|decided| decided > saved && decided <= until);
            waiting.is_taken_back |= raises && is_of_them;
        }
    }

    fn refuses(&self, facts: &Facts) -> bool {
        let route = self.process.as_ref().unwrap().route();
        let stated = Stated::from(&self.process.as_ref().unwrap().control.config.routes[0].guard);
        !facts.are_of(&route.topology) || findings(facts, &stated).iter().any(|finding| finding.refuses)
    }

    /// Nobody may have been told of what a later look has found.
    fn look_on(&mut self, is_arming: bool) -> Result<(), String> {
        let seen = self.seen(is_arming);
        let Some(process) = &self.process else {
            return Ok(());
        };
        self.witness.check(process.route(), seen)
    }

    fn seen(&self, is_arming: bool) -> Seen {
        let config = &self.process.as_ref().unwrap().control.config.routes[0];
        let lately = |at: u64, within: Duration| Duration::from_millis(self.now - at) <= within;
        let open = |time| config.ramp.window.is_none_or(|window| window.is_open(time));
        let runs_since = self.process.as_ref().map_or(0, |process| process.runs_since);
        Seen {
            now: self.now,
            runs_since: runs_since.max(self.watched_since),
            hold: u64::try_from(config.ramp.hold.as_millis()).unwrap(),
            is_fresh: self
                .answered
                .map(|at| at.is_some_and(|at| lately(at, config.guard.stale_after))),
            is_open: super::wall().is_some_and(|wall| open(TimeOfDay::of(wall))),
            is_looked_at: self.looked.is_some_and(|at| lately(at, PREFLIGHT_LIFETIME)),
            has_cause: self.has_cause,
            is_arming,
        }
    }

    fn watch(&mut self, side: Side) -> Result<(), String> {
        let (now, instant) = (self.now, self.instant());
        let at = side.index();
        let process = self.process.as_mut().unwrap();
        let found = process.watchers[at].go_round(&self.nodes, self.sentinels[at].as_mut(), now, instant)?;
        for (topology, reason) in found {
            self.looked = None;
            if topology.master.is_some() && topology.master != self.masters[at] {
                self.masters[at].clone_from(&topology.master);
                self.answered[at] = None;
                if side == Side::New {
                    self.new_since = now;
                }
            }
            self.process_mut().control.handle(Input::Topology {
                route: 0,
                side,
                topology,
                reason,
            });
            self.look_on(false)?;
        }
        Ok(())
    }

    /// The guard's shells ask those that the topology names; while it names no master, the last one.
    fn probe(&mut self, side: Side) -> Result<(), String> {
        let (now, instant) = (self.now, self.instant());
        let at = side.index();
        if !self
            .summary
            .steps
            .is_multiple_of(self.schedule.setting.tempo.ticks_a_probe())
        {
            return Ok(());
        }
        let topology = self.process.as_ref().unwrap().watchers[at].topology.clone();
        if topology.master.is_some() {
            self.masters[at].clone_from(&topology.master);
        }
        let watched: BTreeSet<NodeAddr> = self.masters[at]
            .iter()
            .cloned()
            .chain(topology.replicas)
            .collect();
        // The loop looks after each, all of them at one moment: once for all is nearly always as good, and far quicker.
        let looks_at_all = self.rng.u8(0..8) == 0;
        for node in watched {
            let known = self.nodes.iter().enumerate();
            let Some((group, index)) = known
                .filter_map(|(group, nodes)| Some((group, nodes.index(&node)?)))
                .next()
            else {
                continue;
            };
            let nodes = &mut self.nodes[group];
            let is_master = self.masters[at].as_ref() == Some(&node);
            let mut heard = Vec::with_capacity(3);
            if self.was_stalled && !is_master && nodes.answers(index) {
                // What was published before the stall is read after it, if it is not asked before whether it is missing.
                let age = instant - nodes.group.beats[index];
                heard.push(ObservationKind::HeartbeatOutstanding { age });
            }
            heard.extend(nodes.beat(index, instant));
            let probed = nodes.probed(index, instant);
            if let ObservationKind::Info(info) = &probed
                && is_master
                && info.is_master
            {
                self.answered[at] = Some(now);
            }
            heard.push(probed);
            for kind in heard {
                let observation = Observation {
                    node: node.clone(),
                    at: instant,
                    kind,
                };
                if looks_at_all || is_master {
                    self.process_mut().control.handle(Input::Observation {
                        route: 0,
                        side,
                        observation,
                    });
                    self.look_on(false)?;
                } else {
                    self.process_mut().control.routes[0].observe(side, observation, instant);
                }
            }
        }
        Ok(())
    }

    fn give(&mut self, order: Order) -> Result<(), String> {
        let route = ROUTE.to_owned();
        let now = self.now;
        let before = self.process_mut().route().controller.weight();
        let commands = match order.clone() {
            Order::Weight { to, over, force } => vec![Command::SetWeight {
                route,
                weight: to,
                over: over.map(Duration::from_secs),
                force: force.then(|| "it must be".to_owned()),
            }],
            Order::Ramp(order) => vec![Command::Ramp { route, order }],
            Order::Back => vec![Command::Back { route, reason: None }],
            Order::Arm => vec![Command::Arm { route }],
            Order::Reload(file) => {
                let path = self.configured.files[file].clone();
                self.process_mut().control.config_file = Some(path);
                vec![Command::ConfigReload]
            }
            Order::Look => vec![
                Command::Status {
                    route: None,
                    json: false,
                },
                Command::Health {
                    route: None,
                    json: false,
                },
                Command::Topology {
                    route: None,
                    json: false,
                },
                Command::Events {
                    count: 10,
                    json: false,
                },
            ],
        };
        self.witness.ordered(&order);
        for command in commands {
            let (reply, answer) = oneshot::channel();
            self.process_mut()
                .control
                .handle(Input::Admin(Request { command, reply }));
            let after = self.process_mut().route().controller.weight();
            self.waiting.push(Waiting {
                order: (order.clone(), before.min(after)),
                reply: answer,
                since: now,
                decided: None,
                is_taken_back: false,
            });
            self.note_decided();
            self.look_on(order == Order::Arm)?;
        }
        let route = self.process.as_ref().unwrap().route();
        self.witness.obeyed(&order, before, route)
    }

    /// Whatever does not wait for a look has been decided by now.
    fn note_decided(&mut self) {
        let Some(process) = &self.process else { return };
        let route = process.route();
        // The one that waits is the last one that was given and may have to.
        let waits = route.pending.is_some();
        let last = self.waiting.len();
        for (place, waiting) in self.waiting.iter_mut().enumerate() {
            let is_it = waits && place + 1 == last;
            if waiting.decided.is_none() && !is_it {
                waiting.decided = Some(route.epoch());
            }
        }
    }

    /// Workers confirm what they see, and the disk takes what it is given.
    fn work(&mut self) {
        let (now, takes) = (self.now, self.workers_take);
        let Some(process) = &mut self.process else { return };
        process.work(now, takes);
        let tray = process.tray();
        if let Some(record) = self.disk.step(&tray, now) {
            self.on_disk = Some(record);
        }
    }

    fn answer_looks(&mut self) {
        let (now, instant) = (self.now, self.instant());
        let asked = Rc::clone(&self.process_mut().asked);
        let mut still = Vec::new();
        for mut one in asked.borrow_mut().drain(..) {
            let since = *one.since.get_or_insert(now);
            if one.answer.is_closed() {
                continue;
            }
            if now < since + LOOK {
                still.push(one);
                continue;
            }
            let facts = look(&one.known, &self.nodes, &self.sentinels, now, instant);
            let _ = one.answer.send(facts);
        }
        asked.borrow_mut().extend(still);
    }

    fn hear_replies(&mut self) -> Result<(), String> {
        let waiting = std::mem::take(&mut self.waiting);
        for mut one in waiting {
            let (order, before) = &one.order;
            match one.reply.try_recv() {
                Ok(reply) => {
                    self.summary.acknowledged += u64::from(reply == Reply::Ok);
                    if one.is_taken_back && reply == Reply::Ok {
                        return Err(format!("{order:?} was taken back, and is acknowledged"));
                    }
                    Witness::refused(order, *before, &reply)?;
                    let process = self.process.as_ref().unwrap();
                    self.witness
                        .answered(order, &reply, one.decided, process, self.on_disk.as_ref())?;
                    self.hear_last(order, &reply);
                }
                Err(oneshot::error::TryRecvError::Closed) => {
                    return Err(format!("{order:?} was never answered"));
                }
                Err(oneshot::error::TryRecvError::Empty)
                    if self.now > one.since + ANSWER_MAX + self.stalls() =>
                {
                    return Err(format!("{order:?} has no answer after {ANSWER_MAX} ms"));
                }
                Err(oneshot::error::TryRecvError::Empty) => self.waiting.push(one),
            }
        }
        Ok(())
    }

    /// All the time the proxy has been stalled at most.
    fn stalls(&self) -> u64 {
        let events = self.schedule.events.iter();
        let stall = |(_, event): &(u64, Event)| match event {
            Event::Stall(time) => *time,
            _ => 0,
        };
        events.map(stall).sum()
    }

    /// The answer to what is asked at the end.
    fn hear_last(&mut self, order: &Order, reply: &Reply) {
        self.stage = match (self.stage, order) {
            (Stage::Arming { is_given: true }, Order::Arm) => match reply {
                Reply::Ok => {
                    let weight = self.process_mut().route().controller.weight();
                    let to = if weight < Weight::FULL {
                        Weight::FULL
                    } else {
                        Weight::ZERO
                    };
                    Stage::Raising { to, is_given: false }
                }
                _ => Stage::Arming { is_given: false },
            },
            (Stage::Raising { to, is_given: true }, Order::Weight { .. }) => match reply {
                Reply::Ok => Stage::Over,
                _ => Stage::Raising { to, is_given: false },
            },
            (stage, _) => stage,
        };
    }

    /// What is left to be seen once everything is healed.
    fn advance_stage(&mut self) -> Result<(), String> {
        let now = self.now;
        let route = self.process.as_ref().unwrap().route();
        let weight = route.controller.weight();
        let progress = route.controller.progress(clock::both(self.instant()));
        self.stage = match self.stage {
            Stage::Recovering if self.complaint().is_empty() => {
                self.summary.recovery = now - self.schedule.calm;
                Stage::Ramping {
                    from: weight,
                    since: now,
                }
            }
            Stage::Ramping { from, since } => {
                let is_on_its_way =
                    progress.is_some_and(|progress| progress.ramp.is_some() && progress.paused.is_none());
                if is_on_its_way && weight == from {
                    // A hold of 2 s, and the time until the next look.
                    if now > since + 2_000 + 3 * self.tick() + 1_000 {
                        return Err(format!("nothing stands in the way, and it stays at {weight}"));
                    }
                    self.stage
                } else {
                    Stage::Arming { is_given: false }
                }
            }
            Stage::Arming { is_given: false } => {
                self.orders.push_back(Order::Arm);
                Stage::Arming { is_given: true }
            }
            Stage::Raising { to, is_given: false } => {
                self.orders.push_back(Order::Weight {
                    to,
                    over: None,
                    force: false,
                });
                Stage::Raising { to, is_given: true }
            }
            stage => stage,
        };
        Ok(())
    }

    /// What is not as it should be, though everything is healed.
    fn complaint(&self) -> String {
        let Some(process) = &self.process else {
            return "it does not run".to_owned();
        };
        let route = process.route();
        let frozen = route
            .verdicts
            .iter()
            .find(|verdict| verdict.verdict != Verdict::Ok && verdict.action >= Action::Freeze);
        if let Some(verdict) = frozen {
            return verdict.to_string();
        }
        for side in Side::BOTH {
            let nodes = &self.nodes[side.index()];
            let master = self.sentinels[side.index()]
                .as_ref()
                .map_or(0, |one| one.agreed.0);
            let topology = &route.topology[side.index()];
            let all = (0..nodes.count())
                .all(|index| index == master || topology.replicas.contains(nodes.addr(index)));
            if topology.master.as_ref() != Some(nodes.addr(master))
                || !all
                || topology.replicas.len() != nodes.count() - 1
            {
                return format!(
                    "{side} is taken to be {topology:?}, and its master is {}",
                    nodes.addr(master)
                );
            }
        }
        if self
            .on_disk
            .as_ref()
            .is_none_or(|record| record.epoch != route.epoch())
        {
            return format!("epoch {} is not on disk", route.epoch().0);
        }
        if !self.waiting.is_empty() {
            return format!("{:?} has no answer", self.waiting[0].order);
        }
        String::new()
    }

    /// A master of new's that is gone brings the traffic back in time, if there is anything to go back to.
    fn check_trip_in_time(&mut self) -> Result<(), String> {
        let now = self.now;
        let tempo = self.schedule.setting.tempo;
        let process = self.process.as_ref().unwrap();
        let route = process.route();
        let old = &route.topology[Side::Old.index()];
        let old_answers = old
            .master
            .as_ref()
            .and_then(|master| self.nodes[0].index(master))
            .is_some_and(|index| self.nodes[0].answers(index));
        if !old_answers || self.answered[0].is_none() {
            self.last_old_silence = now;
        }
        let new = route.topology[Side::New.index()].master.as_ref();
        let silent_since = new
            .and_then(|master| self.nodes[1].index(master))
            .and_then(|index| self.nodes[1].silent_since[index]);
        let (Some(silent_since), Some(_)) = (silent_since, self.answered[1]) else {
            return Ok(());
        };
        // The limit, the clearing time of old's own silence, and what tilt takes after a stall.
        let (limit, clear) = match tempo {
            Tempo::Shipped => (750, 2_000),
            Tempo::Coarse => (1_800, 1_000),
        };
        let tilt = self.stalled_until + 2_000;
        let since = silent_since
            .max(tilt)
            .max(self.new_since)
            .max(process.runs_since)
            .max(self.last_old_silence + clear + limit);
        let deadline = since + limit + 4 * self.tick() + 500;
        if now > deadline && route.controller.weight() > Weight::ZERO {
            let verdict = route
                .verdicts
                .iter()
                .find(|verdict| verdict.side == Side::New && verdict.rule == Rule::Unreachable);
            return Err(format!(
                "new's master is silent since {silent_since} ms, and {} is on it: {verdict:?}",
                route.controller.weight()
            ));
        }
        Ok(())
    }
}
