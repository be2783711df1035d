//! What does somebody see at a glance, on a terminal or in a browser?
//!
//! Pure: what the proxy says of itself, read and put in order ([`seen`]), and numbers in few digits ([`words`]). How it looks
//! is [`crate::cli`]'s and [`crate::metrics`]'s.

mod say;
mod seen;
pub(crate) mod words;

pub(crate) use say::under_way;
pub(crate) use seen::{Event, Node, Route, Rule, SIDES, Seen, Side};
