//! What does a client say of itself and of other clients?
//!
//! Shell: the CLIENT commands that are no server's business, in the words and in the order of checks of Redis 7.0. What concerns
//! others is asked of all workers; until they have answered, nothing else of this client goes on.

use std::rc::Rc;

use super::client_tracking::{client_caching, client_trackinginfo};
use super::dispatch::{Sending, Stop, answer};
use super::local::{bulk, redis, set_name, settle};
use super::replies::Muting;
use super::state::{Session, State};
use crate::data_plane::clients::{Answer, Question, Which};
use crate::data_plane::command::LocalCommand;
use crate::data_plane::refusal::Refusal;
use crate::resp::{Args, Protocol, parse_i64};

/// What a command of these comes to.
pub(super) enum Outcome {
    Said(Vec<u8>),
    /// All workers are asked this, and what they say comes to that.
    Asked(Question, Reply),
}

/// A reply, once all workers have answered.
pub(super) type Reply = Box<dyn FnOnce(&mut State, Answer) -> Vec<u8>>;

impl Sending<'_> {
    /// One of them.
    pub(super) fn client(&self, state: &mut State, command: LocalCommand) -> Result<(), Stop> {
        match command {
            LocalCommand::ClientTracking => return self.client_tracking(state),
            LocalCommand::ClientUnknown => return self.client_unknown(state),
            LocalCommand::ClientList
            | LocalCommand::ClientKill
            | LocalCommand::ClientUnblock
            | LocalCommand::ClientPause
            | LocalCommand::ClientUnpause => settle(state)?,
            _ => {}
        }
        state.question_bytes = self.request.bytes.len();
        let outcome = self.session.client(state, command, self.request.args);
        state.question_bytes = 0;
        match outcome? {
            // Neither CLIENT REPLY OFF nor SKIP has a reply itself.
            Outcome::Said(reply) if reply.is_empty() => {}
            Outcome::Said(reply) => answer(state, self.request.again, &reply),
            Outcome::Asked(question, reply) => self.ask(state, question, reply)?,
        }
        Ok(())
    }

    /// Asks all workers, and answers by what they say.
    fn ask(&self, state: &mut State, question: Question, reply: Reply) -> Result<(), Stop> {
        settle(state)?;
        let number = state.replies.open();
        state.asking = true;
        state.question_bytes = self.request.bytes.len();
        let session = Rc::clone(self.session);
        tokio::task::spawn_local(async move {
            let told = session.route.clients().ask(question).await;
            session.told(number, |state| reply(state, told));
        });
        Ok(())
    }
}

impl Session {
    /// One of those that need nothing but the session, or an answer of all workers: outside a transaction, or when it is executed.
    pub(super) fn client(
        self: &Rc<Self>,
        state: &mut State,
        command: LocalCommand,
        args: Args<'_>,
    ) -> Result<Outcome, Refusal> {
        let argument = args.get(2).unwrap_or_default();
        let said = match command {
            LocalCommand::ClientList => return client_list(state, args),
            LocalCommand::ClientKill => return self.client_kill(state, args),
            LocalCommand::ClientUnblock => return client_unblock(args),
            LocalCommand::ClientPause => return self.client_pause(args),
            LocalCommand::ClientUnpause => return Ok(self.client_unpause()),
            LocalCommand::ClientInfo => {
                let line = self.line_as(state) + "\n";
                text(&line, state.setting.protocol)
            }
            LocalCommand::ClientNoEvict => {
                state.no_evict = match argument.to_ascii_lowercase().as_slice() {
                    b"on" => true,
                    b"off" => false,
                    _ => return Err(syntax()),
                };
                b"+OK\r\n".to_vec()
            }
            LocalCommand::ClientReply => client_reply(state, argument)?,
            LocalCommand::ClientCaching => client_caching(state, argument)?,
            LocalCommand::ClientGetRedir => format!(":{}\r\n", state.redirection()).into_bytes(),
            LocalCommand::ClientTrackingInfo => client_trackinginfo(state),
            LocalCommand::ClientSetName => {
                set_name(state, argument)?;
                b"+OK\r\n".to_vec()
            }
            LocalCommand::ClientGetName => bulk(&state.name, state.setting.protocol),
            LocalCommand::ClientId => format!(":{}\r\n", self.id).into_bytes(),
            LocalCommand::Monitor => {
                return Err(redis(&[b"ERR MONITOR isn't allowed for DENY BLOCKING client"]));
            }
            // Not of these.
            LocalCommand::Quit
            | LocalCommand::Reset
            | LocalCommand::Auth
            | LocalCommand::Select
            | LocalCommand::Hello
            | LocalCommand::ClientTracking
            | LocalCommand::ClientSetInfo
            | LocalCommand::ClientUnknown => return Err(syntax()),
        };
        Ok(Outcome::Said(said))
    }

    /// In the old form there is an error when nobody has the address, and whoever asks is not spared.
    fn client_kill(&self, state: &State, args: Args<'_>) -> Result<Outcome, Refusal> {
        let is_old = args.len() == 3;
        let which = match is_old {
            true => Which::at(args.get(2).unwrap_or_default()),
            false => Which::of_kill(args, self.id)?,
        };
        let is_own = self.is_meant_as(state, &which);
        let question = Question::Kill(which.without(self.id));
        Ok(Outcome::Asked(
            question,
            Box::new(move |state, told| {
                state.closing |= is_own;
                match (told.count + usize::from(is_own), is_old) {
                    (0, true) => redis(&[b"ERR No such client"]).line(),
                    (_, true) => b"+OK\r\n".to_vec(),
                    (count, false) => format!(":{count}\r\n").into_bytes(),
                }
            }),
        ))
    }

    /// All workers have answered.
    pub(super) fn told(&self, number: u64, reply: impl FnOnce(&mut State) -> Vec<u8>) {
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        state.asking = false;
        state.question_bytes = 0;
        let reply = reply(&mut state);
        state.replies.finish(number, &reply);
        drop(state);
        self.wake.wake();
    }
}

fn client_reply(state: &mut State, argument: &[u8]) -> Result<Vec<u8>, Refusal> {
    // In a transaction SKIP is for what comes behind EXEC.
    let is_executing = state.executing.is_some();
    let muting = &mut state.replies.muting;
    match argument.to_ascii_lowercase().as_slice() {
        b"on" => {
            if !(is_executing && *muting == Muting::Next) {
                *muting = Muting::None;
            }
            return Ok(b"+OK\r\n".to_vec());
        }
        b"off" => *muting = Muting::All,
        b"skip" if *muting == Muting::All => {}
        b"skip" => *muting = Muting::Next,
        _ => return Err(syntax()),
    }
    Ok(Vec::new())
}

fn client_list(state: &State, args: Args<'_>) -> Result<Outcome, Refusal> {
    let which = Which::of_list(args)?;
    let protocol = state.setting.protocol;
    let ids = which.ids().map(<[u64]>::to_vec);
    let reply = move |_: &mut State, told: Answer| {
        let mut lines = told.lines;
        lines.sort_unstable_by_key(|(id, _)| *id);
        let mut list = String::new();
        let mut tell = |(_, line): &(u64, String)| {
            list.push_str(line);
            list.push('\n');
        };
        match ids {
            None => lines.iter().for_each(tell),
            Some(ids) => {
                for id in ids {
                    if let Ok(at) = lines.binary_search_by_key(&id, |(id, _)| *id) {
                        tell(&lines[at]);
                    }
                }
            }
        }
        text(&list, protocol)
    };
    Ok(Outcome::Asked(Question::List(which), Box::new(reply)))
}

fn client_unblock(args: Args<'_>) -> Result<Outcome, Refusal> {
    if args.len() > 4 {
        return Err(wrong_subcommand(args));
    }
    let with_error = match args.get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"timeout") => false,
        Some(b"error") => true,
        Some(_) => return Err(redis(&[b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"])),
    };
    let id = parse_i64(args.get(2).unwrap_or_default())
        .ok_or_else(|| redis(&[b"ERR value is not an integer or out of range"]))?;
    // Below 0 there is nobody, nor at 0.
    let id = u64::try_from(id).unwrap_or_default();
    Ok(Outcome::Asked(
        Question::Unblock { id, with_error },
        Box::new(|_, told| format!(":{}\r\n", told.count).into_bytes()),
    ))
}

/// Arguments that no form of the subcommand has.
pub(super) fn wrong_subcommand(args: Args<'_>) -> Refusal {
    let name = args.get(1).unwrap_or_default();
    let name = name.get(..128).unwrap_or(name);
    redis(&[
        b"ERR unknown subcommand or wrong number of arguments for '",
        name,
        b"'. Try CLIENT HELP.",
    ])
}

pub(super) fn syntax() -> Refusal {
    redis(&[b"ERR syntax error"])
}

/// A text as Redis gives it: in RESP3 its format is told.
fn text(text: &str, protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Resp2 => format!("${}\r\n{text}\r\n", text.len()),
        Protocol::Resp3 => format!("={}\r\ntxt:{text}\r\n", text.len() + 4),
    }
    .into_bytes()
}
