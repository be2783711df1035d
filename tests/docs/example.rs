//! What does `config/example.toml` say of each table and each key?
//!
//! Pure: the file's form is that of its own head. A comment belongs to the key or header below it, or, with a blank line
//! after it, to the table above.

pub(crate) const EXAMPLE: &str = include_str!("../../config/example.toml");

/// The file.
pub(crate) struct Example {
    pub(crate) head: Vec<String>,
    pub(crate) tables: Vec<Table>,
}

/// One table.
pub(crate) struct Table {
    /// As it is written: `[route.guard]`.
    pub(crate) header: &'static str,
    pub(crate) about: Vec<String>,
    pub(crate) groups: Vec<Group>,
    /// What stands below its keys.
    pub(crate) after: Vec<String>,
}

/// Keys that are explained together.
pub(crate) struct Group {
    pub(crate) about: Vec<String>,
    pub(crate) keys: Vec<Key>,
}

/// One key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What it is set to.
    pub(crate) value: &'static str,
    pub(crate) kind: Kind,
    /// Counted from 0.
    pub(crate) line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The value is the default.
    On,
    /// There is no default.
    Off,
    /// It may stand in place of those that begin with its name.
    Instead,
}

enum Line {
    Blank,
    Header(&'static str),
    Key(Key),
    Words(&'static str),
}

fn pair(text: &'static str, kind: Kind, line: usize) -> Option<Key> {
    let (name, value) = text.split_once(" = ")?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_name.then_some(Key {
        name,
        value,
        kind,
        line,
    })
}

fn line(text: &'static str, at: usize) -> Line {
    let is_header = |text: &str| text.starts_with('[') && text.ends_with(']');
    if text.is_empty() {
        return Line::Blank;
    }
    let Some(comment) = text.strip_prefix('#') else {
        return match pair(text, Kind::On, at) {
            Some(key) => Line::Key(key),
            None => Line::Header(text),
        };
    };
    match comment.strip_prefix(' ') {
        Some(words) => pair(words, Kind::Instead, at).map_or(Line::Words(words), Line::Key),
        None if is_header(comment) => Line::Header(comment),
        None => pair(comment, Kind::Off, at).map_or(Line::Words(comment), Line::Key),
    }
}

pub(crate) fn read() -> Example {
    let mut example = Example {
        head: Vec::new(),
        tables: Vec::new(),
    };
    let mut words: Vec<String> = Vec::new();
    let mut instead: Vec<Key> = Vec::new();
    for (at, text) in EXAMPLE.lines().chain([""]).enumerate() {
        match (line(text, at), example.tables.last_mut()) {
            (Line::Words(text), _) => words.push(text.to_owned()),
            (Line::Blank, None) => example.head.append(&mut words),
            (Line::Blank, Some(table)) => {
                table.after.append(&mut words);
                instead.clear();
            }
            (Line::Header(header), _) => example.tables.push(Table {
                header,
                about: std::mem::take(&mut words),
                groups: Vec::new(),
                after: Vec::new(),
            }),
            (Line::Key(key), Some(_)) if key.kind == Kind::Instead => {
                words.push(format!("`{} = {}`", key.name, key.value));
                instead.push(key);
            }
            (Line::Key(key), Some(table)) if words.is_empty() && !table.groups.is_empty() => {
                table.groups.last_mut().unwrap().keys.push(key);
            }
            (Line::Key(key), Some(table)) => table.groups.push(Group {
                about: std::mem::take(&mut words),
                keys: instead.drain(..).chain([key]).collect(),
            }),
            (Line::Key(key), None) => panic!("{} stands in no table", key.name),
        }
    }
    example
}

impl Example {
    /// The keys of all tables, each with its table and what explains it.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&Table, &Group, &Key)> {
        self.tables.iter().flat_map(|table| {
            let groups = table.groups.iter();
            groups.flat_map(move |group| group.keys.iter().map(move |key| (table, group, key)))
        })
    }

    /// The whole file with everything on, and `value` at this key.
    pub(crate) fn with(&self, key: &Key, value: &str) -> String {
        let table = self.tables.iter().rfind(|table| {
            let first = table
                .groups
                .iter()
                .flat_map(|group| &group.keys)
                .map(|key| key.line);
            first.min().is_some_and(|line| line <= key.line)
        });
        let siblings = table
            .into_iter()
            .flat_map(|table| &table.groups)
            .flat_map(|group| &group.keys);
        let gives_way: Vec<usize> = siblings
            .filter(|other| key.kind == Kind::Instead && other.name.starts_with(&format!("{}_", key.name)))
            .map(|other| other.line)
            .collect();
        let lines = EXAMPLE.lines().enumerate().map(|(at, text)| {
            if at == key.line {
                format!("{} = {value}", key.name)
            } else if gives_way.contains(&at) {
                String::new()
            } else {
                on(text).to_owned()
            }
        });
        all_on(lines)
    }
}

/// These lines, with TLS in the URLs: without, its tables would be faults.
pub(crate) fn all_on(lines: impl Iterator<Item = impl Into<String>>) -> String {
    let text = lines.map(Into::into).collect::<Vec<String>>().join("\n");
    text.replace("\"redis+sentinel:", "\"rediss+sentinel:")
}

/// The line, switched on.
pub(crate) fn on(text: &str) -> &str {
    match text.strip_prefix('#') {
        Some(off) if !off.is_empty() && !off.starts_with(' ') => off,
        _ => text,
    }
}
