//! What is a node asked, and what do its replies amount to?
//!
//! Pure: commands out, [`NodeInfo`] in. All of a question leaves in one write. Every interval: INFO, ROLE and, of a master,
//! its replicas' connections. Once a second what changes seldom or costs more: the names of errors are as many as apps'
//! scripts invent. Of a slowlog entry only its number is read: what is in it is the apps'.

use std::time::{Duration, Instant};

use super::{BufferLimit, InfoError, NodeDetails, NodeInfo, client_list, parse_info};
use crate::resp::{Value, text};

/// How often [`NodeDetails`] are asked for.
const DETAILS_EVERY: Duration = Duration::from_secs(1);

/// One command of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Info,
    /// All sections: before Redis 7, INFO takes one.
    WholeInfo,
    Role,
    Replicas,
    Errors,
    Slowlog,
    MasterLink,
    BufferLimit,
    Backlog,
}

impl Part {
    pub(super) const fn words(self) -> &'static [&'static [u8]] {
        match self {
            Self::Info => &[b"INFO", b"server", b"memory", b"replication", b"stats"],
            Self::WholeInfo => &[b"INFO"],
            Self::Role => &[b"ROLE"],
            Self::Replicas => &[b"CLIENT", b"LIST", b"TYPE", b"replica"],
            Self::Errors => &[b"INFO", b"errorstats"],
            Self::Slowlog => &[b"SLOWLOG", b"GET", b"1"],
            Self::MasterLink => &[b"CLIENT", b"LIST", b"TYPE", b"master"],
            Self::BufferLimit => &[b"CONFIG", b"GET", b"client-output-buffer-limit"],
            Self::Backlog => &[b"CONFIG", b"GET", b"repl-backlog-size"],
        }
    }

    /// Without it there is no answer at all.
    const fn is_needed(self) -> bool {
        matches!(self, Self::Info | Self::WholeInfo | Self::Role)
    }

    /// What stays in the dark when it is refused.
    const fn serves(self) -> &'static str {
        match self {
            Self::Info | Self::WholeInfo | Self::Role => "every rule",
            Self::Replicas => "output_buffer",
            Self::Errors => "what memory_cap counts of refused commands",
            Self::Slowlog => "slowlog_growth",
            Self::MasterLink => "which connection of output_buffer is whose",
            Self::BufferLimit => "when output_buffer overflows",
            Self::Backlog => "the size of the backlog",
        }
    }
}

/// Why a question has no answer; a refusal of what is needed, in the node's words or ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoAnswer(pub(super) String);

/// What is known of a node's way to answer.
#[derive(Debug, Default)]
pub(super) struct Asking {
    is_master: Option<bool>,
    takes_one_section: bool,
    details_asked: Option<Instant>,
    refused: Vec<Part>,
}

impl Asking {
    /// What to ask now.
    pub(super) fn next(&mut self, now: Instant) -> Vec<Part> {
        let mut parts = match self.takes_one_section {
            true => vec![Part::WholeInfo, Part::Role],
            false => vec![Part::Info, Part::Role],
        };
        // Which details depends on the role: the first question finds that out.
        let asked = self.details_asked;
        let is_due = self.is_master.is_some()
            && asked.is_none_or(|asked| now.saturating_duration_since(asked) >= DETAILS_EVERY);
        let is_refused = |part| self.refused.contains(&part);
        if self.is_master == Some(true) && (is_due || !is_refused(Part::Replicas)) {
            parts.push(Part::Replicas);
        }
        if is_due {
            self.details_asked = Some(now);
            if !self.takes_one_section {
                parts.push(Part::Errors);
            }
            if self.is_master == Some(false) {
                parts.push(Part::MasterLink);
            }
            parts.extend([Part::Slowlog, Part::BufferLimit, Part::Backlog]);
        }
        parts
    }

    /// What the replies say, and what was refused for the first time: to be told, since a rule stays unknown by it.
    ///
    /// # Errors
    /// Replies that are no evidence. `None`: the question is to be put another way, at once.
    pub(super) fn read(
        &mut self,
        parts: &[Part],
        replies: &[Value],
        took: Duration,
    ) -> Result<(NodeInfo, Vec<String>), Option<NoAnswer>> {
        let reply = |wanted| {
            parts
                .iter()
                .position(|part| *part == wanted)
                .and_then(|at| replies.get(at))
        };
        for (part, reply) in parts.iter().zip(replies) {
            match reply {
                Value::Error(text) if *part == Part::Info && text.contains("syntax") => {
                    self.takes_one_section = true;
                    self.details_asked = None;
                    return Err(None);
                }
                Value::Error(text) if part.is_needed() => return Err(Some(NoAnswer(text.clone()))),
                _ => {}
            }
        }
        let info = reply(Part::Info).or_else(|| reply(Part::WholeInfo));
        let (Some(info), Some(role)) = (info, reply(Part::Role)) else {
            return Err(Some(NoAnswer(InfoError::NoReplication.to_string())));
        };
        let mut node = parse_info(info, role, took).map_err(|error| Some(NoAnswer(error.to_string())))?;
        if self.is_master.replace(node.is_master) != Some(node.is_master) {
            self.details_asked = None;
        }
        let list = reply(Part::Replicas).filter(|_| node.is_master).and_then(text);
        node.replica_clients = list.map(|list| client_list::replicas(&list));
        if parts.contains(&Part::Slowlog) {
            let of = |part| reply(part).filter(|reply| !matches!(reply, Value::Error(_)));
            node.details = Some(Box::new(NodeDetails {
                slowlog_entries: of(Part::Slowlog).and_then(slowlog_entries),
                master_link: of(Part::MasterLink)
                    .and_then(text)
                    .and_then(|list| client_list::master_link(&list)),
                replica_buffer_limit: of(Part::BufferLimit).and_then(buffer_limit),
                backlog_size: of(Part::Backlog).and_then(|reply| setting(reply)?.parse().ok()),
                oom_errors: of(Part::Errors)
                    .or(Some(info))
                    .and_then(text)
                    .and_then(|text| oom_errors(&text)),
            }));
        }
        Ok((node, self.note_refusals(parts, replies)))
    }

    fn note_refusals(&mut self, parts: &[Part], replies: &[Value]) -> Vec<String> {
        let mut told = Vec::new();
        for (part, reply) in parts.iter().zip(replies) {
            let Value::Error(why) = reply else {
                self.refused.retain(|refused| refused != part);
                continue;
            };
            if !self.refused.contains(part) {
                self.refused.push(*part);
                let words: Vec<_> = part
                    .words()
                    .iter()
                    .map(|word| String::from_utf8_lossy(word))
                    .collect();
                told.push(format!(
                    "{}, which serves {}: {why}",
                    words.join(" "),
                    part.serves()
                ));
            }
        }
        told
    }
}

/// Commands refused at the cap. Their section came with Redis 6.2; where it is, no such error is 0.
fn oom_errors(info: &str) -> Option<u64> {
    let counted = info
        .lines()
        .find_map(|line| line.strip_prefix("errorstat_OOM:count="));
    match counted {
        Some(count) => count.trim_end().parse().ok(),
        None => info.contains("# Errorstats").then_some(0),
    }
}

/// The newest entry's id counts up from 0 since start, whatever SLOWLOG RESET does.
fn slowlog_entries(reply: &Value) -> Option<u64> {
    let Value::Array(entries) = reply else { return None };
    let Some(newest) = entries.first() else {
        return Some(0);
    };
    let Value::Array(fields) = newest else { return None };
    let id: u64 = text(fields.first()?)?.parse().ok()?;
    id.checked_add(1)
}

/// The value of one setting: CONFIG GET answers its name and its value.
fn setting(reply: &Value) -> Option<String> {
    let Value::Array(pair) = reply else { return None };
    text(pair.get(1)?)
}

/// `normal 0 0 0 slave 268435456 67108864 60 pubsub …`
fn buffer_limit(reply: &Value) -> Option<BufferLimit> {
    let setting = setting(reply)?;
    let mut words = setting
        .split_ascii_whitespace()
        .skip_while(|word| !matches!(*word, "slave" | "replica"))
        .skip(1);
    let mut number = || words.next()?.parse().ok();
    Some(BufferLimit {
        hard_bytes: number()?,
        soft_bytes: number()?,
        soft_seconds: number()?,
    })
}

#[cfg(test)]
#[path = "question_tests.rs"]
mod tests;
