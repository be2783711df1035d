//! What do all apps together do, and what of it came out wrong?
//!
//! Shell; what is wrong is decided by the ledgers.

use std::time::{Duration, Instant};

use switchback::cluster::NodeAddr;
use switchback::demo::{History, Ledger, Load, LoadOptions, MessageLedger, MessageOptions, Messages, Target};
use switchback::lab::Client;

use crate::apps::Place;
use crate::names::Names;
use crate::play::Played;
use crate::queues::{Queues, left_on};
use crate::stage::Stage;
use crate::transactions::{Transactions, pairs_on};
use crate::windows::Windows;

pub(crate) struct AllLoad {
    keys: Load,
    messages: Messages,
    names: Names,
    queues: Queues,
    transactions: Transactions,
    /// Since the play began, to when each counts its times from.
    keys_since: Duration,
    messages_since: Duration,
}

impl AllLoad {
    /// Little enough for a build that is not optimized, on two cores that others use.
    pub(crate) fn start(proxy: &NodeAddr, began: Instant) -> Self {
        let place = Place {
            address: proxy.clone(),
            began,
        };
        let keys = Load::start(
            proxy,
            &LoadOptions {
                per_second: 300,
                ..LoadOptions::default()
            },
        );
        let keys = keys.unwrap();
        let keys_since = began.elapsed() - keys.elapsed();
        let messages = Messages::start(
            &[Target::from(proxy)],
            &MessageOptions {
                subscribers: 40,
                channels: 20,
                pattern_subscribers: 5,
                per_second: 100,
                bytes: 16..=4_096,
                ..MessageOptions::default()
            },
        );
        let messages = messages.unwrap();
        let messages_since = began.elapsed() - messages.elapsed();
        Self {
            keys,
            messages,
            names: Names::start(&place),
            queues: Queues::start(&place),
            transactions: Transactions::start(&place),
            keys_since,
            messages_since,
        }
    }

    /// Ends it. In short what it was, and what was wrong.
    pub(crate) fn end(self, stage: &Stage, played: &Played) -> (String, Vec<String>) {
        let queues = self.queues.stop();
        let transactions = self.transactions.stop();
        let names = self.names.stop();
        let messages = self.messages.stop();
        let mut masters: Vec<Client> = stage
            .sides
            .iter()
            .filter_map(|side| {
                let master = side.group.agreed_master().ok()?;
                Client::connect(&master).ok()
            })
            .collect();
        if masters.len() < 2 {
            return (
                String::new(),
                vec!["there is no master to read back from".to_owned()],
            );
        }
        let keys = self.keys.stop(&mut masters).unwrap();
        let may_lose = &played.may_lose;
        let mut wrong = names.wrong.clone();
        wrong.extend(wrong_keys(&keys, self.keys_since, may_lose));
        wrong.extend(wrong_messages(&messages, self.messages_since, &played.unheard));
        wrong.extend(queues.violations(&left_on(&mut masters), may_lose));
        wrong.extend(transactions.violations(&pairs_on(&mut masters), may_lose));
        let summary = format!(
            "{} of {} commands acknowledged, {} lost, failed {:?}; {} of {} deliveries, {} lost in {} gaps, {} silently; \
             {} replies to names",
            keys.acknowledged,
            keys.sent,
            keys.lost,
            keys.failed,
            messages.delivered,
            messages.owed,
            messages.lost_in_gaps,
            messages.gaps.len(),
            messages.lost_silently(),
            names.replies,
        );
        (summary, wrong)
    }
}

fn wrong_keys(ledger: &Ledger, since: Duration, may_lose: &Windows) -> Vec<String> {
    let mut wrong = Vec::new();
    for (what, count) in [
        ("could not be right", ledger.wrong),
        ("ran twice", ledger.doubled),
        ("ran though refused", ledger.ghosts),
    ] {
        if count > 0 {
            wrong.push(format!("keys: {count} {what}: {ledger:?}"));
        }
    }
    let outside = ledger.lost_at.iter().map(|at| *at + since);
    let outside: Vec<Duration> = outside.filter(|at| !may_lose.cover(*at)).collect();
    if !outside.is_empty() {
        wrong.push(format!("keys: lost, and acknowledged at {outside:?}"));
    }
    // Of increments it is not known which are lost, only how many.
    if may_lose.is_empty() && ledger.lost > 0 {
        wrong.push(format!("keys: {} lost", ledger.lost));
    }
    wrong
}

fn wrong_messages(ledger: &MessageLedger, since: Duration, unheard: &Windows) -> Vec<String> {
    let mut wrong = Vec::new();
    for (what, count) in [
        ("came twice", ledger.doubled),
        ("came out of order", ledger.reordered),
        ("came damaged", ledger.damaged),
    ] {
        if count > 0 {
            wrong.push(format!("messages: {count} {what}: {:#?}", ledger.faults));
        }
    }
    let mut at = since;
    for moment in ledger.history.moments() {
        if moment.lost_silently > 0 && !unheard.cover(at) {
            wrong.push(format!(
                "messages: {} published at {at:?} were lost, and no gap was told",
                moment.lost_silently
            ));
        }
        at += History::MOMENT;
    }
    wrong
}
