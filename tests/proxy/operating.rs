//! What an operator does, on a day when nothing fails.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use switchback::lab::{Client, Server, ServerOptions, wait_for};

use crate::running::{Running, SOON, program, stderr};

pub(crate) fn server() -> Server {
    Server::start(&ServerOptions::default()).unwrap()
}

pub(crate) fn url(server: &Server) -> String {
    format!("redis://{}", server.addr())
}

fn pair() -> (Server, Server, Running) {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    (old, new, running)
}

#[test]
fn traffic_moves_by_weight_and_back_and_every_step_is_told() {
    let (old, new, running) = pair();
    let mut app = running.client();
    app.ask(&["SET", "key", "1"]).unwrap();
    assert_eq!(old.call(&["GET", "key"]).unwrap().text().as_deref(), Some("1"));
    assert_eq!(running.say(&["WEIGHT", "r"]), "0.00");
    running.raise("100");
    assert_eq!(running.say(&["WEIGHT", "r"]), "100.00");
    app.ask(&["SET", "key", "2"]).unwrap();
    assert_eq!(new.call(&["GET", "key"]).unwrap().text().as_deref(), Some("2"));
    let raised = running.status();
    assert_eq!(
        (&raised["weight"], &raised["state"], &raised["latched"]),
        (&json!(100.0), &json!("steady"), &json!(false))
    );
    assert_eq!(running.say(&["BACK", "r", "REASON", "a", "drill"]), "OK");
    let back = running.status();
    assert_eq!(
        (&back["weight"], &back["state"], &back["latched"]),
        (&json!(0.0), &json!("tripped"), &json!(true))
    );
    assert!(back["epoch"].as_u64() > raised["epoch"].as_u64());
    assert!(back["reason"].as_str().unwrap().contains("a drill"), "{back}");
    app.ask(&["SET", "key", "3"]).unwrap();
    assert_eq!(old.call(&["GET", "key"]).unwrap().text().as_deref(), Some("3"));
    assert!(
        running
            .say(&["WEIGHT", "r", "5"])
            .starts_with("-TRIPPED operator: a drill")
    );
    assert!(
        running
            .say(&["WEIGHT", "r", "5", "FORCE", "please"])
            .starts_with("-TRIPPED")
    );
    assert_eq!(running.say(&["ARM", "r"]), "OK");
    running.raise("5");
    assert_eq!(running.say(&["WEIGHT", "r", "0"]), "OK");
    let kinds: Vec<String> = running
        .events()
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect();
    for kind in ["started", "weight", "route_back", "routed_back", "armed"] {
        assert!(
            kinds.iter().any(|found| found == kind),
            "{kind} is missing in {kinds:?}"
        );
    }
}

#[test]
fn a_shift_over_time_passes_through_the_weights_between() {
    let (_old, _new, running) = pair();
    running.raise("1");
    assert_eq!(running.say(&["WEIGHT", "r", "100", "OVER", "2"]), "OK");
    let mut seen = Vec::new();
    running.wait_until("the shift to end", |status| {
        assert!(status["weight"].as_f64() <= status["target"].as_f64());
        seen.push(status["weight"].as_f64().unwrap());
        status["state"] == "steady"
    });
    assert_eq!(seen.last(), Some(&100.0));
    assert!(
        seen.is_sorted() && seen.iter().any(|weight| (20.0..80.0).contains(weight)),
        "{seen:?}"
    );
    assert!(running.has_event("shift_done"));
}

#[test]
fn the_command_line_asks_the_running_proxy() {
    let (_old, _new, running) = pair();
    let socket = running.socket().display().to_string();
    let ask = |words: &[&str]| program(&[words, &["--socket", &socket]].concat());
    running.raise("25");
    let weight = ask(&["weight", "r"]);
    assert_eq!(
        (weight.status.code(), weight.stdout.as_slice()),
        (Some(0), &b"25.00\n"[..])
    );
    let status: serde_json::Value = serde_json::from_slice(&ask(&["status", "r", "--json"]).stdout).unwrap();
    assert_eq!(status["weight"], 25.0);
    for report in ["status", "health", "topology", "events"] {
        let output = ask(&[report]);
        assert_eq!(output.status.code(), Some(0), "{report}: {}", stderr(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains('r'), "{report}");
    }
    assert_eq!(ask(&["back", "r", "--reason", "drill"]).status.code(), Some(0));
    let refused = ask(&["weight", "r", "50"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("TRIPPED") && stderr(&refused).lines().count() == 1,
        "{}",
        stderr(&refused)
    );
    assert_eq!(ask(&["arm", "r"]).status.code(), Some(0));
    let unknown = ask(&["weight", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        stderr(&unknown).contains("no such route 'nobody'; there are: r"),
        "{}",
        stderr(&unknown)
    );
    assert_eq!(ask(&["weight", "r", "101"]).status.code(), Some(2));
}

#[test]
fn several_routes_have_weights_and_latches_of_their_own() {
    let servers = [server(), server(), server(), server()];
    let second = switchback::lab::free_port().unwrap();
    let more = format!(
        "[[route]]\nname = \"s\"\nlisten = [\"127.0.0.1:{second}\"]\nold = \"{}\"\nnew = \"{}\"\n",
        url(&servers[2]),
        url(&servers[3])
    );
    let running = Running::start(&url(&servers[0]), Some(&url(&servers[1])), &more);
    running.raise("100");
    let mut first_app = running.client();
    let mut second_app = Client::connect(&switchback::cluster::NodeAddr::new("127.0.0.1", second)).unwrap();
    first_app.ask(&["SET", "k", "first"]).unwrap();
    second_app.ask(&["SET", "k", "second"]).unwrap();
    assert_eq!(
        servers[1].call(&["GET", "k"]).unwrap().text().as_deref(),
        Some("first")
    );
    assert_eq!(
        servers[2].call(&["GET", "k"]).unwrap().text().as_deref(),
        Some("second")
    );
    assert_eq!(running.say(&["BACK", "s"]), "OK");
    assert_eq!(running.say(&["WEIGHT", "r"]), "100.00");
    assert_eq!(running.status()["latched"], json!(false));
}

#[test]
fn metrics_health_and_readiness_are_served() {
    let (old, _new, running) = pair();
    let mut app = running.client();
    for _ in 0..10 {
        app.ask(&["PING"]).unwrap();
        app.ask(&["SET", "k", "v"]).unwrap();
    }
    assert!(app.call(&["INCR", "k"]).unwrap().text().is_none());
    let commands = "switchback_commands_total{route=\"r\",side=\"old\"}";
    wait_for("the counters to be flushed", SOON, || {
        running.metric(commands) >= Some(11.0)
    })
    .unwrap();
    let count = "switchback_command_seconds_count{route=\"r\",side=\"old\"}";
    wait_for("the histogram", SOON, || {
        running.metric(count) == running.metric(commands)
    })
    .unwrap();
    let errors = "switchback_command_errors_total{route=\"r\",side=\"old\",kind=\"server\"}";
    assert_eq!(running.metric(errors), Some(1.0));
    assert_eq!(
        running.metric("switchback_client_connections{route=\"r\"}"),
        Some(1.0)
    );
    assert_eq!(running.metric("switchback_weight_ratio{route=\"r\"}"), Some(0.0));
    running.raise("50");
    assert_eq!(running.metric("switchback_weight_ratio{route=\"r\"}"), Some(0.5));
    assert_eq!(running.metric("switchback_route_latched{route=\"r\"}"), Some(0.0));
    let up = format!(
        "switchback_node_up{{route=\"r\",side=\"old\",node=\"{}\"}}",
        old.addr()
    );
    wait_for("the node to be up", SOON, || running.metric(&up) == Some(1.0)).unwrap();
    running.say(&["BACK", "r"]);
    let backs = "switchback_route_backs_total{route=\"r\",reason=\"operator\"}";
    wait_for("the route back", SOON, || running.metric(backs) == Some(1.0)).unwrap();
    assert_eq!(running.page("/healthz").0, "HTTP/1.1 200 OK");
    assert_eq!(
        running.page("/readyz"),
        ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned())
    );
    assert_eq!(running.page("/nothing").0, "HTTP/1.1 404 Not Found");
}

#[test]
fn a_changed_file_is_taken_whole_or_not_at_all() {
    let (_old, _new, running) = pair();
    let mut app = running.client();
    app.ask(&["PING"]).unwrap();
    let file = running.path("switchback.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{before}\n[route.limits]\nclients = 1\n")).unwrap();
    assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
    app.ask(&["PING"]).unwrap();
    wait_for("the new limit", SOON, || {
        running.client().call(&["PING"]).is_ok_and(|reply| matches!(&reply, switchback::lab::Reply::Error(text) if text.contains("max number of clients")))
    })
    .unwrap();
    std::fs::write(
        &file,
        before.replace("name = \"r\"", "name = \"other\"\nnonsense = 1"),
    )
    .unwrap();
    let refused = running.say(&["CONFIG", "RELOAD"]);
    assert!(
        refused.starts_with("-ERR not reloaded") && refused.contains("nonsense"),
        "{refused}"
    );
    running.signal(Signal::SIGHUP);
    wait_for("the refusal in the log", SOON, || {
        running.log().contains("not reloaded")
    })
    .unwrap();
    app.ask(&["PING"]).unwrap();
    assert_eq!(running.say(&["WEIGHT", "r"]), "0.00");
}

#[test]
fn a_reload_knows_routes_by_their_names_and_not_by_their_order() {
    let servers = [server(), server()];
    let second = switchback::lab::free_port().unwrap();
    let more = format!(
        "[[route]]\nname = \"s\"\nlisten = [\"127.0.0.1:{second}\"]\nold = \"{}\"\n",
        url(&servers[1])
    );
    let running = Running::start(&url(&servers[0]), None, &more);
    let file = running.path("switchback.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (head, routes) = text.split_once("[[route]]").unwrap();
    let (first, last) = routes.split_once("[[route]]").unwrap();
    let swapped = format!("{head}[[route]]{last}[route.limits]\nclients = 0\n[[route]]{first}");
    let swapped = swapped.replace("clients = 0", "clients = 1");
    std::fs::write(&file, swapped).unwrap();
    assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
    let address = switchback::cluster::NodeAddr::new("127.0.0.1", second);
    let mut only = Client::connect(&address).unwrap();
    only.ask(&["PING"]).unwrap();
    wait_for("the limit of `s`", SOON, || {
        Client::connect(&address)
            .and_then(|mut app| app.ask(&["PING"]))
            .is_err()
    })
    .unwrap();
    let apps = [running.client(), running.client(), running.client()];
    for mut app in apps {
        app.ask(&["PING"]).unwrap();
    }
    assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
    assert_eq!(running.status()["route"], json!("r"));
}

#[test]
fn a_rule_that_is_turned_off_is_not_bad_any_more_and_a_reload_forgets_no_evidence() {
    let (_old, new, running) = pair();
    running.raise("50");
    drop(new);
    running.wait_until("the trip", |status| status["state"] == "tripped");
    let bad = "switchback_guard_bad{route=\"r\",side=\"new\",rule=\"unreachable\"}";
    assert_eq!(running.metric(bad), Some(1.0));
    let file = running.path("switchback.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[route.guard]\ntilt_for = \"3s\"\n")).unwrap();
    assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
    let refused = running.say(&["ARM", "r"]);
    assert!(refused.starts_with("-FROZEN rule=unreachable"), "{refused}");
    std::fs::write(
        &file,
        format!("{text}\n[route.guard.unreachable]\naction = \"off\"\n"),
    )
    .unwrap();
    assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
    wait_for("the series to go", SOON, || running.metric(bad) != Some(1.0)).unwrap();
    assert_eq!(running.say(&["ARM", "r"]), "OK");
}

#[test]
fn the_end_waits_for_replies_and_lets_idle_clients_go() {
    let (old, _new, mut running) = pair();
    let mut idle = running.client();
    idle.ask(&["PING"]).unwrap();
    let mut waiting = running.client();
    waiting.send(&["BLPOP", "queue", "1"]).unwrap();
    wait_for("the blocked client", SOON, || {
        old.info("clients", "blocked_clients").unwrap() == "1"
    })
    .unwrap();
    running.signal(Signal::SIGTERM);
    assert!(idle.receive().is_err(), "an idle client is let go");
    assert!(waiting.receive().is_ok(), "a reply under way is waited for");
    wait_for("the end", Duration::from_secs(15), || running.has_ended()).unwrap();
    assert!(!running.socket().exists());
}

#[test]
fn what_cannot_start_says_what_and_where_in_one_line() {
    let (_old, _new, running) = pair();
    let config = running.path("switchback.toml").display().to_string();
    let twice = program(&["run", "--config", &config]);
    assert_eq!(twice.status.code(), Some(1));
    let said = stderr(&twice);
    let last = said.lines().last().unwrap();
    assert!(last.contains("route 'r' cannot listen on 127.0.0.1:"), "{said}");
    let faulty = running.path("faulty.toml");
    let text = "[proxy]\nworkers = -1\nspeed = 9\n[[route]]\nname = \"a b\"\nlisten = [\"here\"]\nold = \"redis://\"\nweight = 101\n";
    std::fs::write(&faulty, text).unwrap();
    for command in ["check", "run"] {
        let output = program(&[command, "--config", &faulty.display().to_string()]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let said = stderr(&output);
        for path in ["workers", "speed", "name", "listen", "old", "weight"] {
            assert!(
                said.lines().any(|line| line.contains(path)),
                "{path} is missing in {said}"
            );
        }
    }
    assert_eq!(program(&["check", "--config", &config]).status.code(), Some(0));
    assert_eq!(
        running.client().ask(&["PING"]).unwrap().text().as_deref(),
        Some("PONG")
    );
}
