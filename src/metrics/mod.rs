//! What can be seen from outside, and where?
//!
//! Names and labels are the contract's. The data plane only counts; everything here runs on the control thread.

mod gauges;
mod glance;
mod http;
mod names;
mod page;
mod readiness;
mod traffic;

pub(crate) use gauges::Gauges;
pub(crate) use glance::Glance;
pub(crate) use http::{Pages, serve};
pub(crate) use names::install;
pub(crate) use readiness::Readiness;
