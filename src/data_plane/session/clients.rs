//! What does a client say of itself and of other clients?
//!
//! Shell: the CLIENT commands that are no server's business, in the words and in the order of checks of Redis 7.0. What concerns
//! others is asked of all workers; until they have answered, nothing else of this client goes on.

use std::rc::Rc;

use super::dispatch::{Sending, Stop, answer};
use super::local::{redis, settle};
use super::replies::Muting;
use super::state::{Session, State};
use crate::data_plane::clients::{Answer, Question, Which};
use crate::data_plane::command::LocalCommand;
use crate::data_plane::refusal::Refusal;
use crate::resp::{Args, Protocol, parse_i64};

impl Sending<'_> {
    /// One of them.
    pub(super) fn client(&self, state: &mut State, command: LocalCommand) -> Result<(), Stop> {
        match command {
            LocalCommand::ClientInfo => {
                state.question_bytes = self.request.bytes.len();
                let line = self.session.line_as(state) + "\n";
                state.question_bytes = 0;
                answer(state, None, &text(&line, state.setting.protocol));
                Ok(())
            }
            LocalCommand::ClientList => self.client_list(state),
            LocalCommand::ClientKill => self.client_kill(state),
            LocalCommand::ClientUnblock => self.client_unblock(state),
            LocalCommand::ClientNoEvict => {
                state.no_evict = match self.word(2).as_slice() {
                    b"on" => true,
                    b"off" => false,
                    _ => return Err(syntax().into()),
                };
                answer(state, None, b"+OK\r\n");
                Ok(())
            }
            LocalCommand::ClientReply => self.client_reply(state),
            LocalCommand::ClientPause => self.client_pause(state),
            LocalCommand::ClientUnpause => self.client_unpause(state),
            LocalCommand::ClientTracking => self.client_tracking(state),
            LocalCommand::ClientCaching => self.client_caching(state),
            LocalCommand::ClientGetRedir => self.client_getredir(state),
            LocalCommand::ClientTrackingInfo => self.client_trackinginfo(state),
            LocalCommand::ClientUnknown => self.client_unknown(state),
            _ => Ok(()),
        }
    }

    /// Neither OFF nor SKIP has a reply itself.
    fn client_reply(&self, state: &mut State) -> Result<(), Stop> {
        let muting = &mut state.replies.muting;
        match self.word(2).as_slice() {
            b"on" => {
                *muting = Muting::None;
                answer(state, None, b"+OK\r\n");
            }
            b"off" => *muting = Muting::All,
            b"skip" if *muting == Muting::All => {}
            b"skip" => *muting = Muting::Next,
            _ => return Err(syntax().into()),
        }
        Ok(())
    }

    fn client_list(&self, state: &mut State) -> Result<(), Stop> {
        let which = Which::of_list(self.request.args)?;
        let protocol = state.setting.protocol;
        let ids = which.ids().map(<[u64]>::to_vec);
        self.ask(state, Question::List(which), move |_, told| {
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
        })
    }

    /// In the old form there is an error when nobody has the address, and whoever asks is not spared.
    fn client_kill(&self, state: &mut State) -> Result<(), Stop> {
        let args = self.request.args;
        let is_old = args.len() == 3;
        let which = match is_old {
            true => Which::at(args.get(2).unwrap_or_default()),
            false => Which::of_kill(args, self.session.id)?,
        };
        let is_own = self.session.is_meant_as(state, &which);
        let question = Question::Kill(which.without(self.session.id));
        self.ask(state, question, move |state, told| {
            state.closing |= is_own;
            match (told.count + usize::from(is_own), is_old) {
                (0, true) => redis(&[b"ERR No such client"]).line(),
                (_, true) => b"+OK\r\n".to_vec(),
                (count, false) => format!(":{count}\r\n").into_bytes(),
            }
        })
    }

    fn client_unblock(&self, state: &mut State) -> Result<(), Stop> {
        let args = self.request.args;
        if args.len() > 4 {
            return Err(wrong_subcommand(args).into());
        }
        let with_error = match args.get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
            None | Some(b"timeout") => false,
            Some(b"error") => true,
            Some(_) => {
                return Err(redis(&[b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"]).into());
            }
        };
        let id = parse_i64(args.get(2).unwrap_or_default())
            .ok_or_else(|| redis(&[b"ERR value is not an integer or out of range"]))?;
        // Below 0 there is nobody, nor at 0.
        let id = u64::try_from(id).unwrap_or_default();
        self.ask(state, Question::Unblock { id, with_error }, |_, told| {
            format!(":{}\r\n", told.count).into_bytes()
        })
    }

    /// Asks all workers, and answers by what they say.
    pub(super) fn ask(
        &self,
        state: &mut State,
        question: Question,
        reply: impl FnOnce(&mut State, Answer) -> Vec<u8> + 'static,
    ) -> Result<(), Stop> {
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

    /// An argument in lower case.
    pub(super) fn word(&self, at: usize) -> Vec<u8> {
        self.request.args.get(at).unwrap_or_default().to_ascii_lowercase()
    }
}

impl Session {
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
