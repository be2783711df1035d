//! What is one app's connection, between its socket and the links?

mod blocking;
mod cursor;
mod dispatch;
mod drive;
mod entry;
mod exec;
mod hold;
mod input;
mod keyspace;
mod lane;
mod local;
mod merge;
mod output;
mod queued_topics;
mod replay;
mod replies;
mod script;
mod split;
mod state;
mod subscribe;
mod subscriber;
mod subscriptions;
mod ticket;
mod transaction;

pub(crate) use drive::drive;
pub(crate) use state::Session;
pub(crate) use ticket::Ticket;
