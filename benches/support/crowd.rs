//! Who asks, by the ten thousand, and how long does each wait?
//!
//! Shell: one thread and epoll. Every byte of every reply is compared with what it must be, so that replies are counted by bytes and
//! none is scanned. Waits go into a histogram with three significant digits.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use super::values::Values;

/// A Redis accepts 511 at once, and whoever comes then waits a second.
const CONNECTING_MAX: usize = 256;
const READ_BYTES: usize = 64 << 10;
/// Reads of one client before the others have their turn.
const READS_A_TURN: usize = 4;
/// How long a client that connects may wait for its first reply, and all of them for the load to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often somebody who reads slowly reads.
const SLOW_READ_EVERY: Duration = Duration::from_millis(10);
/// What the kernel may keep for somebody who reads slowly: the rest is somebody else's to keep.
const SLOW_RECEIVE_BUFFER: usize = 16 << 10;
const LONGEST_NANOS: u64 = 60_000_000_000;

/// What is asked for, and what must come.
#[derive(Clone, Copy)]
pub(crate) enum Command {
    Get(Values),
    Set(Values),
    Ping,
}

/// When the next commands follow.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// When all of the pipeline has been answered.
    WhenAnswered,
    /// At once as many as were answered: the pipeline is always full.
    FlatOut,
    /// So long after the ones before, or when those are answered.
    Every(Duration),
    /// Flat out, but so many bytes a second are read and no more.
    SlowReader(usize),
}

/// Clients that are alike.
#[derive(Clone, Copy)]
pub(crate) struct Clients {
    pub(crate) count: usize,
    pub(crate) pipeline: usize,
    pub(crate) command: Command,
    pub(crate) pace: Pace,
}

/// What they got in some time.
pub(crate) struct Served {
    pub(crate) commands: u64,
    pub(crate) seconds: f64,
    /// Of the waits in nanoseconds: from the write of a pipeline to its last reply. Of clients that are flat out nothing.
    waits: Histogram<u64>,
}

impl Served {
    /// In microseconds; not a number where nobody has waited.
    pub(crate) fn wait_micros(&self, quantile: f64) -> f64 {
        match self.waits.is_empty() {
            true => f64::NAN,
            false => self.waits.value_at_quantile(quantile) as f64 / 1e3,
        }
    }
}

struct Client {
    stream: TcpStream,
    /// What the socket has not taken.
    unsent: Vec<u8>,
    /// Commands that are not answered.
    asked: usize,
    /// Bytes of the reply that is coming.
    partial: usize,
    sent_at: Instant,
    /// It is among those that have more to read.
    is_waiting: bool,
}

/// Connected clients. Their connections end on drop.
pub(crate) struct Crowd {
    alike: Clients,
    poll: Poll,
    clients: Vec<Client>,
    template: Vec<u8>,
    /// Where in it the last digits of the key are.
    digits: Range<usize>,
    /// Replies one after the other, and how long each is.
    replies: Vec<u8>,
    reply_bytes: usize,
    chunk: Vec<u8>,
    batch: Vec<u8>,
    random: fastrand::Rng,
    has_begun: bool,
    commands: u64,
    waits: Histogram<u64>,
    /// Whose next commands are due, earliest first.
    due: VecDeque<(Instant, usize)>,
    /// Who has more to read.
    ready: VecDeque<usize>,
}

impl Crowd {
    /// Connects all of them to `port` of 127.0.0.1, each having been answered once.
    pub(crate) fn connect(port: u16, alike: Clients, seed: u64) -> Self {
        let poll = Poll::new().unwrap();
        let mut clients = Vec::with_capacity(alike.count);
        while clients.len() < alike.count {
            let count = CONNECTING_MAX.min(alike.count - clients.len());
            let mut few: Vec<_> = (0..count).map(|_| connect(port, alike.pace)).collect();
            few.iter_mut()
                .for_each(|stream| stream.write_all(b"PING\r\n").unwrap());
            for mut stream in few {
                let mut pong = [0; 7];
                stream.read_exact(&mut pong).unwrap();
                assert_eq!(&pong, b"+PONG\r\n");
                stream.set_nonblocking(true).unwrap();
                let mut stream = TcpStream::from_std(stream);
                let both = Interest::READABLE | Interest::WRITABLE;
                let token = Token(clients.len());
                poll.registry().register(&mut stream, token, both).unwrap();
                clients.push(Client {
                    stream,
                    unsent: Vec::new(),
                    asked: 0,
                    partial: 0,
                    sent_at: Instant::now(),
                    is_waiting: false,
                });
            }
        }
        let (template, digits) = alike.command.request();
        let reply = alike.command.reply();
        Self {
            alike,
            poll,
            clients,
            template,
            digits,
            replies: reply.repeat(READ_BYTES / reply.len() + 2),
            reply_bytes: reply.len(),
            chunk: vec![0; READ_BYTES],
            batch: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            has_begun: false,
            commands: 0,
            waits: Histogram::new_with_bounds(1, LONGEST_NANOS, 3).unwrap(),
            due: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// Asks for so long. What is under way at the end goes on when this is called again.
    pub(crate) fn ask_for(&mut self, length: Duration) -> Served {
        self.commands = 0;
        self.waits.reset();
        let begin = Instant::now();
        let end = begin + length;
        if !std::mem::replace(&mut self.has_begun, true) {
            self.begin(begin);
        }
        let mut events = Events::with_capacity(1_024);
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            self.poll
                .poll(&mut events, Some(self.patience(now, end)))
                .unwrap();
            for event in &events {
                let number = event.token().0;
                if event.is_writable() && !self.clients[number].unsent.is_empty() {
                    self.clients[number].flush();
                }
                if event.is_readable() && !matches!(self.alike.pace, Pace::SlowReader(_)) {
                    self.read(number);
                }
            }
            for _ in 0..self.ready.len() {
                let Some(number) = self.ready.pop_front() else {
                    break;
                };
                self.clients[number].is_waiting = false;
                self.read(number);
            }
            self.take_turns(Instant::now());
        }
        Served {
            commands: self.commands,
            seconds: begin.elapsed().as_secs_f64(),
            waits: self.waits.clone(),
        }
    }

    /// How long there is nothing to do but to wait for sockets.
    fn patience(&self, now: Instant, end: Instant) -> Duration {
        if !self.ready.is_empty() {
            return Duration::ZERO;
        }
        let next = self.due.front().map_or(end, |(due, _)| (*due).min(end));
        next.saturating_duration_since(now)
    }

    fn begin(&mut self, now: Instant) {
        let count = self.clients.len();
        match self.alike.pace {
            Pace::WhenAnswered | Pace::FlatOut => {
                (0..count).for_each(|number| self.send(number, self.alike.pipeline));
            }
            Pace::Every(interval) => {
                // Spread over the interval.
                let step = interval / count as u32;
                self.due = (0..count)
                    .map(|number| (now + step * number as u32, number))
                    .collect();
            }
            Pace::SlowReader(_) => {
                (0..count).for_each(|number| self.send(number, self.alike.pipeline));
                self.due = (0..count).map(|number| (now, number)).collect();
            }
        }
    }

    /// Whoever is due has a turn.
    fn take_turns(&mut self, now: Instant) {
        while let Some(&(due, number)) = self.due.front()
            && due <= now
        {
            self.due.pop_front();
            match self.alike.pace {
                Pace::Every(interval) => {
                    if self.clients[number].asked == 0 {
                        self.send(number, self.alike.pipeline);
                    }
                    self.due
                        .push_back((due.max(now - interval / 2) + interval, number));
                }
                Pace::SlowReader(bytes_per_second) => {
                    let bytes = bytes_per_second as f64 * SLOW_READ_EVERY.as_secs_f64();
                    self.read_once(number, (bytes as usize).clamp(1, READ_BYTES));
                    self.due.push_back((now + SLOW_READ_EVERY, number));
                }
                Pace::WhenAnswered | Pace::FlatOut => {}
            }
        }
    }

    /// Sends `count` commands at once.
    fn send(&mut self, number: usize, count: usize) {
        let keys = self.alike.command.keys();
        self.batch.clear();
        for _ in 0..count {
            let start = self.batch.len();
            self.batch.extend_from_slice(&self.template);
            let mut key = self.random.usize(..keys);
            for digit in self.batch[start + self.digits.start..start + self.digits.end]
                .iter_mut()
                .rev()
            {
                *digit = b'0' + (key % 10) as u8;
                key /= 10;
            }
        }
        let client = &mut self.clients[number];
        if client.asked == 0 {
            client.sent_at = Instant::now();
        }
        client.asked += count;
        client.write(&self.batch);
    }

    fn read(&mut self, number: usize) {
        for _ in 0..READS_A_TURN {
            if !self.read_once(number, READ_BYTES) {
                return;
            }
        }
        if !std::mem::replace(&mut self.clients[number].is_waiting, true) {
            self.ready.push_back(number);
        }
    }

    /// Whether there may be more to read.
    fn read_once(&mut self, number: usize, bytes: usize) -> bool {
        let client = &mut self.clients[number];
        let count = match client.stream.read(&mut self.chunk[..bytes]) {
            Ok(0) => panic!("a client's connection was closed"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("a client's connection ended: {error}"),
        };
        let came = &self.chunk[..count];
        assert!(
            is_of(came, &self.replies, client.partial, self.reply_bytes),
            "not the reply to this: {}",
            String::from_utf8_lossy(&came[..count.min(200)])
        );
        let position = client.partial + count;
        let answered = position / self.reply_bytes;
        client.partial = position % self.reply_bytes;
        client.asked = client
            .asked
            .checked_sub(answered)
            .expect("more replies than commands");
        self.commands += answered as u64;
        match self.alike.pace {
            Pace::FlatOut | Pace::SlowReader(_) if answered > 0 => self.send(number, answered),
            Pace::WhenAnswered | Pace::Every(_) if answered > 0 && client.asked == 0 => {
                let waited = client.sent_at.elapsed().as_nanos() as u64;
                self.waits.record(waited.clamp(1, LONGEST_NANOS)).unwrap();
                if self.alike.pace == Pace::WhenAnswered {
                    self.send(number, self.alike.pipeline);
                }
            }
            _ => {}
        }
        true
    }
}

impl Client {
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while self.unsent.is_empty() && !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("a client's connection ended: {error}"),
            }
        }
        self.unsent.extend_from_slice(rest);
    }

    fn flush(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        self.write(&unsent);
    }
}

impl Command {
    fn keys(self) -> usize {
        match self {
            Self::Get(values) | Self::Set(values) => values.count,
            Self::Ping => 1,
        }
    }

    /// A request, and where in it the last digits of its key are.
    fn request(self) -> (Vec<u8>, Range<usize>) {
        let (name, values) = match self {
            Self::Get(values) => ("*2\r\n$3\r\nGET", values),
            Self::Set(values) => ("*3\r\n$3\r\nSET", values),
            Self::Ping => return (b"*1\r\n$4\r\nPING\r\n".to_vec(), 0..0),
        };
        let key = values.key(0);
        let mut request = format!("{name}\r\n${}\r\n{key}", key.len()).into_bytes();
        let digits = request.len() - 6..request.len();
        request.extend_from_slice(b"\r\n");
        if let Self::Set(values) = self {
            request.extend_from_slice(&bulk(values));
        }
        (request, digits)
    }

    fn reply(self) -> Vec<u8> {
        match self {
            Self::Get(values) => bulk(values),
            Self::Set(_) => b"+OK\r\n".to_vec(),
            Self::Ping => b"+PONG\r\n".to_vec(),
        }
    }
}

/// Each of the values, as it stands in a request or a reply.
fn bulk(values: Values) -> Vec<u8> {
    [
        format!("${}\r\n", values.bytes).as_bytes(),
        &values.value(),
        b"\r\n",
    ]
    .concat()
}

/// Whether `came` is what follows, `partial` bytes into a reply. `replies` holds at least one reply, and as much as is read at once.
fn is_of(came: &[u8], replies: &[u8], partial: usize, reply_bytes: usize) -> bool {
    debug_assert!(partial < reply_bytes);
    replies.get(partial..partial + came.len()) == Some(came)
}

fn connect(port: u16, pace: Pace) -> std::net::TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    if matches!(pace, Pace::SlowReader(_)) {
        socket.set_recv_buffer_size(SLOW_RECEIVE_BUFFER).unwrap();
    }
    socket.set_tcp_nodelay(true).unwrap();
    // No port is to wait when ten thousand connections have ended.
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    socket.connect_timeout(&address.into(), PATIENCE).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}
