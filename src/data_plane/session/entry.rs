//! When does what a transaction changes in its session come about?
//!
//! Shell: with EXEC's reply, which says whether it was executed: nothing else of the client's is looked at until then.
//! Subscriptions begin before EXEC is sent, so that once it has been executed what is published anywhere reaches the client;
//! what comes before EXEC's reply waits for it. A transaction that is not executed leaves nothing behind.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

use super::clients::{Outcome, Reply};
use super::dispatch::{Sending, Stall, Stop};
use super::exec::STAND_IN;
use super::local;
use super::login::is_forbidden;
use super::merge::{greeting, scanned};
use super::queued::{Change, HelloOption, Listening, Queued, executed};
use super::replies::Muting;
use super::state::{Session, State};
use super::ticket::{Role, Ticket};
use crate::cluster::Side;
use crate::data_plane::clients::Question;
use crate::data_plane::command::TopicKind;
use crate::data_plane::pubsub::{Pending, Topic};
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::Setup;
use crate::data_plane::users::Login;
use crate::resp::{Args, RequestParser};

/// A transaction that is about to change its session.
pub(crate) struct Entry {
    /// EXEC's slot.
    number: u64,
    stage: Stage,
    pending: Option<Rc<Pending>>,
    /// How many commands the transaction queues, and what those change that are the session's business.
    count: usize,
    queued: Queued,
    /// What the client listened to when it began, and what it has come to listen to since.
    before: Listening,
    joined: Vec<Rc<Topic>>,
    /// EXEC's reply, as far as it has come.
    came: Vec<u8>,
}

enum Stage {
    /// For the sides to confirm.
    Waiting,
    Entered,
    /// A node refuses a channel, or nobody confirms it.
    Refused(Vec<u8>),
    /// EXEC is on its way.
    Sent,
}

/// A transaction that has been executed, while what it changes is brought about in its order.
struct Changing {
    entry: Box<Entry>,
    /// What the server has said to each of its commands.
    elements: Vec<Bytes>,
    at: usize,
    /// Where it was executed, if anywhere.
    side: Option<Side>,
    /// What the link there has been told by now, as far as that is known.
    told: Option<Setup>,
    /// What the client listens to at this point.
    listening: Listening,
    /// EXEC's, as far as it is made.
    reply: Vec<u8>,
}

impl Changing {
    fn new(state: &mut State, entry: Box<Entry>, elements: Vec<Bytes>, side: Option<Side>) -> Self {
        let mut changing = Self {
            listening: entry.before.clone(),
            reply: Vec::new(),
            told: Some(state.told(side)),
            entry,
            elements,
            at: 0,
            side,
        };
        // What of it is withheld is decided here, command by command.
        state.replies.unmute(changing.entry.number);
        let head = format!("*{}\r\n", changing.elements.len());
        changing.say(state, head.as_bytes());
        changing
    }

    /// A piece of the reply, unless the client wants none at this point.
    fn say(&mut self, state: &State, bytes: &[u8]) {
        if state.replies.muting != Muting::All {
            self.reply.extend_from_slice(bytes);
        }
    }

    /// Up to where workers have to be asked something, or to the end.
    fn go_on(&mut self, session: &Rc<Session>, state: &mut State) -> Option<(Question, Reply)> {
        while let Some(element) = self.elements.get(self.at).cloned() {
            let change = self.entry.queued.change(self.at);
            self.at += 1;
            let Some(change) = change else {
                self.say(state, &element);
                continue;
            };
            let is_seen = matches!(change, Change::Listen(..));
            match session.change(state, (&mut self.listening, &mut self.told), change, &element) {
                // Redis does not withhold what tells of subscriptions.
                Outcome::Said(own) if is_seen && own.first() != Some(&b'-') => {
                    self.reply.extend_from_slice(&own);
                }
                Outcome::Said(own) => self.say(state, &own),
                Outcome::Asked(question, reply) => return Some((question, reply)),
            }
        }
        None
    }
}

impl Sending<'_> {
    /// Goes on once the client listens to what the transaction subscribes to.
    pub(super) fn enter(&self, state: &mut State) -> Result<(), Stop> {
        if state.entry.is_none() && !state.transaction.own.is_empty() {
            if state.transaction.own.resets_links() {
                local::settle(state)?;
            }
            self.begin_entry(state);
        }
        let refusal = match state.entry.as_ref().map(|entry| &entry.stage) {
            Some(Stage::Waiting) => return Err(Stall::Replies.into()),
            Some(Stage::Refused(line)) => {
                let text = line.strip_prefix(b"-").unwrap_or(line);
                Refusal::Redis(text.trim_ascii_end().to_vec())
            }
            Some(Stage::Entered | Stage::Sent) | None => return Ok(()),
        };
        self.abandon(state);
        self.session.leave_entry(state);
        Err(refusal.into())
    }

    fn begin_entry(&self, state: &mut State) {
        let queued = std::mem::take(&mut state.transaction.own);
        let (hub, route) = (self.session.hub(state), &self.session.route);
        let number = state.replies.next_number();
        let (mut before, mut joined, mut missing) = (Listening::default(), Vec::new(), Vec::new());
        if queued.listens() || !state.subscriptions.is_empty() {
            before = Listening::of(&state.subscriptions);
            let after = before.after(&queued);
            let more: Vec<_> = after
                .all()
                .filter(|(kind, name)| !before.has(*kind, name))
                .collect();
            for (kind, name) in &more {
                let (topic, _) = self.listen(state, *kind, name, number, more.len());
                joined.push(Rc::clone(&topic));
                if !hub.confirm_if_ready(route, &topic) {
                    missing.push(topic);
                }
            }
        }
        let deadline = Instant::now() + self.turn.limits.hold.time;
        let pending = (!missing.is_empty()).then(|| Pending::entry(self.session, deadline));
        if let Some(pending) = &pending {
            hub.wait(pending, &missing);
        }
        state.entry = Some(Box::new(Entry {
            number,
            stage: match pending {
                Some(_) => Stage::Waiting,
                None => Stage::Entered,
            },
            pending,
            count: state.transaction.queued,
            queued,
            before,
            joined,
            came: Vec::new(),
        }));
    }

    /// Answers EXEC where nothing was queued that a server knows of.
    pub(super) fn exec_alone(&self, state: &mut State) {
        self.abandon(state);
        if let Some(entry) = state.entry.take() {
            let pongs = vec![Bytes::from_static(b"+PONG\r\n"); entry.count];
            state.replies.open();
            let changing = Changing::new(state, entry, pongs, None);
            self.session.carry_out(state, changing);
        }
    }

    /// SUBSCRIBE or its opposite between MULTI and EXEC.
    pub(super) fn queue_topics(&self, state: &mut State, kind: TopicKind, is_on: bool) -> Result<(), Stop> {
        let args = self.request.args;
        if is_on && state.transaction.own.logs_in() {
            // It would be subscribed as who it is before EXEC.
            let name = self.name();
            let why = "behind AUTH in a transaction it is not supported yet";
            return Err(Refusal::Unsupported { name, why }.into());
        }
        self.has_room_for(state, args.iter().skip(1))?;
        let at = state.transaction.queued;
        self.queue_own(state, STAND_IN)?;
        state.transaction.own.listen(at, kind, is_on, args);
        Ok(())
    }

    /// Another command that is the session's business; `request` stands for it on the server.
    pub(super) fn queue_change(&self, state: &mut State, change: Change, request: &[u8]) -> Result<(), Stop> {
        self.has_room_for(state, std::iter::once(self.request.bytes))?;
        let at = state.transaction.queued;
        self.queue_own(state, request)?;
        state.transaction.own.add(at, change, self.request.bytes.len());
        Ok(())
    }

    /// The same, of what only a node can answer for.
    pub(super) fn queue_change_on(&self, state: &mut State, side: Side, change: Change) -> Result<(), Stop> {
        self.has_room_for(state, std::iter::once(self.request.bytes))?;
        let at = state.transaction.queued;
        self.queue_on(state, side, self.request.bytes)?;
        state.transaction.own.add(at, change, self.request.bytes.len());
        Ok(())
    }
}

impl State {
    /// EXEC is on its way, and its reply says whether the client has subscriptions.
    #[inline]
    pub(super) fn awaits_entry(&self) -> bool {
        let is_sent = |entry: &Entry| matches!(entry.stage, Stage::Sent);
        self.entry.as_deref().is_some_and(is_sent)
    }

    /// EXEC is on its way.
    pub(super) fn entry_sent(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.stage = Stage::Sent;
        }
    }

    /// Whether `ticket` is that EXEC's: an earlier one may still be unanswered.
    pub(super) fn is_entry(&self, ticket: &Ticket) -> bool {
        let is_it = |entry: &Entry| entry.number == ticket.number;
        ticket.role == Role::Exec && self.entry.as_deref().is_some_and(is_it)
    }

    /// Keeps a piece of EXEC's reply. More than a client may have waiting breaks its connection.
    pub(super) fn take_entry_piece(&mut self, bytes: &[u8], limit: usize) {
        let Some(entry) = &mut self.entry else { return };
        if entry.came.len() + bytes.len() > limit {
            self.broken = true;
        } else {
            entry.came.extend_from_slice(bytes);
        }
    }
}

impl Session {
    /// EXEC's reply, or its last piece: what the transaction changes is told in it, or has never been.
    pub(super) fn finish_entry(&self, state: &mut State, ticket: &Ticket, bytes: &[u8]) {
        let Some(entry) = &mut state.entry else { return };
        entry.came.extend_from_slice(bytes);
        let (number, count, came) = (entry.number, entry.count, std::mem::take(&mut entry.came));
        let reply = state.transaction.exec_reply(&came);
        let elements: Option<Vec<Bytes>> = executed(&reply, count)
            .map(|elements| elements.into_iter().map(Bytes::copy_from_slice).collect());
        match elements.and_then(|elements| state.entry.take().map(|entry| (entry, elements))) {
            Some((entry, elements)) => {
                let changing = Changing::new(state, entry, elements, Some(ticket.side));
                ticket.session.carry_out(state, changing);
            }
            None => {
                self.leave_entry(state);
                state.replies.finish(number, &reply);
            }
        }
    }

    /// Brings about what the transaction changes, and answers EXEC. While workers are asked, nothing else of the client's goes on.
    fn carry_out(self: &Rc<Self>, state: &mut State, mut changing: Changing) {
        state.executing = Some(changing.elements.len());
        let mut asked = changing.go_on(self, state);
        state.asking = asked.is_some();
        if asked.is_none() {
            return self.carried_out(state, changing);
        }
        let session = Rc::clone(self);
        tokio::task::spawn_local(async move {
            while let Some((question, reply)) = asked.take() {
                let told = session.route.clients().ask(question).await;
                if session.closed.get() {
                    return;
                }
                let mut state = session.state.borrow_mut();
                let own = reply(&mut state, told);
                changing.say(&state, &own);
                asked = changing.go_on(&session, &mut state);
            }
            let mut state = session.state.borrow_mut();
            state.asking = false;
            session.carried_out(&mut state, changing);
            drop(state);
            session.wake.wake();
        });
    }

    fn carried_out(self: &Rc<Self>, state: &mut State, changing: Changing) {
        let Changing {
            entry,
            side,
            told,
            listening,
            reply,
            ..
        } = changing;
        if entry.queued.listens() {
            for topic in state.subscriptions.all() {
                if !listening.has(topic.kind, &topic.name) {
                    self.unsubscribe(state, &topic);
                }
            }
        }
        if let Some(side) = side
            && let Some(link) = &state.lanes[side.index()].link
            && entry.queued.resets_links()
        {
            link.setting.set(state.setting);
        }
        if entry.queued.resets_links() {
            let has_read = !entry.queued.is_all(entry.count);
            self.keep_told(state, side, told.as_ref(), has_read);
        }
        state.executing = None;
        // It was for this transaction.
        if let Some(tracking) = &mut state.tracking {
            tracking.caching = false;
        }
        state.replies.finish(entry.number, &reply);
    }

    /// One of the changes: what EXEC's reply says of it, or what workers have to be asked for that.
    fn change(
        self: &Rc<Self>,
        state: &mut State,
        (listening, told): (&mut Listening, &mut Option<Setup>),
        change: &Change,
        element: &[u8],
    ) -> Outcome {
        let is_error = element.first() == Some(&b'-');
        let protocol = state.setting.protocol;
        Outcome::Said(match change {
            Change::Listen(kind, is_on, names) => listening.listen(protocol, *kind, *is_on, names),
            Change::Ping => listening.pong(protocol, element),
            Change::Client(..) if is_forbidden(element) => element.to_vec(),
            Change::Client(command, request) => {
                let mut parser = RequestParser::new();
                // It has been parsed before.
                let _ = parser.parse(request, usize::MAX);
                return match self.client(state, *command, Args::new(request, parser.spans())) {
                    Ok(outcome) => outcome,
                    Err(refusal) => Outcome::Said(refusal.line()),
                };
            }
            Change::Auth(login) => {
                if !is_error {
                    self.has_become(state, login);
                }
                element.to_vec()
            }
            Change::Select(database) => {
                if !is_error {
                    state.setting.database = *database;
                }
                element.to_vec()
            }
            Change::Track { .. } if is_forbidden(element) => element.to_vec(),
            Change::Track { is_told, request } => {
                let is_known = state.is_as_told(told.as_ref());
                let said = self.track(state, request);
                if let Outcome::Said(reply) = &said
                    && *is_told
                {
                    let agrees = is_error == reply.starts_with(b"-");
                    state.has_tracked_on(told, is_known && agrees);
                }
                return said;
            }
            Change::Unknown(words) => {
                if !is_error {
                    state.knows(words.clone());
                    if let Some(told) = told {
                        told.unknown.clone_from(&state.unknown);
                    }
                }
                element.to_vec()
            }
            Change::Hello {
                protocol,
                options,
                error,
            } => {
                // What is refused is its AUTH, unless it says what is wrong behind that.
                let is_let_in = !is_error || error.as_deref() == Some(element);
                for option in options {
                    match option {
                        HelloOption::Name(name) => state.name = name.to_vec(),
                        HelloOption::Auth(login) if is_let_in => self.has_become(state, login),
                        HelloOption::Auth(_) => break,
                    }
                }
                if let Some(protocol) = protocol
                    && !is_error
                {
                    state.setting.protocol = *protocol;
                    state.refresh_setup();
                }
                greeting(element, self.id)
            }
            Change::Scan(_) if is_error => element.to_vec(),
            Change::Scan(cursor) => scanned(*cursor, element).unwrap_or_else(|| element.to_vec()),
        })
    }

    /// The server has let it in on its link, which is somebody whom the client may not be able to be.
    fn has_become(&self, state: &mut State, login: &Login) {
        state.disowned |= self.has_logged_in(state, login.clone()).is_err();
    }

    /// The transaction is not executed: the client has no other subscriptions than before.
    pub(super) fn leave_entry(&self, state: &mut State) {
        if let Some(entry) = state.entry.take() {
            if let Some(pending) = entry.pending {
                pending.cancel();
            }
            for topic in &entry.joined {
                self.unsubscribe(state, topic);
            }
            state.replies.forget_messages(entry.number);
        }
    }

    /// The same, when that is what `ticket` was for.
    pub(super) fn leave_entry_with(&self, state: &mut State, ticket: &Ticket) {
        if state.is_entry(ticket) {
            self.leave_entry(state);
        }
    }

    /// Every side that could carry a message has confirmed: EXEC can be sent.
    pub(crate) fn entered(&self) {
        self.set_entry(Stage::Entered);
    }

    /// A node refuses a channel, or none confirms it.
    pub(crate) fn entry_refused(&self, line: &[u8]) {
        self.set_entry(Stage::Refused(line.to_vec()));
    }

    fn set_entry(&self, stage: Stage) {
        if !self.closed.get()
            && let Some(entry) = &mut self.state.borrow_mut().entry
        {
            entry.stage = stage;
            self.wake.wake();
        }
    }
}
