//! What do a real Prometheus and the dashboard make of a real proxy?
//!
//! One scrapes a proxy that has lived through something, with the alerts loaded; everything that the dashboard asks is asked of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use switchback::lab::{Directory, Group, GroupOptions, Process, free_port, wait_for};

use super::dashboard::{asked, filled_in};
use super::deploy;
use super::running::Running;

const SOON: Duration = Duration::from_secs(60);

/// Ends with its owner.
struct Prometheus {
    process: Process,
    port: u16,
    _directory: Directory,
}

impl Prometheus {
    /// Scrapes this address four times a second, and goes by the alerts once a second.
    fn start(scraped: &str) -> Self {
        let directory = Directory::create("prometheus").unwrap();
        let rules = deploy("prometheus/switchback.rules.yml").display().to_string();
        let config = format!(
            "global: {{ scrape_interval: 250ms, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\n\
             scrape_configs:\n  - job_name: switchback\n    static_configs: [{{ targets: [{scraped:?}] }}]\n"
        );
        let file = directory.write("prometheus.yml", &config).unwrap();
        let port = free_port().unwrap();
        let words = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", directory.path().join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=warn".to_owned(),
        ];
        let process = Process::start(Path::new("prometheus"), &words, &directory.path().join("log"));
        let prometheus = Self {
            process: process.expect("prometheus (Debian package) is needed; ./.ci/install-tools installs it"),
            port,
            _directory: directory,
        };
        let ready = wait_for("Prometheus to be ready", SOON, || {
            prometheus.try_page("/-/ready").is_some()
        });
        ready.unwrap_or_else(|error| panic!("{error}\n{}", prometheus.process.log_tail()));
        prometheus
    }

    fn try_page(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
    }

    fn json(&self, path: &str) -> Value {
        let page = self
            .try_page(path)
            .unwrap_or_else(|| panic!("{path} was refused"));
        serde_json::from_str(&page).unwrap()
    }

    /// The series an expression has now.
    fn ask(&self, expr: &str) -> Vec<Value> {
        let expr = utf8_percent_encode(expr, NON_ALPHANUMERIC);
        let answer = self.json(&format!("/api/v1/query?query={expr}"));
        answer["data"]["result"].as_array().unwrap().clone()
    }
}

#[test]
fn every_panel_shows_something_of_a_proxy_that_has_lived_through_something() {
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
    let prometheus = Prometheus::start(&running.metrics.to_string());
    // It takes some seconds to look at what it is to scrape.
    let scraped = || !prometheus.ask("switchback_weight_ratio == 0").is_empty();
    wait_for("the first scrape", SOON, scraped).unwrap();
    running.raise("50");
    let mut client = running.client();
    for number in 0..100 {
        client.ask(&["SET", &format!("key-{number}"), "value"]).unwrap();
    }
    new.failover().unwrap();
    running.wait_until("the change of master", |_| running.has_event("master_changed"));
    assert_eq!(running.say(&["BACK", "r"]), "OK");
    running.wait_until("the route back", |_| running.has_event("routed_back"));
    // Two scrapes of what came last, for rates.
    let seen = "count_over_time(switchback_route_backs_total[1m]) > 3";
    wait_for("the route back to be scraped", SOON, || {
        !prometheus.ask(seen).is_empty()
    })
    .unwrap();
    for asked in asked() {
        let series = prometheus.ask(&filled_in(&asked.expr));
        // Marks: a change that is not of the weight was seen in the moment it came, or was not.
        let may_be_none = asked.place == "Other changes (epoch)" || asked.place == "Changes of master";
        assert!(
            may_be_none || !series.is_empty(),
            "{}: {}",
            asked.place,
            asked.expr
        );
    }
    let rules = prometheus.json("/api/v1/rules");
    let groups = rules["data"]["groups"].as_array().unwrap();
    let all: Vec<&Value> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(all.len() > 15, "{rules}");
    for rule in all {
        assert_ne!(rule["health"], "err", "{rule}");
    }
}
