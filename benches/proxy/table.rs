//! How are the rounds of a contestant made one line?
//!
//! Pure: medians, each by itself. The ratio is taken round by round, so that a disturbance that lasts a round cancels.

use super::load::{Load, Measured};

/// One line of the table.
pub(crate) struct Row {
    name: &'static str,
    load: Load,
    requests_per_second: f64,
    ratio: f64,
    p99_millis: f64,
    proxy_micros: f64,
    redis_micros: f64,
}

/// The medians of `runs`; `direct` are the runs of Redis itself in the same rounds.
pub(crate) fn row(name: &'static str, load: Load, runs: &[Measured], direct: &[Measured]) -> Row {
    let of = |figure: fn(&Measured) -> f64| median(runs.iter().map(figure));
    let ratios = runs
        .iter()
        .zip(direct)
        .map(|(run, direct)| run.requests_per_second / direct.requests_per_second);
    Row {
        name,
        load,
        requests_per_second: of(|run| run.requests_per_second),
        ratio: median(ratios),
        p99_millis: of(|run| run.p99_millis),
        proxy_micros: of(|run| run.proxy_micros),
        redis_micros: of(|run| run.redis_micros),
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The columns' names. CPU is microseconds of processor time a request.
pub(crate) fn print_head() {
    println!(
        "{:<8} {:>8} {:<22} {:>10} {:>8} {:>8} {:>10} {:>10}",
        "command", "pipeline", "through", "req/s", "ratio", "p99 ms", "proxy CPU", "redis CPU"
    );
}

/// Prints one line.
pub(crate) fn print(row: &Row) {
    println!(
        "{:<8} {:>8} {:<22} {:>10.0} {:>8.2} {:>8.2} {:>10.2} {:>10.2}",
        row.load.command,
        row.load.pipeline,
        row.name,
        row.requests_per_second,
        row.ratio,
        row.p99_millis,
        row.proxy_micros,
        row.redis_micros
    );
}
