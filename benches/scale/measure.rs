//! What did one run take?
//!
//! Shell: a proxy of its own for each, so that memory is that run's.

use std::path::Path;
use std::thread;
use std::time::Duration;

use switchback::lab::Server;

use super::crowd::{Crowd, Served};
use super::footprint::Footprint;
use super::record::Figures;
use super::started::{Settings, Started, switchback};
use super::work::{Through, Work};

/// Does `work` once; `seed` chooses its keys.
pub(crate) fn run(
    work: Work,
    through: Through,
    servers: &[Server; 2],
    program: &Path,
    length: Duration,
    seed: u64,
) -> Figures {
    let ports = [servers[0].port(), servers[1].port()];
    let proxy = match through {
        Through::Direct => None,
        Through::Proxy { workers, weight } => {
            let settings = Settings {
                weight,
                workers: Some(workers),
                clients: Some(work.connections()),
            };
            let started = Started::start(program, |directory, port| {
                switchback(directory, port, ports, settings)
            });
            Some(started.unwrap())
        }
    };
    let port = proxy.as_ref().map_or(ports[0], |proxy| proxy.port);
    let proxies: Vec<u32> = proxy.iter().map(Started::pid).collect();
    let pids: Vec<u32> = servers.iter().map(Server::pid).collect();
    let footprints = || (Footprint::of(&proxies), Footprint::of(&pids));

    let empty = footprints();
    let mut crowd = Crowd::connect(port, work.clients(), seed);
    if proxy.is_some() {
        thread::sleep(work.idle());
    }
    let idle = footprints();
    let mut neighbour = work
        .neighbour()
        .map(|alike| Crowd::connect(port, alike, seed + 1));
    let (warm_up, length) = work.lengths(length);
    crowd.ask_for(warm_up);
    let begun = footprints();
    let (served, beside) = thread::scope(|scope| {
        let beside = neighbour
            .as_mut()
            .map(|crowd| scope.spawn(|| crowd.ask_for(length)));
        let served = crowd.ask_for(length);
        (served, beside.map(|thread| thread.join().unwrap()))
    });
    let ended = footprints();

    let others = beside.as_ref().map_or(0, |served: &Served| served.commands);
    let commands = (served.commands + others) as f64;
    let micros = |from: Footprint, to: Footprint| (to.cpu_seconds - from.cpu_seconds) * 1e6 / commands;
    let per_second = |served: &Served| served.commands as f64 / served.seconds;
    Figures {
        per_second: per_second(&served),
        p50_micros: served.wait_micros(0.5),
        p99_micros: served.wait_micros(0.99),
        p999_micros: served.wait_micros(0.999),
        neighbour_per_second: beside.as_ref().map(per_second),
        proxy_micros: micros(begun.0, ended.0),
        redis_micros: micros(begun.1, ended.1),
        proxy_empty_bytes: empty.0.bytes,
        proxy_idle_bytes: idle.0.bytes,
        proxy_busy_bytes: ended.0.bytes,
        redis_empty_bytes: empty.1.bytes,
        redis_idle_bytes: idle.1.bytes,
        redis_busy_bytes: ended.1.bytes,
    }
}
