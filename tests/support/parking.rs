//! Which clients of a proxy are parked? The kernel tells.

use std::collections::HashSet;

/// The sockets of a process's parked clients, by their numbers: those which an epoll watches that is itself watched by one.
/// `process`: its id, or `self`.
pub(crate) fn parked(process: &str) -> HashSet<String> {
    let mut watched = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .flatten()
    {
        let is_epoll = std::fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy() == "anon_inode:[eventpoll]");
        let number = entry.file_name().into_string().unwrap();
        if let Some(info) = is_epoll
            .then(|| std::fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).ok())
            .flatten()
        {
            let of = |line: &str| {
                line.strip_prefix("tfd:")?
                    .split_whitespace()
                    .next()
                    .map(str::to_owned)
            };
            watched.push((number, info.lines().filter_map(of).collect::<HashSet<_>>()));
        }
    }
    let all: HashSet<String> = watched.iter().flat_map(|(_, sockets)| sockets.clone()).collect();
    let nested = watched.into_iter().filter(|(number, _)| all.contains(number));
    nested.flat_map(|(_, sockets)| sockets).collect()
}
