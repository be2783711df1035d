//! Is `docs/configuration.md` what `config/example.toml` and the code say? With `SWITCHBACK_WRITE_DOCS=1` it is written anew.
//!
//! Defaults and reasons are the example's, which `src/config/example_tests.rs` compares with the code. What is allowed, the
//! code is asked for: it is given a date, which no key takes. So is whether a key may be changed while the proxy runs: by
//! another valid value.

use std::fmt::Write;
use std::sync::LazyLock;

use switchback::config::{Config, Surroundings, parse, reloadable};
use toml::Value;

use super::example::{EXAMPLE, Example, Group, Key, Kind, Table, all_on, on, read};
use super::page;

const HEAD: &str = "# Configuration

Every key of the configuration file, table by table. Made from [config/example.toml](../config/example.toml) and the code by
`tests/docs`, which fails when this is out of date: `SWITCHBACK_WRITE_DOCS=1 cargo test --test docs` writes it anew. So a key is
explained in one place, the comments of the example.

`switchback check --config FILE` lists everything that is wrong with a file: key, line, what was found, what is allowed. Unknown keys
are errors.

- **duration**: a string with a unit, `\"250ms\"`, `\"5s\"`, `\"2m\"`, `\"1h\"`, also `\"1m 30s\"`.
- **size**: bytes as a number, or a string in kb, mb and gb, which are powers of 1024. Redis's k, m and g (powers of 1000) are refused,
  so that no size can be read in two ways.
- **while running**: *yes*: a changed value is applied by `CONFIG RELOAD` or SIGHUP, without dropping a connection. *restart*: a reload
  with a changed value is refused whole, naming the key, and the old configuration stays. A restart keeps weight, epoch and latch.
- A key without a default (*none*) is left out where it does not apply. `name`, `listen` and `old` must be given.

Flags of `switchback run` (`switchback run --help`) stand for the few keys that one route needs; everything else has its default then.
";

/// Read once, when the state directory knows nothing of the route.
const ONCE: &str = "weight";
const MAY_CHANGE: [&str; 2] = [
    "May be changed while the proxy runs",
    "read again at CONFIG RELOAD",
];
/// Of a type that no key has.
const DATE: &str = "1979-05-27";

/// Two certificates for one key, which stands beside them.
static PEMS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    ["a", "b"].map(|name| {
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem() + &key.serialize_pem()).into_bytes()
    })
});

/// Other names, other contents.
fn around() -> Surroundings<'static> {
    Surroundings {
        cores: 3,
        is_root: false,
        read: &|path, _| {
            let path = path.display().to_string();
            let is_pem = path.contains(".pem") || path.contains(".key");
            Ok(match is_pem {
                true => PEMS[usize::from(path.ends_with('2'))].clone(),
                false => format!("{path} \n").into_bytes(),
            })
        },
        env: &|name| Some(name.into()),
        roots: &Vec::new,
    }
}

/// The file with everything on that is off.
fn base() -> Config {
    parse(&all_on(EXAMPLE.lines().map(on)), &around()).unwrap_or_else(|faults| panic!("{faults}"))
}

/// What the code says it takes; `None` where it knows no such key.
fn allowed(example: &Example, key: &Key) -> Option<String> {
    let faults = parse(&example.with(key, DATE), &around()).unwrap_err();
    let fault = faults
        .iter()
        .find(|fault| fault.line == Some(key.line + 1))
        .unwrap();
    if fault.text.starts_with("unknown key") {
        return None;
    }
    let (_, allowed) = fault
        .text
        .split_once("allowed: ")
        .unwrap_or_else(|| panic!("{fault}"));
    Some(allowed.to_owned())
}

/// In fewer words: what a duration and a size are stands above.
fn short(allowed: &str) -> String {
    let mut text = allowed.to_owned();
    for (long, short) in [
        (
            "a duration such as \"250ms\", \"5s\" or \"2m\", from ",
            "duration, ",
        ),
        (
            "bytes as a whole number, or a string with kb, mb or gb such as \"64mb\", from ",
            "size, ",
        ),
        ("a whole number from ", "whole number, "),
    ] {
        text = text.replace(long, short);
    }
    text.replace('|', "\\|")
}

/// Words that stand in quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// Other values that a key with this one may have, as TOML has them.
fn others(value: &Value, allowed: &str) -> Vec<Value> {
    match value {
        Value::Integer(number) => [number + 1, number - 1].map(Value::from).to_vec(),
        Value::Float(number) => vec![Value::from(number + 1.0)],
        Value::Boolean(is_so) => vec![Value::from(!is_so)],
        Value::String(text) => {
            let words = quoted(allowed).map(str::to_owned);
            let more = [1i64, -1].into_iter().filter_map(|by| counted(text, by));
            words
                .chain(more)
                .chain([format!("{text}2")])
                .map(Value::from)
                .collect()
        }
        Value::Array(items) => match items.split_last() {
            None => quoted(allowed).map(|word| Value::from(vec![word])).collect(),
            Some((last, rest)) => {
                let with = |item| Value::Array(rest.iter().cloned().chain([item]).collect());
                others(last, allowed).into_iter().map(with).collect()
            }
        },
        _ => Vec::new(),
    }
}

/// The last number in a text, greater by this.
fn counted(text: &str, by: i64) -> Option<String> {
    let end = text.rfind(|char: char| char.is_ascii_digit())? + 1;
    let start = text[..end]
        .rfind(|char: char| !char.is_ascii_digit())
        .map_or(0, |at| at + 1);
    let digits = &text[start..end];
    let number = digits.parse::<i64>().ok()? + by;
    Some(format!(
        "{}{number:0width$}{}",
        &text[..start],
        &text[end..],
        width = digits.len()
    ))
}

/// Whether it may be changed while the proxy runs; `None`: there is nothing to change it to.
fn may_change(example: &Example, key: &Key, base: &Config) -> Option<bool> {
    let allowed = allowed(example, key)?;
    let read: toml::Table = format!("it = {}", key.value).parse().unwrap();
    let changed = others(&read["it"], &allowed).into_iter().find_map(|value| {
        let config = parse(&example.with(key, &value.to_string()), &around()).ok()?;
        (config != *base).then_some(config)
    });
    changed.map(|changed| reloadable(base, &changed).is_ok())
}

/// Whether comments say that it may be changed while the proxy runs.
fn says(lines: &[String]) -> bool {
    let text = lines.join(" ");
    MAY_CHANGE.iter().any(|words| text.contains(words))
}

/// The same of what stands above a table. A rule's is within the guard's; of one that is the same for the other side, the one above says it.
fn table_says(example: &Example, table: &Table) -> bool {
    let tables = &example.tables;
    let is_same = table
        .about
        .first()
        .is_some_and(|line| line.starts_with("The same"));
    let above = tables
        .iter()
        .position(|one| one.header == table.header)
        .unwrap_or_default();
    let outer = |one: &&Table| {
        table
            .header
            .starts_with(&format!("{}.", one.header.trim_end_matches(']')))
    };
    says(&table.about)
        || (is_same && above > 0 && table_says(example, &tables[above - 1]))
        || tables.iter().filter(outer).any(|outer| says(&outer.about))
}

/// Whether the same holds without it, everything else being on.
fn is_default(key: &Key, base: &Config) -> bool {
    let without = EXAMPLE.lines().enumerate().filter(|(at, _)| *at != key.line);
    let without = parse(&all_on(without.map(|(_, text)| on(text))), &around());
    without.is_ok_and(|without| without == *base)
}

/// Comments as Markdown. What is indented stays as it is.
fn prose(lines: &[String], indent: &str) -> String {
    let mut text = String::new();
    let mut is_block = false;
    for line in lines {
        let is_indented = line.starts_with("  ");
        if is_indented != is_block {
            let fence = if is_indented { "\n```text" } else { "```\n" };
            writeln!(
                text,
                "{}{indent}{}",
                if is_indented { "\n" } else { "" },
                fence.trim_start()
            )
            .unwrap();
            is_block = is_indented;
        }
        let line = if is_indented {
            line.clone()
        } else {
            line.replace('<', "\\<")
        };
        writeln!(text, "{indent}{line}").unwrap();
    }
    if is_block {
        writeln!(text, "{indent}```").unwrap();
    }
    text
}

fn names(group: &Group) -> String {
    let names = group.keys.iter().map(|key| format!("`{}`", key.name));
    names.collect::<Vec<_>>().join(", ")
}

fn write_table(page: &mut String, example: &Example, table: &Table, base: &Config) {
    writeln!(page, "\n## `{}`\n", table.header).unwrap();
    if !table.about.is_empty() {
        writeln!(page, "{}", prose(&table.about, "")).unwrap();
    }
    page.push_str("| key | default | allowed | while running |\n| --- | --- | --- | --- |\n");
    for key in table.groups.iter().flat_map(|group| &group.keys) {
        let Some(allowed) = allowed(example, key) else {
            continue;
        };
        let default = match key.kind {
            Kind::On | Kind::Off if is_default(key, base) => format!("`{}`", key.value),
            _ => "none".to_owned(),
        };
        let change = match may_change(example, key, base) {
            _ if key.name == ONCE => "read once",
            Some(true) => "yes",
            Some(false) => "restart",
            // A key is changed with its certificate.
            None if table_says(example, table) => "yes",
            None => "",
        };
        writeln!(
            page,
            "| `{}` | {default} | {} | {change} |",
            key.name,
            short(&allowed)
        )
        .unwrap();
    }
    let explained: Vec<&Group> = table
        .groups
        .iter()
        .filter(|group| !group.about.is_empty())
        .collect();
    if !explained.is_empty() {
        page.push('\n');
    }
    for group in explained {
        let about = prose(&group.about, "  ");
        writeln!(page, "- {}: {}", names(group), about.trim_start().trim_end()).unwrap();
    }
    if !table.after.is_empty() {
        write!(page, "\n{}", prose(&table.after, "")).unwrap();
    }
}

#[test]
fn the_page_of_the_configuration_is_what_the_example_and_the_code_say() {
    let (example, base) = (read(), base());
    let mut page = HEAD.to_owned();
    for table in &example.tables {
        write_table(&mut page, &example, table, &base);
    }
    page::compare("configuration.md", &page);
}

#[test]
fn the_example_says_of_each_key_whether_it_may_be_changed_while_the_proxy_runs() {
    let (example, base) = (read(), base());
    let mut changeable = 0;
    for (table, group, key) in example.keys() {
        let Some(may) = may_change(&example, key, &base) else {
            continue;
        };
        let said = says(&group.about) || table_says(&example, table) || key.name == ONCE;
        assert_eq!(said, may, "{} {}", table.header, key.name);
        changeable += usize::from(may);
    }
    assert!(changeable > 50, "{changeable}");
}

#[test]
fn every_key_of_the_example_can_be_read_and_nearly_every_one_changed() {
    let (example, base) = (read(), base());
    let (mut changed, mut fixed) = (0, Vec::new());
    for (table, _, key) in example.keys() {
        let is_known = allowed(&example, key).is_some();
        assert!(
            is_known || key.kind == Kind::Instead,
            "{} {}",
            table.header,
            key.name
        );
        match may_change(&example, key, &base) {
            Some(_) => changed += 1,
            None if is_known => fixed.push(key.name),
            None => {}
        }
    }
    // Such as `data`, which has one value. What the page says of others would be nothing.
    assert!(fixed.contains(&"data") && fixed.len() * 20 < changed, "{fixed:?}");
}
