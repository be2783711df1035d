//! Does a proxy take no more memory and no more descriptors after an hour of everything than after some minutes?
//!
//! Shell: `cargo bench --bench soak [-- --help]`. Real servers, the program itself; clients that ask and are silent by turns, listeners,
//! clients that come, do a transaction, block, and go; and a weight that moves. Ends with 1 when either has grown.

// A benchmark that cannot start its servers has nothing to report but that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/crowd.rs"]
#[allow(dead_code, reason = "shared with benches that need more of it")]
mod crowd;
#[path = "../support/footprint.rs"]
#[allow(dead_code, reason = "shared with benches that need more of it")]
mod footprint;
#[path = "../support/listeners.rs"]
mod listeners;
#[path = "../support/started.rs"]
#[allow(dead_code, reason = "shared with benches that need more of it")]
mod started;
mod traffic;
#[path = "../support/values.rs"]
#[allow(dead_code, reason = "shared with benches that need more of it")]
mod values;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use switchback::cluster::NodeAddr;
use switchback::lab::{Server, ServerOptions};

use footprint::Footprint;
use started::{Settings, Started, switchback};
use traffic::{Done, Traffic};
use values::{SMALL, Values};

/// What memory may have grown by from the second tenth of the time to the last, beside this share of it: what is in flight at either
/// moment is not the same.
const GROWTH_BYTES: f64 = 8.0 * 1024.0 * 1024.0;
const GROWTH_SHARE: f64 = 0.05;
/// The same of descriptors: clients that come and go are some dozens.
const GROWTH_DESCRIPTORS: usize = 64;

/// Everything at once, for long.
#[derive(Parser)]
struct Arguments {
    /// For how long.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1h")]
    length: Duration,
    /// Connections that stay: of a hundred, 85 ask once in some seconds, 10 five times a second, 5 listen.
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// The program, if not the one that was built with this.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_switchback"))]
    switchback: PathBuf,
    /// What cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
}

/// At one moment.
#[derive(Clone, Copy)]
struct Sample {
    at: Duration,
    bytes: f64,
    descriptors: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let servers = [(); 2].map(|()| Server::start(&options()).unwrap());
    servers.iter().for_each(|server| SMALL.fill(server, Values::key));
    let ports = [servers[0].port(), servers[1].port()];
    let settings = Settings {
        weight: 50,
        workers: None,
        clients: Some(arguments.clients + 1_000),
    };
    let mut socket = PathBuf::new();
    let proxy = Started::start(&arguments.switchback, |directory, port| {
        socket = directory.path().join("admin.sock");
        switchback(directory, port, ports, settings)
    })
    .unwrap();
    let done = Done::default();
    let began = Instant::now();
    let mut samples = Vec::new();
    thread::scope(|scope| {
        let traffic = Traffic {
            address: NodeAddr::new("127.0.0.1", proxy.port),
            socket,
            clients: arguments.clients,
            length: arguments.length,
            done: &done,
        };
        traffic.begin(scope);
        while began.elapsed() < arguments.length {
            thread::sleep(Duration::from_secs(1).min(arguments.length / 100));
            samples.push(sample(proxy.pid(), began));
            if let Some(last) = samples.last().filter(|_| is_minute(&samples)) {
                tell(last, &done);
            }
        }
    });
    done.print();
    judge(&samples)
}

fn options() -> ServerOptions {
    ServerOptions {
        config: vec!["maxclients 15000".to_owned()],
        ..ServerOptions::default()
    }
}

fn sample(process: u32, began: Instant) -> Sample {
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).expect("the proxy has ended");
    Sample {
        at: began.elapsed(),
        bytes: Footprint::of(&[process]).bytes,
        descriptors: descriptors.count(),
    }
}

fn is_minute(samples: &[Sample]) -> bool {
    let minute = |sample: &Sample| sample.at.as_secs() / 60;
    matches!(samples, [.., before, last] if minute(before) != minute(last))
}

fn tell(sample: &Sample, done: &Done) {
    println!(
        "{:>3} min: {:>6.1} MB, {} descriptors, {} commands, {} messages",
        sample.at.as_secs() / 60,
        sample.bytes / 1e6,
        sample.descriptors,
        done.commands.load(Ordering::Relaxed),
        done.messages.load(Ordering::Relaxed),
    );
}

/// The most of the last tenth against the most of the second one: in the first, everybody is still coming.
fn judge(samples: &[Sample]) -> ExitCode {
    let tenth = (samples.len() / 10).max(1);
    let early = &samples[tenth.min(samples.len() - 1)..(2 * tenth).clamp(1, samples.len())];
    let late = &samples[samples.len() - tenth..];
    let bytes = |samples: &[Sample]| samples.iter().map(|sample| sample.bytes).fold(0.0, f64::max);
    let descriptors = |samples: &[Sample]| samples.iter().map(|sample| sample.descriptors).max().unwrap_or(0);
    let (from, to) = (bytes(early), bytes(late));
    let (few, many) = (descriptors(early), descriptors(late));
    println!(
        "memory {:.1} -> {:.1} MB, descriptors {few} -> {many}",
        from / 1e6,
        to / 1e6
    );
    let is_flat = to <= from * (1.0 + GROWTH_SHARE) + GROWTH_BYTES && many <= few + GROWTH_DESCRIPTORS;
    println!("{}", if is_flat { "flat" } else { "GROWN" });
    ExitCode::from(u8::from(!is_flat))
}
