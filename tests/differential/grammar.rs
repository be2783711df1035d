//! What forms do commands have?
//!
//! Pure: reads `grammar.txt`, whose head explains it, and makes commands of its lines.

use fastrand::Rng;

use crate::kinds::{Chosen, Kinds};

const TEXT: &str = include_str!("grammar.txt");
/// How often a line without a number comes.
const USUAL: u32 = 4;

/// A command, and which of its words are keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Command {
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) keys: Vec<usize>,
}

impl Command {
    /// One of these words, none of them a key.
    pub(crate) fn of(words: &[&str]) -> Self {
        Self {
            words: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
            keys: Vec::new(),
        }
    }

    /// Of a container also the subcommand; upper case.
    pub(crate) fn word(&self, at: usize) -> String {
        let word = self.words.get(at).map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(word).to_ascii_uppercase()
    }
}

enum Node {
    Word(Vec<u8>),
    Kind(&'static str),
    Maybe(Vec<Node>),
    Repeated(Vec<Node>),
    OneOf(Vec<Vec<Node>>),
}

pub(crate) struct Form {
    often: u32,
    nodes: Vec<Node>,
}

pub(crate) struct Grammar {
    forms: Vec<Form>,
    total: u32,
}

impl Grammar {
    pub(crate) fn read() -> Self {
        let lines = TEXT
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let forms: Vec<Form> = lines.map(form).collect();
        let total = forms.iter().map(|form| form.often).sum();
        Self { forms, total }
    }

    pub(crate) fn any(&self, rng: &mut Rng) -> &Form {
        let mut at = rng.u32(..self.total);
        let chosen = self.forms.iter().find(|form| {
            let here = at < form.often;
            at = at.wrapping_sub(form.often);
            here
        });
        chosen.unwrap()
    }

    pub(crate) fn forms(&self) -> &[Form] {
        &self.forms
    }
}

impl Form {
    pub(crate) fn command(&self, rng: &mut Rng, kinds: &Kinds, chosen: &Chosen) -> Command {
        let mut command = Command::default();
        expand(&self.nodes, rng, kinds, chosen, &mut command);
        command
    }
}

fn expand(nodes: &[Node], rng: &mut Rng, kinds: &Kinds, chosen: &Chosen, command: &mut Command) {
    for node in nodes {
        match node {
            Node::Word(word) => command.words.push(word.clone()),
            Node::Kind(kind) => kinds.add(kind, rng, chosen, command),
            Node::Maybe(nodes) => {
                if rng.bool() {
                    expand(nodes, rng, kinds, chosen, command);
                }
            }
            Node::Repeated(nodes) => {
                for _ in 0..rng.usize(1..=4) {
                    expand(nodes, rng, kinds, chosen, command);
                }
            }
            Node::OneOf(choices) => {
                let choice = &choices[rng.usize(..choices.len())];
                expand(choice, rng, kinds, chosen, command);
            }
        }
    }
}

fn form(line: &'static str) -> Form {
    let mut tokens = tokens(line);
    let often = tokens[0].parse().ok();
    if often.is_some() {
        tokens.remove(0);
    }
    let mut rest = tokens.as_slice();
    let mut choices = choices(&mut rest, None);
    assert!(rest.is_empty() && choices.len() == 1, "{line}");
    Form {
        often: often.unwrap_or(USUAL),
        nodes: choices.remove(0),
    }
}

/// What stands until `end`, `|` between.
fn choices(rest: &mut &[&'static str], end: Option<&str>) -> Vec<Vec<Node>> {
    let mut choices = vec![Vec::new()];
    while let Some((token, behind)) = rest.split_first() {
        *rest = behind;
        let node = match *token {
            token if Some(token) == end => return choices,
            "|" => {
                choices.push(Vec::new());
                continue;
            }
            "(" => Node::OneOf(self::choices(rest, Some(")"))),
            "[" => Node::Maybe(vec![Node::OneOf(self::choices(rest, Some("]")))]),
            "{" => Node::Repeated(vec![Node::OneOf(self::choices(rest, Some("}")))]),
            token => match token.strip_prefix('<').and_then(|kind| kind.strip_suffix('>')) {
                Some(kind) => Node::Kind(kind),
                None => Node::Word(unquoted(token)),
            },
        };
        choices.last_mut().unwrap().push(node);
    }
    assert!(end.is_none(), "unbalanced");
    choices
}

/// At spaces, but not within quotes.
fn tokens(line: &'static str) -> Vec<&'static str> {
    let mut quoted = false;
    let split = |character: char| {
        quoted ^= character == '"';
        character == ' ' && !quoted
    };
    line.split(split).filter(|token| !token.is_empty()).collect()
}

fn unquoted(token: &str) -> Vec<u8> {
    token.trim_matches('"').as_bytes().to_vec()
}
