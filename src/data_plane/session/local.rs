//! What does a session answer by itself?
//!
//! Shell: what concerns the app's connection and not the data: its name, its database, its protocol.

use super::dispatch::{Sending, Stall, Stop, answer as reply};
use super::exec::STAND_IN;
use super::login::{Standing, ask_standing};
use super::merge::{Merge, MergeKind};
use super::queued::{Change, HelloOption};
use super::replies::Muting;
use super::state::State;
use super::ticket::Role;
use crate::cluster::Side;
use crate::data_plane::command::{LocalCommand, flags};
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{Lease, Setting};
use crate::data_plane::users::Login;
use crate::resp::{Args, Protocol, parse_i64, write_command};
use crate::routing::majority_owner;

/// Answers a command without a server, or (SELECT, HELLO 2) with a server's knowledge.
pub(super) fn answer(sending: &Sending<'_>, state: &mut State, command: LocalCommand) -> Result<(), Stop> {
    let argument = |at: usize| sending.request.args.get(at).unwrap_or_default();
    if let Some(harmless) = harmless(sending, state, command) {
        sending.may(state, &harmless)?;
    }
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
            sending.session.route.users.leave(state.setting.user);
            state.setting = Setting::default();
            state.replies.muting = Muting::None;
            state.monitor = None;
            state.tracking = None;
            state.unknown.clear();
            state.refresh_setup();
            sending.session.route.tracks(sending.session, false);
            state.standing = Standing::first(&sending.session.route);
            b"+RESET\r\n".to_vec()
        }
        LocalCommand::Auth => return sending.auth(state),
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
        | LocalCommand::ClientReply
        | LocalCommand::ClientSetName
        | LocalCommand::ClientGetName
        | LocalCommand::ClientId => return sending.client(state, command),
    };
    reply(state, sending.request.again, &line);
    Ok(())
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
        LocalCommand::Quit | LocalCommand::Reset | LocalCommand::ClientSetInfo => {
            answer(sending, state, command)
        }
        LocalCommand::Auth => sending.queue_auth(state),
        LocalCommand::ClientUnknown => sending.queue_unknown(state),
        LocalCommand::ClientTracking => {
            let stand_in = harmless(sending, state, command);
            sending.queue_tracking(state, stand_in.as_deref())
        }
        LocalCommand::Monitor
        | LocalCommand::ClientInfo
        | LocalCommand::ClientList
        | LocalCommand::ClientKill
        | LocalCommand::ClientUnblock
        | LocalCommand::ClientNoEvict
        | LocalCommand::ClientPause
        | LocalCommand::ClientUnpause
        | LocalCommand::ClientReply
        | LocalCommand::ClientCaching
        | LocalCommand::ClientGetRedir
        | LocalCommand::ClientTrackingInfo
        | LocalCommand::ClientSetName
        | LocalCommand::ClientGetName
        | LocalCommand::ClientId => {
            let mut stand_in = STAND_IN.to_vec();
            let is_tracked = state.setup.as_ref().is_some_and(|setup| setup.tracking.is_some());
            if command == LocalCommand::ClientCaching && (is_tracked || state.transaction.own.tracks()) {
                // It is for what is queued behind it.
                stand_in = sending.request.bytes.to_vec();
            } else if let Some(harmless) = harmless(sending, state, command) {
                stand_in.clear();
                write_command(&mut stand_in, &harmless);
            }
            let change = Change::Client(command, Box::from(sending.request.bytes));
            sending.queue_change(state, change, &stand_in)
        }
    }
}

fn queue_hello(sending: &Sending<'_>, state: &mut State) -> Result<(), Stop> {
    let args = sending.request.args;
    let version = args.get(1).map(parse_i64);
    let protocol = version.flatten().and_then(Protocol::of_version);
    if version.is_some() && protocol.is_none() {
        return sending.queue_own(state, sending.request.bytes);
    }
    let (options, error) = options(args);
    let logins = options.iter().filter_map(|option| match option {
        HelloOption::Auth(login) => Some(login),
        HelloOption::Name(_) => None,
    });
    let mut count = 0;
    for login in logins {
        count += 1;
        sending.can_queue_login(state, login)?;
    }
    if count > 1 {
        // A refusal would not say of which.
        return Err(Refusal::Unsupported {
            name: "HELLO".to_owned(),
            why: "with AUTH twice in a transaction",
        }
        .into());
    }
    let mut bare = Vec::new();
    let request = match &error {
        Some(Refusal::Redis(_)) => sending.request.bytes,
        Some(_) => return error.map_or(Ok(()), |error| Err(error.into())),
        // A link keeps its name.
        None => {
            let mut words: Vec<&[u8]> = args.iter().take(2).collect();
            for option in &options {
                if let HelloOption::Auth(login) = option {
                    words.extend([
                        b"AUTH",
                        login.name.as_deref().unwrap_or_default(),
                        &login.password,
                    ]);
                }
            }
            write_command(&mut bare, &words);
            &bare
        }
    };
    let change = Change::Hello {
        protocol,
        options,
        error: error.map(|error| error.line()),
    };
    sending.queue_change(state, change, request)
}

/// What HELLO's options do, in their order, and what is wrong with them. Those given before that hold, as in Redis.
fn options(args: Args<'_>) -> (Vec<HelloOption>, Option<Refusal>) {
    let mut options = Vec::new();
    let mut at = 2;
    while let Some(option) = args.get(at) {
        let argument = |after: usize| args.get(at + after).unwrap_or_default();
        if option.eq_ignore_ascii_case(b"setname") && args.len() > at + 1 {
            if let Err(refusal) = check_name(argument(1)) {
                return (options, Some(refusal));
            }
            options.push(HelloOption::Name(Box::from(argument(1))));
            at += 2;
        } else if option.eq_ignore_ascii_case(b"auth") && args.len() > at + 2 {
            options.push(HelloOption::Auth(Login {
                name: Some(argument(1).to_vec()),
                password: argument(2).to_vec(),
            }));
            at += 3;
        } else {
            return (options, Some(wrong_option(option)));
        }
    }
    (options, None)
}

fn wrong_option(option: &[u8]) -> Refusal {
    // There the option is a C string.
    let option = option.split(|byte| *byte == 0).next().unwrap_or_default();
    redis(&[b"ERR Syntax error in HELLO option '", option, b"'"])
}

/// Nobody has this number.
const NOBODY: &[u8] = b"9223372036854775807";

/// What the proxy does in a server's place, the server may forbid: a command that is as much forbidden and does nothing. `None`:
/// there is nothing to forbid.
fn harmless<'a>(sending: &Sending<'a>, state: &State, command: LocalCommand) -> Option<Vec<&'a [u8]>> {
    let is_for_all = sending.class.spec.is_none_or(|spec| !spec.has(flags::ADMIN));
    if is_for_all && !state.setting.user.has_logged_in() {
        return None;
    }
    let args = sending.request.args;
    let is_user = |at: &usize| {
        args.get(*at)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"user"))
    };
    let user = (2..args.len())
        .step_by(2)
        .find(is_user)
        .and_then(|at| args.get(at + 1));
    let words: &[&[u8]] = match command {
        LocalCommand::ClientKill => match user.filter(|_| args.len() > 3) {
            Some(user) => return Some(vec![b"CLIENT", b"KILL", b"USER", user, b"ID", NOBODY]),
            None => &[b"CLIENT", b"KILL", b"ID", NOBODY],
        },
        LocalCommand::ClientList => &[b"CLIENT", b"LIST", b"ID", NOBODY],
        LocalCommand::ClientUnblock => &[b"CLIENT", b"UNBLOCK", NOBODY],
        // Refused as a syntax error by who allows it.
        LocalCommand::ClientNoEvict => &[b"CLIENT", b"NO-EVICT", b"?"],
        LocalCommand::ClientReply => &[b"CLIENT", b"REPLY", b"?"],
        // UNPAUSE has no harmless form: who may pause may end it.
        LocalCommand::ClientPause | LocalCommand::ClientUnpause => &[b"CLIENT", b"PAUSE", b"?"],
        LocalCommand::ClientTracking => &[b"CLIENT", b"TRACKING", b"?"],
        LocalCommand::ClientCaching => &[b"CLIENT", b"CACHING", b"?"],
        LocalCommand::ClientTrackingInfo => &[b"CLIENT", b"TRACKINGINFO"],
        LocalCommand::ClientGetRedir => &[b"CLIENT", b"GETREDIR"],
        LocalCommand::ClientInfo => &[b"CLIENT", b"INFO"],
        LocalCommand::ClientId => &[b"CLIENT", b"ID"],
        LocalCommand::ClientGetName => &[b"CLIENT", b"GETNAME"],
        // The name that the link has.
        LocalCommand::ClientSetName => &[b"CLIENT", b"SETNAME", b"switchback"],
        // A link to a database does not tell: it may be that of one who was somebody else when he chose it.
        LocalCommand::Select => &[b"SELECT", b"0"],
        LocalCommand::Quit
        | LocalCommand::Reset
        | LocalCommand::Auth
        | LocalCommand::Hello
        | LocalCommand::Monitor
        | LocalCommand::ClientSetInfo
        | LocalCommand::ClientUnknown => return None,
    };
    Some(words.to_vec())
}

/// What Redis 7.0 says to CLIENT SETINFO, which came with 7.2; libraries send it and ignore the answer.
fn unknown_subcommand(name: &[u8]) -> Refusal {
    redis(&[b"ERR unknown subcommand '", name, b"'. Try CLIENT HELP."])
}

/// An error in the words of Redis, made of pieces.
pub(super) fn redis(pieces: &[&[u8]]) -> Refusal {
    Refusal::Redis(pieces.concat())
}

pub(super) fn bulk(bytes: &[u8], protocol: Protocol) -> Vec<u8> {
    if bytes.is_empty() {
        return protocol.null().to_vec();
    }
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

pub(super) fn set_name(state: &mut State, name: &[u8]) -> Result<(), Refusal> {
    check_name(name)?;
    state.name = name.to_vec();
    Ok(())
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
    match route.links(side).shared_by_client(route, setting) {
        Lease::Ready(_) => Ok(()),
        Lease::Wait => Err(Stall::Hold(side).into()),
        Lease::Refused(text) => Err(redis(&[text.as_bytes()]).into()),
    }
}

/// `HELLO`, also with AUTH and SETNAME, is answered by a server, whose version it tells, on a link of the protocol that is asked for.
fn hello(sending: &Sending<'_>, state: &mut State) -> Result<(), Stop> {
    let agreed = agree(sending, state);
    state.switches_links = matches!(agreed, Err(Stop::Stall(_)));
    if !state.switches_links {
        state.hello_at = 0;
    }
    agreed
}

fn agree(sending: &Sending<'_>, state: &mut State) -> Result<(), Stop> {
    let before = state.setting.protocol;
    let protocol = match sending.request.args.get(1).map(parse_i64) {
        None => before,
        Some(Some(version)) => {
            Protocol::of_version(version).ok_or_else(|| redis(&[b"NOPROTO unsupported protocol version"]))?
        }
        Some(None) => {
            return Err(redis(&[b"ERR Protocol version is not an integer or out of range"]).into());
        }
    };
    if let Some(refusal) = hello_options(sending, state)? {
        reply(state, sending.request.again, &refusal);
        return Ok(());
    }
    if state.standing != Standing::Admitted && ask_standing(sending.session, state)? != Standing::Admitted {
        return Err(redis(&[HELLO_NOAUTH]).into());
    }
    if protocol != before {
        settle(state)?;
    }
    let side = majority_owner(sending.turn.snapshot.weight);
    let redirected = Side::BOTH.map(|side| state.redirected_link(side));
    let keeps_links = redirected[side.index()].is_some();
    let watching = sending
        .watching_link(state)
        .or_else(|| redirected[side.index()].clone());
    state.setting.protocol = protocol;
    state.refresh_setup();
    let link = match watching {
        Some(link) => ask(sending, state, state.setting).map(|()| link),
        None => sending.link(state, side),
    };
    match link {
        Ok(link) => {
            link.setting.set(state.setting);
            let id = sending.session.id;
            let number = sending.open_merge(state, Merge::new(MergeKind::Hello { id }, 1));
            sending.enqueue_as(state, &link, number, Role::Part(0), protocol.hello());
            if keeps_links && let Some(other) = &redirected[side.other().index()] {
                other.setting.set(state.setting);
                sending.enqueue_as(state, other, 0, Role::Aside, protocol.hello());
            }
            if protocol != before && !keeps_links {
                sending.session.can_be_told(state);
            }
            Ok(())
        }
        Err(stop) => {
            state.setting.protocol = before;
            state.refresh_setup();
            Err(stop)
        }
    }
}

/// What Redis says to HELLO of a client that has not authenticated.
const HELLO_NOAUTH: &[u8] = b"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";

/// As there, what an option does holds even when a later one is refused. Returns the refusal of an AUTH.
fn hello_options(sending: &Sending<'_>, state: &mut State) -> Result<Option<Vec<u8>>, Stop> {
    let args = sending.request.args;
    // Those before are done with: this one has waited.
    let mut at = state.hello_at.max(2);
    while let Some(option) = args.get(at) {
        let argument = |after: usize| args.get(at + after).unwrap_or_default().to_vec();
        if option.eq_ignore_ascii_case(b"setname") && args.len() > at + 1 {
            set_name(state, &argument(1))?;
            at += 2;
        } else if option.eq_ignore_ascii_case(b"auth") && args.len() > at + 2 {
            let login = Login {
                name: Some(argument(1)),
                password: argument(2),
            };
            // The others are the proxy's to deal with.
            let words: Vec<&[u8]> = args.iter().take(2).chain(args.iter().skip(at).take(3)).collect();
            let said = sending.log_in(state, login, &words)?;
            if said.first() == Some(&b'-') {
                return Ok(Some(said));
            }
            at += 3;
        } else {
            return Err(wrong_option(option).into());
        }
        state.hello_at = at;
    }
    Ok(None)
}
