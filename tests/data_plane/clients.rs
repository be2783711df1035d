//! The proxy's own clients: told of, killed, unblocked and muted, whichever worker serves them.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, encode, key_of, wait_for};

/// So many that both workers have some.
const MANY: usize = 24;

pub(crate) fn id(client: &mut Client) -> String {
    client
        .text("CLIENT ID")
        .trim_matches([':', '\\', 'r', 'n'])
        .to_owned()
}

/// The lines of CLIENT LIST.
pub(crate) fn lines(client: &mut Client, request: &str) -> Vec<String> {
    let list = client.text(request);
    let body = list.split_once("\\r\\n").unwrap().1.trim_end_matches("\\r\\n");
    body.split("\\n")
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(crate) fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let of = |part: &'l str| part.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
    line.split(' ')
        .find_map(of)
        .unwrap_or_else(|| panic!("no {name} in {line}"))
}

fn names(line: &str) -> Vec<&str> {
    line.split(' ')
        .map(|part| part.split_once('=').unwrap().0)
        .collect()
}

fn wait_for_blocked(server: &Server, count: usize) {
    let mut direct = server.client();
    let words = format!("blocked_clients:{count}\\r");
    wait_for(&words, || direct.text("INFO clients").contains(&words));
}

#[test]
fn info_counts_who_blocks_on_either_side_and_waits_for_none() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut blocked: Vec<Client> = Side::BOTH
        .map(|side| {
            let mut client = proxied.client();
            client.send(&[b"BLPOP", key_of(side, 0).as_bytes(), b"0"]);
            client
        })
        .into();
    for server in [&proxied.old, &proxied.new] {
        wait_for_blocked(server, 1);
    }
    let mut client = proxied.client();
    for request in ["INFO", "INFO clients"] {
        let info = client.text(request);
        assert!(info.contains("blocked_clients:2\\r"), "{request}: {info}");
    }
    assert_eq!(
        client.text(&format!("RPUSH {} v", key_of(Side::New, 0))),
        ":1\\r\\n"
    );
    assert!(blocked[1].reply().starts_with(b"*2"));
    wait_for_blocked(&proxied.new, 0);
    assert!(client.text("INFO clients").contains("blocked_clients:1\\r"));
    // At half, old is asked for the rest; new has no master now.
    proxied.master(Side::New, None);
    assert!(client.text("INFO clients").contains("blocked_clients:1\\r"));
}

#[test]
fn info_does_not_wait_for_a_side_that_is_lost_before_it_answers() {
    let mut proxied = Proxied::with(|config| config.limits.hold.time = Duration::from_secs(100));
    proxied.weight(50);
    let mut client = proxied.client();
    assert!(client.text("INFO clients").contains("blocked_clients:0\\r"));
    proxied.new.signal(Signal::SIGSTOP);
    let before = proxied.sent_nanos(Side::New);
    client.send(&[b"INFO", b"clients"]);
    wait_for("the other side to be asked", || {
        proxied.sent_nanos(Side::New) > before
    });
    proxied.new.kill();
    let info = String::from_utf8(client.reply()).unwrap();
    assert!(info.contains("blocked_clients:0\r"), "{info}");
}

/// Clients name themselves by it, to be killed or to be told what is stale.
#[test]
fn hello_tells_the_number_that_a_client_has() {
    let proxied = Proxied::start();
    // Links and clients are not numbered alike.
    let others: Vec<Client> = (0..MANY).map(|_| proxied.client()).collect();
    let mut client = proxied.client();
    let told = format!("$2\\r\\nid\\r\\n:{}\\r\\n", id(&mut client));
    for request in ["HELLO", "HELLO 3", "HELLO 3 SETNAME n", "HELLO 2"] {
        let reply = client.text(request);
        assert!(reply.contains(&told), "{request}: {reply}");
    }
    for version in ["3", "2"] {
        assert_eq!(client.text("MULTI"), "+OK\\r\\n");
        client.text("GET a");
        client.text(&format!("HELLO {version}"));
        let reply = client.text("EXEC");
        assert!(reply.contains(&told), "{reply}");
    }
    drop(others);
}

#[test]
fn a_list_has_the_clients_of_all_workers_each_with_every_field_of_a_server() {
    let proxied = Proxied::start();
    let mut clients: Vec<Client> = (0..MANY).map(|_| proxied.client()).collect();
    let ids: Vec<String> = clients.iter_mut().map(id).collect();
    let mut sorted = ids.clone();
    sorted.sort_by_key(|id| id.parse::<u64>().unwrap());
    let first = &mut clients[0];
    let list = lines(first, "CLIENT LIST");
    assert_eq!(
        list.iter().map(|line| field(line, "id")).collect::<Vec<_>>(),
        sorted
    );
    let there = lines(&mut proxied.old.client(), "CLIENT LIST");
    assert_eq!(names(&list[0]), names(&there[0]));
    let own = list.iter().find(|line| field(line, "id") == ids[0]).unwrap();
    assert_eq!(field(own, "addr"), first.stream.local_addr().unwrap().to_string());
    assert_eq!(field(own, "laddr"), proxied.address.to_string());
    assert_eq!(field(own, "cmd"), "client|list");
    assert_eq!(field(&list[1], "cmd"), "client|id");
    let aged = |line: &str| line.replace(&format!(" age={} ", field(line, "age")), " ");
    assert_eq!(
        aged(&lines(first, "CLIENT INFO")[0]),
        aged(&own.replace("client|list", "client|info"))
    );

    let wanted = format!("CLIENT LIST ID {} 99999 {} -1", ids[3], ids[1]);
    let some = lines(first, &wanted);
    assert_eq!(
        some.iter().map(|line| field(line, "id")).collect::<Vec<_>>(),
        [&ids[3], &ids[1]]
    );
    assert!(lines(first, "CLIENT LIST TYPE replica").is_empty());
    assert_eq!(lines(first, "CLIENT LIST TYPE NORMAL").len(), MANY);
}

#[test]
fn a_line_tells_what_the_client_does() {
    let proxied = Proxied::start();
    let mut watcher = proxied.client();
    let mut client = proxied.client();
    let of = format!("CLIENT LIST ID {}", id(&mut client));
    assert!(client.text("HELLO 3").starts_with("%7"));
    for (request, fields) in [
        (
            "SELECT 5",
            "flags=N db=5 sub=0 psub=0 ssub=0 multi=-1 cmd=select user=default redir=-1 resp=3",
        ),
        ("CLIENT SETNAME here", "name=here cmd=client|setname"),
        ("CLIENT NO-EVICT on", "flags=e cmd=client|no-evict"),
        ("SUBSCRIBE a b", "flags=Pe sub=2 psub=0 ssub=0"),
        ("PSUBSCRIBE p*", "flags=Pe sub=2 psub=1 ssub=0"),
        ("SSUBSCRIBE s", "flags=Pe sub=2 psub=1 ssub=1"),
        ("MULTI", "flags=Pxe multi=0"),
        ("GET k", "multi=1 cmd=get"),
        ("DISCARD", "flags=Pe multi=-1"),
        ("nosuch", "cmd=NULL"),
        ("CLIENT NO-EVICT OFF", "flags=P"),
        ("RESET", "flags=N name= db=0 sub=0 psub=0 ssub=0 resp=2 cmd=reset"),
    ] {
        client.text(request);
        if request.starts_with("SUBSCRIBE") {
            client.reply();
        }
        let line = lines(&mut watcher, &of).remove(0);
        for part in fields.split(' ') {
            let (name, value) = part.split_once('=').unwrap();
            assert_eq!(field(&line, name), value, "{name} after {request}");
        }
    }
    client.send(&[b"BLPOP", b"q", b"0"]);
    wait_for("flag b", || field(&lines(&mut watcher, &of)[0], "flags") == "b");
    assert_eq!(field(&lines(&mut watcher, &of)[0], "cmd"), "blpop");
    assert_eq!(lines(&mut watcher, "CLIENT LIST TYPE pubsub").len(), 0);
    assert_eq!(client_type(&proxied, &mut watcher), 1);
}

fn client_type(proxied: &Proxied, watcher: &mut Client) -> usize {
    let mut subscriber = proxied.client();
    subscriber.text("SUBSCRIBE c");
    lines(watcher, "CLIENT LIST TYPE PubSub").len()
}

#[test]
fn numbers_of_clients_grow_whichever_worker_takes_them() {
    let proxied = Proxied::start();
    let mut last = 0;
    for _ in 0..MANY {
        let id: u64 = id(&mut proxied.client()).parse().unwrap();
        assert!(id > last, "{id} after {last}");
        last = id;
    }
}

#[test]
fn clients_of_every_worker_can_be_killed_by_each_filter() {
    let proxied = Proxied::start();
    let mut killer = proxied.client();
    let gone = |client: &mut Client| assert_eq!(client.try_reply(), None);
    for _ in 0..8 {
        let mut client = proxied.client();
        let request = format!("CLIENT KILL ID {}", id(&mut client));
        assert_eq!(killer.text(&request), ":1\\r\\n");
        assert_eq!(killer.text(&request), ":0\\r\\n", "not there any more");
        gone(&mut client);
        let mut client = proxied.client();
        client.text("PING");
        let addr = client.stream.local_addr().unwrap();
        assert_eq!(killer.text(&format!("CLIENT KILL {addr}")), "+OK\\r\\n");
        gone(&mut client);
        assert_eq!(
            killer.text(&format!("CLIENT KILL {addr}")),
            "-ERR No such client\\r\\n"
        );
    }
    let mut subscribers: Vec<Client> = (0..MANY).map(|_| proxied.client()).collect();
    for subscriber in &mut subscribers {
        subscriber.text("SUBSCRIBE a");
    }
    let mut normal: Vec<Client> = (0..MANY).map(|_| proxied.client()).collect();
    normal.iter_mut().for_each(|client| drop(client.text("PING")));
    assert_eq!(killer.text("CLIENT KILL TYPE pubsub"), format!(":{MANY}\\r\\n"));
    subscribers.iter_mut().for_each(gone);
    assert_eq!(
        killer.text("CLIENT KILL TYPE normal USER nobody"),
        "-ERR No such user \\'nobody\\'\\r\\n"
    );
    let laddr = proxied.address;
    assert_eq!(
        killer.text(&format!("CLIENT KILL LADDR {laddr} USER default SKIPME yes")),
        format!(":{MANY}\\r\\n")
    );
    normal.iter_mut().for_each(gone);
    assert_eq!(killer.text("CLIENT KILL TYPE normal"), ":0\\r\\n");
    killer
        .stream
        .write_all(&encode(&[b"CLIENT", b"KILL", b"SKIPME", b"no"]))
        .unwrap();
    assert_eq!(killer.reply(), b":1\r\n", "its own");
    gone(&mut killer);
    wait_for("the clients to be gone", || proxied.clients() == 0);
}

#[test]
fn a_client_that_kills_itself_by_address_is_answered_first() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let addr = client.stream.local_addr().unwrap();
    assert_eq!(client.text(&format!("CLIENT KILL {addr}")), "+OK\\r\\n");
    assert_eq!(client.try_reply(), None);
}

#[test]
fn blocked_clients_of_every_worker_are_unblocked_with_the_words_of_a_server() {
    let proxied = Proxied::start();
    let mut other = proxied.client();
    for (weight, server) in [(0, &proxied.old), (100, &proxied.new)] {
        proxied.weight(weight);
        for (protocol, null) in [("2", "*-1\\r\\n"), ("3", "_\\r\\n")] {
            for _ in 0..6 {
                let mut client = proxied.client();
                client.text(&format!("HELLO {protocol}"));
                let id = id(&mut client);
                assert_eq!(
                    other.text(&format!("CLIENT UNBLOCK {id}")),
                    ":0\\r\\n",
                    "not blocked"
                );
                client.send(&[b"BLPOP", b"q", b"0"]);
                wait_for_blocked(server, 1);
                assert_eq!(other.text(&format!("CLIENT UNBLOCK {id}")), ":1\\r\\n");
                assert_eq!(client.reply().escape_ascii().to_string(), null);
                client.send(&[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$"]);
                wait_for_blocked(server, 1);
                assert_eq!(other.text(&format!("CLIENT UNBLOCK {id} error")), ":1\\r\\n");
                assert_eq!(
                    client.reply(),
                    b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
                );
                client.send(&[b"WAIT", b"1", b"0"]);
                wait_for_blocked(server, 1);
                assert_eq!(other.text(&format!("CLIENT UNBLOCK {id} TIMEOUT")), ":1\\r\\n");
                assert_eq!(client.reply(), b":0\r\n");
                assert_eq!(client.text("PING"), "+PONG\\r\\n");
            }
        }
    }
}

/// Whoever pushes and whoever unblocks at the same moment: each element is either told or still there.
#[test]
fn no_element_is_lost_between_a_push_and_an_unblock() {
    let proxied = Proxied::start();
    proxied.weight(50);
    for side in Side::BOTH {
        let key = key_of(side, 0);
        let (mut waiter, mut pusher, mut other) = (proxied.client(), proxied.client(), proxied.client());
        let unblock = format!("CLIENT UNBLOCK {}", id(&mut waiter));
        let unblock: Vec<&[u8]> = unblock.split(' ').map(str::as_bytes).collect();
        let (mut taken, mut ended) = (0, 0);
        for round in 0..400 {
            waiter.send(&[b"BLPOP", key.as_bytes(), b"0"]);
            if round % 2 == 0 {
                pusher.send(&[b"RPUSH", key.as_bytes(), b"x"]);
                other.send(&unblock);
            } else {
                other.send(&unblock);
                pusher.send(&[b"RPUSH", key.as_bytes(), b"x"]);
            }
            assert!(pusher.reply().starts_with(b":"));
            let was_blocked = other.reply() == b":1\r\n";
            let reply = waiter.reply();
            match reply.starts_with(b"*2") {
                true => taken += 1,
                false => {
                    assert_eq!(reply, b"*-1\r\n");
                    assert!(was_blocked);
                    ended += 1;
                }
            }
        }
        let left = pusher.text(&format!("LLEN {key}"));
        assert_eq!(left, format!(":{}\\r\\n", 400 - taken));
        println!("{side}: {taken} taken, {ended} ended");
        pusher.text(&format!("DEL {key}"));
    }
}

#[test]
fn a_client_that_blocks_between_two_masters_is_unblocked_too() {
    let proxied = Proxied::with(|config| config.limits.hold.time = Duration::from_secs(60));
    for (how, expected) in [
        ("", &b"*-1\r\n"[..]),
        (" ERROR", b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
    ] {
        let (mut client, mut other) = (proxied.client(), proxied.client());
        let id = id(&mut client);
        client.send(&[b"BLPOP", b"q", b"0"]);
        wait_for_blocked(&proxied.old, 1);
        proxied.master(Side::Old, None);
        wait_for_blocked(&proxied.old, 0);
        assert_eq!(other.text(&format!("CLIENT UNBLOCK {id}{how}")), ":1\\r\\n");
        assert_eq!(client.reply(), expected);
        proxied.master(Side::Old, Some(&proxied.old));
        assert_eq!(client.text("RPUSH q x"), ":1\\r\\n");
        assert_eq!(client.text("DEL q"), ":1\\r\\n", "nobody took it");
    }
}

#[test]
fn a_killed_client_that_was_blocked_takes_no_element() {
    let proxied = Proxied::start();
    let (mut killer, mut pusher) = (proxied.client(), proxied.client());
    for _ in 0..20 {
        let mut client = proxied.client();
        let kill = format!("CLIENT KILL ID {}", id(&mut client));
        client.send(&[b"BLPOP", b"q", b"0"]);
        wait_for_blocked(&proxied.old, 1);
        assert_eq!(killer.text(&kill), ":1\\r\\n");
        assert_eq!(client.try_reply(), None);
        assert_eq!(pusher.text("RPUSH q x"), ":1\\r\\n");
        assert_eq!(pusher.text("LPOP q"), "$1\\r\\nx\\r\\n");
    }
}

#[test]
fn a_frozen_server_does_not_keep_its_client_from_being_killed() {
    let proxied = Proxied::start();
    let (mut client, mut killer) = (proxied.client(), proxied.client());
    let kill = format!("CLIENT KILL ID {}", id(&mut client));
    client.text("GET k");
    proxied.old.signal(Signal::SIGSTOP);
    client.send(&[b"GET", b"k"]);
    let begun = Instant::now();
    assert_eq!(killer.text(&kill), ":1\\r\\n");
    assert_eq!(client.try_reply(), None);
    assert!(begun.elapsed() < Duration::from_secs(5));
    proxied.old.signal(Signal::SIGCONT);
}

#[test]
fn replies_that_a_client_does_not_want_are_withheld_as_by_a_server() {
    let proxied = Proxied::start();
    let script = [
        "SET k v",
        "CLIENT REPLY SKIP",
        "GET k",
        "GET k",
        "CLIENT REPLY SKIP",
        "CLIENT REPLY SKIP",
        "PING",
        "PING a",
        "CLIENT REPLY off",
        "SET k w",
        "MGET k l",
        "nosuch",
        "CLIENT REPLY SKIP",
        "SUBSCRIBE c",
        "UNSUBSCRIBE c",
        "CLIENT REPLY",
        "CLIENT REPLY nonsense",
        "MULTI",
        "SET k x",
        "EXEC",
        "BLPOP nothing 0.01",
        "CLIENT REPLY ON",
        "GET k",
        "CLIENT REPLY SKIP",
        "CLIENT REPLY ON",
        "CLIENT REPLY OFF",
        "RESET",
        "GET k",
        "CLIENT REPLY OFF",
        "PING",
        "QUIT",
    ];
    for protocol in ["2", "3"] {
        let answers = |mut client: Client| {
            client.text(&format!("HELLO {protocol}"));
            let words = |line: &str| encode(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
            let all: Vec<u8> = script.iter().flat_map(|line| words(line)).collect();
            client.stream.write_all(&all).unwrap();
            std::iter::from_fn(|| client.try_reply())
                .map(|reply| reply.escape_ascii().to_string())
                .collect::<Vec<_>>()
        };
        for weight in [0, 50, 100] {
            proxied.weight(weight);
            let server = Server::start();
            let (there, here) = (answers(server.client()), answers(proxied.client()));
            assert!(there.len() > 5, "{there:?}");
            assert_eq!(there, here, "RESP{protocol} at {weight}");
        }
    }
}

#[test]
fn a_transaction_withholds_replies_as_a_server_does() {
    let proxied = Proxied::start();
    let script = "MULTI|ECHO a|CLIENT REPLY OFF|ECHO b|CLIENT REPLY nonsense|CLIENT REPLY ON|ECHO c|EXEC|ECHO d\
        |MULTI|GET k|CLIENT REPLY SKIP|CLIENT REPLY x|SET k v|EXEC|ECHO e|ECHO f\
        |MULTI|CLIENT REPLY SKIP|CLIENT REPLY ON|EXEC|ECHO g|ECHO h\
        |MULTI|CLIENT REPLY OFF|CLIENT REPLY SKIP|EXEC|ECHO i|ECHO j|CLIENT REPLY ON|ECHO k\
        |CLIENT REPLY OFF|MULTI|ECHO l|CLIENT REPLY ON|GET k|EXEC|ECHO m\
        |CLIENT REPLY OFF|MULTI|ECHO n|CLIENT REPLY|CLIENT REPLY ON|EXEC|ECHO o|CLIENT REPLY ON\
        |MULTI|CLIENT REPLY OFF|DISCARD|ECHO p\
        |CLIENT REPLY OFF|WATCH k|SET k w|MULTI|CLIENT REPLY ON|EXEC|ECHO q|CLIENT REPLY ON\
        |CLIENT REPLY OFF|MULTI|SUBSCRIBE c|SSUBSCRIBE c|CLIENT KILL ID 0|UNSUBSCRIBE c|EXEC|ECHO r|CLIENT REPLY ON\
        |MULTI|CLIENT REPLY OFF|CLIENT LIST ID 0|SUBSCRIBE c|UNSUBSCRIBE|CLIENT REPLY ON|CLIENT KILL ID 0|EXEC|ECHO s\
        |MULTI|CLIENT REPLY ON|EXEC|ECHO t|DEL k|QUIT";
    for protocol in ["2", "3"] {
        let answers = |mut client: Client| {
            client.text(&format!("HELLO {protocol}"));
            let words = |line: &str| encode(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
            let all: Vec<u8> = script.split('|').flat_map(words).collect();
            client.stream.write_all(&all).unwrap();
            let mut replies = Vec::new();
            client.stream.read_to_end(&mut replies).unwrap();
            replies.escape_ascii().to_string()
        };
        for weight in [0, 50, 100] {
            proxied.weight(weight);
            let server = Server::start();
            let (there, here) = (answers(server.client()), answers(proxied.client()));
            assert!(there.contains("$1\\r\\nt\\r\\n:1\\r\\n+OK"), "{there}");
            assert_eq!(here, there, "RESP{protocol} at {weight}");
        }
    }
}

/// So that one of them is on each worker.
fn some(proxied: &Proxied) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..8).map(|_| proxied.client()).collect();
    clients.iter_mut().for_each(|client| drop(client.text("GET k")));
    clients
}

fn is_silent(client: &mut Client, time: Duration) -> bool {
    client.stream.set_read_timeout(Some(time)).unwrap();
    let peeked = client.stream.peek(&mut [0]);
    client
        .stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn a_pause_of_writes_holds_what_may_write_and_nothing_else_on_every_worker() {
    let proxied = Proxied::start();
    let functions = b"#!lua name=of_the_pause\nlocal function seven() return 7 end\n\
        redis.register_function('writes', seven)\n\
        redis.register_function{function_name='reads', callback=seven, flags={'no-writes'}}";
    assert_eq!(
        proxied.client().call(&[b"FUNCTION", b"LOAD", functions]),
        b"$12\r\nof_the_pause\r\n"
    );
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let (mut operator, mut held_clients) = (proxied.client(), Vec::new());
        let mut in_transaction = proxied.client();
        in_transaction.text("MULTI");
        in_transaction.text("SET k 1");
        assert_eq!(operator.text("CLIENT PAUSE 60000 WRITE"), "+OK\\r\\n");
        for held in [
            "SET k v",
            "PUBLISH c m",
            "SPUBLISH c m",
            "EVAL return_1 1 k",
            "FCALL writes 1 k",
            "FCALL unknown 1 k",
            "PFCOUNT k",
            "BLPOP k 0",
            "DEL k l",
            "EXEC",
        ] {
            let mut client = match held {
                "EXEC" => std::mem::replace(&mut in_transaction, proxied.client()),
                _ => proxied.client(),
            };
            client.send(&held.split(' ').map(str::as_bytes).collect::<Vec<_>>());
            assert!(is_silent(&mut client, Duration::from_millis(60)), "{held}");
            held_clients.push(client);
        }
        let mut client = proxied.client();
        for passes in [
            "GET k",
            "MGET k l",
            "PING",
            "SUBSCRIBE c",
            "UNSUBSCRIBE c",
            "EVAL_RO return_1 1 k",
            "CLIENT LIST",
            "SET k",
            "MULTI",
            "GET k",
            "EXEC",
        ] {
            client.text(passes);
        }
        let reads = b"#!lua flags=no-writes\nreturn 7";
        assert_eq!(client.call(&[b"EVAL", reads, b"1", b"k"]), b":7\r\n");
        for _ in 0..2 {
            assert_eq!(client.text("FCALL reads 1 k"), ":7\\r\\n");
        }
        let held = lines(&mut operator, "CLIENT LIST");
        assert_eq!(
            held.iter()
                .filter(|line| field(line, "flags").contains('b'))
                .count(),
            10
        );
        assert_eq!(operator.text("CLIENT UNPAUSE"), "+OK\\r\\n");
        assert_eq!(operator.text("SET k v"), "+OK\\r\\n");
    }
}

#[test]
fn a_pause_of_everything_ends_in_its_time_and_what_was_held_goes_on_in_order() {
    let proxied = Proxied::start();
    let (mut operator, mut clients) = (proxied.client(), some(&proxied));
    let begun = Instant::now();
    assert_eq!(operator.text("CLIENT PAUSE 400"), "+OK\\r\\n");
    assert_eq!(
        clients[0].text("SET k"),
        "-ERR wrong number of arguments for \\'set\\' command\\r\\n"
    );
    let mut gone = proxied.client();
    gone.send(&[b"SET", b"k", b"gone"]);
    drop(gone);
    for client in &mut clients {
        client
            .stream
            .write_all(&[encode(&[b"INCR", b"n"]), encode(&[b"GET", b"n"])].concat())
            .unwrap();
    }
    assert_eq!(operator.text("PING"), "+PONG\\r\\n", "held as everyone's");
    let waited = begun.elapsed();
    assert!(
        waited >= Duration::from_millis(400) && waited < Duration::from_secs(5),
        "{waited:?}"
    );
    for client in &mut clients {
        assert!(client.reply().starts_with(b":"));
        assert!(client.reply().starts_with(b"$"));
    }
    assert_eq!(operator.text("GET n"), "$1\\r\\n8\\r\\n");
    assert_eq!(
        operator.text("GET k"),
        "$-1\\r\\n",
        "the one that left is not heard"
    );
}

#[test]
fn after_the_ok_of_a_pause_no_write_reaches_a_server() {
    let proxied = Proxied::start();
    let mut operator = proxied.client();
    let mut direct = proxied.old.client();
    let mut writers: Vec<Client> = (0..8).map(|_| proxied.client()).collect();
    for round in 0..20 {
        for writer in &mut writers {
            writer
                .stream
                .write_all(&encode(&[b"INCR", b"n"]).repeat(50))
                .unwrap();
        }
        assert_eq!(operator.text("CLIENT PAUSE 60000 WRITE"), "+OK\\r\\n");
        let at_ok = direct.text("GET n");
        assert!(is_silent(&mut operator, Duration::from_millis(5)));
        assert_eq!(direct.text("GET n"), at_ok, "round {round}");
        assert_eq!(operator.text("CLIENT UNPAUSE"), "+OK\\r\\n");
        for writer in &mut writers {
            (0..50).for_each(|_| assert!(writer.reply().starts_with(b":")));
        }
    }
    assert_eq!(direct.text("GET n"), "$4\\r\\n8000\\r\\n");
}

#[test]
fn what_a_transaction_does_to_clients_it_does_when_it_is_executed() {
    let proxied = Proxied::start();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let (mut operator, mut clients) = (proxied.client(), some(&proxied));
        operator.text("MULTI");
        for queued in ["CLIENT PAUSE 60000 WRITE", "SET k 1", "CLIENT LIST", "GET k"] {
            assert_eq!(operator.text(queued), "+QUEUED\\r\\n", "{queued} at {weight}");
        }
        assert_eq!(clients[0].text("SET k 0"), "+OK\\r\\n", "no pause yet");
        let said = operator.text("EXEC");
        assert!(said.starts_with("*4\\r\\n+OK\\r\\n+OK\\r\\n$"), "{said}");
        assert!(said.ends_with("\\r\\n$1\\r\\n1\\r\\n"), "{said}");
        assert_eq!(said.matches(" addr=").count(), clients.len() + 1, "{said}");
        assert_eq!(said.matches(" multi=4 ").count(), 1, "{said}");
        for client in &mut clients {
            client.send(&[b"SET", b"k", b"2"]);
        }
        for client in &mut clients {
            assert!(is_silent(client, Duration::from_millis(20)));
        }
        operator.text("MULTI");
        operator.text("CLIENT UNPAUSE");
        assert_eq!(operator.text("EXEC"), "*1\\r\\n+OK\\r\\n");
        for client in &mut clients {
            assert_eq!(client.reply(), b"+OK\r\n");
        }
        let victim = id(&mut clients[1]);
        operator.text("MULTI");
        operator.text(&format!("CLIENT KILL ID {victim}"));
        operator.text("CLIENT KILL TYPE normal SKIPME no");
        let count = clients.len();
        let killed = operator.text("EXEC");
        assert_eq!(killed, format!("*2\\r\\n:1\\r\\n:{count}\\r\\n"), "itself too");
        for client in clients.iter_mut().chain([&mut operator]) {
            assert_eq!(client.try_reply(), None);
        }
    }
}

#[test]
fn a_subscriber_that_wants_no_replies_has_its_messages() {
    let proxied = Proxied::start();
    let (mut subscriber, mut publisher) = (proxied.client(), proxied.client());
    subscriber.send(&[b"CLIENT", b"REPLY", b"OFF"]);
    subscriber.send(&[b"SUBSCRIBE", b"c"]);
    assert!(subscriber.reply().ends_with(b"c\r\n:1\r\n"));
    subscriber.send(&[b"PING"]);
    assert_eq!(publisher.text("PUBLISH c m"), ":1\\r\\n");
    assert!(subscriber.reply().ends_with(b"$1\r\nm\r\n"));
}

#[test]
fn a_client_without_replies_may_send_more_than_it_would_be_sent() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    client.text("SET k v");
    client.send(&[b"CLIENT", b"REPLY", b"OFF"]);
    for _ in 0..100 {
        client
            .stream
            .write_all(&encode(&[b"INCR", b"n"]).repeat(100))
            .unwrap();
    }
    client.send(&[b"CLIENT", b"REPLY", b"ON"]);
    assert_eq!(client.reply(), b"+OK\r\n");
    assert_eq!(client.text("GET n"), "$5\\r\\n10000\\r\\n");
}
