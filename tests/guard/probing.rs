//! What is a node asked, and what if it does not want to say, or cannot?

use std::time::Duration;

use switchback::cluster::{Credentials, Secret};
use switchback::control_plane::guard::{Rule, Verdict};
use switchback::lab::Server;

use crate::harness::{Guard, of, options, run, servers, topology};

#[test]
fn what_a_node_refuses_to_say_is_told_once_and_unknown() {
    run(async {
        let servers = servers(&options());
        let rights = ["+@all", "-slowlog", "-client|list"];
        for server in &servers {
            let user = [
                &["ACL", "SETUSER", "watcher", "on", ">pw", "~*", "&*"][..],
                &rights,
            ]
            .concat();
            server.call(&user).unwrap();
        }
        let auth = Credentials {
            user: Some("watcher".to_owned()),
            password: Secret::new("pw"),
        };
        let (mut guard, _) = Guard::start(Some(auth));
        guard.set_topology(topology(&servers));
        let known = |verdicts: &[_]| of(verdicts, Rule::HeartbeatDelay).verdict == Verdict::Ok;
        guard.until("the other rules", known).await;
        guard.go_on(Duration::from_secs(3)).await;
        let verdicts = guard.until("a look", |_| true).await;
        for rule in [Rule::OutputBuffer, Rule::SlowlogGrowth] {
            assert_eq!(of(&verdicts, rule).verdict, Verdict::Unknown, "{rule}");
        }
        let told = |what: &str| {
            guard
                .reasons
                .iter()
                .filter(|reason| reason.contains(what))
                .count()
        };
        assert_eq!(
            told("refuses SLOWLOG GET 1, which serves slowlog_growth: NOPERM"),
            3,
            "{:?}",
            guard.reasons
        );
        assert_eq!(
            told("refuses CLIENT LIST TYPE replica, which serves output_buffer: NOPERM"),
            1
        );
    });
}

/// Commands of a kind a server has executed.
fn calls(server: &Server, command: &str) -> u64 {
    let line = server
        .info("commandstats", &format!("cmdstat_{command}"))
        .unwrap();
    let count = line
        .strip_prefix("calls=")
        .and_then(|rest| rest.split(',').next());
    count.map_or(0, |count| count.parse().unwrap())
}

#[test]
fn a_node_that_does_not_answer_has_one_question_open() {
    run(async {
        let master = Server::start(&options()).unwrap();
        let mut guard = Guard::watching(std::slice::from_ref(&master)).await;
        let before = calls(&master, "slowlog|get");
        master.signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
        let silences = guard.silences;
        guard
            .go_on_until("three silences", |guard| guard.silences >= silences + 3)
            .await;
        master.signal(nix::sys::signal::Signal::SIGCONT).unwrap();
        let answers = guard.answers;
        guard
            .go_on_until("an answer", |guard| guard.answers > answers)
            .await;
        // The one that was open, whose connection is gone, and the one after it: what was not answered was not asked again.
        let asked = calls(&master, "slowlog|get") - before;
        assert!(
            asked <= 4,
            "{asked} questions after {} silences",
            guard.silences - silences
        );
    });
}
