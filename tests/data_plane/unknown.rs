//! Commands that the table does not have: a module's, renamed ones, and none at all.

use std::process::Command;
use std::time::{Duration, Instant};

use switchback::cluster::Side;
use switchback::lab::Directory;

use crate::proxied::{Proxied, Server, key_of};

/// Both sides' masters with these options.
fn with_options(options: &[&str]) -> (Proxied, [Server; 2]) {
    let proxied = Proxied::start();
    let servers = [Server::start_with(options), Server::start_with(options)];
    for (side, server) in Side::BOTH.into_iter().zip(&servers) {
        proxied.master(side, Some(server));
    }
    (proxied, servers)
}

const CROSS: &str = "-CROSSSIDE keys of this command belong to different sides at weight 50.00\\r\\n";

#[test]
fn a_modules_commands_go_by_their_keys_and_block_nobody_else() {
    let directory = Directory::create("module").unwrap();
    let module = directory.path().join("mod.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data_plane/module.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&module)
        .arg(source)
        .status()
        .unwrap();
    assert!(built.success());
    let (proxied, [old, new]) = with_options(&["--loadmodule", module.to_str().unwrap()]);
    let (a, b) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    let mut client = proxied.client();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        for key in [&a, &b] {
            assert_eq!(client.text(&format!("mod.set {key} {weight}")), "+OK\\r\\n");
            let value =
                format!("$%d\\r\\n{weight}\\r\\n").replace("%d", &weight.to_string().len().to_string());
            assert_eq!(client.text(&format!("GET {key}")), value);
            assert_eq!(client.text(&format!("MOD.COUNT 2 {key} {key}")), ":2\\r\\n");
            client.text("MULTI");
            assert_eq!(client.text(&format!("MOD.COUNT 1 {key}")), "+QUEUED\\r\\n");
            assert_eq!(client.text(&format!("mod.SET {key} {weight}")), "+QUEUED\\r\\n");
            assert_eq!(client.text("EXEC"), "*2\\r\\n:1\\r\\n+OK\\r\\n");
        }
        let both = client.text(&format!("MOD.COUNT 2 {a} {b}"));
        assert_eq!(both, if weight == 50 { CROSS } else { ":2\\r\\n" });
        assert_eq!(client.text("MOD.COUNT x"), old.client().text("MOD.COUNT x"));
        assert_eq!(client.text("MOD.SET"), old.client().text("MOD.SET"));
    }
    assert_eq!(new.client().text(&format!("GET {b}")), "$3\\r\\n100\\r\\n");
    // One waits; the others of its worker do not.
    let mut waiting: Vec<_> = (0..8).map(|_| proxied.client()).collect();
    for client in &mut waiting {
        client.send(&[b"MOD.WAIT", b.as_bytes()]);
    }
    let mut others: Vec<_> = (0..8).map(|_| proxied.client()).collect();
    let begun = Instant::now();
    for client in &mut others {
        assert_eq!(client.text(&format!("EXISTS {b}")), ":1\\r\\n");
    }
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "{:?}",
        begun.elapsed()
    );
    for client in &mut waiting {
        assert_eq!(client.reply(), b":42\r\n");
    }
}

#[test]
fn a_renamed_command_is_treated_as_what_it_is() {
    let renamed = [
        ["INCRBY", "HISINC"],
        ["BLPOP", "HISPOP"],
        ["EVAL", "HISEVAL"],
        ["MGET", "HISGET"],
        ["SCAN", "HISSCAN"],
    ];
    let options: Vec<&str> = renamed
        .iter()
        .flat_map(|[from, to]| ["--rename-command", from, to])
        .collect();
    let (proxied, _servers) = with_options(&options);
    proxied.weight(50);
    let mut client = proxied.client();
    let (a, b) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    for (key, number) in [(&a, "1"), (&b, "2")] {
        assert_eq!(
            client.text(&format!("hisinc {key} {number}")),
            format!(":{number}\\r\\n")
        );
    }
    assert_eq!(
        client.text(&format!("HISGET {b} {a}")),
        "*2\\r\\n$1\\r\\n2\\r\\n$1\\r\\n1\\r\\n"
    );
    assert_eq!(
        client.text(&format!("HISEVAL return(KEYS[1]) 1 {b}")),
        format!("${}\\r\\n{b}\\r\\n", b.len())
    );
    assert_eq!(client.text(&format!("HISEVAL return(KEYS[1]) 2 {a} {b}")), CROSS);
    assert!(client.text("HISSCAN 0 COUNT 1000").contains(&a));
    let queue = key_of(Side::New, 1);
    let mut blocked = proxied.client();
    blocked.send(&[b"HISPOP", queue.as_bytes(), b"0"]);
    for _ in 0..4 {
        assert_eq!(proxied.client().text("PING"), "+PONG\\r\\n");
    }
    assert_eq!(client.text(&format!("RPUSH {queue} x")), ":1\\r\\n");
    assert!(blocked.reply().ends_with(b"$1\r\nx\r\n"));
    assert!(
        client
            .text(&format!("INCRBY {a} 1"))
            .starts_with("-ERR unknown command")
    );
}

#[test]
fn what_no_server_knows_is_told_in_its_words_and_fills_nothing() {
    let proxied = Proxied::start();
    let direct = Server::start();
    let (mut here, mut there) = (proxied.client(), direct.client());
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        for line in ["FOO", "FOO a b", "nonsense \u{e9}", "foo.bar a b c d e f g"] {
            assert_eq!(here.text(line), there.text(line), "at {weight}");
        }
        for line in ["MULTI", "FOO a", "EXEC", "PING"] {
            assert_eq!(here.text(line), there.text(line), "at {weight}");
        }
        for number in 0..2_000 {
            here.send(&[format!("name{number}").as_bytes(), b"a"]);
        }
        for number in 0..2_000 {
            let reply = here.reply();
            let expected = format!("-ERR unknown command 'name{number}', with args beginning with: 'a' \r\n");
            assert_eq!(
                reply.escape_ascii().to_string(),
                expected.as_bytes().escape_ascii().to_string()
            );
        }
    }
}
