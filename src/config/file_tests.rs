use std::time::Duration;

use proptest::prelude::{Strategy, any, prop_assert, proptest};

use super::*;
use crate::cluster::{Credentials, NodeAddr, Secret};
use crate::config::{OnUncertain, SubscribeTo};
use crate::control_plane::guard::{Action, Rule};
use crate::limits::{FAULTS_MAX, RAMP_STEPS_MAX};

/// A machine with two files and two variables.
fn around() -> Surroundings<'static> {
    Surroundings {
        cores: 3,
        is_root: false,
        read: &|path, bytes_max| {
            let mut bytes = match path.to_str() {
                Some("good") => b"s3cret\r\n".to_vec(),
                Some("two-newlines") => b"s3cret\n\n".to_vec(),
                Some("empty") => b"\n".to_vec(),
                Some("binary") => vec![0xff],
                Some("longest") => [vec![b'x'; 4096], b"\n".to_vec()].concat(),
                Some("too-long") => vec![b'x'; 4097],
                _ => return Err(std::io::ErrorKind::NotFound.into()),
            };
            bytes.truncate(bytes_max);
            Ok(bytes)
        },
        env: &|name| (name == "GOOD").then(|| "s3cret".into()),
        roots: &Vec::new,
    }
}

fn read_text(text: &str) -> Result<Config, Faults> {
    parse(text, &around())
}

/// A route with what must be given, and more keys after.
fn route_with(more: &str) -> Result<RouteConfig, Faults> {
    let text = format!("[[route]]\nname = 'a'\nlisten = ['127.0.0.1:1']\n{more}\n");
    read_text(&text).map(|config| config.routes[0].clone())
}

fn plain_with(more: &str) -> Result<RouteConfig, Faults> {
    route_with(&format!("old = 'redis://h:1'\n{more}"))
}

fn fault_lines(result: Result<impl std::fmt::Debug, Faults>) -> Vec<String> {
    result.unwrap_err().iter().map(ToString::to_string).collect()
}

/// The one fault there is.
fn fault(result: Result<impl std::fmt::Debug, Faults>) -> String {
    let mut lines = fault_lines(result);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

#[test]
fn all_of_many_faults_are_reported_with_key_path_and_line() {
    let text = r#"
[proxy]
worker = 2
metrics_listen = "localhost:9640"

[[route]]
name = "a"
listen = ["127.0.0.1:6400"]
old = "redis://app:hunter2@10.0.0.1"
weight = 120.5
uncertain = "maybe"
allow = ["debug", "get"]
colour = "red"

[route.guard.heartbeat_delay]
limit = "0ms"

[[route]]
name = "a"
listen = ["127.0.0.1:6400", 6401]
old = "redis://10.0.0.1:6379"
weight = 5
"#;
    let lines = fault_lines(read_text(text));
    let expected = [
        "proxy.worker (line 3): unknown key; did you mean 'workers'?",
        "proxy.metrics_listen (line 4): found \"localhost:9640\"; allowed: an IP address and a port",
        "route[a].old (line 9): found \"redis://***@10.0.0.1\": a port is missing",
        "route[a].weight (line 10): found 120.5; allowed: a percentage from 0 to 100",
        "route[a].uncertain (line 11): found \"maybe\"; allowed: \"error\" or \"retry\"",
        "route[a].allow[1] (line 12): found \"get\"; allowed: \"debug\" or \"failover\" or",
        "route[a].colour (line 13): unknown key; allowed: name, listen, tls, old,",
        "route[a].guard.heartbeat_delay.limit (line 16): found \"0ms\"; allowed: a duration such as \"250ms\", \
         \"5s\" or \"2m\", from 10ms to 10m",
        "route[1].name (line 19): found \"a\", which route[a] has already",
        "route[1].listen[0] (line 20): found \"127.0.0.1:6400\", which route[a].listen[0] has already",
        "route[1].listen[1] (line 20): found an integer; allowed: an IP address and a port",
        "route[1].weight (line 22): found 5.00, but the route has no `new`; allowed: 0, or a `new`",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn what_is_said_is_what_holds() {
    let route = plain_with(
        "new = 'redis://h:2'\nweight = 12.25\nsubscribe_to = 'replica'\nuncertain = 'retry'\n\
         uncertain_publish = 'error'\n\
         allow = ['replicaof', 'debug', 'debug']\n\
         guard.probe_interval = '1s'\nguard.stale_after = '5s'\nguard.tilt_for = '3s'\n\
         guard.resync_loop = { limit = 7, for = '1s', clear_for = '2s', window = '3s', action = 'warn' }\n\
         guard.offset_lag = { limit = '1500ms', action_old = 'off' }\n\
         ramp = { steps = [2.5, 10], hold = '90s', window = '22:30-05:00' }\n\
         limits = { clients = 5, request_bytes = 2048, request_buffer_bytes = '3mb', output_buffer_bytes = '64mb', in_flight = 6, \
         hold_commands = 0, hold_time = '9s', drain = '20ms' }",
    )
    .unwrap();
    assert_eq!(route.weight.steps(), 1_225);
    assert_eq!(route.subscribe_to, SubscribeTo::Replica);
    assert_eq!(route.uncertain, OnUncertain::Retry);
    assert_eq!(route.uncertain_publish, OnUncertain::Error);
    assert_eq!(route.allow, ["debug", "replicaof"]);
    assert_eq!(route.guard.probe_interval, Duration::from_secs(1));
    assert_eq!(route.guard.stale_after, Duration::from_secs(5));
    assert_eq!(route.guard.tilt_for, Duration::from_secs(3));
    let resync = route.guard.rules.get(Rule::ResyncLoop);
    assert_eq!((resync.limit, resync.action), (7.0, [Action::Warn; 2]));
    let seconds = [resync.bad_for, resync.clear_for, resync.window].map(|time| time.as_secs());
    assert_eq!(seconds, [1, 2, 3]);
    let lag = route.guard.rules.get(Rule::OffsetLag);
    assert_eq!((lag.limit, lag.action), (1.5, [Action::Off, Action::Trip]));
    assert_eq!(
        route
            .ramp
            .steps
            .iter()
            .map(|step| step.steps())
            .collect::<Vec<_>>(),
        [250, 1_000]
    );
    assert_eq!(route.ramp.hold, Duration::from_secs(90));
    assert_eq!(route.ramp.window, "22:30-05:00".parse().ok());
    let limits = &route.limits;
    assert_eq!(
        (limits.clients, limits.request_bytes, limits.in_flight),
        (5, 2048, 6)
    );
    assert_eq!(limits.request_buffer_bytes, 3 << 20);
    assert_eq!(limits.output_buffer_bytes, 64 << 20);
    assert_eq!((limits.hold.commands, limits.hold.time.as_secs()), (0, 9));
    assert_eq!(limits.drain, Duration::from_millis(20));
}

#[test]
fn what_is_said_of_one_side_holds_there_and_the_common_word_for_both() {
    let guard = |text: &str| plain_with(text).map(|route| route.guard);
    let one = guard("guard.replicas_usual_old = 2\nguard.bandwidth_mbit_new = 40").unwrap();
    assert_eq!(one.replicas_usual, [Some(2), None]);
    assert_eq!(one.bandwidth_mbit, [None, Some(40)]);
    let both = guard("guard.replicas_usual = 0\nguard.bandwidth_mbit = 1000").unwrap();
    assert_eq!(both.replicas_usual, [Some(0); 2]);
    assert_eq!(both.bandwidth_mbit, [Some(1000); 2]);
    let twice = fault(guard("guard.bandwidth_mbit = 1\nguard.bandwidth_mbit_old = 1"));
    assert!(twice.contains("guard.bandwidth_mbit_old"), "{twice}");
    assert!(twice.contains("beside `bandwidth_mbit`"), "{twice}");
}

#[test]
fn rules_that_have_keys_of_their_own_are_read_with_them() {
    let guard = plain_with(
        "guard.output_buffer = { limit = '1mb', overflow_within = '2s', for = '1s', action = 'warn' }\n\
         guard.memory_gap = { limit = 5, floor = '1mb' }\n\
         guard.traffic_rising = { limit = 50, window = '1m' }",
    )
    .unwrap()
    .guard;
    let buffer = guard.rules.get(Rule::OutputBuffer);
    assert_eq!((buffer.limit, buffer.action), (1_048_576.0, [Action::Warn; 2]));
    assert_eq!(guard.overflow_within, Duration::from_secs(2));
    assert_eq!(
        (guard.rules.get(Rule::MemoryGap).limit, guard.memory_gap_floor),
        (5.0, 1 << 20)
    );
    let rising = guard.rules.get(Rule::TrafficRising);
    assert_eq!((rising.limit, rising.window.as_secs()), (50.0, 60));
}

#[test]
fn a_ramp_has_as_many_steps_as_are_allowed_and_not_one_more() {
    let steps = |count: usize| {
        let steps: Vec<String> = (1..=count).map(|step| format!("{step}")).collect();
        plain_with(&format!("ramp.steps = [{}]", steps.join(", ")))
    };
    assert_eq!(steps(RAMP_STEPS_MAX).unwrap().ramp.steps.len(), RAMP_STEPS_MAX);
    assert!(fault(steps(RAMP_STEPS_MAX + 1)).contains("found 65 steps; allowed: an array of 1 to 64"));
    let falling = fault(plain_with("ramp.steps = [1, 25, 5]"));
    assert!(
        falling.starts_with("route[a].ramp.steps[2] (line 5): found 5; allowed: a percentage above 25.00"),
        "{falling}"
    );
}

#[test]
fn what_is_done_at_a_trip_needs_the_nodes_it_is_done_to() {
    let guard = |text: &str| plain_with(&format!("[route.guard]\n{text}"));
    assert!(!guard("").unwrap().guard.detaches_on_trip);
    assert!(!guard("on_trip = []").unwrap().guard.detaches_on_trip);
    let read = guard("on_trip = ['detach_new_replicas']\ndetach = ['h:1', '[::1]:6379']")
        .unwrap()
        .guard;
    let nodes = vec![NodeAddr::new("h", 1), NodeAddr::new("::1", 6379)];
    assert_eq!((read.detaches_on_trip, read.detach), (true, nodes));
    assert!(!guard("detach = ['h:1']").unwrap().guard.detaches_on_trip);
    for (text, says) in [
        ("on_trip = ['detach_new_replicas']", "without `detach`"),
        (
            "on_trip = ['detach_new_replicas']\ndetach = []",
            "without `detach`",
        ),
        ("on_trip = ['detach_all']", "allowed: \"detach_new_replicas\""),
        ("on_trip = true", "allowed: []"),
        ("detach = ['h']", "allowed: host:port"),
        ("detach = 'h:1'", "allowed: an array"),
        ("detach = ['h:1', 'h:1']", "twice"),
    ] {
        let fault = fault(guard(text));
        assert!(fault.contains(says), "{text}: {fault}");
    }
    let many: Vec<String> = (1..=65).map(|port| format!("'h:{port}'")).collect();
    assert!(guard(&format!("detach = [{}]", many[..64].join(","))).is_ok());
    assert!(fault(guard(&format!("detach = [{}]", many.join(",")))).contains("found 65 nodes"));
}

#[test]
fn workers_are_the_cores_unless_said_otherwise() {
    let workers = |proxy: &str| {
        let text = format!("{proxy}\n[[route]]\nname='a'\nlisten=['[::1]:1']\nold='redis://h:1'");
        read_text(&text).map(|config| (config.proxy.workers, config.proxy.metrics_listen))
    };
    let metrics = Some("127.0.0.1:9640".parse().unwrap());
    assert_eq!(workers(""), Ok((3, metrics)));
    assert_eq!(
        workers("proxy.workers = 0\nproxy.metrics_listen = ''"),
        Ok((3, None))
    );
    assert_eq!(workers("proxy.workers = 1024").unwrap().0, 1024);
    assert!(fault(workers("proxy.workers = 1025")).contains("allowed: a whole number from 0 to 1024"));
    assert!(fault(workers("proxy.workers = -1")).contains("found -1;"));
    assert!(fault(workers("proxy.metrics_listen = '[::1]:1'")).starts_with(
        "route[a].listen[0] (line 4): found \"[::1]:1\", which proxy.metrics_listen has already"
    ));
}

#[test]
fn credentials_come_from_the_url_a_table_a_file_or_the_environment() {
    let auth = |more: &str| route_with(more).map(|route| route.old.node_auth);
    let expected = |user: Option<&str>| {
        Ok(Some(Credentials {
            user: user.map(str::to_owned),
            password: Secret::new("s3cret"),
        }))
    };
    let table = |table: &str| auth(&format!("old = 'redis://h:1'\nold_auth = {{ {table} }}"));
    assert_eq!(auth("old = 'redis://u:s3cret@h:1'"), expected(Some("u")));
    assert_eq!(table("password = 's3cret'"), expected(None));
    assert_eq!(table("user = 'u', password_file = 'good'"), expected(Some("u")));
    assert_eq!(table("password_env = 'GOOD'"), expected(None));
    let split = "old = 'redis://u@h:1'\nold_auth.password_env = 'GOOD'";
    assert_eq!(auth(split), expected(Some("u")));
    let stripped_once = table("password_file = 'two-newlines'").unwrap().unwrap();
    assert_eq!(stripped_once.password.expose(), "s3cret\n");
    assert!(table("password_file = 'longest'").is_ok());
    let sentinel = "old = 'redis+sentinel://u:other@h:1/m'\nold_sentinel_auth.password = 's3cret'";
    assert_eq!(
        route_with(sentinel).map(|route| route.old.sentinel_auth),
        expected(None)
    );
}

#[test]
fn no_fault_about_credentials_shows_one() {
    for (more, cause) in [
        ("old = 'redis://hunter2@h:1'", "a user without a password"),
        (
            "old = 'redis://u:hunter2@h:1'\nold_auth.user = 'hunter2'",
            "a second user",
        ),
        (
            "old = 'redis://u:hunter2@h:1'\nold_auth.password = 'hunter2'",
            "a second password",
        ),
        (
            "old = 'redis://h:1'\nold_auth = 'hunter2'",
            "found a string; allowed: a table",
        ),
        ("old = 'redis://h:1'\nold_auth = {}", "found nothing in it"),
        (
            "old = 'redis://h:1'\nold_auth.pasword = 'hunter2'",
            "did you mean 'password'?",
        ),
        ("old = 'redis://h:1'\nold_auth.password = 427", "found an integer"),
        ("old = 'redis://h:1'\nold_auth.password = ''", "is empty"),
        (
            "old = 'redis://h:1'\nold_auth = { user = 'hunter2' }",
            "a user without a password",
        ),
        (
            "old = 'redis://h:1'\nold_auth.password_file = 'hunter2'",
            "cannot be read",
        ),
        (
            "old = 'redis://h:1'\nold_auth.password_file = 'empty'",
            "is empty",
        ),
        (
            "old = 'redis://h:1'\nold_auth.password_file = 'binary'",
            "not UTF-8",
        ),
        (
            "old = 'redis://h:1'\nold_auth.password_file = 'too-long'",
            "longer than 4096 bytes",
        ),
        (
            "old = 'redis://h:1'\nold_auth.password_env = 'hunter2'",
            "not set",
        ),
        (
            "old = 'redis://h:1'\nold_auth = { password = 'hunter2', password_env = 'GOOD' }",
            "allowed: one of",
        ),
        (
            "old = 'redis://h:1'\nold_sentinel_auth.password = 'hunter2'",
            "of a fixed node",
        ),
        (
            "old = 'redis://h:1'\nnew_auth.password = 'hunter2'",
            "a side that is not there",
        ),
        ("old = ['redis://u:hunter2@h:1']", "found an array"),
        ("old = 'redis://u:hunter2@h'", "a port is missing"),
        ("old = 'redis://h:1'\nlisten = ['u:hunter2@h:1']", "duplicate key"),
        (
            "old = 'redis://h:1'\nold_auth.password = 'hunter2",
            "invalid literal string",
        ),
    ] {
        let lines = fault_lines(route_with(more)).join("\n");
        assert!(lines.contains(cause), "{more}\n{lines}");
        assert!(!lines.contains("hunter2") && !lines.contains("427"), "{lines}");
    }
    let config =
        read_text("[[route]]\nname='a'\nlisten=['127.0.0.1:1']\nold='redis://u:hunter2@h:1'").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn every_fault_of_a_sides_credentials_is_reported() {
    let lines = fault_lines(route_with(
        "old = 'redis://u:x@h:1'\nold_auth = { user = '', password_file = 'empty', password_env = 'NONE' }\n\
         old_sentinel_auth = { user = 'u', pasword = 'x' }",
    ));
    for (line, path) in lines.iter().zip([
        "old_auth.user",
        "old_auth.password_file",
        "old_auth.password_env",
        "old_auth.password_env",
        "old_sentinel_auth.pasword",
        "old_sentinel_auth",
        "old_sentinel_auth",
    ]) {
        assert!(line.starts_with(&format!("route[a].{path} (line")), "{lines:#?}");
    }
    assert_eq!(lines.len(), 7, "{lines:#?}");
}

#[test]
fn what_is_not_built_yet_is_refused_as_such() {
    let line = fault(plain_with("data = 'linked'"));
    assert!(line.contains("not supported by this version yet"), "{line}");
}

#[test]
fn every_range_is_enforced_one_past_its_ends() {
    for (good, bad) in [
        ("limits.clients = 1", "limits.clients = 0"),
        ("limits.clients = 1_000_000", "limits.clients = 1_000_001"),
        (
            "limits.request_bytes = '1gb'",
            "limits.request_bytes = 1_073_741_825",
        ),
        ("limits.request_bytes = 1024", "limits.request_bytes = 1023"),
        ("limits.request_bytes = '1kb'", "limits.request_bytes = '1k'"),
        (
            "limits.request_buffer_bytes = '1mb'",
            "limits.request_buffer_bytes = 1_048_575",
        ),
        (
            "limits.request_buffer_bytes = '64gb'",
            "limits.request_buffer_bytes = 68_719_476_737",
        ),
        ("limits.hold_time = '10m'", "limits.hold_time = '10m 1ms'"),
        ("limits.drain = '10ms'", "limits.drain = '9ms'"),
        ("guard.probe_interval = '10ms'", "guard.probe_interval = '0s'"),
        ("guard.stale_after = '200ms'", "guard.stale_after = '199ms'"),
        ("guard.probe_interval = '1s'", "guard.probe_interval = '1001ms'"),
        ("guard.tilt_for = '10m'", "guard.tilt_for = '10 years'"),
        ("guard.link_down.limit = 64", "guard.link_down.limit = 65"),
        ("guard.memory_gap.limit = 100", "guard.memory_gap.limit = 101"),
        (
            "guard.output_buffer.limit = '1kb'",
            "guard.output_buffer.limit = 1023",
        ),
        ("guard.replicas_usual = 64", "guard.replicas_usual = 65"),
        ("guard.bandwidth_mbit = 1", "guard.bandwidth_mbit = 0"),
        ("guard.link_down.limit = 1", "guard.link_down.limit = 0"),
        ("guard.unreachable.limit = '1s'", "guard.unreachable.limit = 1"),
        (
            "guard.resync_loop.window = '1s'",
            "guard.unreachable.window = '1s'",
        ),
        ("guard.offset_lag.for = '0s'", "guard.offset_lag.for = '-1s'"),
        ("ramp.hold = '1s'", "ramp.hold = '999ms'"),
        ("ramp.hold = '24h'", "ramp.hold = '24h 1ms'"),
        ("ramp.steps = [0.01, 100]", "ramp.steps = [0.01, 100.01]"),
        ("ramp.steps = [5, 25.5]", "ramp.steps = [5, 5]"),
        ("ramp.steps = [100]", "ramp.steps = [0, 100]"),
        ("ramp.steps = [1]", "ramp.steps = []"),
        ("ramp.steps = [1, 2]", "ramp.steps = [1, '2']"),
        ("ramp.window = '20:00-06:00'", "ramp.window = '20:00-24:00'"),
        (
            "ramp.window = '06:00-06:01'\nramp.hold = '59s'",
            "ramp.window = '06:00-06:05'",
        ),
        ("weight = 0", "weight = 0.001"),
        ("weight = -0.0", "weight = nan"),
        ("subscribe_to = 'master'", "subscribe_to = 'Master'"),
        ("data = 'independent'", "data = 'shared'"),
        (
            "guard.link_down.action = 'off'",
            "guard.link_down.action = 'page'",
        ),
        (
            "guard.link_down = { action_old = 'off', action_new = 'off' }",
            "guard.link_down = { action = 'off', action_new = 'off' }",
        ),
    ] {
        plain_with(good).unwrap_or_else(|faults| panic!("{good}: {faults}"));
        let line = fault(plain_with(bad));
        let key = bad.split(['.', ' ']).next().unwrap();
        assert!(line.starts_with(&format!("route[a].{key}")), "{bad}: {line}");
    }
}

#[test]
fn a_route_cannot_lead_to_the_proxy_or_to_one_side_twice() {
    let line = fault(route_with("old = 'redis://localhost:1'"));
    assert!(line.starts_with("route[a].old: found localhost:1, which this proxy itself listens on"));
    let line = fault(plain_with("new = 'redis://h:1'"));
    assert!(line.starts_with("route[a].new: found the same as `old`"));
}

#[test]
fn a_config_needs_a_route_and_a_route_its_keys() {
    assert!(fault(read_text("")).starts_with("route: found nothing; allowed: one [[route]]"));
    assert!(fault(read_text("route = []")).contains("found 0 routes"));
    assert!(fault(read_text("[route]\nname = 'a'")).contains("found a table; allowed: one [[route]]"));
    assert!(
        fault(read_text("route = [7]")).starts_with("route[0] (line 1): found an integer; allowed: a table")
    );
    let missing = fault_lines(read_text("[[route]]"));
    assert_eq!(missing.len(), 3, "{missing:#?}");
    for (line, key) in missing.iter().zip(["name", "listen", "old"]) {
        assert!(
            line.starts_with(&format!("route[0].{key}: found nothing;")),
            "{line}"
        );
    }
}

#[test]
fn names_that_commands_could_not_say_are_refused() {
    for name in ["", "json", "a b", "../x", &"n".repeat(65)] {
        let text = format!("[[route]]\nname = '{name}'\nlisten = ['127.0.0.1:1']\nold = 'redis://h:1'");
        assert!(fault(read_text(&text)).starts_with("route[0].name (line 2): found"));
    }
}

#[test]
fn syntax_errors_are_all_reported_and_alone() {
    let lines = fault_lines(read_text("a = \n[proxy]\nworkers = 'x'\nb = 1 2\n"));
    assert!(
        lines.iter().all(|line| line.starts_with("syntax (line ")),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.contains("line 1")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("line 4")), "{lines:#?}");
}

#[test]
fn hostile_texts_are_refused_within_bounds() {
    let deep = 100_000;
    for text in [
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("{} = 1", "k".repeat(deep)),
        format!("proxy.workers = 1{}", "0".repeat(deep)),
        "[[route]]\n".repeat(ROUTES_MAX + 1),
        (0..deep / 10).map(|key| format!("k{key} = 1\n")).collect(),
    ] {
        let faults = read_text(&text).unwrap_err();
        assert!(faults.iter().count() <= FAULTS_MAX + 1);
        assert!(faults.iter().all(|fault| fault.to_string().len() < 500));
    }
    let long = " ".repeat(CONFIG_BYTES_MAX + 1);
    assert!(fault(read_text(&long)).contains("longer than"));
}

#[test]
fn a_file_that_is_none_is_one_fault() {
    let directory = tempfile::tempdir().unwrap();
    let missing = fault(load(&directory.path().join("missing.toml")));
    assert!(
        missing.contains("missing.toml: the file cannot be read"),
        "{missing}"
    );
    assert!(fault(load(directory.path())).contains("cannot be read"));
    let path = directory.path().join("binary.toml");
    std::fs::write(&path, b"a = 1\n\xff").unwrap();
    assert!(fault(load(&path)).contains("not UTF-8 from byte 6 on"));
    std::fs::write(&path, " ".repeat(CONFIG_BYTES_MAX + 1)).unwrap();
    assert!(fault(load(&path)).contains("longer than"));
    std::fs::write(&path, include_str!("../../config/example.toml")).unwrap();
    assert_eq!(load(&path).unwrap().routes[0].name, "pubsub-1");
}

/// Pieces that get past the TOML parser and into the readers.
const PIECES: &str = r#"(\[proxy\]|\[\[route\]\]|\[route\.(guard|limits|ramp|old_auth|guard\.link_down)\]|(name|listen|old|new|weight|data|guard|limits|workers|for|limit|window|action|steps|hold|password|request_bytes|drain|"")(\.[a-z]{1,3})? = (-?[0-9]{1,25}(\.[0-9]{1,3})?|"\PC{0,12}"|"redis(\+sentinel)?://[a-z@:/,\[\]%?#0-9]{0,20}"|\["[0-9.:]{0,12}"\]|nan|true|\{\}|\[\[\]\]|1979-05-27|"[0-9]{1,20}[a-z]{1,2}"))
"#;

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = read_text(&text);
    }

    #[test]
    fn no_toml_makes_the_parser_panic_or_show_more_than_lines(
        text in proptest::collection::vec(PIECES, 0..12).prop_map(|pieces| pieces.concat())
    ) {
        if let Err(faults) = read_text(&text) {
            prop_assert!(faults.iter().count() > 0);
            for fault in &faults {
                prop_assert!(!fault.to_string().contains(char::is_control), "{fault}");
            }
        }
    }
}
