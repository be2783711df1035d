//! What does a request ask of the connection itself, and what of the control loop?
//!
//! Pure: one connection's protocol, name and subscription. Its answers follow Redis, so that redis-cli and every
//! library feel at home; the loop never hears of them.

use super::command::{self, escaped};
use super::model::{Command, Reply};
use super::reply::Protocol;
use crate::cluster::Credentials;
use crate::resp::{Args, parse_i64};
use subtle::ConstantTimeEq;

/// The one channel there is.
pub(super) const CHANNEL: &str = "events";
/// Longest name a client may give itself, in bytes: it is kept, unlike everything else a client says.
const NAME_BYTES_MAX: usize = 64;

/// What is to be done about a request.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Answer, and read on.
    Say(Reply),
    /// Answer, and close.
    Close(Reply),
    /// The same, after a while: somebody guesses.
    Refuse(Reply),
    /// Ask the control loop.
    Ask(Command),
    /// Subscribe to events, and confirm it this many times: once an argument, as Redis does.
    Subscribe(usize),
    /// The same, unsubscribing.
    Unsubscribe(usize),
    /// Forget the subscription, and answer.
    Reset(Reply),
}

/// One connection's own state.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: i64,
    pub(super) protocol: Protocol,
    pub(super) subscribed: bool,
    name: String,
    /// What it has to prove that it knows; `None`: nothing, or it has.
    asked: Option<Credentials>,
    /// The same, for RESET.
    door: Option<Credentials>,
}

impl Peer {
    /// A connection that has said nothing yet.
    pub(super) fn new(id: i64) -> Self {
        Self {
            id,
            protocol: Protocol::Resp2,
            subscribed: false,
            name: String::new(),
            asked: None,
            door: None,
        }
    }

    /// One that has to prove first who it is.
    pub(super) fn asked(id: i64, door: Credentials) -> Self {
        Self {
            asked: Some(door.clone()),
            door: Some(door),
            ..Self::new(id)
        }
    }

    /// It has proved who it is, or need not.
    pub(super) fn is_known(&self) -> bool {
        self.asked.is_none()
    }

    /// Whether these are the right words. A wrong user takes as long to be told as a wrong password.
    fn knows(&self, user: Option<&[u8]>, password: &[u8]) -> Option<bool> {
        let door = self.door.as_ref()?;
        let expected = door.user.as_deref().unwrap_or("default");
        let is_user = user.unwrap_or(b"default").ct_eq(expected.as_bytes());
        let is_password = password.ct_eq(door.password.expose().as_bytes());
        Some((is_user & is_password).into())
    }

    /// Reads one request.
    pub(super) fn step(&mut self, args: Args<'_>) -> Step {
        let words: Vec<&[u8]> = args.iter().collect();
        let Some((name, rest)) = words.split_first() else {
            return error("ERR empty request");
        };
        let name = name.to_ascii_uppercase();
        if !self.is_known() && !matches!(name.as_slice(), b"AUTH" | b"HELLO" | b"QUIT" | b"RESET") {
            return error("NOAUTH Authentication required.");
        }
        if self.subscribed && self.protocol == Protocol::Resp2 && !allowed_while_subscribed(&name) {
            return error(&format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                escaped(&name.to_ascii_lowercase())
            ));
        }
        match name.as_slice() {
            b"PING" => self.ping(rest),
            b"HELLO" => self.hello(rest),
            b"QUIT" => Step::Close(Reply::Ok),
            b"RESET" => self.reset(),
            b"COMMAND" => Step::Say(Reply::Array(Vec::new())),
            b"HELP" => Step::Say(help()),
            b"CLIENT" => self.client(rest),
            b"SUBSCRIBE" => subscribe(rest),
            b"UNSUBSCRIBE" => Step::Unsubscribe(rest.len().max(1)),
            b"AUTH" => match rest {
                [password] => self.auth(None, password),
                [user, password] => self.auth(Some(user), password),
                _ => arity("auth"),
            },
            _ => match command::parse(args) {
                Ok(command) => Step::Ask(command),
                Err(cause) => error(&cause.to_string()),
            },
        }
    }

    fn auth(&mut self, user: Option<&[u8]>, password: &[u8]) -> Step {
        match self.knows(user, password) {
            None => error(NO_PASSWORD),
            Some(true) => {
                self.asked = None;
                Step::Say(Reply::Ok)
            }
            Some(false) => Step::Refuse(Reply::Error(WRONG.to_owned())),
        }
    }

    fn ping(&self, rest: &[&[u8]]) -> Step {
        let text = |word: &[u8]| Reply::Bulk(String::from_utf8_lossy(word).into_owned());
        match rest {
            [] | [_] if self.subscribed && self.protocol == Protocol::Resp2 => Step::Say(Reply::Array(vec![
                text(b"pong"),
                text(rest.first().copied().unwrap_or_default()),
            ])),
            [] => Step::Say(Reply::Simple("PONG")),
            [word] => Step::Say(text(word)),
            _ => arity("ping"),
        }
    }

    /// `HELLO [2|3 [AUTH user password] [SETNAME name]]`. Nothing changes unless all of it is right.
    fn hello(&mut self, rest: &[&[u8]]) -> Step {
        let (protocol, mut options) = match rest {
            [] => (self.protocol, rest),
            [version, options @ ..] => match parse_i64(version) {
                Some(2) => (Protocol::Resp2, options),
                Some(3) => (Protocol::Resp3, options),
                Some(_) => return error("NOPROTO unsupported protocol version"),
                None => return error("ERR Protocol version is not an integer or out of range"),
            },
        };
        let (mut name, mut is_known) = (None, self.is_known());
        loop {
            options = match options {
                [] => break,
                [word, value, rest @ ..] if word.eq_ignore_ascii_case(b"SETNAME") => {
                    match client_name(value) {
                        Ok(valid) => name = Some(valid),
                        Err(step) => return step,
                    }
                    rest
                }
                [word, user, password, rest @ ..] if word.eq_ignore_ascii_case(b"AUTH") => {
                    match self.knows(Some(user), password) {
                        None => return error(NO_PASSWORD),
                        Some(false) => return Step::Refuse(Reply::Error(WRONG.to_owned())),
                        Some(true) => is_known = true,
                    }
                    rest
                }
                [word, ..] => {
                    return error(&format!("ERR Syntax error in HELLO option '{}'", escaped(word)));
                }
            };
        }
        if !is_known {
            return error(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
            );
        }
        self.asked = None;
        self.protocol = protocol;
        self.name = name.unwrap_or_else(|| std::mem::take(&mut self.name));
        Step::Say(self.greeting())
    }

    fn greeting(&self) -> Reply {
        let text = |text: &str| Reply::Bulk(text.to_owned());
        let proto = match self.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        };
        Reply::Map(vec![
            ("server", text("switchback")),
            ("version", text(env!("CARGO_PKG_VERSION"))),
            ("proto", Reply::Integer(proto)),
            ("id", Reply::Integer(self.id)),
            ("mode", text("standalone")),
            ("role", text("master")),
            ("modules", Reply::Array(Vec::new())),
        ])
    }

    fn reset(&mut self) -> Step {
        *self = match self.door.take() {
            Some(door) => Self::asked(self.id, door),
            None => Self::new(self.id),
        };
        Step::Reset(Reply::Simple("RESET"))
    }

    fn client(&mut self, rest: &[&[u8]]) -> Step {
        let Some((subcommand, rest)) = rest.split_first() else {
            return arity("client");
        };
        match (subcommand.to_ascii_uppercase().as_slice(), rest) {
            (b"ID", []) => Step::Say(Reply::Integer(self.id)),
            (b"GETNAME", []) if self.name.is_empty() => Step::Say(Reply::Null),
            (b"GETNAME", []) => Step::Say(Reply::Bulk(self.name.clone())),
            (b"SETNAME", [name]) => match client_name(name) {
                Ok(name) => {
                    self.name = name;
                    Step::Say(Reply::Ok)
                }
                Err(step) => step,
            },
            // What a library is called is of no use here; that it may say so keeps it quiet.
            (b"SETINFO", [_, _]) => Step::Say(Reply::Ok),
            (b"ID" | b"GETNAME" | b"SETNAME" | b"SETINFO", _) => arity("client"),
            _ => error(&format!(
                "ERR unknown subcommand '{}'. Try HELP.",
                escaped(subcommand)
            )),
        }
    }
}

const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD: &str =
    "ERR AUTH called without any password configured: the admin socket is guarded by its file mode";

fn allowed_while_subscribed(name: &[u8]) -> bool {
    matches!(name, b"SUBSCRIBE" | b"UNSUBSCRIBE" | b"PING" | b"QUIT" | b"RESET")
}

fn subscribe(channels: &[&[u8]]) -> Step {
    match channels.iter().find(|channel| **channel != CHANNEL.as_bytes()) {
        _ if channels.is_empty() => arity("subscribe"),
        Some(other) => error(&format!(
            "ERR no such channel '{}': there is '{CHANNEL}'",
            escaped(other)
        )),
        None => Step::Subscribe(channels.len()),
    }
}

/// Redis's rule: it is listed in lines of fields apart by spaces.
fn client_name(name: &[u8]) -> Result<String, Step> {
    if name.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        return Err(error(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(error(&format!(
            "ERR a client name has at most {NAME_BYTES_MAX} bytes"
        )));
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

fn error(text: &str) -> Step {
    Step::Say(Reply::Error(text.to_owned()))
}

fn arity(name: &str) -> Step {
    error(&format!("ERR wrong number of arguments for '{name}' command"))
}

fn help() -> Reply {
    Reply::Array(HELP.iter().map(|&line| Reply::Simple(line)).collect())
}

const HELP: [&str; 30] = [
    "switchback admin commands. Names are case-insensitive; [] is optional.",
    "STATUS [route] [JSON]",
    "    State, weight, epoch and both sides of every route, or of one.",
    "WEIGHT route",
    "    The share of the route's traffic on 'new', in percent.",
    "WEIGHT route PERCENT [OVER seconds] [FORCE reason]",
    "    Move it there; evenly OVER that long; although a rule or pre-flight freezes, with FORCE.",
    "RAMP route START|PAUSE|RESUME|ABORT",
    "    Raise it by its configured steps, each after a hold with both sides healthy. ABORT leaves it where it is.",
    "BACK route [REASON text]",
    "    All traffic back to 'old', at once. Latches.",
    "ARM route",
    "    Allow weights above 0 again after a route back.",
    "HEALTH [route] [JSON]",
    "    Every guard rule's verdict and what it rests on.",
    "TOPOLOGY [route] [JSON]",
    "    Masters and replicas as they are known now.",
    "EVENTS [COUNT n] [JSON]",
    "    What has happened, newest first.",
    "SUBSCRIBE events",
    "    What happens from now on, one JSON document a message.",
    "CONFIG RELOAD",
    "    Apply a changed configuration file, or refuse it whole.",
    "UPGRADE",
    "    Start the program anew, perhaps another version, and have it take over without refusing anybody.",
    "SHUTDOWN [GRACE seconds]",
    "    End the proxy once replies in flight are delivered, or GRACE has passed.",
    "PING, HELLO, CLIENT SETNAME, CLIENT ID, RESET, QUIT",
    "    As in Redis.",
    "HELP",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::with_args;
    use proptest::prelude::*;

    fn step(peer: &mut Peer, line: &str) -> Step {
        with_args(&line.split(' ').collect::<Vec<_>>(), |args| peer.step(args))
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.to_owned())
    }

    #[test]
    fn hello_changes_the_protocol_only_when_all_of_it_is_right() {
        let mut peer = Peer::new(7);
        for bad in [
            "HELLO 4",
            "HELLO x",
            "HELLO 3 SETNAME",
            "HELLO 3 SETNAME a\nb",
            "HELLO 3 AUTH u p",
            "HELLO 3 WHAT",
        ] {
            assert!(
                matches!(step(&mut peer, bad), Step::Say(Reply::Error(_))),
                "{bad}"
            );
            assert_eq!(peer.protocol, Protocol::Resp2);
        }
        let Step::Say(Reply::Map(pairs)) = step(&mut peer, "hello 3 setname me") else {
            panic!("HELLO has a map for an answer");
        };
        assert!(pairs.contains(&("proto", Reply::Integer(3))));
        assert_eq!(peer.protocol, Protocol::Resp3);
        assert_eq!(step(&mut peer, "CLIENT GETNAME"), Step::Say(bulk("me")));
        assert_eq!(step(&mut peer, "CLIENT ID"), Step::Say(Reply::Integer(7)));
    }

    #[test]
    fn a_name_is_bounded() {
        let mut peer = Peer::new(1);
        let at = format!("CLIENT SETNAME {}", "x".repeat(NAME_BYTES_MAX));
        assert_eq!(step(&mut peer, &at), Step::Say(Reply::Ok));
        assert!(matches!(
            step(&mut peer, &format!("{at}x")),
            Step::Say(Reply::Error(_))
        ));
    }

    #[test]
    fn a_subscriber_may_say_little_in_resp2_and_all_in_resp3() {
        let mut peer = Peer::new(1);
        assert_eq!(step(&mut peer, "SUBSCRIBE events events"), Step::Subscribe(2));
        peer.subscribed = true;
        assert_eq!(
            step(&mut peer, "PING"),
            Step::Say(Reply::Array(vec![bulk("pong"), bulk("")]))
        );
        assert!(matches!(step(&mut peer, "STATUS"), Step::Say(Reply::Error(_))));
        peer.protocol = Protocol::Resp3;
        assert_eq!(step(&mut peer, "PING"), Step::Say(Reply::Simple("PONG")));
        assert!(matches!(step(&mut peer, "STATUS"), Step::Ask(_)));
        assert_eq!(step(&mut peer, "RESET"), Step::Reset(Reply::Simple("RESET")));
        assert_eq!((peer.subscribed, peer.protocol), (false, Protocol::Resp2));
    }

    #[test]
    fn there_is_one_channel() {
        let mut peer = Peer::new(1);
        assert_eq!(
            step(&mut peer, "SUBSCRIBE events other"),
            error("ERR no such channel 'other': there is 'events'")
        );
        assert_eq!(step(&mut peer, "SUBSCRIBE"), arity("subscribe"));
        assert_eq!(step(&mut peer, "UNSUBSCRIBE"), Step::Unsubscribe(1));
    }

    #[test]
    fn help_knows_every_command_of_the_contract() {
        let text = HELP.join("\n");
        for name in [
            "STATUS",
            "WEIGHT",
            "RAMP",
            "BACK",
            "ARM",
            "HEALTH",
            "TOPOLOGY",
            "EVENTS",
            "SUBSCRIBE",
            "CONFIG",
            "SHUTDOWN",
            "PING",
        ] {
            assert!(text.contains(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            name in proptest::sample::select(vec!["PING", "HELLO", "CLIENT", "SUBSCRIBE", "UNSUBSCRIBE", "AUTH", "HELP"]),
            rest in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..5),
            subscribed: bool,
        ) {
            let mut bytes = name.as_bytes().to_vec();
            let mut spans = vec![(0, bytes.len() as u32)];
            for word in &rest {
                spans.push((bytes.len() as u32, word.len() as u32));
                bytes.extend_from_slice(word);
            }
            let mut peer = Peer::new(1);
            peer.subscribed = subscribed;
            peer.step(Args::new(&bytes, &spans));
        }
    }
}
