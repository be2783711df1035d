//! What do the page's tables say?
//!
//! Pure, but for the file: each table takes the place of what stands between its marks there, or is added at the end.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::record::{Figures, Records};
use super::spread::Spread;
use super::work::{CLIENTS, NEIGHBOURS, Neighbour, THROUGH, Through, Work, all};

/// Puts all tables into the page.
pub(crate) fn write(records: &Records, page: &Path) {
    let mut text = fs::read_to_string(page).unwrap_or_default();
    for (name, table) in [
        ("even", even(records)),
        ("memory", memory(records)),
        ("fairness", fairness(records)),
    ] {
        text = put(&text, name, &table);
    }
    fs::write(page, text).unwrap();
}

fn put(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- table: {name} -->\n"), "<!-- end of table -->\n");
    let Some((before, rest)) = page.split_once(&begin) else {
        return format!("{page}\n{begin}{table}{end}");
    };
    let after = rest.split_once(end).map_or("", |(_, after)| after);
    format!("{before}{begin}{table}{end}{after}")
}

/// Clients and pipelines.
fn even(records: &Records) -> String {
    let mut table = "| clients | pipeline | through | commands/s | ratio to direct (of rounds) | p50 ms | p99 ms | p99.9 ms | proxy µs | Redis µs |\n\
                     | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for work in all() {
        let Work::Even { clients, pipeline } = work else {
            continue;
        };
        for through in THROUGH {
            let of = |figure: fn(&Figures) -> f64| records.spread(work, through, figure);
            let Some(per_second) = of(|run| run.per_second) else {
                continue;
            };
            let ratio = records.ratio((work, through), (work, Through::Direct), |run| run.per_second);
            let millis = |spread: Option<Spread>| figure(spread.map(|spread| spread.median / 1e3));
            let micros = |spread: Option<Spread>| figure(spread.map(|spread| spread.median));
            let proxy = match through {
                Through::Direct => "-".to_owned(),
                Through::Proxy { .. } => micros(of(|run| run.proxy_micros)),
            };
            writeln!(
                table,
                "| {clients} | {pipeline} | {through} | {} | {} | {} | {} | {} | {proxy} | {} |",
                thousands(per_second.median),
                ratio
                    .filter(|_| through != Through::Direct)
                    .map_or("1".to_owned(), |ratio| {
                        format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.least, ratio.most)
                    }),
                millis(of(|run| run.p50_micros)),
                millis(of(|run| run.p99_micros)),
                millis(of(|run| run.p999_micros)),
                micros(of(|run| run.redis_micros)),
            )
            .unwrap();
        }
    }
    table
}

/// Without a pipeline.
fn memory(records: &Records) -> String {
    let mut table = "| clients | through | proxy, no clients, MiB | idle, MiB | bytes a client, idle | under load, MiB | bytes a client, under load | Redis, bytes a client, under load |\n\
                     | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for clients in CLIENTS {
        let work = Work::Even { clients, pipeline: 1 };
        for through in THROUGH {
            let of = |figure: &dyn Fn(&Figures) -> f64| {
                records.spread(work, through, figure).map(|spread| spread.median)
            };
            let each = |bytes: f64| bytes / clients as f64;
            let Some(redis) = of(&|run| each(run.redis_busy_bytes - run.redis_empty_bytes)) else {
                continue;
            };
            let proxy = |figure: &dyn Fn(&Figures) -> f64| match through {
                Through::Direct => "-".to_owned(),
                Through::Proxy { .. } => of(figure).map_or("-".to_owned(), |bytes| format!("{bytes:.1}")),
            };
            // Below a thousand clients, pages of 4 KiB are more than what a client takes.
            let apiece = |figure: &dyn Fn(&Figures) -> f64| match (through, clients) {
                (Through::Direct, _) | (_, ..1_000) => "-".to_owned(),
                _ => of(figure).map_or("-".to_owned(), thousands),
            };
            writeln!(
                table,
                "| {clients} | {through} | {} | {} | {} | {} | {} | {} |",
                proxy(&|run| run.proxy_empty_bytes / 1_048_576.0),
                proxy(&|run| run.proxy_idle_bytes / 1_048_576.0),
                apiece(&|run| each(run.proxy_idle_bytes - run.proxy_empty_bytes)),
                proxy(&|run| run.proxy_busy_bytes / 1_048_576.0),
                apiece(&|run| each(run.proxy_busy_bytes - run.proxy_empty_bytes)),
                if clients < 1_000 {
                    "-".to_owned()
                } else {
                    thousands(redis)
                },
            )
            .unwrap();
        }
    }
    table
}

/// What ordinary clients wait beside others, and how much longer than beside nobody.
fn fairness(records: &Records) -> String {
    let mut table = "| beside | through | p50 ms | p99 ms (of rounds) | p99 more than alone, ms (of rounds) | p99.9 ms | neighbour's commands/s | proxy's memory, MiB |\n\
                     | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for neighbour in NEIGHBOURS {
        let work = Work::Beside(neighbour);
        for through in THROUGH {
            let of = |figure: fn(&Figures) -> f64| records.spread(work, through, figure);
            let Some(p99) = of(|run| run.p99_micros) else {
                continue;
            };
            let alone = (Work::Beside(Neighbour::Nobody), through);
            let more = records.difference((work, through), alone, |run| run.p99_micros);
            let memory = match through {
                Through::Direct => "-".to_owned(),
                Through::Proxy { .. } => {
                    figure(of(|run| run.proxy_busy_bytes / 1_048_576.0).map(|all| all.median))
                }
            };
            let neighbours = of(|run| run.neighbour_per_second.unwrap_or(f64::NAN));
            writeln!(
                table,
                "| {neighbour} | {through} | {} | {} | {} | {} | {} | {memory} |",
                figure(of(|run| run.p50_micros / 1e3).map(|spread| spread.median)),
                of_rounds(p99),
                more.filter(|_| neighbour != Neighbour::Nobody)
                    .map_or("-".to_owned(), of_rounds),
                figure(of(|run| run.p999_micros / 1e3).map(|spread| spread.median)),
                neighbours.map_or("-".to_owned(), |spread| thousands(spread.median)),
            )
            .unwrap();
        }
    }
    table
}

/// Microseconds as milliseconds.
fn of_rounds(micros: Spread) -> String {
    let [median, least, most] = [micros.median, micros.least, micros.most].map(|micros| micros / 1e3);
    format!("{median:.2} ({least:.2}-{most:.2})")
}

/// With as many digits as mean something.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// 12345 as 12,345.
fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 {
        "-".to_owned()
    } else {
        String::new()
    };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
