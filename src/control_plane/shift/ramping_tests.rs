//! Does a controller keep a ramp's promises, whatever happens to it?

use proptest::prelude::*;

use super::tests::{freezing, set, tripping, weight};
use super::*;
use crate::control_plane::shift::{Plan, TimeOfDay, Window};

const SECOND: Duration = Duration::from_secs(1);

/// A controller, the world around it, and what is known of the hold without asking the ramp.
struct World {
    controller: Controller,
    config: RampConfig,
    health: Health,
    instant: Instant,
    /// Since the epoch.
    wall: Duration,
    looked_at: Instant,
    /// Since when nothing has stood in the way of a step; `None`: something does.
    well_since: Option<Instant>,
}

impl World {
    fn new(config: RampConfig, wall: Duration) -> Self {
        let instant = Instant::now();
        Self {
            controller: controller(&config, Standing::at(Weight::ZERO), instant),
            config,
            health: Health::default(),
            instant,
            wall,
            looked_at: instant,
            well_since: None,
        }
    }

    fn now(&self) -> Now {
        let seconds = i64::try_from(self.wall.as_secs()).unwrap();
        Now {
            instant: self.instant,
            time_of_day: TimeOfDay::of(jiff::Timestamp::from_second(seconds).unwrap()),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.instant += time;
        self.wall += time;
    }

    fn is_open(&self) -> bool {
        let time = self.now().time_of_day;
        self.config.window.is_none_or(|window| window.is_open(time))
    }

    fn is_well(&self) -> bool {
        self.health.freeze.is_none() && self.health.trip.is_none() && self.is_open()
    }

    fn say(&mut self, input: Input) -> Result<Option<Change>, Refused> {
        self.controller.handle(input, &self.health, self.now())
    }

    fn order(&mut self, order: RampOrder) -> Result<Option<ChangeKind>, Refused> {
        let change = self.say(Input::Ramp(order))?;
        // What an operator changes is where the present hold begins at the earliest.
        if change.is_some() {
            self.well_since = self.is_well().then_some(self.instant);
        }
        Ok(change.map(|change| change.kind))
    }

    fn look(&mut self) -> Option<Change> {
        if !self.is_well() {
            self.well_since = None;
        } else if self.well_since.is_none() || self.instant - self.looked_at > SECOND {
            self.well_since = Some(self.instant);
        }
        self.looked_at = self.instant;
        self.say(Input::Look).unwrap()
    }

    /// The proxy is killed and started again.
    fn restart(&mut self) {
        let standing = self.controller.standing();
        self.controller = controller(&self.config, standing, self.instant);
        self.well_since = None;
    }

    fn reload(&mut self, config: RampConfig) {
        self.config = config.clone();
        self.controller.reconfigure(config);
    }

    fn state(&self) -> &'static str {
        self.controller.state_name()
    }
}

fn controller(config: &RampConfig, standing: Standing, now: Instant) -> Controller {
    Controller::new("r", true, config.clone(), standing, now)
}

fn config(percent: &[u16], hold: u64) -> RampConfig {
    RampConfig {
        steps: percent.iter().copied().map(weight).collect(),
        hold: Duration::from_secs(hold),
        window: None,
    }
}

/// A world with a ramp under way at 10 %, of 10, 50 and 100.
fn at_ten() -> World {
    let mut world = World::new(config(&[10, 50, 100], 2), Duration::ZERO);
    assert_eq!(world.order(RampOrder::Start), Ok(Some(ChangeKind::RampStarted)));
    for _ in 0..2 {
        world.pass(SECOND);
        world.look();
    }
    assert_eq!(
        (world.controller.weight(), world.state()),
        (weight(10), "ramping")
    );
    world
}

#[test]
fn a_ramp_begins_above_the_present_weight_and_has_the_last_step_for_its_target() {
    let mut world = World::new(config(&[10, 50, 90], 1), Duration::ZERO);
    world.say(set(20)).unwrap();
    let change = world.say(Input::Ramp(RampOrder::Start)).unwrap().unwrap();
    assert_eq!(
        change.reason,
        "by the operator: 20.00 -> 90.00, 50.00 first, 1s before each step"
    );
    assert_eq!(
        (world.controller.weight(), world.controller.target()),
        (weight(20), weight(90))
    );
    world.pass(SECOND);
    assert_eq!(
        world.look().unwrap().reason,
        "20.00 -> 50.00, step 2 of 3: both sides were well for 1s"
    );
}

#[test]
fn a_ramp_is_not_begun_where_none_can_be() {
    let mut world = World::new(config(&[10, 50], 1), Duration::ZERO);
    let refused = |world: &mut World| world.order(RampOrder::Start).unwrap_err().to_string();
    world.health = freezing();
    assert!(refused(&mut world).starts_with("FROZEN rule=offset_lag"));
    world.health = Health::default();
    world.say(set(50)).unwrap();
    assert_eq!(
        refused(&mut world),
        "ERR route 'r' is at 50.00: no step of its ramp is above that"
    );
    world.say(Input::Back { reason: None }).unwrap();
    assert!(refused(&mut world).starts_with("TRIPPED operator"));
    for order in [RampOrder::Pause, RampOrder::Resume, RampOrder::Abort] {
        assert_eq!(world.order(order), Err(Refused::NoRamp("r".to_owned())));
    }
    let mut alone = Controller::new(
        "r",
        false,
        config(&[10], 1),
        Standing::at(Weight::ZERO),
        world.instant,
    );
    let start = Input::Ramp(RampOrder::Start);
    let refused = alone.handle(start, &Health::default(), world.now());
    assert!(matches!(refused, Err(Refused::NoNewSide(_))));
    let mut world = at_ten();
    assert_eq!(
        world.order(RampOrder::Start),
        Err(Refused::Ramping("r".to_owned()))
    );
}

#[test]
fn whatever_ends_a_ramp_says_where_it_was() {
    let ended = |change: Option<Change>| change.unwrap().ended_ramp.unwrap();
    let mut world = at_ten();
    let change = world.say(set(5)).unwrap();
    assert_eq!(
        ended(change),
        "at 10.00, step 1 of 3: by WEIGHT 5.00 by the operator"
    );
    assert_eq!((world.controller.weight(), world.state()), (weight(5), "steady"));
    let mut world = at_ten();
    let change = world.say(set(10)).unwrap();
    assert_eq!(
        change.as_ref().map(|change| change.kind),
        Some(ChangeKind::Weight)
    );
    assert!(
        ended(change).starts_with("at 10.00"),
        "the same weight, and to stay there"
    );
    let mut world = at_ten();
    let reason = Some("drill".to_owned());
    let change = world.say(Input::Back { reason }).unwrap();
    assert_eq!(
        ended(change),
        "at 10.00, step 1 of 3: by BACK by the operator: drill"
    );
    assert_eq!(
        (world.controller.weight(), world.state()),
        (Weight::ZERO, "tripped")
    );
    let mut world = at_ten();
    world.health = tripping();
    assert!(ended(world.look()).starts_with("at 10.00, step 1 of 3: by a trip: rule=resync_loop"));
    let mut world = at_ten();
    assert_eq!(world.order(RampOrder::Abort), Ok(Some(ChangeKind::RampAborted)));
    assert_eq!((world.controller.weight(), world.state()), (weight(10), "steady"));
}

#[test]
fn a_trip_that_is_withheld_breaks_the_hold_however_short_it_is() {
    let mut world = at_ten();
    world.pass(SECOND);
    world.look();
    world.health = health(1);
    let kinds = [(); 2].map(|()| world.look().map(|change| change.kind));
    let paused = ChangeKind::RampPaused { by_operator: false };
    assert_eq!(kinds, [Some(paused), Some(ChangeKind::TripWithheld)]);
    world.health = Health::default();
    world.pass(SECOND);
    let resumed = ChangeKind::RampResumed { by_operator: false };
    assert_eq!(world.look().map(|change| change.kind), Some(resumed));
}

#[test]
fn a_raise_that_is_refused_leaves_the_ramp_as_it_was() {
    let mut world = at_ten();
    world.health = freezing();
    world.look();
    assert!(matches!(world.say(set(50)), Err(Refused::Frozen(_))));
    assert_eq!(world.state(), "ramping");
    assert!(world.say(set(5)).is_ok(), "a lower weight never is");
}

#[test]
fn a_ramp_that_cannot_be_saved_ends() {
    let mut world = at_ten();
    let ended = world.controller.fall_back_to(Weight::ZERO).unwrap();
    assert_eq!(ended, "at 10.00, step 1 of 3: by the state not being on disk");
    assert_eq!(
        (world.controller.weight(), world.state()),
        (Weight::ZERO, "steady")
    );
    let mut world = at_ten();
    assert!(world.controller.fall_back_to(weight(10)).is_some());
    assert_eq!((world.controller.weight(), world.state()), (weight(10), "steady"));
}

#[test]
fn a_shut_window_refuses_raises_of_all_kinds_unless_they_are_forced() {
    let mut world = World::new(config(&[10, 50], 1), 12 * 3_600 * SECOND);
    world.config.window = Some("20:00-06:00".parse().unwrap());
    world.reload(world.config.clone());
    world.say(set(0)).unwrap();
    let over = |force: Option<&str>| Input::SetWeight {
        weight: weight(20),
        over: Some(2 * SECOND),
        force: force.map(str::to_owned),
    };
    for input in [set(5), over(None), Input::Ramp(RampOrder::Start)] {
        let refused = world.say(input).unwrap_err().to_string();
        assert_eq!(
            refused,
            "FROZEN rule=window node=none measured=12:00 limit=20:00-06:00"
        );
    }
    let change = world.say(over(Some("urgent"))).unwrap().unwrap();
    assert!(
        change
            .reason
            .ends_with("forced over rule=window node=none measured=12:00 limit=20:00-06:00: urgent")
    );
    world.pass(SECOND);
    world.look();
    assert_eq!(world.controller.weight(), weight(10), "a forced shift goes on");
    assert!(world.say(set(1)).is_ok(), "a lower weight is never refused");
}

#[test]
fn a_shift_stands_still_while_the_window_is_shut() {
    let mut world = World::new(config(&[10], 1), 6 * 3_600 * SECOND - 2 * SECOND);
    world.config.window = Some("20:00-06:00".parse().unwrap());
    world.reload(world.config.clone());
    let over = Some(100 * SECOND);
    let input = Input::SetWeight {
        weight: weight(100),
        over,
        force: None,
    };
    world.say(input).unwrap();
    world.pass(SECOND);
    world.look();
    assert_eq!(world.controller.weight(), weight(1));
    world.pass(SECOND);
    assert_eq!(
        world.look().map(|change| change.kind),
        Some(ChangeKind::ShiftPaused)
    );
    let progress = world.controller.progress(world.now()).unwrap();
    assert_eq!(progress.time_to_end, Some((14 * 3_600 + 98) * SECOND));
    assert!(progress.paused.unwrap().starts_with("rule=window"));
    world.pass(14 * 3_600 * SECOND);
    assert_eq!(
        world.look().map(|change| change.kind),
        Some(ChangeKind::ShiftResumed)
    );
    assert_eq!(world.controller.weight(), weight(1));
}

#[test]
fn a_shift_survives_a_restart_with_the_time_it_had_left_and_without_its_force() {
    let mut world = World::new(config(&[10], 1), Duration::ZERO);
    let force = Some("because".to_owned());
    let over = Some(100 * SECOND);
    world.health = freezing();
    world
        .say(Input::SetWeight {
            weight: weight(100),
            over,
            force,
        })
        .unwrap();
    for _ in 0..40 {
        world.pass(SECOND);
        world.look();
    }
    let plan = Some(Plan::Shift {
        to: weight(100),
        left: 60 * SECOND,
    });
    assert_eq!(world.controller.standing().plan, plan);
    world.restart();
    world.pass(3_600 * SECOND);
    assert_eq!(world.look(), None, "it waits, and has been told to");
    let told = world.controller.taken_up().unwrap();
    assert_eq!(
        (told.kind, world.controller.weight()),
        (ChangeKind::ShiftPaused, weight(40))
    );
    world.health = Health::default();
    assert_eq!(
        world.look().map(|change| change.kind),
        Some(ChangeKind::ShiftResumed)
    );
    for _ in 0..61 {
        world.pass(SECOND);
        world.look();
    }
    assert_eq!(
        (world.controller.weight(), world.state()),
        (weight(100), "steady")
    );
}

#[test]
fn an_operators_pause_survives_a_restart_and_a_latch_ends_every_plan() {
    let mut world = at_ten();
    world.order(RampOrder::Pause).unwrap();
    world.restart();
    let told = world.controller.taken_up().unwrap();
    assert_eq!(told.kind, ChangeKind::RampPaused { by_operator: true });
    for _ in 0..10 {
        world.pass(SECOND);
        assert_eq!(world.look(), None);
    }
    let resumed = ChangeKind::RampResumed { by_operator: true };
    assert_eq!(world.order(RampOrder::Resume), Ok(Some(resumed)));
    let latch = Some(Latch {
        cause: "operator".to_owned(),
        reason: String::new(),
    });
    let standing = Standing {
        latch,
        ..world.controller.standing()
    };
    let latched = controller(&world.config, standing, world.instant);
    assert_eq!(
        (latched.weight(), latched.state_name()),
        (Weight::ZERO, "tripped")
    );
}

#[derive(Clone, Debug)]
enum Happening {
    Looks {
        count: u8,
        apart_ms: u16,
    },
    Stall(u8),
    Health(u8),
    /// A rule freezes for one look.
    Blip,
    Ramp(RampOrder),
    Weight {
        percent: u16,
        force: bool,
    },
    Back,
    Arm,
    Restart,
    Reload(RampConfig),
}

fn any_config() -> impl Strategy<Value = RampConfig> {
    let steps = prop::collection::btree_set(1u16..=10_000, 1..6);
    let window = prop::option::of((0u32..24, 1u32..24));
    (steps, 1u64..8, window).prop_map(|(steps, hold, window)| RampConfig {
        steps: steps.into_iter().filter_map(Weight::from_steps).collect(),
        hold: Duration::from_secs(hold),
        window: window.map(|(hour, hours)| {
            let text = format!("{hour:02}:00-{:02}:00", (hour + hours) % 24);
            text.parse::<Window>().unwrap()
        }),
    })
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let order = prop::sample::select(vec![
        RampOrder::Start,
        RampOrder::Start,
        RampOrder::Pause,
        RampOrder::Resume,
        RampOrder::Abort,
    ]);
    prop_oneof![
        8 => (1u8..12, 10u16..900).prop_map(|(count, apart_ms)| Happening::Looks { count, apart_ms }),
        1 => (2u8..200).prop_map(Happening::Stall),
        3 => (0u8..6).prop_map(Happening::Health),
        4 => Just(Happening::Blip),
        4 => order.prop_map(Happening::Ramp),
        1 => (0u16..=100, any::<bool>()).prop_map(|(percent, force)| Happening::Weight { percent, force }),
        1 => Just(Happening::Back),
        1 => Just(Happening::Arm),
        1 => Just(Happening::Restart),
        1 => any_config().prop_map(Happening::Reload),
    ]
}

fn health(kind: u8) -> Health {
    match kind {
        0 => tripping(),
        1 => Health {
            old_is_unreachable: true,
            ..tripping()
        },
        2 => freezing(),
        _ => Health::default(),
    }
}

/// Looks, and holds what comes of it to what is known of the hold.
fn checked_look(world: &mut World) -> Result<(), TestCaseError> {
    let (before, was_ramping) = (world.controller.weight(), world.state() == "ramping");
    let next = world.config.steps.iter().copied().find(|step| *step > before);
    let change = world.look();
    let after = world.controller.weight();
    if after <= before {
        return Ok(());
    }
    prop_assert!(was_ramping, "nothing else raises here");
    prop_assert_eq!(Some(after), next, "no step is skipped");
    prop_assert_eq!(change.map(|change| change.kind), Some(ChangeKind::RampStep));
    let well_since = world.well_since;
    prop_assert!(well_since.is_some(), "nothing forbids it");
    prop_assert!(well_since.is_some_and(|since| world.instant - since >= world.config.hold));
    // The next hold is one at the new weight.
    world.well_since = Some(world.instant);
    Ok(())
}

fn happen(world: &mut World, happening: Happening) -> Result<(), TestCaseError> {
    match happening {
        Happening::Looks { count, apart_ms } => {
            for _ in 0..count {
                world.pass(Duration::from_millis(apart_ms.into()));
                checked_look(world)?;
            }
        }
        Happening::Stall(minutes) => world.pass(SECOND * 60 * u32::from(minutes)),
        Happening::Health(kind) => world.health = health(kind),
        Happening::Blip => {
            let before = std::mem::replace(&mut world.health, freezing());
            checked_look(world)?;
            world.health = before;
        }
        Happening::Ramp(order) => {
            let before = world.controller.weight();
            let _ = world.order(order);
            prop_assert_eq!(
                world.controller.weight(),
                before,
                "orders move nothing by themselves"
            );
        }
        Happening::Weight { percent, force } => {
            let force = force.then(|| "x".to_owned());
            let is_forced = force.is_some();
            let before = world.controller.weight();
            let _ = world.say(Input::SetWeight {
                weight: weight(percent),
                over: None,
                force,
            });
            let after = world.controller.weight();
            let is_well = world.health.freeze.is_none() && world.is_open();
            prop_assert!(after <= before || is_well || is_forced);
            prop_assert!(after <= before || world.health.trip.is_none());
        }
        Happening::Back => drop(world.say(Input::Back { reason: None })),
        Happening::Arm => drop(world.say(Input::Arm)),
        Happening::Restart => {
            let (weight, state) = (world.controller.weight(), world.state());
            world.restart();
            prop_assert_eq!((world.controller.weight(), world.state()), (weight, state));
        }
        Happening::Reload(config) => world.reload(config),
    }
    checked_look(world)
}

proptest! {
    #[test]
    fn a_ramp_rises_only_by_its_next_step_and_only_after_a_whole_hold_in_which_nothing_forbade_it(
        config in any_config(),
        hour in 0u64..24,
        happenings in prop::collection::vec(any_happening(), 1..60),
    ) {
        let mut world = World::new(config, SECOND * 3_600 * hour as u32);
        for happening in happenings {
            happen(&mut world, happening)?;
        }
    }

    #[test]
    fn when_nothing_forbids_it_any_more_a_ramp_ends_and_when_it_said(
        config in any_config(),
        hour in 0u64..24,
        happenings in prop::collection::vec(any_happening(), 0..20),
    ) {
        let mut world = World::new(config, SECOND * 3_600 * hour as u32);
        for happening in happenings {
            happen(&mut world, happening)?;
        }
        world.health = Health::default();
        let _ = world.order(RampOrder::Resume);
        checked_look(&mut world)?;
        let step = Duration::from_millis(900);
        let end = world.controller.progress(world.now()).and_then(|progress| progress.time_to_end);
        let begun = world.instant;
        let mut looks = 0u32;
        while world.state() == "ramping" {
            looks += 1;
            prop_assert!(looks < 10_000, "it never ends");
            // Nothing happens outside the window, so it need not be looked at so often.
            world.pass(if world.is_open() { step } else { 10 * step });
            checked_look(&mut world)?;
        }
        prop_assert_ne!(world.state(), "ramping");
        if let Some(end) = end {
            let took = world.instant - begun;
            // A look late for each step and for each opening of the window, and the look that finds it done.
            let slack = 12 * step * u32::try_from(world.config.steps.len() + 2).unwrap();
            prop_assert!(took + 2 * SECOND >= end && took <= end + slack, "{:?} and not {:?}", took, end);
        }
    }
}
