//! What must hold after every step, whatever happens?
//!
//! Pure: compares what the control plane has done with what the world has given it. It asks no question that the deciding code
//! answers itself, where the world knows better.

use std::sync::Arc;
use std::time::Duration;

use super::process::Process;
use super::schedule::Order;
use crate::cluster::{Side, Topology};
use crate::control_plane::admin::Reply;
use crate::control_plane::guard::{Action, RuleVerdict, Verdict};
use crate::control_plane::record::Record;
use crate::control_plane::route::RouteControl;
use crate::control_plane::shift::{Plan, RampOrder, Standing};
use crate::routing::{Epoch, Snapshot, Weight};

/// What the world knows at a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Unit: milliseconds, as are the next two.
    pub(super) now: u64,
    /// Since when the process has run without a stall.
    pub(super) runs_since: u64,
    /// How long both sides must have been well before a ramp's step.
    pub(super) hold: u64,
    /// By side: the topology's master has answered so lately that it is evidence.
    pub(super) is_fresh: [bool; 2],
    /// The window is open, by the wall clock.
    pub(super) is_open: bool,
    /// A look that refuses nothing has come back lately, and the nodes are the same since.
    pub(super) is_looked_at: bool,
    /// Something has been wrong with `new` in this stretch.
    pub(super) has_cause: bool,
    /// An operator's `ARM` is what has just been handled.
    pub(super) is_arming: bool,
}

/// One stretch's witness.
#[derive(Default)]
pub(super) struct Witness {
    /// What was in force at the last step of this process.
    last: Option<Arc<Snapshot>>,
    /// What was under way then.
    plan: Option<Plan>,
    was_tripped: bool,
    was_shifting: bool,
    /// A raise under way may be one that was forced.
    is_forced: bool,
    /// When something stood in the way of a raise last. Unit: milliseconds.
    obstacle_at: Option<u64>,
    /// The last order that was acknowledged and the epoch by which it was in force.
    acknowledged: Option<(Order, Epoch)>,
    /// The highest epoch that was acknowledged.
    highest: Epoch,
    /// What a process was when it ended in order, with everything on disk.
    handed_over: Option<(Epoch, Standing)>,
    /// How many times the weight has risen, and how many trips there were: a simulation in which nothing happens proves nothing.
    pub(super) rises: u64,
    pub(super) trips: u64,
}

impl Witness {
    /// A process has started, with what was on disk.
    pub(super) fn started(&mut self, process: &Process, left: Option<&Record>) -> Result<(), String> {
        let route = process.route();
        let snapshot = route.publisher().current();
        (self.last, self.plan) = (None, None);
        (self.is_forced, self.obstacle_at) = (false, None);
        self.was_tripped = route.controller.latch().is_some();
        self.was_shifting = false;
        if snapshot.epoch < self.highest {
            return Err(format!(
                "it starts at epoch {}, and {} was acknowledged",
                snapshot.epoch.0, self.highest.0
            ));
        }
        if let Some((epoch, before)) = self.handed_over.take() {
            let standing = route.controller.standing();
            let plan = |standing: &Standing| standing.plan.map(|plan| std::mem::discriminant(&plan));
            let is_same = (standing.weight, standing.latch.is_some(), plan(&standing))
                == (before.weight, before.latch.is_some(), plan(&before));
            if !is_same || snapshot.epoch < epoch {
                return Err(format!(
                    "{before:?} of epoch {} is handed over, and taken up as {standing:?} of epoch {}",
                    epoch.0, snapshot.epoch.0
                ));
            }
        }
        let Some(left) = left else { return Ok(()) };
        let is_same = without_heirs(&route.topology) == without_heirs(&left.topology);
        let expected = if is_same { left.epoch } else { left.epoch.next() };
        if snapshot.epoch != expected {
            let (is, was) = (snapshot.epoch.0, left.epoch.0);
            return Err(format!(
                "it starts at epoch {is} after {was}; the same nodes: {is_same}"
            ));
        }
        let standing = route.controller.standing();
        if left.standing.latch.is_some() && (!self.was_tripped || snapshot.weight > Weight::ZERO) {
            return Err(format!("it was latched and starts at {standing:?}"));
        }
        if left.standing.latch.is_none() && standing.weight != left.standing.weight {
            return Err(format!(
                "it was left at {} and starts at {standing:?}",
                left.standing.weight
            ));
        }
        match &self.acknowledged {
            Some((order, epoch)) if *epoch == left.epoch => holds(order, &standing),
            _ => Ok(()),
        }
    }

    /// A process has ended in order, and all that it was is on disk.
    pub(super) fn ended(&mut self, route: &RouteControl) {
        self.handed_over = Some((route.epoch(), route.controller.standing()));
    }

    /// Something is about to be handled that an operator has said.
    pub(super) fn ordered(&mut self, order: &Order) {
        self.decided();
        if let Order::Weight { force: true, .. } = order {
            self.is_forced = true;
        }
    }

    /// What is under way may be another from now on: by an order, or by one that has waited for a look.
    pub(super) fn decided(&mut self) {
        self.plan = None;
    }

    /// Something was handled.
    pub(super) fn check(&mut self, route: &RouteControl, seen: Seen) -> Result<(), String> {
        let snapshot = route.publisher().current();
        let is_tripped = route.controller.latch().is_some();
        if snapshot.weight != route.controller.weight() {
            let decided = route.controller.weight();
            return Err(format!(
                "{} is in force, and {decided} is decided",
                snapshot.weight
            ));
        }
        if is_tripped && snapshot.weight > Weight::ZERO {
            return Err(format!("latched at {}", snapshot.weight));
        }
        if self.was_tripped && !is_tripped && !seen.is_arming {
            return Err("the latch is off, and nobody has armed the route".to_owned());
        }
        if let Some(last) = &self.last {
            compare(last, &snapshot)?;
            if snapshot.weight > last.weight {
                self.rises += 1;
                let from = last.weight;
                may_rise(route, seen, from, self.is_forced)
                    .and_then(|()| self.has_held(route, seen))
                    .map_err(|why| format!("the weight rises from {from} to {}: {why}", snapshot.weight))?;
            }
        }
        if !seen.is_open || in_the_way(route, false).is_some() {
            self.obstacle_at = Some(seen.now);
        }
        if is_tripped && !self.was_tripped {
            self.trips += 1;
            let latch = route.controller.latch();
            if !seen.has_cause && latch.is_some_and(|latch| latch.cause != "operator") {
                return Err(format!("a trip, and new was well all the time: {latch:?}"));
            }
        }
        let plan = route.controller.standing().plan;
        catches_up(self.plan, plan)?;
        self.plan = plan;
        self.was_tripped = is_tripped;
        self.was_shifting = route.controller.state_name() == "shifting";
        self.last = Some(snapshot);
        if route.pending.is_none() && route.controller.state_name() != "shifting" {
            self.is_forced = false;
        }
        Ok(())
    }

    /// A ramp's step has a hold before it in which nothing stood in its way.
    fn has_held(&self, route: &RouteControl, seen: Seen) -> Result<(), String> {
        // A ramp that has taken a shift's place since the last look has not raised yet; the shift has.
        if route.controller.state_name() != "ramping" || self.was_shifting {
            return Ok(());
        }
        let since = self.obstacle_at.unwrap_or(0).max(seen.runs_since);
        match seen.now - since >= seen.hold {
            true => Ok(()),
            false => Err(format!(
                "its hold of {} ms began at {since} ms at the earliest",
                seen.hold
            )),
        }
    }

    /// An order has been handled: what must follow at once.
    pub(super) fn obeyed(&self, order: &Order, before: Weight, route: &RouteControl) -> Result<(), String> {
        let standing = route.controller.standing();
        match order {
            // The look that is taken first may have lowered it further.
            Order::Weight { to, over: None, .. } if *to < before && standing.weight > *to => {
                Err(format!("{order:?} at {before}, and it is at {standing:?}"))
            }
            Order::Back if standing.latch.is_none() || standing.weight > Weight::ZERO => {
                Err(format!("BACK, and it is at {standing:?}"))
            }
            _ => Ok(()),
        }
    }

    /// An order has been answered. `decided`: the epoch with which it was in force.
    pub(super) fn answered(
        &mut self,
        order: &Order,
        reply: &Reply,
        decided: Option<Epoch>,
        process: &Process,
        on_disk: Option<&Record>,
    ) -> Result<(), String> {
        let route = process.route();
        match (order, reply) {
            (Order::Look, _) => return Ok(()),
            (Order::Reload(_), Reply::Ok | Reply::Error(_)) => return Ok(()),
            (Order::Back, Reply::Error(why)) if !is_unconfirmed(why) => {
                return Err(format!("BACK is refused: {why}"));
            }
            (_, Reply::Error(_)) => return Ok(()),
            (_, Reply::Ok) => {}
            (_, other) => return Err(format!("{order:?} is answered by {other:?}")),
        }
        let Some(decided) = decided else {
            return Err(format!("{order:?} is acknowledged, and nothing has been decided"));
        };
        let routed_by = process.routed_by_all();
        if routed_by < decided {
            return Err(format!(
                "{order:?} of epoch {} is acknowledged, and a worker routes by {}",
                decided.0, routed_by.0
            ));
        }
        let saved = on_disk.map_or(Epoch(0), |record| record.epoch);
        if saved < decided {
            return Err(format!(
                "{order:?} of epoch {} is acknowledged, and epoch {} is on disk",
                decided.0, saved.0
            ));
        }
        self.highest = self.highest.max(decided);
        if route.epoch() == decided {
            holds(order, &route.controller.standing())?;
        }
        if self
            .acknowledged
            .as_ref()
            .is_none_or(|(_, before)| *before <= decided)
        {
            self.acknowledged = Some((order.clone(), decided));
        }
        Ok(())
    }

    /// The disk has refused the last state: a raise is taken back.
    pub(super) fn not_saved(route: &RouteControl, on_disk: Option<&Record>) -> Result<(), String> {
        let saved = on_disk.map_or(Weight::ZERO, |record| record.standing.weight);
        let weight = route.controller.weight();
        match weight <= saved {
            true => Ok(()),
            false => Err(format!(
                "{weight} is in force, {saved} is on disk, and nothing can be written there"
            )),
        }
    }

    /// Whether a lower weight that was asked for is refused.
    pub(super) fn refused(order: &Order, before: Weight, reply: &Reply) -> Result<(), String> {
        match (order, reply) {
            // Back at 0, it would be a raise.
            (Order::Weight { to, .. }, Reply::Error(why))
                if *to > Weight::ZERO && why.starts_with("TRIPPED") =>
            {
                Ok(())
            }
            (Order::Weight { to, .. }, Reply::Error(why)) if *to <= before && !is_unconfirmed(why) => {
                Err(format!("{order:?} at {before} is refused: {why}"))
            }
            _ => Ok(()),
        }
    }
}

/// In force, and not confirmed by the disk or a worker within the time.
fn is_unconfirmed(why: &str) -> bool {
    why.contains("could not be saved") || why.contains("not every worker")
}

/// Epochs grow by what is published, and only then.
fn compare(last: &Arc<Snapshot>, now: &Arc<Snapshot>) -> Result<(), String> {
    // A look, a change and new being abandoned, each by itself.
    const PUBLISHED_AT_ONCE_MAX: u64 = 3;
    let (before, after) = (last.epoch.0, now.epoch.0);
    if after < before || after > before + PUBLISHED_AT_ONCE_MAX {
        return Err(format!("epoch {after} follows {before}"));
    }
    if after == before && last != now {
        return Err(format!("epoch {after} is of two snapshots: {last:?} and {now:?}"));
    }
    Ok(())
}

/// A shift does not make up for the time in which nobody watched.
fn catches_up(before: Option<Plan>, after: Option<Plan>) -> Result<(), String> {
    // A second counts, however long nobody looked.
    const COUNTS_MAX: Duration = Duration::from_secs(1);
    let (Some(Plan::Shift { to, left: had }), Some(Plan::Shift { to: same, left: has })) = (before, after)
    else {
        return Ok(());
    };
    match to == same && had.saturating_sub(has) > COUNTS_MAX {
        true => Err(format!("a shift had {had:?} left, and at the next look {has:?}")),
        false => Ok(()),
    }
}

fn may_rise(route: &RouteControl, seen: Seen, from: Weight, is_forced: bool) -> Result<(), String> {
    if let Some(verdict) = in_the_way(route, is_forced) {
        return Err(verdict.to_string());
    }
    if route.verdicts.is_empty() {
        return Err("no verdict".to_owned());
    }
    if is_forced {
        return Ok(());
    }
    for side in Side::BOTH {
        if !seen.is_fresh[side.index()] {
            return Err(format!("{side}'s master has not answered lately"));
        }
    }
    if !seen.is_open {
        return Err("the window is shut".to_owned());
    }
    if from == Weight::ZERO && !seen.is_looked_at {
        return Err("it leaves 0, and nobody has looked at both sides".to_owned());
    }
    Ok(())
}

/// What stands in the way of a raise, by the verdicts; of one that is forced, only what would trip at once.
fn in_the_way(route: &RouteControl, is_forced: bool) -> Option<&RuleVerdict> {
    route.verdicts.iter().find(|verdict| {
        let freezes = verdict.verdict != Verdict::Ok && verdict.action >= Action::Freeze;
        let trips = verdict.verdict == Verdict::Bad && verdict.action == Action::Trip;
        freezes && (!is_forced || trips)
    })
}

/// Whether what was ordered is so.
fn holds(order: &Order, standing: &Standing) -> Result<(), String> {
    let is_so = match order {
        Order::Weight { to, over: None, .. } => standing.weight == *to && standing.plan.is_none(),
        Order::Weight {
            to, over: Some(_), ..
        } => match standing.plan {
            Some(Plan::Shift { to: target, .. }) => target == *to,
            Some(Plan::Ramp { .. }) => false,
            None => standing.weight == *to,
        },
        Order::Ramp(RampOrder::Start) => matches!(
            standing.plan,
            Some(Plan::Ramp {
                paused_by_operator: false
            })
        ),
        Order::Ramp(RampOrder::Pause) => matches!(
            standing.plan,
            Some(Plan::Ramp {
                paused_by_operator: true
            })
        ),
        Order::Ramp(RampOrder::Resume) => matches!(
            standing.plan,
            Some(Plan::Ramp {
                paused_by_operator: false
            })
        ),
        Order::Ramp(RampOrder::Abort) => standing.plan.is_none(),
        Order::Back => standing.latch.is_some() && standing.weight == Weight::ZERO,
        Order::Arm => standing.latch.is_none(),
        Order::Reload(_) | Order::Look => true,
    };
    match is_so {
        true => Ok(()),
        false => Err(format!("{order:?} was acknowledged, and it is at {standing:?}")),
    }
}

fn without_heirs(topology: &[Topology; 2]) -> [Topology; 2] {
    topology.each_ref().map(|topology| Topology {
        heir: None,
        ..topology.clone()
    })
}
