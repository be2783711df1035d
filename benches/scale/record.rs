//! What is kept of each run?
//!
//! Shell: one JSON object a line, read and written whole.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::spread::Spread;
use super::work::{Through, Work};

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) work: Work,
    pub(crate) through: Through,
    pub(crate) round: usize,
    pub(crate) figures: Figures,
}

/// Of waits, those of the ordinary clients where there is a neighbour. Processor time is user and system, an answered command of
/// all clients; memory is resident.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    pub(crate) p999_micros: f64,
    pub(crate) neighbour_per_second: Option<f64>,
    pub(crate) proxy_micros: f64,
    /// Of both servers together, as are their bytes.
    pub(crate) redis_micros: f64,
    /// Before there are clients.
    pub(crate) proxy_empty_bytes: f64,
    /// All clients are connected, have been answered once, and done nothing since: of a thousand and more, for six seconds.
    pub(crate) proxy_idle_bytes: f64,
    /// At the end.
    pub(crate) proxy_busy_bytes: f64,
    pub(crate) redis_empty_bytes: f64,
    pub(crate) redis_idle_bytes: f64,
    pub(crate) redis_busy_bytes: f64,
}

/// What a run is one of.
type Of = (Work, Through);

/// All that is known.
#[derive(Default)]
pub(crate) struct Records(Vec<Record>);

impl Records {
    /// Those of a file; none when there is no such file.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let record = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()))
        };
        Self(text.lines().map(record).collect())
    }

    pub(crate) fn write(&self, path: &Path) {
        let line = |record: &Record| serde_json::to_string(record).unwrap() + "\n";
        fs::write(path, self.0.iter().map(line).collect::<String>()).unwrap();
    }

    /// What is measured again takes the place of what is known of it.
    pub(crate) fn forget(&mut self, work: Work) {
        self.0.retain(|record| record.work != work);
    }

    pub(crate) fn add(&mut self, record: Record) {
        self.0.push(record);
    }

    /// Of all rounds; `None` when there was none.
    pub(crate) fn spread(
        &self,
        work: Work,
        through: Through,
        figure: impl Fn(&Figures) -> f64,
    ) -> Option<Spread> {
        let spread = Spread::of(self.of(work, through).map(|record| figure(&record.figures)));
        spread.median.is_finite().then_some(spread)
    }

    /// Of the ratios to the same rounds of something else.
    pub(crate) fn ratio(&self, one: Of, other: Of, figure: fn(&Figures) -> f64) -> Option<Spread> {
        self.compared(one, other, |one, other| figure(one) / figure(other))
    }

    /// Of the differences to the same rounds of something else.
    pub(crate) fn difference(&self, one: Of, other: Of, figure: fn(&Figures) -> f64) -> Option<Spread> {
        self.compared(one, other, |one, other| figure(one) - figure(other))
    }

    fn compared(&self, one: Of, other: Of, compare: impl Fn(&Figures, &Figures) -> f64) -> Option<Spread> {
        let compared = |record: &Record| {
            let mut others = self.of(other.0, other.1);
            let other = others.find(|other| other.round == record.round)?;
            Some(compare(&record.figures, &other.figures))
        };
        let spread = Spread::of(self.of(one.0, one.1).filter_map(compared));
        spread.median.is_finite().then_some(spread)
    }

    fn of(&self, work: Work, through: Through) -> impl Iterator<Item = &Record> {
        self.0
            .iter()
            .filter(move |record| record.work == work && record.through == through)
    }
}
