//! What does `status --watch` show on a terminal, and what may be done there?
//!
//! What the proxy says goes one way: `asking` fetches it on a thread of its own, [`crate::glance`] reads it, `screen` holds it with
//! what was typed, `view` makes lines of both. A key goes to `screen`, which makes an [`order::Asked`] of it once it is
//! confirmed, and that goes to a thread of its own: a proxy that has stopped never freezes the keys.

mod asking;
mod history;
mod keys;
mod order;
mod screen;
mod terminal;
mod theme;
mod view;

pub(super) use terminal::{is_for_a_person, watch};
