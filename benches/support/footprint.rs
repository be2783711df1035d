//! What do processes take: memory and processor time?
//!
//! Shell: `/proc`.

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

/// Processor time so far, user and system, of all its threads that have not ended: as the scheduler counts it, in nanoseconds
/// (the kernel's `sched-stats.rst`). `/proc/PID/stat` has whole ticks of whoever runs as the clock strikes, which is another figure
/// for a process that sleeps and wakes ten thousand times a second.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process has ended");
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}
