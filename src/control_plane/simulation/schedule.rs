//! What happens in one simulated stretch of time, and when?
//!
//! Pure: data, drawn from a seed, printed where it fails, and made shorter by leaving events out. Everything else that is left to
//! chance while it runs comes from the same seed, by stream, so that one event less changes little else.

use std::fmt;

use fastrand::Rng;

use super::setting::Setting;
use crate::cluster::Side;
use crate::control_plane::shift::RampOrder;
use crate::routing::Weight;

/// When the last fault ends at the latest, and everything is healed. Unit: milliseconds.
pub(super) const FAULTS_MAX: u64 = 16_000;
/// Nodes of a side at most.
pub(super) const NODES: usize = 3;
/// Sentinels of a side.
pub(super) const SENTINELS: usize = 3;

/// One stretch of time.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) setting: Setting,
    /// The weight the route is configured with, and so begins at.
    pub(super) weight: Weight,
    /// In the order of their times, in milliseconds.
    pub(super) events: Vec<(u64, Event)>,
    /// When everything is healed.
    pub(super) calm: u64,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// An operator says something.
    Order(Order),
    /// A node's state is another one.
    Node(Side, usize, Trouble),
    /// A Sentinel's is.
    Sentinel(Side, usize, Mischief),
    /// Sentinels are told to fail over though the master is well.
    Failover(Side),
    /// Nothing of the proxy runs for so long. Unit: milliseconds.
    Stall(u64),
    /// The proxy is killed, and started again after so long. Unit: milliseconds.
    Crash(u64),
    /// It hands over to another process, which starts as soon as it has ended.
    HandOver,
    /// The disk is another one.
    Disk(Disk),
    /// Workers confirm a snapshot after so long. Unit: milliseconds.
    Workers(u64),
    /// The wall clock jumps. Unit: minutes.
    Wall(i32),
}

/// What an operator says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    Weight {
        to: Weight,
        /// Unit: seconds.
        over: Option<u64>,
        force: bool,
    },
    Ramp(RampOrder),
    Back,
    Arm,
    /// With the changed file of this number.
    Reload(usize),
    /// `STATUS`, `HEALTH`, `TOPOLOGY` and `EVENTS`.
    Look,
}

/// What may be wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing any more. One that was dead has been started again.
    Well,
    /// Killed.
    Dead,
    /// Stopped: its connections stay, and nothing comes.
    Frozen,
    /// The proxy cannot reach it; others can.
    Cut,
    /// It is behind its master.
    Lagging,
    /// Heartbeats do not arrive, though it answers and claims to be in sync.
    Mute,
    /// Its master holds back megabytes for it.
    Swollen,
    /// Full resyncs, one after the other.
    Looping,
    /// It is killed and started again at once.
    Restarted,
}

/// What may be wrong with a Sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mischief {
    /// Nothing any more.
    Honest,
    /// It does not run.
    Silent,
    /// It is cut off from the nodes and from the others, not from the proxy: it finds everybody down and learns nothing.
    Split,
    /// It learns of changes seconds late.
    Stale,
    /// It names a replica, at a newer epoch.
    NamesReplica,
    /// It names the other side's first node, at a newer epoch.
    NamesForeigner,
    /// It lists the other side's first node as a replica for some seconds, and then names it.
    AdoptsForeigner,
    /// It names a node that does not exist.
    NamesNobody,
    /// It announces promotions that nobody carries out.
    Promises,
    /// It announces switches to whomever, without meaning it.
    Announces,
    /// It lists no replicas.
    ListsNobody,
    /// What it answers is not of Sentinel's form.
    Garbles,
}

/// What a disk does with what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    /// It takes it.
    Fine,
    /// It takes it after so long. Unit: milliseconds.
    Slow(u64),
    /// It takes nothing.
    Full,
    /// It does not come back.
    Hanging,
}

impl Schedule {
    pub(super) fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let setting = Setting::draw(&mut rng);
        let calm = rng.u64(5_000..=FAULTS_MAX);
        let count = rng.usize(3..=16);
        // Some schedules are about one thing; all in all together hides the rest behind what trips first.
        let taste = Taste::draw(&mut rng);
        let mut events: Vec<(u64, Event)> = (0..count)
            .map(|_| (rng.u64(0..calm), taste.event(&mut rng)))
            .collect();
        // Most stretches begin as a migration does: both sides well, and an order to raise.
        if rng.u8(0..4) > 0 {
            let began = rng.u64(2_500..6_000).min(calm - 1);
            events.push((began, Event::Order(raise(&mut rng))));
        }
        events.sort_by_key(|(at, _)| *at);
        let weight = match rng.u8(0..3) {
            0 => weight(&mut rng),
            _ => Weight::ZERO,
        };
        Self {
            seed,
            setting,
            weight,
            events,
            calm,
        }
    }

    /// The same without some of its events.
    pub(super) fn without(&self, left_out: std::ops::Range<usize>) -> Self {
        let mut events = self.events.clone();
        events.drain(left_out);
        Self {
            events,
            ..self.clone()
        }
    }
}

/// How likely what is, in one schedule.
struct Taste([u8; 8]);

impl Taste {
    fn draw(rng: &mut Rng) -> Self {
        const LIKELY: [u8; 8] = [12, 6, 4, 2, 3, 2, 1, 1];
        Self(LIKELY.map(|likely| match rng.u8(0..3) {
            0 => 0,
            1 => likely,
            _ => likely * 3,
        }))
    }

    fn event(&self, rng: &mut Rng) -> Event {
        let all: u16 = self.0.iter().map(|one| u16::from(*one)).sum();
        let mut drawn = rng.u16(0..all.max(1));
        let kind = self.0.iter().position(|one| {
            let is_it = drawn < u16::from(*one);
            drawn = drawn.saturating_sub(u16::from(*one));
            is_it
        });
        let side = if rng.bool() { Side::New } else { Side::Old };
        match kind.unwrap_or(0) {
            0 => Event::Order(order(rng)),
            1 => Event::Node(side, rng.usize(0..NODES), trouble(rng)),
            2 => Event::Sentinel(side, rng.usize(0..SENTINELS), mischief(rng)),
            3 => match rng.u8(0..6) {
                0 | 1 => Event::Failover(side),
                2 => Event::HandOver,
                _ => Event::Crash(rng.u64(100..4_000)),
            },
            4 => Event::Disk(match rng.u8(0..5) {
                0 | 1 => Disk::Fine,
                2 => Disk::Slow(rng.u64(100..8_000)),
                3 => Disk::Full,
                _ => Disk::Hanging,
            }),
            5 => Event::Stall(rng.u64(300..6_000)),
            6 => Event::Workers(match rng.u8(0..3) {
                0 => rng.u64(5_000..9_000),
                _ => rng.u64(0..500),
            }),
            _ => Event::Wall(rng.i32(-900..900)),
        }
    }
}

fn weight(rng: &mut Rng) -> Weight {
    let steps = *rng
        .choice(&[0, 1, 100, 500, 2_500, 5_000, 9_999, 10_000])
        .unwrap();
    Weight::from_steps(steps).unwrap()
}

fn raise(rng: &mut Rng) -> Order {
    match rng.u8(0..3) {
        0 => Order::Ramp(RampOrder::Start),
        one => Order::Weight {
            to: weight(rng),
            over: (one == 1).then(|| rng.u64(1..20)),
            force: rng.u8(0..8) == 0,
        },
    }
}

fn order(rng: &mut Rng) -> Order {
    match rng.u8(0..16) {
        0..=4 => raise(rng),
        5 | 6 => Order::Weight {
            to: weight(rng),
            over: None,
            force: false,
        },
        7 => Order::Ramp(RampOrder::Pause),
        8 => Order::Ramp(RampOrder::Resume),
        9 => Order::Ramp(RampOrder::Abort),
        10 | 11 => Order::Back,
        12 | 13 => Order::Arm,
        14 => Order::Reload(rng.usize(0..super::setting::FILES)),
        _ => Order::Look,
    }
}

fn trouble(rng: &mut Rng) -> Trouble {
    use Trouble::{Cut, Dead, Frozen, Lagging, Looping, Mute, Restarted, Swollen, Well};
    const ALL: [Trouble; 12] = [
        Well, Well, Well, Dead, Dead, Frozen, Cut, Lagging, Mute, Swollen, Looping, Restarted,
    ];
    *rng.choice(&ALL).unwrap()
}

fn mischief(rng: &mut Rng) -> Mischief {
    use Mischief::{
        AdoptsForeigner, Announces, Garbles, Honest, ListsNobody, NamesForeigner, NamesNobody, NamesReplica,
        Promises, Silent, Split, Stale,
    };
    const ALL: [Mischief; 14] = [
        Honest,
        Honest,
        Honest,
        Silent,
        Split,
        Stale,
        NamesReplica,
        NamesForeigner,
        AdoptsForeigner,
        NamesNobody,
        Promises,
        Announces,
        ListsNobody,
        Garbles,
    ];
    *rng.choice(&ALL).unwrap()
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}, {:?}, configured at {}, calm from {} ms on:",
            self.seed, self.setting, self.weight, self.calm
        )?;
        for (at, event) in &self.events {
            writeln!(f, "  {at:>6} ms  {event:?}")?;
        }
        Ok(())
    }
}
