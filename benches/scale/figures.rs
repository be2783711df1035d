//! Which figures are drawn?
//!
//! Pure, but for the files.

use std::path::Path;

use super::plot::{Axis, Colour, Figure, Panel, Scale, Series, Style};
use super::record::{Figures, Records};
use super::work::{CLIENTS, NEIGHBOURS, PIPELINES, THROUGH, Through, Work};

/// Clients whose pipelines grow.
pub(crate) const CLIENTS_THAT_PIPELINE: usize = 100;
const MEBIBYTE: f64 = 1_048_576.0;

/// What grows.
#[derive(Clone, Copy)]
enum Growing {
    Clients,
    Pipeline,
}

/// A figure of a run, what it is called, and its axis.
type Measure = (&'static str, &'static str, fn() -> Scale, fn(&Figures) -> f64);

const THROUGHPUT: [Measure; 1] = [("throughput", "commands/s", || Scale::Linear, |run| run.per_second)];
const WAITS: [Measure; 3] = [
    ("p50", "µs", || Scale::Decades, |run| run.p50_micros),
    ("p99", "µs", || Scale::Decades, |run| run.p99_micros),
    ("p99.9", "µs", || Scale::Decades, |run| run.p999_micros),
];
const PROCESSOR: [Measure; 2] = [
    (
        "the proxy's processor time",
        "µs a command",
        || Scale::Linear,
        |run| run.proxy_micros,
    ),
    (
        "Redis's processor time",
        "µs a command",
        || Scale::Linear,
        |run| run.redis_micros,
    ),
];
const MEMORY: [Measure; 2] = [
    (
        "the proxy's memory, clients idle",
        "MiB",
        || Scale::Decades,
        |run| run.proxy_idle_bytes / MEBIBYTE,
    ),
    (
        "the proxy's memory, under load",
        "MiB",
        || Scale::Decades,
        |run| run.proxy_busy_bytes / MEBIBYTE,
    ),
];

/// All that the records have figures for.
pub(crate) fn draw(records: &Records, folder: &Path) {
    let even: [(&str, Growing, &[Measure]); 7] = [
        ("throughput-by-clients", Growing::Clients, &THROUGHPUT),
        ("throughput-by-pipeline", Growing::Pipeline, &THROUGHPUT),
        ("waits-by-clients", Growing::Clients, &WAITS),
        ("waits-by-pipeline", Growing::Pipeline, &WAITS),
        ("processor-by-clients", Growing::Clients, &PROCESSOR),
        ("processor-by-pipeline", Growing::Pipeline, &PROCESSOR),
        ("memory-by-clients", Growing::Clients, &MEMORY),
    ];
    for (name, growing, measures) in even {
        let panels = measures
            .iter()
            .map(|measure| growing.panel(records, measure))
            .collect();
        let figure = Figure {
            panels,
            legend: legend(|_| true, true),
        };
        figure.write(&folder.join(format!("{name}.svg")));
    }
    fairness(records).write(&folder.join("fairness.svg"));
}

impl Growing {
    fn points(self) -> Vec<(f64, Work)> {
        let point = |growing: usize, clients, pipeline| (growing as f64, Work::Even { clients, pipeline });
        match self {
            Self::Clients => CLIENTS.map(|count| point(count, count, 1)).to_vec(),
            Self::Pipeline => PIPELINES
                .map(|count| point(count, CLIENTS_THAT_PIPELINE, count))
                .to_vec(),
        }
    }

    fn panel(self, records: &Records, (title, unit, scale, figure): &Measure) -> Panel {
        let (label, of_what) = match self {
            Self::Clients => ("clients, one command each", String::new()),
            Self::Pipeline => (
                "commands in a pipeline",
                format!(", {CLIENTS_THAT_PIPELINE} clients"),
            ),
        };
        let series = THROUGH.map(|through| Series {
            style: style(through, true),
            points: spreads(records, self.points(), through, figure)
                .filter(|(_, spread)| spread.most > 0.0)
                .collect(),
        });
        Panel {
            title: format!("{title}{of_what}"),
            x: Axis {
                label,
                scale: Scale::Decades,
            },
            y: Axis {
                label: unit,
                scale: scale(),
            },
            series: series.into(),
        }
    }
}

fn spreads(
    records: &Records,
    points: Vec<(f64, Work)>,
    through: Through,
    figure: &fn(&Figures) -> f64,
) -> impl Iterator<Item = (f64, super::spread::Spread)> {
    points
        .into_iter()
        .filter_map(move |(x, work)| Some((x, records.spread(work, through, figure)?)))
}

/// Side by side, so that they do not hide each other.
fn fairness(records: &Records) -> Figure {
    let names = NEIGHBOURS.map(|neighbour| neighbour.to_string()).to_vec();
    let of_weight_0 = |through: &Through| !matches!(through, Through::Proxy { weight: 1.., .. });
    let panel = |title: &str, figure: fn(&Figures) -> f64| {
        let through = THROUGH.into_iter().filter(of_weight_0).zip([-0.2, 0.0, 0.2]);
        let series = through.map(|(through, aside)| {
            let works = NEIGHBOURS.map(Work::Beside).into_iter().enumerate();
            let points = works.map(|(index, work)| (index as f64 + aside, work)).collect();
            Series {
                style: style(through, false),
                points: spreads(records, points, through, &figure).collect(),
            }
        });
        Panel {
            title: title.to_owned(),
            x: Axis {
                label: "beside",
                scale: Scale::Names(names.clone()),
            },
            y: Axis {
                label: "µs",
                scale: Scale::Decades,
            },
            series: series.collect(),
        }
    };
    Figure {
        panels: vec![panel("p99 of 50 ordinary clients", |run| run.p99_micros)],
        legend: legend(of_weight_0, false),
    }
}

fn legend(is_shown: impl Fn(&Through) -> bool, has_line: bool) -> Vec<(String, Style)> {
    let shown = THROUGH.into_iter().filter(is_shown);
    shown
        .map(|through| (through.to_string(), style(through, has_line)))
        .collect()
}

fn style(through: Through, has_line: bool) -> Style {
    let (colour, is_dashed) = match through {
        Through::Direct => (Colour::Ink, false),
        Through::Proxy { workers: 1, weight } => (Colour::Blue, weight > 0),
        Through::Proxy { weight, .. } => (Colour::Vermilion, weight > 0),
    };
    Style {
        colour,
        is_dashed,
        has_line,
    }
}
