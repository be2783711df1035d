//! Masters that go away, under messages that go through the proxy and, beside them, through clients that know Sentinel.

use std::time::Duration;

use switchback::cluster::NodeAddr;
use switchback::demo::{MessageLedger, MessageOptions, Messages, Target};
use switchback::lab::{Group, wait_for};

use crate::running::Running;

const SOON: Duration = Duration::from_secs(60);

/// How a master goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaking {
    /// `SENTINEL FAILOVER`: everyone is alive.
    Failover,
    /// kill -9.
    Kill,
    /// SIGSTOP; it thaws when it has been replaced.
    Freeze,
}

/// The same messages, at the same time, both ways.
pub(crate) struct SideBySide {
    pub(crate) proxied: MessageLedger,
    pub(crate) direct: MessageLedger,
}

impl SideBySide {
    pub(crate) fn print(&self, what: &str) {
        println!("{what}");
        println!("  proxied: {}", line(&self.proxied));
        println!("  direct:  {}", line(&self.direct));
    }
}

/// A ledger in one line.
pub(crate) fn line(ledger: &MessageLedger) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    format!(
        "published {} failed {:?} uncertain {} | owed {} delivered {} lost {} (in told gaps {}) doubled {} reordered {} \
         damaged {} excused {} | late {} p50 {:.2} p99 {:.2} max {:.1} ms | reconnects {} gaps {} slowest publish {:.1} ms",
        ledger.published,
        ledger.failed,
        ledger.uncertain,
        ledger.owed,
        ledger.delivered,
        ledger.lost,
        ledger.lost_in_gaps,
        ledger.doubled,
        ledger.reordered,
        ledger.damaged,
        ledger.excused,
        ledger.late,
        millis(ledger.p50),
        millis(ledger.p99),
        millis(ledger.slowest),
        ledger.reconnects,
        ledger.gaps.len(),
        millis(ledger.slowest_publish),
    )
}

/// Messages through the proxy, and as many to `group` without it, while its master goes away and is replaced. Ends with the
/// group complete again.
pub(crate) fn break_master(
    breaking: Breaking,
    side: &str,
    group: &mut Group,
    running: &Running,
    options: &MessageOptions,
) -> SideBySide {
    let start = |target, prefix: &str| {
        let options = MessageOptions {
            prefix: prefix.to_owned(),
            ..options.clone()
        };
        Messages::start(&[target], &options).unwrap()
    };
    let proxied = start(Target::from(&running.listen), "proxied");
    let direct = start(Target::from(&*group), "direct");
    go_on(&proxied);
    go_on(&direct);
    let before = group.master().unwrap();
    let after = replace(breaking, group, &before);
    running.wait_until("the new master to be followed", |status| {
        status[side]["master"] == after.to_string()
    });
    go_on(&proxied);
    go_on(&direct);
    if breaking == Breaking::Freeze {
        group.thaw(&before).unwrap();
    }
    if breaking == Breaking::Kill {
        group.server_mut(&before).unwrap().restart().unwrap();
    }
    group.settle().unwrap();
    let side_by_side = SideBySide {
        proxied: proxied.stop(),
        direct: direct.stop(),
    };
    for fault in &side_by_side.proxied.faults {
        println!("  {fault}");
    }
    for gap in &side_by_side.proxied.gaps {
        let seconds = |micros: u64| micros as f64 / 1e6;
        println!(
            "  told: {} from {:.3} s to {:.3} s, {}",
            gap.side,
            seconds(gap.from_micros),
            seconds(gap.to_micros),
            gap.channels.as_ref().map_or("all".to_owned(), |names| format!(
                "{} channels and patterns",
                names.len()
            ))
        );
    }
    side_by_side
}

/// Returns the new master.
fn replace(breaking: Breaking, group: &mut Group, before: &NodeAddr) -> NodeAddr {
    match breaking {
        Breaking::Failover => return group.failover().unwrap(),
        Breaking::Kill => group.kill(before).unwrap(),
        Breaking::Freeze => group.freeze(before).unwrap(),
    }
    group.wait_for_master_other_than(before).unwrap()
}

/// Messages are published and come.
pub(crate) fn go_on(messages: &Messages) {
    let before = messages.snapshot();
    wait_for("messages to go on", SOON, || {
        let now = messages.snapshot();
        now.published > before.published + 100 && now.delivered > before.delivered + 1_000
    })
    .unwrap();
}
