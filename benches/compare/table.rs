//! How are the rounds of a contestant made one line, and does it differ from ours?
//!
//! Pure: medians, each by itself. Ratios are taken round by round, so that a disturbance that lasts a round cancels, and
//! they carry over between machines when plain figures do not.

use std::fmt::Write;

use super::load::Measured;
use super::spread::Spread;

/// The columns' names.
pub(crate) fn head() -> String {
    format!(
        "{:<24} {:>10} {:>6} {:>11} {:>8} {:>9} {:>15} {:>9}  {}",
        "through",
        "ops/s",
        "ratio",
        "(of rounds)",
        "p99 ms",
        "proxy us",
        "(of rounds)",
        "redis us",
        "next to ours"
    )
}

/// One line: `runs` of a contestant, beside those of Redis itself and of ours in the same rounds.
pub(crate) fn line(name: &str, runs: &[Measured], direct: &[Measured], ours: Option<&[Measured]>) -> String {
    let median = |figure: fn(&Measured) -> f64| Spread::of(runs.iter().map(figure)).median;
    let ratio = Spread::of(ratios(runs, direct, |run| run.per_second));
    let cpu = Spread::of(runs.iter().map(|run| run.proxy_micros));
    let mut line = format!(
        "{name:<24} {:>10.0} {:>6.2} {:>11} {:>8} {:>9.2} {:>15} {:>9.2}",
        median(|run| run.per_second),
        ratio.median,
        format!("{:.2}-{:.2}", ratio.least, ratio.most),
        known(median(|run| run.p99_millis)),
        cpu.median,
        format!("{:.2}-{:.2}", cpu.least, cpu.most),
        median(|run| run.redis_micros),
    );
    if let Some(ours) = ours {
        let figures = [
            ("ops", Spread::of(ratios(runs, ours, |run| run.per_second))),
            ("p99", Spread::of(ratios(runs, ours, |run| run.p99_millis))),
            ("cpu", Spread::of(ratios(runs, ours, |run| run.proxy_micros))),
        ];
        for (what, spread) in figures {
            if spread.median.is_finite() && spread.median > 0.0 {
                let _ = write!(line, "  {what} x{:.2}{}", spread.median, doubt(&spread));
            }
        }
    }
    line.trim_end().to_owned()
}

/// Round by round.
fn ratios(runs: &[Measured], others: &[Measured], figure: fn(&Measured) -> f64) -> impl Iterator<Item = f64> {
    let pairs = runs.iter().zip(others);
    pairs.map(move |(run, other)| figure(run) / figure(other))
}

/// A figure that some works do not have.
fn known(figure: f64) -> String {
    match figure.is_nan() {
        true => "-".to_owned(),
        false => format!("{figure:.2}"),
    }
}

/// A difference that not every round shows is within the noise.
fn doubt(ratio: &Spread) -> &'static str {
    match ratio.least <= 1.0 && ratio.most >= 1.0 {
        true => "~",
        false => "",
    }
}
