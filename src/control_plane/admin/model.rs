//! What are the admin commands and the shapes of their replies?
//!
//! Pure: data. [`super::command`] reads commands from arguments, [`super::socket`] writes replies in RESP2 or RESP3.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::control_plane::shift::RampOrder;
use crate::limits::UPGRADE_PREPARE_WAIT;
use crate::routing::Weight;

/// A command that the control loop answers. PING, HELP, HELLO, QUIT and the like are answered by the socket itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `STATUS [route] [JSON]`
    Status {
        /// One route, or all.
        route: Option<String>,
        /// One JSON document instead of maps.
        json: bool,
    },
    /// `WEIGHT route`
    GetWeight {
        /// The route.
        route: String,
    },
    /// `WEIGHT route PERCENT [OVER SECONDS] [FORCE reason]`
    SetWeight {
        /// The route.
        route: String,
        /// The target.
        weight: Weight,
        /// Move there evenly over this long instead of at once.
        over: Option<Duration>,
        /// Raise although a rule freezes, for this reason. Never overrides a latch.
        force: Option<String>,
    },
    /// `RAMP route START|PAUSE|RESUME|ABORT`
    Ramp {
        /// The route.
        route: String,
        /// What is wanted.
        order: RampOrder,
    },
    /// `BACK route [REASON text]`
    Back {
        /// The route.
        route: String,
        /// For the event.
        reason: Option<String>,
    },
    /// `ARM route`
    Arm {
        /// The route.
        route: String,
    },
    /// `HEALTH [route] [JSON]`
    Health {
        /// One route, or all.
        route: Option<String>,
        /// One JSON document instead of maps.
        json: bool,
    },
    /// `TOPOLOGY [route] [JSON]`
    Topology {
        /// One route, or all.
        route: Option<String>,
        /// One JSON document instead of maps.
        json: bool,
    },
    /// `EVENTS [COUNT n] [JSON]`, newest first.
    Events {
        /// How many at most.
        count: usize,
        /// One JSON document instead of maps.
        json: bool,
    },
    /// `SUBSCRIBE events`: the socket gets every later event as a line of JSON.
    SubscribeEvents {
        /// Bounded; a subscriber that lags is disconnected by the socket, never waited for.
        sink: EventSink,
    },
    /// `CONFIG RELOAD`
    ConfigReload,
    /// `UPGRADE`
    Upgrade,
    /// `SHUTDOWN [GRACE seconds]`
    Shutdown {
        /// How long in-flight replies are waited for.
        grace: Duration,
    },
}

impl Command {
    /// Whether the answer is to be one JSON document. The loop answers with maps all the same: the socket converts.
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Status { json, .. }
            | Self::Health { json, .. }
            | Self::Topology { json, .. }
            | Self::Events { json, .. } => *json,
            Self::GetWeight { .. }
            | Self::SetWeight { .. }
            | Self::Ramp { .. }
            | Self::Back { .. }
            | Self::Arm { .. }
            | Self::SubscribeEvents { .. }
            | Self::ConfigReload
            | Self::Upgrade
            | Self::Shutdown { .. } => false,
        }
    }

    /// The time the command itself asks for, to be added to how long its answer is waited for.
    pub fn takes(&self) -> Duration {
        match self {
            Self::SetWeight { over, .. } => over.unwrap_or_default(),
            Self::Shutdown { grace } => *grace,
            Self::Upgrade => UPGRADE_PREPARE_WAIT,
            _ => Duration::ZERO,
        }
    }
}

/// Where streamed events go: one line of JSON each. Use `try_send` and drop the sink when it fails: that disconnects
/// the subscriber, who would otherwise not know that it missed something.
#[derive(Clone, Debug)]
pub struct EventSink(pub mpsc::Sender<String>);

impl PartialEq for EventSink {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

/// A command and the way back.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Where the answer goes. A receiver that is gone is not an error: the operator hung up.
    pub reply: oneshot::Sender<Reply>,
}

/// An answer, independent of protocol version.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+OK`
    Ok,
    /// `+text`, a word of our own.
    Simple(&'static str),
    /// A bulk string.
    Bulk(String),
    /// An error line without its `-`: `"FROZEN rule=…"`, `"ERR no such route 'x'"`. Never with CR or LF in it.
    Error(String),
    /// An integer.
    Integer(i64),
    /// RESP3 double; a bulk string in RESP2.
    Double(f64),
    /// RESP3 boolean; an integer in RESP2.
    Boolean(bool),
    /// Null of the protocol version.
    Null,
    /// An array.
    Array(Vec<Reply>),
    /// RESP3 map; a flat array in RESP2. Keys in the order given.
    Map(Vec<(&'static str, Reply)>),
}
