//! Does another process take over with no client refused, and does it go on where the first has stopped?

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use switchback::lab::{Reply, wait_for};

use crate::operating::{server, url};
use crate::running::{Child, PROGRAM, Running, SOON, program, stderr};

/// The process that has taken over. Ended with this.
struct Successor(Pid);

impl Successor {
    /// Waits for the one of `running` to serve.
    fn of(running: &mut Running) -> Self {
        wait_for("the first process to end", SOON, || running.has_ended()).unwrap();
        let log = running.log();
        let line = log
            .lines()
            .find(|line| line.contains("another process has taken over"));
        let line = line.unwrap_or_else(|| panic!("{log}"));
        let number = line.rsplit("process=").next().unwrap().trim();
        Self(Pid::from_raw(number.parse().unwrap()))
    }

    fn is_there(&self) -> bool {
        kill(self.0, None).is_ok()
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

/// What clients have seen that come, say one thing and leave.
#[derive(Default)]
struct Seen {
    served: AtomicUsize,
    refused: AtomicUsize,
    /// Closed before they were answered.
    cut: AtomicUsize,
}

/// Comes again and again until the end.
fn come_and_go(port: u16, number: usize, is_over: &AtomicBool, seen: &Seen) {
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => stream,
            Err(_) => {
                seen.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            }
        };
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut line = String::new();
        let asked = stream
            .write_all(format!("INCR {number}\r\n").as_bytes())
            .and_then(|()| BufReader::new(&stream).read_line(&mut line));
        match asked {
            Ok(count) if count > 0 && line.starts_with(':') => seen.served.fetch_add(1, Ordering::Relaxed),
            Ok(_) => seen.cut.fetch_add(1, Ordering::Relaxed),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer within {SOON:?}"),
            Err(_) => seen.cut.fetch_add(1, Ordering::Relaxed),
        };
    }
}

#[test]
fn nobody_is_refused_and_weight_epoch_and_latch_are_carried_over() {
    let (old, new) = (server(), server());
    let mut running = Running::start(&url(&old), Some(&url(&new)), "");
    running.raise("37.5");
    let before = running.status();
    let port = running.listen.port;
    let (is_over, seen) = (AtomicBool::new(false), Seen::default());
    let mut successors = Vec::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (is_over, seen) = (&is_over, &seen);
            scope.spawn(move || come_and_go(port, number, is_over, seen));
        }
        let has_come = |count: usize| seen.served.load(Ordering::Relaxed) > count;
        wait_for("load", SOON, || has_come(500)).unwrap();
        assert_eq!(running.say(&["UPGRADE"]), "OK");
        successors.push(Successor::of(&mut running));
        let so_far = seen.served.load(Ordering::Relaxed);
        wait_for("load on the second process", SOON, || has_come(so_far + 500)).unwrap();
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(seen.refused.load(Ordering::Relaxed), 0);
    assert_eq!(seen.cut.load(Ordering::Relaxed), 0);
    let counted = |number: usize| {
        let number = number.to_string();
        let of = |server: &switchback::lab::Server| {
            let text = server.call(&["GET", &number]).unwrap().text();
            text.map_or(0, |text| text.parse::<usize>().unwrap())
        };
        of(&old) + of(&new)
    };
    let all: usize = (0..8).map(counted).sum();
    assert_eq!(all, seen.served.load(Ordering::Relaxed));

    let after = running.status();
    assert_eq!(after["weight"], before["weight"]);
    assert!(after["epoch"].as_u64() >= before["epoch"].as_u64(), "{after}");

    assert_eq!(running.say(&["BACK", "r"]), "OK");
    // A process that has been taken over itself hands over like any other.
    let first = successors.pop().unwrap();
    kill(first.0, Signal::SIGUSR2).unwrap();
    wait_for("the second process to end", SOON, || !first.is_there()).unwrap();
    let log = running.log();
    let number = log.rsplit("process=").next().unwrap().split_whitespace().next();
    let _second = Successor(Pid::from_raw(number.unwrap().parse().unwrap()));
    wait_for("the third to answer", SOON, || {
        running.try_say(&["PING"]).is_some()
    })
    .unwrap();
    let last = running.status();
    assert_eq!(
        (&last["latched"], &last["weight"]),
        (&true.into(), &after_back()),
        "{last}"
    );
    assert_eq!(
        running.client().call(&["PING"]).unwrap().text().as_deref(),
        Some("PONG")
    );
}

fn after_back() -> serde_json::Value {
    serde_json::json!(0.0)
}

#[test]
fn replies_under_way_come_and_a_change_ends_what_is_left_of_the_first() {
    let (old, new) = (server(), server());
    let mut running = Running::start(&url(&old), Some(&url(&new)), "");
    running.raise("100");
    let mut waiting = running.client();
    waiting.send(&["BLPOP", "q", "0"]).unwrap();
    wait_for("the client to block", SOON, || {
        new.info("clients", "blocked_clients").unwrap() == "1"
    })
    .unwrap();
    let first = running.pid();
    assert_eq!(running.say(&["UPGRADE"]), "OK");
    let serving = || running.try_say(&["WEIGHT", "r"]).as_deref() == Some("100.00");
    wait_for("the second process", SOON, serving).unwrap();
    assert!(kill(Pid::from_raw(first as i32), None).is_ok());
    // Of what the second decides the first knows nothing: it is not to send anything to `new` any more.
    assert_eq!(running.say(&["BACK", "r"]), "OK");
    let began = std::time::Instant::now();
    let _second = Successor::of(&mut running);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(waiting.receive().is_err());
}

#[test]
fn who_cannot_take_over_changes_nothing() {
    let old = server();
    let running = Running::start(&url(&old), None, "");
    let mut client = running.client();
    let file = running.path("switchback.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("workers", "wrokers")).unwrap();
    let output = program(&["upgrade", "--socket", &running.socket().display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let refusal = stderr(&output);
    assert!(
        refusal.contains("not upgraded, nothing has changed: the new process ended before it was prepared"),
        "{refusal}"
    );
    assert!(running.log().contains("wrokers"), "{}", running.log());
    assert_eq!(
        client.call(&["SET", "k", "v"]).unwrap(),
        Reply::Status("OK".to_owned())
    );
    assert_eq!(
        running.client().call(&["GET", "k"]).unwrap().text().as_deref(),
        Some("v")
    );
    std::fs::write(&file, config).unwrap();
}

#[test]
fn a_socket_of_the_service_managers_is_served_and_readiness_is_told_to_it() {
    let old = server();
    let directory = switchback::lab::Directory::create("activated").unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let notified = UnixDatagram::bind(directory.path().join("notify")).unwrap();
    notified.set_read_timeout(Some(SOON)).unwrap();
    // There is nobody to take this client yet, and it is not refused.
    let mut early = TcpStream::connect(address).unwrap();
    early.write_all(b"PING\r\n").unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let config = format!(
        "[proxy]\nworkers = 3\nadmin_socket = \"{}\"\nstate_dir = \"{}\"\nmetrics_listen = \"\"\n\
         [[route]]\nname = \"r\"\nlisten = [\"{address}\"]\nold = \"{}\"\n",
        path("admin.sock"),
        path("state"),
        url(&old),
    );
    let file = directory.write("switchback.toml", &config).unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .args(["run", "--config"])
        .arg(file)
        .env("LISTEN_FDS", "1")
        .env("NOTIFY_SOCKET", path("notify"));
    let mapping = FdMapping {
        parent_fd: socket.into(),
        child_fd: 3,
    };
    command.fd_mappings(vec![mapping]).unwrap();
    let mut process = Child(command.spawn().unwrap());
    let mut said = [0; 256];
    let count = notified.recv(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said[..count]).into_owned();
    let number = process.0.id();
    assert!(
        said.contains("READY=1") && said.contains(&format!("MAINPID={number}")),
        "{said}"
    );
    let mut line = String::new();
    BufReader::new(&early).read_line(&mut line).unwrap();
    assert_eq!(line, "+PONG\r\n");
    kill(Pid::from_raw(number as i32), Signal::SIGTERM).unwrap();
    assert!(process.0.wait().unwrap().success());
}
