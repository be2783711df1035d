//! What is printed?
//!
//! Shell: a line for each, then sums and distributions.

use serde_json::json;
use switchback::control_plane::guard::Rule;
use switchback::demo::{MessageLedger, Stall, Stalls};

use crate::arguments::{Arguments, What};
use crate::controls::{CONTROLS, Control, Outcome, play};
use crate::replay::Replay;
use crate::scene::Setting;

/// What a host of a control sends at most: a first sync is felt, two replicas and the load are not.
const LINK_BITS: u64 = 40_000_000;

pub(crate) fn replay(replay: &Replay) {
    let parameters = &replay.parameters;
    println!(
        "seed {:3}: {} replicas, weight {}, link {} Mbit/s, messages of {} B, data {:.1} MB, buffer {:.1} MB, rise {:.0} s",
        parameters.seed,
        parameters.replicas,
        parameters.weight,
        parameters.link_bits / 1_000_000,
        parameters.message_bytes,
        parameters.dataset_bytes as f64 / 1e6,
        parameters.output_buffer_bytes as f64 / 1e6,
        parameters.rise_seconds
    );
    let harm = replay.first_harm;
    let trip = match &replay.trip {
        Some(trip) => format!(
            "trip {:+.2} s after the link was full: {}",
            trip.at_seconds - replay.full_at,
            trip.reason
        ),
        None => "no trip".to_owned(),
    };
    let lead = match (replay.lead(), harm) {
        (Some(lead), Some(_)) => format!("{lead:+.2} s before the first harm"),
        (None, Some(harm)) => format!(
            "first harm {:+.2} s after the link was full",
            harm - replay.full_at
        ),
        (_, None) => "no harm".to_owned(),
    };
    println!("  {trip}; {lead}");
    if let Some([confirmed, last]) = replay.to_last_command {
        println!(
            "  route back: every worker's word {confirmed:.3} ms after the trip, last command on new {last:.0} ms after the evidence"
        );
    }
    let at_harm = match (harm, replay.stall_at_harm()) {
        (None, _) => String::new(),
        (Some(_), Some(one)) => format!("; at the first harm {} ms", one.took.as_millis()),
        (Some(_), None) => "; at the first harm none".to_owned(),
    };
    println!("  {}{at_harm}", of_stalls(&replay.stalls));
    println!("  {}", of_messages(&replay.messages));
    for bad in &replay.bad {
        let lead = harm.map_or("".to_owned(), |harm| {
            format!(", {:+.2} s before the first harm", harm - bad.at_seconds)
        });
        println!(
            "  bad at {:+.2} s{lead}: {}",
            bad.at_seconds - replay.full_at,
            bad.reason
        );
    }
}

pub(crate) fn replays(replays: &[Replay], only_warn: bool) {
    println!();
    if only_warn {
        return leads_by_rule(replays);
    }
    let is_early = |replay: &&Replay| replay.lead().is_some_and(|lead| lead > 0.0);
    println!(
        "trips before the first late or lost message: {} of {}",
        replays.iter().filter(is_early).count(),
        replays.len()
    );
    let trips = || replays.iter().filter_map(|one| Some((one, one.trip.as_ref()?)));
    distribution(
        "link full to trip",
        "s",
        trips().map(|(one, trip)| trip.at_seconds - one.full_at),
    );
    let harmed = replays
        .iter()
        .filter_map(Replay::lead)
        .filter(|lead| lead.is_finite());
    distribution("trip to first harm, where there was any", "s", harmed);
    let stall = |stall: Option<Stall>| stall.map(|one| one.took.as_secs_f64() * 1e3);
    distribution(
        "machine's longest stall",
        "ms",
        replays.iter().filter_map(|one| stall(one.stalls.longest())),
    );
    distribution(
        "machine's longest stall at the first harm",
        "ms",
        replays.iter().filter_map(|one| stall(one.stall_at_harm())),
    );
    let last = |index: usize| {
        replays
            .iter()
            .filter_map(move |one| Some(one.to_last_command?[index]))
    };
    distribution("trip to every worker's word", "ms", last(0));
    distribution("evidence to last command on new", "ms", last(1));
    let sum = |count: fn(&MessageLedger) -> u64| replays.iter().map(|one| count(&one.messages)).sum::<u64>();
    println!(
        "all together: failed {}, late {}, lost {} (told as gaps {}), doubled {}",
        sum(MessageLedger::failures),
        sum(|one| one.late),
        sum(|one| one.lost),
        sum(|one| one.lost_in_gaps),
        sum(|one| one.doubled)
    );
}

/// How long before the first harm each rule was bad.
fn leads_by_rule(replays: &[Replay]) {
    for rule in Rule::ALL {
        let leads = replays.iter().filter_map(|one| {
            let bad = one.bad.iter().find(|bad| bad.rule() == rule.name())?;
            Some(one.first_harm? - bad.at_seconds)
        });
        distribution(&format!("{} before the first harm", rule.name()), "s", leads);
    }
}

fn distribution(what: &str, unit: &str, figures: impl Iterator<Item = f64>) {
    let mut figures: Vec<f64> = figures.filter(|figure| figure.is_finite()).collect();
    figures.sort_by(f64::total_cmp);
    let Some(last) = figures.len().checked_sub(1) else {
        println!("{what:<42} none of them");
        return;
    };
    let at = |share: f64| figures[(share * last as f64).round() as usize];
    println!(
        "{what:<42} {} of them: least {:.3}, median {:.3}, p90 {:.3}, most {:.3} {unit}",
        figures.len(),
        at(0.0),
        at(0.5),
        at(0.9),
        at(1.0)
    );
}

/// So that what a busy machine makes late is told apart from harm.
fn of_stalls(stalls: &Stalls) -> String {
    match stalls.longest() {
        None => "the machine was never away for 20 ms".to_owned(),
        Some(one) => format!(
            "the machine was away for {} ms at most, at {:.1} s",
            one.took.as_millis(),
            one.at.as_secs_f64()
        ),
    }
}

/// UTC, so that a run that is cut off tells how long each took.
pub(crate) fn time_of_day() -> String {
    jiff::Timestamp::now().strftime("%H:%M:%S").to_string()
}

fn of_messages(messages: &MessageLedger) -> String {
    format!(
        "messages: {} published, failed {:?}, late {}, lost {} (told as gaps {}), doubled {}, out of order {}",
        messages.published,
        messages.failed,
        messages.late,
        messages.lost,
        messages.lost_in_gaps,
        messages.doubled,
        messages.reordered
    )
}

/// Plays the controls that are wanted.
pub(crate) fn controls(arguments: &Arguments, has_hosts: bool) {
    let What::Controls(named) = &arguments.what else {
        return;
    };
    let is_wanted = |(name, _): &&Control| named.is_empty() || named.iter().any(|one| one == name);
    let wanted: Vec<&Control> = CONTROLS.iter().filter(is_wanted).collect();
    let known: Vec<&str> = CONTROLS.iter().map(|(name, _)| *name).collect();
    if wanted.is_empty() {
        println!("the controls are {}", known.join(", "));
    }
    let mut trips = 0;
    for control in &wanted {
        print!("{} ", time_of_day());
        let link = has_hosts.then_some(LINK_BITS);
        let setting = Setting {
            on_hosts: has_hosts,
            link_bits: [link, link],
            // So that a first sync takes its time.
            dataset_bytes: 6_000_000,
            proxy_config: arguments.proxy_config(control.0),
            ..Setting::quiet()
        };
        let outcome = play(**control, setting);
        trips += outcome.trips().len();
        print_control(control.0, &outcome, arguments.json);
    }
    println!("\n{} controls, {trips} trips", wanted.len());
}

fn print_control(name: &str, outcome: &Outcome, json: bool) {
    println!(
        "{name:<24} trips {}, bad rules {}; {}; {}",
        outcome.trips().len(),
        outcome.bad().len(),
        of_stalls(&outcome.stalls),
        of_messages(&outcome.messages)
    );
    for event in outcome.trips().iter().chain(&outcome.bad()) {
        println!(
            "  {:6.2} s {} {}: {}",
            event.at_seconds, event.kind, event.side, event.reason
        );
    }
    if json {
        let noted = |event: &&crate::scene::Noted| json!({"at": event.at_seconds, "kind": event.kind, "side": event.side, "reason": event.reason});
        println!(
            "{}",
            json!({
                "control": name,
                "trips": outcome.trips().iter().map(noted).collect::<Vec<_>>(),
                "bad": outcome.bad().iter().map(noted).collect::<Vec<_>>(),
                "longest_stall_ms": outcome.stalls.longest().map(|one| one.took.as_secs_f64() * 1e3),
                "failed": outcome.messages.failed, "late": outcome.messages.late, "lost": outcome.messages.lost,
                "lost_in_gaps": outcome.messages.lost_in_gaps, "doubled": outcome.messages.doubled,
                "published": outcome.messages.published,
            })
        );
    }
}
