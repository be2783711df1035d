//! MONITOR shows what the owners' servers execute.

use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, key_of, wait_for};

/// Reads lines until one has this in it.
fn wait_for_line(client: &mut Client, what: &str) -> Vec<String> {
    let mut seen = Vec::new();
    while !seen.last().is_some_and(|line: &String| line.contains(what)) {
        seen.push(String::from_utf8(client.reply()).unwrap());
    }
    seen
}

#[test]
fn the_owners_say_what_they_execute_through_changes_of_weight_and_master() {
    let proxied = Proxied::start();
    let successor = Server::start();
    let mut client = proxied.client();
    let (old, new) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    assert_eq!(client.text("MONITOR"), "+OK\\r\\n");
    let mut writer = proxied.client();
    let set = |writer: &mut Client, key: &str| assert_eq!(writer.text(&format!("SET {key} v")), "+OK\\r\\n");
    set(&mut writer, &new);
    let said = wait_for_line(&mut client, &format!("\"SET\" \"{new}\" \"v\""));
    assert!(said.last().unwrap().contains(" [0 127.0.0.1:"));
    proxied.weight(50);
    let monitored = |server: &Server| {
        let mut direct = server.client();
        wait_for("its monitor", || direct.text("CLIENT LIST").contains("flags=O"));
    };
    monitored(&proxied.new);
    for key in [&old, &new] {
        set(&mut writer, key);
        wait_for_line(&mut client, &format!("\"SET\" \"{key}\""));
    }
    proxied.weight(100);
    assert_eq!(proxied.old.client().text("ECHO unheard"), "$7\\r\\nunheard\\r\\n");
    set(&mut writer, &old);
    let said = wait_for_line(&mut client, &format!("\"SET\" \"{old}\""));
    assert!(!said.iter().any(|line| line.contains("unheard")), "{said:?}");
    proxied.master(Side::New, Some(&successor));
    monitored(&successor);
    successor.client().text("ECHO heard");
    wait_for_line(&mut client, "heard");
    let mut other = proxied.client();
    assert!(other.text("CLIENT LIST").contains("flags=O"));
    client.send(&[b"RESET"]);
    wait_for_line(&mut client, "+RESET");
    wait_for("its connections to end", || {
        !successor.client().text("CLIENT LIST").contains("flags=O")
    });
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    assert_eq!(client.text("MONITOR"), "+OK\\r\\n");
    drop(client);
    wait_for("its connections to end", || {
        !successor.client().text("CLIENT LIST").contains("flags=O")
    });
}

/// What a node is asked by the proxy itself is nothing that a client has done.
#[test]
fn only_what_clients_execute_is_told() {
    let proxied = Proxied::start();
    // The names of others are as long as they like.
    let mut long = proxied.old.client();
    assert_eq!(long.call(&[b"CLIENT", b"SETNAME", &[b'n'; 70_000]]), b"+OK\r\n");
    let probe = |proxied: &Proxied| {
        let mut client = proxied.old.client();
        assert_eq!(client.text("CLIENT SETNAME switchback-probe"), "+OK\\r\\n");
        client
    };
    let mut before = probe(&proxied);
    let mut client = proxied.client();
    // The link in reserve is not being opened when MONITOR begins: of what began before it, the rest is told.
    client.text("GET a");
    wait_for("a link in reserve", || {
        before.text("CLIENT LIST").contains(" cmd=info ")
    });
    assert_eq!(client.text("MONITOR"), "+OK\\r\\n");
    let mut after = probe(&proxied);
    for probe in [&mut before, &mut after] {
        probe.text("ECHO own");
    }
    // Each opens links: of a database and a protocol, and one of its own.
    let mut lines = Vec::new();
    for (database, hello) in [(3, "HELLO 2"), (4, "HELLO 3")] {
        let mut other = proxied.client();
        other.text(hello);
        other.text(&format!("SELECT {database}"));
        other.text("SET a 1");
        other.text("WATCH a");
        other.text("PING");
        // The proxy asks what this is, and what MULTI is for when it comes.
        other.text("multi");
        other.text(&format!("no.command{database}"));
        other.text("EXEC");
        other.text(&format!("ECHO end{database}"));
        lines.extend(wait_for_line(&mut client, &format!("end{database}")));
    }
    let commands: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.trim_end().split_once("] ").map(|(_, command)| command))
        .filter(|command| !command.starts_with("\"HELLO\" \""))
        .collect();
    let before_the_end = [
        "\"SET\" \"a\" \"1\"",
        "\"WATCH\" \"a\"",
        "\"PING\"",
        "\"multi\"",
        "\"EXEC\"",
    ];
    let expected = |end: &'static str| [&before_the_end[..], &[end]].concat();
    assert_eq!(
        commands,
        [expected("\"ECHO\" \"end3\""), expected("\"ECHO\" \"end4\"")].concat()
    );
}

/// A password is asked about in the words of the client that gives it.
#[test]
fn who_authenticates_is_told_as_written_and_its_password_is_not() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    assert_eq!(client.text("MONITOR"), "+OK\\r\\n");
    let mut other = proxied.client();
    for wrong in [
        "auth x",
        "Auth nobody x",
        "hello 3 auth nobody x",
        "hello 2 SetName a AUTH nobody x",
    ] {
        assert!(other.text(wrong).starts_with('-'), "{wrong}");
    }
    other.text("ECHO end");
    let lines = wait_for_line(&mut client, "\"end\"");
    let commands: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.trim_end().split_once("] ").map(|(_, command)| command))
        .collect();
    let redacted = |words: &str| format!("{words} \"(redacted)\" \"(redacted)\"");
    assert_eq!(
        commands,
        [
            "\"auth\" \"(redacted)\"",
            &redacted("\"Auth\""),
            &redacted("\"hello\" \"3\" \"auth\""),
            &redacted("\"hello\" \"2\" \"AUTH\""),
            "\"ECHO\" \"end\"",
        ]
    );
    assert!(other.text("hello 3 auth default x").starts_with('%'));
    wait_for_line(
        &mut client,
        "\"hello\" \"3\" \"auth\" \"(redacted)\" \"(redacted)\"",
    );
}
