//! Is it safe to begin? What is asked of both sides before a route's weight leaves 0.
//!
//! [`collect()`] (a shell) asks every node and Sentinel once and makes [`Facts`]: what could not be learnt is a fact too.
//! [`findings`], pure, makes a table of them: one [`Finding`] for each [`Check`] and side, with the worst node. The
//! control loop refuses a raise from 0 by the first that [`Finding::refuses`]; `switchback check --preflight` prints them
//! all, below the guard's rules, which [`survey()`] observes for some seconds.

mod ask;
mod check;
mod checks;
mod collect;
mod facts;
mod finding;
mod last_look;
mod read_node;
mod read_sentinel;
mod stated;
mod survey;
mod traffic;

pub use check::Check;
#[cfg(test)]
pub(super) use checks::samples::answer as healthy_answer;
pub use checks::{findings, of_rules};
pub use collect::{Known, collect};
pub use facts::{
    Facts, InfoFields, KnownNode, Learnt, NodeAnswer, NodeFacts, SentinelAnswer, SentinelFacts, SideFacts,
    UserDigest,
};
pub use finding::{Finding, Grade, headline};
pub use last_look::{LastLook, Reservation};
pub use stated::Stated;
pub use survey::survey;
pub use traffic::Traffic;
