//! What is a command that the table does not have?
//!
//! Shell: a module's, a newer server's or a renamed one. The server is asked: `COMMAND INFO` once a name, kept by the worker for
//! as long as the node is its side's master, and `COMMAND GETKEYS` for each request whose keys are not at fixed places. Only the
//! client that has sent it waits. While writes are paused, `FUNCTION LIST` tells of an FCALL whether it writes. A name the server does not know is not kept, so that inventing names fills nothing; the
//! request goes on to be refused in the server's own words. Subcommands are named as the server names them, `config|get`.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use super::dispatch::{Sending, Stall, Stop, is_between, with_room};
use super::merge::{elements, integer, payload};
use super::state::{Session, State};
use super::ticket::{Role, Ticket};
use crate::cluster::Side;
use crate::data_plane::command::{Intent, KeyRule, Spec, classify_as, lookup};
use crate::data_plane::upstream::{Lease, Setting};
use crate::limits::{LEARNT_NAME_BYTES_MAX, LEARNT_REPLY_BYTES_MAX, OWN_LINK_BYTES};
use crate::resp::write_command;
use crate::routing::{Slot, majority_owner};

/// Asked of beside the command, and unknown to every server: MONITOR's lines with it are left out.
pub(super) const MARK: &[u8] = b"switchback-learns";

/// What functions there are, asked as nobody else would.
pub(super) const FUNCTIONS: &[&[u8]] = &[b"FUNCTION", b"LIST", b"LIBRARYNAME", b"**"];

/// A command as its server describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Learnt {
    /// One of the table's by another name.
    Renamed(&'static Spec),
    Other(Described),
}

/// What is known of one that the table does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    keys: KeyRule,
    /// Its keys are for the server to tell.
    is_movable: bool,
    is_blocking: bool,
    /// Redis flags so what depends on its connection.
    is_stateful: bool,
    subscribes: bool,
    reads: bool,
}

impl Described {
    fn has_keys(&self) -> bool {
        self.is_movable || self.keys != KeyRule::None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Question {
    Command,
    Keys,
    Functions,
}

#[derive(Clone, Debug)]
enum Answer {
    /// The server does not know it, or will refuse the request.
    Refused,
    /// The server does not tell.
    Unknown,
    Command(Learnt),
    Keys(Vec<Slot>),
    /// Whether the function that is called is one that writes nothing.
    WritesNothing(bool),
}

/// What a session is learning of its next request.
#[derive(Debug, Default)]
pub(crate) struct Learning(Stage);

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Nothing,
    Asked {
        question: Question,
        /// Which request it is about.
        of: u64,
        name: Vec<u8>,
        came: Vec<u8>,
    },
    Told {
        question: Question,
        of: u64,
        answer: Answer,
    },
}

impl Learning {
    /// The answer is on its way.
    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.0, Stage::Asked { .. })
    }

    /// A piece of the answer.
    pub(super) fn piece(&mut self, bytes: &[u8]) {
        if let Stage::Asked { came, .. } = &mut self.0
            && came.len() < LEARNT_REPLY_BYTES_MAX
        {
            came.extend_from_slice(bytes);
        }
    }

    /// The request has gone; or there will be no answer, and it is asked again.
    pub(super) fn forget(&mut self) {
        self.0 = Stage::Nothing;
    }

    /// The answer to a question about this request. It stays until the request has gone, which may have to wait for other things.
    fn told(&self, wanted: Question, request: u64) -> Option<Answer> {
        match &self.0 {
            Stage::Told { question, of, answer } if *question == wanted && *of == request => {
                Some(answer.clone())
            }
            _ => None,
        }
    }
}

fn number_of(request: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    request.hash(&mut hasher);
    hasher.finish()
}

impl Sending<'_> {
    /// Classifies a request whose command the table does not have. Where the server cannot be asked it stays unknown.
    pub(super) fn learn(&mut self, state: &mut State) -> Result<(), Stop> {
        let args = self.request.args;
        let mut name = args.get(0).unwrap_or_default().to_ascii_lowercase();
        if let Some(container) = self.class.spec {
            name = [container.name.as_bytes(), b"|", args.get(1).unwrap_or_default()].concat();
            name.make_ascii_lowercase();
        }
        if name.is_empty() || name.len() > LEARNT_NAME_BYTES_MAX || self.request.bytes.len() > OWN_LINK_BYTES
        {
            return Ok(());
        }
        let weight = self.turn.snapshot.weight;
        let side = majority_owner(weight);
        let number = number_of(self.request.bytes);
        let known = self.session.route.links(side).learnt(&name);
        let learnt = match known {
            Some(learnt) => learnt,
            None => match state.learning.told(Question::Command, number) {
                Some(Answer::Command(learnt)) => learnt,
                Some(Answer::Refused) => {
                    self.class.intent = Intent::Forward;
                    return Ok(());
                }
                Some(_) => return Ok(()),
                None => return self.ask_server(state, side, Question::Command, number, name),
            },
        };
        let described = match learnt {
            Learnt::Renamed(spec) => {
                self.class = classify_as(spec, args);
                return Ok(());
            }
            Learnt::Other(described) => described,
        };
        let are_needed = is_between(weight) || described.is_blocking || state.transaction.open;
        if described.is_movable && are_needed && args.len() > 1 {
            match state.learning.told(Question::Keys, number) {
                Some(Answer::Keys(slots)) => self.told = slots,
                Some(Answer::Unknown) => return Ok(()),
                Some(_) => {}
                None => return self.ask_server(state, side, Question::Keys, number, name),
            }
        } else if !described.is_movable {
            self.class.keys = described.keys.positions(args).unwrap_or_default();
        }
        // Of a subcommand without keys nobody knows whether what it does on one side is to be done on both.
        if self.class.spec.is_none() || described.has_keys() {
            self.take_for(described);
        }
        Ok(())
    }

    /// Whether FCALL names a function that writes nothing, as it was loaded with that flag: seldom asked, as functions change.
    pub(super) fn calls_no_writes(&self, state: &mut State) -> Result<bool, Stall> {
        let number = number_of(self.request.bytes);
        if let Some(answer) = state.learning.told(Question::Functions, number) {
            let is_so = matches!(answer, Answer::WritesNothing(true));
            if is_so {
                state.learning.forget();
            }
            return Ok(is_so);
        }
        let Ok(side) = self.side() else { return Ok(false) };
        let name = self.request.args.get(1).unwrap_or_default().to_vec();
        match self.ask_server(state, side, Question::Functions, number, name) {
            Err(Stop::Stall(stall)) => Err(stall),
            // It cannot be asked: it may write.
            _ => Ok(false),
        }
    }

    fn take_for(&mut self, described: Described) {
        let Described {
            is_blocking,
            is_stateful,
            subscribes,
            reads,
            ..
        } = described;
        self.class.may_retry = reads && !is_stateful && !is_blocking;
        self.class.intent = match () {
            () if subscribes => {
                Intent::Unsupported("it may change its connection in a way that is not known")
            }
            () if is_blocking => Intent::Blocking,
            () if is_stateful => Intent::Alone,
            () => Intent::Forward,
        };
    }

    /// Asks the server, and has the request wait.
    fn ask_server(
        &self,
        state: &mut State,
        side: Side,
        question: Question,
        of: u64,
        name: Vec<u8>,
    ) -> Result<(), Stop> {
        let route = &self.session.route;
        let setting = match question {
            Question::Command | Question::Keys => Setting::default(),
            Question::Functions => Setting::of(state.setting.user),
        };
        let link = match route.links(side).shared(route, setting) {
            Lease::Ready(link) => with_room(&link, self.session)?,
            Lease::Wait => return Err(Stall::Hold(side).into()),
            Lease::Refused(_) => return Ok(()),
        };
        let mut words: Vec<&[u8]> = vec![b"COMMAND"];
        match question {
            Question::Command => words.extend([&b"INFO"[..], &name, MARK]),
            Question::Keys => {
                words.push(b"GETKEYS");
                words.extend(self.request.args.iter());
            }
            Question::Functions => words = FUNCTIONS.to_vec(),
        }
        let mut request = Vec::new();
        write_command(&mut request, &words);
        self.enqueue_as(state, &link, 0, Role::Learn, &request);
        let came = Vec::new();
        state.learning.0 = Stage::Asked {
            question,
            of,
            name,
            came,
        };
        Err(Stall::Replies.into())
    }
}

impl Session {
    /// The answer, or its last piece.
    pub(super) fn learnt(&self, state: &mut State, ticket: &Ticket, bytes: &[u8]) {
        state.learning.piece(bytes);
        let Stage::Asked {
            question,
            of,
            name,
            came,
        } = std::mem::take(&mut state.learning.0)
        else {
            return;
        };
        let answer = match question {
            Question::Command => description(&came),
            Question::Keys => told_keys(&came),
            Question::Functions => writes_nothing(&came, &name).map(Answer::WritesNothing),
        };
        let answer = answer.unwrap_or(Answer::Unknown);
        if let Answer::Command(learnt) = answer {
            self.route.links(ticket.side).keep_learnt(name, learnt);
        }
        state.learning.0 = Stage::Told { question, of, answer };
    }
}

/// What COMMAND INFO says of one command.
fn description(reply: &[u8]) -> Option<Answer> {
    let of_all = elements(reply)?;
    let of_one = match of_all.as_slice() {
        [b"$-1\r\n" | b"*-1\r\n" | b"_\r\n", _] => return Some(Answer::Refused),
        [one, _] => elements(one)?,
        _ => return None,
    };
    let name = payload(of_one.first()?)?;
    if let Some(spec) = lookup(name, None) {
        return Some(Answer::Command(Learnt::Renamed(spec)));
    }
    let flags = elements(of_one.get(2)?)?;
    let has = |flag: &str| {
        flags.iter().any(|found| {
            found
                .get(1..)
                .is_some_and(|rest| rest.trim_ascii_end() == flag.as_bytes())
        })
    };
    let at = |index: usize| integer(of_one.get(index)?);
    let (first, last, step) = (at(3)?, at(4)?, at(5)?);
    let has_subcommands = of_one
        .get(9)
        .and_then(|all| elements(all))
        .is_some_and(|all| !all.is_empty());
    let keys = match (u8::try_from(first), i8::try_from(last), u8::try_from(step)) {
        (Ok(1..), Ok(last), Ok(step @ 1..)) => KeyRule::Range {
            first: u8::try_from(first).ok()?,
            last,
            step,
        },
        _ => KeyRule::None,
    };
    Some(Answer::Command(Learnt::Other(Described {
        keys,
        is_movable: has("movablekeys") || has_subcommands,
        is_blocking: has("blocking"),
        is_stateful: has("noscript"),
        subscribes: has("pubsub"),
        reads: has("readonly"),
    })))
}

/// What COMMAND GETKEYS says. Where it objects, so will the command.
fn told_keys(reply: &[u8]) -> Option<Answer> {
    if reply.starts_with(b"-ERR ") {
        return Some(Answer::Refused);
    }
    let keys = elements(reply)?;
    let slots: Option<Vec<Slot>> = keys.into_iter().map(|key| payload(key).map(Slot::of)).collect();
    Some(Answer::Keys(slots?))
}

/// Whether FUNCTION LIST has a function of this name with the flag `no-writes`.
fn writes_nothing(reply: &[u8], name: &[u8]) -> Option<bool> {
    for library in elements(reply)? {
        for function in elements(field(library, b"functions")?)? {
            if payload(field(function, b"name")?)? == name {
                let flags = elements(field(function, b"flags")?)?;
                return Some(flags.contains(&&b"+no-writes\r\n"[..]));
            }
        }
    }
    None
}

/// The value behind a name, in an array of names and values.
fn field<'a>(reply: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let fields = elements(reply)?;
    let mut pairs = fields.chunks_exact(2);
    let pair = pairs.find(|pair| payload(pair[0]) == Some(name))?;
    pair.get(1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULES: &str = "*2\r\n*10\r\n$7\r\nmod.set\r\n:-2\r\n*2\r\n+write\r\n+blocking\r\n:1\r\n:-1\r\n:2\r\n*0\r\n*0\r\n*0\r\n*0\r\n$-1\r\n";

    #[test]
    fn a_command_is_what_its_server_says() {
        let learnt = |reply: &str| match description(reply.as_bytes()) {
            Some(Answer::Command(learnt)) => learnt,
            other => panic!("{other:?}"),
        };
        let expected = Described {
            keys: KeyRule::Range {
                first: 1,
                last: -1,
                step: 2,
            },
            is_movable: false,
            is_blocking: true,
            is_stateful: false,
            subscribes: false,
            reads: false,
        };
        assert!(matches!(learnt(MODULES), Learnt::Other(described) if described == expected));
        let renamed = MODULES.replace("$7\r\nmod.set", "$6\r\nincrby");
        assert!(matches!(learnt(&renamed), Learnt::Renamed(spec) if spec.name == "incrby"));
        assert!(matches!(
            description(b"*2\r\n$-1\r\n$-1\r\n"),
            Some(Answer::Refused)
        ));
    }

    #[test]
    fn what_is_no_description_teaches_nothing() {
        for cut in 0..MODULES.len() {
            assert!(description(&MODULES.as_bytes()[..cut]).is_none(), "{cut}");
        }
        for reply in ["-NOPERM x\r\n", "*1\r\n$-1\r\n", "*1\r\n*0\r\n", ":1\r\n", ""] {
            assert!(description(reply.as_bytes()).is_none(), "{reply}");
        }
        assert!(told_keys(b"-NOPERM x\r\n").is_none());
        assert!(matches!(told_keys(b"-ERR no keys\r\n"), Some(Answer::Refused)));
        assert!(
            matches!(told_keys(b"*1\r\n$1\r\na\r\n"), Some(Answer::Keys(keys)) if keys == [Slot::of(b"a")])
        );
    }

    const LIBRARIES: &str = "*1\r\n*6\r\n$12\r\nlibrary_name\r\n$1\r\na\r\n$6\r\nengine\r\n$3\r\nLUA\r\n$9\r\nfunctions\r\n*2\r\n\
        *6\r\n$4\r\nname\r\n$1\r\nr\r\n$11\r\ndescription\r\n$-1\r\n$5\r\nflags\r\n*2\r\n+allow-stale\r\n+no-writes\r\n\
        *6\r\n$4\r\nname\r\n$1\r\nw\r\n$11\r\ndescription\r\n$9\r\nno-writes\r\n$5\r\nflags\r\n*0\r\n";

    #[test]
    fn a_function_writes_nothing_if_its_flags_say_so() {
        let told = |name: &[u8]| writes_nothing(LIBRARIES.as_bytes(), name);
        assert_eq!(
            (told(b"r"), told(b"w"), told(b"x")),
            (Some(true), Some(false), None)
        );
        for cut in 0..LIBRARIES.len() {
            assert_eq!(writes_nothing(&LIBRARIES.as_bytes()[..cut], b"r"), None, "{cut}");
        }
        for reply in [
            "-NOPERM x\r\n",
            "*1\r\n*2\r\n$9\r\nfunctions\r\n*1\r\n$4\r\nname\r\n",
            "*0\r\n",
        ] {
            assert_eq!(writes_nothing(reply.as_bytes(), b"r"), None);
        }
    }
}
