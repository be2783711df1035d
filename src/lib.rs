//! Switchback: a replication-aware Redis proxy.

pub mod cli;
pub mod cluster;
pub mod config;
pub mod control_plane;
pub mod data_plane;
pub mod demo;
pub mod lab;
pub mod limits;
mod net;
pub mod resp;
pub mod routing;
pub mod stats;
