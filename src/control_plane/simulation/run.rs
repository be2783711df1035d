//! How are many schedules run, and what is told of one that fails?
//!
//! Shell: threads, the environment, and the runtime whose clock stands still.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::schedule::Schedule;
use super::world::{Failure, Summary, World};

/// Schedules of an ordinary test run.
const SCHEDULES: u64 = 2_000;
/// Seeds of an ordinary test run, from this one on: always the same, so that a change is what makes it fail.
const FIRST_SEED: u64 = 1;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs one, on this thread. A panic is a failure too.
pub(super) fn run(schedule: &Schedule) -> Result<Summary, Failure> {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
    }
    let schedule = schedule.clone();
    RUNTIME.with(|runtime| {
        let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(World::run(schedule))));
        ran.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Failure {
                at: 0,
                what: format!("a panic: {}", text.unwrap_or_default()),
            })
        })
    })
}

/// Leaves events out as long as it still fails: halves first, single ones last.
fn shrink(mut schedule: Schedule, mut failure: Failure) -> (Schedule, Failure) {
    let mut size = schedule.events.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut is_shorter = false;
        while at < schedule.events.len() {
            let shorter = schedule.without(at..(at + size).min(schedule.events.len()));
            match run(&shorter) {
                Err(another) => {
                    (schedule, failure, is_shorter) = (shorter, another, true);
                }
                Ok(_) => at += size,
            }
        }
        if size == 1 && !is_shorter {
            return (schedule, failure);
        }
        size = (size / 2).max(1);
    }
}

fn report(seed: u64, failure: Failure) -> String {
    let first = failure.what.clone();
    let (schedule, failure) = shrink(Schedule::draw(seed), failure);
    format!(
        "{first}\n\nshortened: {} (at {} ms)\n{schedule}\nagain: SIMULATION_SEED={seed} cargo nextest run --lib simulation::",
        failure.what, failure.at
    )
}

#[test]
fn no_order_of_faults_and_orders_breaks_a_promise() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let schedule = Schedule::draw(seed);
        println!("{schedule}");
        match run(&schedule) {
            Ok(summary) => println!("{summary:?}"),
            Err(failure) => panic!("{}", report(seed, failure)),
        }
        return;
    }
    let count = number("SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    let first = number("SIMULATION_FIRST").unwrap_or(FIRST_SEED);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(first);
    let failed: Mutex<Option<(u64, Failure)>> = Mutex::new(None);
    let total = Mutex::new(Summary::default());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || failed.lock().unwrap().is_some() {
                        return;
                    }
                    match run(&Schedule::draw(seed)) {
                        Ok(summary) => {
                            let mut total = total.lock().unwrap();
                            total.steps += summary.steps;
                            total.rises += summary.rises;
                            total.trips += summary.trips;
                            total.acknowledged += summary.acknowledged;
                            total.recovery = total.recovery.max(summary.recovery);
                        }
                        Err(failure) => *failed.lock().unwrap() = Some((seed, failure)),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if let Some((seed, failure)) = failed {
        panic!("seed {seed}: {}", report(seed, failure));
    }
    let total = total.into_inner().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{count} schedules in {seconds:.1} s, {:.0} a second: {total:?}",
        count as f64 / seconds
    );
    // Where nothing happens, nothing is proved.
    assert!(
        total.rises > count && total.trips * 4 > count && total.acknowledged > count,
        "{total:?}"
    );
}
