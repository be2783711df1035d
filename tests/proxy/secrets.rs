//! Is a password told anywhere, whatever becomes of it?

use switchback::cluster::Secret;
use switchback::lab::{Client, Server, ServerOptions, wait_for};

use crate::running::{Running, SOON, program, stderr};

/// In every password of this file, and in nothing else.
const MARK: &str = "s3cret";

fn server(password: &str) -> Server {
    Server::start(&ServerOptions {
        password: Some(Secret::new(password)),
        ..ServerOptions::default()
    })
    .unwrap()
}

#[test]
fn no_log_line_no_metric_no_reply_and_no_fault_tells_a_password() {
    let (old, new) = (server("s3cret-of-old"), server("s3cret-of-new"));
    let more = "[route.new_auth]\npassword_file = \"{dir}/password\"\n";
    let running = Running::start_logging(
        "trace",
        &format!("redis://:s3cret-of-old@{}", old.addr()),
        &format!("redis://{}", new.addr()),
        more,
        // It is wrong, and so the node says something about it again and again.
        &[("password", "s3cret-that-is-wrong\n")],
    );
    let mut app = running.client();
    app.call(&["AUTH", "s3cret-of-old"]).unwrap();
    app.call(&["AUTH", "nobody", "s3cret-of-an-app"]).unwrap();
    app.call(&["SET", "k", "v"]).unwrap();
    app.call(&["HELLO", "2", "AUTH", "default", "s3cret-of-old"])
        .unwrap();
    app.call(&["ACL", "SETUSER", "x", "on", ">s3cret-of-x"]).unwrap();
    Client::connect_unix(&running.socket())
        .unwrap()
        .call(&["AUTH", "s3cret-of-an-operator"])
        .unwrap();
    // As it is refused: at weight 0 nothing else would ask `new`.
    running.say(&["WEIGHT", "r", "5"]);
    let is_told =
        || running.say(&["HEALTH", "r", "JSON"]).contains("WRONGPASS") || running.log().contains("WRONGPASS");
    wait_for("the wrong password to be told of", SOON, is_told).unwrap();
    let mut told = vec![
        running.log(),
        running.page("/metrics").1,
        running.page("/").1,
        running.page("/status.json").1,
    ];
    for words in [&["STATUS"][..], &["HEALTH"], &["TOPOLOGY"], &["EVENTS"]] {
        told.push(format!("{:?}", running.admin(words)));
        told.push(running.say(&[words, &["JSON"]].concat()));
    }
    let config = running.path("switchback.toml").display().to_string();
    let text = std::fs::read_to_string(&config).unwrap();
    assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
    std::fs::write(&config, text.replace("s3cret-of-old", "s3cret-of-another")).unwrap();
    told.push(running.say(&["CONFIG", "RELOAD"]));
    std::fs::write(&config, text.replace("redis://:", "redis//:")).unwrap();
    told.push(running.say(&["CONFIG", "RELOAD"]));
    told.push(stderr(&program(&["check", "--config", &config])));
    told.push(running.log());
    for text in &told {
        assert!(!text.is_empty());
        let at = text
            .find(MARK)
            .map(|at| &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
        assert_eq!(at, None);
    }
    assert!(
        told[0].contains("TRACE") || told[0].contains("DEBUG"),
        "nothing is logged in detail"
    );
}
