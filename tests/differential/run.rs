//! How does a run go, and what is told of the first difference?
//!
//! Shell. A batch is sent on one client's connections, to the proxy and to the servers beside it, and all replies are read
//! before the next: the order of everything is the seed's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use switchback::lab::wait_for;

use crate::compare::{elements, same};
use crate::connection::Connection;
use crate::contents::{self, string};
use crate::generate::{Batch, CLIENTS, Generator, LISTENERS, Request};
use crate::listeners::Listener;
use crate::model::{Expected, Keys, Merge, Model, Plan, Use};
use crate::rules::{Rule, in_transaction, rule};
use crate::running::SOON;
use crate::stage::Stage;

/// Batches between looks at all contents.
const BATCHES_A_LOOK: usize = 400;
/// Batches a weight lasts for, about.
const BATCHES_A_WEIGHT: u32 = 8;
/// Batches between two requests of those who listen, about.
const BATCHES_A_TOPIC: u32 = 8;
/// So seldom a count of clients is off.
const COMMANDS_AN_OFF_COUNT: usize = 20_000;
const HISTORY: usize = 3_000;

/// Which weights a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    Zero,
    Full,
    Moving,
}

/// What has been done.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) commands: usize,
    pub(crate) took: Duration,
    /// Replies that were errors.
    pub(crate) errors: usize,
    pub(crate) weights: usize,
    /// Counts of clients that were off by what the proxy did not know yet.
    pub(crate) off: usize,
}

struct Client {
    proxied: Connection,
    beside: [Connection; 2],
    /// Rules of what a transaction has queued.
    queued: Vec<Rule>,
}

/// Batch, client, what.
type Sent = (usize, usize, Request);

struct Run<'a> {
    stage: &'a Stage,
    clients: Vec<Client>,
    /// On the servers beside, as nobody in particular.
    asking: [Connection; 2],
    listeners: Vec<Listener>,
    generator: Generator,
    model: Model,
    weight: String,
    batches: usize,
    /// Requests.
    sent: usize,
    history: VecDeque<Sent>,
    report: Report,
}

/// # Errors
/// The first difference, as a text for people.
pub(crate) fn run(seed: u64, commands: usize, weights: Weights) -> Result<Report, String> {
    let stage = Stage::set();
    let began = Instant::now();
    let hundredths = if weights == Weights::Full { 10_000 } else { 0 };
    stage.weight(if weights == Weights::Full { "100" } else { "0" });
    let moves = weights == Weights::Moving;
    let mut run = Run {
        clients: (0..CLIENTS).map(|_| connect(&stage)).collect(),
        asking: stage
            .beside
            .each_ref()
            .map(|server| Connection::open(&server.addr())),
        listeners: (0..LISTENERS).map(|_| Listener::new(&stage)).collect(),
        generator: Generator::new(seed, stage.kinds(), moves),
        model: Model::new(moves, hundredths),
        weight: (hundredths / 100).to_string(),
        batches: 0,
        sent: 0,
        history: VecDeque::new(),
        report: Report {
            commands: 0,
            took: Duration::ZERO,
            errors: 0,
            weights: 0,
            off: 0,
        },
        stage: &stage,
    };
    let outcome = run.until(commands, moves);
    let told = |difference| {
        let file = format!("{}/differential-{seed}-{weights:?}", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&file, run.lines(|_, _| true).join("\n")).unwrap();
        format!(
            "seed {seed}, {weights:?}, batch {}: {difference}\nand before: {file}",
            run.batches
        )
    };
    outcome.map_err(told)?;
    run.report.took = began.elapsed();
    Ok(run.report)
}

fn connect(stage: &Stage) -> Client {
    Client {
        proxied: Connection::open(&stage.proxy.listen),
        beside: stage
            .beside
            .each_ref()
            .map(|server| Connection::open(&server.addr())),
        queued: Vec::new(),
    }
}

impl Run<'_> {
    fn until(&mut self, commands: usize, moves: bool) -> Result<(), String> {
        while self.report.commands < commands {
            if moves && self.generator.rng().u32(..BATCHES_A_WEIGHT) == 0 {
                self.change_weight();
            }
            if self.generator.rng().u32(..BATCHES_A_TOPIC) == 0 {
                let (listener, words) = self.generator.listening();
                self.listeners[listener].say(&words)?;
            }
            let batch = self.generator.batch();
            self.batches += 1;
            self.send(batch)?;
            if self.batches.is_multiple_of(BATCHES_A_LOOK) {
                self.look()?;
            }
        }
        self.look()
    }

    fn change_weight(&mut self) {
        let rng = self.generator.rng();
        let hundredths = match rng.u8(..8) {
            0 => 0,
            1 => 10_000,
            _ => rng.u32(1..10_000),
        };
        self.weight = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        self.stage.weight(&self.weight);
        self.model.weigh(hundredths);
        self.report.weights += 1;
    }

    fn send(&mut self, batch: Batch) -> Result<(), String> {
        let Batch {
            client,
            requests,
            closes,
        } = batch;
        let (mut plans, mut bytes) = (Vec::new(), Vec::new());
        let (mut is_told_besides, mut publishes) = (false, false);
        for request in requests {
            let keys = self.keys(&request);
            let Some(plan) = self.model.plan(client, &request, keys) else {
                continue;
            };
            bytes.extend_from_slice(&request.bytes);
            let name = request.command.word(0);
            publishes |= name.ends_with("PUBLISH") || name == "EXEC";
            is_told_besides |= plan.is_told_besides;
            let is_muted = request.is_muted;
            if self.history.len() == HISTORY {
                self.history.pop_front();
            }
            self.history.push_back((self.batches, client, request));
            self.sent += 1;
            let replies = self.beside(client, &plan);
            if let Some(side) = plan.is_followed {
                self.follow(client, side);
            }
            match is_muted {
                true => self.report.commands += 1,
                false => plans.push((self.sent, plan, replies)),
            }
        }
        let got = self.clients[client].proxied.exchange(&bytes, plans.len());
        let mut got = got.into_iter();
        for (number, plan, replies) in plans {
            let at = self.history.len() - 1 - (self.sent - number);
            self.judge(client, at, &plan, replies, got.next())?;
            self.report.commands += 1;
        }
        if is_told_besides {
            self.wait_for_libraries()?;
        }
        if publishes {
            for listener in &mut self.listeners {
                listener.compare()?;
            }
        }
        if closes {
            if !self.clients[client].proxied.is_closed() {
                return Err(format!(
                    "client {client}: not closed\n{}",
                    self.told(client, self.history.len() - 1)
                ));
            }
            self.clients[client] = connect(self.stage);
        }
        Ok(())
    }

    /// Sends to the servers beside what a request comes to.
    fn beside(&mut self, client: usize, plan: &Plan) -> [Option<Vec<u8>>; 2] {
        [0, 1].map(|side| {
            let mut counted = None;
            for (bytes, as_what) in &plan.sent[side] {
                let connection = match as_what {
                    Use::Aside => &mut self.asking[side],
                    Use::Reply | Use::Silent => &mut self.clients[client].beside[side],
                };
                let reply = connection.exchange(bytes, 1).pop();
                if *as_what == Use::Reply {
                    counted = reply;
                }
            }
            counted
        })
    }

    /// What a transaction has changed of a client's connection, the one to the other server is told.
    fn follow(&mut self, client: usize, side: usize) {
        let beside = &mut self.clients[client].beside;
        let info = String::from_utf8_lossy(&beside[side].call(&[b"CLIENT", b"INFO"])).into_owned();
        let of = |name: &str| {
            let mut words = info.split([' ', '\n']);
            words.find_map(|word| word.strip_prefix(name)).unwrap().to_owned()
        };
        let (database, name, protocol) = (of("db="), of("name="), of("resp="));
        let requests: [&[&[u8]]; 3] = [
            &[b"SELECT", database.as_bytes()],
            &[b"CLIENT", b"SETNAME", name.as_bytes()],
            &[b"HELLO", protocol.as_bytes()],
        ];
        for words in requests {
            beside[1 - side].call(words);
        }
        self.model.speaks(client, protocol == "3");
    }

    /// At 0 and at 100 the other side is told of functions in the proxy's own time.
    fn wait_for_libraries(&mut self) -> Result<(), String> {
        let libraries = |server: &mut Connection| server.call(&[b"FUNCTION", b"LIST", b"WITHCODE"]);
        let stage = self.stage;
        for (beside, behind) in self.asking.iter_mut().zip(&stage.behind) {
            let mut behind = Connection::open(&behind.addr());
            let are_there = || same(&libraries(beside), &libraries(&mut behind), Rule::Unordered, None);
            wait_for("libraries on both sides", SOON, are_there).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Where the request's keys are: its form says so, or, if that has been damaged, a server.
    fn keys(&mut self, request: &Request) -> Keys {
        let command = &request.command;
        if !request.is_damaged {
            return Keys::Known(
                command
                    .keys
                    .iter()
                    .map(|key| command.words[*key].clone())
                    .collect(),
            );
        }
        if command.word(0).ends_with("PUBLISH") && command.words.len() == 3 {
            return Keys::Known(vec![command.words[1].clone()]);
        }
        let mut words: Vec<&[u8]> = vec![b"COMMAND", b"GETKEYS"];
        words.extend(command.words.iter().map(Vec::as_slice));
        let reply = self.asking[0].call(&words);
        match reply.first() {
            Some(b'*') => Keys::Known(elements(&reply).iter().map(|key| string(key)).collect()),
            _ if reply.starts_with(b"-ERR Invalid number of arguments")
                || reply.starts_with(b"-ERR Invalid command") =>
            {
                Keys::Misfit
            }
            // PFMERGE of one key is sound, and it has none to tell.
            _ if reply.starts_with(b"-ERR Invalid arguments") => Keys::Untold,
            _ => Keys::Known(Vec::new()),
        }
    }

    fn judge(
        &mut self,
        client: usize,
        at: usize,
        plan: &Plan,
        replies: [Option<Vec<u8>>; 2],
        got: Option<Vec<u8>>,
    ) -> Result<(), String> {
        let (_, _, request) = &self.history[at];
        let (rule, name) = (rule(&request.command), request.command.word(0));
        let expected = plan.expected.as_ref().unwrap();
        let shown = |reply: &Option<Vec<u8>>| match reply {
            Some(reply) => reply[..reply.len().min(1_000)].escape_ascii().to_string(),
            None => "closed".to_owned(),
        };
        if let (Expected::Of(side), Some(got)) = (expected, &got)
            && rule == Rule::Counts
            && replies[*side].as_ref() != Some(got)
        {
            self.report.off += 1;
        }
        if self.report.off > 1 + self.report.commands / COMMANDS_AN_OFF_COUNT {
            return Err(format!("{} counts of clients were off", self.report.off));
        }
        let queued = &mut self.clients[client].queued;
        let is_fine = match (expected, got.as_deref()) {
            (Expected::Of(side), got) => match (&replies[*side], got) {
                (Some(expected), Some(got)) => {
                    let rules = (name == "EXEC").then_some(queued.as_slice());
                    same(expected, got, rule, rules)
                }
                (None, None) => true,
                _ => false,
            },
            (_, None) => false,
            (Expected::Own(expected), Some(got)) => expected.as_slice() == got,
            (Expected::Refusal(begins, contains), Some(got)) => {
                let text = String::from_utf8_lossy(got);
                text.starts_with(begins) && text.contains(contains)
            }
            (Expected::AnyError(side), Some(got)) => {
                let is_ours = got.starts_with(b"-CROSSSIDE") || got.starts_with(b"-ERR '");
                replies[*side].as_deref() == Some(got) || is_ours
            }
            (Expected::SomeError, Some(got)) => got.starts_with(b"-"),
            (Expected::Merged(Merge::AnyOwned(_)), Some(b"$-1\r\n" | b"_\r\n")) => true,
            (Expected::Merged(merge @ Merge::AnyOwned(_)), Some(got)) => {
                elements(&merged(merge, &replies)).iter().any(|key| key == got)
            }
            (Expected::Merged(merge), Some(got)) => same(&merged(merge, &replies), got, rule, None),
        };
        match (name.as_str(), got.as_deref()) {
            ("MULTI", Some(b"+OK\r\n")) | ("EXEC" | "DISCARD" | "RESET", _) => queued.clear(),
            (_, Some(b"+QUEUED\r\n")) => queued.push(in_transaction(&request.command)),
            _ => {}
        }
        if got.as_ref().is_some_and(|got| got.starts_with(b"-")) {
            self.report.errors += 1;
        }
        if is_fine {
            return Ok(());
        }
        let expected = match expected {
            Expected::Of(side) | Expected::AnyError(side) => shown(&replies[*side]),
            Expected::Merged(merge) => shown(&Some(merged(merge, &replies))),
            other => format!("{other:?}"),
        };
        Err(format!(
            "client {client}, weight {}\n  expected: {expected}\n  got:      {}\n{}",
            self.weight,
            shown(&got),
            self.told(client, at)
        ))
    }

    /// What this client sent lately, and what others sent that concerns the same keys.
    fn told(&self, client: usize, at: usize) -> String {
        let (_, _, last) = &self.history[at];
        let keys = |request: &Request| {
            let keys = request.command.keys.iter();
            keys.map(|key| request.command.words[*key].clone())
                .collect::<Vec<_>>()
        };
        let concerned = keys(last);
        let last = at;
        let is_near = |at: usize, (_, who, request): &Sent| {
            let is_concerned = keys(request).iter().any(|key| concerned.contains(key));
            at <= last && (is_concerned || (*who == client && at + 20 > last))
        };
        let lines = self.lines(is_near);
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn lines(&self, is_wanted: impl Fn(usize, &Sent) -> bool) -> Vec<String> {
        let wanted = self
            .history
            .iter()
            .enumerate()
            .filter(|(at, sent)| is_wanted(*at, sent));
        let line = |(_, (batch, client, request)): (usize, &Sent)| {
            let word = |word: &Vec<u8>| format!("\"{}\"", word[..word.len().min(150)].escape_ascii());
            let words: Vec<String> = request.command.words.iter().map(word).collect();
            format!("  {batch} client {client}: {}", words.join(" "))
        };
        wanted.map(line).collect()
    }

    fn look(&self) -> Result<(), String> {
        for side in 0..2 {
            if let Some(difference) = contents::difference(&self.stage.beside[side], &self.stage.behind[side])
            {
                return Err(format!("contents of {}: {difference}", ["old", "new"][side]));
            }
        }
        Ok(())
    }
}

/// As the documentation says.
fn merged(merge: &Merge, replies: &[Option<Vec<u8>>; 2]) -> Vec<u8> {
    let both = replies
        .each_ref()
        .map(|reply| reply.clone().expect("both sides' replies"));
    if let Some(error) = both.iter().find(|reply| reply.starts_with(b"-")) {
        return error.clone();
    }
    let number = |reply: &[u8]| -> i64 {
        std::str::from_utf8(&reply[1..reply.len() - 2])
            .unwrap()
            .parse()
            .unwrap()
    };
    let array = |elements: Vec<Vec<u8>>| {
        let head = format!("*{}\r\n", elements.len()).into_bytes();
        [head, elements.concat()].concat()
    };
    match merge {
        Merge::First => both[0].clone(),
        Merge::Sum => format!(":{}\r\n", number(&both[0]) + number(&both[1])).into_bytes(),
        Merge::Owned(weighed) | Merge::AnyOwned(weighed) => {
            let of = |side: usize| {
                let mut keys = elements(&both[side]);
                keys.retain(|key| weighed.owner_of(&string(key)) == side);
                keys
            };
            array([of(0), of(1)].concat())
        }
        Merge::Least => {
            let pairs = elements(&both[0]).into_iter().zip(elements(&both[1]));
            array(pairs.map(|(a, b)| a.min(b)).collect())
        }
        Merge::Places(sides) => {
            let mut of = both.map(|reply| elements(&reply).into_iter());
            array(sides.iter().map(|side| of[*side].next().unwrap()).collect())
        }
    }
}
