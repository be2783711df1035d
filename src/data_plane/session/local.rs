//! What does a session answer by itself?
//!
//! Shell: what concerns the app's connection and not the data: its name, its database, its protocol.

use super::dispatch::{Sending, Stall, Stop, answer as reply};
use super::replies::Muting;
use super::state::State;
use super::ticket::Role;
use crate::data_plane::command::LocalCommand;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{Lease, Setting};
use crate::resp::{Protocol, parse_i64};
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
            if state.setting != Setting::default() {
                settle(state)?;
            }
            sending.abandon(state);
            sending.session.unsubscribe_all(state);
            state.name.clear();
            state.setting = Setting::default();
            state.replies.muting = Muting::None;
            b"+RESET\r\n".to_vec()
        }
        LocalCommand::Select => return select(sending, state, argument(1)),
        LocalCommand::Hello => return hello(sending, state),
        LocalCommand::ClientSetName => set_name(state, argument(2))?,
        LocalCommand::ClientGetName => bulk(&state.name, state.setting.protocol),
        LocalCommand::ClientId => format!(":{}\r\n", sending.session.id).into_bytes(),
        LocalCommand::ClientSetInfo => return Err(unknown_subcommand(argument(1)).into()),
        LocalCommand::ClientInfo
        | LocalCommand::ClientList
        | LocalCommand::ClientKill
        | LocalCommand::ClientUnblock
        | LocalCommand::ClientNoEvict
        | LocalCommand::ClientReply => return sending.client(state, command),
    };
    reply(state, sending.request.again, &line);
    Ok(())
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
    state.name = name.to_vec();
    Ok(b"+OK\r\n".to_vec())
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
    if state.transaction.watching {
        return Err(Refusal::Unsupported {
            name: sending.name(),
            why: "while keys are watched it is not supported yet",
        }
        .into());
    }
    let setting = Setting {
        database: wanted,
        ..state.setting
    };
    if setting != state.setting {
        settle(state)?;
    }
    if wanted != 0 && setting != state.setting {
        let side = majority_owner(sending.turn.snapshot.weight);
        match sending
            .session
            .route
            .links(side)
            .shared(&sending.session.route, setting)
        {
            Lease::Ready(_) => {}
            Lease::Wait => return Err(Stall::Hold(side).into()),
            Lease::Refused(text) => return Err(redis(&[text.as_bytes()]).into()),
        }
    }
    state.setting = setting;
    reply(state, sending.request.again, b"+OK\r\n");
    Ok(())
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
        if state.transaction.watching {
            return Err(Refusal::Unsupported {
                name: sending.name(),
                why: "another protocol while keys are watched is not supported yet",
            }
            .into());
        }
        settle(state)?;
    }
    state.setting.protocol = protocol;
    let agreed = agree(sending, state);
    if agreed.is_err() {
        state.setting = before;
    }
    agreed
}

fn agree(sending: &Sending<'_>, state: &mut State) -> Result<(), Stop> {
    let args = sending.request.args;
    let link = sending.link(state, majority_owner(sending.turn.snapshot.weight))?;
    let mut at = 2;
    while let Some(option) = args.get(at) {
        if option.eq_ignore_ascii_case(b"setname") && args.len() > at + 1 {
            // As there: it holds even when a later option is refused.
            set_name(state, args.get(at + 1).unwrap_or_default())?;
            at += 2;
        } else if option.eq_ignore_ascii_case(b"auth") && args.len() > at + 2 {
            return Err(Refusal::Unsupported {
                name: "HELLO AUTH".to_owned(),
                why: "authentication of clients is not supported yet",
            }
            .into());
        } else {
            // There the option is a C string.
            let option = option.split(|byte| *byte == 0).next().unwrap_or_default();
            return Err(redis(&[b"ERR Syntax error in HELLO option '", option, b"'"]).into());
        }
    }
    sending.enqueue(state, &link, Role::Whole, state.setting.protocol.hello());
    Ok(())
}
