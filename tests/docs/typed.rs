//! Does the program take every command line of its own that a page shows?
//!
//! Lines of code blocks and code in the text that begin with `switchback`. Words in capitals stand for something; what shows a
//! form and not a line (`[ROUTE]`, `start|pause`) is left out.

use clap::Parser as _;
use clap::error::ErrorKind;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use switchback::cli::Args;

use super::links::pages;
use super::page::root;

/// One, as it stands on a page.
struct Line {
    text: String,
    /// In a block of code. In the text a command may be named without all it needs.
    is_whole: bool,
}

fn lines(page: &str) -> Vec<Line> {
    let (mut lines, mut is_block) = (Vec::new(), false);
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => is_block = true,
            Event::End(TagEnd::CodeBlock) => is_block = false,
            Event::Text(block) if is_block => {
                let parts: Vec<&str> = block.split("\\\n").map(str::trim_start).collect();
                lines.extend(parts.concat().lines().map(|line| (line.to_owned(), true)));
            }
            Event::Code(code) => lines.push((code.into_string(), false)),
            _ => {}
        }
    }
    let own = |(line, is_whole): (String, bool)| {
        let line = line.trim_start_matches(['$', '#', ' ']);
        let line = line.strip_prefix("until ").unwrap_or(line);
        line.starts_with("switchback ").then(|| Line {
            text: line.to_owned(),
            is_whole,
        })
    };
    lines.into_iter().filter_map(own).collect()
}

/// The words of one, without what a shell does with it and what is said about it. `None`: it is a form.
fn words(line: &str) -> Option<Vec<String>> {
    let ends = ["  ", " #", " | ", " || ", "; ", " 2>", " &"];
    let end = ends.iter().filter_map(|end| line.find(end)).min();
    let line = &line[..end.unwrap_or(line.len())];
    if line.contains(['[', '|', '(']) {
        return None;
    }
    let (mut words, mut quote) = (vec![String::new()], None);
    for char in line.chars() {
        match quote {
            Some(open) if open == char => quote = None,
            None if matches!(char, '\'' | '"') => quote = Some(char),
            None if char == ' ' => words.push(String::new()),
            _ => words.last_mut().unwrap().push(char),
        }
    }
    Some(words)
}

/// With something for the words that stand for something.
fn filled_in(words: &[String]) -> Vec<String> {
    let filled = |word: &String| match word.as_str() {
        "PERCENT" | "N" => "5".to_owned(),
        "DURATION" => "5m".to_owned(),
        "SHELL" => "bash".to_owned(),
        "$SWITCHBACK_SOCKET" => "/s".to_owned(),
        word => word.to_owned(),
    };
    words.iter().map(filled).collect()
}

#[test]
fn every_command_line_that_a_page_shows_is_one_the_program_takes() {
    let (mut count, mut faults) = (0, Vec::new());
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for line in lines(&text) {
            let Some(words) = words(&line.text) else { continue };
            count += 1;
            let Err(error) = Args::try_parse_from(filled_in(&words)) else {
                continue;
            };
            let is_fine = match error.kind() {
                ErrorKind::DisplayHelp => true,
                ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                    !line.is_whole
                }
                _ => false,
            };
            if !is_fine {
                let page = page.strip_prefix(root()).unwrap().display();
                faults.push(format!("{page}: {}: {error}", line.text));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 60, "{count}");
}

#[test]
fn a_command_line_is_read_as_a_shell_would() {
    let read = |line: &str| words(line).map(|words| words.join("/"));
    assert_eq!(
        read("switchback back r --reason 'p99 rose'").unwrap(),
        "switchback/back/r/--reason/p99 rose"
    );
    assert_eq!(
        read("switchback status      # both sides").unwrap(),
        "switchback/status"
    );
    assert_eq!(
        read("switchback weight r || echo no").unwrap(),
        "switchback/weight/r"
    );
    assert_eq!(read("switchback status [ROUTE]"), None);
}
