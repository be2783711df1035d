//! What does which connection send next?
//!
//! Pure: everything follows from the seed, nothing from a reply, so that a seed replays a run.

use fastrand::Rng;
use switchback::data_plane::command::{flags, lookup};

use crate::grammar::{Command, Grammar};
use crate::kinds::{Chosen, Kinds, garbage, is_kept, one};
use crate::rules::is_left_out;

/// Clients that send commands.
pub(crate) const CLIENTS: usize = 4;
/// Clients that listen.
pub(crate) const LISTENERS: usize = 3;
const DATABASES: [&str; 9] = ["0", "0", "0", "0", "1", "2", "3", "16", "x"];
const VERSIONS: [&str; 5] = ["2", "3", "3", "4", "x"];
const NAMES: [&str; 3] = ["app", "a b", ""];
/// In one write.
const BATCH_MAX: usize = 50;
const BATCH_BYTES_MAX: usize = 400_000;

/// Where a client stands, as a server sees it.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    in_transaction: bool,
    watching: bool,
    /// It may have CLIENT TRACKING on.
    tracked: bool,
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
    /// The client has asked for no reply to it.
    pub(crate) is_muted: bool,
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
            if self.rng.u16(..1_000) == 0 && !self.standings[client].in_transaction {
                batch.requests.extend(self.muted());
            }
            let request = self.request(client);
            bytes += request.bytes.len();
            batch.requests.push(request);
        }
        batch
    }

    /// Commands whose replies the client does not want, and what says so.
    fn muted(&mut self) -> Vec<Request> {
        let is_one = self.rng.bool();
        let asks = |word| Command::of(&["CLIENT", "REPLY", word]);
        let mut commands = vec![asks(if is_one { "SKIP" } else { "OFF" })];
        let count = if is_one { 1 } else { self.rng.usize(1..=3) };
        while commands.len() <= count {
            let (form, chosen) = (self.grammar.any(&mut self.rng), Chosen::any(&mut self.rng));
            let command = form.command(&mut self.rng, &self.kinds, &chosen);
            let name = command.word(0);
            let spec = lookup(&command.words[0], command.words.get(1).map(Vec::as_slice));
            let waits = name == "WAIT" || spec.is_none_or(|spec| spec.has(flags::BLOCKING));
            let is_spared = waits || ["CLIENT", "UNWATCH", "EVALSHA", "EVALSHA_RO"].contains(&name.as_str());
            if !is_spared && !is_left_out(&command, self.moves, false) {
                commands.push(command);
            }
        }
        if !is_one {
            commands.push(asks("ON"));
        }
        let is_answered = |command: &Command| command.word(2) == "ON" && command.word(1) == "REPLY";
        let request = |command: Command| Request {
            bytes: self.encoded(&command),
            is_damaged: false,
            is_muted: !is_answered(&command),
            command,
        };
        commands.into_iter().map(request).collect()
    }

    /// What one of those says who listen.
    pub(crate) fn listening(&mut self) -> (usize, Vec<Vec<u8>>) {
        let rng = &mut self.rng;
        let kinds = [("", 0), ("", 0), ("P", 1), ("S", 0)];
        let (kind, names) = kinds[rng.usize(..kinds.len())];
        let names: &[&str] = match names {
            0 => &["channel0", "channel1", "channel2", "channel3"],
            _ => &["channel*", "ch?nnel1", "channel[0-2]", "*", "nothing"],
        };
        let words: Vec<String> = match rng.u8(..40) {
            0 => vec!["RESET".to_owned()],
            1..3 => vec!["HELLO".to_owned(), ["2", "3"][rng.usize(..2)].to_owned()],
            3..5 => vec!["ECHO".to_owned(), "x".to_owned()],
            5..7 => vec!["PING".to_owned()],
            7..10 => vec![format!("{kind}UNSUBSCRIBE")],
            dice => {
                let verb = if dice < 22 { "UNSUBSCRIBE" } else { "SUBSCRIBE" };
                let count = rng.usize(1..=2);
                let names = (0..count).map(|_| names[rng.usize(..names.len())].to_owned());
                std::iter::once(format!("{kind}{verb}")).chain(names).collect()
            }
        };
        let listener = rng.usize(..LISTENERS);
        (listener, words.into_iter().map(String::into_bytes).collect())
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
            is_muted: false,
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
            is_muted: false,
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
                153..157 => return Command::of(&["SELECT", one(rng, &DATABASES)]),
                157..159 => return Command::of(&["HELLO", one(rng, &VERSIONS)]),
                159..161 => return Command::of(&["CLIENT", "SETNAME", one(rng, &NAMES)]),
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
                49..59 => return Command::of(&["SELECT", one(rng, &DATABASES)]),
                // A link is set up for tracking, too, by the protocol.
                59..62 if !standing.watching || !standing.tracked => {
                    return Command::of(&["HELLO", one(rng, &VERSIONS)]);
                }
                62..64 => return Command::of(&["CLIENT", "SETNAME", one(rng, &NAMES)]),
                64..65 => return Command::of(&["MULTI", "now"]),
                65..66 if !self.moves => return Command::of(&["EXEC", "now"]),
                66..67 => return Command::of(&["WATCH"]),
                // What is watched is watched as one user.
                67..70 if !standing.watching => {
                    let logins: [&[&str]; 8] = [
                        &["AUTH", "app", "secret"],
                        &["AUTH", "app", "wrong"],
                        &["AUTH", "nobody", "x"],
                        &["AUTH", "default", "x"],
                        &["AUTH", "secret"],
                        &["HELLO", "3", "AUTH", "app", "secret"],
                        &["HELLO", "3", "AUTH", "app", "wrong"],
                        &["HELLO", "2", "SETNAME", "app", "AUTH", "default", "x"],
                    ];
                    return Command::of(logins[rng.usize(..logins.len())]);
                }
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
            let is_refused = standing.in_transaction && command.word(0) == "CLIENT" && {
                let queued = ["GETNAME", "ID", "HELP"];
                !queued.contains(&command.word(1).as_str())
            };
            if !is_refused && !is_left_out(&command, self.moves, standing.watching) {
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
        let spared = [
            "SPOP", "CONFIG", "LOLWUT", "SELECT", "HELLO", "RESET", "CLIENT", "AUTH",
        ];
        let is_kept = command.words.get(1).is_some_and(|key| is_kept(key)) || name.starts_with("SORT");
        if spared.contains(&name.as_str()) || name.contains("SCAN") || is_kept {
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
            ("EXEC", _) | ("DISCARD", 1) if standing.in_transaction => {
                *standing = Standing {
                    tracked: standing.tracked,
                    ..Standing::default()
                };
            }
            ("CLIENT", _) if command.word(1) == "TRACKING" => standing.tracked = true,
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
