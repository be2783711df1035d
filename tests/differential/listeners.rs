//! What is heard by who listens?
//!
//! Shell: clients that subscribe, through the proxy and on both servers beside it. Confirmations are compared as replies are;
//! messages for each channel in their order, as those of two channels may come by two ways.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::compare::{elements, same};
use crate::connection::Connection;
use crate::rules::Rule;
use crate::running::SOON;
use crate::stage::Stage;

/// Behind what was sent before, and told apart from it.
const MARK: &[u8] = b"that was all";

/// Messages by what they came by: kind, pattern, channel.
type Heard = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

pub(crate) struct Listener {
    proxied: Connection,
    beside: [Connection; 2],
    expected: Heard,
    heard: Heard,
}

impl Listener {
    pub(crate) fn new(stage: &Stage) -> Self {
        Self {
            proxied: Connection::open(&stage.proxy.listen),
            beside: stage
                .beside
                .each_ref()
                .map(|server| Connection::open(&server.addr())),
            expected: Heard::new(),
            heard: Heard::new(),
        }
    }

    /// Says it to all, and compares what is said to it.
    pub(crate) fn say(&mut self, words: &[Vec<u8>]) -> Result<(), String> {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let [old, new] = self
            .beside
            .each_mut()
            .map(|server| told(server, &words, &mut self.expected));
        let got = told(&mut self.proxied, &words, &mut self.heard);
        let rule = match words[0] {
            // It tells the connection's number.
            b"HELLO" => Rule::Numbers,
            _ => Rule::Exact,
        };
        // What a server leaves all at once it leaves in the order of a hash table.
        let is_left_at_once = words.len() == 1 && words[0].ends_with(b"UNSUBSCRIBE");
        let is_same = [&new, &got].into_iter().all(|said| match is_left_at_once {
            true => names(&old) == names(said),
            false => all_same(&old, said, rule),
        });
        match is_same {
            true => Ok(()),
            false => Err(format!(
                "listener: {}\n  expected: {}\n  or:       {}\n  got:      {}",
                words.join(&b' ').escape_ascii(),
                shown(&old),
                shown(&new),
                shown(&got)
            )),
        }
    }

    /// Compares what has been published until now.
    pub(crate) fn compare(&mut self) -> Result<(), String> {
        for server in &mut self.beside {
            told(server, &[], &mut self.expected);
        }
        let deadline = Instant::now() + SOON;
        let count = |heard: &Heard| heard.values().map(Vec::len).sum::<usize>();
        loop {
            told(&mut self.proxied, &[], &mut self.heard);
            if count(&self.heard) >= count(&self.expected) || Instant::now() > deadline {
                break;
            }
        }
        let (expected, heard) = (
            std::mem::take(&mut self.expected),
            std::mem::take(&mut self.heard),
        );
        match expected == heard {
            true => Ok(()),
            false => Err(format!(
                "messages\n  expected: {}\n  got:      {}",
                listed(&expected),
                listed(&heard)
            )),
        }
    }
}

/// What is said to these words; messages among it are put aside.
fn told(connection: &mut Connection, words: &[&[u8]], heard: &mut Heard) -> Vec<Vec<u8>> {
    let mut request = Vec::new();
    if !words.is_empty() {
        switchback::resp::write_command(&mut request, words);
    }
    switchback::resp::write_command(&mut request, &[b"PING", MARK]);
    connection.send(&request);
    let end = [MARK, b"\r\n"].concat();
    let mut told = Vec::new();
    loop {
        let reply = connection.reply().expect("an open connection");
        if reply.ends_with(&end) {
            return told;
        }
        match message(&reply) {
            Some((by, text)) => heard.entry(by).or_default().push(text),
            None => told.push(reply),
        }
        assert!(
            !told.last().is_some_and(|reply| reply.starts_with(b"-NOREPLY")),
            "nothing came back"
        );
    }
}

/// What it came by, and what it says.
fn message(reply: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if !matches!(reply.first(), Some(b'*' | b'>')) {
        return None;
    }
    let parts = elements(reply);
    let is_message = parts.first().is_some_and(|kind| kind.ends_with(b"message\r\n"));
    let (text, by) = parts.split_last().filter(|_| is_message)?;
    Some((by.concat(), text.clone()))
}

fn all_same(expected: &[Vec<u8>], got: &[Vec<u8>], rule: Rule) -> bool {
    let mut pairs = expected.iter().zip(got);
    expected.len() == got.len() && pairs.all(|(expected, got)| same(expected, got, rule, None))
}

fn names(confirmations: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let name = |reply: &Vec<u8>| match reply.first() {
        Some(b'*' | b'>') => elements(reply)[..2].concat(),
        _ => reply.clone(),
    };
    let mut names: Vec<Vec<u8>> = confirmations.iter().map(name).collect();
    names.sort();
    names
}

fn shown(replies: &[Vec<u8>]) -> String {
    replies.concat().escape_ascii().to_string()
}

fn listed(heard: &Heard) -> String {
    let line = |(by, texts): (&Vec<u8>, &Vec<Vec<u8>>)| {
        format!("\n    {}: {} messages", by.escape_ascii(), texts.len())
    };
    heard.iter().map(line).collect()
}
