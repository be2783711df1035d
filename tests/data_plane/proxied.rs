//! Two real redis-servers, and the data plane in front of them with snapshots published by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use switchback::cluster::{Credentials, Discovery, Endpoint, NodeAddr, Secret, Side};
use switchback::config::{
    GuardConfig, OnUncertain, RampConfig, RouteConfig, RouteLimits, SubscribeTo, Unauthenticated,
};
use switchback::data_plane::{RouteShared, Seat, bind, start};
use switchback::lab::{Directory, Process, free_port};
use switchback::resp::ReplyScanner;
use switchback::routing::{Epoch, Publisher, SideView, Slot, Snapshot, Weight, owner};
use switchback::stats::RouteStats;
use tokio::sync::watch;

pub(crate) const WORKERS: usize = 2;

/// A redis-server that ends with its test.
pub(crate) struct Server {
    process: Process,
    /// Where its log is, and where it writes what it must.
    _directory: Directory,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_on(free_port().unwrap())
    }

    pub(crate) fn start_on(port: u16) -> Self {
        let server = Self::spawn(port, &["--save", ""]);
        drop(server.client());
        server
    }

    pub(crate) fn start_with(options: &[&str]) -> Self {
        Self::start_on_with(free_port().unwrap(), options)
    }

    pub(crate) fn start_on_with(port: u16, options: &[&str]) -> Self {
        let server = Self::spawn(port, &[&["--save", ""], options].concat());
        drop(server.client());
        server
    }

    /// A server that takes about two seconds to load its data, key `a` with the value `a` among it, and a client of it.
    pub(crate) fn start_loading(directory: &std::path::Path) -> (Self, Client) {
        let directory = directory.to_str().unwrap();
        let options = ["--dir", directory, "--rdbcompression", "no", "--save", ""];
        let writer = Self::spawn(free_port().unwrap(), &options);
        let mut client = writer.client();
        assert_eq!(client.text("SET a a"), "+OK\\r\\n");
        for number in 0..200 {
            let key = format!("filling:{number}");
            assert_eq!(client.call(&[b"SET", key.as_bytes(), &[b'x'; 2_000]]), b"+OK\r\n");
        }
        assert_eq!(client.text("SAVE"), "+OK\\r\\n");
        drop(writer);
        let slowly = [
            "--key-load-delay",
            "10000",
            "--loading-process-events-interval-bytes",
            "1024",
        ];
        let server = Self::spawn(free_port().unwrap(), &[&options[..], &slowly[..]].concat());
        let client = server.client();
        (server, client)
    }

    fn spawn(port: u16, options: &[&str]) -> Self {
        let directory = Directory::create("data-plane-test").unwrap();
        let (port_text, own) = (port.to_string(), directory.path().display().to_string());
        let fixed = [
            "--port",
            &port_text,
            "--bind",
            "127.0.0.1",
            "--appendonly",
            "no",
            "--dir",
            &own,
        ];
        let replication = [
            "--repl-diskless-sync-delay",
            "0",
            "--repl-diskless-load",
            "swapdb",
        ];
        let arguments = [&fixed[..], &replication[..], options].concat();
        let log = directory.path().join("log");
        let process = Process::start(Path::new("redis-server"), &arguments, &log).unwrap();
        Self {
            process,
            _directory: directory,
            port,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(SocketAddr::from(([127, 0, 0, 1], self.port)))
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        self.process.signal(signal).unwrap();
    }

    pub(crate) fn addr(&self) -> NodeAddr {
        NodeAddr::new("127.0.0.1", self.port)
    }
}

/// A client that sees bytes.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Everything that comes until the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    pub(crate) fn connect(address: SocketAddr) -> Self {
        let deadline = Instant::now() + Duration::from_secs(10);
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "nobody listens on {address}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, words: &[&[u8]]) {
        self.stream.write_all(&encode(words)).unwrap();
    }

    /// The bytes of the next reply.
    pub(crate) fn reply(&mut self) -> Vec<u8> {
        self.try_reply().expect("the connection was closed")
    }

    /// `None` when the connection is closed.
    pub(crate) fn try_reply(&mut self) -> Option<Vec<u8>> {
        let mut scanner = ReplyScanner::new();
        let mut chunk = vec![0; 256 * 1024];
        loop {
            if let Some(end) = scanner.scan(&self.buffer).expect("RESP") {
                return Some(self.buffer.drain(..end).collect());
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no reply: {error}; so far {}", self.buffer.escape_ascii()),
            }
        }
    }

    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Vec<u8> {
        self.send(words);
        self.reply()
    }

    /// A call with plain words, its reply as text.
    pub(crate) fn text(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.call(&words).escape_ascii().to_string()
    }
}

pub(crate) fn encode(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The data plane of one route.
pub(crate) struct Proxied {
    pub(crate) old: Server,
    pub(crate) new: Server,
    pub(crate) address: SocketAddr,
    pub(crate) publisher: Publisher,
    pub(crate) stats: Arc<RouteStats>,
    shutdown: watch::Sender<Option<Duration>>,
    threads: Vec<JoinHandle<()>>,
}

impl Proxied {
    /// Sends requests that a frozen master of `side` will not answer; returns once they have been handed to its socket.
    /// `before`: how many commands went there earlier.
    pub(crate) fn send_unanswered(
        &self,
        client: &mut Client,
        side: Side,
        before: u64,
        requests: &[&[&[u8]]],
    ) {
        let last_sent = || self.stats.last_sent_nanos[side.index()].load(Ordering::Relaxed);
        let sent_before = last_sent();
        let all: Vec<u8> = requests.iter().flat_map(|request| encode(request)).collect();
        client.stream.write_all(&all).unwrap();
        let count = before + requests.len() as u64;
        wait_for("the requests to be sent", || {
            let counted = self.stats.commands[side.index()].load(Ordering::Relaxed);
            counted == count && last_sent() > sent_before
        });
    }

    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut RouteConfig)) -> Self {
        Self::of_workers(WORKERS, change)
    }

    /// One worker, and the route's own user: nobody has to ask a node whether it wants a password, and there are no other links
    /// than those of the test.
    pub(crate) fn with_node_auth() -> Self {
        Self::of_workers(1, |config| {
            config.old.node_auth = Some(Credentials {
                user: Some("default".to_owned()),
                password: Secret::new("any".to_owned()),
            });
        })
    }

    /// With one worker, clients are served in the order in which they send.
    pub(crate) fn of_workers(workers: usize, change: impl FnOnce(&mut RouteConfig)) -> Self {
        let (old, new) = (Server::start(), Server::start());
        let mut config = RouteConfig {
            name: "test".to_owned(),
            tls: None,
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            old: endpoint(&old),
            new: Some(endpoint(&new)),
            weight: Weight::ZERO,
            subscribe_to: SubscribeTo::Master,
            unauthenticated: Unauthenticated::Route,
            uncertain: OnUncertain::Error,
            uncertain_publish: OnUncertain::Retry,
            allow: Vec::new(),
            guard: GuardConfig::default(),
            ramp: RampConfig::default(),
            limits: RouteLimits::default(),
        };
        change(&mut config);
        let listeners = bind("test", config.listen[0], workers).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let shared = Arc::new(RouteShared::new(config));
        let stats = Arc::clone(&shared.stats);
        let view = |server: &Server| SideView {
            master: Some(Arc::new(server.addr())),
            ..SideView::default()
        };
        let first = Snapshot {
            epoch: Epoch(1),
            weight: Weight::ZERO,
            old: view(&old),
            new: Some(view(&new)),
        };
        let publisher = Publisher::new(first, workers);
        let (shutdown, watching) = watch::channel(None);
        let mut threads = Vec::new();
        for (number, listener) in listeners.into_iter().enumerate() {
            let seat = Seat {
                shared: Arc::clone(&shared),
                subscription: publisher.subscribe(number),
                listeners: vec![listener],
            };
            threads.push(start(number, vec![seat], watching.clone()).unwrap());
        }
        Self {
            old,
            new,
            address,
            publisher,
            stats,
            shutdown,
            threads,
        }
    }

    /// Waits until the old side has so many links.
    pub(crate) fn wait_for_links(&self, count: usize) {
        let links = &self.stats.upstream_connections[0];
        wait_for(&format!("{count} links"), || {
            links.load(Ordering::Relaxed) == count
        });
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Publishes and waits until every worker routes by it.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut next = (*self.publisher.current()).clone();
        next.epoch = next.epoch.next();
        change(&mut next);
        let epoch = next.epoch;
        self.publisher.publish(next);
        let table = self.publisher.table();
        wait_for("every worker's acknowledgement", || table.acknowledged() >= epoch);
    }

    pub(crate) fn weight(&self, percent: u16) {
        self.publish(|snapshot| snapshot.weight = Weight::from_steps(percent * 100).unwrap());
    }

    /// Side `side`'s master is `server`, or nobody.
    pub(crate) fn master(&self, side: Side, server: Option<&Server>) {
        let master = server.map(|server| Arc::new(server.addr()));
        self.publish(|snapshot| match side {
            Side::Old => snapshot.old.master = master,
            Side::New => snapshot.new.as_mut().unwrap().master = master,
        });
    }

    /// When something was last handed to a socket of `side`.
    pub(crate) fn sent_nanos(&self, side: Side) -> u64 {
        self.stats.last_sent_nanos[side.index()].load(Ordering::Relaxed)
    }

    /// Has the workers end, with so long for their clients.
    pub(crate) fn shut_down(&self, grace: Duration) {
        self.shutdown.send(Some(grace)).unwrap();
    }

    pub(crate) fn clients(&self) -> usize {
        self.stats.clients.load(Ordering::Relaxed)
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        if self.shutdown.borrow().is_none() {
            let _ = self.shutdown.send(Some(Duration::ZERO));
        }
        let ended = self
            .threads
            .drain(..)
            .map(JoinHandle::join)
            .all(|joined| joined.is_ok());
        assert!(ended || std::thread::panicking(), "a worker panicked");
    }
}

fn endpoint(server: &Server) -> Endpoint {
    Endpoint {
        discovery: Discovery::Fixed(server.addr()),
        tls: None,
        node_auth: None,
        sentinel_auth: None,
    }
}

/// A key that belongs to `side` at half weight.
pub(crate) fn key_of(side: Side, number: usize) -> String {
    let half = Weight::from_steps(5_000).unwrap();
    let candidates = (0..).map(|candidate| format!("k{candidate}"));
    candidates
        .filter(|key| owner(Slot::of(key.as_bytes()), half) == side)
        .nth(number)
        .unwrap()
}

/// Waits for a condition, at most 20 s.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
