//! What may an operator say, and what is the answer?

mod model;

pub use model::{Command, EventSink, Reply, Request};
