//! Do shells and `man` know the whole command line?

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command as Process, Output};

use clap::{Command, CommandFactory};
use switchback::cli::Args;

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchback");

fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn run(words: &[&str]) -> String {
    stdout(&Process::new(PROGRAM).args(words).output().unwrap())
}

/// `switchback`, `switchback-run`, … with what each takes.
fn commands() -> Vec<(String, Command)> {
    fn add(name: &str, command: &Command, all: &mut Vec<(String, Command)>) {
        all.push((name.to_owned(), command.clone()));
        for subcommand in command.get_subcommands() {
            add(&format!("{name}-{}", subcommand.get_name()), subcommand, all);
        }
    }
    let mut all = Vec::new();
    add("switchback", &Args::command(), &mut all);
    all
}

fn flags(command: &Command) -> Vec<String> {
    command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(str::to_owned)
        .collect()
}

/// What bash offers for the last of `words`.
fn offered(script: &Path, words: &[&str]) -> Vec<String> {
    let line = "source \"$0\"; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                _switchback switchback \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"; \
                printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Process::new("bash")
        .args(["-c", line])
        .arg(script)
        .args(words)
        .output()
        .unwrap();
    stdout(&output).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_every_command_and_every_flag() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("switchback.bash");
    std::fs::write(&script, run(&["completions", "bash"])).unwrap();
    assert!(
        Process::new("bash")
            .arg("-n")
            .arg(&script)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(offered(&script, &["switchback", "sta"]), ["status"]);
    assert_eq!(offered(&script, &["switchback", "ramp", "r", "pa"]), ["pause"]);
    for (name, command) in commands() {
        let mut words: Vec<&str> = name.split('-').collect();
        words.push("");
        let named = offered(&script, &words);
        for subcommand in command.get_subcommands() {
            assert!(
                named.iter().any(|word| word == subcommand.get_name()),
                "{name}: {named:?}"
            );
        }
        *words.last_mut().unwrap() = "--";
        let named = offered(&script, &words);
        for flag in flags(&command) {
            assert!(
                named.contains(&format!("--{flag}")),
                "{name}: --{flag} is not in {named:?}"
            );
        }
    }
}

#[test]
fn every_shell_has_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        for (name, command) in commands() {
            assert!(script.contains(command.get_name()), "{shell}: {name}");
            for flag in flags(&command) {
                assert!(script.contains(&flag), "{shell}: {name} --{flag}");
            }
        }
    }
}

#[test]
fn there_is_a_page_for_every_command_and_it_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    // Made, with what is above it.
    let pages = directory.path().join("share/man1");
    run(&["man", &pages.display().to_string()]);
    let commands = commands();
    assert_eq!(std::fs::read_dir(&pages).unwrap().count(), commands.len());
    for (name, command) in commands {
        let page = pages.join(format!("{name}.1"));
        let output = Process::new("groff")
            .args(["-man", "-Kutf8", "-ww", "-Tutf8", "-P-c", "-P-b", "-P-u"])
            .arg(&page)
            .output()
            .expect("groff must be installed (Debian package groff-base)");
        assert!(
            output.stderr.is_empty(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // Hyphens at the ends of lines are groff's own.
        let text = stdout(&output).replace("‐\n", "");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let about = command.get_about().unwrap().to_string();
        let about = about.split_whitespace().next().unwrap();
        assert!(text.contains(&name) && text.contains(about), "{name}: {text}");
        for flag in flags(&command) {
            assert!(
                text.contains(&format!("--{flag}")),
                "{name}: --{flag} is not in {text}"
            );
        }
    }
    let weight = std::fs::read_to_string(pages.join("switchback-weight.1")).unwrap();
    assert!(weight.contains("SWITCHBACK_SOCKET"), "{weight}");
    let own = std::fs::read_to_string(pages.join("switchback.1")).unwrap();
    assert!(
        run(&["man"]).lines().count() >= own.lines().count() - 1,
        "without a directory it is printed"
    );
}

#[test]
fn pages_that_cannot_be_written_are_told_in_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = Process::new(PROGRAM).arg("man").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), said.lines().count()),
        (Some(1), 1),
        "{said}"
    );
    assert!(
        said.contains(&format!("cannot write into {}", file.display())),
        "{said}"
    );
}
