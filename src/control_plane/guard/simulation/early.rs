//! Do the rules on what a master holds back, on memory and on the number of replicas say what they should, and no more?

use super::*;

const LIMIT: u64 = 262_144;

/// Runs until a rule is bad, and checks that it clears by itself no sooner than its setting says.
fn clears(sim: &mut Sim, rule: Rule, least: Duration, within: Duration) {
    let cleared = sim.until(rule, Verdict::Ok, within);
    assert!(cleared >= least, "{rule} after {cleared:?}");
}

#[test]
fn a_buffer_at_the_limit_in_five_samples_is_bad_and_just_below_is_not() {
    let mut sim = Sim::healthy(3);
    sim.nodes[2].omem = LIMIT - 1;
    sim.quiet(millis(30_000));
    sim.nodes[2].omem = LIMIT;
    let took = sim.until(Rule::OutputBuffer, Verdict::Bad, millis(2_000));
    assert!(took >= millis(400) && took <= millis(500), "{took:?}");
    let verdict = sim.verdict(Rule::OutputBuffer);
    assert_eq!(verdict.evidence.node, Some(addr(2)));
    assert_eq!(
        (verdict.evidence.measured, verdict.evidence.limit),
        (262_144.0, 262_144.0)
    );
    assert!(sim.now - verdict.since >= millis(400), "since the first evidence");
    sim.nodes[2].omem = 0;
    clears(&mut sim, Rule::OutputBuffer, millis(5_000), millis(6_000));
}

#[test]
fn a_buffer_that_is_full_in_four_samples_is_not_yet_bad() {
    let mut sim = Sim::healthy(2);
    for _ in 0..10 {
        sim.nodes[1].omem = 40 << 20;
        sim.quiet(millis(400));
        sim.nodes[1].omem = 0;
        sim.quiet(millis(400));
    }
}

#[test]
fn one_full_sample_before_a_slow_script_is_not_five() {
    let mut sim = Sim::healthy(2);
    sim.nodes[1].omem = 40 << 20;
    sim.quiet(millis(100));
    sim.nodes[0].answers = false;
    sim.quiet(millis(650));
    sim.nodes[1].omem = 0;
    sim.nodes[0].answers = true;
    sim.quiet(millis(5_000));
}

#[test]
fn a_buffer_that_would_overflow_within_seconds_is_bad_before_the_limit_is_reached() {
    let mut config = GuardConfig::default();
    config.rules.get_mut(Rule::OutputBuffer).limit = 1e9;
    let mut sim = Sim::with(config, 2);
    sim.run(millis(5_000));
    // To 4 MiB at 200 KiB a step of 50 ms: one second from empty to overflow.
    let mut took = millis(0);
    while sim.verdict(Rule::OutputBuffer).verdict != Verdict::Bad {
        sim.nodes[1].omem += 200 << 10;
        sim.run(STEP);
        took += STEP;
        assert!(took < millis(1_000), "it has overflowed");
    }
    let note = sim.verdict(Rule::OutputBuffer).evidence.note.unwrap();
    assert!(note.starts_with("overflows in 0."), "{note}");
}

#[test]
fn a_first_sync_a_restart_and_a_new_replica_may_fill_their_buffers() {
    let mut sim = Sim::healthy(2);
    let new = sim.add();
    sim.nodes[new].syncing = true;
    sim.nodes[new].link_up = false;
    sim.nodes[new].omem = 100 << 20;
    sim.set_topology(Some(0), 1..=3);
    sim.quiet(millis(20_000));
    sim.nodes[new].syncing = false;
    sim.nodes[new].link_up = true;
    sim.quiet(millis(20_000));
    // The replica's old connection was fine; the one after its restart is not, and its restart is noticed late.
    sim.nodes[1].connection += 1;
    sim.nodes[1].omem = 100 << 20;
    sim.quiet(millis(1_000));
    sim.nodes[1].run_id += 10;
    sim.nodes[1].syncing = true;
    sim.quiet(millis(20_000));
}

#[test]
fn where_it_cannot_be_told_whose_a_full_buffer_is_it_counts_only_while_all_are_healthy() {
    let mut sim = Sim::healthy(2);
    for node in &mut sim.nodes {
        node.says_no_link = true;
    }
    sim.quiet(millis(5_000));
    sim.nodes[1].omem = LIMIT;
    sim.until(Rule::OutputBuffer, Verdict::Bad, millis(1_000));
    assert_eq!(
        sim.verdict(Rule::OutputBuffer).evidence.node,
        Some(addr(0)),
        "its master holds it"
    );
    sim.nodes[1].omem = 0;
    sim.run(millis(10_000));
    let new = sim.add();
    sim.nodes[new].says_no_link = true;
    sim.nodes[new].syncing = true;
    sim.nodes[new].link_up = false;
    sim.quiet(millis(5_000));
    sim.nodes[new].omem = LIMIT;
    sim.quiet(millis(5_000));
    sim.set_topology(Some(0), 1..=3);
    sim.nodes[new].omem = 0;
    sim.quiet(millis(5_000));
    sim.nodes[new].omem = LIMIT;
    sim.quiet(millis(5_000));
}

#[test]
fn a_master_that_does_not_list_its_replicas_is_unknown() {
    let mut sim = Sim::healthy(2);
    sim.nodes[0].is_tight_lipped = true;
    sim.quiet(millis(2_200));
    assert_eq!(sim.verdict(Rule::OutputBuffer).verdict, Verdict::Unknown);
    sim.quiet(millis(1_500));
    assert_eq!(sim.verdict(Rule::SlowlogGrowth).verdict, Verdict::Unknown);
}

#[test]
fn a_master_at_its_cap_is_bad_when_it_evicts_or_refuses_and_not_before() {
    for refuses in [false, true] {
        let mut sim = Sim::healthy(2);
        sim.nodes[0].maxmemory = 1_000_000_000;
        sim.quiet(millis(20_000));
        // A burst that evicts a few.
        sim.nodes[0].evicted += 9;
        sim.quiet(millis(20_000));
        let went_on = sim.until_bad_by(Rule::MemoryCap, millis(3_000), |sim| match refuses {
            true => sim.nodes[0].refused += 1,
            false => sim.nodes[0].evicted += 1,
        });
        assert!(went_on >= millis(450) && went_on <= millis(1_100), "{went_on:?}");
        assert_eq!(sim.verdict(Rule::MemoryCap).evidence.node, Some(addr(0)));
        clears(&mut sim, Rule::MemoryCap, millis(10_000), millis(21_000));
    }
}

#[test]
fn a_cap_whose_refusals_are_not_told_is_ok_and_says_so() {
    for (hides, noted) in [
        (false, None),
        (
            true,
            Some("refused commands are not counted: it has no errorstats"),
        ),
    ] {
        let mut sim = Sim::healthy(2);
        sim.nodes[0].maxmemory = 1_000_000_000;
        sim.nodes[0].hides_refusals = hides;
        sim.quiet(millis(3_000));
        let verdict = sim.verdict(Rule::MemoryCap);
        assert_eq!(
            (verdict.verdict, verdict.evidence.note.as_deref()),
            (Verdict::Ok, noted)
        );
    }
}

#[test]
fn errors_an_app_calls_oom_and_evictions_before_a_restart_are_no_cap() {
    let mut sim = Sim::healthy(2);
    sim.nodes[0].refused += 1_000;
    sim.quiet(millis(5_000));
    sim.nodes[0].maxmemory = 2_000_000_000;
    sim.nodes[0].refused += 1_000;
    sim.quiet(millis(5_000));
    sim.nodes[0].maxmemory = 1_000_000_000;
    sim.nodes[0].evicted = 0;
    sim.nodes[0].run_id = 99;
    sim.quiet(millis(1_000));
    sim.nodes[0].evicted = 9;
    sim.quiet(millis(5_000));
}

#[test]
fn data_apart_for_a_minute_is_told_and_never_trips() {
    let mut sim = Sim::healthy(2);
    sim.nodes[1].dataset = 810_000_000;
    sim.quiet(millis(120_000));
    sim.nodes[1].dataset = 800_000_000;
    let took = sim.until(Rule::MemoryGap, Verdict::Bad, millis(70_000));
    assert!(took >= millis(60_000), "{took:?}");
    assert_eq!(sim.verdict(Rule::MemoryGap).evidence.node, Some(addr(1)));
    assert_eq!(sim.verdict(Rule::MemoryGap).action, super::super::Action::Warn);
    sim.nodes[1].dataset = 1_000_000_000;
    clears(&mut sim, Rule::MemoryGap, millis(60_000), millis(61_000));
}

#[test]
fn little_data_is_never_apart_and_a_replica_in_its_first_sync_has_less() {
    let mut sim = Sim::healthy(2);
    for node in &mut sim.nodes {
        node.dataset = 60_000_000;
    }
    sim.nodes[1].dataset = 1_000_000;
    sim.quiet(millis(120_000));
    sim.nodes[1].dataset = 60_000_000;
    let new = sim.add();
    sim.nodes[new].syncing = true;
    sim.nodes[new].link_up = false;
    sim.nodes[new].dataset = 0;
    for node in &mut sim.nodes[..3] {
        node.dataset = 1_000_000_000;
    }
    sim.set_topology(Some(0), 1..=3);
    sim.quiet(millis(120_000));
}

#[test]
fn a_replica_beyond_the_usual_number_is_told_with_where_the_number_is_from() {
    let mut sim = Sim::healthy(2);
    let new = sim.add();
    // Its master lists it before Sentinel does.
    sim.until(Rule::ReplicaExcess, Verdict::Bad, millis(1_500));
    let verdict = sim.verdict(Rule::ReplicaExcess);
    assert_eq!(verdict.evidence.measured, 1.0);
    assert_eq!(
        verdict.evidence.note.as_deref(),
        Some("3 attached, usual 2, learnt")
    );
    sim.nodes[new].answers = false;
    clears(&mut sim, Rule::ReplicaExcess, millis(10_000), millis(11_000));
    let config = GuardConfig {
        replicas_usual: [None, Some(3)],
        ..GuardConfig::default()
    };
    let mut sim = Sim::with(config, 3);
    sim.quiet(millis(10_000));
    sim.add();
    sim.until(Rule::ReplicaExcess, Verdict::Bad, millis(1_500));
    let note = sim.verdict(Rule::ReplicaExcess).evidence.note;
    assert_eq!(note.as_deref(), Some("4 attached, usual 3, stated"));
}

#[test]
fn a_failover_is_no_excess_and_what_is_usual_survives_it() {
    let mut sim = Sim::healthy(3);
    sim.fail_over();
    sim.quiet(millis(10_000));
    sim.all(Verdict::Ok);
    let note = sim.verdict(Rule::ReplicaExcess).evidence.note;
    assert_eq!(note.as_deref(), Some("3 attached, usual 3, learnt"));
}
