//! How a proxy ends, also when it has hardly begun or is in no mood to; and what does not end it.

use nix::sys::signal::Signal;
use switchback::lab::{free_port, wait_for};

use crate::operating::{server, url};
use crate::running::{Running, SOON, run_unread};

#[test]
fn a_signal_while_nodes_are_still_looked_for_ends_it_and_leaves_no_socket() {
    let nobody = free_port().unwrap();
    let mut running = Running::start_without_waiting(&format!("redis+sentinel://127.0.0.1:{nobody}/m"));
    wait_for("the admin socket", SOON, || running.socket().exists()).unwrap();
    running.signal(Signal::SIGTERM);
    wait_for("the end", SOON, || running.has_ended()).unwrap();
    assert!(!running.socket().exists());
    assert!(running.log().contains("ending"), "{}", running.log());
}

#[test]
fn an_operator_is_answered_as_soon_as_the_wait_for_dead_sentinels_is_over() {
    let nobody = free_port().unwrap();
    let running = Running::start_without_waiting(&format!("redis+sentinel://127.0.0.1:{nobody}/m"));
    wait_for("the admin socket", SOON, || running.socket().exists()).unwrap();
    assert_eq!(running.say(&["WEIGHT", "r"]), "0.00");
    assert!(running.page("/readyz").1.contains("no usable master on side old"));
    assert!(running.has_event("sentinel_lost"), "{:#?}", running.events());
}

#[test]
fn a_signal_cuts_a_long_shutdown_short_and_leaves_no_socket() {
    let old = server();
    let mut running = Running::start(&url(&old), None, "");
    let mut waiting = running.client();
    waiting.send(&["BLPOP", "queue", "0"]).unwrap();
    wait_for("the blocked client", SOON, || {
        old.info("clients", "blocked_clients").unwrap() == "1"
    })
    .unwrap();
    assert_eq!(running.page("/readyz").1, "ready\n");
    assert_eq!(running.say(&["SHUTDOWN", "GRACE", "600"]), "OK");
    let (status, why) = running.page("/readyz");
    assert!(status.contains("503") && why.contains("ending"), "{status} {why}");
    assert!(!running.has_ended());
    running.signal(Signal::SIGTERM);
    wait_for("the end", SOON, || running.has_ended()).unwrap();
    assert!(!running.socket().exists());
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let (old, new) = (server(), server());
    let mut running = Running::start(&url(&old), Some(&url(&new)), "");
    running.raise("1");
    running.kill();
    let _unread = run_unread(&running.path("switchback.toml"));
    let answers = || running.try_say(&["WEIGHT", "r"]).as_deref() == Some("1.00");
    wait_for("the proxy to answer", SOON, answers).unwrap();
    // A pipe holds 64 KiB, and each line has 100 bytes.
    for step in 0..1_500 {
        let percent = ["0", "1"][step % 2];
        assert_eq!(
            running.say(&["WEIGHT", "r", percent, "FORCE", "test"]),
            "OK",
            "{step}"
        );
    }
}
