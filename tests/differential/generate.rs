//! What does which connection send next?
//!
//! Pure: everything follows from the seed, nothing from a reply, so that a seed replays a run.

use fastrand::Rng;
use switchback::data_plane::command::{flags, lookup};

use crate::grammar::{Command, Grammar};
use crate::kinds::{Chosen, Kinds, garbage, is_by_name};
use crate::rules::LEFT_OUT_MOVING;

/// Clients that send commands.
pub(crate) const CLIENTS: usize = 4;
/// In one write.
const BATCH_MAX: usize = 50;
const BATCH_BYTES_MAX: usize = 400_000;

/// Where a client stands, as a server sees it.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    in_transaction: bool,
    watching: bool,
    chosen: Chosen,
}

/// What a client sends at once.
pub(crate) struct Batch {
    pub(crate) client: usize,
    pub(crate) requests: Vec<Request>,
    /// The last one has the connection closed.
    pub(crate) closes: bool,
}

pub(crate) struct Request {
    pub(crate) command: Command,
    /// As it is sent.
    pub(crate) bytes: Vec<u8>,
    /// Its words are not those of its form any more: where its keys are is not known.
    pub(crate) is_damaged: bool,
}

pub(crate) struct Generator {
    rng: Rng,
    grammar: Grammar,
    kinds: Kinds,
    /// The weight changes: what a transaction then rests on has to be clear.
    moves: bool,
    standings: [Standing; CLIENTS],
}

impl Generator {
    pub(crate) fn new(seed: u64, kinds: Kinds, moves: bool) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            grammar: Grammar::read(),
            kinds,
            moves,
            standings: [Standing::default(); CLIENTS],
        }
    }

    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    pub(crate) fn batch(&mut self) -> Batch {
        let client = self.rng.usize(..CLIENTS);
        let most = self.rng.usize(1..=BATCH_MAX);
        let mut batch = Batch {
            client,
            requests: Vec::new(),
            closes: false,
        };
        let mut bytes = 0;
        while batch.requests.len() < most && bytes < BATCH_BYTES_MAX {
            if self.rng.u16(..2_000) == 0 {
                batch.requests.push(self.last_words());
                batch.closes = true;
                self.standings[client] = Standing::default();
                break;
            }
            let request = self.request(client);
            bytes += request.bytes.len();
            batch.requests.push(request);
        }
        batch
    }

    /// What ends a connection.
    fn last_words(&mut self) -> Request {
        let raw: [&[u8]; 6] = [
            b"*1\r\n$4\r\nQUIT\r\n",
            b"QUIT now\r\n",
            b"*x\r\n",
            b"*1\r\n$-5\r\n",
            b"*2\r\n$3\r\nGET\r\n+k\r\n",
            b"SET \"unbalanced\r\n",
        ];
        Request {
            command: Command::of(&["(closing)"]),
            bytes: raw[self.rng.usize(..raw.len())].to_vec(),
            is_damaged: false,
        }
    }

    fn request(&mut self, client: usize) -> Request {
        let mut command = self.command(client);
        let is_spared = self.moves && self.standings[client].in_transaction;
        let is_damaged = self.rng.u8(..100) < 5 && !is_spared && self.damage(&mut command);
        self.follow(client, &command);
        let bytes = self.encoded(&command);
        Request {
            command,
            bytes,
            is_damaged,
        }
    }

    fn command(&mut self, client: usize) -> Command {
        let standing = self.standings[client];
        let rng = &mut self.rng;
        let dice = rng.u16(..1_000);
        if standing.in_transaction {
            match dice {
                0..120 => return Command::of(&["EXEC"]),
                120..145 => return Command::of(&["DISCARD"]),
                145..147 => return Command::of(&["EXEC", "now"]),
                147..149 => return Command::of(&["MULTI"]),
                149..152 => return self.watch(client),
                152..153 => return Command::of(&["RESET"]),
                _ => {}
            }
        } else {
            match dice {
                0..30 => {
                    self.standings[client].chosen = Chosen::any(rng);
                    return Command::of(&["MULTI"]);
                }
                30..45 => {
                    self.standings[client].chosen = Chosen::any(rng);
                    return self.watch(client);
                }
                45..47 => return Command::of(&["UNWATCH"]),
                47..49 => return Command::of(&["RESET"]),
                // While keys are watched these are not supported yet.
                49..59 if !standing.watching => {
                    let databases = ["0", "0", "0", "0", "1", "2", "3", "16", "x"];
                    return Command::of(&["SELECT", databases[rng.usize(..databases.len())]]);
                }
                59..62 if !standing.watching => {
                    let versions = ["2", "3", "3", "4", "x"];
                    return Command::of(&["HELLO", versions[rng.usize(..versions.len())]]);
                }
                62..64 => return Command::of(&["CLIENT", "SETNAME", ["app", "a b", ""][rng.usize(..3)]]),
                64..65 => return Command::of(&["MULTI", "now"]),
                65..66 if !self.moves => return Command::of(&["EXEC", "now"]),
                66..67 => return Command::of(&["WATCH"]),
                _ => {}
            }
        }
        let chosen = match standing.in_transaction && rng.u8(..10) > 0 {
            true => standing.chosen,
            false => Chosen::any(rng),
        };
        loop {
            let form = self.grammar.any(rng);
            let command = form.command(rng, &self.kinds, &chosen);
            let name = command.word(0);
            let is_left_out = (standing.in_transaction && name == "CLIENT")
                || (self.moves && LEFT_OUT_MOVING.iter().any(|(left_out, _)| *left_out == name));
            if !is_left_out {
                return command;
            }
        }
    }

    fn watch(&mut self, client: usize) -> Command {
        let mut command = Command::of(&["WATCH"]);
        for _ in 0..self.rng.usize(1..=2) {
            let chosen = self.standings[client].chosen;
            self.kinds.add("any", &mut self.rng, &chosen, &mut command);
        }
        command
    }

    /// Makes it less than well formed. `false`: this one had better be spared.
    fn damage(&mut self, command: &mut Command) -> bool {
        let name = command.word(0);
        let spec = lookup(&command.words[0], command.words.get(1).map(Vec::as_slice));
        let waits = name == "WAIT" || spec.is_some_and(|spec| spec.has(flags::BLOCKING));
        // It would take by chance, or set something for good.
        let spared = ["SPOP", "CONFIG", "LOLWUT", "SELECT", "HELLO", "RESET", "CLIENT"];
        let is_by_name = command.words.get(1).is_some_and(|key| is_by_name(key));
        if spared.contains(&name.as_str()) || name.contains("SCAN") || is_by_name {
            return false;
        }
        let rng = &mut self.rng;
        let count = command.words.len();
        match rng.u8(..8) {
            0 | 1 if count > 1 => {
                command.words.pop();
                command.keys.retain(|key| *key < count - 1);
            }
            2 | 3 => command.words.push(garbage(rng, waits)),
            4 if !spec.is_some_and(|spec| spec.has(flags::CONTAINER)) => {
                command.words.truncate(1);
                command.keys.clear();
            }
            5 => {
                command.words[0].make_ascii_lowercase();
                return false;
            }
            _ if count > 1 => {
                let at = rng.usize(1..count);
                command.words[at] = garbage(rng, waits);
            }
            _ => return false,
        }
        true
    }

    /// What it does to the connection.
    fn follow(&mut self, client: usize, command: &Command) {
        let standing = &mut self.standings[client];
        match (command.word(0).as_str(), command.words.len()) {
            ("MULTI", 1) => standing.in_transaction = true,
            ("RESET", 1) => *standing = Standing::default(),
            ("EXEC", _) if standing.in_transaction => *standing = Standing::default(),
            ("DISCARD", 1) if standing.in_transaction => *standing = Standing::default(),
            ("UNWATCH", 1) if !standing.in_transaction => standing.watching = false,
            ("WATCH", 2..) if !standing.in_transaction => standing.watching = true,
            _ => {}
        }
    }

    fn encoded(&mut self, command: &Command) -> Vec<u8> {
        // A longer line is refused or not by how it comes in.
        let is_plain = |word: &Vec<u8>| {
            !word.is_empty() && word.len() < 1_000 && word.iter().all(u8::is_ascii_alphanumeric)
        };
        if self.rng.u8(..50) == 0 && command.words.iter().all(is_plain) {
            let mut line = command.words.join(&b' ');
            line.extend_from_slice(if self.rng.bool() { b"\r\n" } else { b"\n" });
            return line;
        }
        let mut bytes = Vec::new();
        let words: Vec<&[u8]> = command.words.iter().map(Vec::as_slice).collect();
        switchback::resp::write_command(&mut bytes, &words);
        bytes
    }
}
