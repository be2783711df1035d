//! Who is a client, and who says so?
//!
//! Shell: the servers do. Each AUTH is sent to every side that owns anything, on a connection on which nothing else is asked, and
//! what they answer is what the client gets. Only once they agree is it another user, and its commands take that one's links.
//! A client that has not authenticated is served if the servers would serve it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::clients::syntax;
use super::dispatch::{Sending, Stall, Stop, answer, is_between};
use super::exec::drop_link;
use super::queued::Change;
use super::state::{Session, State};
use super::ticket::{Role, Ticket};
use crate::cluster::Side;
use crate::data_plane::command::{Intent, flags};
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{Door, Lease, Link, NOAUTH, Setting};
use crate::data_plane::users::{Login, UserId};
use crate::limits::{LOGIN_BYTES_MAX, REFUSALS_MAX, USERS_MAX};
use crate::resp::write_command;

/// A connection that is asked about passwords is nobody's again after each: it does not end with whoever it was.
const RESET: &[u8] = b"*1\r\n$5\r\nRESET\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// How long a server is waited for that is asked whether a client may do what takes no server.
const MAY_WAIT: Duration = Duration::from_secs(1);

/// Whether a client's commands are run at all. As Redis, this is decided when it connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They are.
    #[default]
    Admitted,
    /// Not known yet.
    Unasked,
    /// It has to authenticate.
    Outside,
}

impl Standing {
    /// Of a client that has not authenticated.
    pub(super) fn first(route: &LocalRoute) -> Self {
        match route.sides().any(|side| route.asks_for_password(side)) {
            true => Self::Unasked,
            false => Self::Admitted,
        }
    }
}

/// A question to the servers that is under way.
#[derive(Debug)]
pub(crate) struct Check {
    number: u64,
    /// By side: whether it is asked, and what it has answered.
    asked: [bool; 2],
    replies: [Option<Vec<u8>>; 2],
    /// It has to be asked anew; how often that was so.
    is_lost: bool,
    losses: u8,
}

impl Check {
    fn is_complete(&self) -> bool {
        let has_answered = |side: &Side| !self.asked[side.index()] || self.replies[side.index()].is_some();
        Side::BOTH.iter().all(has_answered)
    }

    /// A refusal of either side is the reply, and `old`'s comes first.
    fn outcome(self) -> Vec<u8> {
        let replies: Vec<Vec<u8>> = self.replies.into_iter().flatten().collect();
        let refusal = replies.iter().find(|reply| reply.first() == Some(&b'-'));
        refusal.or(replies.first()).cloned().unwrap_or_default()
    }
}

impl State {
    /// A side has answered a question.
    pub(super) fn checked(&mut self, ticket: &Ticket, reply: &[u8]) {
        if let Some(check) = self.check.as_mut().filter(|check| check.number == ticket.number) {
            check.replies[ticket.side.index()] = Some(reply.to_vec());
        }
    }

    /// Whether this side has just accepted what the client says it is.
    fn has_let_in(&self, side: Side) -> bool {
        let reply = self.check.as_ref().map(|check| &check.replies[side.index()]);
        reply.is_some_and(|reply| reply.as_deref() == Some(b"+OK\r\n"))
    }

    /// It has not, and never will.
    pub(super) fn unchecked(&mut self, ticket: &Ticket) {
        if let Some(check) = self.check.as_mut().filter(|check| check.number == ticket.number) {
            check.is_lost = true;
        }
    }
}

impl Session {
    /// Asks whether whoever connects now is served without a password.
    pub(crate) fn knock(self: &Rc<Self>, link: &Link, number: u64) {
        self.send_own(link, RESET);
        self.send_as(link, Role::Knock, number, PING);
    }

    pub(super) fn knocked(&self, ticket: &Ticket, is_open: Option<bool>) {
        self.route
            .links(ticket.side)
            .answered_knock(ticket.number, is_open);
        self.route.wake_waiting();
    }

    /// The servers have let it in: it is another user from here on.
    pub(super) fn has_logged_in(&self, state: &mut State, login: Login) -> Result<(), Refusal> {
        let route = &self.route;
        let user = route.users.enter(login);
        let user = user.ok_or(Refusal::TooManyUsers { limit: USERS_MAX })?;
        route.users.leave(state.setting.user);
        state.setting.user = user;
        state.standing = Standing::Admitted;
        for side in route.owning_sides(route.snapshot().weight) {
            route.links(side).accepts(user);
            // So that it is there when it is needed, and its end is noticed.
            let _ = route.links(side).shared(route, state.setting);
        }
        Ok(())
    }

    /// Its user has been deleted.
    pub(crate) fn end_if(&self, user: UserId) {
        if self.state.borrow().setting.user == user {
            self.disown();
        }
    }

    /// Its connection is closed, as by Redis.
    fn disown(&self) {
        self.state.borrow_mut().disowned = true;
        self.wake.wake();
    }

    /// It may not listen any more to what it listens to. A transaction that is about to be executed is told, and ends.
    pub(crate) fn may_not_listen(&self) {
        if self.state.borrow().entry.is_none() {
            self.disown();
        }
    }
}

/// Whether this says that the user may not do what was asked, rather than what is wrong with it.
pub(super) fn is_forbidden(reply: &[u8]) -> bool {
    let words = [&b"-NOPERM "[..], b"-NOAUTH ", b"-ERR No such user "];
    words.iter().any(|words| reply.starts_with(words))
}

/// Whether a client that has not authenticated is served; [`Stall`]: that is not known yet.
pub(super) fn ask_standing(session: &Rc<Session>, state: &mut State) -> Result<Standing, Stall> {
    state.standing = match session.route.door() {
        Ok(Door::Open) => Standing::Admitted,
        Ok(Door::Shut | Door::Unknown) => Standing::Outside,
        Err(side) => return Err(Stall::Hold(side)),
    };
    Ok(state.standing)
}

impl Sending<'_> {
    /// What a client is answered that is not served; `None`: it is, or this is what it may ask. In the order of checks of Redis.
    pub(super) fn at_the_door(&self, state: &mut State) -> Result<Option<Vec<u8>>, Stop> {
        let is_allowed = self.class.spec.is_some_and(|spec| spec.has(flags::NO_AUTH));
        if is_allowed {
            return Ok(self.misfit());
        }
        // Also of one that was outside: the default user may not ask for a password any more.
        match ask_standing(self.session, state) {
            Ok(Standing::Admitted) => {
                state.unheard_since = None;
                return Ok(None);
            }
            Ok(_) => state.unheard_since = None,
            // Nobody can be asked, nor has it said anything else: whatever needs a server waits for one.
            Err(Stall::Hold(side)) if state.standing == Standing::Unasked && !self.needs_server() => {
                let is_asked = self.session.route.links(side).is_being_asked();
                if is_asked && !self.has_waited(state) {
                    return Err(Stall::Hold(side).into());
                }
                state.unheard_since = None;
                return Ok(None);
            }
            Err(stall) => return Err(stall.into()),
        }
        let refusal = match self.class.intent {
            Intent::Exec => format!("EXECABORT Transaction discarded because of: {NOAUTH}"),
            _ => NOAUTH.to_owned(),
        };
        let refusal = Refusal::Redis(refusal.into_bytes()).line();
        Ok(Some(self.misfit().unwrap_or(refusal)))
    }

    /// Whether a server answers it, and not the proxy.
    fn needs_server(&self) -> bool {
        !matches!(
            self.class.intent,
            Intent::Local(_)
                | Intent::Multi
                | Intent::Unwatch
                | Intent::Subscribe(_)
                | Intent::Unsubscribe(_)
        )
    }

    /// AUTH.
    pub(super) fn auth(&self, state: &mut State) -> Result<(), Stop> {
        let login = self.login().ok_or_else(syntax)?;
        let words: Vec<&[u8]> = self.request.args.iter().collect();
        let reply = self.log_in(state, login, &words)?;
        answer(state, self.request.again, &reply);
        Ok(())
    }

    /// What AUTH is given; `None`: more than it takes.
    fn login(&self) -> Option<Login> {
        let argument = |at: usize| self.request.args.get(at).unwrap_or_default().to_vec();
        match self.request.args.len() {
            2 => Some(Login {
                name: None,
                password: argument(1),
            }),
            3 => Some(Login {
                name: Some(argument(1)),
                password: argument(2),
            }),
            _ => None,
        }
    }

    /// AUTH between MULTI and EXEC: the server itself has the transaction go on as who it lets in. It is one side's word.
    pub(super) fn queue_auth(&self, state: &mut State) -> Result<(), Stop> {
        let Some(login) = self.login() else {
            return self.queue_own(state, self.request.bytes);
        };
        self.can_queue_login(state, &login)?;
        self.queue_change(state, Change::Auth(login), self.request.bytes)
    }

    /// Whether one side's word is enough, and what the client is and has would go on as it was.
    pub(super) fn can_queue_login(&self, state: &State, login: &Login) -> Result<(), Refusal> {
        let weight = self.turn.snapshot.weight;
        if is_between(weight) {
            let name = self.name();
            return Err(Refusal::BetweenWeights { name, weight });
        }
        self.can_log_in(state, login)
    }

    /// Whether what the client is and has would go on as it was.
    fn can_log_in(&self, state: &State, login: &Login) -> Result<(), Refusal> {
        if !state.subscriptions.is_empty() || state.transaction.own.listens() {
            let name = self.name();
            let why = "by a client with subscriptions it is not supported yet";
            return Err(Refusal::Unsupported { name, why });
        }
        let longest = login.name.as_ref().map_or(0, Vec::len).max(login.password.len());
        match longest > LOGIN_BYTES_MAX {
            true => Err(Refusal::TooBig {
                what: "the name or the password",
                limit: LOGIN_BYTES_MAX,
            }),
            false => Ok(()),
        }
    }

    /// Asks the servers in the client's `words`, AUTH or HELLO, as MONITOR and ACL LOG tell them; the client is another user from
    /// here on if they accept it, and what it was if they do not.
    pub(super) fn log_in(&self, state: &mut State, login: Login, words: &[&[u8]]) -> Result<Vec<u8>, Stop> {
        self.can_log_in(state, &login)?;
        let (mut request, mut auth) = (Vec::new(), Vec::new());
        write_command(&mut request, words);
        login.write(&mut auth);
        // What is watched stays so on a link that is another user's from there on.
        let watching = self.watching_link(state);
        let is_changed = watching.as_ref().is_some_and(|link| state.has_let_in(link.side));
        let own = watching.as_ref().map(|link| (link, auth.as_slice()));
        let reply = self.consult(state, Setting::ASKING, &request, own)?;
        let is_let_in = reply.first().is_some_and(|kind| *kind != b'-');
        let entered = match is_let_in {
            true => self.session.has_logged_in(state, login),
            false => Ok(()),
        };
        if let Some(link) = watching.filter(|_| is_changed) {
            if is_let_in && entered.is_ok() {
                link.setting.set(state.setting);
            } else {
                // It is somebody whom the client is not.
                state.transaction.connection_lost();
                drop_link(state, link.side);
            }
        }
        entered.map(|()| reply).map_err(Stop::from)
    }

    /// Whether the client's user may do what the proxy does in a server's place: the servers say so, of a command that is as much
    /// forbidden and does nothing.
    pub(super) fn may(&self, state: &mut State, harmless: &[&[u8]]) -> Result<(), Stop> {
        let mut request = Vec::new();
        write_command(&mut request, harmless);
        let user = state.setting.user;
        let asked = self.consult(state, Setting::of(user), &request, None);
        let reply = match asked {
            // A client that nobody has to know is not kept from ending others because a server is frozen or gone.
            Err(Stop::Stall(_)) if !user.has_logged_in() && self.cannot_be_asked(state) => {
                state.check = None;
                state.unheard_since = None;
                return Ok(());
            }
            asked => asked?,
        };
        state.unheard_since = None;
        match is_forbidden(&reply) {
            true => Err(Refusal::Redis(
                reply
                    .trim_ascii_end()
                    .strip_prefix(b"-")
                    .unwrap_or_default()
                    .to_vec(),
            )
            .into()),
            false => Ok(()),
        }
    }

    /// No server answers. What has been asked is waited for a moment.
    fn cannot_be_asked(&self, state: &mut State) -> bool {
        let route = &self.session.route;
        if state.check.is_none() && state.replies.open_count() > 0 {
            return false;
        }
        let mut sides = route.owning_sides(self.turn.snapshot.weight);
        let is_asked = state.check.is_some() || sides.any(|side| route.links(side).is_being_asked());
        !is_asked || self.has_waited(state)
    }

    /// Whether the client has been kept waiting for long by servers that do not answer: a frozen one takes connections all the same.
    fn has_waited(&self, state: &mut State) -> bool {
        let since = *state.unheard_since.get_or_insert_with(|| {
            let session = Rc::clone(self.session);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(MAY_WAIT).await;
                session.wake.wake();
            });
            Instant::now()
        });
        since.elapsed() >= MAY_WAIT
    }

    /// What the servers of all sides that own anything say to this. What is under way was meant for who the client was, and comes first.
    /// A side that has a link of its own in `own` is asked on it, with the request there.
    fn consult(
        &self,
        state: &mut State,
        setting: Setting,
        request: &[u8],
        own: Option<(&Rc<Link>, &[u8])>,
    ) -> Result<Vec<u8>, Stop> {
        let losses = match state.check.take() {
            None => 0,
            Some(check) if check.is_lost => check.losses + 1,
            Some(check) if check.is_complete() => return Ok(check.outcome()),
            Some(check) => {
                state.check = Some(check);
                return Err(Stall::Replies.into());
            }
        };
        let route = &self.session.route;
        let sides: Vec<Side> = route.owning_sides(self.turn.snapshot.weight).collect();
        if losses > REFUSALS_MAX {
            let side = sides.first().copied().unwrap_or(Side::Old);
            return Err(Refusal::Uncertain { side }.into());
        }
        let mut check = Check {
            number: state.replies.next_number(),
            asked: [false; 2],
            replies: [None, None],
            is_lost: false,
            losses,
        };
        if state.replies.open_count() > 0 {
            return Err(Stall::Replies.into());
        }
        let mut links = Vec::new();
        for side in sides {
            let (lease, request) = match own.filter(|(link, _)| link.side == side) {
                Some((link, request)) => (Lease::Ready(Rc::clone(link)), request),
                None => (route.links(side).shared(route, setting), request),
            };
            match lease {
                Lease::Ready(link) if link.has_room(self.session) => links.push((link, request)),
                Lease::Ready(_) => return Err(Stall::Room.into()),
                Lease::Wait => return Err(Stall::Hold(side).into()),
                Lease::Refused(text) => return Err(Refusal::Redis(text.into_bytes()).into()),
            }
        }
        for (link, request) in links {
            check.asked[link.side.index()] = true;
            self.enqueue_as(state, &link, check.number, Role::Check, request);
            if link.setting.get().user == UserId::ASKING {
                self.enqueue_as(state, &link, 0, Role::Own, RESET);
            }
        }
        state.check = Some(check);
        Err(Stall::Replies.into())
    }
}
