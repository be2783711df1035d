//! What do processes take: memory and processor time?
//!
//! Shell: `/proc`.

/// Clock ticks a second of `/proc/PID/stat`: 100 on every Linux that Debian ships.
const TICKS: f64 = 100.0;

/// At one moment, several processes together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Footprint {
    /// Resident memory, in bytes.
    pub(crate) bytes: f64,
    /// User and system, in seconds.
    pub(crate) cpu_seconds: f64,
}

impl Footprint {
    pub(crate) fn of(pids: &[u32]) -> Self {
        let each = pids.iter().map(|pid| (resident(*pid), cpu_seconds(*pid)));
        each.fold(Self::default(), |sum, (bytes, seconds)| Self {
            bytes: sum.bytes + bytes,
            cpu_seconds: sum.cpu_seconds + seconds,
        })
    }
}

fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process has ended");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.expect("VmRSS") * 1024.0
}

/// Processor time so far, user and system, of all its threads.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process has ended");
    // The name, in parentheses, may hold spaces: fields are counted behind it. utime and stime are the 14th and 15th of
    // all (proc(5)).
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}
