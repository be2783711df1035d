//! Clients of RESP3: the types, the messages among the replies, and the way there and back.

use std::io::Write;
use std::time::Duration;

use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, encode, key_of, wait_for};

/// Switched over; HELLO's reply tells the id of a connection, which differs.
fn resp3(mut client: Client) -> Client {
    let hello = client.text("HELLO 3");
    assert!(
        hello.starts_with("%7\\r\\n") && hello.contains("proto\\r\\n:3\\r\\n"),
        "{hello}"
    );
    client
}

fn shown(reply: &[u8]) -> String {
    reply.escape_ascii().to_string()
}

/// All there is to read, up to the answer to a PING that follows.
fn until_pong(client: &mut Client) -> Vec<String> {
    client.send(&[b"PING", b"the-end-of-this"]);
    let is_not_over = |reply: &Vec<u8>| !shown(reply).contains("the-end-of-this");
    std::iter::from_fn(|| Some(client.reply()).filter(is_not_over))
        .map(|reply| shown(&reply))
        .collect()
}

/// HELLO tells the id of a link. Its own reply is left out; within EXEC's the id is.
fn without_id(reply: &str) -> Option<String> {
    match reply.starts_with(['%', '*']) && reply.contains("server\\r\\n") {
        true if !reply.contains("OK") && !reply.contains("$-1") && !reply.contains('_') => None,
        true => {
            let mut parts = reply.split("$2\\r\\nid\\r\\n:");
            let first = parts.next().unwrap_or_default().to_owned();
            Some(parts.fold(first, |all, part| {
                all + part.split_once("\\r\\n").map_or("", |(_, rest)| rest)
            }))
        }
        false => Some(reply.to_owned()),
    }
}

/// What each request brings. Within a transaction a PING would be queued: there one reply is waited for.
fn transcript(mut client: Client, script: &str) -> Vec<String> {
    let mut replies = Vec::new();
    let mut is_open = false;
    for line in script.split('|') {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        client.send(&words);
        is_open = (is_open || line == "MULTI") && line != "EXEC";
        let came = match is_open {
            true => vec![shown(&client.reply())],
            false => until_pong(&mut client),
        };
        replies.extend(came.into_iter().filter_map(|reply| without_id(&reply)));
    }
    replies
}

#[test]
fn a_client_of_resp3_sees_what_it_would_see_at_a_server() {
    let scripts = [
        "SUBSCRIBE a b a|PSUBSCRIBE x*|SSUBSCRIBE s|GET x|GET|FOO a b|SET x y|GET x|PING|PING hi|UNSUBSCRIBE a|UNSUBSCRIBE|\
            SUNSUBSCRIBE|PUNSUBSCRIBE q|PUNSUBSCRIBE|UNSUBSCRIBE|SUNSUBSCRIBE|PUNSUBSCRIBE|UNSUBSCRIBE zz yy",
        "SUBSCRIBE a|MULTI|SET k v|GET k|PING|EXEC|CLIENT GETNAME|SELECT 3|GET k|SELECT 0|GET k|HELLO 2|GET x|PING|HELLO 3|GET x|\
            RESET|GET x|HGETALL nothing",
        "MULTI|SET k v|SUBSCRIBE a b|PING|UNSUBSCRIBE a|SSUBSCRIBE s|PUNSUBSCRIBE|GET nothing|EXEC|PING|GET k|UNSUBSCRIBE",
        "SUBSCRIBE a|SSUBSCRIBE s|MULTI|SUBSCRIBE b a|PING|UNSUBSCRIBE a|GET nothing|PSUBSCRIBE x*|SUNSUBSCRIBE s|EXEC|PING|\
            MULTI|UNSUBSCRIBE b|FOO|EXEC|MULTI|UNSUBSCRIBE|PUNSUBSCRIBE|DISCARD|MULTI|UNSUBSCRIBE|PUNSUBSCRIBE|EXEC|GET x",
        "MULTI|HELLO 2|GET nothing|SUBSCRIBE a|PING|UNSUBSCRIBE a|HELLO 3 SETNAME me|GET nothing|CLIENT GETNAME|EXEC|GET nothing",
        "MULTI|HELLO 2|EXEC|GET nothing|HELLO 3|WATCH k|HELLO 2|MULTI|GET k|EXEC|WATCH k|HELLO 3|SET k v|MULTI|GET k|EXEC|GET k",
        "SUBSCRIBE a|MULTI|CLIENT GETNAME|HELLO 2|PING|EXEC|GET x|PING|UNSUBSCRIBE|GET x",
        "MULTI|SUBSCRIBE a|EXEC|PING hi|RESET|PING hi|SUBSCRIBE a|HELLO 3|HELLO 2",
        "HSET h f v|HGETALL h|SADD s m|SMEMBERS s|ZADD z 1.5 m|ZSCORE z m|ZRANGE z 0 -1 WITHSCORES|GET nothing|BLPOP nothing 0.01|\
            MGET nothing s|CONFIG GET maxmemory|XADD x 1-1 f v|XRANGE x - +|XREAD STREAMS x 0|GEOADD g 1 1 m|GEOPOS g m no|\
            LPOP nothing 2|ZPOPMIN z|INCRBYFLOAT n 1.5|LOLWUT|COMMAND COUNT|EVAL return{double=1.5} 0|\
            SINTERCARD 1 s|EVAL redis.setresp(3);return{map={a='b'}} 0|MEMORY STATS nothing|HELLO 2|HGETALL h|ZSCORE z m",
    ];
    for weight in [0, 100] {
        for script in scripts {
            let proxied = Proxied::start();
            proxied.weight(weight);
            let direct = Server::start();
            let expected = transcript(resp3(direct.client()), script);
            let got = transcript(resp3(proxied.client()), script);
            assert_eq!(got, expected, "at {weight}: {script}");
        }
    }
}

#[test]
fn a_message_reaches_clients_of_both_protocols_whatever_its_size() {
    let proxied = Proxied::start();
    let (mut two, mut three) = (proxied.client(), resp3(proxied.client()));
    assert_eq!(
        two.text("SUBSCRIBE news"),
        "*3\\r\\n$9\\r\\nsubscribe\\r\\n$4\\r\\nnews\\r\\n:1\\r\\n"
    );
    assert_eq!(
        three.text("SUBSCRIBE news"),
        ">3\\r\\n$9\\r\\nsubscribe\\r\\n$4\\r\\nnews\\r\\n:1\\r\\n"
    );
    assert_eq!(
        three.text("PSUBSCRIBE ne*"),
        ">3\\r\\n$10\\r\\npsubscribe\\r\\n$3\\r\\nne*\\r\\n:2\\r\\n"
    );
    for (weight, size) in [(0, 3), (50, 70_000), (100, 3_000_000)] {
        proxied.weight(weight);
        let payload = vec![b'p'; size];
        proxied.client().call(&[b"PUBLISH", b"news", &payload]);
        let body = [&encode(&[b"message", b"news", &payload])[1..]].concat();
        assert!(two.reply() == [b"*", &body[..]].concat(), "{size} bytes");
        let pattern = encode(&[b"pmessage", b"ne*", b"news", &payload]);
        let expected = [[b">", &body[..]].concat(), [b">", &pattern[1..]].concat()];
        let came = [three.reply(), three.reply()];
        assert!(
            expected.iter().all(|message| came.contains(message)),
            "{size} bytes"
        );
    }
}

#[test]
fn messages_come_between_replies_and_never_within_one() {
    let proxied = Proxied::start();
    let large = vec![b'v'; 200_000];
    let key = key_of(Side::New, 0);
    proxied.weight(50);
    proxied.client().call(&[b"HSET", key.as_bytes(), b"f", &large]);
    let mut client = resp3(proxied.client());
    client.text("SUBSCRIBE news");
    let mut writing = client.stream.try_clone().unwrap();
    let request = encode(&[b"HGETALL", key.as_bytes()]);
    let asking = std::thread::spawn(move || {
        for _ in 0..40 {
            writing.write_all(&request).unwrap();
        }
    });
    let address = proxied.address;
    let publishing = std::thread::spawn(move || {
        let mut publisher = Client::connect(address);
        for number in 0..2_000 {
            publisher.text(&format!("PUBLISH news {number}"));
        }
    });
    let expected = [&b"%1\r\n$1\r\nf\r\n$200000\r\n"[..], &large, b"\r\n"].concat();
    let (mut replies, mut messages) = (0, 0);
    while replies < 40 || messages < 2_000 {
        let came = client.reply();
        if came.starts_with(b">") {
            let message = format!(
                ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n${}\r\n{messages}\r\n",
                messages.to_string().len()
            );
            assert_eq!(shown(&came), shown(message.as_bytes()));
            messages += 1;
        } else {
            assert!(came == expected, "{} bytes", came.len());
            replies += 1;
        }
    }
    asking.join().unwrap();
    publishing.join().unwrap();
}

#[test]
fn what_both_sides_answer_is_merged_in_resp3_too() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let (old, new) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    let mut client = resp3(proxied.client());
    assert_eq!(client.text(&format!("MSET {old} a {new} b")), "+OK\\r\\n");
    assert_eq!(
        client.text(&format!("MGET {new} nothing {old} nowhere")),
        "*4\\r\\n$1\\r\\nb\\r\\n_\\r\\n$1\\r\\na\\r\\n_\\r\\n"
    );
    assert_eq!(client.text("DBSIZE"), ":2\\r\\n");
    let keys = client.text("KEYS *");
    assert!(
        keys.starts_with("*2\\r\\n") && keys.contains(&old) && keys.contains(&new),
        "{keys}"
    );
    assert_eq!(client.text(&format!("DEL {old} {new}")), ":2\\r\\n");
}

#[test]
fn a_pipeline_that_changes_the_protocol_has_each_reply_in_its_own() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    client.text("HSET h f v");
    let lines = [
        "HGETALL h",
        "HELLO 3",
        "HGETALL h",
        "GET nothing",
        "HELLO 2",
        "HGETALL h",
        "GET nothing",
        "HELLO 3",
        "RESET",
        "HGETALL h",
    ];
    for _ in 0..20 {
        let all: Vec<u8> = lines
            .iter()
            .flat_map(|line| encode(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>()))
            .collect();
        client.stream.write_all(&all).unwrap();
        let replies: Vec<String> = lines.iter().map(|_| shown(&client.reply())).collect();
        let firsts: Vec<&str> = replies
            .iter()
            .map(|reply| reply.split("\\r\\n").next().unwrap())
            .collect();
        assert_eq!(
            firsts,
            ["*2", "%7", "%1", "_", "*14", "*2", "$-1", "%7", "+RESET", "*2"]
        );
    }
}

#[test]
fn what_ends_without_a_result_is_null_in_resp3() {
    let proxied = Proxied::start();
    let mut client = resp3(proxied.client());
    client.send(&[b"BLPOP", b"queue", b"0"]);
    let blocked = |server: &Server| {
        let mut direct = server.client();
        wait_for("the blocked client", || {
            direct.text("INFO clients").contains("blocked_clients:1")
        });
    };
    blocked(&proxied.old);
    proxied.weight(100);
    blocked(&proxied.new);
    proxied.client().text("RPUSH queue x");
    assert_eq!(
        shown(&client.reply()),
        "*2\\r\\n$5\\r\\nqueue\\r\\n$1\\r\\nx\\r\\n"
    );
    assert_eq!(client.text("BLPOP queue 0.01"), "_\\r\\n");
    client.text("WATCH k");
    client.text("MULTI");
    client.text("SET k v");
    proxied.weight(0);
    assert_eq!(client.text("EXEC"), "_\\r\\n", "as if k had changed");
    assert_eq!(client.text("WATCH k"), "+OK\\r\\n");
    assert!(client.text("HELLO 2").starts_with("*14"));
}

#[test]
fn a_node_that_refuses_resp3_is_quoted_and_serves_resp2() {
    let proxied = Proxied::start();
    // As one before Redis 6.
    let old = Server::start_with(&["--rename-command", "HELLO", ""]);
    proxied.master(Side::Old, Some(&old));
    let mut client = proxied.client();
    let refused = client.text("HELLO 3");
    assert!(
        refused.starts_with("-ERR unknown command \\'HELLO\\'"),
        "{refused}"
    );
    assert_eq!(client.text("SET k v"), "+OK\\r\\n");
    assert_eq!(client.text("GET nothing"), "$-1\\r\\n", "in RESP2");
    proxied.weight(100);
    assert!(
        client.text("HELLO 3").starts_with("%7"),
        "the other side speaks it"
    );
    assert_eq!(client.text("GET nothing"), "_\\r\\n");
    client
        .stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    assert_eq!(client.text("QUIT"), "+OK\\r\\n");
    assert_eq!(client.try_reply(), None);
}
