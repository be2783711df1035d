//! Was the promise kept?
//!
//! Pure: what was measured, and what of it the proxy had promised.

use super::ledger::Ledger;
use super::messages::MessageLedger;

/// Longest time from broken replication to the trip. The incident's operators took minutes; the guard's slowest
/// rule that fits a resync loop needs its evidence twice.
const DETECTION_MILLIS_MAX: i64 = 5_000;

/// What the demo found out.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// From broken replication to the trip; `None` when no such event was found.
    pub(super) detection_millis: Option<i64>,
    /// The trip's reason: rule, node, measure, limit.
    pub(super) reason: String,
    /// From the guard's first evidence to the last command sent to new, as the proxy measured it.
    pub(super) route_back_millis: Option<i64>,
    /// From broken replication to the last command that reached new's master, as that counted it.
    pub(super) last_on_new_millis: Option<i64>,
    /// Commands of the load that reached new after the route back was over.
    pub(super) stray_commands: u64,
    /// Full resyncs new's master served while it was broken.
    pub(super) resyncs: u64,
    /// What became of the load.
    pub(super) ledger: Ledger,
    /// What became of the messages.
    pub(super) messages: MessageLedger,
}

impl Measured {
    /// What was promised and not kept, one line each; none is good.
    pub(super) fn broken_promises(&self) -> Vec<String> {
        let (ledger, messages) = (&self.ledger, &self.messages);
        let counts = [
            (self.stray_commands, "commands reached new after the route back"),
            (ledger.failures(), "commands failed"),
            (ledger.late, "commands were late"),
            (ledger.lost, "acknowledged writes were lost"),
            (ledger.doubled, "writes were executed twice"),
            (ledger.wrong + ledger.ghosts, "replies were wrong"),
            (messages.failures(), "messages could not be published"),
            (messages.late, "messages came late"),
            (messages.lost, "messages were lost"),
            (messages.doubled, "messages came twice"),
            (messages.reordered, "messages came out of order"),
            (messages.damaged, "messages were not what was published"),
            (messages.reconnects, "subscribers lost their connection"),
        ];
        let counted = counts.iter().filter(|(count, _)| *count > 0);
        let mut broken: Vec<String> = counted.map(|(count, what)| format!("{count} {what}")).collect();
        if self
            .detection_millis
            .is_none_or(|millis| millis > DETECTION_MILLIS_MAX)
        {
            broken.push(format!("the trip did not come within {DETECTION_MILLIS_MAX} ms"));
        }
        if self.route_back_millis.is_none() {
            broken.push("the proxy does not say how long the route back took".to_owned());
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Measured {
        Measured {
            detection_millis: Some(600),
            reason: "rule=resync_loop".to_owned(),
            route_back_millis: Some(3),
            last_on_new_millis: Some(602),
            stray_commands: 0,
            resyncs: 40,
            ledger: Ledger::default(),
            messages: MessageLedger::default(),
        }
    }

    #[test]
    fn a_kept_promise_leaves_nothing_to_say() {
        assert_eq!(kept().broken_promises(), Vec::<String>::new());
    }

    #[test]
    fn every_fault_of_the_load_and_of_the_messages_breaks_it() {
        let faults: [fn(&mut Measured); 14] = [
            |measured| measured.stray_commands = 1,
            |measured| measured.ledger.fail("closed"),
            |measured| measured.ledger.late = 1,
            |measured| measured.ledger.lost = 1,
            |measured| measured.ledger.doubled = 1,
            |measured| measured.ledger.wrong = 1,
            |measured| measured.ledger.ghosts = 1,
            |measured| measured.messages.failed.extend([("closed".to_owned(), 1)]),
            |measured| measured.messages.late = 1,
            |measured| measured.messages.lost = 1,
            |measured| measured.messages.doubled = 1,
            |measured| measured.messages.reordered = 1,
            |measured| measured.messages.damaged = 1,
            |measured| measured.messages.reconnects = 1,
        ];
        for (number, fault) in faults.iter().enumerate() {
            let mut measured = kept();
            fault(&mut measured);
            assert_eq!(measured.broken_promises().len(), 1, "fault {number}");
        }
    }

    #[test]
    fn a_trip_that_is_late_or_missing_breaks_it() {
        for (millis, broken) in [(Some(5_000), 0), (Some(5_001), 1), (None, 1)] {
            let measured = Measured {
                detection_millis: millis,
                ..kept()
            };
            assert_eq!(measured.broken_promises().len(), broken);
        }
    }
}
