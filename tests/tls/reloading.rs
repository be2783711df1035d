//! What becomes of connections when certificates are replaced?

use switchback::lab::{Server, ServerOptions, wait_for};

use crate::authority::{Authority, text};
use crate::clients::listening;
use crate::groups::server;
use crate::running::{Running, SOON};
use crate::tls_client::TlsClient;

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_old_ones_stay() {
    let authority = Authority::new();
    let node = Server::start(&ServerOptions::default()).unwrap();
    let first = authority.sign("proxy", &["127.0.0.1"]);
    let running = Running::start(&format!("redis://{}", node.addr()), None, &listening(&first));
    let mut before = TlsClient::connect(&running.listen, &authority, None).unwrap();
    before.says(PING, PONG);

    // Half of a pair, as it is while files are being replaced: refused, and nothing has changed.
    let key = std::fs::read(&first.key).unwrap();
    authority.sign("proxy", &["127.0.0.1"]);
    let next = std::fs::read(&first.key).unwrap();
    std::fs::write(&first.key, key).unwrap();
    let refused = running.say(&["CONFIG", "RELOAD"]);
    assert!(
        refused.starts_with("-ERR not reloaded") && refused.contains("route[r].tls"),
        "{refused}"
    );
    let same = TlsClient::connect(&running.listen, &authority, None).unwrap();
    assert_eq!(same.shown(), before.shown());

    std::fs::write(&first.key, next).unwrap();
    assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
    let mut after = TlsClient::connect(&running.listen, &authority, None).unwrap();
    assert_ne!(after.shown(), before.shown());
    after.says(PING, PONG);
    before.says(PING, PONG);
}

#[test]
fn a_node_whose_authority_is_replaced_is_found_again() {
    let (first, second) = (Authority::new(), Authority::new());
    let (_node, at) = server(&second, &second.sign("node", &["127.0.0.1"]), false);
    let authorities = first.ca();
    let running = Running::start(
        &format!("rediss://{at}"),
        None,
        &format!(
            "[route.old_tls]\nca = \"{}\"\n[route.limits]\nhold_time = \"300ms\"\n",
            text(&authorities)
        ),
    );
    let set = || running.client().call(&["SET", "k", "v"]).unwrap();
    assert!(format!("{:?}", set()).contains("NOUPSTREAM"));
    std::fs::copy(second.ca(), &authorities).unwrap();
    assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
    wait_for("the node to be used", SOON, || {
        set().text().as_deref() == Some("OK")
    })
    .unwrap();
}
