//! Can the masters carry it: all clients, all replicas, and what happens when a replica comes back?
//!
//! Pure. `new` is measured with `old`'s load on top of its own: that is what it is to take over. What a master sends is
//! what its clients read, and its stream once for each replica; a publish travels in the stream too.

use super::nodes::unknown_master;
use super::output_limit::{IDLE, least_limit};
use super::shown::{bytes, mbit, seconds};
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::preflight::facts::SideFacts;
use crate::control_plane::preflight::{Check, Facts, Finding, Grade, Stated};

/// Of a link. In the replayed incident, messages were late soon after a master's output passed nine tenths of it.
const LINK_BAD: f64 = 0.9;
/// A day's traffic rises by more than the difference.
const LINK_WARN: f64 = 0.7;
/// A failover's replicas are attached again within ten seconds (as the guard has it): they must not need full syncs.
const BACKLOG_BAD_SECONDS: f64 = 10.0;
/// Redis's default `repl-timeout`: how long a master keeps a replica that is silent.
const BACKLOG_WARN_SECONDS: f64 = 60.0;

/// What a master has to send.
struct Load {
    /// The replication stream. Unit: bytes a second.
    stream: f64,
    /// To all but replicas. Unit: bytes a second.
    clients: f64,
    replicas: f64,
    /// What a full sync copies. Unit: bytes.
    data: f64,
}

impl Load {
    fn measured(side: &SideFacts) -> Option<Self> {
        let (_, master) = side.master()?;
        let stream = side.stream?;
        let replicas = f64::from(master.info.connected_replicas?);
        // Redis's kilobytes are of 1024.
        let sent = |name| master.fields.number(name).map(|kilobytes| kilobytes * 1024.0);
        let to_replicas = sent("instantaneous_output_repl_kbps").unwrap_or(stream * replicas);
        Some(Self {
            stream,
            clients: (sent("instantaneous_output_kbps")? - to_replicas).max(0.0),
            replicas,
            data: master.fields.number("used_memory")?,
        })
    }

    /// What the side will have to carry with all of the traffic.
    fn projected(facts: &Facts, side: Side) -> Option<Self> {
        let own = Self::measured(facts.side(side)?)?;
        let old = match (side, facts.side(Side::Old)) {
            (Side::New, Some(old)) => Self::measured(old)?,
            _ => return Some(own),
        };
        Some(Self {
            stream: own.stream + old.stream,
            clients: own.clients + old.clients,
            replicas: own.replicas,
            data: own.data.max(old.data),
        })
    }

    fn total(&self) -> f64 {
        self.clients + self.stream * self.replicas
    }
}

/// Clients and replicas on the link.
pub(super) fn stream_bandwidth(facts: &Facts, side: Side, stated: &Stated) -> Option<Finding> {
    let check = Check::StreamBandwidth;
    let master = facts.side(side)?.topology.master.as_ref();
    let Some(load) = Load::projected(facts, side) else {
        return Some(unmeasured(check, side, master));
    };
    let measured = mbit(load.total());
    let Some(link) = stated.bandwidth(side) else {
        return Some(unstated(check, side, master).measured(measured));
    };
    let row = against_link(check, side, load.total(), link);
    let row = row.on(master).measured(measured);
    Some(match row.grade {
        Grade::Ok => row,
        _ => row.advice(format!(
            "{} to clients and {} times {} to replicas: fewer replicas, or a time of less traffic",
            mbit(load.clients),
            load.replicas,
            mbit(load.stream)
        )),
    })
}

/// The same with two full syncs at the pace they need to end. A resync loop outlives its cause when they do not fit.
pub(super) fn full_sync(facts: &Facts, side: Side, stated: &Stated) -> Option<Finding> {
    let check = Check::FullSync;
    let seen = facts.side(side)?;
    let master = seen.topology.master.as_ref();
    let Some(load) = Load::projected(facts, side) else {
        return Some(unmeasured(check, side, master));
    };
    let Some(link) = stated.bandwidth(side) else {
        return Some(unstated(check, side, master).measured("-"));
    };
    let limit = match least_limit(seen) {
        Ok((_, limit)) => limit,
        Err(why) => return Some(unknown(check, side, master, why)),
    };
    // While a sync lasts, its replica's buffer grows by the stream; it must be over before that is full.
    let pace = match limit.seconds_until_full(load.stream) {
        Some(time) => load.data / time,
        None => 0.0,
    };
    let needed = load.total() + 2.0 * pace;
    let row = against_link(check, side, needed, link)
        .on(master)
        .measured(mbit(needed));
    Some(match row.grade {
        Grade::Ok => row,
        _ => row.advice(format!(
            "{} at once beside the load: raise client-output-buffer-limit replica and repl-backlog-size, or wait for less \
             traffic",
            bytes(2.0 * load.data)
        )),
    })
}

fn against_link(check: Check, side: Side, needed: f64, link: f64) -> Finding {
    let grade = match needed / link {
        share if share >= LINK_BAD => Grade::Bad,
        share if share >= LINK_WARN => Grade::Warn,
        _ => Grade::Ok,
    };
    Finding::new(check, side, grade).limit(format!("{} of {}", mbit(link * LINK_BAD), mbit(link)))
}

/// How long a replica may be away and come back without a full sync.
pub(super) fn backlog(facts: &Facts, side: Side) -> Option<Finding> {
    let check = Check::Backlog;
    let seen = facts.side(side)?;
    let limit = format!("{BACKLOG_WARN_SECONDS} s (bad: {BACKLOG_BAD_SECONDS} s)");
    let Some(load) = Load::projected(facts, side) else {
        return Some(unmeasured(check, side, seen.topology.master.as_ref()));
    };
    if load.replicas == 0.0 {
        return Some(
            Finding::new(check, side, Grade::Ok)
                .measured("no replicas")
                .limit(limit),
        );
    }
    // Any of them is the master after a failover.
    let sizes = seen
        .members()
        .filter_map(|(addr, node)| Some((addr, node.fields.number("repl_backlog_size")?)));
    let Some((addr, size)) = sizes.min_by(|one, other| one.1.total_cmp(&other.1)) else {
        return Some(unmeasured(check, side, seen.topology.master.as_ref()));
    };
    let bridges = size / load.stream;
    let grade = match bridges {
        _ if load.stream < IDLE => Grade::Ok,
        bridges if bridges < BACKLOG_BAD_SECONDS => Grade::Bad,
        bridges if bridges < BACKLOG_WARN_SECONDS => Grade::Warn,
        _ => Grade::Ok,
    };
    let measured = match load.stream < IDLE {
        true => format!("{}, nothing is written", bytes(size)),
        false => format!(
            "{} ({} at {}/s)",
            seconds(bridges),
            bytes(size),
            bytes(load.stream)
        ),
    };
    let row = Finding::new(check, side, grade)
        .on(Some(addr))
        .measured(measured)
        .limit(limit);
    Some(match grade {
        Grade::Ok => row,
        _ => row.advice(format!(
            "CONFIG SET repl-backlog-size {:.0}mb on every node: a replica away for longer needs a full sync",
            (load.stream * BACKLOG_WARN_SECONDS / 1_048_576.0).ceil()
        )),
    })
}

/// Whether a replica's output buffer holds what is written while it is given a full copy.
pub(super) fn output_buffer_limit(facts: &Facts, side: Side, stated: &Stated) -> Option<Finding> {
    let check = Check::OutputBufferLimit;
    let seen = facts.side(side)?;
    let master = seen.topology.master.as_ref();
    let Some(load) = Load::projected(facts, side) else {
        return Some(unmeasured(check, side, master));
    };
    let (addr, limit) = match least_limit(seen) {
        Ok(found) => found,
        Err(why) => return Some(unknown(check, side, master, why)),
    };
    let row = |grade| {
        Finding::new(check, side, grade)
            .on(Some(addr))
            .limit(limit.text())
    };
    let Some(full_after) = limit.seconds_until_full(load.stream) else {
        return Some(row(Grade::Ok).measured("never full"));
    };
    let Some(link) = stated.bandwidth(side) else {
        return Some(
            unstated(check, side, Some(addr))
                .measured(format!("full after {}", seconds(full_after)))
                .limit(limit.text()),
        );
    };
    let left = (link - load.total()).max(0.0);
    let takes = load.data / left;
    let row = row(match takes < full_after {
        true => Grade::Ok,
        false => Grade::Bad,
    });
    let row = row.measured(format!(
        "full after {}, a full sync takes {}",
        seconds(full_after),
        seconds(takes)
    ));
    Some(match row.grade {
        Grade::Ok => row,
        _ => row.advice(
            "raise client-output-buffer-limit replica (Redis never takes less than repl-backlog-size), or its replicas are \
             dropped again and again while they sync",
        ),
    })
}

fn unmeasured(check: Check, side: Side, node: Option<&NodeAddr>) -> Finding {
    match node {
        None => unknown_master(check, side),
        Some(_) => unknown(
            check,
            side,
            node,
            "no measured rate of its replication stream yet".to_owned(),
        ),
    }
}

fn unstated(check: Check, side: Side, node: Option<&NodeAddr>) -> Finding {
    Finding::new(check, side, Grade::Unknown)
        .on(node)
        .limit("not stated")
        .advice("state bandwidth_mbit in [route.guard]: what a node's link carries")
}

fn unknown(check: Check, side: Side, node: Option<&NodeAddr>, why: String) -> Finding {
    Finding::new(check, side, Grade::Unknown)
        .on(node)
        .measured("unknown")
        .limit("-")
        .advice(why)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{facts, master_of, node_of};
    use super::*;

    const MB: f64 = 1_048_576.0;

    fn stated(mbit: usize) -> Stated {
        Stated {
            bandwidth_mbit: [Some(mbit); 2],
            ..Stated::default()
        }
    }

    /// The old master writes `stream` and sends its clients `clients`, in bytes a second; the new one idles.
    fn loaded(stream: f64, clients: f64) -> Facts {
        let mut facts = facts();
        for (side, stream, clients) in [(Side::Old, stream, clients), (Side::New, 0.0, 0.0)] {
            facts.sides[side.index()].as_mut().unwrap().stream = Some(stream);
            let master = master_of(&mut facts, side);
            let sent = (clients + 2.0 * stream) / 1024.0;
            let values = &mut master.fields.values;
            values.insert("instantaneous_output_kbps", sent.to_string());
            values.insert(
                "instantaneous_output_repl_kbps",
                (2.0 * stream / 1024.0).to_string(),
            );
        }
        facts
    }

    fn set(facts: &mut Facts, side: Side, name: &'static str, value: f64) {
        for index in 0..3 {
            node_of(facts, side, index)
                .fields
                .values
                .insert(name, format!("{value:.0}"));
        }
    }

    #[test]
    fn nine_tenths_of_the_link_refuse_and_seven_are_told_on_both_sides() {
        // 40 Mbit/s are 5,000,000 bytes a second.
        for side in Side::BOTH {
            let grade = |stream, clients| {
                stream_bandwidth(&loaded(stream, clients), side, &stated(40))
                    .unwrap()
                    .grade
            };
            assert_eq!(grade(1_000_000.0, 1_400_000.0), Grade::Ok);
            assert_eq!(grade(1_000_000.0, 1_510_000.0), Grade::Warn);
            assert_eq!(grade(2_000_000.0, 490_000.0), Grade::Warn);
            assert_eq!(grade(2_000_000.0, 510_000.0), Grade::Bad);
        }
    }

    #[test]
    fn every_replica_counts() {
        let mut facts = loaded(1_000_000.0, 0.0);
        master_of(&mut facts, Side::New).info.connected_replicas = Some(5);
        let row = stream_bandwidth(&facts, Side::New, &stated(40)).unwrap();
        assert_eq!((row.grade, row.measured.as_str()), (Grade::Bad, "40.0 Mbit/s"));
    }

    #[test]
    fn what_is_not_stated_is_unknown_and_refuses_nothing() {
        let facts = loaded(9e9, 9e9);
        for side in Side::BOTH {
            for row in [
                stream_bandwidth(&facts, side, &Stated::default()),
                full_sync(&facts, side, &Stated::default()),
                output_buffer_limit(&facts, side, &Stated::default()),
            ] {
                let row = row.unwrap();
                assert_eq!((row.grade, row.refuses), (Grade::Unknown, false));
                assert!(row.advice.contains("bandwidth_mbit"), "{row}");
            }
        }
    }

    #[test]
    fn two_full_syncs_must_fit_beside_the_load() {
        // 64 MB of buffer last 64 s at 1 MB/s; two copies of 64 MB in that time take 2 MB/s, beside 2 MB/s of load.
        let mut facts = loaded(MB, 0.0);
        for side in Side::BOTH {
            set(&mut facts, side, "used_memory", 64.0 * MB);
            set(&mut facts, side, "repl_backlog_size", MB);
            for index in 0..3 {
                let setting = format!("normal 0 0 0 slave {} 0 0", 64 * 1_048_576);
                node_of(&mut facts, side, index)
                    .settings
                    .insert("client-output-buffer-limit", Ok(setting));
            }
            // 4 MB/s are 33.6 Mbit/s: nine tenths of 37.3.
            assert_eq!(full_sync(&facts, side, &stated(37)).unwrap().grade, Grade::Bad);
            assert_eq!(full_sync(&facts, side, &stated(38)).unwrap().grade, Grade::Warn);
            assert_eq!(full_sync(&facts, side, &stated(50)).unwrap().grade, Grade::Ok);
        }
    }

    #[test]
    fn the_buffer_must_outlast_a_full_sync() {
        let row = |mbit: usize| {
            let mut facts = loaded(MB, 0.0);
            set(&mut facts, Side::Old, "used_memory", 256.0 * MB);
            output_buffer_limit(&facts, Side::Old, &stated(mbit)).unwrap()
        };
        // Full after 256 s at 1 MB/s, but after 124 s by the soft limit: 64 MB and then a minute. 256 MB take as long at
        // 2.06 MB/s beside 2 MB/s of load: 34.1 Mbit/s.
        assert_eq!(row(34).grade, Grade::Bad);
        assert_eq!(row(35).grade, Grade::Ok);
    }

    #[test]
    fn a_backlog_must_bridge_a_reconnect_and_should_bridge_a_minute() {
        let row = |side, seconds: f64| {
            let mut facts = loaded(MB, 0.0);
            set(&mut facts, side, "repl_backlog_size", MB * seconds);
            backlog(&facts, side).unwrap()
        };
        for side in Side::BOTH {
            assert_eq!(row(side, 60.0).grade, Grade::Ok);
            assert_eq!(row(side, 59.0).grade, Grade::Warn);
            assert_eq!(row(side, 10.0).grade, Grade::Warn);
            assert_eq!(row(side, 9.9).grade, Grade::Bad);
        }
        assert!(row(Side::Old, 5.0).advice.contains("repl-backlog-size 60mb"));
        let mut alone = loaded(MB, 0.0);
        set(&mut alone, Side::Old, "repl_backlog_size", 1.0);
        master_of(&mut alone, Side::Old).info.connected_replicas = Some(0);
        assert_eq!(backlog(&alone, Side::Old).unwrap().grade, Grade::Ok);
    }

    #[test]
    fn without_a_rate_nothing_is_claimed() {
        let mut facts = loaded(MB, 0.0);
        facts.sides[0].as_mut().unwrap().stream = None;
        for side in Side::BOTH {
            assert_eq!(backlog(&facts, side).unwrap().grade, Grade::Unknown);
            assert_eq!(
                stream_bandwidth(&facts, side, &stated(40)).unwrap().grade,
                Grade::Unknown
            );
        }
    }

    #[test]
    fn a_setting_that_may_not_be_read_says_what_to_permit() {
        let mut facts = loaded(MB, 0.0);
        for index in 0..3 {
            let why = "not permitted: give the user +config|get".to_owned();
            let settings = &mut node_of(&mut facts, Side::Old, index).settings;
            settings.insert("client-output-buffer-limit", Err(why));
        }
        let row = output_buffer_limit(&facts, Side::Old, &stated(40)).unwrap();
        assert_eq!((row.grade, row.refuses), (Grade::Unknown, false));
        assert!(row.advice.contains("+config|get"));
    }
}
