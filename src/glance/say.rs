//! What is under way on a route, in a sentence?
//!
//! Pure.

use super::seen::Route;
use super::words::{duration, minute, percent};

/// `ramp` or `shift`, and how far it is.
pub(crate) fn under_way(route: &Route) -> Option<(&'static str, String)> {
    let end = match &route.estimated_end {
        Some(end) => format!("; ends about {}", minute(end)),
        None => String::new(),
    };
    match &route.ramp {
        Some(ramp) => {
            let next = ramp.next.map_or_else(String::new, |next| {
                let hold = duration(ramp.hold_left);
                format!(": {} next, in {hold} at the earliest", percent(next))
            });
            let text = format!("step {} of {} taken{next}{end}", ramp.step, ramp.steps);
            Some(("ramp", text))
        }
        None if route.state == "shifting" => Some(("shift", format!("to {}{end}", percent(route.target)))),
        None => None,
    }
}
