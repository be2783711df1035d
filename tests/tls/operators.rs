//! What may an operator do from another host, and who else may not?

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use switchback::cluster::NodeAddr;
use switchback::lab::{Server, ServerOptions, free_port};

use crate::authority::{Authority, text};
use crate::running::{Running, program, stderr};
use crate::tls_client::TlsClient;

const PASSWORD: &str = "hunter2-of-an-operator";

struct Scene {
    authority: Authority,
    at: NodeAddr,
    running: Running,
    _servers: [Server; 2],
}

fn begin() -> Scene {
    let authority = Authority::new();
    let identity = authority.sign("admin", &["127.0.0.1"]);
    let port = free_port().unwrap();
    let process = format!(
        "admin_listen = \"127.0.0.1:{port}\"\n[proxy.admin_tls]\ncert = \"{}\"\nkey = \"{}\"\n[proxy.admin_auth]\npassword = \"{PASSWORD}\"\n",
        text(&identity.cert),
        text(&identity.key),
    );
    let server = Server::start(&ServerOptions::default()).unwrap();
    let new = Server::start(&ServerOptions::default()).unwrap();
    let [old_url, new_url] = [&server, &new].map(|server| format!("redis://{}", server.addr()));
    let running = Running::start_with(&process, &old_url, Some(&new_url), "");
    Scene {
        authority,
        at: NodeAddr::new("127.0.0.1", port),
        running,
        _servers: [server, new],
    }
}

impl Scene {
    fn redis_cli(&self, words: &[&str]) -> Output {
        Command::new("redis-cli")
            .env("REDISCLI_AUTH", PASSWORD)
            .args(["--tls", "--cacert", &text(&self.authority.ca())])
            .args(["-h", "127.0.0.1", "-p", &self.at.port.to_string()])
            .args(words)
            .output()
            .unwrap()
    }

    fn client(&self) -> TlsClient {
        TlsClient::connect(&self.at, &self.authority, None).unwrap()
    }
}

#[test]
fn redis_cli_is_an_operator_from_elsewhere() {
    let scene = begin();
    let output = scene.redis_cli(&["BACK", "r", "REASON", "from elsewhere"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "OK", "{output:?}");
    assert_eq!(scene.running.status()["latched"], true);
    let three = scene.redis_cli(&["-3", "STATUS", "r"]);
    assert!(
        String::from_utf8_lossy(&three.stdout).contains("tripped"),
        "{three:?}"
    );
    assert!(!scene.running.log().contains(PASSWORD));
}

#[test]
fn who_does_not_know_the_password_learns_nothing_and_waits() {
    let scene = begin();
    let mut client = scene.client();
    for request in [
        &b"PING\r\n"[..],
        b"STATUS\r\n",
        b"BACK r\r\n",
        b"HELP\r\n",
        b"SUBSCRIBE events\r\n",
        b"CLIENT ID\r\n",
    ] {
        client.says(request, b"-NOAUTH Authentication required.\r\n");
    }
    let began = Instant::now();
    let refusal = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    client.says(b"AUTH hunter1\r\n", refusal);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(client.rest().unwrap(), b"");
    let mut client = scene.client();
    client.says(b"HELLO 3 AUTH somebody hunter2-of-an-operator\r\n", refusal);
    assert_eq!(client.rest().unwrap(), b"");
    assert_eq!(scene.running.status()["latched"], false);
    // Ten seconds are for who says nothing at all.
    let mut silent = scene.client();
    assert_eq!(silent.rest().unwrap(), b"");
}

#[test]
fn who_knows_it_is_known_until_reset() {
    let scene = begin();
    let mut client = scene.client();
    client.says(format!("AUTH default {PASSWORD}\r\n").as_bytes(), b"+OK\r\n");
    client.says(b"PING\r\n", b"+PONG\r\n");
    client.says(b"RESET\r\n", b"+RESET\r\n");
    client.says(b"PING\r\n", b"-NOAUTH Authentication required.\r\n");
    client
        .send(format!("HELLO 3 AUTH default {PASSWORD}\r\n").as_bytes())
        .unwrap();
    assert_eq!(client.read(2).unwrap(), b"%7");
}

#[test]
fn there_is_no_such_address_without_tls_and_a_password() {
    let directory = switchback::lab::Directory::create("admin-config").unwrap();
    for (more, fault) in [
        ("", "proxy.admin_tls: found nothing"),
        (
            "[proxy.admin_tls]\ncert = \"x\"\nkey = \"y\"\n",
            "proxy.admin_auth: found nothing",
        ),
        ("[proxy.admin_auth]\nuser = \"x\"\n", "a user without a password"),
    ] {
        let config = format!(
            "[proxy]\nadmin_listen = \"127.0.0.1:1\"\n{more}[[route]]\nname = \"r\"\nlisten = [\"127.0.0.1:2\"]\nold = \"redis://h:1\"\n"
        );
        let file = directory.write("switchback.toml", &config).unwrap();
        let output = program(&["check", "--config", &text(&file)]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(fault), "{more}\n{}", stderr(&output));
    }
}
