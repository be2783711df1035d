//! Does `docs/metrics.md` have every metric, as a scrape of a proxy that has lived through something shows it? With
//! `SWITCHBACK_WRITE_DOCS=1` it is written anew; its last column is written by hand, and kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use switchback::lab::{Group, GroupOptions};

use super::page;
use super::running::Running;

const NAMES: &str = include_str!("../../src/metrics/names.rs");

const HEAD: &str = "# Metrics

What `GET /metrics` on `metrics_listen` (127.0.0.1:9640) shows, compared with a real scrape by `tests/docs`, which fails when this is out of
date: `SWITCHBACK_WRITE_DOCS=1 cargo test --test docs` writes it anew, but for the last column, which is written by hand.

No label comes from a client. `route` is a route's name, `side` is `old` or `new` (absent of a route without `new`), `node` is host:port, `rule` one of
the [guard's rules](runbook.md#the-guards-rules). Counters begin at 0 with the process. Gauges of a node that is gone leave the page
within a second; a route's weight, epoch and latch survive a restart.

[deploy/prometheus](../deploy/prometheus) has alerts over these, [deploy/grafana](../deploy/grafana) a dashboard;
the [runbook](runbook.md) says what each alert asks for.
";

const COLUMNS: &str = "| metric | type | labels | unit | meaning | what to look at |
| --- | --- | --- | --- | --- | --- |
";

const PROCESS: &str = "
## The process

Of Prometheus's usual names, for the proxy's own process. `tokio`'s threads and the allocator are within them.

";

const FOOT: &str = "
## Histograms

`switchback_command_seconds` and `switchback_hold_seconds` have a bucket for each power of two of microseconds from 1 µs to 4.2 s
(`le=\"0.000001\"` … `le=\"4.194304\"`, `+Inf`), as workers count by them: a quantile is exact to a factor of two. `switchback_route_back_seconds` has buckets from
1 ms to 10 s.

```promql
histogram_quantile(0.99, sum by (route, side, le) (rate(switchback_command_seconds_bucket[5m])))
```

## Health and readiness

| page | answers 200 when | for |
| --- | --- | --- |
| `/healthz` | the control plane's thread is alive | whoever restarts a process that hangs |
| `/readyz` | every side with traffic has a usable master, and every worker routes by the last decision; otherwise 503, and what is missing, a line each | load balancers, deployments |
";

#[derive(Default)]
struct Metric {
    kind: String,
    help: String,
    labels: Vec<String>,
}

/// What a page of metrics has.
fn scraped(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            metrics.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' '))
        {
            metrics.entry(name.to_owned()).or_default().help = help.to_owned();
        } else {
            let series = line.split(['{', ' ']).next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| series.strip_suffix(part));
            let name = of_histogram
                .filter(|name| metrics.contains_key(*name))
                .unwrap_or(series);
            let metric = metrics.get_mut(name).unwrap_or_else(|| panic!("{line}: no type"));
            let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
            for label in labels.into_iter().flat_map(|(labels, _)| labels.split("\",")) {
                let (label, _) = label.split_once('=').unwrap();
                if label != "le" && !metric.labels.iter().any(|known| known == label) {
                    metric.labels.push(label.to_owned());
                }
            }
        }
    }
    metrics
}

/// A scrape after commands on both sides, a change of master and a route back.
fn lived_through() -> BTreeMap<String, Metric> {
    let start = |name: &str| {
        let options = GroupOptions {
            replicas: 1,
            sentinels: 1,
            ..GroupOptions::named(name)
        };
        Group::start(options).unwrap()
    };
    let (old, new) = (start("old"), start("new"));

    let running = Running::start(&old.sentinel_url(), Some(&new.sentinel_url()), "");
    running.raise("50");
    let mut client = running.client();
    for number in 0..100 {
        client.ask(&["SET", &format!("key-{number}"), "value"]).unwrap();
    }
    new.failover().unwrap();
    running.wait_until("the change of master", |_| running.has_event("master_changed"));
    assert_eq!(running.say(&["BACK", "r"]), "OK");
    running.wait_until("the route back", |_| running.has_event("routed_back"));
    scraped(&running.page("/metrics").1)
}

fn unit(name: &str, help: &str) -> &'static str {
    let words: BTreeSet<&str> = name.split('_').collect();
    match () {
        () if words.contains("seconds") => "seconds",
        () if words.contains("bytes") => "bytes",
        () if words.contains("ratio") => "0 to 1",
        () if words.contains("info") => "1",
        // So begins the help of those.
        () if help.starts_with("1 ") => "0 or 1",
        () => "count",
    }
}

/// Names as the code has them, in its order.
fn named() -> Vec<&'static str> {
    NAMES
        .split('"')
        .filter(|text| text.starts_with("switchback_"))
        .collect()
}

/// The last column of a row that is there already.
fn by_hand(written: &str, name: &str) -> String {
    let row = written
        .lines()
        .find(|line| line.starts_with(&format!("| `{name}` |")));
    let cell = row.and_then(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    cell.unwrap_or_default().trim_matches(['|', ' ']).to_owned()
}

fn write_row(page: &mut String, written: &str, name: &str, metric: &Metric) {
    let labels = metric.labels.iter().map(|label| format!("`{label}`"));
    let labels = labels.collect::<Vec<_>>().join(", ");
    let (kind, unit, help, hand) = (
        &metric.kind,
        unit(name, &metric.help),
        &metric.help,
        by_hand(written, name),
    );
    writeln!(
        page,
        "| `{name}` | {kind} | {labels} | {unit} | {help} | {hand} |"
    )
    .unwrap();
}

#[test]
fn the_page_of_metrics_has_what_a_scrape_has() {
    let metrics = lived_through();
    let written = std::fs::read_to_string(page::path("metrics.md")).unwrap_or_default();
    let mut page = format!("{HEAD}\n## Routes, sides and nodes\n\n{COLUMNS}");
    for name in named() {
        let metric = metrics
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not on the page"));
        write_row(&mut page, &written, name, metric);
    }
    write!(page, "{PROCESS}{COLUMNS}").unwrap();
    for (name, metric) in &metrics {
        match name.starts_with("process_") {
            true => write_row(&mut page, &written, name, metric),
            false => assert!(named().contains(&name.as_str()), "{name} has no name in names.rs"),
        }
    }
    page.push_str(FOOT);
    page::compare("metrics.md", &page);
}

#[test]
fn every_metric_says_what_to_look_at() {
    let written = std::fs::read_to_string(page::path("metrics.md")).unwrap();
    for name in named() {
        assert!(
            !by_hand(&written, name).is_empty(),
            "{name}: the last column is empty"
        );
    }
}
