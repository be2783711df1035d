//! The incident in full, three times with the same load: as it was done, with Switchback and its guard off, with
//! Switchback as shipped. `switchback demo --incident`.
//!
//! `course` says what happens when, in all three; `as_done` and `proxied` are the plays; `stage` is what they are played
//! on, `watch` what looks on; `run` is what came of one, `table` and `chart` how that is shown.
//!
//! Switchback moves traffic between two groups that share no data; in the incident the new nodes were replicas of the old
//! group, and Sentinel made one of them its master. The nearest the two groups come to that: the new side is a master with
//! two replicas that were seeded from the old master, and three more replicas are attached to the old master for its
//! data, *five instead of two there*, and go to the new master with the traffic: *five instead of two there*. That is what
//! the failover did: it put all five behind a new master, on a link as narrow.

mod as_done;
mod canvas;
mod chart;
mod course;
mod play;
mod proxied;
mod run;
mod series;
mod stage;
mod table;
mod watch;

pub use series::{IncidentOptions, IncidentRun, run_incident};
