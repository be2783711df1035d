//! What does a session answer by itself?
//!
//! Shell: what concerns the app's connection and not the data: its name, its database, its protocol.

use std::rc::Rc;

use super::dispatch::{Sending, Stall, Stop, answer as reply};
use super::exec::STAND_IN;
use super::queued::Change;
use super::replies::Muting;
use super::state::{Session, State};
use super::ticket::Role;
use crate::data_plane::command::LocalCommand;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{Lease, Link, Setting};
use crate::resp::{Args, Protocol, parse_i64, write_command};
use crate::routing::majority_owner;

/// Answers a command without a server, or (SELECT, HELLO 2) with a server's knowledge.
pub(super) fn answer(sending: &Sending<'_>, state: &mut State, command: LocalCommand) -> Result<(), Stop> {
    let argument = |at: usize| sending.request.args.get(at).unwrap_or_default();
    let line = match command {
        LocalCommand::Quit => {
            state.closing = true;
            b"+OK\r\n".to_vec()
        }
        LocalCommand::Reset => {
            if state.setting != Setting::default() || state.setup.is_some() {
                settle(state)?;
            }
            sending.abandon(state);
            sending.session.unsubscribe_all(state);
            state.name.clear();
            state.setting = Setting::default();
            state.replies.muting = Muting::None;
            state.monitor = None;
            state.tracking = None;
            state.unknown.clear();
            state.refresh_setup();
            sending.session.route.tracks(sending.session, false);
            b"+RESET\r\n".to_vec()
        }
        LocalCommand::Select => return select(sending, state, argument(1)),
        LocalCommand::Hello => return hello(sending, state),
        LocalCommand::ClientSetInfo => return Err(unknown_subcommand(argument(1)).into()),
        LocalCommand::Monitor => return sending.monitor(state),
        LocalCommand::ClientInfo
        | LocalCommand::ClientList
        | LocalCommand::ClientKill
        | LocalCommand::ClientUnblock
        | LocalCommand::ClientNoEvict
        | LocalCommand::ClientPause
        | LocalCommand::ClientUnpause
        | LocalCommand::ClientTracking
        | LocalCommand::ClientCaching
        | LocalCommand::ClientGetRedir
        | LocalCommand::ClientTrackingInfo
        | LocalCommand::ClientUnknown
        | LocalCommand::ClientReply => return sending.client(state, command),
        LocalCommand::ClientSetName | LocalCommand::ClientGetName | LocalCommand::ClientId => {
            immediate(sending.session, state, command, argument(2))?
        }
    };
    reply(state, sending.request.again, &line);
    Ok(())
}

/// Answers what needs nothing but the session, at once or within a transaction. `argument`: the request's argument 2.
pub(super) fn immediate(
    session: &Session,
    state: &mut State,
    command: LocalCommand,
    argument: &[u8],
) -> Result<Vec<u8>, Refusal> {
    match command {
        LocalCommand::ClientSetName => set_name(state, argument),
        LocalCommand::ClientId => Ok(format!(":{}\r\n", session.id).into_bytes()),
        _ => Ok(bulk(&state.name, state.setting.protocol)),
    }
}

/// The same between MULTI and EXEC: it holds from there on, for what is queued behind it too.
pub(super) fn queue(sending: &Sending<'_>, state: &mut State, command: LocalCommand) -> Result<(), Stop> {
    let argument = |at: usize| sending.request.args.get(at).unwrap_or_default();
    match command {
        LocalCommand::Select => match database(argument(1)) {
            Ok(database) => sending.queue_change(state, Change::Select(database), sending.request.bytes),
            Err(_) => sending.queue_own(state, sending.request.bytes),
        },
        LocalCommand::Hello => queue_hello(sending, state),
        LocalCommand::ClientSetName | LocalCommand::ClientGetName | LocalCommand::ClientId => {
            let change = Change::Local(command, Box::from(argument(2)));
            sending.queue_change(state, change, STAND_IN)
        }
        LocalCommand::Quit | LocalCommand::Reset | LocalCommand::ClientSetInfo => {
            answer(sending, state, command)
        }
        LocalCommand::Monitor
        | LocalCommand::ClientInfo
        | LocalCommand::ClientList
        | LocalCommand::ClientKill
        | LocalCommand::ClientUnblock
        | LocalCommand::ClientNoEvict
        | LocalCommand::ClientPause
        | LocalCommand::ClientUnpause
        | LocalCommand::ClientTracking
        | LocalCommand::ClientCaching
        | LocalCommand::ClientGetRedir
        | LocalCommand::ClientTrackingInfo
        | LocalCommand::ClientUnknown
        | LocalCommand::ClientReply => Err(Refusal::Unsupported {
            name: sending.name(),
            why: "in a transaction it is not supported yet",
        }
        .into()),
    }
}

fn queue_hello(sending: &Sending<'_>, state: &mut State) -> Result<(), Stop> {
    let args = sending.request.args;
    let version = args.get(1).map(parse_i64);
    let protocol = version.flatten().and_then(Protocol::of_version);
    if version.is_some() && protocol.is_none() {
        return sending.queue_own(state, sending.request.bytes);
    }
    let (name, error) = options(args);
    if let Some(Refusal::Unsupported { .. } | Refusal::TooBig { .. }) = &error {
        return error.map_or(Ok(()), |error| Err(error.into()));
    }
    let change = Change::Hello {
        protocol,
        name: name.map(Box::from),
    };
    let mut bare = Vec::new();
    let request = match error {
        // The server says what is wrong.
        Some(_) => sending.request.bytes,
        // A link keeps its name.
        None => {
            let words: Vec<&[u8]> = args.iter().take(2).collect();
            write_command(&mut bare, &words);
            &bare
        }
    };
    sending.queue_change(state, change, request)
}

/// The name that HELLO's options give, and what is wrong with them. One given before that holds, as in Redis.
fn options(args: Args<'_>) -> (Option<&[u8]>, Option<Refusal>) {
    let mut name = None;
    let mut at = 2;
    while let Some(option) = args.get(at) {
        if option.eq_ignore_ascii_case(b"setname") && args.len() > at + 1 {
            let given = args.get(at + 1).unwrap_or_default();
            if let Err(refusal) = check_name(given) {
                return (name, Some(refusal));
            }
            name = Some(given);
            at += 2;
        } else if option.eq_ignore_ascii_case(b"auth") && args.len() > at + 2 {
            let refusal = Refusal::Unsupported {
                name: "HELLO AUTH".to_owned(),
                why: "authentication of clients is not supported yet",
            };
            return (name, Some(refusal));
        } else {
            // There the option is a C string.
            let option = option.split(|byte| *byte == 0).next().unwrap_or_default();
            let refusal = redis(&[b"ERR Syntax error in HELLO option '", option, b"'"]);
            return (name, Some(refusal));
        }
    }
    (name, None)
}

/// What Redis 7.0 says to CLIENT SETINFO, which came with 7.2; libraries send it and ignore the answer.
fn unknown_subcommand(name: &[u8]) -> Refusal {
    redis(&[b"ERR unknown subcommand '", name, b"'. Try CLIENT HELP."])
}

/// An error in the words of Redis, made of pieces.
pub(super) fn redis(pieces: &[&[u8]]) -> Refusal {
    Refusal::Redis(pieces.concat())
}

fn bulk(bytes: &[u8], protocol: Protocol) -> Vec<u8> {
    if bytes.is_empty() {
        return protocol.null().to_vec();
    }
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn set_name(state: &mut State, name: &[u8]) -> Result<Vec<u8>, Refusal> {
    check_name(name)?;
    state.name = name.to_vec();
    Ok(b"+OK\r\n".to_vec())
}

fn check_name(name: &[u8]) -> Result<(), Refusal> {
    if name.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        return Err(redis(&[
            b"ERR Client names cannot contain spaces, newlines or special characters.",
        ]));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Refusal::TooBig {
            what: "the client name",
            limit: NAME_BYTES_MAX,
        });
    }
    Ok(())
}

/// Redis has no bound; a name is for people.
const NAME_BYTES_MAX: usize = 1024;

/// The number of a database, as `getIntFromObjectOrReply` of Redis reads it.
fn database(argument: &[u8]) -> Result<u32, Refusal> {
    let number =
        parse_i64(argument).ok_or_else(|| redis(&[b"ERR value is not an integer or out of range"]))?;
    let number = i32::try_from(number)
        .map_err(|_| redis(&[b"ERR value is out of range, value must between -2147483648 and 2147483647"]))?;
    u32::try_from(number).map_err(|_| redis(&[b"ERR DB index is out of range"]))
}

/// What is under way was meant for the database and the protocol until now, and comes first: what a failover brings back is sent
/// again in those there are then.
pub(super) fn settle(state: &State) -> Result<(), Stall> {
    match state.replies.open_count() {
        0 => Ok(()),
        _ => Err(Stall::Replies),
    }
}

/// The server knows which databases there are: it has been asked by the first link to one.
fn select(sending: &Sending<'_>, state: &mut State, argument: &[u8]) -> Result<(), Stop> {
    let wanted = database(argument)?;
    let setting = Setting {
        database: wanted,
        ..state.setting
    };
    if setting != state.setting {
        settle(state)?;
    }
    if wanted != 0 && setting != state.setting {
        ask(sending, state, setting)?;
    }
    if setting != state.setting
        && let Some(link) = sending.watching_link(state)
    {
        let mut request = Vec::new();
        write_command(&mut request, &[b"SELECT", wanted.to_string().as_bytes()]);
        sending.enqueue_as(state, &link, 0, Role::Own, &request);
        link.setting.set(setting);
    }
    state.setting = setting;
    reply(state, sending.request.again, b"+OK\r\n");
    Ok(())
}

/// Whether the server has such links: where keys are watched, the one that watches them.
fn ask(sending: &Sending<'_>, state: &State, setting: Setting) -> Result<(), Stop> {
    let majority = majority_owner(sending.turn.snapshot.weight);
    let side = state.transaction.side.unwrap_or(majority);
    let route = &sending.session.route;
    match route.links(side).shared(route, setting) {
        Lease::Ready(_) => Ok(()),
        Lease::Wait => Err(Stall::Hold(side).into()),
        Lease::Refused(text) => Err(redis(&[text.as_bytes()]).into()),
    }
}

/// `HELLO`, also with SETNAME, is answered by a server, whose version it tells, on a link of the protocol that is asked for.
fn hello(sending: &Sending<'_>, state: &mut State) -> Result<(), Stop> {
    let before = state.setting;
    let protocol = match sending.request.args.get(1).map(parse_i64) {
        None => before.protocol,
        Some(Some(version)) => {
            Protocol::of_version(version).ok_or_else(|| redis(&[b"NOPROTO unsupported protocol version"]))?
        }
        Some(None) => {
            return Err(redis(&[b"ERR Protocol version is not an integer or out of range"]).into());
        }
    };
    if protocol != before.protocol {
        settle(state)?;
    }
    let watching = sending.watching_link(state);
    state.setting.protocol = protocol;
    state.refresh_setup();
    let agreed = agree(sending, state, watching);
    if agreed.is_err() {
        state.setting = before;
        state.refresh_setup();
    } else if protocol != before.protocol {
        sending.session.can_be_told(state);
    }
    agreed
}

fn agree(sending: &Sending<'_>, state: &mut State, watching: Option<Rc<Link>>) -> Result<(), Stop> {
    let link = match watching {
        Some(link) => {
            ask(sending, state, state.setting)?;
            link
        }
        None => sending.link(state, majority_owner(sending.turn.snapshot.weight))?,
    };
    let (name, refusal) = options(sending.request.args);
    if let Some(name) = name {
        state.name = name.to_vec();
    }
    if let Some(refusal) = refusal {
        return Err(refusal.into());
    }
    link.setting.set(state.setting);
    sending.enqueue(state, &link, Role::Whole, state.setting.protocol.hello());
    Ok(())
}
