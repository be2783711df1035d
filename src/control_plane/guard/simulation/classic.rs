//! Do the rules on links, delays and counters say what they should, and no more?

use proptest::prelude::*;

use super::super::{Action, NodeInfo, freeze, trip, worst};
use super::*;

#[test]
fn nothing_is_known_before_anything_was_observed() {
    let now = Instant::now();
    let mut rules = Rules::new(GuardConfig::default(), Side::New);
    let unknown = |rules: &mut Rules, now| {
        for verdict in rules.verdicts(now) {
            assert_eq!(verdict.verdict, Verdict::Unknown, "{verdict}");
        }
    };
    unknown(&mut rules, now);
    let topology = Topology {
        master: Some(addr(0)),
        replicas: vec![addr(1)],
        heir: None,
    };
    rules.topology(&topology, now);
    let mut later = now;
    while later < now + millis(60_000) {
        later += STEP;
        rules.observe(&Observation {
            node: addr(0),
            at: later,
            kind: ObservationKind::NoAnswer {
                reason: "connection refused".to_owned(),
            },
        });
        unknown(&mut rules, later);
    }
}

#[test]
fn a_healthy_side_is_ok_once_its_replicas_were_healthy_for_a_while() {
    let mut sim = Sim::new(2);
    sim.quiet(millis(2_900));
    assert_eq!(sim.verdict(Rule::HeartbeatDelay).verdict, Verdict::Unknown);
    assert_eq!(sim.verdict(Rule::Unreachable).verdict, Verdict::Ok);
    sim.quiet(millis(600));
    sim.all(Verdict::Ok);
    sim.quiet(millis(120_000));
    sim.all(Verdict::Ok);
}

#[test]
fn a_frozen_master_is_unreachable_at_the_limit_and_not_before_and_ok_after_a_while() {
    let mut sim = Sim::healthy(2);
    sim.nodes[0].answers = false;
    sim.run(millis(700));
    assert_eq!(sim.verdict(Rule::Unreachable).verdict, Verdict::Ok);
    let took = millis(700) + sim.until(Rule::Unreachable, Verdict::Bad, millis(100));
    assert_eq!(took, millis(750));
    let verdict = sim.verdict(Rule::Unreachable);
    assert_eq!(verdict.evidence.node, Some(addr(0)));
    assert_eq!(verdict.since, sim.now);
    sim.run(millis(1_000));
    assert_eq!(sim.verdict(Rule::Unreachable).since, verdict.since);
    sim.nodes[0].answers = true;
    let cleared = sim.until(Rule::Unreachable, Verdict::Ok, millis(3_000));
    assert!(
        cleared >= millis(2_000) && cleared <= millis(2_200),
        "{cleared:?}"
    );
}

#[test]
fn only_the_frozen_masters_own_rule_trips_on_a_frozen_master() {
    let mut sim = Sim::healthy(2);
    sim.nodes[0].answers = false;
    sim.run(millis(10_000));
    for verdict in sim.rules.verdicts(sim.now) {
        assert_eq!(
            verdict.verdict == Verdict::Bad,
            verdict.rule == Rule::Unreachable,
            "{verdict}"
        );
    }
}

#[test]
fn a_frozen_replica_delays_heartbeats_and_is_told_well_within_a_second() {
    let mut sim = Sim::healthy(3);
    sim.nodes[2].answers = false;
    let took = sim.until(Rule::HeartbeatDelay, Verdict::Bad, millis(2_000));
    assert!(took >= millis(700) && took <= millis(850), "{took:?}");
    let verdict = sim.verdict(Rule::HeartbeatDelay);
    assert_eq!(verdict.evidence.node, Some(addr(2)));
    assert!(sim.now - verdict.since >= millis(200), "since the first evidence");
    sim.nodes[2].answers = true;
    let cleared = sim.until(Rule::HeartbeatDelay, Verdict::Ok, millis(3_000));
    assert!(cleared >= millis(2_000), "{cleared:?}");
}

#[test]
fn a_heartbeat_delay_at_the_limit_is_bad_and_just_below_is_not() {
    let mut sim = Sim::healthy(2);
    sim.nodes[1].beat_delay = millis(499);
    sim.quiet(millis(10_000));
    sim.all(Verdict::Ok);
    sim.nodes[1].beat_delay = millis(500);
    let took = sim.until(Rule::HeartbeatDelay, Verdict::Bad, millis(2_000));
    assert!(took >= millis(200) && took <= millis(350), "{took:?}");
}

#[test]
fn one_late_heartbeat_is_not_yet_bad() {
    let mut sim = Sim::healthy(2);
    sim.nodes[1].beat_delay = millis(900);
    sim.run(millis(150));
    sim.nodes[1].beat_delay = millis(2);
    sim.quiet(millis(5_000));
}

#[test]
fn a_replica_that_was_never_healthy_raises_nothing() {
    let mut sim = Sim::healthy(2);
    let new = sim.add();
    sim.nodes[new].syncing = true;
    sim.nodes[new].link_up = false;
    sim.nodes[0].sync_full += 1;
    sim.set_topology(Some(0), 1..=3);
    sim.quiet(millis(60_000));
    sim.all(Verdict::Ok);
    sim.nodes[new].syncing = false;
    sim.nodes[new].link_up = true;
    sim.nodes[new].lag_bytes = 5_000;
    sim.nodes[new].beat_delay = millis(5_000);
    sim.quiet(millis(60_000));
}

#[test]
fn three_replicas_attached_at_once_are_neither_a_resync_loop_nor_a_flap() {
    let mut sim = Sim::healthy(2);
    for _ in 0..3 {
        let new = sim.add();
        sim.nodes[new].syncing = true;
        sim.nodes[new].link_up = false;
    }
    sim.nodes[0].sync_full += 3;
    sim.quiet(millis(100));
    sim.set_topology(Some(0), 1..=5);
    sim.quiet(millis(2_000));
    for new in 3..6 {
        sim.nodes[new].syncing = false;
        sim.nodes[new].link_up = true;
    }
    sim.quiet(millis(10_000));
    sim.all(Verdict::Ok);
}

#[test]
fn replicas_whose_first_sync_is_over_before_they_are_first_asked_have_had_one_too() {
    let mut sim = Sim::healthy(2);
    sim.set_topology(Some(0), 1..=5);
    for _ in 0..3 {
        sim.add();
    }
    sim.nodes[0].sync_full += 3;
    sim.quiet(millis(10_000));
    sim.all(Verdict::Ok);
    assert_eq!(sim.verdict(Rule::ResyncLoop).evidence.measured, 0.0);
}

#[test]
fn a_healthy_replica_that_is_lost_is_a_link_down_even_if_the_topology_drops_it() {
    let mut sim = Sim::healthy(2);
    sim.nodes[1].answers = false;
    sim.run(millis(250));
    sim.set_topology(Some(0), [2]);
    let took = sim.until(Rule::LinkDown, Verdict::Bad, millis(17_000));
    assert!(took >= millis(14_700) && took <= millis(15_250), "{took:?}");
    let verdict = sim.verdict(Rule::LinkDown);
    assert_eq!(
        (verdict.evidence.node, verdict.evidence.measured),
        (Some(addr(1)), 1.0)
    );
    // Gone for good: the loss stops counting, the rule clears by itself.
    sim.until(Rule::LinkDown, Verdict::Ok, millis(40_000));
    sim.all(Verdict::Ok);
}

#[test]
fn a_replica_that_is_sent_away_and_then_dropped_by_the_topology_is_not_lost() {
    for is_promoted in [false, true] {
        let mut sim = Sim::healthy(3);
        sim.nodes[3].is_master = is_promoted;
        sim.nodes[3].follows = 9;
        sim.quiet(millis(500));
        sim.set_topology(Some(0), [1, 2]);
        // Promoted, it may be the next master: that is waited for.
        sim.quiet(millis(if is_promoted { 15_000 } else { 1_000 }));
        sim.all(Verdict::Ok);
        sim.quiet(millis(35_000));
        sim.all(Verdict::Ok);
    }
}

#[test]
fn a_replica_that_was_sent_away_and_came_back_counts_when_it_is_lost() {
    let mut sim = Sim::healthy(2);
    for master in [9, 0] {
        sim.nodes[1].follows = master;
        sim.run(millis(500));
    }
    sim.run(millis(20_000));
    sim.nodes[1].answers = false;
    sim.run(millis(250));
    sim.set_topology(Some(0), [2]);
    sim.until(Rule::LinkDown, Verdict::Bad, millis(17_000));
}

#[test]
fn a_frozen_replica_stays_bad_when_the_topology_drops_it_though_its_master_still_lists_it() {
    let mut sim = Sim::healthy(2);
    sim.nodes[1].answers = false;
    sim.nodes[1].frozen_since = Some(sim.now);
    sim.until(Rule::HeartbeatDelay, Verdict::Bad, millis(1_000));
    sim.set_topology(Some(0), [2]);
    sim.run(millis(17_600));
    assert_eq!(sim.verdict(Rule::LinkDown).verdict, Verdict::Bad);
    assert_eq!(sim.verdict(Rule::LinkDown).evidence.node, Some(addr(1)));
}

#[test]
fn a_replica_whose_link_is_down_by_its_own_word_is_bad_when_a_restart_would_be_over_and_clears_after_five() {
    let mut sim = Sim::healthy(2);
    sim.nodes[1].link_up = false;
    sim.nodes[1].syncing = true;
    let took = sim.until(Rule::LinkDown, Verdict::Bad, millis(17_000));
    assert!(took >= millis(15_000) && took <= millis(15_250), "{took:?}");
    sim.nodes[1].link_up = true;
    sim.nodes[1].syncing = false;
    let cleared = sim.until(Rule::LinkDown, Verdict::Ok, millis(7_000));
    assert!(cleared >= millis(5_000), "{cleared:?}");
}

#[test]
fn a_side_that_loses_all_its_replicas_is_bad_then_unknown_and_never_ok() {
    let mut sim = Sim::healthy(1);
    sim.nodes[1].answers = false;
    sim.until(Rule::LinkDown, Verdict::Bad, millis(17_000));
    sim.set_topology(Some(0), []);
    sim.run(millis(60_000));
    assert_eq!(sim.verdict(Rule::LinkDown).verdict, Verdict::Unknown);
    assert_eq!(sim.verdict(Rule::HeartbeatDelay).verdict, Verdict::Unknown);
}

#[test]
fn a_side_that_never_had_replicas_is_ok() {
    let mut sim = Sim::new(0);
    sim.quiet(millis(500));
    sim.all(Verdict::Ok);
    sim.nodes[0].answers = false;
    sim.until(Rule::Unreachable, Verdict::Bad, millis(1_000));
}

/// Down for a time, then loading, then in a full sync, then back.
fn restart(sim: &mut Sim, index: usize, down: Duration) {
    sim.nodes[index].answers = false;
    sim.nodes[index].dead = true;
    sim.nodes[index].link_up = false;
    sim.quiet(down);
    sim.nodes[index].run_id += 10;
    sim.nodes[index].answers = true;
    sim.nodes[index].dead = false;
    sim.quiet(millis(3_000));
    sim.nodes[0].sync_full += 1;
    sim.nodes[0].sync_partial_err += 1;
    sim.nodes[index].connection += 1;
    sim.nodes[index].syncing = true;
    sim.quiet(millis(5_000));
    sim.nodes[index].syncing = false;
    sim.nodes[index].link_up = true;
    sim.quiet(millis(4_000));
}

#[test]
fn replicas_restarted_one_after_the_other_raise_nothing_however_long_each_takes() {
    for down in [300, 1_000, 3_000, 14_000] {
        let mut sim = Sim::healthy(5);
        for index in [1, 2, 3, 4, 5, 1, 2] {
            restart(&mut sim, index, millis(down));
        }
    }
}

#[test]
fn three_replicas_restarted_at_once_raise_nothing() {
    let mut sim = Sim::healthy(3);
    for down in 1..=3 {
        sim.nodes[down].answers = false;
        sim.nodes[down].dead = true;
        sim.nodes[down].link_up = false;
    }
    sim.quiet(millis(8_000));
    for up in 1..=3 {
        sim.nodes[up].run_id += 10;
        sim.nodes[up].answers = true;
        sim.nodes[up].dead = false;
        sim.nodes[up].link_up = true;
        sim.nodes[up].connection += 1;
        sim.nodes[0].sync_full += 1;
    }
    sim.quiet(millis(20_000));
    sim.all(Verdict::Ok);
}

#[test]
fn one_resync_is_no_loop_and_the_second_is_until_both_have_left_the_window() {
    let mut sim = Sim::healthy(2);
    sim.nodes[0].sync_full += 1;
    sim.nodes[0].sync_partial_err += 1;
    sim.quiet(millis(10_000));
    assert_eq!(sim.verdict(Rule::ResyncLoop).evidence.measured, 1.0);
    sim.nodes[0].sync_full += 1;
    sim.nodes[0].sync_partial_err += 1;
    let took = sim.until(Rule::ResyncLoop, Verdict::Bad, millis(1_000));
    assert!(took <= millis(250), "{took:?}");
    assert_eq!(sim.verdict(Rule::ResyncLoop).evidence.node, Some(addr(0)));
    sim.until(Rule::ResyncLoop, Verdict::Ok, millis(70_000));
}

#[test]
fn a_restarted_master_begins_its_counters_again() {
    let mut sim = Sim::healthy(2);
    sim.nodes[0].sync_full = 0;
    sim.nodes[0].sync_partial_err = 0;
    sim.nodes[0].run_id = 99;
    sim.quiet(millis(1_000));
    sim.nodes[0].sync_full = 2;
    sim.quiet(millis(4_000));
    sim.all(Verdict::Ok);
    sim.nodes[0].sync_full = 4;
    sim.until(Rule::ResyncLoop, Verdict::Bad, millis(1_000));
}

#[test]
fn a_replica_that_comes_and_goes_is_a_flap_at_the_fourth_change() {
    let mut sim = Sim::healthy(2);
    for _ in 0..3 {
        sim.nodes[1].link_up = !sim.nodes[1].link_up;
        sim.run(millis(500));
    }
    assert_eq!(sim.verdict(Rule::ReplicaFlap).evidence.measured, 3.0);
    assert_eq!(sim.verdict(Rule::ReplicaFlap).verdict, Verdict::Ok);
    sim.nodes[1].link_up = true;
    sim.until(Rule::ReplicaFlap, Verdict::Bad, millis(500));
    sim.until(Rule::ReplicaFlap, Verdict::Ok, millis(45_000));
}

#[test]
fn a_lagging_replica_is_bad_by_the_seconds_of_stream_it_lacks() {
    let mut sim = Sim::healthy(2);
    // 50 bytes a step of 50 ms: a byte lasts a millisecond.
    sim.nodes[1].lag_bytes = 450;
    sim.quiet(millis(10_000));
    sim.all(Verdict::Ok);
    sim.nodes[1].lag_bytes = 800;
    let took = sim.until(Rule::OffsetLag, Verdict::Bad, millis(3_000));
    assert!(took >= millis(500) && took <= millis(1_300), "{took:?}");
    let verdict = sim.verdict(Rule::OffsetLag);
    assert_eq!(verdict.evidence.node, Some(addr(1)));
    assert!(verdict.evidence.measured >= 0.5 && verdict.evidence.measured <= 0.8);
    sim.nodes[1].lag_bytes = 0;
    let cleared = sim.until(Rule::OffsetLag, Verdict::Ok, millis(4_000));
    assert!(cleared >= millis(2_000), "{cleared:?}");
}

#[test]
fn silence_is_unknown_not_bad() {
    let mut sim = Sim::healthy(2);
    let quiet_since = sim.now;
    // The shells say nothing at all of the replicas; of the master only that it acknowledges heartbeats.
    while sim.now - quiet_since < millis(30_000) {
        sim.now += STEP;
        sim.observe(0, ObservationKind::Heartbeat { delay: millis(1) });
        for verdict in sim.rules.verdicts(sim.now) {
            assert_ne!(verdict.verdict, Verdict::Bad, "{verdict}");
        }
    }
    for rule in Rule::ALL
        .iter()
        .filter(|rule| !matches!(rule, Rule::Unreachable | Rule::Bandwidth))
    {
        assert_eq!(sim.verdict(*rule).verdict, Verdict::Unknown, "{rule}");
    }
    assert_eq!(sim.verdict(Rule::Unreachable).verdict, Verdict::Ok);
}

#[test]
fn a_clean_failover_raises_nothing_and_health_is_earned_anew_after_it() {
    for replicas in [1, 2, 5] {
        let mut sim = Sim::healthy(replicas);
        sim.fail_over();
        sim.quiet(millis(5_000));
        sim.all(Verdict::Ok);
        sim.nodes[0].answers = false;
        sim.until(Rule::HeartbeatDelay, Verdict::Bad, millis(1_000));
    }
}

#[test]
fn replicas_that_find_the_new_master_only_after_the_topology_changed_are_no_flap() {
    let mut sim = Sim::healthy(6);
    sim.nodes[1].is_master = true;
    for index in 2..7 {
        sim.nodes[index].link_up = false;
        sim.nodes[index].follows = 1;
    }
    sim.quiet(millis(1_000));
    sim.set_topology(Some(1), 2..=6);
    sim.quiet(millis(500));
    for index in 2..7 {
        sim.nodes[index].link_up = true;
        sim.nodes[1].sync_full += 1;
    }
    sim.quiet(millis(10_000));
    sim.all(Verdict::Ok);
}

#[test]
fn without_the_masters_offsets_no_replica_passes_for_keeping_up() {
    let mut sim = Sim::healthy(2);
    sim.nodes[0].answers = false;
    sim.run(millis(2_500));
    assert_eq!(sim.verdict(Rule::OffsetLag).verdict, Verdict::Unknown);
}

#[test]
fn a_resync_loop_right_after_a_failover_is_still_seen() {
    let mut sim = Sim::healthy(2);
    sim.fail_over();
    for _ in 0..6 {
        sim.nodes[1].sync_full += 1;
        sim.run(millis(1_000));
    }
    assert_eq!(sim.verdict(Rule::ResyncLoop).verdict, Verdict::Bad);
}

#[test]
fn a_replica_that_does_not_come_back_after_a_failover_is_a_link_down_after_the_grace() {
    let mut sim = Sim::healthy(3);
    sim.nodes[1].is_master = true;
    sim.nodes[2].follows = 1;
    sim.nodes[3].follows = 1;
    sim.nodes[3].link_up = false;
    sim.quiet(millis(1_000));
    sim.set_topology(Some(1), [2, 3]);
    sim.quiet(millis(9_900));
    let took = sim.until(Rule::LinkDown, Verdict::Bad, millis(17_000));
    assert!(took >= millis(15_000), "{took:?}");
    assert_eq!(sim.verdict(Rule::LinkDown).evidence.node, Some(addr(3)));
}

#[test]
fn without_a_master_the_last_one_is_still_watched() {
    let mut sim = Sim::healthy(2);
    sim.set_topology(None, [1, 2]);
    sim.quiet(millis(2_000));
    assert_eq!(
        sim.verdict(Rule::Unreachable).verdict,
        Verdict::Unknown,
        "a failover"
    );
    sim.nodes[0].answers = false;
    let took = sim.until(Rule::Unreachable, Verdict::Bad, millis(1_000));
    assert!(took >= millis(700), "{took:?}");
}

#[test]
fn a_side_without_a_master_for_long_is_unreachable() {
    let mut sim = Sim::healthy(2);
    sim.set_topology(None, [1, 2]);
    sim.quiet(millis(9_900));
    sim.until(Rule::Unreachable, Verdict::Bad, millis(200));
    assert_eq!(sim.verdict(Rule::Unreachable).evidence.node, None);
}

#[test]
fn a_stall_of_our_own_turns_nothing_bad_and_its_delays_are_not_believed() {
    let mut sim = Sim::healthy(2);
    sim.now += millis(2_000);
    let delay = millis(2_000);
    // What is read first after the stall: late heartbeats, missing ones, timeouts.
    sim.observe(1, ObservationKind::Heartbeat { delay });
    sim.observe(2, ObservationKind::HeartbeatOutstanding { age: delay });
    sim.observe(
        0,
        ObservationKind::NoAnswer {
            reason: "timed out".to_owned(),
        },
    );
    assert!(sim.rules.tick(sim.now));
    assert!(sim.rules.is_tilted(sim.now));
    for verdict in sim.rules.verdicts(sim.now) {
        assert_ne!(verdict.verdict, Verdict::Bad, "{verdict}");
    }
    sim.beats = vec![sim.now; 3];
    sim.quiet(millis(5_000));
    sim.all(Verdict::Ok);
    assert!(!sim.rules.is_tilted(sim.now));
}

#[test]
fn a_heartbeat_that_was_under_way_during_a_stall_of_our_own_is_no_measure() {
    let mut config = GuardConfig {
        tilt_for: Duration::ZERO,
        ..GuardConfig::default()
    };
    config.rules.get_mut(Rule::HeartbeatDelay).bad_for = Duration::ZERO;
    let mut sim = Sim::with(config, 2);
    sim.run(millis(5_000));
    sim.now += millis(1_500);
    let delay = millis(1_500);
    sim.observe(1, ObservationKind::Heartbeat { delay });
    sim.observe(2, ObservationKind::HeartbeatOutstanding { age: delay });
    assert_ne!(sim.verdict(Rule::HeartbeatDelay).verdict, Verdict::Bad);
    sim.now += STEP;
    sim.observe(1, ObservationKind::Heartbeat { delay: millis(1_500) });
    assert_ne!(sim.verdict(Rule::HeartbeatDelay).verdict, Verdict::Bad);
    sim.now += STEP;
    sim.observe(1, ObservationKind::Heartbeat { delay: STEP });
    assert_eq!(
        sim.rules.nodes(sim.now)[1].delay,
        Some(STEP),
        "sent after the stall"
    );
}

#[test]
fn a_master_that_is_dead_after_a_stall_of_our_own_is_bad_when_the_tilt_ends() {
    let mut sim = Sim::healthy(2);
    sim.now += millis(2_000);
    sim.nodes[0].answers = false;
    sim.quiet(millis(1_900));
    assert_eq!(sim.verdict(Rule::Unreachable).verdict, Verdict::Unknown);
    sim.until(Rule::Unreachable, Verdict::Bad, millis(200));
}

#[test]
fn a_rule_that_is_off_is_not_there_and_actions_are_by_side() {
    let mut config = GuardConfig::default();
    config.rules.get_mut(Rule::LinkDown).action = [Action::Warn, Action::Off];
    let mut rules = Rules::new(config, Side::New);
    let verdicts = rules.verdicts(Instant::now());
    assert_eq!(
        verdicts.len(),
        Rule::ALL.len() - 2,
        "nor bandwidth, which is not stated"
    );
    assert!(verdicts.iter().all(|verdict| verdict.rule != Rule::LinkDown));
}

#[test]
fn unknown_freezes_and_bad_trips_only_where_the_action_says_so() {
    let mut sim = Sim::healthy(2);
    let verdicts = sim.rules.verdicts(sim.now);
    assert_eq!(worst(&verdicts), Verdict::Ok);
    assert!(freeze(&verdicts).is_none() && trip(&verdicts).is_none());
    sim.set_topology(None, [1, 2]);
    let verdicts = sim.rules.verdicts(sim.now);
    assert_eq!(worst(&verdicts), Verdict::Unknown);
    assert!(freeze(&verdicts).is_some() && trip(&verdicts).is_none());
    sim.nodes[0].answers = false;
    sim.until(Rule::Unreachable, Verdict::Bad, millis(1_000));
    let mut verdicts = sim.rules.verdicts(sim.now);
    assert_eq!(
        trip(&verdicts).map(|verdict| verdict.rule),
        Some(Rule::Unreachable)
    );
    verdicts.reverse();
    assert_eq!(
        freeze(&verdicts).map(|verdict| verdict.verdict),
        Some(Verdict::Bad)
    );
    for verdict in &mut verdicts {
        verdict.action = Action::Warn;
    }
    assert!(freeze(&verdicts).is_none() && trip(&verdicts).is_none());
}

#[test]
fn nodes_that_are_not_the_sides_leave_nothing_behind() {
    let mut sim = Sim::healthy(2);
    for port in 100..10_000 {
        sim.rules.observe(&Observation {
            node: addr(port),
            at: sim.now,
            kind: ObservationKind::Heartbeat { delay: millis(1) },
        });
    }
    assert_eq!(sim.rules.nodes(sim.now).len(), 3);
    for first in 0..200_u16 {
        sim.set_topology(Some(0), (first * 64 + 1)..=(first * 64 + 200));
    }
    assert!(sim.rules.nodes(sim.now).len() <= crate::limits::NODES_MAX * 3);
}

fn any_kind() -> impl Strategy<Value = ObservationKind> {
    let info = (
        any::<[bool; 3]>(),
        0_u32..3,
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        any::<u32>(),
    );
    prop_oneof![
        info.prop_map(|(flags, run_id, offset, sync_full, count)| {
            ObservationKind::Info(Box::new(NodeInfo {
                took: millis(u64::from(count % 5_000)),
                is_master: flags[0],
                run_id: Some(run_id.to_string()),
                repl_offset: offset,
                connected_replicas: Some(count),
                link_up: Some(flags[1]),
                sync_in_progress: Some(flags[2]),
                sync_full,
                ..NodeInfo::default()
            }))
        }),
        Just(ObservationKind::NoAnswer {
            reason: String::new()
        }),
        any::<u32>().prop_map(|age| ObservationKind::Heartbeat {
            delay: millis(u64::from(age))
        }),
        any::<u32>().prop_map(|age| ObservationKind::HeartbeatOutstanding {
            age: millis(u64::from(age))
        }),
    ]
}

proptest! {
    #[test]
    fn whatever_nodes_say_the_rules_answer_and_bad_has_its_evidence(
        inputs in proptest::collection::vec((0_u16..5, any_kind(), 0_u64..400, 0_u8..20), 0..200)
    ) {
        let mut sim = Sim::new(3);
        for (port, kind, pause, topology) in inputs {
            sim.now += millis(pause);
            if topology < 4 {
                sim.set_topology((topology < 3).then_some(u16::from(topology)), 1..=3);
            }
            sim.rules.observe(&Observation { node: addr(port), at: sim.now, kind });
            for verdict in sim.rules.verdicts(sim.now) {
                if verdict.verdict == Verdict::Bad {
                    prop_assert!(verdict.since <= sim.now);
                    prop_assert!(sim.now - sim.start > Duration::ZERO);
                }
                prop_assert!(verdict.evidence.measured.is_finite());
            }
        }
    }

    #[test]
    fn delays_under_every_limit_never_raise_anything(
        delays in proptest::collection::vec((1_usize..3, 0_u64..490, 0_u64..480), 1..60)
    ) {
        let mut sim = Sim::new(2);
        for (index, beat, lag) in delays {
            sim.nodes[index].beat_delay = millis(beat);
            sim.nodes[index].lag_bytes = lag;
            sim.quiet(millis(1_000));
        }
    }
}
