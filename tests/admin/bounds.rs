//! What is wrong, too much, or gone.

use std::net::Shutdown;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command as Process;

use switchback::control_plane::admin::{AdminListener, BindError, Command};
use switchback::limits::{ADMIN_CLIENTS_MAX, ADMIN_REQUEST_BYTES_MAX};

use crate::stand_in::{Loop, StandIn, eventually};

#[test]
fn garbage_is_told_and_closed_and_others_go_on() {
    let stand_in = StandIn::start();
    let mut other = stand_in.raw();
    let cases: [(&[u8], &str); 6] = [
        (b"*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        (
            b"*2147483647\r\n",
            "-ERR Protocol error: invalid multibulk length\r\n",
        ),
        (b"*1\r\n$-2\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        (
            b"*1\r\n$1073741824\r\n",
            "-ERR Protocol error: invalid bulk length\r\n",
        ),
        (b"*1\r\n*1\r\n", "-ERR Protocol error: expected '$', got '*'\r\n"),
        (
            b"STATUS \"r\r\n",
            "-ERR Protocol error: unbalanced quotes in request\r\n",
        ),
    ];
    for (bytes, told) in cases {
        let mut client = stand_in.raw();
        client.send(bytes);
        assert_eq!(client.rest(), told, "{}", bytes.escape_ascii());
    }
    let mut client = stand_in.raw();
    client.send(b"\x00\xff\x80\r\n");
    assert!(client.until("\r\n").starts_with("-ERR unknown command"));
    assert_eq!(other.ask("PING"), "+PONG\r\n");
}

#[test]
fn a_request_is_answered_at_the_bound_and_refused_one_past_it() {
    let stand_in = StandIn::start();
    // `*2 PING text` around the text takes 24 bytes while its length has five digits.
    let ping = |bytes: usize| {
        let length = bytes - 24;
        format!("*2\r\n$4\r\nPING\r\n${length}\r\n{}\r\n", "x".repeat(length)).into_bytes()
    };
    let at = ping(ADMIN_REQUEST_BYTES_MAX);
    assert_eq!(at.len(), ADMIN_REQUEST_BYTES_MAX);
    let mut client = stand_in.raw();
    client.send(&at);
    assert!(client.until("x\r\n").starts_with("$6"));
    client.send(&ping(ADMIN_REQUEST_BYTES_MAX + 1));
    assert_eq!(client.rest(), "-ERR a request has at most 65536 bytes\r\n");
}

#[test]
fn a_megabyte_is_refused_whatever_its_form() {
    let stand_in = StandIn::start();
    let bulk = [b"*1\r\n$1048576\r\n".to_vec(), vec![b'x'; 1024 * 1024]].concat();
    let many = b"$1\r\nx\r\n".repeat(150_000);
    let many = [b"*150000\r\n".to_vec(), many].concat();
    let inline = vec![b'x'; 1024 * 1024];
    for request in [bulk, many, inline] {
        let mut client = stand_in.raw();
        client.send(&request);
        let told = client.rest();
        assert!(told.starts_with("-ERR ") && told.ends_with("\r\n"), "{told}");
    }
    assert_eq!(stand_in.raw().ask("PING"), "+PONG\r\n");
}

#[test]
fn a_half_closed_client_gets_all_its_replies() {
    let stand_in = StandIn::start();
    let mut client = stand_in.raw();
    client.send(b"WEIGHT r\r\n\r\n*0\r\nPING\r\nWEIGHT nowhere\r\n*1\r\n$4\r\nPI");
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        client.rest(),
        "$5\r\n25.00\r\n+PONG\r\n-ERR no such route 'nowhere'\r\n"
    );
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let stand_in = StandIn::start();
    let mut client = stand_in.raw();
    for byte in b"*2\r\n$6\r\nWEIGHT\r\n$1\r\nr\r\n" {
        client.send(&[*byte]);
    }
    assert_eq!(client.until("00\r\n"), "$5\r\n25.00\r\n");
}

#[test]
fn clients_are_counted_and_one_that_leaves_makes_room() {
    let stand_in = StandIn::start();
    let mut clients: Vec<_> = (0..ADMIN_CLIENTS_MAX).map(|_| stand_in.raw()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "+PONG\r\n");
    }
    assert_eq!(stand_in.raw().rest(), "-ERR max number of clients reached\r\n");
    clients.pop();
    eventually("there is room again", || {
        let mut client = stand_in.raw();
        client.send(b"PING\r\nQUIT\r\n");
        client.rest() == "+PONG\r\n+OK\r\n"
    });
}

#[test]
fn unknown_commands_are_named_and_known_ones_reach_the_loop() {
    let stand_in = StandIn::start();
    let mut client = stand_in.raw();
    assert_eq!(
        client.ask("GET key"),
        "-ERR unknown command 'GET', with args beginning with: 'key' \r\n"
    );
    assert_eq!(
        client.ask("RAMP r BEGIN"),
        "-ERR RAMP takes START, PAUSE, RESUME or ABORT\r\n"
    );
    assert_eq!(client.ask("ARM nowhere"), "-ERR no such route 'nowhere'\r\n");
    assert_eq!(
        stand_in.asked(),
        Command::Arm {
            route: "nowhere".to_owned()
        }
    );
    assert_eq!(client.ask("CONFIG RELOAD"), "+OK\r\n");
}

#[test]
fn a_loop_that_drops_a_request_is_told() {
    let stand_in = StandIn::with(Loop::Drops);
    let mut client = stand_in.raw();
    assert_eq!(
        client.ask("STATUS"),
        "-ERR the control loop ended before it answered\r\n"
    );
    assert!(client.ask("SUBSCRIBE events").starts_with("-ERR"));
    assert_eq!(client.ask("PING"), "+PONG\r\n");
}

#[test]
fn shutdown_is_answered_before_the_socket_ends() {
    let mut stand_in = StandIn::start();
    let mut idle = stand_in.raw();
    let mut client = stand_in.raw();
    client.send(b"SHUTDOWN GRACE 0\r\n");
    assert_eq!(client.rest(), "+OK\r\n");
    assert_eq!(idle.rest(), "");
    stand_in.stop();
    assert!(!stand_in.path().exists(), "the socket's file is removed");
}

#[test]
fn a_subscriber_whose_queue_was_full_is_disconnected() {
    let stand_in = StandIn::with(Loop::Floods);
    let mut client = stand_in.raw();
    client.send(b"SUBSCRIBE events\r\n");
    assert_eq!(
        client.until(":1\r\n"),
        "*3\r\n$9\r\nsubscribe\r\n$6\r\nevents\r\n:1\r\n"
    );
    assert_eq!(client.rest(), "", "closed, rather than with a gap nobody sees");
}

#[test]
fn a_second_proxy_is_refused_and_the_first_goes_on() {
    let stand_in = StandIn::start();
    assert!(matches!(
        AdminListener::bind(stand_in.path()),
        Err(BindError::InUse(_))
    ));
    assert_eq!(stand_in.raw().ask("PING"), "+PONG\r\n");
}

#[test]
fn other_users_are_kept_out_by_the_mode_and_by_their_number() {
    let stand_in = StandIn::start();
    let path = stand_in.path();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    if !nix::unistd::geteuid().is_root() {
        return; // Only root can be somebody else.
    }
    let somebody_else = || {
        let mut process = Process::new("redis-cli");
        process.arg("-s").arg(&path).arg("PING").uid(65_534).gid(65_534);
        let output = process.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    std::fs::set_permissions(path.parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(somebody_else().contains("Permission denied"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    assert!(somebody_else().contains("NOPERM"));
}
