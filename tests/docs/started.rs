//! Does what `docs/getting-started.md` has the reader type do what it says?
//!
//! Its `sh` blocks are run in their order by one shell, on ports and in a directory of the test's own. What a block prints must have
//! what the `text` block below it says: its lines in this order, `…` standing for anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use switchback::lab::{Directory, Process, free_port, wait_for};

const PAGE: &str = include_str!("../../docs/getting-started.md");
const PORTS: [&str; 6] = ["6400", "9640", "7101", "7102", "7201", "7202"];
const PLACE: &str = "/tmp/switchback-try";
/// Printed before each block.
const MARK: &str = "-- block --";
const PATIENCE: Duration = Duration::from_secs(120);

/// A shell and what it has put into the background: none of that is left on the machine, however the test ends.
struct WithAllItStarted(Pid);

impl Drop for WithAllItStarted {
    fn drop(&mut self) {
        // Nobody is left where all went well.
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

/// What is typed, and what is to be printed.
struct Step {
    typed: String,
    printed: Vec<String>,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut kind = None;
    for event in Parser::new(page) {
        match (event, kind.as_deref()) {
            (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(of))), _) => kind = Some(of.into_string()),
            (Event::End(TagEnd::CodeBlock), _) => kind = None,
            (Event::Text(text), Some("sh")) => steps.push(Step {
                typed: text.into_string(),
                printed: Vec::new(),
            }),
            (Event::Text(text), Some("text")) => {
                let step = steps.last_mut().expect("a `sh` block above a `text` block");
                step.printed.extend(text.lines().map(str::to_owned));
            }
            _ => {}
        }
    }
    steps
}

/// Blanks in tables are as wide as the table asks.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first expected line that is not there, in its place.
fn missing<'a>(printed: &str, expected: &'a [String]) -> Option<&'a str> {
    let mut rest = plain(printed);
    for line in expected {
        for part in line.split('…').map(plain) {
            let Some(at) = rest.find(&part) else {
                return Some(line);
            };
            rest.drain(..at + part.len());
        }
    }
    None
}

#[test]
fn what_the_page_has_the_reader_type_does_what_it_says() {
    let directory = Directory::create("getting-started").unwrap();
    let place = directory.path().display().to_string();
    let ports: BTreeMap<&str, String> = PORTS.map(|port| (port, free_port().unwrap().to_string())).into();
    let here = |text: &str| {
        let text = text.replace(PLACE, &place);
        ports
            .iter()
            .fold(text, |text, (port, ours)| text.replace(port, ours))
    };
    let steps = steps(&here(PAGE));
    let typed: Vec<String> = steps
        .iter()
        .map(|step| format!("echo '{MARK}'\n{}", step.typed))
        .collect();
    let program = Path::new(env!("CARGO_BIN_EXE_switchback"))
        .parent()
        .unwrap()
        .display();
    let script = format!(
        "set -u -o pipefail\nexport PATH=\"{program}:$PATH\"\n{}\necho '{MARK}'\n",
        typed.concat()
    );
    let file = directory.write("try.sh", &script).unwrap();
    let log = directory.path().join("log");
    let mut shell = Process::start(Path::new("bash"), &[file.as_os_str()], &log).unwrap();
    let read = || std::fs::read_to_string(&log).unwrap();
    let _all = WithAllItStarted(Pid::from_raw(shell.pid().cast_signed()));
    let ended = wait_for("the page's commands to end", PATIENCE, || !shell.is_running());
    ended.unwrap_or_else(|error| panic!("{error}\n{}", read()));
    let printed = read();
    let blocks: Vec<&str> = printed.split(&format!("{MARK}\n")).skip(1).collect();
    assert_eq!(blocks.len(), steps.len() + 1, "{printed}");
    for (step, printed) in steps.iter().zip(blocks) {
        let missing = missing(printed, &step.printed);
        assert_eq!(missing, None, "after\n{}\nit printed\n{printed}", step.typed);
    }
}

#[test]
fn a_line_that_is_not_printed_in_its_place_is_missed() {
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(missing("a  b c\nd", &lines(&["a b", "d"])), None);
    assert_eq!(missing("a x c\nd", &lines(&["a … c"])), None);
    assert_eq!(missing("d\na", &lines(&["a", "d"])), Some("d"));
    assert_eq!(missing("a", &lines(&["b"])), Some("b"));
}
