//! What should become of a request at this weight?
//!
//! Pure, and made from what the documentation says, not from the proxy's code: slots, ranks and owners are computed anew. A
//! request becomes requests for the servers beside the proxy, old's and new's, and what is expected of it.

use std::collections::HashSet;

use sha1::{Digest, Sha1};

use crate::generate::{CLIENTS, Request};
use crate::grammar::Command;

const OLD: usize = 0;
const NEW: usize = 1;
const SLOTS: u32 = 16_384;

/// What the reply is to be.
#[derive(Debug)]
pub(crate) enum Expected {
    /// As this server's.
    Of(usize),
    /// Made of both servers'.
    Merged(Merge),
    /// Of the proxy's own making.
    Own(Vec<u8>),
    /// An error that begins so and contains that.
    Refusal(&'static str, &'static str),
    /// An error, the server's or a refusal: the request is at fault, and where its keys are may not be clear.
    AnyError(usize),
    /// An error: it is refused, or would be by any server.
    SomeError,
}

#[derive(Debug)]
pub(crate) enum Merge {
    Sum,
    Concat,
    Least,
    /// The first error, or the first reply.
    First,
    /// Elements by the side that each key belongs to.
    Places(Vec<usize>),
}

/// What goes where.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// For each server: requests, whether each reply counts.
    pub(crate) sent: [Vec<(Vec<u8>, bool)>; 2],
    pub(crate) expected: Option<Expected>,
}

/// Where a request's keys are, as far as anybody can say.
pub(crate) enum Keys {
    Known(Vec<Vec<u8>>),
    /// The request does not have as many words as it should.
    Misfit,
}

#[derive(Default)]
struct Transaction {
    open: bool,
    side: Option<usize>,
    begun: bool,
    watching: bool,
    refused: bool,
    lost: bool,
    ranks: Vec<u32>,
}

pub(crate) struct Model {
    /// Slots of a lower rank are new's.
    ranks: u32,
    is_majority_new: bool,
    /// Whether the weight ever changes: if not, all goes to one server as it is.
    moves: bool,
    transactions: [Transaction; CLIENTS],
    is_resp3: [bool; CLIENTS],
    loaded: HashSet<Vec<u8>>,
    evaluated: HashSet<Vec<u8>>,
}

const CROSSSIDE: Expected = Expected::Refusal("-CROSSSIDE ", "belong to different sides at weight");
const BETWEEN: Expected =
    Expected::Refusal("-ERR '", "has no single answer while two masters share the keys");

impl Model {
    pub(crate) fn new(moves: bool, hundredths: u32) -> Self {
        let mut model = Self {
            ranks: 0,
            is_majority_new: false,
            moves,
            transactions: Default::default(),
            is_resp3: Default::default(),
            loaded: HashSet::new(),
            evaluated: HashSet::new(),
        };
        model.weigh(hundredths);
        model
    }

    pub(crate) fn weigh(&mut self, hundredths: u32) {
        self.ranks = (hundredths * SLOTS).div_ceil(10_000);
        self.is_majority_new = hundredths > 5_000;
    }

    /// The server that has most.
    pub(crate) fn majority(&self) -> usize {
        usize::from(self.is_majority_new)
    }

    fn is_between(&self) -> bool {
        0 < self.ranks && self.ranks < SLOTS
    }

    fn owner(&self, rank: u32) -> usize {
        usize::from(rank < self.ranks)
    }

    /// The connection is a new one.
    pub(crate) fn connected(&mut self, client: usize) {
        self.transactions[client] = Transaction::default();
        self.is_resp3[client] = false;
    }

    pub(crate) fn plan(&mut self, client: usize, request: &Request, keys: Keys) -> Option<Plan> {
        if !self.moves {
            return Some(only(self.majority(), &request.bytes));
        }
        let command = &request.command;
        let name = command.word(0);
        if name == "(CLOSING)" {
            self.connected(client);
            return Some(self.both(&request.bytes, Expected::Of(self.majority())));
        }
        if self.transactions[client].open {
            return Some(self.in_transaction(client, request, keys));
        }
        let Keys::Known(keys) = keys else {
            // Whoever is asked refuses it.
            return Some(self.both(&request.bytes, Expected::AnyError(self.majority())));
        };
        let ranks: Vec<u32> = keys.iter().map(|key| rank(key)).collect();
        let plan = match (name.as_str(), command.words.len()) {
            _ if request.is_damaged
                && self.one_owner(&ranks).is_none()
                && (name == "MSET" || !is_split(&name)) =>
            {
                refused(Expected::SomeError)
            }
            ("MULTI", 1) => {
                self.transactions[client].open = true;
                own(b"+OK\r\n")
            }
            ("UNWATCH", 1) => {
                self.transactions[client] = Transaction::default();
                self.both(&request.bytes, Expected::Of(OLD))
            }
            ("WATCH", 2..) => self.watch(client, request, &ranks),
            ("RESET", 1) => {
                self.connected(client);
                self.both(&request.bytes, Expected::Of(OLD))
            }
            ("HELLO", _) => {
                match command.word(1).as_str() {
                    "2" => self.is_resp3[client] = false,
                    "3" => self.is_resp3[client] = true,
                    _ => {}
                }
                self.both(&request.bytes, Expected::Of(self.majority()))
            }
            ("SELECT", _) => self.both(&request.bytes, Expected::Of(self.majority())),
            ("CLIENT", _) if matches!(command.word(1).as_str(), "SETNAME" | "GETNAME") => {
                self.both(&request.bytes, Expected::Of(self.majority()))
            }
            _ if is_split(&name) && self.one_owner(&ranks).is_none() => self.split(command, &ranks),
            _ if self.is_between() && is_one_sides(command) => refused(BETWEEN),
            _ => match everywhere(command) {
                Some(merge) => {
                    self.remember(command);
                    match self.is_between() {
                        true => self.both(&request.bytes, Expected::Merged(merge)),
                        false => only(self.majority(), &request.bytes),
                    }
                }
                None => match self.one_owner(&ranks) {
                    Some(side) => self.scripted(side, request)?,
                    None => refused(CROSSSIDE),
                },
            },
        };
        Some(plan)
    }

    /// The majority's, if there are no keys; nobody's, if there are two.
    fn one_owner(&self, ranks: &[u32]) -> Option<usize> {
        let Some(first) = ranks.first() else {
            return Some(self.majority());
        };
        let owner = self.owner(*first);
        ranks
            .iter()
            .all(|rank| self.owner(*rank) == owner)
            .then_some(owner)
    }

    fn remember(&mut self, command: &Command) {
        if command.word(0) != "SCRIPT" {
            return;
        }
        match command.word(1).as_str() {
            "LOAD" => {
                let body = command.words.get(2).cloned().unwrap_or_default();
                self.loaded.insert(body);
            }
            "FLUSH" => {
                self.loaded.clear();
                self.evaluated.clear();
            }
            _ => {}
        }
    }

    /// A script that was loaded is there; one that was only evaluated may be, which is nothing to test by.
    fn scripted(&mut self, side: usize, request: &Request) -> Option<Plan> {
        let mut plan = only(side, &request.bytes);
        let name = request.command.word(0);
        let argument = request.command.words.get(1).cloned().unwrap_or_default();
        if matches!(name.as_str(), "EVAL" | "EVAL_RO") {
            self.evaluated.insert(argument.clone());
        }
        if matches!(name.as_str(), "EVALSHA" | "EVALSHA_RO") {
            let is_named = |body: &&Vec<u8>| {
                format!("{:x}", Sha1::digest(body)).as_bytes() == argument.to_ascii_lowercase()
            };
            match self.loaded.iter().find(is_named) {
                Some(body) => {
                    let load = encode(&[b"SCRIPT".to_vec(), b"LOAD".to_vec(), body.clone()]);
                    plan.sent[side].insert(0, (load, false));
                }
                None if self.evaluated.iter().any(|body| is_named(&body)) => return None,
                None => {}
            }
        }
        Some(plan)
    }

    fn split(&self, command: &Command, ranks: &[u32]) -> Plan {
        let name = command.word(0);
        let stride = if name == "MSET" { 2 } else { 1 };
        let mut words = [vec![command.words[0].clone()], vec![command.words[0].clone()]];
        let sides: Vec<usize> = ranks.iter().map(|rank| self.owner(*rank)).collect();
        for (group, side) in command.words[1..].chunks(stride).zip(&sides) {
            words[*side].extend_from_slice(group);
        }
        let merge = match name.as_str() {
            "MGET" => Merge::Places(sides),
            "MSET" => Merge::First,
            _ => Merge::Sum,
        };
        Plan {
            sent: words.map(|words| vec![(encode(&words), true)]),
            expected: Some(Expected::Merged(merge)),
        }
    }

    fn watch(&mut self, client: usize, request: &Request, ranks: &[u32]) -> Plan {
        self.look(client);
        let transaction = &self.transactions[client];
        if transaction.watching && transaction.lost {
            return own(b"+OK\r\n");
        }
        let Some(side) = self.one_owner(ranks) else {
            return refused(CROSSSIDE);
        };
        if transaction.watching && transaction.side != Some(side) {
            return refused(CROSSSIDE);
        }
        let transaction = &mut self.transactions[client];
        transaction.watching = true;
        transaction.side = Some(side);
        transaction.ranks.extend_from_slice(ranks);
        only(side, &request.bytes)
    }

    /// Has anything it rests on moved?
    fn look(&mut self, client: usize) {
        let transaction = &self.transactions[client];
        let Some(side) = transaction.side else { return };
        let is_owned = transaction.ranks.iter().all(|rank| self.owner(*rank) == side)
            && (self.is_between() || self.majority() == side);
        self.transactions[client].lost |= !is_owned;
    }

    fn in_transaction(&mut self, client: usize, request: &Request, keys: Keys) -> Plan {
        self.look(client);
        let command = &request.command;
        let Keys::Known(keys) = keys else {
            panic!("not generated: {command:?}");
        };
        let ranks: Vec<u32> = keys.iter().map(|key| rank(key)).collect();
        let lost = self.transactions[client].lost;
        match (command.word(0).as_str(), command.words.len()) {
            ("EXEC", 1) => return self.exec(client, request),
            ("EXEC", _) => {
                let text = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n";
                return self.abandon(client, text.as_bytes());
            }
            ("DISCARD", 1) => return self.abandon(client, b"+OK\r\n"),
            ("RESET", 1) => {
                self.connected(client);
                return self.both(&request.bytes, Expected::Of(OLD));
            }
            _ if self.is_between()
                && (everywhere(command).is_some() || is_one_sides(command))
                && command.word(0) != "WAIT" =>
            {
                self.transactions[client].refused = true;
                return refused(BETWEEN);
            }
            ("MULTI", 1) => return own(b"-ERR MULTI calls can not be nested\r\n"),
            ("WATCH", _) => return own(b"-ERR WATCH inside MULTI is not allowed\r\n"),
            _ if lost => return own(b"+QUEUED\r\n"),
            _ => {}
        }
        let owner = match ranks.is_empty() && self.is_between() {
            true => Some(self.transactions[client].side.unwrap_or(self.majority())),
            false => self.one_owner(&ranks),
        };
        let transaction = &mut self.transactions[client];
        match owner {
            Some(side) if transaction.side.is_none_or(|before| before == side) => {
                let mut plan = only(side, &request.bytes);
                if !transaction.begun {
                    plan.sent[side].insert(0, (encode(&[b"MULTI".to_vec()]), false));
                }
                transaction.begun = true;
                transaction.side = Some(side);
                transaction.ranks.extend_from_slice(&ranks);
                plan
            }
            _ => {
                transaction.refused = true;
                refused(CROSSSIDE)
            }
        }
    }

    fn exec(&mut self, client: usize, request: &Request) -> Plan {
        let transaction = &self.transactions[client];
        if transaction.lost && transaction.watching {
            let null: &[u8] = if self.is_resp3[client] {
                b"_\r\n"
            } else {
                b"*-1\r\n"
            };
            return self.abandon(client, null);
        }
        if transaction.lost {
            return self.abandon(
                client,
                b"-EXECABORT transaction dropped because its side changed\r\n",
            );
        }
        if transaction.refused {
            let text = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
            return self.abandon(client, text);
        }
        let Some(side) = transaction.side else {
            return self.abandon(client, b"*0\r\n");
        };
        let mut plan = only(side, &request.bytes);
        if !transaction.begun {
            plan.sent[side].insert(0, (encode(&[b"MULTI".to_vec()]), false));
        }
        self.transactions[client] = Transaction::default();
        plan
    }

    /// Nothing of it is executed.
    fn abandon(&mut self, client: usize, reply: &[u8]) -> Plan {
        let transaction = std::mem::take(&mut self.transactions[client]);
        let mut plan = own(reply);
        if let Some(side) = transaction.side {
            let undo = if transaction.begun { "DISCARD" } else { "UNWATCH" };
            plan.sent[side].push((encode(&[undo.as_bytes().to_vec()]), false));
        }
        plan
    }

    fn both(&self, bytes: &[u8], expected: Expected) -> Plan {
        let counts = |side| match expected {
            Expected::Of(of) | Expected::AnyError(of) => of == side,
            _ => true,
        };
        Plan {
            sent: [OLD, NEW].map(|side| vec![(bytes.to_vec(), counts(side))]),
            expected: Some(expected),
        }
    }
}

fn only(side: usize, bytes: &[u8]) -> Plan {
    let mut plan = Plan {
        expected: Some(Expected::Of(side)),
        ..Plan::default()
    };
    plan.sent[side].push((bytes.to_vec(), true));
    plan
}

fn own(reply: &[u8]) -> Plan {
    refused(Expected::Own(reply.to_vec()))
}

fn refused(expected: Expected) -> Plan {
    Plan {
        expected: Some(expected),
        ..Plan::default()
    }
}

/// What has a meaning when its keys are divided.
fn is_split(name: &str) -> bool {
    ["MGET", "MSET", "DEL", "UNLINK", "EXISTS", "TOUCH"].contains(&name)
}

/// What concerns all data, and how both sides' replies become one.
fn everywhere(command: &Command) -> Option<Merge> {
    match (command.word(0).as_str(), command.word(1).as_str()) {
        ("DBSIZE", _) => Some(Merge::Sum),
        ("KEYS", _) => Some(Merge::Concat),
        ("SCRIPT", "EXISTS") => Some(Merge::Least),
        ("FLUSHALL" | "FLUSHDB", _) | ("SCRIPT", "LOAD" | "FLUSH") => Some(Merge::First),
        ("FUNCTION", "DELETE" | "FLUSH" | "LOAD" | "RESTORE") => Some(Merge::First),
        ("PUBSUB", "NUMSUB" | "NUMPAT" | "SHARDNUMSUB") => Some(Merge::First),
        _ => None,
    }
}

/// What has no answer that is true of both sides.
fn is_one_sides(command: &Command) -> bool {
    let sub = command.word(1);
    match command.word(0).as_str() {
        "SCAN" | "RANDOMKEY" | "WAIT" | "NOSUCH" | "FROB" | "W1" | "ZORK" => true,
        "CONFIG" => !matches!(sub.as_str(), "GET" | "HELP"),
        "LATENCY" => sub == "RESET",
        "MEMORY" => sub == "PURGE",
        "MODULE" => sub == "UNLOAD",
        "SLOWLOG" => sub == "RESET",
        "SCRIPT" | "FUNCTION" => sub == "KILL",
        _ => false,
    }
}

fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    switchback::resp::write_command(&mut bytes, &words);
    bytes
}

/// Place of a key's slot in the order in which slots move to new.
fn rank(key: &[u8]) -> u32 {
    (crc16(tag(key)) % SLOTS * 10_125) % SLOTS
}

fn tag(key: &[u8]) -> &[u8] {
    let position = |of: &[u8], byte| of.iter().position(|found| *found == byte);
    let Some(open) = position(key, b'{') else {
        return key;
    };
    match position(&key[open + 1..], b'}') {
        None | Some(0) => key,
        Some(length) => &key[open + 1..open + 1 + length],
    }
}

/// XMODEM, bit by bit.
fn crc16(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 8), |crc, _| {
            let shifted = crc << 1;
            let crc = if crc & 0x8000 > 0 {
                shifted ^ 0x1021
            } else {
                shifted
            };
            crc & 0xffff
        })
    })
}
