//! Do the image's instructions fit the repository and the program?
//!
//! No image is built here: that takes a daemon, and a registry. What can be known without is.

use std::process::Command;

use clap::Parser;
use switchback::cli::Args;
use switchback::config::{ProxyConfig, Surroundings, parse};
use switchback::lab::{Server, ServerOptions};

use super::running::Running;
use super::{PROGRAM, deploy, root, written};

const DOCKERFILE: &str = include_str!("../../deploy/docker/Dockerfile");
const IGNORED: &str = include_str!("../../.dockerignore");
const COMPOSE: &str = include_str!("../../deploy/docker/compose.yaml");
const CONFIG: &str = include_str!("../../deploy/docker/switchback.toml");

/// Each instruction with what it is given, lines that go on put together.
fn instructions() -> Vec<(String, String)> {
    let lines = DOCKERFILE.lines().filter(|line| !line.starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = |line: &str| {
        let (word, rest) = line.split_once(' ')?;
        Some((word.to_owned(), rest.trim().to_owned()))
    };
    text.lines().filter_map(|line| split(line.trim())).collect()
}

fn last(word: &str) -> String {
    let found = instructions().into_iter().rfind(|(of, _)| of == word);
    found.unwrap_or_else(|| panic!("no {word}")).1
}

/// An array as instructions have it.
fn words(array: &str) -> Vec<String> {
    serde_json::from_str(array).unwrap_or_else(|error| panic!("{array}: {error}"))
}

#[test]
fn every_instruction_is_one() {
    let known = [
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "RUN",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    for (word, rest) in instructions() {
        assert!(known.contains(&word.as_str()), "{word} {rest}");
    }
    assert_eq!(last("STOPSIGNAL"), "SIGTERM");
}

#[test]
fn what_is_copied_is_in_the_repository_and_not_kept_from_the_build() {
    let kept: Vec<&str> = IGNORED
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    assert!(IGNORED.lines().any(|line| line == "*"));
    let mut copied = 0;
    for (word, rest) in instructions() {
        if word != "COPY" || rest.starts_with("--from=") {
            continue;
        }
        let paths: Vec<&str> = rest.split_whitespace().collect();
        for path in &paths[..paths.len() - 1] {
            assert!(root().join(path).exists(), "{path}");
            let folder = path.split('/').next().unwrap();
            assert!(kept.contains(&folder), "{path} is ignored");
            copied += 1;
        }
    }
    assert!(copied >= 6, "{copied}");
    // Everything the manifest names has to be there for cargo to read it.
    for folder in ["benches", "src", ".cargo"] {
        assert!(
            DOCKERFILE.contains(&format!("COPY {folder} {folder}")),
            "{folder}"
        );
    }
}

#[test]
fn the_image_runs_the_program_as_nobody_of_consequence() {
    let user = last("USER");
    let (user, group) = user.split_once(':').unwrap();
    assert!(user.parse::<u32>().unwrap() >= 1000 && group.parse::<u32>().unwrap() >= 1000);
    assert!(DOCKERFILE.contains(&format!("--owner={user} --group={group}")));
    let line = [words(&last("ENTRYPOINT")), words(&last("CMD"))].concat();
    Args::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    let built = instructions()
        .into_iter()
        .find(|(word, rest)| word == "COPY" && rest.starts_with("--from="))
        .unwrap()
        .1;
    let from = instructions()
        .into_iter()
        .find(|(word, rest)| word == "FROM" && rest.ends_with(" AS build"));
    assert!(from.is_some() && built.ends_with(&line[0]), "{built}");
    assert_eq!(words(&last("VOLUME")), [ProxyConfig::STATE_DIR]);
}

#[test]
fn the_health_check_fails_when_the_proxy_does_not_answer() {
    let check = last("HEALTHCHECK");
    let (_, command) = check.split_once("CMD ").unwrap();
    let line = words(command);
    assert_eq!(line.last().map(String::as_str), Some(ProxyConfig::ADMIN_SOCKET));
    let server = Server::start(&ServerOptions::default()).unwrap();
    let mut running = Running::start(&format!("redis://{}", server.addr()), None, "");
    let code = |running: &Running| {
        let output = Command::new(PROGRAM)
            .args(&line[1..line.len() - 1])
            .arg(running.socket())
            .output()
            .unwrap();
        output.status.code()
    };
    assert_eq!(code(&running), Some(0));
    running.kill();
    assert_eq!(code(&running), Some(1));
}

#[test]
fn the_playground_fits_the_image() {
    let config = parse(CONFIG, &Surroundings::real()).unwrap_or_else(|faults| panic!("{faults}"));
    let route = &config.routes[0];
    let exposed = last("EXPOSE");
    let ports = [
        route.listen[0].port(),
        config.proxy.metrics_listen.unwrap().port(),
    ];
    for port in ports {
        assert!(
            exposed.split(' ').any(|exposed| exposed == port.to_string()),
            "{port}"
        );
        assert!(COMPOSE.contains(&format!("127.0.0.1:{port}:{port}")), "{port}");
    }
    for name in ["old-master", "new-master"] {
        assert!(
            COMPOSE.contains(&format!("  {name}:\n")) && CONFIG.contains(&format!("redis://{name}:6379"))
        );
    }
    assert!(COMPOSE.contains("dockerfile: deploy/docker/Dockerfile"));
    assert!(deploy("docker").join("../..").join("Cargo.toml").exists());
    let mounted = COMPOSE.contains("./switchback.toml:/etc/switchback/switchback.toml:ro");
    assert!(mounted && words(&last("CMD")).contains(&"/etc/switchback/switchback.toml".to_owned()));
}

#[test]
fn the_playground_is_yaml() {
    let output = Command::new("promtool")
        .args(["check", "rules"])
        .arg(deploy("docker/compose.yaml"))
        .output();
    // Prometheus refuses what is in it, key by key, and not its syntax.
    let said = written(&output.unwrap());
    assert!(said.contains("field services not found"), "{said}");
    assert!(
        !said.contains("yaml: line") || said.contains("unmarshal errors"),
        "{said}"
    );
}
