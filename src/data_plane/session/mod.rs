//! What is one app's connection, between its socket and the links?

mod blocking;
mod client_tracking;
mod clients;
mod cursor;
mod dispatch;
mod drive;
mod entry;
mod exec;
mod hold;
mod info;
mod input;
mod keyspace;
mod known;
mod lane;
mod local;
mod merge;
mod output;
mod pause;
mod queued;
mod replay;
mod replies;
mod script;
mod split;
mod state;
mod subscribe;
mod subscriber;
mod subscriptions;
mod ticket;
mod tracking;
mod transaction;
mod unblock;

pub(crate) use drive::drive;
pub(crate) use state::{Ends, Session};
pub(crate) use ticket::{Role, Ticket};
pub(crate) use unblock::Unblocking;
