//! Do users and passwords of the servers hold through the proxy?

use std::time::{Duration, Instant};

use switchback::cluster::{Credentials, Secret, Side};
use switchback::config::Unauthenticated;

use crate::proxied::{Client, Proxied, Server, key_of, wait_for};

const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\\r\\n";
const NOAUTH: &str = "-NOAUTH Authentication required.\\r\\n";
const OK: &str = "+OK\\r\\n";

/// The same on both sides.
fn on_both(proxied: &Proxied, line: &str) {
    for server in [&proxied.old, &proxied.new] {
        assert_eq!(server.client().text(line), OK, "{line}");
    }
}

fn with_alice() -> Proxied {
    let proxied = Proxied::start();
    on_both(
        &proxied,
        "ACL SETUSER alice on >secret ~a:* ~k* &a:* +@all -flushall",
    );
    proxied
}

fn logged_in(proxied: &Proxied, line: &str) -> Client {
    let mut client = proxied.client();
    assert_eq!(client.text(line), OK);
    client
}

/// A reply as text, with quotes as they are.
fn said(client: &mut Client, line: &str) -> String {
    client.text(line).replace("\\'", "'")
}

/// Whether the proxy closes the client's connection.
fn is_closed(client: &mut Client) -> bool {
    client.try_reply().is_none()
}

#[test]
fn a_client_is_checked_by_the_server_and_its_commands_run_as_its_user() {
    let proxied = with_alice();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut client = proxied.client();
        assert_eq!(client.text("ACL WHOAMI"), "$7\\r\\ndefault\\r\\n");
        assert_eq!(client.text("AUTH alice wrong"), WRONGPASS);
        assert_eq!(client.text("AUTH nobody secret"), WRONGPASS);
        assert_eq!(client.text("ACL WHOAMI"), "$7\\r\\ndefault\\r\\n", "as it was");
        assert_eq!(client.text("AUTH alice secret"), OK);
        assert_eq!(client.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
        for side in [Side::Old, Side::New] {
            let key = key_of(side, 0);
            assert_eq!(client.text(&format!("SET {key} 1")), OK);
        }
        assert_eq!(
            client.text("GET b"),
            "-NOPERM this user has no permissions to access one of the keys used as arguments\\r\\n"
        );
        assert_eq!(
            said(&mut client, "FLUSHALL"),
            "-NOPERM this user has no permissions to run the 'flushall' command\\r\\n"
        );
        assert_eq!(client.text("AUTH alice wrong"), WRONGPASS);
        assert_eq!(client.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
        assert_eq!(client.text("RESET"), "+RESET\\r\\n");
        assert_eq!(client.text("ACL WHOAMI"), "$7\\r\\ndefault\\r\\n");
        assert_eq!(client.text("GET b"), "$-1\\r\\n");
    }
}

#[test]
fn hello_authenticates_and_names_in_the_order_of_its_options() {
    let proxied = with_alice();
    let mut client = proxied.client();
    assert_eq!(
        client.text("HELLO 3 SETNAME a AUTH alice wrong SETNAME b"),
        WRONGPASS
    );
    assert_eq!(client.text("CLIENT GETNAME"), "$1\\r\\na\\r\\n");
    assert_eq!(
        client.text("HELLO 4 AUTH alice secret"),
        "-NOPROTO unsupported protocol version\\r\\n"
    );
    assert_eq!(client.text("ACL WHOAMI"), "$7\\r\\ndefault\\r\\n");
    let hello = client.text("HELLO 3 AUTH alice secret SETNAME b");
    assert!(hello.starts_with("%7\\r\\n") && hello.contains("role"), "{hello}");
    assert_eq!(client.text("CLIENT GETNAME"), "$1\\r\\nb\\r\\n");
    assert_eq!(client.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
    assert_eq!(
        said(&mut client, "HELLO 2 AUTH default x NONSENSE"),
        "-ERR Syntax error in HELLO option 'NONSENSE'\\r\\n"
    );
    assert_eq!(
        client.text("ACL WHOAMI"),
        "$7\\r\\ndefault\\r\\n",
        "it holds, as with Redis"
    );
    assert_eq!(
        client.text("GET nothing"),
        "_\\r\\n",
        "and the protocol is as it was"
    );
}

#[test]
fn before_a_password_is_given_only_what_redis_allows_is_answered() {
    let proxied = Proxied::start();
    on_both(&proxied, "CONFIG SET requirepass secret");
    let direct = Server::start_with(&["--requirepass", "secret"]);
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let (mut here, mut there) = (proxied.client(), direct.client());
        for line in [
            "GET a",
            "PING",
            "SUBSCRIBE c",
            "MULTI",
            "EXEC",
            "SELECT 1",
            "CLIENT ID",
            "CLIENT SETNAME x",
            "FROB a",
            "CLIENT FROB",
            "GET",
            "AUTH",
            "AUTH wrong",
            "AUTH default wrong",
            "AUTH a b c",
            "HELLO",
            "HELLO 3",
            "HELLO 2 AUTH default wrong",
            "HELLO 9",
            "HELLO x",
            "HELLO 2 FROB",
            "RESET x",
            "RESET",
            "ACL WHOAMI",
            "QUIT now",
        ] {
            assert_eq!(here.text(line), there.text(line), "{line} at {weight}");
        }
        assert!(is_closed(&mut here) && is_closed(&mut there));
        let (mut here, mut there) = (proxied.client(), direct.client());
        for line in [
            "AUTH secret",
            "SET a 1",
            "ACL WHOAMI",
            "RESET",
            "GET a",
            "AUTH default secret",
            "GET a",
        ] {
            assert_eq!(here.text(line), there.text(line), "{line} at {weight}");
        }
    }
}

#[test]
fn requests_larger_than_redis_takes_of_the_unauthenticated_end_the_connection() {
    let proxied = Proxied::start();
    on_both(&proxied, "CONFIG SET requirepass secret");
    let direct = Server::start_with(&["--requirepass", "secret"]);
    let large = vec![b'x'; 16 * 1024 + 1];
    let many = vec![&b"x"[..]; 11];
    for request in [&[&b"AUTH"[..], &large][..], &many] {
        let (mut here, mut there) = (proxied.client(), direct.client());
        let said = there.call(request);
        assert!(
            said.starts_with(b"-ERR Protocol error: unauthenticated"),
            "{}",
            said.escape_ascii()
        );
        assert_eq!(here.call(request), said);
        assert!(is_closed(&mut here));
    }
    let fits = &large[1..];
    assert_eq!(
        proxied.client().call(&[b"AUTH", fits]).escape_ascii().to_string(),
        WRONGPASS
    );
    // One that is served may send more, but no such password.
    let mut client = logged_in(&proxied, "AUTH secret");
    assert_eq!(client.call(&[b"SET", b"a", &large]), b"+OK\r\n");
    let said = client.call(&[b"AUTH", &large]).escape_ascii().to_string();
    assert!(said.starts_with("-TOOBIG"), "{said}");
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
}

#[test]
fn a_user_that_is_deleted_loses_its_connections_and_nobody_else_does() {
    let proxied = with_alice();
    on_both(&proxied, "ACL SETUSER bob on >secret ~* &* +@all");
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        on_both(&proxied, "ACL SETUSER alice on >secret ~a:* &a:* +@all");
        let mut alice = logged_in(&proxied, "AUTH alice secret");
        let mut idle = logged_in(&proxied, "AUTH alice secret");
        let mut listening = logged_in(&proxied, "AUTH alice secret");
        listening.send(&[b"SUBSCRIBE", b"a:1"]);
        listening.reply();
        let mut blocked = logged_in(&proxied, "AUTH alice secret");
        blocked.send(&[b"BLPOP", b"a:queue", b"0"]);
        let mut bob = logged_in(&proxied, "AUTH bob secret");
        let mut first = proxied.client();
        assert_eq!(alice.text("SET a:1 1"), OK);
        for client in [&mut bob, &mut first] {
            assert_eq!(client.text("SET a 1"), OK);
        }
        let deleted = Instant::now();
        for server in [&proxied.old, &proxied.new] {
            assert_eq!(server.client().text("ACL DELUSER alice"), ":1\\r\\n");
        }
        for client in [&mut alice, &mut idle, &mut listening, &mut blocked] {
            while !is_closed(client) {}
        }
        assert!(
            deleted.elapsed() < Duration::from_secs(5),
            "{:?}",
            deleted.elapsed()
        );
        assert_eq!(proxied.client().text("AUTH alice secret"), WRONGPASS);
        for client in [&mut bob, &mut first] {
            assert_eq!(client.text("GET a"), "$1\\r\\n1\\r\\n");
        }
    }
}

#[test]
fn changed_permissions_hold_for_the_next_command_and_a_changed_password_ends_nothing() {
    let proxied = with_alice();
    let mut alice = logged_in(&proxied, "AUTH alice secret");
    assert_eq!(alice.text("GET a:1"), "$-1\\r\\n");
    on_both(&proxied, "ACL SETUSER alice -get");
    assert!(alice.text("GET a:1").starts_with("-NOPERM"));
    on_both(&proxied, "ACL SETUSER alice +get resetpass >other");
    assert_eq!(alice.text("GET a:1"), "$-1\\r\\n");
    assert_eq!(proxied.client().text("AUTH alice secret"), WRONGPASS);
    let mut other = logged_in(&proxied, "AUTH alice other");
    assert_eq!(other.text("GET a:1"), "$-1\\r\\n");
    // What needs a connection of its own cannot have one by the former password, and says so.
    assert_eq!(alice.text("BLPOP a:q 0.01"), WRONGPASS);
    assert_eq!(alice.text("GET a:1"), "$-1\\r\\n");
    assert_eq!(other.text("BLPOP a:q 0.01"), "*-1\\r\\n");
}

#[test]
fn a_default_user_that_asks_for_a_password_from_now_on_is_asked_for_one() {
    let proxied = Proxied::start();
    let mut before = proxied.client();
    assert_eq!(before.text("SET a 1"), OK);
    on_both(&proxied, "CONFIG SET requirepass secret");
    wait_for("new clients to be asked", || {
        proxied.client().text("GET a") == NOAUTH
    });
    assert_eq!(
        before.text("GET a"),
        "$1\\r\\n1\\r\\n",
        "as with Redis, who is there stays"
    );
    on_both_as(&proxied, "secret", "ACL SETUSER default nopass");
    let mut after = proxied.client();
    wait_for("the door to open", || after.text("GET a") == "$1\\r\\n1\\r\\n");
}

fn on_both_as(proxied: &Proxied, password: &str, line: &str) {
    for server in [&proxied.old, &proxied.new] {
        let mut client = server.client();
        assert_eq!(client.text(&format!("AUTH {password}")), OK);
        assert_eq!(client.text(line), OK);
    }
}

#[test]
fn a_restart_of_a_node_is_not_the_end_of_its_users() {
    let mut proxied = with_alice();
    let mut alice = logged_in(&proxied, "AUTH alice secret");
    assert_eq!(alice.text("GET a:1"), "$-1\\r\\n");
    let port = proxied.old.port;
    proxied.old.kill();
    proxied.old = Server::start_on_with(port, &["--user", "alice", "on", ">secret", "~a:*", "+@all"]);
    assert_eq!(alice.text("SET a:1 1"), OK);
    assert_eq!(alice.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
}

#[test]
fn the_routes_credentials_are_for_clients_or_for_the_proxy_alone() {
    for unauthenticated in [Unauthenticated::Route, Unauthenticated::Default] {
        let proxied = Proxied::with(|config| {
            config.unauthenticated = unauthenticated;
            config.old.node_auth = Some(Credentials {
                user: Some("proxy".to_owned()),
                password: Secret::new("own"),
            });
        });
        on_both(&proxied, "ACL SETUSER proxy on >own ~* &* +@all");
        on_both(&proxied, "ACL SETUSER alice on >secret ~* &* +@all");
        on_both(&proxied, "CONFIG SET requirepass x");
        let mut client = proxied.client();
        let first = match unauthenticated {
            Unauthenticated::Route => "$5\\r\\nproxy\\r\\n",
            Unauthenticated::Default => NOAUTH,
        };
        assert_eq!(client.text("ACL WHOAMI"), first);
        assert_eq!(client.text("AUTH alice secret"), OK);
        assert_eq!(client.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
        assert_eq!(client.text("RESET"), "+RESET\\r\\n");
        assert_eq!(client.text("ACL WHOAMI"), first);
    }
}

#[test]
fn a_user_that_may_do_next_to_nothing_is_served_all_the_same() {
    let proxied = Proxied::start();
    on_both(&proxied, "ACL SETUSER poor on >secret ~* +get");
    on_both(&proxied, "ACL SETUSER default -@all");
    let mut first = proxied.client();
    assert_eq!(
        said(&mut first, "PING"),
        "-NOPERM this user has no permissions to run the 'ping' command\\r\\n"
    );
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut poor = logged_in(&proxied, "AUTH poor secret");
        for side in [Side::Old, Side::New] {
            assert_eq!(poor.text(&format!("GET {}", key_of(side, 0))), "$-1\\r\\n");
        }
        assert_eq!(
            said(&mut poor, "SELECT 1"),
            "-NOPERM this user has no permissions to run the 'select' command\\r\\n"
        );
        assert_eq!(poor.text("GET k"), "$-1\\r\\n");
    }
}

#[test]
fn channels_are_permitted_by_the_server() {
    let proxied = with_alice();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut alice = logged_in(&proxied, "AUTH alice secret");
        let refused =
            "-NOPERM this user has no permissions to access one of the channels used as arguments\\r\\n";
        assert_eq!(alice.text("SUBSCRIBE b:1"), refused);
        assert_eq!(alice.text("SUBSCRIBE b:1"), refused, "at once, and again");
        assert_eq!(alice.text("PSUBSCRIBE *"), refused);
        assert_eq!(alice.text("PUBLISH b:1 x"), refused);
        alice.send(&[b"SUBSCRIBE", b"a:1"]);
        assert!(alice.reply().ends_with(b"a:1\r\n:1\r\n"));
        let mut publisher = logged_in(&proxied, "AUTH alice secret");
        assert!(publisher.text("PUBLISH a:1 hello").starts_with(':'));
        assert!(alice.reply().ends_with(b"hello\r\n"));
        let mut default = proxied.client();
        default.send(&[b"PSUBSCRIBE", b"*"]);
        default.reply();
        assert!(publisher.text("PUBLISH a:1 again").starts_with(':'));
        assert!(alice.reply().ends_with(b"again\r\n"));
        assert!(default.reply().ends_with(b"again\r\n"));
    }
}

#[test]
fn a_channel_that_is_forbidden_from_now_on_ends_its_subscribers() {
    let proxied = with_alice();
    on_both(
        &proxied,
        "ACL SETUSER bob on >secret ~* resetchannels &a:1 &a:2 +@all",
    );
    let mut clients: Vec<Client> = ["a:1", "a:2"]
        .iter()
        .map(|channel| {
            let mut client = logged_in(&proxied, "AUTH bob secret");
            client.send(&[b"SUBSCRIBE", channel.as_bytes()]);
            client.reply();
            client
        })
        .collect();
    on_both(&proxied, "ACL SETUSER bob resetchannels &a:2");
    assert!(is_closed(&mut clients[0]));
    let mut publisher = proxied.client();
    wait_for("the other to be heard again", || {
        publisher.text("PUBLISH a:2 x") == ":1\\r\\n"
    });
    assert!(clients[1].reply().ends_with(b"x\r\n"));
}

#[test]
fn acl_commands_work_and_change_both_sides_at_a_weight_between() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let direct = Server::start();
    let mut there = direct.client();
    for line in [
        "ACL",
        "ACL HELP",
        "ACL CAT",
        "ACL CAT frob",
        "ACL LIST",
        "ACL USERS",
        "ACL GETUSER default",
        "ACL GETUSER nobody",
        "ACL LOG",
        "ACL LOG x",
        "ACL GENPASS 0",
        "ACL GENPASS x",
        "ACL DRYRUN default get a",
        "ACL DRYRUN nobody get a",
        "ACL SETUSER",
        "ACL SETUSER x +frob",
        "ACL SETUSER carl on >p +get ~c",
        "ACL GETUSER carl",
        "ACL DRYRUN carl set c 1",
        "ACL DELUSER carl dora",
        "ACL DELUSER default",
        "ACL SAVE",
        "ACL LOAD",
        "ACL FROB",
        "ACL WHOAMI now",
    ] {
        assert_eq!(client.text(line), there.text(line), "{line}");
    }
    assert_eq!(
        client.text("ACL CAT string"),
        proxied.old.client().text("ACL CAT string")
    );
    assert_eq!(client.text("ACL GENPASS").len(), there.text("ACL GENPASS").len());
    proxied.weight(50);
    assert_eq!(client.text("ACL SETUSER carl on >p +get ~c"), OK);
    for server in [&proxied.old, &proxied.new] {
        assert!(server.client().text("ACL USERS").contains("carl"));
        assert_eq!(server.client().text("AUTH x y"), WRONGPASS);
    }
    assert_eq!(client.text("ACL LOG RESET"), OK);
    for server in [&proxied.old, &proxied.new] {
        assert_eq!(server.client().text("ACL LOG"), "*0\\r\\n");
    }
    assert_eq!(client.text("ACL DELUSER carl"), ":1\\r\\n");
    for server in [&proxied.old, &proxied.new] {
        assert!(!server.client().text("ACL USERS").contains("carl"));
    }
}

#[test]
fn between_weights_a_refusal_of_either_side_is_the_reply() {
    let proxied = Proxied::start();
    assert_eq!(
        proxied.old.client().text("ACL SETUSER alice on >secret ~* +@all"),
        OK
    );
    assert_eq!(proxied.client().text("AUTH alice secret"), OK);
    proxied.weight(50);
    assert_eq!(proxied.client().text("AUTH alice secret"), WRONGPASS);
    proxied.weight(0);
    let mut client = logged_in(&proxied, "AUTH alice secret");
    assert_eq!(client.text("SET a 1"), OK);
    proxied.weight(100);
    assert_eq!(
        client.text("GET a"),
        WRONGPASS,
        "the other side does not know the user"
    );
    proxied.weight(0);
    assert_eq!(client.text("GET a"), "$1\\r\\n1\\r\\n");
}

#[test]
fn ten_thousand_wrong_passwords_disturb_nobody() {
    let proxied = with_alice();
    let mut attacker = proxied.client();
    let mut alice = logged_in(&proxied, "AUTH alice secret");
    let mut pipeline = Vec::new();
    for number in 0..10_000 {
        pipeline.extend(crate::proxied::encode(&[
            b"AUTH",
            b"alice",
            format!("{number}").as_bytes(),
        ]));
    }
    let mut writing = attacker.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut writing, &pipeline).unwrap());
    for number in 0..200 {
        assert_eq!(alice.text(&format!("SET a:{number} x")), OK);
    }
    for _ in 0..10_000 {
        assert_eq!(attacker.reply().escape_ascii().to_string(), WRONGPASS);
    }
    writer.join().unwrap();
    assert_eq!(alice.text("GET a:1"), "$1\\r\\nx\\r\\n");
    let connections = proxied.old.client().text("INFO stats");
    let received = connections.split("total_connections_received:").nth(1).unwrap();
    let received: u32 = received.split("\\r").next().unwrap().parse().unwrap();
    assert!(received < 30, "{received} connections");
}

#[test]
fn names_and_passwords_may_have_any_bytes() {
    let proxied = Proxied::start();
    let (name, password) = (&b"\xff\xfe\r\n\x01"[..], &b"\x80\r\n$5\r\n\x7f"[..]);
    let rule = [b">", password].concat();
    for server in [&proxied.old, &proxied.new] {
        let mut client = server.client();
        assert!(
            client
                .call(&[b"ACL", b"SETUSER", b"odd\xff", b"on", &rule, b"+@all", b"~*"])
                .starts_with(b"+OK")
        );
    }
    let mut client = proxied.client();
    assert!(client.call(&[b"AUTH", name, password]).starts_with(b"-WRONGPASS"));
    assert!(
        client
            .call(&[b"AUTH", b"odd\xff", b""])
            .starts_with(b"-WRONGPASS")
    );
    assert_eq!(client.call(&[b"AUTH", b"odd\xff", password]), b"+OK\r\n");
    assert_eq!(client.call(&[b"ACL", b"WHOAMI"]), b"$4\r\nodd\xff\r\n");
}

#[test]
fn transactions_blocking_commands_and_scripts_run_as_the_user() {
    let proxied = with_alice();
    let mut alice = logged_in(&proxied, "AUTH alice secret");
    assert_eq!(alice.text("MULTI"), OK);
    assert!(alice.text("SET b 1").starts_with("-NOPERM"));
    assert!(alice.text("EXEC").starts_with("-EXECABORT"));
    assert!(alice.text("BLPOP b 0.01").starts_with("-NOPERM"));
    assert_eq!(alice.text("BLPOP a:q 0.01"), "*-1\\r\\n");
    let mut default = proxied.client();
    let body: &[u8] = b"return redis.call('GET', 'b')";
    let sha = default.call(&[b"SCRIPT", b"LOAD", body]);
    let sha = sha.split(|byte| *byte == b'\n').nth(1).unwrap()[..40].to_vec();
    assert_eq!(default.call(&[b"EVALSHA", &sha, b"0"]), b"$-1\r\n");
    assert!(alice.call(&[b"EVALSHA", &sha, b"0"]).starts_with(b"-"));
    on_both(&proxied, "ACL SETUSER alice -script ~*");
    proxied.weight(100);
    assert!(
        alice.call(&[b"EVALSHA", &sha, b"0"]).starts_with(b"-NOSCRIPT"),
        "it may not load it"
    );
    assert_eq!(default.call(&[b"EVALSHA", &sha, b"0"]), b"$-1\r\n");
    assert_eq!(alice.call(&[b"EVALSHA", &sha, b"0"]), b"$-1\r\n");
}

#[test]
fn what_the_proxy_answers_in_a_servers_place_the_server_may_forbid() {
    let proxied = Proxied::start();
    let direct = Server::start();
    let rule = "ACL SETUSER poor on >secret ~* +@all -client -select";
    on_both(&proxied, rule);
    assert_eq!(direct.client().text(rule), OK);
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let (mut here, mut there) = (logged_in(&proxied, "AUTH poor secret"), direct.client());
        assert_eq!(there.text("AUTH poor secret"), OK);
        for line in [
            "CLIENT LIST",
            "CLIENT KILL ID 1",
            "CLIENT KILL 1.2.3.4:5",
            "CLIENT UNBLOCK 1",
            "CLIENT NO-EVICT on",
            "CLIENT REPLY on",
            "CLIENT INFO",
            "CLIENT ID",
            "CLIENT GETNAME",
            "CLIENT SETNAME a",
            "SELECT 1",
        ] {
            let expected = there.text(line);
            assert!(expected.starts_with("-NOPERM"), "{line}: {expected}");
            assert_eq!(here.text(line), expected, "{line} at {weight}");
        }
        if weight == 50 {
            here.text("MULTI");
            assert_eq!(here.text("CLIENT LIST"), "+QUEUED\\r\\n", "it has no side yet");
            assert!(here.text("EXEC").starts_with("-EXECABORT"));
            continue;
        }
        let queued = ["CLIENT LIST", "CLIENT PAUSE 1", "CLIENT SETNAME a", "PING"];
        for line in ["MULTI"].iter().chain(&queued).chain(&["EXEC"]) {
            assert_eq!(here.text(line), there.text(line), "{line} at {weight}");
        }
    }
    on_both(&proxied, "ACL SETUSER poor +client");
    proxied.weight(50);
    let mut here = logged_in(&proxied, "AUTH poor secret");
    assert_eq!(here.text("CLIENT SETNAME a"), OK);
    assert!(here.text("CLIENT LIST").contains("user=poor"));
    assert_eq!(
        here.text("CLIENT KILL USER poor"),
        ":0\\r\\n",
        "nobody but who asks"
    );
    assert_eq!(
        said(&mut here, "CLIENT KILL USER nobody"),
        "-ERR No such user 'nobody'\\r\\n"
    );
}

#[test]
fn a_client_keeps_its_database_as_a_user_who_may_not_choose_one() {
    let proxied = Proxied::start();
    on_both(
        &proxied,
        "ACL SETUSER bob on >secret ~* +get +set +acl|whoami +multi +exec +auth",
    );
    let denied = "-NOPERM this user has no permissions to run the 'select' command\\r\\n";
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut client = proxied.client();
        assert_eq!(client.text("SELECT 3"), OK);
        assert_eq!(client.text("AUTH bob secret"), OK);
        for side in [Side::Old, Side::New] {
            let key = key_of(side, 0);
            assert_eq!(client.text(&format!("SET {key} {weight}")), OK);
            assert_eq!(client.text("MULTI"), OK);
            assert_eq!(client.text(&format!("GET {key}")), "+QUEUED\\r\\n");
            let value = weight.to_string();
            let executed = format!("*1\\r\\n${}\\r\\n{value}\\r\\n", value.len());
            assert_eq!(client.text("EXEC"), executed);
            let mut third = proxied.client();
            assert_eq!(third.text("SELECT 3"), OK);
            assert!(
                third
                    .text(&format!("GET {key}"))
                    .ends_with(&format!("{value}\\r\\n"))
            );
        }
        // Also where others of its name have links to that database.
        let mut other = logged_in(&proxied, "AUTH bob secret");
        for line in ["SELECT 3", "SELECT 0", "SELECT x"] {
            assert_eq!(said(&mut client, line), denied);
            assert_eq!(said(&mut other, line), denied);
        }
        assert_eq!(other.text(&format!("GET {}", key_of(Side::Old, 0))), "$-1\\r\\n");
    }
}

#[test]
fn what_is_watched_stays_so_when_the_client_becomes_another_user() {
    let proxied = with_alice();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut other = proxied.client();
        for side in [Side::Old, Side::New] {
            let key = key_of(side, 0);
            let mut client = proxied.client();
            client.text(&format!("WATCH {key}"));
            assert_eq!(client.text("AUTH alice wrong"), WRONGPASS);
            assert_eq!(client.text("AUTH alice secret"), OK);
            client.text("MULTI");
            client.text("ACL WHOAMI");
            assert_eq!(client.text("EXEC"), "*1\\r\\n$5\\r\\nalice\\r\\n", "at {weight}");
            client.text(&format!("WATCH {key}"));
            assert_eq!(client.text("AUTH alice secret"), OK);
            other.text(&format!("SET {key} {weight}"));
            client.text("MULTI");
            client.text("ACL WHOAMI");
            assert_eq!(client.text("EXEC"), "*-1\\r\\n", "at {weight}");
            assert_eq!(client.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
        }
    }
    // One side lets it in, and the other does not: it is who it was, and nothing runs as somebody else.
    proxied.new.client().text("ACL SETUSER alice resetpass >other");
    proxied.weight(50);
    for side in [Side::Old, Side::New] {
        let mut client = proxied.client();
        client.text(&format!("WATCH {}", key_of(side, 0)));
        assert_eq!(client.text("AUTH alice secret"), WRONGPASS);
        client.text("MULTI");
        client.text("ACL WHOAMI");
        let said = client.text("EXEC");
        let expected = match side {
            Side::Old => "*-1\\r\\n",
            Side::New => "*1\\r\\n$7\\r\\ndefault\\r\\n",
        };
        assert_eq!(said, expected, "{side:?}");
        assert_eq!(client.text("ACL WHOAMI"), "$7\\r\\ndefault\\r\\n");
    }
}

#[test]
fn hello_in_a_transaction_authenticates_and_names_as_far_as_it_comes() {
    let proxied = with_alice();
    let becomes = |client: &mut Client, hello: &str| {
        for queued in ["MULTI", hello, "ACL WHOAMI"] {
            client.text(queued);
        }
        client.text("EXEC")
    };
    for weight in [0, 100] {
        proxied.weight(weight);
        let mut client = proxied.client();
        let said = becomes(&mut client, "HELLO 3 SETNAME a AUTH alice wrong SETNAME b");
        assert!(
            said.starts_with("*2\\r\\n-WRONGPASS") && said.ends_with("default\\r\\n"),
            "{said}"
        );
        assert_eq!(client.text("CLIENT GETNAME"), "$1\\r\\na\\r\\n");
        assert_eq!(client.text("GET nothing"), "$-1\\r\\n", "still RESP2");
        let said = becomes(&mut client, "HELLO 3 AUTH alice secret NONSENSE");
        assert!(
            said.contains("-ERR Syntax error in HELLO option") && said.ends_with("alice\\r\\n"),
            "{said}"
        );
        assert_eq!(client.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
        let mut client = proxied.client();
        let said = becomes(&mut client, "HELLO 3 AUTH alice secret SETNAME c");
        assert!(said.starts_with("*2\\r\\n%7\\r\\n"), "{said}");
        assert_eq!(client.text("CLIENT GETNAME"), "$1\\r\\nc\\r\\n");
        assert_eq!(client.text("GET a:nothing"), "_\\r\\n", "RESP3 on every link");
        assert!(client.text("GET b").starts_with("-NOPERM"), "alice on every link");
        client.text("MULTI");
        let twice = client.text("HELLO 3 AUTH default x AUTH alice secret");
        assert!(twice.contains("is not supported by switchback"), "{twice}");
        assert!(client.text("EXEC").starts_with("-EXECABORT"));
        assert_eq!(client.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
    }
    proxied.weight(50);
    let mut client = proxied.client();
    client.text("MULTI");
    let refused = client.text("HELLO 3 AUTH alice secret");
    assert!(refused.contains("while two masters share the keys"), "{refused}");
    assert!(client.text("EXEC").starts_with("-EXECABORT"));
}

#[test]
fn a_transaction_goes_on_as_whom_it_has_authenticated() {
    let proxied = with_alice();
    for weight in [0, 100] {
        proxied.weight(weight);
        let mut client = proxied.client();
        for queued in [
            "MULTI",
            "AUTH alice wrong",
            "ACL WHOAMI",
            "AUTH alice secret",
            "ACL WHOAMI",
        ] {
            client.text(queued);
        }
        let said = client.text("EXEC");
        assert!(said.starts_with("*4\\r\\n-WRONGPASS"), "{said}");
        assert!(
            said.ends_with("default\\r\\n+OK\\r\\n$5\\r\\nalice\\r\\n"),
            "{said}"
        );
        assert_eq!(client.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
        assert!(client.text("GET b").starts_with("-NOPERM"), "on every link");
        for queued in ["MULTI", "AUTH alice secret"] {
            client.text(queued);
        }
        assert!(
            client
                .text("SUBSCRIBE c")
                .contains("is not supported by switchback")
        );
        assert!(client.text("EXEC").starts_with("-EXECABORT"));
    }
    proxied.weight(50);
    let mut client = proxied.client();
    client.text("MULTI");
    assert!(
        client.text("AUTH alice secret").starts_with("-ERR"),
        "one side's word is not both's"
    );
    assert!(client.text("EXEC").starts_with("-EXECABORT"));
}
