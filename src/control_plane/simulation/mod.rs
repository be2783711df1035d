//! Does the control plane keep its promises whatever happens, in whatever order?
//!
//! The real one ([`Control`](super::run::Control) with controller, ramps, guard, raises, records and acknowledgements, and the parts
//! that follow Sentinels) runs under virtual time in a modelled world: two groups of nodes with their Sentinels, workers, a disk,
//! operators, and a process that stalls and is killed. A [`schedule`] of faults and orders is drawn from a seed; after every step a
//! [`witness`] says what must hold. A failure prints seed and schedule, made as short as it still fails:
//!
//! ```text
//! SIMULATION_SEED=4711 cargo nextest run --lib simulation::      # that one, and what happened
//! SIMULATION_SCHEDULES=1000000 cargo nextest run --lib simulation::      # more than the usual
//! ```
//!
//! What is not modelled: the sockets of Sentinel's and the guard's shells, the admin socket, the data plane. `tests/chaos` has the
//! real ones.

mod disk;
mod found;
mod look;
mod nodes;
mod process;
mod run;
mod schedule;
mod sentinels;
mod setting;
mod watcher;
mod witness;
mod world;

use std::cell::Cell;

use jiff::Timestamp;

thread_local! {
    static WALL: Cell<Option<Timestamp>> = const { Cell::new(None) };
}

/// The simulated wall clock, where there is one.
pub(super) fn wall() -> Option<Timestamp> {
    WALL.get()
}

fn set_wall(time: Option<Timestamp>) {
    WALL.set(time);
}

/// The program's own.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
