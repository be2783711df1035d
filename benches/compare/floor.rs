//! What does the least that can be called a proxy take?
//!
//! Shell: one thread, one connection to Redis, every client's commands in the order in which they come, replies back in that order.
//! No routing, no database, no state of a client, and a reply that is cut short ends it all: what a proxy spends above this, it
//! spends on being one. A process of its own, so that its processor time can be told from the load's.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use switchback::resp::{ReplyScanner, RequestParser};

/// The word that makes the benchmark this process.
pub(crate) const WORD: &str = "--as-floor";

const LISTENER: Token = Token(usize::MAX);
const REDIS: Token = Token(usize::MAX - 1);
const READ_BYTES: usize = 64 << 10;

/// A connection, what is to be written to it, and what of it has been.
struct Peer {
    stream: TcpStream,
    output: Vec<u8>,
    written: usize,
    /// The beginning of a request or reply whose end has not come.
    input: Vec<u8>,
    /// It has come up in this turn.
    is_touched: bool,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            output: Vec::new(),
            written: 0,
            input: Vec::new(),
            is_touched: false,
        }
    }

    /// Writes what it takes; it is told when it takes more.
    fn flush(&mut self) -> bool {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        self.output.clear();
        self.written = 0;
        true
    }
}

/// Serves on `port` until it is killed.
pub(crate) fn serve(port: u16, redis: u16) {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let mut poll = Poll::new().unwrap();
    let mut listener = TcpListener::bind(address(port)).unwrap();
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)
        .unwrap();
    let mut redis = Peer::new(TcpStream::connect(address(redis)).unwrap());
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(&mut redis.stream, REDIS, both).unwrap();
    let mut clients: Vec<Option<Peer>> = Vec::new();
    let (mut asked, mut parser, mut scanner) = (VecDeque::new(), RequestParser::new(), ReplyScanner::new());
    let (mut events, mut chunk) = (Events::with_capacity(1_024), vec![0; READ_BYTES]);
    let mut touched: Vec<usize> = Vec::new();
    loop {
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            match event.token() {
                LISTENER => {
                    while let Ok((mut stream, _)) = listener.accept() {
                        // Numbers are not used again: replies to who has left must find nobody.
                        let token = Token(clients.len());
                        poll.registry().register(&mut stream, token, both).unwrap();
                        clients.push(Some(Peer::new(stream)));
                    }
                }
                REDIS => {
                    if event.is_readable() {
                        answer(
                            &mut redis,
                            &mut scanner,
                            &mut chunk,
                            &mut asked,
                            &mut clients,
                            &mut touched,
                        );
                    }
                }
                Token(number) => {
                    let Some(client) = clients[number].as_mut() else {
                        continue;
                    };
                    let stays = (!event.is_readable()
                        || ask(
                            client,
                            number,
                            &mut parser,
                            &mut chunk,
                            &mut asked,
                            &mut redis.output,
                        ))
                        && client.flush();
                    if !stays {
                        clients[number] = None;
                    }
                }
            }
        }
        assert!(redis.flush(), "Redis has gone");
        for number in touched.drain(..) {
            if let Some(client) = clients[number].as_mut() {
                client.is_touched = false;
                if !client.flush() {
                    clients[number] = None;
                }
            }
        }
    }
}

/// Takes a client's whole requests over; `false`: it has gone.
fn ask(
    client: &mut Peer,
    number: usize,
    parser: &mut RequestParser,
    chunk: &mut [u8],
    asked: &mut VecDeque<usize>,
    output: &mut Vec<u8>,
) -> bool {
    loop {
        let count = match client.stream.read(chunk) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        };
        client.input.extend_from_slice(&chunk[..count]);
        let mut begin = 0;
        while let Ok(Some(length)) = parser.parse(&client.input[begin..], usize::MAX / 2) {
            output.extend_from_slice(&client.input[begin..begin + length]);
            asked.push_back(number);
            parser.reset();
            begin += length;
        }
        // One parser for all: it begins again where a request was cut.
        parser.reset();
        client.input.drain(..begin);
        if count < chunk.len() {
            return true;
        }
    }
}

/// Hands replies to who has asked, as much of each as there is.
fn answer(
    redis: &mut Peer,
    scanner: &mut ReplyScanner,
    chunk: &mut [u8],
    asked: &mut VecDeque<usize>,
    clients: &mut [Option<Peer>],
    touched: &mut Vec<usize>,
) {
    loop {
        let count = match redis.stream.read(chunk) {
            Ok(0) => panic!("Redis has gone"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        };
        redis.input.extend_from_slice(&chunk[..count]);
        let mut begin = 0;
        while begin < redis.input.len() {
            let end = scanner.scan(&redis.input[begin..]).unwrap();
            let length = end.unwrap_or_else(|| scanner.scanned());
            let number = *asked.front().unwrap();
            if let Some(client) = clients[number].as_mut() {
                client
                    .output
                    .extend_from_slice(&redis.input[begin..begin + length]);
                if !std::mem::replace(&mut client.is_touched, true) {
                    touched.push(number);
                }
            }
            begin += length;
            if end.is_none() {
                scanner.forget(length);
                break;
            }
            asked.pop_front();
        }
        redis.input.drain(..begin);
        if count < chunk.len() {
            return;
        }
    }
}
