use super::*;
use crate::cluster::{NodeAddr, Topology};
use crate::control_plane::guard::{
    NodeDetails, NodeInfo, ObservationKind, ReplicaClient, ReplicaLine, Rule, Verdict,
};
use crate::control_plane::trace::{Ahead, Reconfigured, Relearned};

const STEP: Duration = Duration::from_millis(50);

fn addr(port: u16) -> NodeAddr {
    NodeAddr::new("h", port)
}

fn header(has_new: bool) -> Header {
    let nodes = Topology {
        master: Some(addr(1)),
        replicas: vec![addr(2)],
        heir: None,
    };
    Header {
        switchback_trace: 1,
        by: String::new(),
        route: "r".to_owned(),
        began: "2021-11-11T18:00:00Z".parse().unwrap(),
        lost: 0,
        guard: GuardConfig::default(),
        weight: "50".parse().unwrap(),
        target: "50".parse().unwrap(),
        ahead: Ahead::default(),
        old: nodes.clone(),
        new: has_new.then_some(nodes),
    }
}

fn info(port: u16, offset: u64) -> ObservationKind {
    let is_master = port == 1;
    let line = ReplicaLine {
        addr: addr(2),
        online: true,
        offset,
        lag_seconds: 0,
    };
    let client = ReplicaClient {
        id: 1,
        addr: addr(40_000),
        omem_bytes: 0,
    };
    ObservationKind::Info(Box::new(NodeInfo {
        is_master,
        run_id: Some(port.to_string()),
        repl_offset: Some(offset),
        connected_replicas: Some(u32::from(is_master)),
        replicas: if is_master { vec![line] } else { Vec::new() },
        follows: (!is_master).then(|| addr(1)),
        link_up: (!is_master).then_some(true),
        sync_full: Some(1),
        dataset: Some(1),
        evicted_keys: Some(0),
        replica_clients: is_master.then(|| vec![client]),
        details: Some(Box::new(NodeDetails {
            slowlog_entries: Some(0),
            ..NodeDetails::default()
        })),
        ..NodeInfo::default()
    }))
}

fn observed(side: Side, port: u16, kind: ObservationKind) -> What {
    What::Observed(Observed {
        side,
        node: addr(port),
        age: 1_000,
        kind,
    })
}

/// Both sides well for five seconds; from then on heartbeats to the replica of `ill`, if any, are missing.
fn entries(seconds: u64, ill: Option<Side>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for step in 1..=seconds * 20 {
        let now = STEP * u32::try_from(step).unwrap();
        let mut add = |what| {
            let now = u64::try_from(now.as_nanos()).unwrap();
            entries.push(Entry { now, what });
        };
        add(What::Look);
        for side in Side::BOTH {
            if step % 5 == 0 {
                add(observed(side, 1, info(1, step * 100)));
                add(observed(side, 2, info(2, step * 100)));
            }
            let delay = Duration::from_millis(1);
            add(observed(side, 1, ObservationKind::Heartbeat { delay }));
            add(match now.checked_sub(Duration::from_secs(5)) {
                Some(age) if ill == Some(side) => {
                    observed(side, 2, ObservationKind::HeartbeatOutstanding { age })
                }
                _ => observed(side, 2, ObservationKind::Heartbeat { delay }),
            });
        }
    }
    entries
}

fn moved(kind: &str, now: u64, weight: &str) -> Entry {
    let moved = Moved {
        kind: kind.to_owned(),
        weight: weight.parse().unwrap(),
        target: weight.parse().unwrap(),
        evidence: None,
    };
    Entry {
        now,
        what: What::Moved(moved),
    }
}

/// Through text, as from a file.
fn replayed(assumed: Assumed, header: &Header, entries: &[Entry]) -> (Replay, Vec<Said>) {
    let mut replay = Replay::new(assumed);
    let mut said = Vec::new();
    for text in std::iter::once(header.text()).chain(entries.iter().map(Entry::text)) {
        let line = Line::parse(text.trim_end()).unwrap();
        said.extend(replay.take(line).unwrap());
    }
    (replay, said)
}

/// A guard with another limit of `heartbeat_delay`, in seconds.
fn patient(limit: f64) -> GuardConfig {
    let mut guard = GuardConfig::default();
    guard.rules.get_mut(Rule::HeartbeatDelay).limit = limit;
    guard
}

fn seconds(said: &Tripped) -> f64 {
    let began: Timestamp = "2021-11-11T18:00:00Z".parse().unwrap();
    said.time.duration_since(began).as_secs_f64()
}

fn kinds(said: &[Said]) -> Vec<&str> {
    let kind = |said: &Said| match said {
        Said::Would { kind, .. } => Some(*kind),
        _ => None,
    };
    said.iter().filter_map(kind).collect()
}

#[test]
fn what_the_live_rules_said_is_said_again_at_the_same_times() {
    let (header, entries) = (header(true), entries(8, Some(Side::New)));
    let base = Instant::now();
    let mut rules = Side::BOTH.map(|side| Some(Rules::new(header.guard.clone(), side)));
    for (rules, nodes) in rules.iter_mut().flatten().zip(header.sides()) {
        rules.topology(nodes.unwrap(), base);
    }
    let (mut before, mut live) = (Vec::new(), Vec::new());
    for entry in &entries {
        let now = base + Duration::from_nanos(entry.now);
        match &entry.what {
            What::Look => rules.iter_mut().flatten().for_each(|rules| {
                rules.tick(now);
            }),
            What::Observed(observed) => {
                rules[observed.side.index()]
                    .as_mut()
                    .unwrap()
                    .observe(&Observation {
                        node: observed.node.clone(),
                        at: now - Duration::from_nanos(observed.age),
                        kind: observed.kind.clone(),
                    })
            }
            _ => unreachable!(),
        }
        let verdicts = guard::verdicts(&mut rules, now);
        let changed = guard::changed(&before, &verdicts);
        live.extend(
            changed
                .iter()
                .map(|verdict| (entry.now, verdict.verdict, verdict.to_string())),
        );
        before = verdicts;
    }
    let (replay, said) = replayed(Assumed::default(), &header, &entries);
    let again = said.iter().filter_map(|said| match said {
        Said::Verdict { time, verdict, .. } => {
            let now = time.duration_since(header.began).as_nanos();
            Some((u64::try_from(now).unwrap(), verdict.verdict, verdict.to_string()))
        }
        _ => None,
    });
    assert_eq!(again.collect::<Vec<_>>(), live);
    assert!(live.iter().any(|(_, verdict, _)| *verdict == Verdict::Bad));
    let trip = replay.first_trip().unwrap();
    assert_eq!(
        (trip.verdict.rule, trip.verdict.side),
        (Rule::HeartbeatDelay, Side::New)
    );
    assert_eq!(replay.trips(), 1, "it is latched");
}

#[test]
fn a_looser_threshold_trips_later_or_not_at_all_though_the_live_run_tripped() {
    let mut entries = entries(8, Some(Side::New));
    let trip_at = replayed(Assumed::default(), &header(true), &entries);
    let as_shipped = seconds(trip_at.0.first_trip().unwrap());
    assert!((5.5..6.0).contains(&as_shipped), "{as_shipped}");
    // What the live run did then.
    let at = entries
        .iter()
        .position(|entry| entry.now > 6_000_000_000)
        .unwrap();
    entries.insert(at, moved("trip", entries[at].now, "0"));
    let with = |limit| {
        let assumed = Assumed {
            guard: Some(patient(limit)),
            weight: None,
        };
        replayed(assumed, &header(true), &entries).0
    };
    let later = seconds(with(2.0).first_trip().unwrap());
    assert!((7.0..7.5).contains(&later), "{later}");
    let never = with(10.0);
    assert_eq!((never.first_trip(), never.trips()), (None, 0));
}

#[test]
fn without_traffic_on_new_nothing_trips_unless_some_is_assumed() {
    let mut header = header(true);
    (header.weight, header.target) = (Weight::ZERO, Weight::ZERO);
    let entries = entries(8, Some(Side::New));
    let (replay, said) = replayed(Assumed::default(), &header, &entries);
    assert_eq!(replay.first_trip(), None);
    assert_eq!(kinds(&said), ["freeze", "release", "freeze"]);
    let assumed = Assumed {
        weight: Some(Weight::FULL),
        ..Assumed::default()
    };
    assert!(replayed(assumed, &header, &entries).0.first_trip().is_some());
}

#[test]
fn an_operator_who_takes_the_traffic_back_is_believed() {
    let mut entries = entries(8, Some(Side::New));
    entries.insert(0, moved("route_back", 0, "0"));
    assert_eq!(replayed(Assumed::default(), &header(true), &entries).0.trips(), 0);
}

#[test]
fn trouble_on_old_freezes_and_a_route_of_one_side_can_be_replayed() {
    let (replay, said) = replayed(Assumed::default(), &header(true), &entries(8, Some(Side::Old)));
    assert_eq!(
        (replay.trips(), kinds(&said)),
        (0, vec!["freeze", "release", "freeze"])
    );
    let (replay, said) = replayed(Assumed::default(), &header(false), &entries(8, Some(Side::Old)));
    assert_eq!(
        (replay.trips(), kinds(&said)),
        (0, vec!["freeze", "release", "freeze"])
    );
}

#[test]
fn settings_and_nodes_that_changed_in_the_live_run_change_here() {
    let mut entries = entries(8, Some(Side::New));
    let config = Box::new(patient(10.0));
    let guard = What::Guard(Reconfigured { config });
    entries.insert(0, Entry { now: 1, what: guard });
    assert_eq!(replayed(Assumed::default(), &header(true), &entries).0.trips(), 0);
    let nodes = Topology {
        master: Some(addr(1)),
        replicas: Vec::new(),
        heir: None,
    };
    let side = Side::New;
    entries[0].what = What::Topology(Relearned { side, nodes });
    assert_eq!(replayed(Assumed::default(), &header(true), &entries).0.trips(), 0);
}

#[test]
fn after_a_loss_evidence_begins_anew_and_is_told() {
    let (mut replay, _) = replayed(Assumed::default(), &header(true), &entries(4, None));
    let again = Header {
        lost: 7,
        ..header(true)
    };
    let said = replay.take(Line::Header(Box::new(again))).unwrap();
    assert!(matches!(said.as_slice(), [Said::Began { lost: 7, .. }]));
    assert_eq!(replay.lost(), 7);
}

#[test]
fn lines_in_an_order_no_trace_has_are_refused() {
    let look = |now| {
        Line::Entry(Box::new(Entry {
            now,
            what: What::Look,
        }))
    };
    let mut replay = Replay::new(Assumed::default());
    assert_eq!(replay.take(look(1)), Err(ReplayError::NoHeader));
    replay.take(Line::Header(Box::new(header(true)))).unwrap();
    replay.take(look(2)).unwrap();
    replay.take(look(2)).unwrap();
    assert_eq!(replay.take(look(1)), Err(ReplayError::Backwards));
}
