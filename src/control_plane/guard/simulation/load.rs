//! Do the rules on what nodes have to do say what they should, and no more?

use super::*;

#[test]
fn slowlog_entries_of_a_minute_are_counted_on_the_worst_node() {
    let mut sim = Sim::healthy(2);
    sim.nodes[1].slowlog += 59;
    sim.nodes[0].slowlog += 59;
    sim.quiet(millis(61_000));
    sim.nodes[1].slowlog += 60;
    let took = sim.until(Rule::SlowlogGrowth, Verdict::Bad, millis(2_000));
    assert!(took <= millis(1_100), "{took:?}");
    let verdict = sim.verdict(Rule::SlowlogGrowth);
    assert_eq!(
        (verdict.evidence.node, verdict.evidence.measured),
        (Some(addr(1)), 60.0)
    );
    let cleared = sim.until(Rule::SlowlogGrowth, Verdict::Ok, millis(122_000));
    assert!(cleared >= millis(118_000), "{cleared:?}");
}

#[test]
fn a_log_that_was_emptied_or_began_again_has_not_grown() {
    let mut sim = Sim::healthy(2);
    sim.nodes[0].slowlog = 0;
    sim.quiet(millis(2_000));
    sim.nodes[0].slowlog = 5_000;
    sim.quiet(millis(5_000));
    assert_eq!(sim.verdict(Rule::SlowlogGrowth).evidence.measured, 1.0);
    sim.nodes[0].run_id = 99;
    sim.nodes[0].slowlog = 10;
    sim.quiet(millis(5_000));
}

#[test]
fn a_replica_that_applies_less_of_the_stream_than_its_siblings_is_told() {
    let mut sim = Sim::healthy(3);
    sim.pace = 5_000;
    sim.quiet(millis(30_000));
    // It falls back by half of what is written.
    let mut config = GuardConfig::default();
    config.rules.get_mut(Rule::OffsetLag).action = [super::super::Action::Off; 2];
    sim.rules.reconfigure(config);
    sim.excused = vec![Rule::OffsetLag];
    let took = sim.until_bad_by(Rule::CommandMismatch, millis(40_000), |sim| {
        sim.nodes[2].lag_bytes += 3_000
    });
    assert!(took >= millis(14_000) && took <= millis(25_000), "{took:?}");
    let verdict = sim.verdict(Rule::CommandMismatch);
    assert_eq!(verdict.evidence.node, Some(addr(2)));
    sim.until(Rule::CommandMismatch, Verdict::Ok, millis(60_000));
}

#[test]
fn one_replica_has_no_siblings_and_an_idle_stream_has_no_pace() {
    let mut sim = Sim::healthy(1);
    sim.pace = 5_000;
    for _ in 0..400 {
        sim.nodes[1].lag_bytes += 4_000;
        sim.run(STEP);
    }
    assert_eq!(sim.verdict(Rule::CommandMismatch).verdict, Verdict::Ok);
    let mut sim = Sim::healthy(2);
    for _ in 0..400 {
        sim.nodes[1].lag_bytes += 50;
        sim.run(STEP);
    }
    assert_eq!(sim.verdict(Rule::CommandMismatch).verdict, Verdict::Ok);
}

/// With 8 Mbit/s on `new`: 50,000 bytes a step of 50 ms are all of it.
fn narrow(replicas: u16) -> Sim {
    let config = GuardConfig {
        bandwidth_mbit: [None, Some(8)],
        ..GuardConfig::default()
    };
    let mut sim = Sim::with(config, replicas);
    sim.run(millis(5_000));
    sim.all(Verdict::Ok);
    sim
}

#[test]
fn nine_tenths_of_the_stated_capacity_for_seconds_are_bad_and_less_is_not() {
    let mut sim = narrow(2);
    for _ in 0..400 {
        sim.nodes[0].sent += 44_000;
        sim.quiet(STEP);
    }
    let took = sim.until_bad_by(Rule::Bandwidth, millis(10_000), |sim| sim.nodes[0].sent += 46_000);
    assert!(took >= millis(3_000) && took <= millis(4_600), "{took:?}");
    let verdict = sim.verdict(Rule::Bandwidth);
    assert_eq!(verdict.evidence.node, Some(addr(0)));
    assert!(
        verdict.evidence.measured > 90.0 && verdict.evidence.measured < 93.0,
        "{verdict}"
    );
    assert_eq!(verdict.evidence.note.as_deref(), Some("of 8 Mbit/s"));
    let cleared = sim.until(Rule::Bandwidth, Verdict::Ok, millis(15_000));
    assert!(cleared >= millis(10_000), "{cleared:?}");
}

#[test]
fn without_a_stated_capacity_nothing_is_said_of_bandwidth() {
    let mut sim = Sim::healthy(2);
    let verdicts = sim.rules.verdicts(sim.now);
    assert!(verdicts.iter().all(|verdict| verdict.rule != Rule::Bandwidth));
}

#[test]
fn what_was_read_late_after_a_stall_of_our_own_is_no_rate() {
    let mut sim = narrow(2);
    for _ in 0..10 {
        for _ in 0..100 {
            sim.nodes[0].sent += 30_000;
            sim.quiet(STEP);
        }
        // Asked before the stall, read after it: the next answer seems to come at once.
        sim.now += millis(2_000);
        sim.nodes[0].sent += 30_000;
        sim.beats = vec![sim.now; 3];
    }
}

/// Runs in steps of a second, as long as it takes a trend.
fn at_rate(sim: &mut Sim, seconds: u64, rate: impl Fn(f64) -> f64, other: impl Fn(f64) -> f64) {
    for step in 0..seconds * 20 {
        let second = step as f64 / 20.0;
        sim.nodes[0].commands += (rate(second) / 20.0) as u64;
        sim.rules.beside(Some(other(second)));
        sim.quiet(STEP);
    }
}

#[test]
fn traffic_that_will_have_grown_too_far_by_the_horizon_is_told() {
    let mut sim = Sim::healthy(2);
    at_rate(&mut sim, 400, |_| 2_000.0, |_| 1_000.0);
    assert_eq!(sim.verdict(Rule::TrafficRising).verdict, Verdict::Ok);
    sim.excused = vec![Rule::TrafficRising];
    // A third more in ten minutes.
    at_rate(
        &mut sim,
        400,
        |second| 2_000.0 + second,
        |second| 1_000.0 + second * 0.8,
    );
    let verdict = sim.verdict(Rule::TrafficRising);
    assert_eq!(verdict.verdict, Verdict::Bad, "{verdict}");
    assert!(
        verdict.evidence.measured > 22.0 && verdict.evidence.measured < 40.0,
        "{verdict}"
    );
    assert_eq!(verdict.evidence.note.as_deref(), Some("in 10m if it goes on"));
    // A ramp that is over in two minutes need not mind.
    sim.rules.horizon(Some(millis(120_000)));
    sim.run(millis(61_000));
    let verdict = sim.verdict(Rule::TrafficRising);
    assert_eq!(verdict.verdict, Verdict::Ok, "{verdict}");
}

#[test]
fn traffic_that_moves_between_the_sides_does_not_rise() {
    let mut sim = Sim::healthy(2);
    at_rate(
        &mut sim,
        700,
        |second| 1_000.0 + 5.0 * second,
        |second| 5_000.0 - 5.0 * second,
    );
    let verdict = sim.verdict(Rule::TrafficRising);
    assert!(verdict.evidence.measured < 2.0, "{verdict}");
}

#[test]
fn load_that_doubles_in_a_second_is_no_rise_that_goes_on() {
    let mut sim = Sim::healthy(2);
    at_rate(&mut sim, 310, |_| 2_000.0, |_| 0.0);
    sim.excused = vec![Rule::TrafficRising];
    at_rate(&mut sim, 400, |_| 4_000.0, |_| 0.0);
    assert_eq!(sim.verdict(Rule::TrafficRising).verdict, Verdict::Ok);
}

#[test]
fn a_trend_says_how_long_it_has_been_watched_and_nothing_before_that() {
    let mut sim = Sim::healthy(2);
    at_rate(&mut sim, 100, |second| 1_000.0 + 100.0 * second, |_| 0.0);
    let verdict = sim.verdict(Rule::TrafficRising);
    assert_eq!((verdict.verdict, verdict.evidence.measured), (Verdict::Ok, 0.0));
    let note = verdict.evidence.note.unwrap();
    assert!(
        note.starts_with("seen for ") && note.ends_with(" of 300 s"),
        "{note}"
    );
    sim.rules.beside(None);
    sim.quiet(millis(11_000));
    assert_eq!(
        sim.verdict(Rule::TrafficRising).verdict,
        Verdict::Unknown,
        "the other side is silent"
    );
}
