//! How early is the guard, incident by incident?
//!
//! Shell: plays them one after the other, prints each and in the end their distributions.

use std::time::Duration;

use serde_json::{Value, json};
use switchback::control_plane::guard::Rule;
use switchback::demo::{LATE_AFTER, MessageLedger, Stall, Stalls};

use crate::arguments::Arguments;
use crate::parameters::Parameters;
use crate::report;
use crate::scene::{Noted, Scene};

/// Before the load rises, so that every replica counts.
const HEALTHY: Duration = Duration::from_secs(5);
/// What is still watched after a trip: messages may be on their way.
const AFTER_TRIP: Duration = Duration::from_secs(5);
/// After the height of the load without a trip, and after the first harm.
const IN_VAIN: Duration = Duration::from_secs(20);
const AFTER_HARM: Duration = Duration::from_secs(4);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What came of one. Times are seconds since the messages began.
pub(crate) struct Replay {
    pub(crate) parameters: Parameters,
    /// When the replicas wanted all of the link.
    pub(crate) full_at: f64,
    pub(crate) trip: Option<Noted>,
    /// When a rule became bad first, on new.
    pub(crate) bad: Vec<Noted>,
    /// Milliseconds from the decision to the last worker's word that nothing goes to new, and from evidence to the last
    /// command on new.
    pub(crate) to_last_command: Option<[f64; 2]>,
    pub(crate) first_harm: Option<f64>,
    pub(crate) messages: MessageLedger,
    pub(crate) stalls: Stalls,
}

pub(crate) fn play_all(count: u64, arguments: &Arguments) {
    let mut replays = Vec::new();
    for (number, seed) in (1..=count).zip(arguments.seed..) {
        println!("replay {number} of {count}, {}", report::time_of_day());
        let replay = play(Parameters::of(seed), arguments);
        report::replay(&replay);
        if arguments.json {
            println!("{}", replay.json());
        }
        replays.push(replay);
    }
    println!("played until {}", report::time_of_day());
    report::replays(&replays, arguments.only_warn);
}

fn play(parameters: Parameters, arguments: &Arguments) -> Replay {
    let mut setting = parameters.setting();
    setting.proxy_config = arguments.proxy_config(&format!("replay-{}", parameters.seed));
    if arguments.only_warn {
        for rule in Rule::ALL {
            setting.route_config += &format!("[route.guard.{}]\naction = \"warn\"\n", rule.name());
        }
    }
    let scene = Scene::set(setting);
    scene.raise(parameters.weight);
    scene.pass(HEALTHY);
    let begin = scene.messages.elapsed();
    rise(&scene, &parameters);
    let full_at = begin.as_secs_f64() + parameters.full_at();
    let (messages, events, stalls) = scene.end();
    let since = |event: &&Noted| event.at_seconds >= begin.as_secs_f64();
    let events: Vec<Noted> = events.iter().filter(since).cloned().collect();
    let of_kind = |kind: &str| events.iter().find(|event| event.kind == kind).cloned();
    Replay {
        full_at,
        trip: of_kind("trip"),
        bad: first_bad(&events),
        to_last_command: of_kind("routed_back")
            .map(|event| ["confirmed it within ", ": "].map(|mark| number_after(&event.reason, mark))),
        first_harm: messages.history.harm().map(|(first, _)| first.as_secs_f64()),
        messages,
        stalls,
        parameters,
    }
}

/// The load rises until it has tripped or harmed.
fn rise(scene: &Scene, parameters: &Parameters) {
    let begin = scene.messages.elapsed();
    let mut until = begin + Duration::from_secs_f64(parameters.rise_seconds) + IN_VAIN;
    let (mut has_tripped, mut has_harmed) = (false, false);
    while scene.messages.elapsed() < until {
        let now = scene.messages.elapsed();
        if !has_tripped {
            scene.messages.set_rate(parameters.rate(now - begin));
            has_tripped = scene.running.status()["latched"] == true;
            until = if has_tripped { now + AFTER_TRIP } else { until };
        }
        if !has_harmed && scene.messages.snapshot().history.harm().is_some() {
            has_harmed = true;
            until = until.min(now + AFTER_HARM.max(AFTER_TRIP));
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// The first time each rule was bad on new.
fn first_bad(events: &[Noted]) -> Vec<Noted> {
    let mut first: Vec<Noted> = Vec::new();
    for event in events {
        let is_bad = event.kind == "rule_bad" && event.side == "new";
        if is_bad && !first.iter().any(|one| one.rule() == event.rule()) {
            first.push(event.clone());
        }
    }
    first
}

/// The number that stands right behind `mark` in `text`.
fn number_after(text: &str, mark: &str) -> f64 {
    let tail = text.split(mark).nth(1).unwrap_or_default();
    let number = tail.split(' ').next().and_then(|digits| digits.parse().ok());
    number.unwrap_or(f64::NAN)
}

impl Replay {
    /// By how much the trip came before the first late or lost message; infinite when there was none.
    pub(crate) fn lead(&self) -> Option<f64> {
        let trip = self.trip.as_ref()?.at_seconds;
        Some(self.first_harm.map_or(f64::INFINITY, |harm| harm - trip))
    }

    /// The machine's longest stall that the first harm can have come from.
    pub(crate) fn stall_at_harm(&self) -> Option<Stall> {
        let harm = Duration::from_secs_f64(self.first_harm?);
        let from = harm.saturating_sub(2 * LATE_AFTER);
        self.stalls.longest_within(from, harm + LATE_AFTER)
    }

    fn json(&self) -> Value {
        let millis = |stall: Stall| stall.took.as_secs_f64() * 1e3;
        let noted =
            |event: &Noted| json!({"at": event.at_seconds, "rule": event.rule(), "reason": event.reason});
        json!({
            "parameters": self.parameters,
            "full_at": self.full_at,
            "trip": self.trip.as_ref().map(noted),
            "bad": self.bad.iter().map(noted).collect::<Vec<_>>(),
            "first_harm": self.first_harm,
            "lead": self.lead().filter(|lead| lead.is_finite()),
            "confirmed_ms": self.to_last_command.map(|[confirmed, _]| confirmed),
            "evidence_to_last_command_ms": self.to_last_command.map(|[_, last]| last),
            "longest_stall_ms": self.stalls.longest().map(millis),
            "stall_at_harm_ms": self.stall_at_harm().map(millis),
            "failed": self.messages.failed, "late": self.messages.late, "lost": self.messages.lost,
            "lost_in_gaps": self.messages.lost_in_gaps, "doubled": self.messages.doubled,
            "published": self.messages.published,
        })
    }
}
