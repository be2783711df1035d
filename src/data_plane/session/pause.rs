//! Must a request wait for a pause to end?
//!
//! Shell: CLIENT PAUSE and UNPAUSE. What a server refuses at once is refused during a pause too.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::clients::{Outcome, wrong_subcommand};
use super::dispatch::{Sending, Stall};
use super::state::{Session, State};
use crate::data_plane::clients::{Pause, Paused, Question, writes_nothing};
use crate::data_plane::command::{Intent, LocalCommand, flags};
use crate::data_plane::refusal::Refusal;
use crate::data_plane::scripts;
use crate::resp::{Args, Protocol};

impl Session {
    /// Its next request waits, or does not any more.
    #[inline]
    pub(super) fn postpone(&self, state: &mut State, is_paused: bool) {
        if std::mem::replace(&mut state.postponed, is_paused) == is_paused {
            return;
        }
        let paused = &self.route.stats.paused;
        match is_paused {
            true => paused.fetch_add(1, Ordering::Relaxed),
            false => paused.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// OK once no worker sends anything of that kind, and what had been sent is answered.
    pub(super) fn client_pause(&self, args: Args<'_>) -> Result<Outcome, Refusal> {
        if args.len() > 4 {
            return Err(wrong_subcommand(args));
        }
        let pause = Pause::of(args.get(2).unwrap_or_default(), args.get(3), Instant::now())?;
        self.route.clients().pause(pause);
        Ok(Outcome::Asked(
            Question::Pause,
            Box::new(|_, _| b"+OK\r\n".to_vec()),
        ))
    }

    pub(super) fn client_unpause(&self) -> Outcome {
        self.route.clients().unpause();
        Outcome::Asked(Question::Pause, Box::new(|_, _| b"+OK\r\n".to_vec()))
    }
}

impl Sending<'_> {
    /// Whether it waits. Of a function the node is asked.
    #[cold]
    pub(super) fn is_paused(&self, state: &mut State, pause: Pause) -> Result<bool, Stall> {
        if pause.until <= Instant::now() {
            return Ok(false);
        }
        let args = self.request.args;
        let Some(spec) = self.class.spec else {
            // A module's or a later server's: it may write.
            return Ok(true);
        };
        let is_alone = spec.has(flags::CONTAINER) && args.len() < 2;
        if is_alone || !spec.accepts(args.len()) {
            return Ok(false);
        }
        let is_subscribed = state.setting.protocol == Protocol::Resp2
            && !state.subscriptions.is_empty()
            && state.entry.is_none();
        if is_subscribed && !self.is_for_subscribers(spec.name) {
            return Ok(false);
        }
        match pause.what {
            Paused::All => Ok(true),
            Paused::Writes if spec.name == "fcall" => Ok(!self.calls_no_writes(state)?),
            Paused::Writes => Ok(self.may_write(state)),
        }
    }

    /// What a client of RESP2 with subscriptions may ask for.
    fn is_for_subscribers(&self, name: &str) -> bool {
        let local = Intent::Local(LocalCommand::Quit) == self.class.intent
            || Intent::Local(LocalCommand::Reset) == self.class.intent;
        local || name == "ping" || matches!(self.class.intent, Intent::Subscribe(_) | Intent::Unsubscribe(_))
    }

    /// What Redis takes for a write: it changes data, or may be replicated.
    pub(super) fn may_write(&self, state: &State) -> bool {
        let Some(spec) = self.class.spec else { return true };
        let route = &self.session.route;
        let argument = self.request.args.get(1).unwrap_or_default();
        match (self.class.intent, spec.name) {
            (Intent::Exec, _) => state.transaction.may_write,
            (_, "pfcount") => true,
            (_, "eval") => !writes_nothing(argument),
            (_, "evalsha") => {
                let body =
                    scripts::read_id(argument).and_then(|id| route.scripts.body(route.shared_scripts(), &id));
                !body.is_some_and(|body| writes_nothing(&body))
            }
            _ => self.class.is_publish || spec.may_write(),
        }
    }
}
