//! A link that is there before a client needs one of its own.

use std::time::Duration;

use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, wait_for};

const ROUNDS: usize = 40;
/// So long nothing is told to a client that has been overtaken.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// The node's own count of the links to it.
fn links(direct: &mut Client) -> usize {
    direct.text("CLIENT LIST").matches("name=switchback").count()
}

fn connections(direct: &mut Client) -> usize {
    let stats = direct.text("INFO stats");
    let count = stats.split("total_connections_received:").nth(1).unwrap();
    count.split('\\').next().unwrap().parse().unwrap()
}

/// Lets fresh clients say their first, and another one what comes right behind, and looks at what the first are told.
/// A client that is not done with its link keeps it, so that each has another.
fn in_order(select: Option<&str>, first: &str, behind: &[&str], then: &[&str], expected: &str) {
    let proxied = Proxied::with_node_auth();
    let mut other = proxied.client();
    let connect = || {
        let mut client = proxied.client();
        match select {
            Some(select) => assert_eq!(client.text(select), "+OK\\r\\n"),
            // The proxy has accepted it.
            None => assert!(client.text("CLIENT ID").starts_with(':')),
        }
        client
    };
    if let Some(select) = select {
        assert_eq!(other.text(select), "+OK\\r\\n");
    }
    other.text("DEL k");
    let (mut clients, mut kept) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let mut client = connect();
        // In another database, a second one is shared from the first that blocks on, by which those who do are moved.
        let moves_blocked = select.is_some() && round > 0;
        proxied.wait_for_links(1 + usize::from(moves_blocked) + 1 + round);
        let words = |line: &str| {
            line.split(' ')
                .map(|word| word.as_bytes().to_vec())
                .collect::<Vec<_>>()
        };
        let send = |client: &mut Client, line: &str| {
            let words = words(line);
            client.send(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        };
        send(&mut client, first);
        behind.iter().for_each(|line| send(&mut other, line));
        for line in behind {
            let told = other.reply();
            assert_ne!(told.first(), Some(&b'-'), "{line}");
        }
        then.iter().for_each(|line| send(&mut client, line));
        // Whoever is overtaken may wait for ever.
        let patience = client.stream.read_timeout().unwrap();
        client.stream.set_read_timeout(Some(OVERTAKEN)).unwrap();
        let is_told = client.stream.peek(&mut [0]).is_ok();
        client.stream.set_read_timeout(patience).unwrap();
        if is_told {
            let replies = (0..=then.len()).map(|_| client.reply().escape_ascii().to_string());
            kept += usize::from(replies.collect::<String>() == expected);
        }
        other.text("DEL k");
        clients.push(client);
    }
    // Two connections have no order but that in which the kernel and the worker come to them: of a busy machine not all is asked.
    assert!(kept >= ROUNDS * 3 / 4, "{kept} of {ROUNDS} rounds of {first}");
}

#[test]
fn a_clients_first_blocking_command_comes_before_what_another_sends_right_after() {
    for select in [None, Some("SELECT 7")] {
        // What is there already is not waited for.
        in_order(
            select,
            "XREAD BLOCK 0 STREAMS k $",
            &["XADD k 1-1 f v", "XADD k 2-1 f v"],
            &[],
            "*1\\r\\n*2\\r\\n$1\\r\\nk\\r\\n*1\\r\\n*2\\r\\n$3\\r\\n1-1\\r\\n*2\\r\\n$1\\r\\nf\\r\\n$1\\r\\nv\\r\\n",
        );
        // The element that is pushed first is at the end, where none is taken.
        in_order(
            select,
            "BLPOP k 0",
            &["LPUSH k first", "LPUSH k second"],
            &[],
            "*2\\r\\n$1\\r\\nk\\r\\n$5\\r\\nfirst\\r\\n",
        );
    }
}

#[test]
fn a_first_blocking_command_needs_no_new_connection() {
    let proxied = Proxied::with_node_auth();
    let (mut client, mut other) = (proxied.client(), proxied.client());
    let mut direct = proxied.old.client();
    assert_eq!(other.text("GET k"), "$-1\\r\\n");
    proxied.wait_for_links(2);
    assert_eq!(
        direct.text("CONFIG SET maxclients 1"),
        "+OK\\r\\n",
        "nobody else is let in"
    );
    client.send(&[b"BLPOP", b"k", b"0"]);
    wait_for("it to block", || {
        direct.text("INFO clients").contains("blocked_clients:1")
    });
    assert_eq!(other.text("LPUSH k v"), ":1\\r\\n");
    assert_eq!(client.reply(), b"*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
}

#[test]
fn a_clients_first_watch_comes_before_what_another_sends_right_after() {
    in_order(
        None,
        "WATCH k",
        &["SET k v"],
        &["MULTI", "GET k", "EXEC", "WATCH k"],
        "+OK\\r\\n+OK\\r\\n+QUEUED\\r\\n*-1\\r\\n+OK\\r\\n",
    );
}

#[test]
fn a_first_script_comes_before_what_another_sends_right_after() {
    let proxied = Proxied::with_node_auth();
    let (mut client, mut other) = (proxied.client(), proxied.client());
    assert_eq!(other.text("GET k"), "$-1\\r\\n");
    proxied.wait_for_links(2);
    client.send(&[b"EVAL", b"return redis.call('GET', KEYS[1])", b"1", b"k"]);
    other.send(&[b"SET", b"k", b"v"]);
    assert_eq!(client.reply(), b"$-1\r\n");
    assert_eq!(other.reply(), b"+OK\r\n");
    proxied.wait_for_links(3);
}

#[test]
fn one_that_ends_is_replaced_and_none_is_left_at_a_former_master() {
    let proxied = Proxied::with_node_auth();
    let successor = Server::start();
    let mut direct = proxied.old.client();
    let mut client = proxied.client();
    client.text("GET k");
    for _ in 0..5 {
        wait_for("one shared and one in reserve", || links(&mut direct) == 2);
        assert_eq!(direct.text("CLIENT KILL TYPE normal SKIPME yes"), ":2\\r\\n");
        client.text("GET k");
    }
    wait_for("one shared and one in reserve", || links(&mut direct) == 2);
    proxied.master(Side::Old, Some(&successor));
    wait_for("none at the former master", || links(&mut direct) == 0);
    client.text("GET k");
    let mut direct = successor.client();
    wait_for("one shared and one in reserve", || links(&mut direct) == 2);
}

#[test]
fn clients_of_several_databases_have_one_between_them() {
    let proxied = Proxied::with_node_auth();
    let mut direct = proxied.old.client();
    for database in 0..16 {
        assert_eq!(
            proxied.client().text(&format!("SELECT {database}")),
            "+OK\\r\\n",
            "{database}"
        );
    }
    let mut client = proxied.client();
    client.text("GET k");
    wait_for("sixteen shared and one in reserve", || links(&mut direct) == 17);
    client.text("SELECT 3");
    client.send(&[b"BLPOP", b"k", b"0"]);
    wait_for("its own as well", || links(&mut direct) == 18);
}

#[test]
fn a_node_that_has_few_connections_left_keeps_them() {
    let proxied = Proxied::with_node_auth();
    let mut direct = proxied.old.client();
    // It has 31 left when there are three: this one, a shared link, and one in reserve.
    assert_eq!(direct.text("CONFIG SET maxclients 34"), "+OK\\r\\n");
    let before = connections(&mut direct);
    for _ in 0..50 {
        assert_eq!(proxied.client().text("GET k"), "$-1\\r\\n");
    }
    wait_for("only the shared one", || links(&mut direct) == 1);
    let after = connections(&mut direct);
    assert!((1..=3).contains(&(after - before)), "{before} to {after}");
    // Each who needs one of its own has one, with at most another in vain.
    for _ in 0..10 {
        assert_eq!(proxied.client().text("BLPOP k 0.001"), "*-1\\r\\n");
    }
    assert!(connections(&mut direct) - after <= 20);
    assert_eq!(direct.text("CONFIG SET maxclients 100"), "+OK\\r\\n");
    let mut client = proxied.client();
    wait_for("one in reserve, as there is room", || {
        client.text("WATCH k");
        client.text("UNWATCH");
        links(&mut direct) >= 2
    });
}
