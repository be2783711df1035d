//! Whose is a reply, and what is to be done with it?
//!
//! Pure: what a command takes with it into a pipeline.

use std::fmt;
use std::rc::Rc;

use super::state::Session;
use crate::cluster::Side;
use crate::data_plane::pubsub::Hearers;

/// What a reply is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The whole reply to a request.
    Whole,
    /// The reply to a part of a request that was split.
    Part(u16),
    /// The reply to a blocking command: until it comes the session sends nothing.
    Blocking,
    /// The reply to a command queued in a transaction.
    Queued,
    /// The reply to EXEC.
    Exec,
    /// The reply to something the proxy sent of its own, on which a transaction rests: not for the client.
    Own,
    /// The reply to what the other side is told besides, or to a script given to a node, which may not even compile: nobody waits
    /// for it.
    Aside,
    /// The reply to a question about a command that the table does not have.
    Learn,
    /// The reply to a SCRIPT LOAD that the session's transaction waits for.
    Script,
    /// The reply to a CLIENT UNBLOCK for the session's blocking command.
    Unblock,
    /// The reply to the AUTH of a client: whether it may be who it says.
    Check,
    /// The reply to the question whether a client needs a password at all.
    Knock,
}

impl Role {
    /// Whether its reply tells how fast the node is: not when it waits for an element, nor when no app asked.
    pub(crate) fn is_timed(self) -> bool {
        self.is_counted() && self != Self::Blocking
    }

    /// Whether it is a command of an app's, and not the proxy's own.
    pub(crate) fn is_counted(self) -> bool {
        !matches!(
            self,
            Self::Own | Self::Aside | Self::Learn | Self::Script | Self::Unblock | Self::Check | Self::Knock
        )
    }
}

/// The number of the session in whose name the proxy asks and publishes on links that clients share.
pub(crate) const MESSENGER: u64 = 0;

/// A command's place in its session. Cost: one reference count.
pub(crate) struct Ticket {
    pub(crate) session: Rc<Session>,
    pub(crate) side: Side,
    /// Its place among all that the session has sent to that side.
    pub(crate) sequence: u64,
    /// The request's slot in [`super::replies::Replies`].
    pub(crate) number: u64,
    pub(crate) role: Role,
    /// It runs a script or a function.
    pub(crate) is_script: bool,
    /// It is a PUBLISH or SPUBLISH, maybe one queued in a transaction.
    pub(crate) is_publish: bool,
    /// For a PUBLISH: who hears it, as its node counts only links.
    pub(crate) hearers: Hearers,
    /// It was passed on while it came: nobody has its bytes any more.
    pub(crate) is_streamed: bool,
    /// It only reads: sending it again does no harm.
    pub(crate) reads: bool,
    /// Policy allows a second send of a command that was sent and never answered.
    pub(crate) retry: bool,
    /// How often it has been sent before: see [`crate::limits::REFUSALS_MAX`].
    pub(crate) refusals: u8,
    /// When it was enqueued, on the worker's clock.
    pub(crate) at_micros: u32,
}

impl Ticket {
    /// Whether a reply from a node that has lost its mastership may be thrown away and the command sent again.
    pub(crate) fn repeatable(&self) -> bool {
        self.reads && matches!(self.role, Role::Whole | Role::Part(_))
    }

    /// No client has asked for it.
    pub(crate) fn is_messengers(&self) -> bool {
        self.role == Role::Aside && self.session.id == MESSENGER
    }

    /// It is a PUBLISH or SPUBLISH outside a transaction.
    pub(crate) fn publishes(&self) -> bool {
        self.is_publish && self.role == Role::Whole
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("side", &self.side)
            .field("number", &self.number)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
