//! What became of every message?
//!
//! Pure: what was published against what came.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::book::{Book, Entry, Fate};
use super::delays::Delays;
use super::gap::Gap;
use super::history::History;
use super::line::Line;
use super::reception::{Place, Reception};

/// Faults told one by one; the counts have them all.
const FAULTS_TOLD_MAX: usize = 20;

/// What became of a number of messages. A delivery is one message to one subscription.
#[derive(Clone, Debug, Default)]
pub struct MessageLedger {
    /// Messages whose PUBLISH was acknowledged.
    pub published: u64,
    /// Messages whose PUBLISH was not, or that there was no connection for: counts by the error's first word, `closed`,
    /// `timeout`, `moved` (the master changed meanwhile) or `connect`.
    pub failed: BTreeMap<String, u64>,
    /// Those of them that may have been published all the same.
    pub uncertain: u64,
    /// The longest time a PUBLISH took.
    pub slowest_publish: Duration,
    /// Deliveries owed for what was acknowledged.
    pub owed: u64,
    /// Deliveries that came, whatever of.
    pub delivered: u64,
    /// Acknowledged and owed, and not come. In a snapshot: passed over so far.
    pub lost: u64,
    /// Those of them that a reported gap covers.
    pub lost_in_gaps: u64,
    /// Acknowledged, and come again.
    pub doubled: u64,
    /// Acknowledged, and come after a later one of the same publisher on the same channel.
    pub reordered: u64,
    /// Missing, come again or out of order, and not acknowledged: nobody promised otherwise.
    pub excused: u64,
    /// Come, and not as published or not for whom they came to.
    pub damaged: u64,
    /// Come more than [`LATE_AFTER`](crate::demo::LATE_AFTER) after they were due to be published.
    pub late: u64,
    /// Half of the deliveries took no longer than this.
    pub p50: Duration,
    /// 99 % of the deliveries took no longer than this.
    pub p99: Duration,
    /// The longest time a delivery took.
    pub slowest: Duration,
    /// Subscribers' connections that ended before their time, and were replaced.
    pub reconnects: u64,
    /// Gaps reported on `__switchback:gap`.
    pub gaps: Vec<Gap>,
    /// The first faults.
    pub faults: Vec<Fault>,
    /// When.
    pub history: History,
}

/// A delivery that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `lost`, `lost in a gap`, `doubled` or `reordered`.
    pub kind: &'static str,
    /// Which of the subscribers.
    pub subscriber: usize,
    /// The channel or pattern it had subscribed to.
    pub subscription: String,
    /// The message's channel.
    pub channel: String,
    /// Its publisher.
    pub publisher: usize,
    /// Its number.
    pub number: u32,
    /// When its PUBLISH was sent and when answered, in microseconds since the start.
    pub published_micros: (u64, u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (began, ended) = self.published_micros;
        write!(
            f,
            "{}: number {} of publisher {} on {}, published between {:.3} s and {:.3} s, to subscriber {} of {}",
            self.kind,
            self.number,
            self.publisher,
            self.channel,
            began as f64 / 1e6,
            ended as f64 / 1e6,
            self.subscriber,
            self.subscription
        )
    }
}

impl MessageLedger {
    /// Messages that were not acknowledged.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Losses that nobody has told of.
    pub fn lost_silently(&self) -> u64 {
        self.lost - self.lost_in_gaps
    }

    /// Whether each acknowledged message came once, whole and in order. Says nothing of when.
    pub fn is_exact(&self) -> bool {
        [self.lost, self.doubled, self.reordered, self.damaged] == [0; 4]
    }

    /// Whether no app would have noticed anything.
    pub fn is_clean(&self) -> bool {
        self.is_exact() && self.failures() == 0 && self.late == 0
    }
}

/// Sums up. `is_over`: what has not come will not come.
pub(super) fn audit(
    books: &[&Book],
    receptions: &[&Reception],
    gaps: &[Gap],
    is_over: bool,
) -> MessageLedger {
    let mut ledger = MessageLedger {
        gaps: gaps.to_vec(),
        ..MessageLedger::default()
    };
    for book in books {
        ledger.add_book(book);
    }
    let mut delays = Delays::default();
    for reception in receptions {
        delays.add(&reception.delays);
        ledger.history.add(&reception.history);
        ledger.delivered += reception.delivered;
        ledger.late += reception.late;
        ledger.damaged += reception.damaged;
        ledger.reconnects += reception.reconnects;
        for (place, lines) in reception.lines() {
            for (publisher, (line, book)) in lines.iter().zip(books.iter().copied()).enumerate() {
                let audit = LineAudit {
                    reception,
                    place,
                    publisher,
                    line,
                    book,
                    is_over,
                };
                audit.add_to(&mut ledger);
            }
        }
    }
    ledger.p50 = delays.of_ten_thousand(5_000);
    ledger.p99 = delays.of_ten_thousand(9_900);
    ledger.slowest = delays.longest();
    ledger
}

/// Deliveries that are owed and may still come.
pub(super) fn outstanding(books: &[&Book], receptions: &[&Reception]) -> u64 {
    let ledger = audit(books, receptions, &[], true);
    ledger.lost
}

impl MessageLedger {
    fn add_book(&mut self, book: &Book) {
        self.published += book.published;
        self.uncertain += book.uncertain;
        for (why, count) in &book.failed {
            *self.failed.entry(why.clone()).or_default() += count;
        }
        for entry in book.entries() {
            let moment = self.history.at(entry.began_micros);
            match entry.fate {
                Fate::Pending => {}
                Fate::Published => moment.published += 1,
                Fate::Failed | Fate::Uncertain => moment.failed += 1,
            }
        }
        self.slowest_publish = self
            .slowest_publish
            .max(Duration::from_micros(book.slowest_micros));
    }
}

struct LineAudit<'a> {
    reception: &'a Reception,
    place: Place,
    publisher: usize,
    line: &'a Line,
    book: &'a Book,
    is_over: bool,
}

impl LineAudit<'_> {
    fn add_to(&self, ledger: &mut MessageLedger) {
        let Some(stream) = self.book.stream(self.place.channel) else {
            return;
        };
        ledger.owed += stream.published();
        if self.is_over {
            self.line
                .missing(stream.last())
                .for_each(|number| self.lost(number, ledger));
        } else {
            self.line
                .passed_over()
                .for_each(|number| self.lost(number, ledger));
        }
        for number in self.line.overtaken() {
            self.out_of_place("reordered", *number, ledger);
        }
        for number in self.line.repeated() {
            self.out_of_place("doubled", *number, ledger);
        }
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        self.book.stream(self.place.channel)?.entry(number)
    }

    fn lost(&self, number: u32, ledger: &mut MessageLedger) {
        let Some(entry) = self.entry(number) else { return };
        match entry.fate {
            Fate::Failed | Fate::Uncertain => ledger.excused += 1,
            Fate::Pending => ledger.excused += u64::from(self.is_over),
            Fate::Published => {
                let (name, _) = self.reception.names(self.place);
                let covers = |gap: &Gap| gap.covers(name, entry.began_micros, entry.ended_micros);
                let is_told = ledger.gaps.iter().any(covers);
                ledger.lost += 1;
                let moment = ledger.history.at(entry.began_micros);
                moment.lost += 1;
                moment.lost_silently += u64::from(!is_told);
                ledger.history.harmed(entry.began_micros);
                ledger.lost_in_gaps += u64::from(is_told);
                self.tell(if is_told { "lost in a gap" } else { "lost" }, number, ledger);
            }
        }
    }

    fn out_of_place(&self, kind: &'static str, number: u32, ledger: &mut MessageLedger) {
        let fate = self.entry(number).map(|entry| entry.fate);
        match (fate, kind) {
            (Some(Fate::Published), "doubled") => ledger.doubled += 1,
            (Some(Fate::Published), _) => ledger.reordered += 1,
            // Published, as it came, and not answered yet: the next snapshot knows.
            (Some(Fate::Pending), _) if !self.is_over => return,
            _ => {
                ledger.excused += 1;
                return;
            }
        }
        self.tell(kind, number, ledger);
    }

    fn tell(&self, kind: &'static str, number: u32, ledger: &mut MessageLedger) {
        let Some(entry) = self
            .entry(number)
            .filter(|_| ledger.faults.len() < FAULTS_TOLD_MAX)
        else {
            return;
        };
        let (subscription, channel) = self.reception.names(self.place);
        ledger.faults.push(Fault {
            kind,
            subscriber: self.place.subscriber,
            subscription: subscription.to_owned(),
            channel: channel.to_owned(),
            publisher: self.publisher,
            number,
            published_micros: (entry.began_micros, entry.ended_micros),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::MessageOptions;
    use super::super::payload::Stamp;
    use super::super::plan::Plan;
    use super::super::push::Push;
    use super::*;

    /// One publisher, one channel, one subscriber of it and of the pattern over it.
    struct Little {
        book: Book,
        reception: Reception,
        now: u64,
    }

    const NAME: &[u8] = b"messages:0:0";

    impl Little {
        fn new() -> Self {
            let options = MessageOptions {
                channels: 1,
                channels_each: 1,
                patterns: 1,
                pattern_subscribers: 1,
                ..MessageOptions::default()
            };
            let plan = Arc::new(Plan::new(&options));
            Self {
                book: Book::new(1),
                reception: Reception::new(&plan, 1, 0..1),
                now: 0,
            }
        }

        /// Publishes messages, a second each, with these fates.
        fn publish(&mut self, fates: &[Fate]) {
            for fate in fates {
                let number = self.book.begin(0, self.now);
                self.now += 1_000_000;
                let outcome = match fate {
                    Fate::Pending => continue,
                    Fate::Published => Ok(()),
                    Fate::Failed | Fate::Uncertain => Err((*fate, "ERR")),
                };
                self.book.end((0, number), outcome, self.now);
            }
        }

        fn receive(&mut self, numbers: &[u32]) {
            for number in numbers {
                let payload = payload(0, *number);
                let push = Push::Message {
                    channel: NAME,
                    payload: &payload,
                };
                assert!(!self.reception.take(0, push, self.now));
            }
        }

        fn receive_by_pattern(&mut self, numbers: &[u32]) {
            for number in numbers {
                let push = Push::PatternMessage {
                    pattern: b"messages:0:*",
                    channel: NAME,
                    payload: &payload(0, *number),
                };
                self.reception.take(0, push, self.now);
            }
        }

        fn ledger(&self, gaps: &[Gap], is_over: bool) -> MessageLedger {
            audit(&[&self.book], &[&self.reception], gaps, is_over)
        }

        /// Lost, doubled, reordered and excused in the end.
        fn counts(&self) -> [u64; 4] {
            let ledger = self.ledger(&[], true);
            [ledger.lost, ledger.doubled, ledger.reordered, ledger.excused]
        }
    }

    fn payload(channel: u16, number: u32) -> Vec<u8> {
        let mut payload = Vec::new();
        let stamp = Stamp {
            publisher: 0,
            channel,
            number,
            due_micros: 0,
        };
        stamp.write(100, &mut payload);
        payload
    }

    fn gap(channels: Option<&str>, from: u64, to: u64) -> Gap {
        Gap {
            route: "r".to_owned(),
            side: "new".to_owned(),
            channels: channels.map(|name| vec![name.to_owned()]),
            from_micros: from * 1_000_000,
            to_micros: to * 1_000_000,
        }
    }

    #[test]
    fn every_subscription_is_owed_every_acknowledged_message() {
        let mut little = Little::new();
        little.publish(&[Fate::Published; 3]);
        little.receive(&[1, 2, 3]);
        little.receive_by_pattern(&[1, 2, 3]);
        let ledger = little.ledger(&[], true);
        assert!(ledger.is_exact() && ledger.faults.is_empty(), "{ledger:?}");
        assert_eq!((ledger.published, ledger.owed, ledger.delivered), (3, 6, 6));
    }

    #[test]
    fn what_comes_by_the_channel_does_not_make_up_for_the_pattern() {
        let mut little = Little::new();
        little.publish(&[Fate::Published; 3]);
        little.receive(&[1, 2, 3]);
        little.receive_by_pattern(&[1, 3]);
        assert_eq!(little.counts(), [1, 0, 0, 0]);
        let told = little.ledger(&[], true).faults.remove(0);
        assert_eq!(
            (told.kind, told.subscription.as_str(), told.number),
            ("lost", "messages:0:*", 2)
        );
    }

    #[test]
    fn doubled_and_reordered_are_counted_and_told() {
        let mut little = Little::new();
        little.publish(&[Fate::Published; 4]);
        little.receive(&[1, 3, 2, 2, 4]);
        little.receive_by_pattern(&[1, 2, 3, 4]);
        assert_eq!(little.counts(), [0, 1, 1, 0]);
        let kinds: Vec<_> = little
            .ledger(&[], true)
            .faults
            .iter()
            .map(|one| one.kind)
            .collect();
        assert_eq!(kinds, ["reordered", "doubled"]);
    }

    #[test]
    fn nothing_is_promised_of_what_was_not_acknowledged() {
        let mut little = Little::new();
        little.publish(&[Fate::Failed, Fate::Uncertain, Fate::Uncertain, Fate::Pending]);
        little.receive(&[3, 3, 2]);
        little.receive_by_pattern(&[1, 2, 3, 4]);
        // Missing 1 and 4, 3 again, 2 late.
        assert_eq!(little.counts(), [0, 0, 0, 4]);
        let ledger = little.ledger(&[], true);
        assert_eq!((ledger.failures(), ledger.uncertain, ledger.owed), (3, 2, 0));
        assert!(!ledger.is_clean());
    }

    #[test]
    fn a_loss_is_told_by_a_gap_of_its_time_and_its_subscription() {
        let mut little = Little::new();
        little.publish(&[Fate::Published; 5]);
        little.receive(&[1, 3, 5]);
        little.receive_by_pattern(&[1, 2, 3, 4, 5]);
        let in_gaps = |gap: Gap| {
            let ledger = little.ledger(&[gap], true);
            assert_eq!(ledger.lost, 2);
            (ledger.lost_in_gaps, ledger.lost_silently())
        };
        assert_eq!(in_gaps(gap(None, 0, 10)), (2, 0));
        assert_eq!(in_gaps(gap(Some("messages:0:0"), 1, 2)), (1, 1));
        assert_eq!(in_gaps(gap(Some("messages:0:*"), 0, 10)), (0, 2));
        assert_eq!(in_gaps(gap(None, 6, 10)), (0, 2));
    }

    #[test]
    fn before_the_end_only_what_was_passed_over_counts_as_lost() {
        let mut little = Little::new();
        little.publish(&[Fate::Published, Fate::Published, Fate::Pending, Fate::Published]);
        little.receive(&[1]);
        assert_eq!(little.ledger(&[], false).lost, 0);
        little.receive(&[4]);
        assert_eq!(little.ledger(&[], false).lost, 1);
        little.receive(&[2, 3]);
        assert_eq!(little.ledger(&[], false).lost, 0);
        assert_eq!(outstanding(&[&little.book], &[&little.reception]), 3);
    }

    #[test]
    fn what_is_not_as_published_or_came_to_the_wrong_one_is_damaged() {
        let mut little = Little::new();
        little.publish(&[Fate::Published]);
        let whole = payload(0, 1);
        for push in [
            Push::Message {
                channel: NAME,
                payload: &whole[..99],
            },
            Push::Message {
                channel: b"messages:0:1",
                payload: &whole,
            },
            Push::Message {
                channel: NAME,
                payload: &payload(1, 1),
            },
            Push::PatternMessage {
                pattern: b"*",
                channel: NAME,
                payload: &whole,
            },
            Push::Other,
        ] {
            little.reception.take(0, push, 0);
        }
        assert_eq!(little.ledger(&[], true).damaged, 5);
        assert!(little.reception.take(0, Push::Confirmation, 0));
    }

    #[test]
    fn late_is_later_than_900_milliseconds() {
        let mut little = Little::new();
        little.publish(&[Fate::Published; 2]);
        for (number, micros, late) in [(1, 900_000, 0), (2, 900_001, 1)] {
            little.now = micros;
            little.receive(&[number]);
            assert_eq!(little.ledger(&[], false).late, late);
        }
        assert_eq!(little.ledger(&[], false).slowest, Duration::from_micros(900_001));
    }
}
