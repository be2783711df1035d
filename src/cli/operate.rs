//! What does each command ask of the running proxy?
//!
//! Shell: arguments to admin requests, replies to stdout. Only JSON is asked for: the tables are made here, so that a
//! proxy of another version can still be read.

use std::time::Duration;

use serde_json::Value;

use super::args::{BackArgs, Command, EventsArgs, ListArgs, RampArgs, WeightArgs};
use super::client::{Client, ClientError};
use super::output::{Failure, divider, print};
use super::{render, watch};
use crate::limits::{EVENTS_KEPT, UPGRADE_PREPARE_WAIT};

/// Time between two repetitions of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Runs a command that needs a running proxy.
pub(super) fn operate(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Status(args) if args.watch && watch::is_for_a_person(args) => watch::watch(args),
        Command::Status(args) => list("STATUS", args, render::status),
        Command::Health(args) => list("HEALTH", args, render::health),
        Command::Topology(args) => list("TOPOLOGY", args, render::topology),
        Command::Events(args) if args.watch => follow(args),
        Command::Events(args) => events(args),
        Command::Weight(args) => weight(args),
        Command::Back(args) => back(args),
        Command::Arm(args) => {
            let mut client = Client::connect(&args.socket.socket)?;
            say(&mut client, &["ARM", &args.route], Duration::ZERO)
        }
        Command::Reload(args) => {
            let mut client = Client::connect(&args.socket.socket)?;
            say(&mut client, &["CONFIG", "RELOAD"], Duration::ZERO)
        }
        Command::Upgrade(args) => {
            let mut client = Client::connect(&args.socket.socket)?;
            say(&mut client, &["UPGRADE"], UPGRADE_PREPARE_WAIT)
        }
        Command::Ramp(args) => ramp(args),
        Command::Run(_)
        | Command::Check(_)
        | Command::Demo(_)
        | Command::Guard(_)
        | Command::Completions(_)
        | Command::Man(_) => Err(Failure::Unsupported("this command needs no running proxy")),
    }
}

fn list(name: &str, args: &ListArgs, render: fn(&Value) -> String) -> Result<(), Failure> {
    let mut client = Client::connect(&args.socket.socket)?;
    let mut words = vec![name];
    words.extend(args.route.as_deref());
    words.push("JSON");
    loop {
        let document = client.text(&words, Duration::ZERO)?;
        let text = if args.json {
            parsed(&document)?;
            document + "\n"
        } else {
            render(&parsed(&document)?)
        };
        if !args.watch {
            return print(&text);
        }
        // A document a line needs no divider.
        let divider = if args.json { "" } else { divider() };
        print(&format!("{divider}{text}"))?;
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn events(args: &EventsArgs) -> Result<(), Failure> {
    let mut client = Client::connect(&args.socket.socket)?;
    check_route(&mut client, args.route.as_deref())?;
    // Those of one route are picked here, from all that are kept.
    let count = match args.route {
        Some(_) => EVENTS_KEPT,
        None => usize::from(args.count),
    };
    let document = client.text(&["EVENTS", "COUNT", &count.to_string(), "JSON"], Duration::ZERO)?;
    let Value::Array(mut events) = parsed(&document)? else {
        return Err(ClientError::Nonsense.into());
    };
    events.retain(|event| is_of(event, args.route.as_deref()));
    events.truncate(usize::from(args.count));
    let events = Value::Array(events);
    if args.json {
        print(&format!("{events}\n"))
    } else {
        print(&render::events(&events))
    }
}

/// Prints events as they happen; ends only with the proxy, or with whoever reads.
fn follow(args: &EventsArgs) -> Result<(), Failure> {
    let mut client = Client::connect(&args.socket.socket)?;
    check_route(&mut client, args.route.as_deref())?;
    client.call(&["SUBSCRIBE", "events"], Duration::ZERO)?;
    loop {
        let document = client.event()?;
        let event = parsed(&document)?;
        if !is_of(&event, args.route.as_deref()) {
            continue;
        }
        if args.json {
            print(&format!("{document}\n"))?;
        } else {
            print(&render::event(&event))?;
        }
    }
}

/// EVENTS takes no route: without this, a misspelt one would look like a quiet one.
fn check_route(client: &mut Client, route: Option<&str>) -> Result<(), Failure> {
    if let Some(route) = route {
        client.text(&["STATUS", route, "JSON"], Duration::ZERO)?;
    }
    Ok(())
}

fn is_of(event: &Value, route: Option<&str>) -> bool {
    route.is_none_or(|route| event.get("route").and_then(Value::as_str) == Some(route))
}

fn weight(args: &WeightArgs) -> Result<(), Failure> {
    let mut client = Client::connect(&args.socket.socket)?;
    let Some(percent) = args.percent else {
        return say(&mut client, &["WEIGHT", &args.route], Duration::ZERO);
    };
    let percent = percent.to_string();
    let over = args
        .over
        .map(|over| format!("{}.{:03}", over.as_secs(), over.subsec_millis()));
    let mut words = vec!["WEIGHT", &args.route, &percent];
    if let Some(over) = &over {
        words.extend(["OVER", over]);
    }
    if let Some(reason) = &args.force {
        words.extend(["FORCE", reason]);
    }
    say(&mut client, &words, args.over.unwrap_or_default())
}

/// Says the answer, and how the ramp stands now.
fn ramp(args: &RampArgs) -> Result<(), Failure> {
    let mut client = Client::connect(&args.socket.socket)?;
    say(
        &mut client,
        &["RAMP", &args.route, args.step.word()],
        Duration::ZERO,
    )?;
    let status = client.text(&["STATUS", &args.route, "JSON"], Duration::ZERO)?;
    print(&render::ramps(&parsed(&status)?))
}

fn back(args: &BackArgs) -> Result<(), Failure> {
    let mut client = Client::connect(&args.socket.socket)?;
    let mut words = vec!["BACK", &args.route];
    if let Some(reason) = &args.reason {
        words.extend(["REASON", reason]);
    }
    say(&mut client, &words, Duration::ZERO)
}

/// Asks, and prints the one word of the answer.
fn say(client: &mut Client, words: &[&str], takes: Duration) -> Result<(), Failure> {
    let text = client.text(words, takes)?;
    print(&format!("{}\n", render::plain(&text)))
}

fn parsed(document: &str) -> Result<Value, ClientError> {
    serde_json::from_str(document).map_err(|_| ClientError::Nonsense)
}
