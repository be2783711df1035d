//! A route went back: what else is to be done?
//!
//! The incident did not end when traffic was back on the old master, but when the replicas that did not belong to it were
//! detached too. [`Fed`] knows which those are, [`NextStep`](next_step::NextStep) what each rule asks for, and [`Situation`] puts it in a line, with
//! commands that can be pasted. Pure; the one thing that may be done without a person is [`super::detach`].

mod command;
mod fed;
mod next_step;
mod situation;

pub(super) use fed::Fed;
pub(super) use situation::Situation;
