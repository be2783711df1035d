//! Does the guard see it coming, and is it quiet when nothing is wrong?
//!
//! Shell: `cargo bench --bench incident -- replays|controls …`, with real groups and the program itself; `--help` lists the
//! rest. As root every server has a host of its own with a narrow link; otherwise controls run on loopback, and
//! there are no replays. Everything it starts ends with it.

// A benchmark that cannot start its servers has nothing to report but that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arguments;
#[path = "../../tests/support/controls.rs"]
mod controls;
mod parameters;
mod replay;
mod report;
#[path = "../../tests/support/running.rs"]
#[allow(dead_code, reason = "made for the proxy's tests, of which this needs a part")]
mod running;
#[path = "../../tests/support/scene.rs"]
mod scene;

use switchback::lab::Network;

use arguments::{Arguments, What};

fn main() {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1)) else {
        println!("{}", arguments::HELP);
        return;
    };
    let has_hosts = match Network::create(1) {
        Ok(_) => true,
        Err(error) => {
            println!("no narrow links here: {error}");
            false
        }
    };
    match arguments.what {
        What::Replays(_) if !has_hosts => println!("no replays: they need narrow links, and those need root"),
        What::Replays(count) => replay::play_all(count, &arguments),
        What::Controls(_) => report::controls(&arguments, has_hosts),
    }
}
