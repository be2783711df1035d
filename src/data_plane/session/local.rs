//! What does a session answer by itself?
//!
//! Shell: what concerns the app's connection and not the data: its name, its database, its protocol.

use super::dispatch::{Sending, Stall, Stop, answer as reply};
use super::exec::drop_link;
use super::state::State;
use super::transaction::Transaction;
use crate::data_plane::command::LocalCommand;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::Lease;
use crate::resp::parse_i64;
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
            if let Some(side) = state.transaction.side {
                drop_link(state, side);
            }
            state.transaction = Transaction::default();
            state.name.clear();
            state.database = 0;
            b"+RESET\r\n".to_vec()
        }
        LocalCommand::Select => return select(sending, state, argument(1)),
        LocalCommand::Hello => return hello(sending, state),
        LocalCommand::ClientSetName => set_name(state, argument(2))?,
        LocalCommand::ClientGetName => bulk(&state.name),
        LocalCommand::ClientId => format!(":{}\r\n", sending.session.id).into_bytes(),
        LocalCommand::ClientSetInfo => set_info(),
    };
    reply(state, sending.request.again, &line);
    Ok(())
}

/// What Redis 7.0 says to CLIENT SETINFO, which came with 7.2; libraries send it and ignore the answer.
fn set_info() -> Vec<u8> {
    Refusal::Redis(
        "ERR Unknown subcommand or wrong number of arguments for 'SETINFO'. Try CLIENT HELP.".to_owned(),
    )
    .line()
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return b"$-1\r\n".to_vec();
    }
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn set_name(state: &mut State, name: &[u8]) -> Result<Vec<u8>, Refusal> {
    if name.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        let text = "ERR Client names cannot contain spaces, newlines or special characters.";
        return Err(Refusal::Redis(text.to_owned()));
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

/// The server knows which databases there are: it has been asked by the first link to one.
fn select(sending: &Sending<'_>, state: &mut State, argument: &[u8]) -> Result<(), Stop> {
    let redis = |text: &str| Stop::Refuse(Refusal::Redis(text.to_owned()));
    let wanted = parse_i64(argument).and_then(|number| i32::try_from(number).ok());
    let wanted = wanted.ok_or_else(|| redis("ERR value is not an integer or out of range"))?;
    let wanted = u32::try_from(wanted).map_err(|_| redis("ERR DB index is out of range"))?;
    if state.transaction.watching {
        return Err(Refusal::Unsupported {
            name: sending.name(),
            why: "while keys are watched it is not supported yet",
        }
        .into());
    }
    if wanted != 0 && wanted != state.database {
        let side = majority_owner(sending.turn.snapshot.weight);
        match sending
            .session
            .route
            .links(side)
            .shared(&sending.session.route, wanted)
        {
            Lease::Ready(_) => {}
            Lease::Wait => return Err(Stall::Hold(side).into()),
            Lease::Refused(text) => return Err(Refusal::Redis(text).into()),
        }
    }
    state.database = wanted;
    reply(state, sending.request.again, b"+OK\r\n");
    Ok(())
}

/// `HELLO` and `HELLO 2`, the latter also with SETNAME, are answered by a server, whose version it tells.
fn hello(sending: &Sending<'_>, state: &mut State) -> Result<(), Stop> {
    let args = sending.request.args;
    let redis = |text: &str| Stop::Refuse(Refusal::Redis(text.to_owned()));
    if let Some(version) = args.get(1) {
        match parse_i64(version) {
            Some(2) => {}
            Some(_) => return Err(redis("NOPROTO unsupported protocol version")),
            None => return Err(redis("ERR Protocol version is not an integer or out of range")),
        }
    }
    let mut name = None;
    let mut at = 2;
    while let Some(option) = args.get(at) {
        if option.eq_ignore_ascii_case(b"setname") && args.len() > at + 1 {
            name = args.get(at + 1);
            at += 2;
        } else if option.eq_ignore_ascii_case(b"auth") && args.len() > at + 2 {
            let why = "authentication of clients is not supported yet";
            return Err(Refusal::Unsupported {
                name: "HELLO AUTH".to_owned(),
                why,
            }
            .into());
        } else {
            let option = option.get(..64).unwrap_or(option).escape_ascii();
            return Err(redis(&format!("ERR Syntax error in HELLO option '{option}'")));
        }
    }
    let side = majority_owner(sending.turn.snapshot.weight);
    let link = sending.link(state, side)?;
    if let Some(name) = name {
        set_name(state, name)?;
    }
    sending.enqueue(
        state,
        &link,
        super::ticket::Role::Whole,
        b"*2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n",
    );
    Ok(())
}
