//! Does systemd take the unit, how much does that leave open, and does it fit the program?

use std::path::Path;
use std::process::Command;

use clap::Parser;
use switchback::cli::Args;
use switchback::config::ProxyConfig;
use switchback::lab::Directory;
use switchback::limits::SHUTDOWN_GRACE;

use super::{PROGRAM, deploy, written};

const UNIT: &str = include_str!("../../deploy/systemd/switchback.service");

/// Every value of a setting.
fn settings(key: &str) -> Vec<&'static str> {
    let value = |line: &'static str| line.strip_prefix(key)?.strip_prefix('=');
    UNIT.lines().filter_map(value).collect()
}

fn setting(key: &str) -> &'static str {
    match settings(key)[..] {
        [value] => value,
        ref values => panic!("{key}: {values:?}"),
    }
}

fn analyze(words: &[&str], unit: &Path) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(words).arg(unit).output();
    let output =
        output.expect("systemd-analyze (Debian package systemd) is needed; ./.ci/install-tools installs it");
    (output.status.success(), written(&output))
}

#[test]
fn systemd_has_nothing_to_say_against_the_unit() {
    let directory = Directory::create("unit").unwrap();
    // Where the program is here; it says of one that is missing that it cannot be run.
    let here = UNIT.replace("/usr/bin/switchback", PROGRAM);
    let unit = directory.write("switchback.service", &here).unwrap();
    let (accepts, said) = analyze(&["verify", "--man=no"], &unit);
    assert!(accepts && said.is_empty(), "{said}");
    let misspelt = directory
        .write("switchback.service", &here.replace("KillMode=", "KilMode="))
        .unwrap();
    let (_, said) = analyze(&["verify", "--man=no"], &misspelt);
    assert!(said.contains("KilMode"), "{said}");
}

#[test]
fn the_service_is_exposed_to_next_to_nothing() {
    // Of 100.
    let words = ["security", "--offline=true", "--no-pager", "--threshold=20"];
    let (is_below, said) = analyze(&words, &deploy("systemd/switchback.service"));
    assert!(is_below, "{said}");
}

#[test]
fn what_the_unit_runs_are_commands_of_the_program() {
    let lines: Vec<&str> = ["ExecStartPre", "ExecStart", "ExecReload"]
        .into_iter()
        .flat_map(settings)
        .collect();
    let own: Vec<&&str> = lines
        .iter()
        .filter(|line| line.starts_with("/usr/bin/switchback "))
        .collect();
    assert_eq!(own.len(), 2, "{lines:?}");
    for line in own {
        let args = Args::try_parse_from(line.split(' '));
        args.unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(
            line.contains(&format!("/etc/{}/", setting("ConfigurationDirectory"))),
            "{line}"
        );
    }
    assert_eq!(lines.last(), Some(&"/bin/kill -HUP $MAINPID"));
}

#[test]
fn the_programs_own_directories_are_the_units() {
    let socket = Path::new(ProxyConfig::ADMIN_SOCKET).parent().unwrap();
    assert_eq!(socket, Path::new("/run").join(setting("RuntimeDirectory")));
    assert_eq!(
        Path::new(ProxyConfig::STATE_DIR),
        Path::new("/var/lib").join(setting("StateDirectory"))
    );
}

#[test]
fn the_service_is_given_the_time_it_takes_to_end() {
    let seconds: u64 = setting("TimeoutStopSec").parse().unwrap();
    // Beside the grace, the last state is to get on disk.
    assert!(seconds >= SHUTDOWN_GRACE.as_secs() + 5, "{seconds} s");
    assert_eq!(setting("KillSignal"), "SIGTERM");
}
