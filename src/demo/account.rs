//! What did one writer send, what was it told, and what must therefore be on the masters?
//!
//! Pure. The sides share no data and a key's owner changes with the weight, so nothing is expected of one side alone:
//! a number pushed to a list must be in the two lists once, a counter's two parts must add up, and the newer of a key's
//! two values must be at least the last one acknowledged.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::ledger::{Ledger, Outcome};
use crate::lab::Reply;

/// What a command does with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `SET` to the command's number.
    Set,
    /// `GET` of what SET has set.
    Get,
    /// `INCR`.
    Increment,
    /// `RPUSH` of the command's number.
    Push,
}

impl Kind {
    const CYCLE: [Self; 4] = [Self::Set, Self::Get, Self::Increment, Self::Push];
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) kind: Kind,
    key: usize,
    /// Counts this writer's commands from 1.
    number: u64,
}

/// What was sent about one key of each kind, and what was answered.
#[derive(Clone, Debug, Default)]
struct Entry {
    last_set_sent: u64,
    last_set_acknowledged: u64,
    last_set_at: Duration,
    increments_sent: u64,
    increments_acknowledged: u64,
    increments_uncertain: u64,
    pushes_sent: u64,
    /// With when each was acknowledged.
    pushed: Vec<(u64, Duration)>,
    pushes_uncertain: HashSet<u64>,
}

/// One writer's book.
#[derive(Clone, Debug)]
pub(super) struct Account {
    writer: usize,
    entries: Vec<Entry>,
    steps: u64,
    ledger: Ledger,
}

impl Account {
    /// A book over `keys` keys of each kind; they share no name with another writer's.
    pub(super) fn new(writer: usize, keys: usize) -> Self {
        Self {
            writer,
            entries: vec![Entry::default(); keys.max(1)],
            steps: 0,
            ledger: Ledger::default(),
        }
    }

    /// The next command: kinds in turn, then keys.
    pub(super) fn next(&mut self) -> Step {
        let turn = self.steps as usize;
        self.steps += 1;
        let kinds = Kind::CYCLE.len();
        let step = Step {
            kind: Kind::CYCLE[turn % kinds],
            key: turn / kinds % self.entries.len(),
            number: self.steps,
        };
        self.ledger.sent += 1;
        let entry = &mut self.entries[step.key];
        match step.kind {
            Kind::Set => entry.last_set_sent = step.number,
            Kind::Get => {}
            Kind::Increment => entry.increments_sent += 1,
            Kind::Push => entry.pushes_sent += 1,
        }
        step
    }

    /// Its words.
    pub(super) fn arguments(&self, step: Step) -> Vec<String> {
        let words = |name: &str, kind| vec![name.to_owned(), self.key(kind, step.key)];
        let number = step.number.to_string();
        match step.kind {
            Kind::Set => [words("SET", "value"), vec![number]].concat(),
            Kind::Get => words("GET", "value"),
            Kind::Increment => words("INCR", "count"),
            Kind::Push => [words("RPUSH", "list"), vec![number]].concat(),
        }
    }

    fn key(&self, kind: &str, key: usize) -> String {
        format!("load:{}:{key}:{kind}", self.writer)
    }

    /// Notes how a command ended, when, since the load began, and how long after it was due.
    pub(super) fn record(&mut self, step: Step, outcome: &Outcome, at: Duration, time: Duration) {
        self.ledger.took(time);
        let entry = &mut self.entries[step.key];
        match (outcome, outcome.failure()) {
            (Outcome::Reply(reply), None) => {
                self.ledger.acknowledged += 1;
                self.ledger.wrong += u64::from(!entry.acknowledge(step, reply, at));
            }
            (_, failure) => {
                self.ledger.fail(failure.unwrap_or("other"));
                if outcome.is_uncertain() {
                    entry.doubt(step);
                }
            }
        }
    }

    /// Notes that there was no connection to send a command on.
    pub(super) fn record_no_connection(&mut self, time: Duration) {
        self.ledger.sent += 1;
        self.ledger.took(time);
        self.ledger.fail("connect");
    }

    /// So far, without what only reading back can tell.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The commands whose replies [`Self::audit`] wants of each master.
    pub(super) fn reads(&self) -> Vec<Vec<String>> {
        let of_key = |key: usize| {
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            [
                words(&["GET", &self.key("value", key)]),
                words(&["GET", &self.key("count", key)]),
                words(&["LRANGE", &self.key("list", key), "0", "-1"]),
            ]
        };
        (0..self.entries.len()).flat_map(of_key).collect()
    }

    /// The final ledger. `masters` holds, by master, the replies to [`Self::reads`].
    pub(super) fn audit(&self, masters: &[Vec<Reply>]) -> Ledger {
        let mut ledger = self.ledger.clone();
        for (index, entry) in self.entries.iter().enumerate() {
            let column = |offset: usize| {
                masters
                    .iter()
                    .filter_map(move |replies| replies.get(index * 3 + offset))
            };
            let numbers = |offset| column(offset).filter_map(number).collect::<Vec<u64>>();
            entry.audit_value(&numbers(0), &mut ledger);
            entry.audit_count(numbers(1).iter().sum(), &mut ledger);
            let pushed: Vec<u64> = column(2).flat_map(Reply::elements).filter_map(number).collect();
            entry.audit_list(&pushed, &mut ledger);
        }
        ledger
    }
}

impl Entry {
    /// Whether the reply can be right, whichever side it came from.
    fn acknowledge(&mut self, step: Step, reply: &Reply, at: Duration) -> bool {
        let counted_up_to =
            |sent: u64| matches!(reply, Reply::Integer(n) if (1..=sent.cast_signed()).contains(n));
        match step.kind {
            Kind::Set => {
                self.last_set_acknowledged = step.number;
                self.last_set_at = at;
                *reply == Reply::Status("OK".to_owned())
            }
            Kind::Get => match reply {
                Reply::Null => true,
                other => number(other).is_some_and(|value| value <= self.last_set_sent),
            },
            Kind::Increment => {
                self.increments_acknowledged += 1;
                counted_up_to(self.increments_sent)
            }
            Kind::Push => {
                self.pushed.push((step.number, at));
                counted_up_to(self.pushes_sent)
            }
        }
    }

    fn doubt(&mut self, step: Step) {
        match step.kind {
            Kind::Set | Kind::Get => {}
            Kind::Increment => self.increments_uncertain += 1,
            Kind::Push => {
                self.pushes_uncertain.insert(step.number);
            }
        }
    }

    fn audit_value(&self, found: &[u64], ledger: &mut Ledger) {
        let newest = found.iter().max().copied().unwrap_or_default();
        if newest < self.last_set_acknowledged {
            ledger.lose(self.last_set_at);
        }
        ledger.wrong += u64::from(newest > self.last_set_sent);
    }

    fn audit_count(&self, found: u64, ledger: &mut Ledger) {
        let most = self.increments_acknowledged + self.increments_uncertain;
        ledger.lost += self.increments_acknowledged.saturating_sub(found);
        ledger.doubled += found.saturating_sub(most);
    }

    fn audit_list(&self, found: &[u64], ledger: &mut Ledger) {
        let mut times: HashMap<u64, u64> = HashMap::new();
        for number in found {
            *times.entry(*number).or_default() += 1;
        }
        for (number, at) in &self.pushed {
            let executed = times.remove(number).unwrap_or_default();
            if executed == 0 {
                ledger.lose(*at);
            }
            ledger.doubled += executed.saturating_sub(1);
        }
        for (number, executed) in times {
            let was_possible = self.pushes_uncertain.contains(&number);
            ledger.ghosts += u64::from(!was_possible);
            ledger.doubled += executed.saturating_sub(1);
        }
    }
}

fn number(reply: &Reply) -> Option<u64> {
    reply.text()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok() -> Outcome {
        Outcome::Reply(Reply::Status("OK".to_owned()))
    }

    fn counted(n: i64) -> Outcome {
        Outcome::Reply(Reply::Integer(n))
    }

    fn error(line: &str) -> Outcome {
        Outcome::Reply(Reply::Error(line.to_owned()))
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }

    /// One round over one key, with these outcomes of SET, INCR and RPUSH; their numbers are 1, 3 and 4.
    fn account(outcomes: [Outcome; 3]) -> Account {
        let mut account = Account::new(0, 1);
        let [set, increment, push] = outcomes;
        for outcome in [set, Outcome::Reply(Reply::Null), increment, push] {
            let step = account.next();
            account.record(step, &outcome, Duration::from_secs(7), Duration::from_millis(1));
        }
        account
    }

    fn master(value: Option<&str>, count: Option<&str>, list: &[&str]) -> Vec<Reply> {
        let text = |text: Option<&str>| text.map_or(Reply::Null, bulk);
        vec![
            text(value),
            text(count),
            Reply::Array(list.iter().map(|one| bulk(one)).collect()),
        ]
    }

    #[test]
    fn what_was_acknowledged_may_be_on_either_side() {
        let account = account([ok(), counted(1), counted(1)]);
        let old = master(Some("1"), None, &[]);
        let new = master(None, Some("1"), &["4"]);
        let ledger = account.audit(&[old, new]);
        assert!(ledger.is_clean(), "{ledger:?}");
        assert_eq!((ledger.sent, ledger.acknowledged), (4, 4));
    }

    #[test]
    fn what_was_acknowledged_and_is_on_neither_side_is_lost() {
        let account = account([ok(), counted(1), counted(1)]);
        let empty = || master(None, None, &[]);
        let ledger = account.audit(&[empty(), empty()]);
        assert_eq!(ledger.lost, 3);
        assert_eq!(ledger.lost_at, [Duration::from_secs(7); 2]);
    }

    #[test]
    fn what_was_executed_twice_is_doubled_on_one_side_or_on_both() {
        let account = account([ok(), counted(1), counted(1)]);
        let once = || master(Some("1"), Some("1"), &["4"]);
        assert_eq!(account.audit(&[once(), once()]).doubled, 2);
        let twice = master(Some("1"), Some("2"), &["4", "4"]);
        assert_eq!(account.audit(&[twice, master(None, None, &[])]).doubled, 2);
    }

    #[test]
    fn an_unanswered_command_may_be_there_or_not_and_failed_either_way() {
        for outcome in [
            Outcome::Closed,
            Outcome::TimedOut,
            error("UNCERTAIN it may have run"),
        ] {
            let account = account([outcome.clone(), outcome.clone(), outcome]);
            for there in [master(Some("1"), Some("1"), &["4"]), master(None, None, &[])] {
                let ledger = account.audit(&[there]);
                assert_eq!(ledger.failures(), 3);
                assert_eq!(
                    (ledger.lost, ledger.doubled, ledger.ghosts, ledger.wrong),
                    (0, 0, 0, 0)
                );
            }
        }
    }

    #[test]
    fn a_refused_command_that_ran_all_the_same_is_a_ghost() {
        let account = account([ok(), counted(1), error("NOUPSTREAM no master")]);
        let ledger = account.audit(&[master(Some("1"), Some("1"), &["4"])]);
        assert_eq!((ledger.ghosts, ledger.doubled), (1, 0));
        assert_eq!(ledger.failed.get("NOUPSTREAM"), Some(&1));
    }

    #[test]
    fn replies_that_cannot_be_right_are_counted() {
        let account = account([counted(1), counted(2), ok()]);
        assert_eq!(account.ledger().wrong, 3);
    }

    #[test]
    fn a_read_must_not_see_what_was_never_written() {
        let mut account = Account::new(0, 1);
        for (outcome, wrong) in [(ok(), 0), (Outcome::Reply(bulk("2")), 1)] {
            let step = account.next();
            account.record(step, &outcome, Duration::ZERO, Duration::ZERO);
            assert_eq!(account.ledger().wrong, wrong);
        }
    }

    #[test]
    fn late_is_later_than_900_milliseconds() {
        let mut account = Account::new(0, 1);
        for (millis, late) in [(900, 0), (901, 1)] {
            let step = account.next();
            account.record(
                step,
                &error("ERR no"),
                Duration::ZERO,
                Duration::from_millis(millis),
            );
            assert_eq!(account.ledger().late, late);
        }
        assert_eq!(account.ledger().slowest, Duration::from_millis(901));
    }
}
