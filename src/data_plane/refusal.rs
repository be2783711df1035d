//! What does the proxy itself answer when it does not pass a command on?
//!
//! Pure: the one table of errors the proxy makes. Where Redis has an error of its own, its words are used.

use std::time::Duration;

use crate::cluster::Side;
use crate::data_plane::pubsub::Overload;
use crate::resp::ProtocolError;
use crate::routing::Weight;

/// A reply of the proxy's own making. [`Refusal::line`] is what the app sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Keys of one command belong to different sides. The app's to change, or to wait for a weight of 0 or 100.
    CrossSide { weight: Weight },
    /// Sent, unanswered: may or may not have been executed. Only the app knows whether it may be sent again.
    Uncertain { side: Side },
    /// Not executed: no usable master within the wait. May be sent again.
    NoUpstream { side: Side, waited_ms: u64 },
    /// Not executed: as many clients as configured are waiting for a master already.
    NoUpstreamFull { side: Side, commands: usize },
    /// Not executed: not all of it had come there, and what had come is not kept. The app's to send again.
    CutShort { side: Side },
    /// Not executed: over a limit.
    TooBig { what: &'static str, limit: usize },
    /// Not executed: others have waited for the room that it took, and next to nothing more of it came.
    Stalled { seconds: u8 },
    /// Not published: no subscriber could have it, by the proxy's own limit.
    MessageTooBig { bytes: usize, limit: usize },
    /// Not published: a node would close the link that carries it.
    MessageOverload(Overload),
    /// Not subscribed: the client would have more subscriptions than it may.
    TooManySubscriptions { limit: usize },
    /// Not authenticated: clients are so many different users already.
    TooManyUsers { limit: usize },
    /// The transaction was dropped: its side changed, or its connection was lost before EXEC.
    ExecAbort,
    /// The transaction was dropped because a command of it was refused. Redis's words.
    ExecAbortErrors,
    /// Not supported, or not yet.
    Unsupported { name: String, why: &'static str },
    /// Has no meaning over two masters; works at 0 and 100.
    BetweenWeights { name: String, weight: Weight },
    /// As Redis: closed afterwards.
    Protocol(ProtocolError),
    /// Not executed: more keys than one command may have.
    TooManyKeys { keys: usize, limit: usize },
    /// As Redis: closed at once.
    TooManyClients,
    /// The same, of one address.
    TooManyOfAddress { limit: usize },
    /// Closed: it has not done in time what it has to do first.
    Late { what: &'static str, within: Duration },
    /// In the words of Redis, without the leading `-`. Bytes: some of them repeat what the client wrote.
    Redis(Vec<u8>),
}

impl Refusal {
    /// The whole error reply.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut text = self.text();
        text.iter_mut()
            .filter(|byte| matches!(byte, b'\r' | b'\n'))
            .for_each(|byte| *byte = b' ');
        [b"-", text.as_slice(), b"\r\n"].concat()
    }

    fn text(&self) -> Vec<u8> {
        let text = match self {
            Self::CrossSide { weight } => {
                format!("CROSSSIDE keys of this command belong to different sides at weight {weight}")
            }
            Self::Uncertain { side } => format!(
                "UNCERTAIN the connection to the master of side '{side}' was lost after this command was sent; it may or may not have been executed"
            ),
            Self::NoUpstream { side, waited_ms } => {
                format!("NOUPSTREAM no usable master on side '{side}' within {waited_ms} ms; not executed")
            }
            Self::NoUpstreamFull { side, commands } => format!(
                "NOUPSTREAM no usable master on side '{side}' and {commands} clients are waiting for one already; not executed"
            ),
            Self::CutShort { side } => format!(
                "NOUPSTREAM the way to side '{side}' was lost before all of this command was there: the connection, or its master or the owner of the keys changed; not executed"
            ),
            Self::TooBig { what, limit } => {
                format!("TOOBIG {what} is over the limit of {limit} bytes; not executed")
            }
            Self::Stalled { seconds } => format!(
                "TOOBIG next to nothing more of this request came for {seconds} seconds, while others waited for the room it took (request_buffer_bytes); not executed"
            ),
            Self::MessageTooBig { bytes, limit } => format!(
                "TOOBIG a message of {bytes} bytes is over the {limit} that may wait for a subscriber by pubsub_output_hard; not published; send less, or raise that"
            ),
            Self::MessageOverload(over) => format!(
                "TOOBIG this message would take {} bytes, {} subscriptions matching, which leaves too little of the {} that node {} lets wait for a subscriber (client-output-buffer-limit pubsub); not published; send less, or raise that",
                over.bytes, over.copies, over.hard_bytes, over.node
            ),
            Self::TooManySubscriptions { limit } => {
                format!(
                    "TOOBIG the subscriptions of this client are over the limit of {limit}; not subscribed"
                )
            }
            Self::TooManyUsers { limit } => {
                format!("TOOBIG the users of clients are over the limit of {limit}; not authenticated")
            }
            Self::ExecAbort => "EXECABORT transaction dropped because its side changed".to_owned(),
            Self::ExecAbortErrors => "EXECABORT Transaction discarded because of previous errors.".to_owned(),
            Self::Unsupported { name, why } => format!("ERR '{name}' is not supported by switchback: {why}"),
            Self::BetweenWeights { name, weight } => format!(
                "ERR '{name}' has no single answer while two masters share the keys (weight {weight}); it works at weight 0 and 100"
            ),
            Self::Protocol(error) => return [b"ERR Protocol error: ", error.text().as_slice()].concat(),
            Self::TooManyKeys { keys, limit } => {
                format!(
                    "TOOBIG the {keys} keys of this command are over the limit of {limit} (keys_per_command); not executed"
                )
            }
            Self::TooManyClients => "ERR max number of clients reached".to_owned(),
            Self::TooManyOfAddress { limit } => {
                format!("ERR max number of clients of one address reached: {limit} (clients_per_address)")
            }
            Self::Late { what, within } => {
                format!(
                    "ERR closed: {what} within {}",
                    humantime::format_duration(*within)
                )
            }
            Self::Redis(text) => return text.clone(),
        };
        text.into_bytes()
    }
}
