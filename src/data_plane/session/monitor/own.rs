//! Which lines of MONITOR are the proxy's own doing?
//!
//! Pure: what comes from the connections that it keeps beside its clients', known by their names, and how a link is opened, from
//! HELLO to ROLE, and what it asks of commands and functions that it does not know. The rest is what clients execute.

use std::collections::HashSet;

use crate::data_plane::session::learn::{FUNCTIONS, MARK};
use crate::limits::OWN_ADDRESSES_MAX;

/// What begins the names of connections that carry no command of a client.
const ASIDE: &[u8] = b"switchback-";
/// The name of a link.
const LINK: &[u8] = b"switchback";

/// Addresses, as the node writes them, of the proxy's own connections.
#[derive(Default)]
pub(super) struct Own {
    aside: HashSet<Vec<u8>>,
    /// Of links that are being opened.
    opening: HashSet<Vec<u8>>,
    /// Of links that are open: what comes from them is clients'.
    links: HashSet<Vec<u8>>,
    /// Of links that have just been opened: of one in reserve it is asked whether the node has room for it.
    opened: HashSet<Vec<u8>>,
}

impl Own {
    /// A line of CLIENT LIST: `id=… addr=… laddr=… fd=… name=… …`.
    pub(super) fn listed(&mut self, line: &[u8]) {
        let field = |wanted: &[u8]| {
            line.split(|byte| *byte == b' ')
                .find_map(|field| field.strip_prefix(wanted))
        };
        if let (Some(addr), Some(name)) = (field(b"addr="), field(b"name=")) {
            match name {
                LINK => keep(&mut self.links, addr),
                _ if name.starts_with(ASIDE) => keep(&mut self.aside, addr),
                _ => {}
            }
        }
    }

    /// Whether a line of MONITOR, `+time [database address] "command" …`, is not a client's.
    pub(super) fn is_own(&mut self, line: &[u8]) -> bool {
        let Some((addr, command)) = parts(line) else {
            return false;
        };
        let is_learning = |last: &[u8]| last.ends_with(&[b" \"", MARK].concat());
        if command.starts_with(b"\"COMMAND\" \"INFO\" ")
            && command.strip_suffix(b"\"").is_some_and(is_learning)
        {
            return true;
        }
        // No client's is passed on: a link is nobody's again after a question about a password.
        if command == b"\"RESET\"" && self.links.contains(addr) || is_asking_of_functions(command) {
            return true;
        }
        let named = command.strip_prefix(b"\"CLIENT\" \"SETNAME\" \"");
        if named.is_some_and(|name| name.starts_with(ASIDE)) {
            self.opening.remove(addr);
            keep(&mut self.aside, addr);
            return true;
        }
        match command {
            // Without a version no client's is passed on like this: a link's, whoever had the address before.
            b"\"HELLO\"" => {
                self.aside.remove(addr);
                self.links.remove(addr);
                keep(&mut self.opening, addr);
                return true;
            }
            // A client's looks the same, and is shown.
            b"\"HELLO\" \"3\"" if !self.aside.contains(addr) && !self.links.contains(addr) => {
                keep(&mut self.opening, addr);
                return false;
            }
            _ if self.aside.contains(addr) => return true,
            _ => {}
        }
        if !self.opening.contains(addr) {
            return self.opened.remove(addr) && command == b"\"INFO\" \"clients\"";
        }
        let goes_on = matches!(command, b"\"CLIENT\" \"ID\"" | b"\"PING\"")
            || command.starts_with(b"\"SELECT\" ")
            || named.is_some_and(|name| name == b"switchback\"");
        if !goes_on && self.opening.remove(addr) {
            keep(&mut self.links, addr);
        }
        let is_last = command == b"\"ROLE\"";
        if is_last {
            keep(&mut self.opened, addr);
            keep(&mut self.links, addr);
        }
        goes_on || is_last
    }
}

/// Its words are the proxy's alone.
fn is_asking_of_functions(command: &[u8]) -> bool {
    let mut words = command.split(|byte| *byte == b' ');
    let is_next = |word: &&[u8]| words.next() == Some(&[b"\"", *word, b"\""].concat());
    FUNCTIONS.iter().all(is_next)
}

fn keep(addresses: &mut HashSet<Vec<u8>>, addr: &[u8]) {
    if addresses.len() >= OWN_ADDRESSES_MAX {
        addresses.clear();
    }
    addresses.insert(addr.to_vec());
}

fn parts(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let begin = memchr::memmem::find(line, b" [")? + 2;
    let rest = line.get(begin..)?;
    let end = memchr::memmem::find(rest, b"] \"")?;
    let addr = rest.get(..end)?.splitn(2, |byte| *byte == b' ').nth(1)?;
    Some((addr, rest.get(end + 2..)?.trim_ascii_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(own: &mut Own, port: u16, command: &str) -> bool {
        own.is_own(format!("+1795916654.979200 [0 127.0.0.1:{port}] {command}\r\n").as_bytes())
    }

    #[test]
    fn the_opening_of_a_link_is_own_and_what_it_carries_is_not() {
        let mut known = Own::default();
        for command in [
            "\"HELLO\"",
            "\"SELECT\" \"9\"",
            "\"CLIENT\" \"SETNAME\" \"switchback\"",
            "\"CLIENT\" \"ID\"",
            "\"PING\"",
        ] {
            assert!(own(&mut known, 1, command), "{command}");
            assert!(!own(&mut known, 2, "\"PING\""), "another's");
        }
        assert!(own(&mut known, 1, "\"ROLE\""));
        for command in ["\"PING\"", "\"ROLE\"", "\"SELECT\" \"1\"", "\"eval\" \"x\" \"0\""] {
            assert!(!own(&mut known, 1, command), "{command}");
        }
        assert!(!own(&mut known, 1, "\"INFO\" \"clients\""), "no longer");
        assert!(own(&mut known, 5, "\"HELLO\"") && own(&mut known, 5, "\"ROLE\""));
        assert!(own(&mut known, 5, "\"INFO\" \"clients\""));
        assert!(!own(&mut known, 5, "\"INFO\" \"clients\""));
        assert!(own(&mut known, 3, "\"HELLO\""));
        assert!(!own(&mut known, 3, "\"GET\" \"a\""), "no link does this");
        assert!(!own(&mut known, 3, "\"PING\""));
        assert!(!own(&mut known, 4, "\"HELLO\" \"3\""), "a client's, perhaps");
        assert!(own(&mut known, 4, "\"CLIENT\" \"ID\""));
        assert!(own(
            &mut known,
            6,
            "\"COMMAND\" \"INFO\" \"mod.set\" \"switchback-learns\""
        ));
        assert!(!own(&mut known, 6, "\"COMMAND\" \"INFO\" \"get\" \"set\""));
        let functions = |pattern: &str| format!("\"FUNCTION\" \"LIST\" \"LIBRARYNAME\" \"{pattern}\"");
        assert!(own(&mut known, 6, &functions("**")) && !own(&mut known, 6, &functions("*")));
        assert!(own(&mut known, 7, "\"HELLO\"") && !own(&mut known, 7, "\"auth\" \"(redacted)\""));
        assert!(own(&mut known, 7, "\"RESET\"") && !own(&mut known, 8, "\"RESET\""));
    }

    #[test]
    fn what_follows_the_hello_of_a_client_is_its_own() {
        let mut known = Own::default();
        known.listed(b"id=5 addr=127.0.0.1:1 laddr=127.0.0.1:1 fd=9 name=switchback age=5 db=0");
        for command in ["\"HELLO\" \"3\"", "\"PING\"", "\"CLIENT\" \"ID\""] {
            assert!(!own(&mut known, 1, command), "{command}");
        }
        assert!(own(&mut known, 2, "\"HELLO\"") && own(&mut known, 2, "\"ROLE\""));
        assert!(!own(&mut known, 2, "\"HELLO\" \"3\"") && !own(&mut known, 2, "\"PING\""));
        assert!(
            own(&mut known, 1, "\"HELLO\"") && own(&mut known, 1, "\"PING\""),
            "another link has the address now"
        );
    }

    #[test]
    fn connections_beside_the_clients_are_known_by_name() {
        let mut known = Own::default();
        known.listed(b"id=4 addr=127.0.0.1:7 laddr=127.0.0.1:1 fd=8 name=switchback-probe age=5 db=0");
        known.listed(b"id=5 addr=127.0.0.1:8 laddr=127.0.0.1:1 fd=9 name=switchback age=5 db=0");
        known.listed(b"\r\n");
        assert!(own(&mut known, 7, "\"INFO\" \"replication\""));
        assert!(!own(&mut known, 8, "\"INFO\" \"replication\""));
        assert!(own(
            &mut known,
            9,
            "\"CLIENT\" \"SETNAME\" \"switchback-heartbeat\""
        ));
        assert!(own(&mut known, 9, "\"PUBLISH\" \"c\" \"m\""));
        assert!(
            own(&mut known, 9, "\"HELLO\"") && own(&mut known, 9, "\"ROLE\""),
            "a link has the address now"
        );
        assert!(!own(&mut known, 9, "\"PUBLISH\" \"c\" \"m\""));
    }

    #[test]
    fn what_is_no_such_line_is_passed_on() {
        let mut known = Own::default();
        for line in [
            &b""[..],
            b"+OK\r\n",
            b"+1 [0 lua] \"HELLO\"\r\n",
            b"+1 [0] \"HELLO\"\r\n",
            b" [ ] \"",
            b"-ERR x\r\n",
        ] {
            known.is_own(line);
        }
        assert!(!known.is_own(b"+OK\r\n"));
        assert!(known.is_own(b"+1 [0 [::1]:55152] \"HELLO\"\r\n"));
        let count = u16::try_from(OWN_ADDRESSES_MAX).unwrap();
        let mut known = Own::default();
        (0..count).for_each(|port| assert!(own(&mut known, port, "\"HELLO\"")));
        assert_eq!(known.opening.len(), OWN_ADDRESSES_MAX);
        own(&mut known, count, "\"HELLO\"");
        assert_eq!(known.opening.len(), 1, "one past it");
    }
}
