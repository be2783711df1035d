//! What does a command cost the allocator? Alone in its process, whose allocations it counts.

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "data_plane/proxied.rs"]
#[allow(
    dead_code,
    reason = "made for the data plane's tests, of which this needs a part"
)]
mod proxied;

use std::alloc::System;
use std::io::{Read, Write};

use proxied::{Client, Proxied, encode, key_of};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use switchback::cluster::Side;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Clients, of whichever workers the kernel gives them to.
const CLIENTS: usize = 4;
/// Commands of the shorter run; the longer one has four times as many.
const COMMANDS: usize = 4_096;
/// How many more allocations the longer run may have: a queue that has to grow once more, a client that a busy machine kept
/// idle for so long that its memory was given back. One a command would be three times [`COMMANDS`].
const SLACK: usize = 64;

const VALUE: &[u8] = &[b'v'; 64];
/// Stands for any byte of a reply.
const ANY: u8 = b'?';

/// What a client sends at once, and what it must get.
#[derive(Default)]
struct Batch {
    requests: Vec<u8>,
    replies: Vec<u8>,
    /// Where the last request begins.
    last: usize,
}

impl Batch {
    fn add(&mut self, words: &[&[u8]], reply: &[u8]) {
        self.last = self.requests.len();
        self.requests.extend(encode(words));
        self.replies.extend_from_slice(reply);
    }
}

/// GET, SET, INCR and MGET by turns, `depth` at once, of keys of both sides at half weight; an MGET's keys have one owner.
fn batches(depth: usize) -> Vec<Batch> {
    let bulk = [b"$64\r\n", VALUE, b"\r\n"].concat();
    let both = [b"*3\r\n", &bulk[..], b"$-1\r\n", &bulk].concat();
    let mut batches = Vec::new();
    let mut batch = Batch::default();
    for number in 0..depth.max(8) {
        let key = key_of(Side::BOTH[number / 4 % 2], 0).into_bytes();
        let counter = [b"{", &key[..], b"}counter"].concat();
        let missing = [b"{", &key[..], b"}missing"].concat();
        match number % 4 {
            0 => batch.add(&[b"GET", &key], &bulk),
            1 => batch.add(&[b"SET", &key, VALUE], b"+OK\r\n"),
            2 => batch.add(&[b"INCR", &counter], b":???????\r\n"),
            _ => batch.add(&[b"MGET", &key, &missing, &key], &both),
        }
        if (number + 1) % depth == 0 {
            batches.push(std::mem::take(&mut batch));
        }
    }
    batches
}

/// The keys, as [`batches`] expects them, on both sides.
fn fill(proxied: &Proxied) {
    for server in [&proxied.old, &proxied.new] {
        let mut client = server.client();
        for side in Side::BOTH {
            let key = key_of(side, 0);
            assert_eq!(client.call(&[b"SET", key.as_bytes(), VALUE]), b"+OK\r\n");
            assert_eq!(client.text(&format!("SET {{{key}}}counter 1000000")), "+OK\\r\\n");
        }
    }
}

/// One way of sending commands.
struct Course {
    clients: Vec<Client>,
    batches: Vec<Batch>,
    /// Commands of a batch.
    depth: usize,
    /// The last request of each batch comes in two pieces.
    is_cut: bool,
    /// Holds what a client gets at once.
    buffer: Vec<u8>,
}

impl Course {
    fn new(proxied: &Proxied, depth: usize, is_cut: bool) -> Self {
        let batches = batches(depth);
        let longest = batches.iter().map(|batch| batch.replies.len()).max();
        Self {
            clients: (0..CLIENTS).map(|_| proxied.client()).collect(),
            batches,
            depth,
            is_cut,
            buffer: vec![0; longest.unwrap()],
        }
    }

    /// Has the clients send `commands` together; returns how often anything of this process has allocated meanwhile.
    fn run(&mut self, commands: usize) -> usize {
        let before = allocations();
        let mut left = commands;
        for batch in self.batches.iter().cycle() {
            if left == 0 {
                break;
            }
            let cut = match self.is_cut {
                true => (batch.last + batch.requests.len()) / 2,
                false => batch.requests.len(),
            };
            let (first, second) = batch.requests.split_at(cut);
            for client in &mut self.clients {
                client.stream.write_all(first).unwrap();
            }
            if self.is_cut {
                for client in &mut self.clients {
                    client.stream.write_all(second).unwrap();
                }
            }
            for client in &mut self.clients {
                let replies = &mut self.buffer[..batch.replies.len()];
                client.stream.read_exact(replies).unwrap();
                let are_due = replies
                    .iter()
                    .zip(&batch.replies)
                    .all(|(byte, due)| byte == due || *due == ANY);
                assert!(are_due, "{}", replies.escape_ascii());
            }
            left = left.saturating_sub(self.depth * CLIENTS);
        }
        allocations() - before
    }
}

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

#[test]
fn commands_on_shared_links_allocate_nothing() {
    let proxied = Proxied::start();
    fill(&proxied);
    let mut grown = Vec::new();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        for (depth, is_cut) in [(1, false), (1, true), (16, false), (16, true), (256, false)] {
            let mut course = Course::new(&proxied, depth, is_cut);
            course.run(COMMANDS);
            let few = course.run(COMMANDS);
            let many = course.run(4 * COMMANDS);
            println!("weight {weight}, {depth} at once, cut {is_cut}: {few} then {many} allocations");
            if many > few + SLACK {
                grown.push((weight, depth, is_cut, few, many));
            }
        }
    }
    assert!(
        grown.is_empty(),
        "allocations grow with commands (weight, commands at once, cut, of {COMMANDS}, of four times as many): {grown:?}"
    );
}
