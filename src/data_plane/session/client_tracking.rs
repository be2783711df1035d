//! What does a client ask of tracking?
//!
//! Shell: CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR, in the words and in the order of checks of Redis 7.0.

use std::rc::Rc;

use super::clients::{Outcome, syntax};
use super::dispatch::{Sending, Stall, Stop, answer};
use super::exec::STAND_IN;
use super::local::{redis, settle};
use super::queued::Change;
use super::state::{Session, State};
use super::ticket::Role;
use super::tracking::Tracking;
use crate::cluster::Side;
use crate::data_plane::clients::{Answer, Question};
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::Link;
use crate::limits::TRACKED_PREFIX_BYTES_MAX;
use crate::resp::{Args, Protocol, RequestParser, parse_i64, write_command};

/// What a node is told when it is to take other options than may follow those that it has.
const OFF: &[u8] = b"*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$3\r\nOFF\r\n";

/// Whether there is a client of that number, as far as request `asked_by` has found out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    asked_by: u64,
    id: u64,
    exists: bool,
}

impl Sending<'_> {
    /// OK once the owners' nodes track.
    pub(super) fn client_tracking(&self, state: &mut State) -> Result<(), Stop> {
        let (asked, prefixes) = options(self.request.args, |id| self.redirected_to(state, id))?;
        let next = next(state, self.request.args, asked, prefixes)?;
        settle(state)?;
        self.take_on(state, next.as_ref());
        if next.is_some()
            && state.setup.is_some()
            && let Err(stop) = self.own_links(state)
        {
            undo_if_refused(state, &stop);
            return Err(stop);
        }
        if next.is_none() {
            state.leave_former();
        }
        state.tracking = next.map(Box::new);
        self.session.route.tracks(self.session, state.tracking.is_some());
        answer(state, None, b"+OK\r\n");
        Ok(())
    }

    /// The session's links are for this from now on; those that serve for it without a new connection are told. One may be there
    /// from before tracking was turned off, when nothing was asked since: it has gone on hearing.
    fn take_on(&self, state: &mut State, next: Option<&Tracking>) {
        let before = std::mem::take(&mut state.setup);
        state.setup = state.setup_with(next).map(Rc::new);
        let Some(setup) = state.setup.clone().filter(|_| state.setup != before) else {
            return;
        };
        let was_off = before.as_ref().is_none_or(|before| before.tracking.is_none());
        for side in Side::BOTH {
            let suits = |link: &&Rc<Link>| link.setup() != state.setup && link.setting.get() == state.setting;
            let link = state.lanes[side.index()]
                .link
                .as_ref()
                .filter(suits)
                .map(Rc::clone);
            let Some(link) = link else { continue };
            if let Some(request) = link.take_on(&setup) {
                if was_off {
                    self.enqueue_as(state, &link, 0, Role::Aside, OFF);
                }
                self.enqueue_as(state, &link, 0, Role::Aside, &request);
            } else if setup.has_ear && next.is_some_and(|next| !next.bcast) && link.is_tracking() {
                // It has no second connection, and so cannot go on. What has been read there is heard there.
                let older = std::mem::replace(
                    &mut state.former[side.index()],
                    state.lanes[side.index()].link.take(),
                );
                // Its client has been told that all is stale since: the link that took its place has itself been left.
                if let Some(older) = older {
                    older.set_reader(None);
                    older.close();
                }
            }
        }
    }

    /// The same between MULTI and EXEC: the node is told there too, unless it could not tell the client, or is to tell another, for which
    /// the link has no second connection or has one.
    pub(super) fn queue_tracking(&self, state: &mut State, stand_in: Option<&[&[u8]]>) -> Result<(), Stop> {
        let args = self.request.args;
        let protocol = state.transaction.own.protocol().unwrap_or(state.setting.protocol);
        let is_redirect = |word: &[u8]| word.eq_ignore_ascii_case(b"redirect");
        let has_ear = state.setup.as_ref().is_some_and(|setup| setup.has_ear);
        let is_told = protocol == Protocol::Resp3 && !has_ear && !args.iter().skip(3).any(is_redirect);
        let mut request = STAND_IN.to_vec();
        if is_told {
            request = self.request.bytes.to_vec();
        } else if let Some(stand_in) = stand_in {
            request.clear();
            write_command(&mut request, stand_in);
        }
        let change = Change::Track {
            is_told,
            request: Box::from(self.request.bytes),
        };
        self.queue_change(state, change, &request)
    }

    /// The number of a client that there is, on whichever worker.
    fn redirected_to(&self, state: &mut State, id: &[u8]) -> Result<u64, Stop> {
        let id = number(id)?;
        let asked_by = state.replies.next_number();
        let is_here = id == self.session.id || self.session.route.session(id).is_some();
        let exists = match state.found {
            _ if is_here => true,
            Some(found) if found.asked_by == asked_by && found.id == id => found.exists,
            _ => {
                self.look_for(state, asked_by, id);
                return Err(Stall::Replies.into());
            }
        };
        match exists {
            true => Ok(id),
            false => Err(nobody().into()),
        }
    }

    /// Has the request come again when it is known whether there is such a client.
    fn look_for(&self, state: &mut State, asked_by: u64, id: u64) {
        state.asking = true;
        let session = Rc::clone(self.session);
        tokio::task::spawn_local(async move {
            let told = session.route.clients().ask(Question::IsThere { id }).await;
            if !session.closed.get() {
                let mut state = session.state.borrow_mut();
                state.asking = false;
                state.found = Some(Found {
                    asked_by,
                    id,
                    exists: told.count > 0,
                });
                drop(state);
                session.wake.wake();
            }
        });
    }

    /// Whether CLIENT CACHING is for this command: not in a transaction, before which it was.
    pub(super) fn goes_before(&self, state: &State, role: Role) -> bool {
        let is_own = matches!(role, Role::Whole | Role::Part(_) | Role::Blocking);
        is_own && self.request.again.is_none() && !state.transaction.open
    }

    /// It was for one command, or one transaction.
    pub(super) fn caching_is_over(&self, state: &mut State) {
        let is_client = self
            .class
            .spec
            .is_some_and(|spec| spec.name.starts_with("client"));
        let is_untold = state.setup.as_ref().is_none_or(|setup| setup.tracking.is_none());
        if let Some(tracking) = &mut state.tracking {
            tracking.has_read_untold |= is_untold && !is_client;
        }
        if let Some(tracking) = &mut state.tracking
            && !is_client
            && !state.transaction.open
            && self.request.again.is_none()
        {
            tracking.caching = false;
        }
    }

    /// In front of a command that is to be cached, or not to be.
    pub(super) fn tell_caching(&self, state: &mut State, link: &Link) {
        let caching = state
            .tracking
            .as_ref()
            .and_then(|tracking| tracking.caching_request());
        if let Some(request) = caching.filter(|_| link.is_set_up()) {
            self.enqueue_as(state, link, 0, Role::Own, request);
        }
    }
}

impl Session {
    /// CLIENT TRACKING, when a transaction is executed.
    pub(super) fn track(self: &Rc<Self>, state: &mut State, request: &[u8]) -> Outcome {
        let mut named = None;
        let next = next_in(state, request, |id| {
            named = Some(id).filter(|id| *id != self.id && *id != 0);
            id != 0
        });
        let Some(id) = named else {
            return Outcome::Said(self.has_tracked(state, next));
        };
        let (session, request) = (Rc::clone(self), request.to_vec());
        let reply = move |state: &mut State, told: Answer| {
            let next = next_in(state, &request, |_| told.count > 0);
            session.has_tracked(state, next)
        };
        Outcome::Asked(Question::IsThere { id }, Box::new(reply))
    }

    /// What is said to it; from here on it is so.
    fn has_tracked(self: &Rc<Self>, state: &mut State, next: Result<Option<Tracking>, Refusal>) -> Vec<u8> {
        let next = match next {
            Ok(next) => next,
            Err(refusal) => return refusal.line(),
        };
        if next.is_none() {
            state.leave_former();
        }
        state.tracking = next.map(Box::new);
        state.refresh_setup();
        self.route.tracks(self, state.tracking.is_some());
        b"+OK\r\n".to_vec()
    }
}

/// What a request in a transaction asks for, given whether there is the client that it names.
fn next_in(
    state: &State,
    request: &[u8],
    mut is_there: impl FnMut(u64) -> bool,
) -> Result<Option<Tracking>, Refusal> {
    let mut parser = RequestParser::new();
    // It has been parsed before.
    let _ = parser.parse(request, usize::MAX);
    let args = Args::new(request, parser.spans());
    let find = |id: &[u8]| {
        let id = number(id)?;
        match is_there(id) {
            true => Ok(id),
            false => Err(nobody()),
        }
    };
    let (asked, prefixes) = options(args, find)?;
    next(state, args, asked, prefixes)
}

/// Tracking as the client will have it.
fn next(
    state: &State,
    args: Args<'_>,
    asked: Tracking,
    prefixes: Vec<Vec<u8>>,
) -> Result<Option<Tracking>, Refusal> {
    let before = state.tracking.as_deref();
    match args.get(2).unwrap_or_default().to_ascii_lowercase().as_slice() {
        b"on" => {
            let mut next = turned_on(before, asked, prefixes)?;
            next.has_read_untold = before.is_some_and(|before| before.has_read_untold);
            Ok(Some(next))
        }
        b"off" => Ok(None),
        _ => Err(syntax()),
    }
}

/// What follows ON or OFF. `find` says who the client is that is named.
fn options<E: From<Refusal>>(
    args: Args<'_>,
    mut find: impl FnMut(&[u8]) -> Result<u64, E>,
) -> Result<(Tracking, Vec<Vec<u8>>), E> {
    let (mut asked, mut prefixes) = (Tracking::default(), Vec::new());
    let mut at = 3;
    while let Some(option) = args.get(at) {
        let more = args.get(at + 1);
        match (option.to_ascii_lowercase().as_slice(), more) {
            (b"redirect", Some(id)) => {
                if asked.redirect != 0 {
                    let text = b"ERR A client can only redirect to a single other client";
                    return Err(redis(&[text]).into());
                }
                asked.redirect = find(id)?;
                at += 1;
            }
            (b"prefix", Some(prefix)) => {
                prefixes.push(prefix.to_vec());
                at += 1;
            }
            (b"bcast", _) => asked.bcast = true,
            (b"optin", _) => asked.optin = true,
            (b"optout", _) => asked.optout = true,
            (b"noloop", _) => asked.noloop = true,
            _ => return Err(syntax().into()),
        }
        at += 1;
    }
    Ok((asked, prefixes))
}

/// The number of a client; 0 is nobody's.
fn number(id: &[u8]) -> Result<u64, Refusal> {
    let id = parse_i64(id).ok_or_else(|| redis(&[b"ERR value is not an integer or out of range"]))?;
    Ok(u64::try_from(id).unwrap_or_default())
}

fn nobody() -> Refusal {
    redis(&[b"ERR The client ID you want redirect to does not exist"])
}

impl State {
    /// What CLIENT LIST and GETREDIR say.
    pub(super) fn redirection(&self) -> i64 {
        let redirect = self.tracking.as_ref().map(|tracking| tracking.redirect);
        redirect.map_or(-1, |id| i64::try_from(id).unwrap_or(i64::MAX))
    }
}

pub(super) fn client_caching(state: &mut State, argument: &[u8]) -> Result<Vec<u8>, Refusal> {
    let Some(tracking) = &mut state.tracking else {
        let text = b"ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";
        return Err(redis(&[text]));
    };
    match (
        argument.to_ascii_lowercase().as_slice(),
        tracking.optin,
        tracking.optout,
    ) {
        (b"yes", true, _) | (b"no", _, true) => tracking.caching = true,
        (b"yes", ..) => {
            let text = b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
            return Err(redis(&[text]));
        }
        (b"no", ..) => {
            let text = b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
            return Err(redis(&[text]));
        }
        _ => return Err(syntax()),
    }
    Ok(b"+OK\r\n".to_vec())
}

pub(super) fn client_trackinginfo(state: &State) -> Vec<u8> {
    let tracking = state.tracking.as_deref();
    let flags: Vec<&str> = match tracking {
        None => vec!["off"],
        Some(tracking) => {
            let all = [
                (true, "on"),
                (tracking.bcast, "bcast"),
                (tracking.optin, "optin"),
                (tracking.optin && tracking.caching, "caching-yes"),
                (tracking.optout, "optout"),
                (tracking.optout && tracking.caching, "caching-no"),
                (tracking.noloop, "noloop"),
                (tracking.is_broken, "broken_redirect"),
            ];
            all.iter()
                .filter(|(is_set, _)| *is_set)
                .map(|(_, flag)| *flag)
                .collect()
        }
    };
    let (map, set) = match state.setting.protocol {
        Protocol::Resp2 => ("*6", '*'),
        Protocol::Resp3 => ("%3", '~'),
    };
    let mut reply = format!("{map}\r\n$5\r\nflags\r\n{set}{}\r\n", flags.len()).into_bytes();
    let bulk = |reply: &mut Vec<u8>, bytes: &[u8]| {
        reply.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
        reply.extend_from_slice(bytes);
        reply.extend_from_slice(b"\r\n");
    };
    flags.iter().for_each(|flag| bulk(&mut reply, flag.as_bytes()));
    let prefixes = tracking.map(|tracking| &tracking.prefixes);
    let redirection = state.redirection();
    let count = prefixes.map_or(0, std::collections::BTreeSet::len);
    let rest = format!("$8\r\nredirect\r\n:{redirection}\r\n$8\r\nprefixes\r\n*{count}\r\n");
    reply.extend_from_slice(rest.as_bytes());
    prefixes
        .into_iter()
        .flatten()
        .for_each(|prefix| bulk(&mut reply, prefix));
    reply
}

/// While links with a new set-up are dialled, that is what the session's links are: a client that hears broadcasts would
/// otherwise have links of the former kind dialled in their place. Only a refusal goes back to it.
pub(super) fn undo_if_refused(state: &mut State, stop: &Stop) {
    if matches!(stop, Stop::Refuse(_)) {
        state.refresh_setup();
    }
}

/// Tracking as it will be, when what is asked for fits what there is.
fn turned_on(
    before: Option<&Tracking>,
    asked: Tracking,
    mut prefixes: Vec<Vec<u8>>,
) -> Result<Tracking, Refusal> {
    if !asked.bcast && !prefixes.is_empty() {
        return Err(redis(&[b"ERR PREFIX option requires BCAST mode to be enabled"]));
    }
    if before.is_some_and(|before| before.bcast != asked.bcast) {
        return Err(redis(&[b"ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."]));
    }
    if asked.bcast && (asked.optin || asked.optout) {
        return Err(redis(&[b"ERR OPTIN and OPTOUT are not compatible with BCAST"]));
    }
    if asked.optin && asked.optout {
        return Err(redis(&[b"ERR You can't specify both OPTIN mode and OPTOUT mode"]));
    }
    if before.is_some_and(|before| (asked.optin && before.optout) || (asked.optout && before.optin)) {
        return Err(redis(&[b"ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."]));
    }
    let mut next = asked;
    if !next.bcast {
        return Ok(next);
    }
    let there: Vec<&Vec<u8>> = before.into_iter().flat_map(|before| &before.prefixes).collect();
    let all = there.iter().copied().chain(&prefixes);
    if all.map(|prefix| prefix.len() + 16).sum::<usize>() > TRACKED_PREFIX_BYTES_MAX {
        return Err(Refusal::TooBig {
            what: "the prefixes this client tracks",
            limit: TRACKED_PREFIX_BYTES_MAX,
        });
    }
    for (at, prefix) in prefixes.iter().enumerate() {
        check_prefix(there.iter().copied(), prefix, "an existing")?;
        check_prefix(prefixes.iter().skip(at + 1), prefix, "another provided")?;
    }
    if prefixes.is_empty() {
        prefixes.push(Vec::new());
    }
    next.prefixes = there.into_iter().cloned().chain(prefixes).collect();
    Ok(next)
}

/// No key may have two of a client's prefixes.
fn check_prefix<'p>(
    mut there: impl Iterator<Item = &'p Vec<u8>>,
    prefix: &[u8],
    which: &str,
) -> Result<(), Refusal> {
    let overlaps = |other: &&Vec<u8>| other.starts_with(prefix) || prefix.starts_with(other);
    match there.find(overlaps) {
        None => Ok(()),
        Some(other) => Err(redis(&[
            b"ERR Prefix '",
            prefix,
            b"' overlaps with ",
            which.as_bytes(),
            b" prefix '",
            other,
            b"'. Prefixes for a single client must not overlap.",
        ])),
    }
}
