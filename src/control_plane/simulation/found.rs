//! Which schedules have broken a promise once?
//!
//! Pure: the shortest of each kind. Seeds draw other schedules whenever something is added to what may happen; these stay.

use super::run::run;
use super::schedule::{Disk, Event, Order, Schedule};
use super::setting::{Setting, Tempo};
use crate::control_plane::shift::RampOrder;
use crate::routing::Weight;

const PLAIN: Setting = Setting {
    tempo: Tempo::Coarse,
    is_watched: [false, false],
    replicas: 1,
    has_window: false,
};

fn percent(percent: u16) -> Weight {
    Weight::from_steps(percent * 100).unwrap()
}

fn holds(seed: u64, setting: Setting, weight: Weight, calm: u64, events: &[(u64, Event)]) {
    let schedule = Schedule {
        seed,
        setting,
        weight,
        events: events.to_vec(),
        calm,
    };
    if let Err(failure) = run(&schedule) {
        panic!("{} at {} ms\n{schedule}", failure.what, failure.at);
    }
}

#[test]
fn a_ramp_that_could_not_be_saved_and_so_has_ended_is_not_acknowledged_once_the_disk_has_room_again() {
    let events = [
        (1_018, Event::Workers(8_874)),
        (7_616, Event::Order(Order::Ramp(RampOrder::Start))),
        (7_965, Event::Disk(Disk::Full)),
    ];
    holds(3_115, PLAIN, percent(1), 11_025, &events);
}

#[test]
fn what_the_disk_has_refused_is_tried_once_more_at_the_end() {
    let setting = Setting {
        is_watched: [false, true],
        ..PLAIN
    };
    let events = [
        (473, Event::Disk(Disk::Full)),
        (4_425, Event::HandOver),
        (10_045, Event::Disk(Disk::Fine)),
        (10_468, Event::HandOver),
    ];
    holds(12_754, setting, Weight::ZERO, 15_059, &events);
}
