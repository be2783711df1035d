//! Does the controller decide as it says, for chosen and for any inputs?

use proptest::prelude::*;

use super::*;
use crate::cluster::Side;
use crate::control_plane::guard::{Action, Evidence, Rule, RuleVerdict, Verdict};
use crate::control_plane::preflight::{Reservation, of_rules};
use crate::control_plane::shift::TimeOfDay;

pub(super) fn weight(percent: u16) -> Weight {
    Weight::from_steps(percent * 100).unwrap()
}

fn bad(rule: Rule, side: Side, action: Action) -> RuleVerdict {
    RuleVerdict {
        side,
        rule,
        verdict: Verdict::Bad,
        action,
        evidence: Evidence {
            node: None,
            measured: 2.0,
            limit: 1.0,
            note: None,
        },
        since: Instant::now(),
    }
}

pub(super) fn tripping() -> Health {
    let verdict = bad(Rule::ResyncLoop, Side::New, Action::Trip);
    Health {
        trip: Some(verdict.clone()),
        freeze: Some(verdict),
        ..Health::default()
    }
}

pub(super) fn freezing() -> Health {
    Health {
        freeze: Some(bad(Rule::OffsetLag, Side::Old, Action::Freeze)),
        ..Health::default()
    }
}

fn unfit() -> Health {
    let found = of_rules(&[bad(Rule::OffsetLag, Side::Old, Action::Freeze)], Instant::now());
    Health {
        preflight: Some(Reservation::Found(Box::new(found[0].clone()))),
        ..Health::default()
    }
}

pub(super) fn set(percent: u16) -> Input {
    Input::SetWeight {
        weight: weight(percent),
        over: None,
        force: None,
    }
}

/// No window is configured here, so that one time of day does for all.
fn noon(instant: Instant) -> Now {
    Now {
        instant,
        time_of_day: TimeOfDay::of("2026-01-01T12:00:00Z".parse().unwrap()),
    }
}

fn at(percent: u16) -> Controller {
    Controller::new(
        "r",
        true,
        RampConfig::default(),
        Standing::at(weight(percent)),
        Instant::now(),
    )
}

#[test]
fn a_raise_needs_evidence_and_a_lower_weight_never_does() {
    let now = noon(Instant::now());
    let mut controller = at(25);
    let refused = controller.handle(set(50), &freezing(), now).unwrap_err();
    assert!(
        refused.to_string().starts_with("FROZEN rule=offset_lag"),
        "{refused}"
    );
    assert_eq!(controller.weight(), weight(25));
    assert!(controller.handle(set(10), &freezing(), now).unwrap().is_some());
    assert_eq!(controller.weight(), weight(10));
    assert!(
        controller
            .handle(set(50), &Health::default(), now)
            .unwrap()
            .is_some()
    );
    assert_eq!(
        controller.handle(set(50), &Health::default(), now),
        Ok(None),
        "it is so already"
    );
}

#[test]
fn force_overrides_a_freezing_rule_and_says_so_but_neither_a_tripping_one_nor_a_latch() {
    let now = noon(Instant::now());
    let forced = || Input::SetWeight {
        weight: weight(50),
        over: None,
        force: Some("because".to_owned()),
    };
    let mut controller = at(0);
    assert!(matches!(
        controller.handle(forced(), &tripping(), now),
        Err(Refused::Frozen(_))
    ));
    let change = controller.handle(forced(), &freezing(), now).unwrap().unwrap();
    assert!(
        change.reason.contains("offset_lag") && change.reason.contains("because"),
        "{}",
        change.reason
    );
    controller
        .handle(Input::Back { reason: None }, &Health::default(), now)
        .unwrap();
    let refused = controller.handle(forced(), &Health::default(), now).unwrap_err();
    assert!(refused.to_string().starts_with("TRIPPED operator"), "{refused}");
}

#[test]
fn a_tripping_rule_routes_back_and_latches_until_the_operator_arms() {
    let now = noon(Instant::now());
    let mut controller = at(50);
    let change = controller.handle(Input::Look, &tripping(), now).unwrap().unwrap();
    assert_eq!(
        (change.kind, change.rule()),
        (ChangeKind::Trip, Some(Rule::ResyncLoop))
    );
    assert_eq!(
        (controller.weight(), controller.state_name()),
        (Weight::ZERO, "tripped")
    );
    assert_eq!(
        controller.handle(Input::Look, &Health::default(), now),
        Ok(None),
        "it stays latched"
    );
    assert!(matches!(
        controller.handle(set(1), &Health::default(), now),
        Err(Refused::Tripped { .. })
    ));
    assert_eq!(controller.handle(set(0), &Health::default(), now), Ok(None));
    assert!(matches!(
        controller.handle(Input::Arm, &tripping(), now),
        Err(Refused::Frozen(_))
    ));
    assert!(
        controller
            .handle(Input::Arm, &Health::default(), now)
            .unwrap()
            .is_some()
    );
    assert_eq!(
        (controller.weight(), controller.state_name()),
        (Weight::ZERO, "steady")
    );
}

#[test]
fn arming_is_refused_while_a_rule_that_trips_is_bad_latched_or_not() {
    let now = noon(Instant::now());
    let mut controller = at(0);
    let refused = controller.handle(Input::Arm, &tripping(), now);
    assert!(matches!(refused, Err(Refused::Frozen(_))), "{refused:?}");
    assert_eq!(controller.handle(Input::Arm, &freezing(), now), Ok(None));
}

#[test]
fn a_tripping_rule_at_weight_zero_has_nothing_to_bring_back() {
    let mut controller = at(0);
    assert_eq!(
        controller.handle(Input::Look, &tripping(), noon(Instant::now())),
        Ok(None)
    );
    assert_eq!(controller.latch(), None);
}

#[test]
fn without_an_old_master_a_trip_is_withheld_told_once_and_made_up_for() {
    let now = noon(Instant::now());
    let mut controller = at(50);
    let nowhere = Health {
        old_is_unreachable: true,
        ..tripping()
    };
    let change = controller.handle(Input::Look, &nowhere, now).unwrap().unwrap();
    assert_eq!(
        (change.kind, controller.weight()),
        (ChangeKind::TripWithheld, weight(50))
    );
    assert_eq!(controller.handle(Input::Look, &nowhere, now), Ok(None));
    let change = controller.handle(Input::Look, &tripping(), now).unwrap().unwrap();
    assert_eq!(
        (change.kind, controller.weight()),
        (ChangeKind::Trip, Weight::ZERO)
    );
}

#[test]
fn a_shift_pauses_while_a_rule_freezes_and_trips_when_one_trips() {
    let start = Instant::now();
    let at_second = |second| noon(start + Duration::from_secs(second));
    let mut controller = at(0);
    let over = Input::SetWeight {
        weight: weight(100),
        over: Some(Duration::from_secs(100)),
        force: None,
    };
    let mut kinds = Vec::new();
    let mut look = |controller: &mut Controller, health: &Health, second| {
        let change = controller.handle(Input::Look, health, at_second(second)).unwrap();
        kinds.extend(change.map(|change| change.kind));
        kinds.dedup();
    };
    controller.handle(over, &Health::default(), noon(start)).unwrap();
    assert_eq!(controller.target(), weight(100));
    (1..=10).for_each(|second| look(&mut controller, &Health::default(), second));
    assert_eq!(controller.weight(), weight(10));
    look(&mut controller, &freezing(), 11);
    look(&mut controller, &freezing(), 50);
    assert_eq!(controller.weight(), weight(10));
    look(&mut controller, &Health::default(), 51);
    look(&mut controller, &Health::default(), 52);
    assert_eq!(controller.weight(), weight(12));
    look(&mut controller, &tripping(), 53);
    assert_eq!(controller.weight(), Weight::ZERO);
    use ChangeKind::{ShiftPaused, ShiftResumed, ShiftStep, Trip};
    assert_eq!(kinds, [ShiftStep, ShiftPaused, ShiftResumed, ShiftStep, Trip]);
}

#[test]
fn a_forced_shift_does_not_go_on_over_a_trip_that_is_withheld() {
    let start = Instant::now();
    let at_second = |second| noon(start + Duration::from_secs(second));
    let mut controller = at(10);
    let forced = Input::SetWeight {
        weight: weight(100),
        over: Some(Duration::from_secs(10)),
        force: Some("known".to_owned()),
    };
    controller.handle(forced, &freezing(), noon(start)).unwrap();
    controller
        .handle(Input::Look, &freezing(), at_second(1))
        .unwrap()
        .unwrap();
    let reached = controller.weight();
    assert!(reached > weight(10), "a freezing rule does not hold it up");
    let nowhere = Health {
        old_is_unreachable: true,
        ..tripping()
    };
    for second in 2..6 {
        controller
            .handle(Input::Look, &nowhere, at_second(second))
            .unwrap();
        assert_eq!(controller.weight(), reached);
    }
    assert_eq!(controller.state_name(), "shifting");
}

#[test]
fn a_route_without_new_has_nowhere_to_go() {
    let now = noon(Instant::now());
    let mut controller = Controller::new(
        "r",
        false,
        RampConfig::default(),
        Standing::at(Weight::ZERO),
        now.instant,
    );
    assert!(matches!(
        controller.handle(set(1), &Health::default(), now),
        Err(Refused::NoNewSide(_))
    ));
    let back = Input::Back { reason: None };
    assert!(matches!(
        controller.handle(back, &Health::default(), now),
        Err(Refused::NoNewSide(_))
    ));
}

fn any_input() -> impl Strategy<Value = (Input, bool, bool, bool)> {
    let input = prop_oneof![
        (0..=100u16, prop::option::of(1..100u64), any::<bool>()).prop_map(|(percent, over, force)| {
            Input::SetWeight {
                weight: weight(percent),
                over: over.map(Duration::from_secs),
                force: force.then(|| "x".to_owned()),
            }
        }),
        Just(Input::Back { reason: None }),
        Just(Input::Arm),
        Just(Input::Look),
    ];
    (input, any::<bool>(), any::<bool>(), any::<bool>())
}

proptest! {
    #[test]
    fn only_an_operator_ever_raises_the_weight_and_never_while_it_is_latched(
        inputs in prop::collection::vec(any_input(), 1..60),
    ) {
        let mut now = noon(Instant::now());
        let mut controller = at(0);
        let mut target = Weight::ZERO;
        for (input, trip, freeze, nowhere) in inputs {
            now.instant += Duration::from_secs(3);
            let mut health = if trip { tripping() } else if freeze { freezing() } else { Health::default() };
            health.old_is_unreachable = nowhere;
            let (before, latched) = (controller.weight(), controller.latch().is_some());
            let asked = match &input {
                Input::SetWeight { weight, .. } => Some(*weight),
                _ => None,
            };
            let outcome = controller.handle(input, &health, now);
            if let (Some(asked), Ok(_)) = (asked, &outcome) {
                target = asked;
            }
            let after = controller.weight();
            prop_assert!(after <= before.max(target));
            prop_assert!(!latched || after == Weight::ZERO);
            prop_assert!(health.trip.is_none() || after <= before);
            prop_assert_eq!(controller.latch().is_some(), controller.state_name() == "tripped");
        }
    }
}

#[test]
fn nothing_leaves_0_before_both_sides_are_fit_unless_it_is_forced() {
    let now = noon(Instant::now());
    let unseen = Health {
        preflight: Some(Reservation::Unseen),
        ..Health::default()
    };
    for health in [&unfit(), &unseen] {
        let mut controller = at(0);
        let refused = controller.handle(set(50), health, now).unwrap_err();
        assert!(refused.to_string().starts_with("FROZEN rule="), "{refused}");
        assert_eq!(controller.weight(), weight(0));
        let forced = Input::SetWeight {
            weight: weight(50),
            over: None,
            force: Some("known".to_owned()),
        };
        let change = controller.handle(forced, health, now).unwrap().unwrap();
        assert!(change.reason.contains("forced over rule="), "{change:?}");
        assert_eq!(controller.weight(), weight(50));
    }
}

#[test]
fn a_shift_that_has_not_left_0_yet_waits_for_a_fit_look() {
    let now = noon(Instant::now());
    let over = Input::SetWeight {
        weight: weight(50),
        over: Some(Duration::from_secs(100)),
        force: None,
    };
    let mut controller = at(0);
    controller.handle(over, &Health::default(), now).unwrap();
    let later = noon(now.instant + Duration::from_secs(10));
    let paused = controller.handle(Input::Look, &unfit(), later).unwrap().unwrap();
    assert_eq!(paused.kind, ChangeKind::ShiftPaused);
    assert_eq!(controller.weight(), weight(0));
    let resumed = controller.handle(Input::Look, &Health::default(), later);
    assert_eq!(resumed.unwrap().unwrap().kind, ChangeKind::ShiftResumed);
}

#[test]
fn a_ramp_begins_with_a_fit_look_and_takes_its_first_step_with_one() {
    let now = noon(Instant::now());
    let mut controller = at(0);
    let start = || Input::Ramp(RampOrder::Start);
    assert!(controller.handle(start(), &unfit(), now).is_err());
    controller.handle(start(), &Health::default(), now).unwrap();
    let blocked = controller.handle(Input::Look, &unfit(), now).unwrap().unwrap();
    assert!(blocked.reason.contains("rule=offset_lag"), "{blocked:?}");
    assert_eq!(controller.weight(), weight(0));
}
