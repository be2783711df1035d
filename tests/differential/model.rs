//! What should become of a request at this weight?
//!
//! Pure, and made from what the documentation says, not from the proxy's code: slots, ranks and owners are computed anew. A
//! request becomes requests for the servers beside the proxy, old's and new's, and what is expected of it.

use std::collections::{HashMap, HashSet};

use sha1::{Digest, Sha1};
use switchback::data_plane::command::{flags, lookup};

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
    /// Keys, of each side those that it owns.
    Owned(Weighed),
    /// One of these, or none, as chance will have it.
    AnyOwned(Weighed),
    Least,
    /// The first error, or the first reply.
    First,
    /// Elements by the side that each key belongs to.
    Places(Vec<usize>),
}

/// How a request is sent to a server beside the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// As the client; its reply is what counts.
    Reply,
    /// As the client; its reply is nobody's.
    Silent,
    /// On a connection that is not the client's.
    Aside,
}

/// What goes where.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// For each server.
    pub(crate) sent: [Vec<(Vec<u8>, Use)>; 2],
    pub(crate) expected: Option<Expected>,
    /// A side is told of it in its own time.
    pub(crate) is_told_besides: bool,
    /// The client's connection to this server may be another afterwards: that to the other one is to be like it.
    pub(crate) is_followed: Option<usize>,
}

/// Slots of a lower rank than this are new's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weighed(u32);

impl Weighed {
    pub(crate) fn owner_of(self, key: &[u8]) -> usize {
        self.owner(rank(key))
    }

    fn owner(self, rank: u32) -> usize {
        usize::from(rank < self.0)
    }

    fn is_between(self) -> bool {
        0 < self.0 && self.0 < SLOTS
    }
}

/// Where a request's keys are, as far as anybody can say.
pub(crate) enum Keys {
    Known(Vec<Vec<u8>>),
    /// The request does not have as many words as it should.
    Misfit,
    /// A server cannot tell.
    Untold,
}

#[derive(Default)]
struct Transaction {
    open: bool,
    side: Option<usize>,
    begun: bool,
    watching: bool,
    refused: bool,
    lost: bool,
    flushes_scripts: bool,
    /// It may change the connection.
    changes: bool,
    /// What decides no side, and is queued with the first that does.
    kept_back: Vec<Vec<u8>>,
    ranks: Vec<u32>,
}

/// Who has seen which script since they were last flushed.
#[derive(Default)]
struct Scripts {
    /// In SCRIPT LOAD: known to all of the proxy's workers.
    loaded: HashSet<Vec<u8>>,
    /// In EVAL: known to the worker that the client is on, which may be another's too.
    evaluated: HashMap<Vec<u8>, [bool; CLIENTS]>,
    /// What a server has in any case.
    present: [HashSet<Vec<u8>>; 2],
}

/// Whether the proxy can give a script to a side.
enum Known {
    Yes(Vec<u8>),
    No,
    /// If both clients happen to be on one worker.
    Perhaps,
}

pub(crate) struct Model {
    weighed: Weighed,
    is_majority_new: bool,
    /// Whether the weight ever changes: if not, all goes to one server as it is.
    moves: bool,
    transactions: [Transaction; CLIENTS],
    is_resp3: [bool; CLIENTS],
    scripts: Scripts,
}

const CROSSSIDE: Expected = Expected::Refusal("-CROSSSIDE ", "belong to different sides at weight");
const BETWEEN: Expected =
    Expected::Refusal("-ERR '", "has no single answer while two masters share the keys");

impl Model {
    pub(crate) fn new(moves: bool, hundredths: u32) -> Self {
        let mut model = Self {
            weighed: Weighed::default(),
            is_majority_new: false,
            moves,
            transactions: Default::default(),
            is_resp3: Default::default(),
            scripts: Scripts::default(),
        };
        model.weigh(hundredths);
        model
    }

    pub(crate) fn weigh(&mut self, hundredths: u32) {
        self.weighed = Weighed((hundredths * SLOTS).div_ceil(10_000));
        self.is_majority_new = hundredths > 5_000;
    }

    /// The server that has most.
    pub(crate) fn majority(&self) -> usize {
        usize::from(self.is_majority_new)
    }

    fn is_between(&self) -> bool {
        self.weighed.is_between()
    }

    /// The connection speaks this protocol.
    pub(crate) fn speaks(&mut self, client: usize, is_resp3: bool) {
        self.is_resp3[client] = is_resp3;
    }

    /// The connection is as a new one.
    fn connected(&mut self, client: usize) {
        self.transactions[client] = Transaction::default();
        self.is_resp3[client] = false;
    }

    /// The connection is a new one, perhaps to another worker.
    fn reconnected(&mut self, client: usize) {
        self.connected(client);
        for clients in self.scripts.evaluated.values_mut() {
            clients[client] = false;
        }
    }

    pub(crate) fn plan(&mut self, client: usize, request: &Request, keys: Keys) -> Option<Plan> {
        let command = &request.command;
        let name = command.word(0);
        if name == "CLIENT" && command.word(1) == "REPLY" {
            // No server beside is told: it answers what need not be compared.
            return Some(own(b"+OK\r\n"));
        }
        if !self.moves {
            return Some(only(self.majority(), &request.bytes));
        }
        if name == "(CLOSING)" {
            self.reconnected(client);
            return Some(self.both(&request.bytes, Expected::Of(self.majority())));
        }
        if self.transactions[client].open {
            return self.in_transaction(client, request, keys);
        }
        let keys = match keys {
            Keys::Known(keys) => keys,
            // Whoever is asked refuses it.
            Keys::Misfit => return Some(self.both(&request.bytes, Expected::AnyError(self.majority()))),
            Keys::Untold => return None,
        };
        let ranks: Vec<u32> = keys.iter().map(|key| rank(key)).collect();
        self.see_script(client, request);
        let plan = match (name.as_str(), command.words.len()) {
            _ if request.is_damaged
                && name != "WATCH"
                && self.one_owner(&ranks).is_none()
                && (!is_split(&name) || (name == "MSET" && command.words.len().is_multiple_of(2))) =>
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
                    _ if command.words.contains(&b"wrong".to_vec()) => {}
                    "2" => self.is_resp3[client] = false,
                    "3" => self.is_resp3[client] = true,
                    _ => {}
                }
                self.both(&request.bytes, Expected::Of(self.majority()))
            }
            ("AUTH" | "SELECT" | "CLIENT", _) => self.both(&request.bytes, Expected::Of(self.majority())),
            _ if is_split(&name) && self.one_owner(&ranks).is_none() => self.split(command, &ranks),
            _ if self.is_between() && is_one_sides(command) => refused(BETWEEN),
            _ => match self.everywhere(command) {
                Some(merge @ Merge::AnyOwned(_)) if self.is_between() => {
                    let keys = encode(&[b"KEYS".to_vec(), b"*".to_vec()]);
                    self.both(&keys, Expected::Merged(merge))
                }
                Some(merge) if self.is_between() => self.both(&request.bytes, Expected::Merged(merge)),
                Some(_) if is_of_libraries(command) => {
                    let mut plan = self.both(&request.bytes, Expected::Of(self.majority()));
                    plan.is_told_besides = true;
                    plan
                }
                Some(_) => only(self.majority(), &request.bytes),
                None => match self.one_owner(&ranks) {
                    Some(side) => self.given(client, side, only(side, &request.bytes), request)?,
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
        let owner = self.weighed.owner(*first);
        ranks
            .iter()
            .all(|rank| self.weighed.owner(*rank) == owner)
            .then_some(owner)
    }

    /// What a request outside a transaction teaches of scripts.
    fn see_script(&mut self, client: usize, request: &Request) {
        let command = &request.command;
        let word = |at: usize| command.words.get(at).cloned().unwrap_or_default();
        match (
            command.word(0).as_str(),
            command.word(1).as_str(),
            command.words.len(),
        ) {
            ("SCRIPT", "LOAD", 3) => {
                self.scripts.loaded.insert(word(2));
                self.loaded_on_owners(&word(2));
            }
            ("SCRIPT", "FLUSH", _) => self.flush_scripts(),
            ("EVAL" | "EVAL_RO", ..) => {
                let clients = self.scripts.evaluated.entry(word(1)).or_default();
                // Unsound, it may not have been taken for a script.
                clients[client] |= !request.is_damaged;
            }
            _ => {}
        }
    }

    fn loaded_on_owners(&mut self, body: &[u8]) {
        for side in [OLD, NEW] {
            if self.is_between() || side == self.majority() {
                self.scripts.present[side].insert(body.to_vec());
            }
        }
    }

    fn flush_scripts(&mut self) {
        self.scripts.loaded.clear();
        self.scripts.evaluated.clear();
        for side in [OLD, NEW] {
            if self.is_between() || side == self.majority() {
                self.scripts.present[side].clear();
            }
        }
    }

    fn known(&self, client: usize, side: usize, name: &[u8]) -> Known {
        let name = name.to_ascii_lowercase();
        let is_named = |body: &&Vec<u8>| format!("{:x}", Sha1::digest(body)).as_bytes() == name;
        let Scripts {
            loaded,
            evaluated,
            present,
        } = &self.scripts;
        if let Some(body) = loaded.iter().find(is_named) {
            return Known::Yes(body.clone());
        }
        match evaluated.keys().find(is_named) {
            Some(body) if evaluated[body][client] => Known::Yes(body.clone()),
            Some(_) if !present[side].iter().any(|body| is_named(&body)) => Known::Perhaps,
            _ => Known::No,
        }
    }

    /// What runs a script has it given to its side before, if the proxy knows it. `None` where that is not to be told.
    fn given(&mut self, client: usize, side: usize, mut plan: Plan, request: &Request) -> Option<Plan> {
        let argument = request.command.words.get(1).cloned().unwrap_or_default();
        match request.command.word(0).as_str() {
            "EVAL" | "EVAL_RO" if !request.is_damaged && !self.transactions[client].open => {
                self.scripts.present[side].insert(argument);
            }
            "EVALSHA" | "EVALSHA_RO" => match self.known(client, side, &argument) {
                Known::Yes(body) => {
                    let load = encode(&[b"SCRIPT".to_vec(), b"LOAD".to_vec(), body.clone()]);
                    plan.sent[side].insert(0, (load, Use::Aside));
                    self.scripts.present[side].insert(body);
                }
                Known::No => {}
                Known::Perhaps => return None,
            },
            _ => {}
        }
        Some(plan)
    }

    fn split(&self, command: &Command, ranks: &[u32]) -> Plan {
        let name = command.word(0);
        let stride = if name == "MSET" { 2 } else { 1 };
        let mut words = [vec![command.words[0].clone()], vec![command.words[0].clone()]];
        let sides: Vec<usize> = ranks.iter().map(|rank| self.weighed.owner(*rank)).collect();
        for (group, side) in command.words[1..].chunks(stride).zip(&sides) {
            words[*side].extend_from_slice(group);
        }
        let merge = match name.as_str() {
            "MGET" => Merge::Places(sides),
            "MSET" => Merge::First,
            _ => Merge::Sum,
        };
        Plan {
            sent: words.map(|words| vec![(encode(&words), Use::Reply)]),
            expected: Some(Expected::Merged(merge)),
            ..Plan::default()
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
        let is_owned = transaction
            .ranks
            .iter()
            .all(|rank| self.weighed.owner(*rank) == side)
            && (self.is_between() || self.majority() == side);
        self.transactions[client].lost |= !is_owned;
    }

    fn in_transaction(&mut self, client: usize, request: &Request, keys: Keys) -> Option<Plan> {
        self.look(client);
        let command = &request.command;
        let Keys::Known(keys) = keys else {
            panic!("not generated: {command:?}");
        };
        // Whoever asks who listens to a channel moves with none.
        let is_question = command.word(0) == "PUBSUB";
        let keys = keys.iter().filter(|_| !is_question);
        let ranks: Vec<u32> = keys.map(|key| rank(key)).collect();
        let lost = self.transactions[client].lost;
        let plan = match (command.word(0).as_str(), command.words.len()) {
            ("EXEC", 1) => self.exec(client, request),
            ("EXEC", _) => {
                let text = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n";
                self.abandon(client, text.as_bytes())
            }
            ("DISCARD", 1) => self.abandon(client, b"+OK\r\n"),
            ("RESET", 1) => {
                self.connected(client);
                self.both(&request.bytes, Expected::Of(OLD))
            }
            _ if self.is_between()
                && (self.everywhere(command).is_some() || is_one_sides(command))
                && command.word(0) != "WAIT" =>
            {
                self.transactions[client].refused = true;
                refused(BETWEEN)
            }
            ("MULTI", 1) => own(b"-ERR MULTI calls can not be nested\r\n"),
            ("WATCH", 2..) => own(b"-ERR WATCH inside MULTI is not allowed\r\n"),
            _ if lost => own(b"+QUEUED\r\n"),
            ("SELECT", 2) | ("HELLO", _) => self.queue_own(client, request),
            ("CLIENT", 2 | 3) if command.word(1) != "HELP" => self.queue_own(client, request),
            _ => return self.queue(client, request, &ranks),
        };
        Some(plan)
    }

    fn queue(&mut self, client: usize, request: &Request, ranks: &[u32]) -> Option<Plan> {
        let command = &request.command;
        let before = self.transactions[client].side;
        let owner = match ranks.is_empty() && self.is_between() {
            true => Some(before.unwrap_or(self.majority())),
            false => self.one_owner(ranks),
        };
        let Some(side) = owner.filter(|side| before.is_none_or(|before| before == *side)) else {
            self.transactions[client].refused = true;
            return Some(refused(CROSSSIDE));
        };
        let plan = self.given(client, side, only(side, &request.bytes), request)?;
        let transaction = &mut self.transactions[client];
        transaction.flushes_scripts |= command.word(0) == "SCRIPT" && command.word(1) == "FLUSH";
        transaction.side = Some(side);
        transaction.ranks.extend_from_slice(ranks);
        Some(self.begun(client, side, plan))
    }

    /// What concerns the connection decides no side.
    fn queue_own(&mut self, client: usize, request: &Request) -> Plan {
        let transaction = &mut self.transactions[client];
        transaction.changes = true;
        match transaction.side {
            Some(side) => self.begun(client, side, only(side, &request.bytes)),
            None => {
                transaction.kept_back.push(request.bytes.clone());
                own(b"+QUEUED\r\n")
            }
        }
    }

    /// The server is told of the transaction with its first command.
    fn begun(&mut self, client: usize, side: usize, mut plan: Plan) -> Plan {
        if !std::mem::replace(&mut self.transactions[client].begun, true) {
            let kept_back = std::mem::take(&mut self.transactions[client].kept_back);
            let before = std::iter::once(encode(&[b"MULTI".to_vec()])).chain(kept_back);
            plan.sent[side].splice(0..0, before.map(|request| (request, Use::Silent)));
        }
        plan
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
        let side = match transaction.side {
            Some(side) => side,
            None if transaction.kept_back.is_empty() => return self.abandon(client, b"*0\r\n"),
            None => self.majority(),
        };
        if transaction.flushes_scripts {
            // Whatever becomes of it.
            self.flush_scripts();
        }
        let mut plan = self.begun(client, side, only(side, &request.bytes));
        plan.is_followed = self.transactions[client].changes.then_some(side);
        self.transactions[client] = Transaction::default();
        plan
    }

    /// Nothing of it is executed.
    fn abandon(&mut self, client: usize, reply: &[u8]) -> Plan {
        let transaction = std::mem::take(&mut self.transactions[client]);
        let mut plan = own(reply);
        if let Some(side) = transaction.side {
            let undo = if transaction.begun { "DISCARD" } else { "UNWATCH" };
            plan.sent[side].push((encode(&[undo.as_bytes().to_vec()]), Use::Silent));
        }
        plan
    }

    /// What concerns all data, and how both sides' replies become one.
    fn everywhere(&self, command: &Command) -> Option<Merge> {
        match (command.word(0).as_str(), command.word(1).as_str()) {
            ("DBSIZE", _) => Some(Merge::Sum),
            ("KEYS", _) if command.words.len() == 2 => Some(Merge::Owned(self.weighed)),
            ("RANDOMKEY", _) if command.words.len() == 1 => Some(Merge::AnyOwned(self.weighed)),
            ("SCRIPT", "EXISTS") => Some(Merge::Least),
            ("FLUSHALL" | "FLUSHDB", _) | ("SCRIPT", "LOAD" | "FLUSH") => Some(Merge::First),
            ("PUBSUB", "CHANNELS" | "SHARDCHANNELS" | "NUMSUB" | "NUMPAT" | "SHARDNUMSUB") => {
                Some(Merge::First)
            }
            ("LATENCY", "RESET") => Some(Merge::Sum),
            ("CONFIG", "SET" | "RESETSTAT") | ("MEMORY", "PURGE") | ("SLOWLOG", "RESET") => {
                Some(Merge::First)
            }
            // Neither runs anything, and neither has replicas.
            ("SCRIPT" | "FUNCTION", "KILL") | ("WAIT", _) => Some(Merge::First),
            _ if is_of_libraries(command) => Some(Merge::First),
            _ => None,
        }
    }

    fn both(&self, bytes: &[u8], expected: Expected) -> Plan {
        let as_what = |side| match expected {
            Expected::Of(of) | Expected::AnyError(of) if of != side => Use::Silent,
            _ => Use::Reply,
        };
        Plan {
            sent: [OLD, NEW].map(|side| vec![(bytes.to_vec(), as_what(side))]),
            expected: Some(expected),
            ..Plan::default()
        }
    }
}

fn only(side: usize, bytes: &[u8]) -> Plan {
    let mut plan = Plan {
        expected: Some(Expected::Of(side)),
        ..Plan::default()
    };
    plan.sent[side].push((bytes.to_vec(), Use::Reply));
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

/// What both sides do at every weight.
fn is_of_libraries(command: &Command) -> bool {
    command.word(0) == "FUNCTION"
        && matches!(command.word(1).as_str(), "DELETE" | "FLUSH" | "LOAD" | "RESTORE")
}

/// What has no answer that is true of both sides.
fn is_one_sides(command: &Command) -> bool {
    let sub = command.word(1);
    let is_unknown = || {
        let spec = lookup(&command.words[0], command.words.get(1).map(Vec::as_slice));
        command.words.len() > 1 && spec.is_some_and(|spec| spec.has(flags::CONTAINER))
    };
    match command.word(0).as_str() {
        "SWAPDB" => true,
        "MODULE" if sub == "UNLOAD" => true,
        // It does what nobody knows.
        "ACL" | "CONFIG" | "FUNCTION" | "LATENCY" | "MEMORY" | "MODULE" | "OBJECT" | "SCRIPT" | "SLOWLOG"
        | "XGROUP" | "XINFO" => is_unknown(),
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
