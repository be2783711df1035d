//! What can be seen from outside, and where?
//!
//! Names and labels are the contract's. The data plane only counts; everything here runs on the control thread.

mod gauges;
mod http;
mod names;
mod readiness;
mod traffic;

pub(crate) use gauges::Gauges;
pub(crate) use http::serve;
pub(crate) use names::install;
pub(crate) use readiness::Readiness;
