//! How does a request travel from an app to Redis and its reply back?

pub mod command;
