//! Is `docs/commands.md` what the command table says? With `SWITCHBACK_WRITE_DOCS=1` it is written anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::path::Path;

use switchback::data_plane::command::{
    Intent, KeyRule, KeyspaceUse, LocalCommand, MergeKind, ScriptUse, Spec, SplitKind, flags, specs,
};

const HEAD: &str = "# Commands

Made from the table of commands (`src/data_plane/command/table.rs`) by `tests/command_docs.rs`, which fails when this is out of
date: `SWITCHBACK_WRITE_DOCS=1 cargo test --test command_docs` writes it anew.

Each command of Redis 7.0 is treated in one of four ways: forwarded, by its keys if it has any; answered by the proxy; sent to
both sides, whose replies are merged; or refused, with the reason. *At 0 and 100* one side owns every key, and is the owner of
what has none. *Between* both own some: the *majority owner* owns most, `old` at 50. \"Both sides, or refused\" (`-CROSSSIDE`) is said
of commands with several keys: what has one owner is forwarded to it. An error of either side is the reply to what was sent to both.

In a transaction a command goes to the side of the transaction: between weights, what is sent to both sides outside is refused.

| command | at 0 and 100 | between |
| --- | --- | --- |
";

/// What is refused between weights, and why.
const NOT_BETWEEN: &str = "refused: one side might do it and the other not, which would not fit together";

fn has_several_keys(rule: KeyRule) -> bool {
    match rule {
        KeyRule::None | KeyRule::Channel => false,
        KeyRule::Range { first, last, .. } => i32::from(last) != i32::from(first),
        KeyRule::Counted { .. }
        | KeyRule::StoreCounted
        | KeyRule::Streams
        | KeyRule::SortStore
        | KeyRule::GeoStore
        | KeyRule::Migrate => true,
    }
}

/// Where a command goes that goes to one side.
fn owner(spec: &Spec) -> [String; 2] {
    let [all, between] = match spec.keys {
        KeyRule::None => ["owner", "majority owner"],
        KeyRule::Channel => ["owner of the channel"; 2],
        rule if has_several_keys(rule) => [
            "owner of the keys",
            "owner of the keys, or refused (`-CROSSSIDE`)",
        ],
        _ => ["owner of the key"; 2],
    };
    [all.to_owned(), between.to_owned()]
}

fn both(spec: &Spec, how: &str) -> [String; 2] {
    [owner(spec)[0].clone(), format!("both sides: {how}")]
}

fn merged(kind: MergeKind) -> &'static str {
    match kind {
        MergeKind::Sum => "the sum",
        MergeKind::Least => "the lesser of each pair",
        MergeKind::Channels(_) => "each name once",
        MergeKind::Subscribers(_) | MergeKind::Patterns => "counted once",
        MergeKind::First => "the same reply",
        MergeKind::Either => "the first that is no error",
    }
}

fn local(command: LocalCommand) -> &'static str {
    match command {
        LocalCommand::Hello => "a server's reply, in the protocol asked for",
        LocalCommand::Select => "answered by the proxy, if the server has the database",
        LocalCommand::ClientSetInfo => "answered by the proxy as by Redis 7.0, which lacks it",
        LocalCommand::ClientInfo
        | LocalCommand::ClientList
        | LocalCommand::ClientKill
        | LocalCommand::ClientUnblock
        | LocalCommand::ClientPause
        | LocalCommand::ClientUnpause => "answered by the proxy, about its own clients",
        LocalCommand::ClientTracking => {
            "answered by the proxy; the nodes track on connections of the client's own"
        }
        LocalCommand::Monitor => "what the servers of the owners execute, on connections of the client's own",
        LocalCommand::ClientUnknown => "a server's reply, on a connection of the client's own",
        _ => "answered by the proxy",
    }
}

fn ways(spec: &Spec) -> [String; 2] {
    let same = |text: &str| [text.to_owned(), text.to_owned()];
    let with = |text: &str| owner(spec).map(|owner| format!("{owner}; {text}"));
    match spec.intent {
        Intent::Forward => owner(spec),
        Intent::Info => with("with a section of the proxy's own"),
        Intent::Split(SplitKind::Mget) => both(spec, "each its keys, in request order"),
        Intent::Split(SplitKind::Mset) => both(spec, "each its keys"),
        Intent::Split(SplitKind::Sum) => both(spec, "each its keys, the sum"),
        Intent::Everywhere(
            kind @ (MergeKind::Channels(_) | MergeKind::Subscribers(_) | MergeKind::Patterns),
        ) => [
            "owner; the proxy's clients for its links".to_owned(),
            format!("both sides: {}; the proxy's clients for its links", merged(kind)),
        ],
        Intent::Everywhere(kind) => both(spec, merged(kind)),
        Intent::Keyspace(KeyspaceUse::Scan) => [
            "owner; the cursor says when the scan began, and goes on there".to_owned(),
            "one side after the other, each the keys it owned when the scan began".to_owned(),
        ],
        Intent::Keyspace(KeyspaceUse::Keys) => both(spec, "each the keys it owns"),
        Intent::Keyspace(KeyspaceUse::Random) => {
            both(spec, "one key of a side drawn by weight, which it owns")
        }
        Intent::Script(ScriptUse::Eval) => with("the script is kept"),
        Intent::Script(ScriptUse::EvalSha) => with("the script is loaded there first, if it is known"),
        Intent::Script(ScriptUse::Load | ScriptUse::Flush) => both(spec, "the same reply"),
        Intent::Libraries => [
            "owner; the other side is told besides".to_owned(),
            "both sides: the same reply".to_owned(),
        ],
        Intent::Local(command) => same(local(command)),
        Intent::Multi => same("answered by the proxy; the first command with a key decides the side"),
        Intent::Exec | Intent::Discard => same("side of the transaction, on a link of the client's own"),
        Intent::Watch => with("on a link of the client's own"),
        Intent::Unwatch => same("answered by the proxy"),
        Intent::Blocking => with("on a link of the client's own"),
        Intent::Alone => with("on a link of the client's own"),
        Intent::Wait => [
            "owner; on a link of the client's own".to_owned(),
            "both sides, on links of the client's own: the lesser number".to_owned(),
        ],
        Intent::OneSideOnly => [owner(spec)[0].clone(), NOT_BETWEEN.to_owned()],
        Intent::Subscribe(_) => same("kept by the proxy, which subscribes on both sides"),
        Intent::Unsubscribe(_) => same("answered by the proxy"),
        Intent::Unsupported(why) => same(&format!("refused: {why}")),
        Intent::Restricted(why) if spec.name == "debug" => [
            format!(
                "from the proxy's own host, or with `allow`: owner, which may refuse it, on a link of the client's own; else refused: {why}"
            ),
            format!("refused: {why}"),
        ],
        Intent::Restricted(why) if matches!(spec.name, "psync" | "sync") => [
            format!("refused: {why}; with `allow`: a connection of the client's own to the owner, for good"),
            format!("refused: {why}"),
        ],
        Intent::Restricted(why) => [
            format!("refused: {why}; with `allow`: owner, on a link of the client's own"),
            format!("refused: {why}"),
        ],
        Intent::Unknown => [
            "owner".to_owned(),
            "refused: what it does is not known".to_owned(),
        ],
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for spec in specs() {
        let name = match spec.name.split_once('|') {
            Some((container, subcommand)) => format!("`{container} {subcommand}`"),
            None if spec.has(flags::CONTAINER) && spec.name != "debug" => {
                format!("`{}`, another subcommand", spec.name)
            }
            None => format!("`{}`", spec.name),
        };
        let [all, between] = ways(spec);
        let between = if between == all { "the same" } else { &between };
        writeln!(page, "| {name} | {all} | {between} |").unwrap();
    }
    page
}

#[test]
fn the_page_of_commands_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    let page = page();
    if std::env::var_os("SWITCHBACK_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(made, is)| made != is);
    assert!(
        written == page,
        "docs/commands.md is out of date: SWITCHBACK_WRITE_DOCS=1 cargo test --test command_docs writes it; {differs:?}"
    );
}

#[test]
fn every_command_has_a_row_and_every_refusal_its_reason() {
    let page = page();
    assert_eq!(
        page.lines().filter(|line| line.starts_with("| `")).count(),
        specs().count()
    );
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let reasons = line.matches("refused: ").count() + line.matches("refused (`-CROSSSIDE`)").count();
        assert_eq!(line.matches("refused").count(), reasons, "{line}");
    }
}
