//! How is a schedule played?
//!
//! Shell: a thread a lane. What is planned for a moment at which the lane still does something else comes as soon as it can.

use std::fmt;
use std::mem::discriminant;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use switchback::limits::{GAP_TOLD_EVERY, SUBSCRIBER_CHECK, SUBSCRIBER_SILENT_CHECKS};

use crate::fault::{Fault, ProxyFault};
use crate::operator::Operator;
use crate::proxy::Proxy;
use crate::schedule::{Schedule, Timed};
use crate::side::SidePlay;
use crate::stage::{SideStage, Stage};
use crate::windows::Windows;

/// How long a client whose connection the proxy has closed may take to be back with all its subscriptions.
const CLIENTS_BACK: Duration = Duration::from_secs(4);
/// How long a process that was taken over may keep its clients.
const DRAINED: Duration = Duration::from_secs(12);

/// What has happened.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) record: Record,
    /// When replication may have lost what a master had acknowledged.
    pub(crate) may_lose: Windows,
    /// When clients were without a connection through the proxy's own doing, and knew it; or with a proxy that has told them of
    /// gaps by a clock that was wrong.
    pub(crate) unheard: Windows,
    pub(crate) wrong: Vec<String>,
    /// When the last fault of a node ended; then it took both sides until they had settled.
    pub(crate) last_end: Duration,
}

/// What was done, as it was done.
#[derive(Default)]
pub(crate) struct Record(Mutex<Vec<(Duration, String)>>);

impl Record {
    fn note(&self, at: Duration, what: String) {
        self.0.lock().unwrap().push((at, what));
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.0.lock().unwrap().clone();
        lines.sort();
        for (at, what) in lines {
            writeln!(f, "  {:6.2} s: {what}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

/// Plays it to its end, and until Redis and Sentinel have mended what is theirs to mend.
pub(crate) fn play(schedule: &Schedule, stage: &mut Stage, began: Instant) -> Played {
    let record = Record::default();
    let masters = stage.sides.each_ref().map(|side| side.group.servers()[0].addr());
    let socket = stage.proxy.running.socket();
    let [old, new] = &mut stage.sides;
    let proxy = &mut stage.proxy;
    let mut played = Played::default();
    std::thread::scope(|scope| {
        let record = &record;
        let [old_master, new_master] = masters;
        let sides = [(old, new_master), (new, old_master)]
            .map(|(side, stranger)| scope.spawn(move || play_side(schedule, side, stranger, began, record)));
        let unheard = scope.spawn(move || play_proxy(schedule, proxy, began, record));
        let operator = scope.spawn(move || play_operator(schedule, &socket, began, record));
        for side in sides {
            let side = side.join().unwrap();
            played.may_lose.extend(side.may_lose);
            played.wrong.extend(side.wrong);
            played.last_end = played.last_end.max(side.ended);
        }
        played.unheard = unheard.join().unwrap();
        played.wrong.extend(operator.join().unwrap());
    });
    played.wrong.append(&mut stage.proxy.wrong);
    played.record = record;
    played
}

fn play_side(
    schedule: &Schedule,
    stage: &mut SideStage,
    stranger: switchback::cluster::NodeAddr,
    began: Instant,
    record: &Record,
) -> SidePlayed {
    let own = stage.side;
    let is_own =
        |fault: Fault| matches!(fault, Fault::Node(side, _) | Fault::Sentinel(side, _) if side == own);
    let mut side = SidePlay::new(stage, stranger, began);
    Lane { began, record }.play(schedule.lane(is_own), |step, fault| match step {
        Step::Begin => side.begin(fault),
        Step::End => {
            side.end(fault);
            String::new()
        }
    });
    let ended = began.elapsed();
    let (told, wrong) = match side.settle() {
        Ok(told) => (told, None),
        Err(why) => (why.clone(), Some(why)),
    };
    record.note(began.elapsed(), told);
    SidePlayed {
        may_lose: side.may_lose,
        ended,
        wrong: side.wrong.or(wrong),
    }
}

/// What has happened on one side.
struct SidePlayed {
    may_lose: Windows,
    ended: Duration,
    wrong: Option<String>,
}

fn play_proxy(schedule: &Schedule, proxy: &mut Proxy, began: Instant, record: &Record) -> Windows {
    let mut unheard = Windows::default();
    let mut since = began.elapsed();
    let faults = schedule.lane(|fault| matches!(fault, Fault::Proxy(_)));
    Lane { began, record }.play(faults, |step, fault| {
        let Fault::Proxy(of_proxy) = fault else {
            return String::new();
        };
        match step {
            Step::Begin => {
                since = began.elapsed();
                proxy.begin(of_proxy);
            }
            Step::End => proxy.end(of_proxy),
        }
        if fault.keeps_gaps_from_clients() {
            let drained = match of_proxy {
                ProxyFault::Upgraded => DRAINED,
                _ => Duration::ZERO,
            };
            // Who is killed tells nobody what it was about to tell.
            let pending = match of_proxy {
                ProxyFault::Killed => GAP_TOLD_EVERY + SUBSCRIBER_CHECK * SUBSCRIBER_SILENT_CHECKS,
                _ => Duration::ZERO,
            };
            let from = since.saturating_sub(pending);
            unheard.add(from, began.elapsed() + drained + CLIENTS_BACK);
        }
        String::new()
    });
    unheard
}

fn play_operator(schedule: &Schedule, socket: &Path, began: Instant, record: &Record) -> Vec<String> {
    let mut operator = Operator::default();
    operator.may_forget = schedule.has(|fault| fault == Fault::Proxy(ProxyFault::DiskFull));
    let orders = schedule.lane(|fault| matches!(fault, Fault::Operator(_)));
    Lane { began, record }.play(orders, |step, fault| match (step, fault) {
        (Step::Begin, Fault::Operator(order)) => operator.give(socket, order),
        _ => String::new(),
    });
    operator.wrong
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Begin,
    End,
}

struct Lane<'a> {
    began: Instant,
    record: &'a Record,
}

impl Lane<'_> {
    /// Has every fault begun and ended; of one kind, one at a time.
    fn play(&self, faults: Vec<Timed>, mut act: impl FnMut(Step, Fault) -> String) {
        let mut act = |step, fault: Fault| {
            let told = act(step, fault);
            let is_told = step == Step::Begin || !told.is_empty();
            let ended = if step == Step::End { " ended" } else { "" };
            let lasting = !matches!(fault, Fault::Operator(_));
            if is_told || lasting {
                self.record
                    .note(self.began.elapsed(), format!("{fault:?}{ended} {told}"));
            }
        };
        let mut open: Vec<(Duration, Fault)> = Vec::new();
        for one in faults {
            open.sort_by_key(|(end, _)| *end);
            let is_due = |(end, fault): &(Duration, Fault)| {
                *end <= one.at || discriminant(fault) == discriminant(&one.fault)
            };
            let (due, later): (Vec<_>, Vec<_>) = open.into_iter().partition(is_due);
            open = later;
            for (end, fault) in due {
                self.wait_until(end);
                act(Step::End, fault);
            }
            self.wait_until(one.at);
            act(Step::Begin, one.fault);
            open.push((self.began.elapsed() + one.lasts, one.fault));
        }
        open.sort_by_key(|(end, _)| *end);
        for (end, fault) in open {
            self.wait_until(end);
            act(Step::End, fault);
        }
    }

    /// The time of it is what was asked for: there is no condition to wait for.
    fn wait_until(&self, at: Duration) {
        std::thread::sleep(at.saturating_sub(self.began.elapsed()));
    }
}
