//! May a client still believe what it keeps of what it has read?
//!
//! Shell: client-side caching (CLIENT TRACKING). A session that tracks has links of its own, on which the nodes track, and passes
//! on what they say of the keys that their side owns. Whenever it could miss something (another owner, another master, a link
//! lost) the client is told that all it keeps is stale: at once, and again behind the replies that were under way.

use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;

use super::dispatch::{Request, Sending, Stall, Stop, Turn};
use super::state::{Session, State};
use crate::cluster::Side;
use crate::data_plane::clients::Question;
use crate::data_plane::command::classify;
use crate::data_plane::pubsub::Delivery;
use crate::data_plane::upstream::{Link, Setup};
use crate::resp::{Args, Protocol, parse_i64};
use crate::routing::{Slot, Weight, owner};

/// What a node says before the keys, or before nothing, which are all keys.
const HEAD: &[u8] = b">2\r\n$10\r\ninvalidate\r\n";
/// The same to a client of RESP2, which has subscribed to that channel.
const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";

/// What a client has asked for by CLIENT TRACKING ON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracking {
    pub(super) bcast: bool,
    pub(super) optin: bool,
    pub(super) optout: bool,
    pub(super) noloop: bool,
    pub(super) prefixes: BTreeSet<Vec<u8>>,
    /// The client that is told; 0 is itself.
    pub(super) redirect: u64,
    /// That one was gone when there was something to tell.
    pub(super) is_broken: bool,
    /// CLIENT CACHING has been said, and is for the next command or transaction.
    pub(super) caching: bool,
    /// It has perhaps read something since, of which it could not be told: it speaks RESP2.
    pub(super) has_read_untold: bool,
    /// Once everything up to this request is answered, all is stale again.
    stale_after: Option<u64>,
}

impl Tracking {
    /// What the session's links need, which speak this protocol: nothing where there is nobody to tell. Who tells another client has
    /// links that serve in either protocol.
    pub(super) fn setup(&self, protocol: Protocol) -> Option<(Vec<Vec<u8>>, bool)> {
        if protocol == Protocol::Resp2 && self.redirect == 0 {
            return None;
        }
        let flags = [
            (self.bcast, "BCAST"),
            (self.optin, "OPTIN"),
            (self.optout, "OPTOUT"),
            (self.noloop, "NOLOOP"),
        ];
        let set = flags.iter().filter(|(is_set, _)| *is_set);
        let mut words: Vec<Vec<u8>> = set.map(|(_, word)| word.as_bytes().to_vec()).collect();
        // The empty one covers all others, and a node takes none that overlap.
        if !self.prefixes.contains(&b""[..]) {
            for prefix in &self.prefixes {
                words.push(b"PREFIX".to_vec());
                words.push(prefix.clone());
            }
        }
        Some((words, self.redirect != 0))
    }

    /// What goes in front of the next command, where it is to be cached or not to be.
    pub(super) fn caching_request(&self) -> Option<&'static [u8]> {
        match (self.caching, self.optin) {
            (false, _) => None,
            (true, true) => Some(b"*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$3\r\nYES\r\n"),
            (true, false) => Some(b"*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$2\r\nNO\r\n"),
        }
    }
}

impl State {
    /// What the session's links are to be told, now that this has changed.
    pub(super) fn refresh_setup(&mut self) {
        let of_links = self.setup_with(self.tracking.as_deref());
        if self.setup.as_deref() != of_links.as_ref() {
            self.setup = of_links.map(Rc::new);
        }
    }

    pub(super) fn setup_with(&self, tracking: Option<&Tracking>) -> Option<Setup> {
        let tracking = tracking.and_then(|tracking| tracking.setup(self.setting.protocol));
        let (tracking, has_ear) = match tracking {
            Some((words, has_ear)) => (Some(words), has_ear),
            None => (None, false),
        };
        let setup = Setup {
            tracking,
            has_ear,
            unknown: self.unknown.clone(),
        };
        (!setup.is_empty()).then_some(setup)
    }

    /// When prefixes are added to a broadcast, the link that hears the others is kept until another hears them all: nothing is missed.
    pub(super) fn keep_hearing(&mut self, side: Side) {
        let lane = &mut self.lanes[side.index()];
        let adds = |link: &Rc<Link>| {
            let setups = self.setup.as_deref().zip(link.setup());
            link.is_ready()
                && link.setting.get() == self.setting
                && setups.is_some_and(|(setup, of_link)| setup.hears_more_than(&of_link))
        };
        if lane.in_flight() == 0 && lane.link.as_ref().is_some_and(adds) {
            self.former[side.index()] = lane.link.take();
        }
    }

    /// Lets go of such links.
    pub(super) fn leave_former(&mut self) {
        for link in self.former.iter_mut().filter_map(Option::take) {
            link.set_reader(None);
            link.close();
        }
    }

    /// The session's own link to `side`, when it tracks for another client: it goes on so in another protocol.
    pub(super) fn redirected_link(&self, side: Side) -> Option<Rc<Link>> {
        let is_redirected = self
            .tracking
            .as_ref()
            .is_some_and(|tracking| tracking.redirect != 0);
        let link = self.lanes[side.index()].link.as_ref().filter(|_| is_redirected)?;
        let suits = link.is_ready() && link.setting.get() == self.setting && link.setup() == self.setup;
        (suits && link.is_set_up()).then(|| Rc::clone(link))
    }

    /// Whether what this link says is for the client.
    fn is_tracked_by(&self, link: &Link) -> bool {
        self.tracking.is_some() && link.setup().is_some_and(|setup| setup.tracking.is_some())
    }
}

impl Session {
    /// A node has said something on the session's own link that is no reply.
    pub(crate) fn heard(self: &Rc<Self>, link: &Link, push: &[u8]) {
        let Some(keys) = push.strip_prefix(HEAD) else {
            return;
        };
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        if state.is_tracked_by(link)
            && let Some(keys) = owned(keys, link.side, self.route.snapshot().weight)
        {
            let since = state.lanes[link.side.index()].answered();
            self.invalidate(&mut state, since, &keys);
        }
        drop(state);
        self.wake.wake();
    }

    /// Something may have been missed on this link, or will be.
    pub(crate) fn is_stale(self: &Rc<Self>, link: &Link) {
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        if state.is_tracked_by(link) {
            self.all_is_stale(&mut state);
        }
        drop(state);
        self.wake.wake();
    }

    /// Slots have another owner.
    pub(crate) fn owners_changed(self: &Rc<Self>) {
        self.all_is_stale(&mut self.state.borrow_mut());
        self.wake.wake();
    }

    /// A link has taken another's place: what happened between the two was not heard. Who keeps only what was read on it has
    /// read nothing meanwhile; a broadcast is for others too.
    pub(crate) fn hears_again(self: &Rc<Self>, link: &Link) {
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        let hears_less = |former: &mut Rc<Link>| {
            let setups = link.setup().zip(former.setup());
            setups.is_some_and(|(setup, former)| setup.hears_more_than(&former))
        };
        if let Some(former) = state.former[link.side.index()].take_if(hears_less) {
            let has_heard = former.is_ready();
            former.set_reader(None);
            former.close();
            if has_heard {
                return;
            }
        }
        let is_broadcast = state.tracking.as_ref().is_some_and(|tracking| tracking.bcast);
        if is_broadcast && state.is_tracked_by(link) && state.setup == link.setup() {
            self.all_is_stale(&mut state);
        }
        drop(state);
        self.wake.wake();
    }

    pub(super) fn all_is_stale(self: &Rc<Self>, state: &mut State) {
        let Some(tracking) = &state.tracking else { return };
        let null = state.setting.protocol.null();
        let last = state.replies.last_open();
        if tracking.redirect == 0 && state.setting.protocol == Protocol::Resp2 {
            return;
        }
        self.invalidate(state, 0, null);
        if let Some(last) = last {
            match &mut state.tracking {
                Some(tracking) if tracking.redirect != 0 => tracking.stale_after = Some(last),
                _ => self.invalidate(state, last, null),
            }
        }
    }

    /// From the reply that is under way on: of what it has read before, nobody has told it anything.
    pub(super) fn can_be_told(self: &Rc<Self>, state: &mut State) {
        let tracking = state.tracking.as_mut();
        if !tracking.is_some_and(|tracking| std::mem::take(&mut tracking.has_read_untold)) {
            return;
        }
        let last = state.replies.last_open().unwrap_or_default();
        self.invalidate(state, last, state.setting.protocol.null());
    }

    /// Tells the client, behind the reply to request `since`; or the one it has named.
    fn invalidate(self: &Rc<Self>, state: &mut State, since: u64, keys: &[u8]) {
        let Some(tracking) = &state.tracking else { return };
        match tracking.redirect {
            0 => tell(state, since, keys),
            id if id == self.id => tell_redirected(state, keys),
            id => match self.route.session(id) {
                Some(other) => other.tell_redirected(keys),
                None => self.redirect(id, keys),
            },
        }
    }

    /// The one it has named is another worker's, or gone.
    fn redirect(self: &Rc<Self>, id: u64, keys: &[u8]) {
        let keys = Bytes::copy_from_slice(keys);
        let session = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let told = session
                .route
                .clients()
                .ask(Question::Invalidate { id, keys })
                .await;
            if told.count == 0 {
                session.redirection_is_broken(id);
            }
        });
    }

    fn redirection_is_broken(&self, id: u64) {
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        let protocol = state.setting.protocol;
        let Some(tracking) = state.tracking.as_mut().filter(|tracking| tracking.redirect == id) else {
            return;
        };
        tracking.is_broken = true;
        if protocol == Protocol::Resp3 {
            let push = format!(">2\r\n$21\r\ntracking-redir-broken\r\n:{id}\r\n");
            state
                .replies
                .deliver(0, &Delivery::Copied(push.as_bytes()), protocol);
        }
        drop(state);
        self.wake.wake();
    }

    /// What another client has it told.
    pub(crate) fn tell_redirected(&self, keys: &[u8]) {
        if !self.closed.get() {
            tell_redirected(&mut self.state.borrow_mut(), keys);
            self.wake.wake();
        }
    }

    /// What is to be done for a session that tracks whenever it is looked at.
    pub(super) fn keep_tracking(self: &Rc<Self>, turn: &Turn) {
        let mut state = self.state.borrow_mut();
        let State {
            tracking: Some(tracking),
            replies,
            ..
        } = &mut *state
        else {
            return;
        };
        let is_broadcast = tracking.bcast;
        let is_over = |last: &mut u64| replies.has_answered(*last);
        if tracking.stale_after.take_if(is_over).is_some() {
            let null = state.setting.protocol.null();
            self.invalidate(&mut state, 0, null);
        }
        if is_broadcast && state.setup.is_some() && !state.switches_links {
            let args = Args::new(&[], &[]);
            let sending = Sending {
                session: self,
                turn,
                request: Request {
                    bytes: &[],
                    large: None,
                    args,
                    again: None,
                },
                class: classify(args),
                told: Vec::new(),
            };
            if let Err(Stop::Stall(Stall::Hold(_))) = sending.own_links(&mut state) {
                self.route.wait(self);
            }
        }
    }
}

impl Sending<'_> {
    /// The session's own links to every side that owns anything.
    pub(super) fn own_links(&self, state: &mut State) -> Result<(), Stop> {
        let weight = self.turn.snapshot.weight;
        for side in Side::BOTH {
            if weight.owns_any(side) {
                self.private_link(state, side)?;
            }
        }
        Ok(())
    }
}

fn tell(state: &mut State, since: u64, keys: &[u8]) {
    if state.setting.protocol == Protocol::Resp3 {
        let push = [HEAD, keys].concat();
        state
            .replies
            .deliver(since, &Delivery::Copied(&push), Protocol::Resp3);
    }
}

/// A client of RESP2 is told only while it has subscriptions: it can take nothing else unasked.
fn tell_redirected(state: &mut State, keys: &[u8]) {
    let protocol = state.setting.protocol;
    let keys = match is_null(keys) {
        true => protocol.null(),
        false => keys,
    };
    match protocol {
        Protocol::Resp3 => tell(state, 0, keys),
        Protocol::Resp2 if state.subscriptions.is_empty() => {}
        Protocol::Resp2 => {
            let message = [MESSAGE, keys].concat();
            state.replies.deliver(0, &Delivery::Copied(&message), protocol);
        }
    }
}

fn is_null(keys: &[u8]) -> bool {
    matches!(keys, b"_\r\n" | b"$-1\r\n" | b"*-1\r\n")
}

/// Those of the keys that belong to `side`; `None`: none does.
fn owned(keys: &[u8], side: Side, weight: Weight) -> Option<Vec<u8>> {
    let owns_all = weight == Weight::ZERO || weight == Weight::FULL;
    if !weight.owns_any(side) {
        return None;
    }
    if owns_all || is_null(keys) {
        return Some(keys.to_vec());
    }
    let Some(all) = read(keys) else {
        return Some(keys.to_vec());
    };
    let kept: Vec<&[u8]> = all
        .into_iter()
        .filter(|key| owner(Slot::of(key), weight) == side)
        .collect();
    let mut request = Vec::new();
    crate::resp::write_command(&mut request, &kept);
    (!kept.is_empty()).then_some(request)
}

/// The strings of an array.
fn read(array: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, mut rest) = header(array, b'*')?;
    let mut all = Vec::new();
    for _ in 0..count {
        let (length, body) = header(rest, b'$')?;
        all.push(body.get(..length)?);
        rest = body.get(length + 2..)?;
    }
    Some(all)
}

fn header(bytes: &[u8], kind: u8) -> Option<(usize, &[u8])> {
    let rest = bytes.strip_prefix(&[kind])?;
    let end = memchr::memchr(b'\r', rest)?;
    let count = usize::try_from(parse_i64(rest.get(..end)?)?).ok()?;
    Some((count, rest.get(end + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_speaks_only_of_what_it_owns() {
        let half = Weight::from_steps(5_000).unwrap();
        let keys = |side: Side| {
            let candidates = (0..100).map(|number| format!("k{number}").into_bytes());
            candidates
                .filter(|key| owner(Slot::of(key), half) == side)
                .collect::<Vec<_>>()
        };
        let (old, new) = (keys(Side::Old), keys(Side::New));
        let write = |keys: &[Vec<u8>]| {
            let mut bytes = Vec::new();
            crate::resp::write_command(&mut bytes, &keys.iter().map(Vec::as_slice).collect::<Vec<_>>());
            bytes
        };
        let both = write(&[&old[..], &new[..]].concat());
        assert_eq!(owned(&both, Side::Old, half), Some(write(&old)));
        assert_eq!(owned(&both, Side::New, half), Some(write(&new)));
        assert_eq!(owned(&write(&old), Side::New, half), None);
        assert_eq!(owned(&both, Side::New, Weight::FULL), Some(both.clone()));
        assert_eq!(owned(&both, Side::Old, Weight::FULL), None);
        assert_eq!(owned(b"_\r\n", Side::Old, half), Some(b"_\r\n".to_vec()));
    }

    #[test]
    fn what_is_no_list_of_keys_is_read_as_none() {
        for bad in [
            &b""[..],
            b"*1\r\n",
            b"*1\r\n$3\r\nab",
            b"*-1\r\n",
            b"*1\r\n:1\r\n",
            b"*999999999\r\n$1\r\na\r\n",
        ] {
            assert_eq!(read(bad), None, "{}", bad.escape_ascii());
        }
    }
}
