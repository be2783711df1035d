//! The `switchback` program.

fn main() {}
