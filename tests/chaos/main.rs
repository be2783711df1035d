//! Does everything that was promised hold, whatever is done to nodes, Sentinels, links and the proxy itself, while
//! operators go on and apps do?
//!
//! A schedule of faults is made of a seed and played on two real groups and the real program, under load of which every
//! command and every message is accounted for. CHAOS_SECONDS (60): for how long new schedules are begun. CHAOS_FROM (1):
//! the first seed. CHAOS_SEED: one schedule only.

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod apps;
#[path = "../sentinel/fake.rs"]
#[allow(
    dead_code,
    reason = "made for the Sentinels' tests, of which this needs a part"
)]
mod fake;
mod fault;
mod liar;
mod load;
mod names;
mod operator;
mod play;
mod proxy;
mod queues;
mod recovery;
mod rest;
#[path = "../support/running.rs"]
#[allow(dead_code, reason = "made for the proxy's tests, of which this needs a part")]
mod running;
mod sabotage;
mod schedule;
mod side;
mod stage;
mod transactions;
mod windows;

use std::time::{Duration, Instant};

use load::AllLoad;
use play::Played;
use rest::Rest;
use schedule::Schedule;
use stage::Stage;

/// From when both groups are whole again until every slot is served. Half a second where the machine is idle, eight were seen
/// where it was not.
const RECOVERED_WITHIN: Duration = Duration::from_secs(20);
const BUDGET_SECONDS: u64 = 60;
const WRONG_TOLD_MAX: usize = 40;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

#[test]
fn what_was_promised_holds_whatever_is_done_to_nodes_links_and_the_proxy() {
    if !stage::own_mounts() {
        println!("no disk of its own for the state here");
    }
    if let Some(seed) = number("CHAOS_SEED") {
        return run(seed);
    }
    let budget = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(BUDGET_SECONDS));
    let began = Instant::now();
    for seed in number("CHAOS_FROM").unwrap_or(1).. {
        let before = began.elapsed();
        run(seed);
        // The next one must fit as well.
        let one = began.elapsed() - before;
        if began.elapsed() + one > budget {
            break;
        }
    }
}

/// Plays the schedule of a seed, and panics with all that is known where something was not as promised.
fn run(seed: u64) {
    let mut stage = Stage::set();
    let schedule = Schedule::of(seed, stage.means());
    // Shown where a lane cannot go on, too.
    println!("{schedule}");
    let (played, summary, mut wrong) = judge(&schedule, &mut stage, |_| ());
    println!(
        "{}\nseed {seed}: {} faults; {summary}",
        played.record,
        schedule.faults.len()
    );
    if wrong.is_empty() {
        return;
    }
    wrong.truncate(WRONG_TOLD_MAX);
    panic!(
        "{schedule}\nwhat was done:\n{}\nwhen replication may have lost something: {}\nwhen clients may not have been told of gaps: {}\n{}\n\
         WRONG with seed {seed} (again: CHAOS_SEED={seed} cargo nextest run --test chaos what_was_promised):\n{}\n",
        played.record,
        played.may_lose,
        played.unheard,
        stage.logs(),
        wrong.join("\n"),
    );
}

/// What was done, in short how it went, and what was wrong. `meddle`: once the schedule is over, before the load is.
fn judge(schedule: &Schedule, stage: &mut Stage, meddle: impl Fn(&Stage)) -> (Played, String, Vec<String>) {
    let began = Instant::now();
    let load = AllLoad::start(&stage.proxy.running.listen, began);
    let mut played = play::play(schedule, stage, began);
    let mut wrong = std::mem::take(&mut played.wrong);
    let settled = began.elapsed();
    let recovered = recovery::wait(&stage.proxy.running.listen, RECOVERED_WITHIN);
    meddle(stage);
    let (summary, violations) = load.end(stage, &played);
    wrong.extend(violations);
    let rest = Rest::wait(&stage.proxy);
    let summary = format!(
        "ended at {:.1} s, settled at {:.1} s, then recovered in {recovered:?}; {summary}; {rest:?}",
        played.last_end.as_secs_f64(),
        settled.as_secs_f64(),
    );
    wrong.extend(recovered.err());
    wrong.extend(rest.err().map(|rest| format!("not at rest: {rest:?}")));
    (played, summary, wrong)
}
