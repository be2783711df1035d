//! How is `[route.ramp]` read?
//!
//! Pure.

use std::time::Duration;

use humantime::format_duration;

use super::found::Found;
use super::keys::Keys;
use super::model::RampConfig;
use super::section::Section;
use super::text::weight;
use crate::control_plane::shift::Window;
use crate::limits::RAMP_STEPS_MAX;
use crate::routing::Weight;

/// Keys of `[route.ramp]`.
pub(super) const RAMP: Keys = Keys {
    known: &["steps", "hold", "window"],
};

const HOLD_MIN: Duration = Duration::from_secs(1);
const HOLD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// `[route.ramp]`; absent keys, and an absent table, mean the defaults.
pub(super) fn read(section: Option<&Section<'_>>) -> RampConfig {
    let ramp = RampConfig::default();
    let Some(section) = section else { return ramp };
    let read = RampConfig {
        steps: section.or("steps", ramp.steps, steps),
        hold: section.or("hold", ramp.hold, |found| found.duration(HOLD_MIN..=HOLD_MAX)),
        window: section.get("window").and_then(|found| window(&found)),
    };
    check_fit(section, &read);
    read
}

fn steps(found: &Found<'_>) -> Option<Vec<Weight>> {
    let allowed = format!("an array of 1 to {RAMP_STEPS_MAX} rising percentages, as in [1, 5, 25, 50, 100]");
    let items = found.items(&allowed)?;
    if !(1..=RAMP_STEPS_MAX).contains(&items.len()) {
        found.fault(format!("found {} steps; allowed: {allowed}", items.len()));
        return None;
    }
    let mut steps = Vec::with_capacity(items.len());
    for item in &items {
        steps.push(step(item, steps.last().copied().unwrap_or(Weight::ZERO))?);
    }
    Some(steps)
}

/// A weight above the one before it, which is 0 for the first.
fn step(found: &Found<'_>, before: Weight) -> Option<Weight> {
    let allowed = format!("a percentage above {before}, up to 100, with at most two decimals");
    found.number(&allowed, |percent| weight(percent).filter(|step| *step > before))
}

fn window(found: &Found<'_>) -> Option<Window> {
    let allowed = "two different times of day, UTC, as in \"20:00-06:00\"";
    found.parsed(allowed, |text| text.parse().ok())
}

/// A hold that is longer than the window would begin anew every day and never be over.
fn check_fit(section: &Section<'_>, ramp: &RampConfig) {
    let Some(window) = ramp.window.filter(|window| window.length() <= ramp.hold) else {
        return;
    };
    if let Some(found) = section.get("window") {
        found.fault(format!(
            "found \"{window}\", open for {}; allowed: longer than `hold`, here {}",
            format_duration(window.length()),
            format_duration(ramp.hold)
        ));
    }
}
