//! Which connections does CLIENT LIST show?
//!
//! Pure: lines of `name=value` words, as many as a side may have nodes. A line without an id or an address is none.

use super::ReplicaClient;
use crate::cluster::NodeAddr;
use crate::limits::NODES_MAX;

/// What a master says to `CLIENT LIST TYPE replica`.
pub(super) fn replicas(list: &str) -> Vec<ReplicaClient> {
    list.lines().filter_map(replica).take(NODES_MAX).collect()
}

/// What a replica says to `CLIENT LIST TYPE master`: its own end of the connection to its master.
pub(super) fn master_link(list: &str) -> Option<NodeAddr> {
    addr(word(list.lines().next()?, "laddr")?)
}

fn replica(line: &str) -> Option<ReplicaClient> {
    let number = |name| word(line, name)?.parse().ok();
    Some(ReplicaClient {
        id: number("id")?,
        addr: addr(word(line, "addr")?)?,
        omem_bytes: number("omem")?,
    })
}

fn word<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut words = line.split(' ').filter_map(|word| word.split_once('='));
    words.find(|(found, _)| *found == name).map(|(_, value)| value)
}

fn addr(text: &str) -> Option<NodeAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let addr = NodeAddr::new(host, port.parse().ok()?);
    (!addr.host.is_empty()).then_some(addr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPLICA: &str = "id=3 addr=127.0.0.1:55904 laddr=127.0.0.1:7999 fd=8 name= age=16 idle=0 flags=S db=0 \
        sub=0 obl=0 oll=1 omem=20504 tot-mem=42776 events=r cmd=replconf user=default redir=-1 resp=2\n";

    #[test]
    fn a_replicas_connection_is_read_with_what_waits_for_it() {
        let expected = ReplicaClient {
            id: 3,
            addr: NodeAddr::new("127.0.0.1", 55_904),
            omem_bytes: 20_504,
        };
        assert_eq!(replicas(REPLICA), [expected]);
        assert_eq!(replicas("id=3 addr=127.0.0.1:1 age=1\n"), [], "absent is not 0");
        assert_eq!(replicas(""), []);
    }

    #[test]
    fn a_replicas_own_end_is_read_whatever_family_it_is_of() {
        assert_eq!(master_link(REPLICA), Some(NodeAddr::new("127.0.0.1", 7_999)));
        let six = "id=4 addr=[fe80::1]:6379 laddr=[fe80::2]:41000 fd=8 flags=M\n";
        assert_eq!(master_link(six), Some(NodeAddr::new("fe80::2", 41_000)));
        assert_eq!(master_link(""), None);
        assert_eq!(
            master_link("id=4 addr=10.0.0.1:6379 fd=8\n"),
            None,
            "before Redis 6.2"
        );
    }

    #[test]
    fn no_more_lines_are_kept_than_a_side_may_have_nodes() {
        assert_eq!(replicas(&REPLICA.repeat(NODES_MAX + 1)).len(), NODES_MAX);
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String, words in "(id|addr|laddr|omem|age)=[0-9:.]{0,20}( (id|addr|omem)=[0-9:.]{0,30}){0,5}") {
            let _ = (replicas(&text), master_link(&text));
            let _ = (replicas(&words), master_link(&words));
        }
    }
}
