//! What does `switchback check --preflight` do?
//!
//! Shell: surveys every route's sides at once, prints the table, and fails by the first row that would refuse a raise
//! from 0.

use std::process::ExitCode;

use tokio::task::LocalSet;

use super::output::{self, Failure};
use super::render;
use crate::config::Config;
use crate::control_plane::admin::{Reply, json};
use crate::control_plane::preflight::{Finding, survey};

pub(super) fn preflight(config: &Config, as_json: bool) -> ExitCode {
    output::exit(print(config, as_json))
}

fn print(config: &Config, as_json: bool) -> Result<(), Failure> {
    let routes = surveyed(config)?;
    let rows = routes.iter().flat_map(|(route, findings)| {
        let row = |finding: &Finding| finding.reply(route);
        findings.iter().map(row).collect::<Vec<_>>()
    });
    let document = json(&Reply::Array(rows.collect()));
    match serde_json::from_str(&document) {
        Ok(rows) if !as_json => output::print(&render::preflight(&rows))?,
        _ => output::print(&format!("{document}\n"))?,
    }
    let mut refusing = routes.iter().filter_map(|(route, findings)| {
        let first = findings.iter().find(|finding| finding.refuses)?;
        Some(format!("route {route}: {first}"))
    });
    match refusing.next() {
        None => Ok(()),
        Some(first) => Err(Failure::Refused(first)),
    }
}

/// By route: its rows.
fn surveyed(config: &Config) -> Result<Vec<(String, Vec<Finding>)>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let surveys: Vec<_> = config
            .routes
            .iter()
            .cloned()
            .map(|route| {
                let name = route.name.clone();
                (
                    name,
                    tokio::task::spawn_local(async move { survey(&route).await }),
                )
            })
            .collect();
        let mut routes = Vec::with_capacity(surveys.len());
        for (name, survey) in surveys {
            let findings = survey.await.map_err(std::io::Error::other)?;
            routes.push((name, findings));
        }
        Ok(routes)
    })
}
