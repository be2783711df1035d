//! What has no key: told by one side, by both, or allowed on purpose.

use std::sync::atomic::Ordering;

use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, key_of, wait_for};

const LIBRARY: &str = "#!lua name=lib\nredis.register_function('f', function(k, a) return a[1] end)";

fn load(client: &mut Client) -> Vec<u8> {
    client.call(&[b"FUNCTION", b"LOAD", LIBRARY.as_bytes()])
}

fn has_library(server: &Server) -> bool {
    server.client().text("FUNCTION LIST").contains("lib")
}

#[test]
fn what_an_operator_does_to_a_server_is_done_to_both_between_weights() {
    let proxied = Proxied::start();
    let servers = [&proxied.old, &proxied.new];
    let mut client = proxied.client();
    proxied.weight(50);
    assert_eq!(
        client.text("CONFIG SET maxmemory 100mb maxmemory-samples 7"),
        "+OK\\r\\n"
    );
    for server in servers {
        let told = server.client().text("CONFIG GET maxmemory-samples");
        assert!(told.contains("\\r\\n7\\r\\n"), "{told}");
        server
            .client()
            .text("CONFIG SET slowlog-log-slower-than 0 latency-monitor-threshold 1");
        server
            .client()
            .call(&[b"EVAL", b"for i = 1, 5000000 do end", b"0"]);
    }
    assert!(
        client
            .text("CONFIG SET maxmemory nonsense")
            .starts_with("-ERR CONFIG SET failed")
    );
    assert!(
        client
            .text("CONFIG SET no-such-thing 1")
            .starts_with("-ERR Unknown option")
    );
    assert_eq!(client.text("CONFIG SET slowlog-log-slower-than -1"), "+OK\\r\\n");
    assert_eq!(client.text("SLOWLOG RESET"), "+OK\\r\\n");
    assert_eq!(client.text("CONFIG RESETSTAT"), "+OK\\r\\n");
    assert_eq!(client.text("MEMORY PURGE"), "+OK\\r\\n");
    assert_eq!(client.text("SAVE"), "+OK\\r\\n");
    assert_eq!(client.text("LATENCY RESET command"), ":2\\r\\n");
    for server in servers {
        assert_eq!(server.client().text("SLOWLOG LEN"), ":0\\r\\n");
        let stats = server.client().text("INFO stats");
        assert!(stats.contains("total_error_replies:0\\r\\n"), "{stats}");
        assert!(
            server
                .client()
                .text("INFO persistence")
                .contains("rdb_changes_since_last_save:0\\r\\n")
        );
    }
    // Still one of a side's own: what is half done would not fit together.
    assert!(
        client
            .text("SWAPDB 0 1")
            .contains("while two masters share the keys")
    );
    // Whichever side's script it is.
    assert_eq!(client.text("CONFIG SET busy-reply-threshold 50"), "+OK\\r\\n");
    assert!(client.text("SCRIPT KILL").starts_with("-NOTBUSY"));
    for side in Side::BOTH {
        let mut busy = proxied.client();
        busy.send(&[b"EVAL", b"while true do end", b"1", key_of(side, 0).as_bytes()]);
        wait_for("the script to run for long", || {
            servers[side.index()].client().text("PING").starts_with("-BUSY")
        });
        // Some are served where the busy one is.
        let mut killers: Vec<Client> = (0..8).map(|_| proxied.client()).collect();
        let kills = killers.iter_mut().map(|killer| killer.text("SCRIPT KILL"));
        assert!(kills.filter(|kill| kill == "+OK\\r\\n").count() > 0);
        let killed = busy.reply();
        assert!(
            killed.starts_with(b"-ERR Script killed by user"),
            "{}",
            killed.escape_ascii()
        );
    }
}

#[test]
fn info_is_the_majority_owners_with_a_section_of_the_proxys_own() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    for protocol in ["2", "3"] {
        client.text(&format!("HELLO {protocol}"));
        for (weight, side) in [(0, Side::Old), (50, Side::Old), (51, Side::New), (100, Side::New)] {
            proxied.weight(weight);
            let server = match side {
                Side::Old => &proxied.old,
                Side::New => &proxied.new,
            };
            for line in [
                "INFO",
                "INFO all",
                "INFO EVERYTHING",
                "INFO Default",
                "INFO server switchback",
            ] {
                let info = client.text(line);
                assert!(
                    info.contains(&format!("tcp_port:{}\\r\\n", server.port)),
                    "{line}: {info}"
                );
                let section = format!(
                    "\\r\\n\\r\\n# Switchback\\r\\nswitchback_version:0.1.0\\r\\nswitchback_route:test\\r\\n\
                     switchback_weight:{weight}.00\\r\\n"
                );
                assert!(info.contains(&section), "{line}: {info}");
                let end = format!(
                    "switchback_latched:0\\r\\nswitchback_owner:{side}\\r\\nswitchback_clients:1\\r\\n\\r\\n"
                );
                assert!(info.ends_with(&end), "{line}: {info}");
            }
            assert!(!client.text("INFO server clients").contains("Switchback"));
            let own = client.text("INFO switchback");
            assert!(own.contains("# Switchback") && !own.contains("# Server"), "{own}");
        }
    }
    // The reply's length is true: what follows it is the next reply.
    client.send(&[b"INFO"]);
    client.send(&[b"PING"]);
    client.reply();
    assert_eq!(client.reply(), b"+PONG\r\n");
}

#[test]
fn a_library_loaded_at_0_is_there_when_the_weight_moves_and_goes_from_both() {
    let proxied = Proxied::start();
    assert_eq!(load(&mut proxied.client()), b"$3\r\nlib\r\n");
    wait_for("the library on new", || has_library(&proxied.new));
    let mut client = proxied.client();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        for side in Side::BOTH {
            let key = key_of(side, 0);
            assert_eq!(
                client.text(&format!("FCALL f 1 {key} x")),
                "$1\\r\\nx\\r\\n",
                "at {weight}"
            );
        }
    }
    assert!(load(&mut client).starts_with(b"-ERR Library 'lib' already exists"));
    assert_eq!(client.text("FUNCTION DELETE lib"), "+OK\\r\\n");
    wait_for("its end on old", || !has_library(&proxied.old));
    proxied.weight(50);
    assert_eq!(load(&mut client), b"$3\r\nlib\r\n");
    assert!(
        has_library(&proxied.old) && has_library(&proxied.new),
        "by the time of the reply"
    );
    assert_eq!(client.text("FUNCTION FLUSH"), "+OK\\r\\n");
    assert!(!has_library(&proxied.old) && !has_library(&proxied.new));
}

#[test]
fn a_side_that_is_down_or_was_routed_back_from_is_not_told_of_libraries() {
    let mut proxied = Proxied::start();
    proxied.stats.latched.store(true, Ordering::Relaxed);
    let mut client = proxied.client();
    assert_eq!(load(&mut client), b"$3\r\nlib\r\n");
    proxied.stats.latched.store(false, Ordering::Relaxed);
    let again = LIBRARY.replace("lib", "later");
    let again = again.replace("'f'", "'g'");
    assert_eq!(
        client.call(&[b"FUNCTION", b"LOAD", again.as_bytes()]),
        b"$5\r\nlater\r\n"
    );
    wait_for("the second library", || {
        proxied.new.client().text("FUNCTION LIST").contains("later")
    });
    assert!(!proxied.new.client().text("FUNCTION LIST").contains("$3\\r\\nlib"));
    proxied.new.kill();
    assert_eq!(
        client.text("FUNCTION FLUSH"),
        "+OK\\r\\n",
        "new is not waited for"
    );
}

#[test]
fn what_is_refused_by_default_is_passed_on_where_the_route_allows_it() {
    let strict = Proxied::start();
    assert!(
        strict
            .client()
            .text("DEBUG OBJECT a")
            .contains("DEBUG command not allowed"),
        "a client on the proxy's own host is answered by the server"
    );
    let proxied = Proxied::with(|config| config.allow = vec!["replicaof"]);
    let debuggable = Server::start_with(&["--enable-debug-command", "yes"]);
    proxied.master(Side::Old, Some(&debuggable));
    let mut client = proxied.client();
    client.text("SET a 1");
    assert!(client.text("DEBUG OBJECT a").starts_with("+Value at:"));
    assert_eq!(client.text("DEBUG SLEEP 0"), "+OK\\r\\n");
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert_eq!(client.text("DEBUG SLEEP 0"), "+QUEUED\\r\\n");
    assert_eq!(client.text("EXEC"), "*1\\r\\n+OK\\r\\n");
    assert_eq!(client.text("REPLICAOF NO ONE"), "+OK\\r\\n");
    assert!(
        client
            .text("SLAVEOF NO ONE")
            .contains("not supported by switchback")
    );
    assert!(
        client
            .text("SHUTDOWN NOSAVE")
            .contains("not supported by switchback")
    );
    assert_eq!(client.text("GET a"), "$1\\r\\n1\\r\\n");
    proxied.weight(50);
    assert!(
        client
            .text("DEBUG SLEEP 0")
            .contains("while two masters share the keys")
    );
    proxied.weight(100);
    assert!(
        client.text("DEBUG SLEEP 0").contains("DEBUG command not allowed"),
        "new's own words"
    );
}

#[test]
fn databases_are_swapped_where_one_side_has_them_all() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    client.text("SET a 1");
    assert_eq!(client.text("SWAPDB 0 1"), "+OK\\r\\n");
    assert_eq!(client.text("EXISTS a"), ":0\\r\\n");
    proxied.weight(50);
    assert!(
        client
            .text("SWAPDB 0 1")
            .contains("while two masters share the keys")
    );
}

#[test]
fn subcommands_that_no_server_has_are_refused_between_weights_in_its_own_words() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    proxied.weight(50);
    for (command, container) in [
        ("PUBSUB NONSENSE", "PUBSUB"),
        ("CONFIG NONSENSE a b", "CONFIG"),
        ("function NONSENSE", "FUNCTION"),
        ("OBJECT NONSENSE k", "OBJECT"),
    ] {
        let expected = format!("-ERR unknown subcommand \\'NONSENSE\\'. Try {container} HELP.\\r\\n");
        assert_eq!(client.text(command), expected, "{command}");
        client.text("MULTI");
        assert_eq!(client.text(command), expected, "{command} in a transaction");
        assert!(client.text("EXEC").starts_with("-EXECABORT"), "{command}");
    }
    let long = "x".repeat(200);
    assert!(
        client
            .text(&format!("CONFIG {long}"))
            .contains("while two masters share the keys"),
        "too long to ask for"
    );
}
