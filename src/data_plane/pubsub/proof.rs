//! Has anything been published on a new master that its subscribers did not hear?
//!
//! Pure: what the new master says of its replication (INFO), and whose stream the former one had, in; yes or no out.
//!
//! Each PUBLISH goes into the stream to the replicas and moves its offset, whoever listens and whether there is a replica or
//! only a backlog. A promotion writes down whose stream the node had followed until then, and up to where. So if the stream it
//! followed is the former master's, and it is still where it was when it was promoted, nothing at all has been published
//! there since. Asked once all subscriptions are confirmed, that is the proof that none was missed. What keeps the stream's
//! place for any other reason (a write, a key that expires, a Sentinel's greeting) only spoils it.
//!
//! Not seen by it, as no replica ever hears of it either: what a script publishes after `redis.set_repl(redis.REPL_NONE)`, and
//! the notification of a miss (`notify-keyspace-events m`).

/// A stream of replication, as the node that begins it names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamId(Box<[u8]>);

/// What a node's INFO says of its replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replication {
    is_master: bool,
    /// The backlog is there: without it nothing may be counted.
    is_counted: bool,
    stream: StreamId,
    offset: i64,
    /// The stream it followed before it was promoted.
    former_stream: StreamId,
    /// The first byte of its own.
    own_from: i64,
}

impl Replication {
    /// Reads the answer to `INFO replication`; `None` when it is another, or a field is not there.
    pub(super) fn read(reply: &[u8]) -> Option<Self> {
        let field = |name: &str| {
            let mut lines = reply.split(|byte| *byte == b'\n');
            let value = lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))?;
            Some(value.trim_ascii_end())
        };
        let number = |name| crate::resp::parse_i64(field(name)?);
        let stream = |name| {
            let id = field(name)?;
            let is_one = id.len() == STREAM_ID_BYTES && id.iter().any(|byte| *byte != b'0');
            Some(is_one.then(|| StreamId(id.into())))
        };
        Some(Self {
            is_master: field("role")? == b"master",
            is_counted: field("repl_backlog_active")? == b"1",
            stream: stream("master_replid")??,
            offset: number("master_repl_offset")?,
            former_stream: stream("master_replid2")?.unwrap_or(StreamId(Box::default())),
            own_from: number("second_repl_offset")?,
        })
    }

    /// The stream that the node begins; `None` when it follows another's.
    pub(super) fn into_stream(self) -> Option<StreamId> {
        self.is_master.then_some(self.stream)
    }

    /// Whether the node was promoted from `followed`, and nothing has been published there since.
    pub(super) fn is_untouched(&self, followed: &StreamId) -> bool {
        self.is_master
            && self.is_counted
            && self.former_stream == *followed
            && self.offset.checked_add(1) == Some(self.own_from)
    }
}

/// `CONFIG_RUN_ID_SIZE` of Redis.
const STREAM_ID_BYTES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMER: &str = "0123456789012345678901234567890123456789";
    const OWN: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";
    const NONE: &str = "0000000000000000000000000000000000000000";

    fn info(role: &str, ids: [&str; 2], offsets: [i64; 2], backlog: u8) -> Vec<u8> {
        let [own, former] = ids;
        let [offset, own_from] = offsets;
        format!(
            "$511\r\n# Replication\r\nrole:{role}\r\nconnected_slaves:0\r\nmaster_replid:{own}\r\nmaster_replid2:{former}\r\n\
             master_repl_offset:{offset}\r\nsecond_repl_offset:{own_from}\r\nrepl_backlog_active:{backlog}\r\n\r\n"
        )
        .into_bytes()
    }

    fn followed() -> StreamId {
        StreamId(FORMER.as_bytes().into())
    }

    fn is_untouched(info: &[u8]) -> bool {
        Replication::read(info).unwrap().is_untouched(&followed())
    }

    #[test]
    fn a_stream_that_is_where_it_was_at_the_promotion_proves_it() {
        let promoted = info("master", [OWN, FORMER], [99, 100], 1);
        assert!(is_untouched(&promoted));
        let own = Replication::read(&promoted).unwrap().into_stream();
        assert_eq!(own, Some(StreamId(OWN.as_bytes().into())));
    }

    #[test]
    fn anything_else_does_not() {
        for touched in [
            info("master", [OWN, FORMER], [100, 100], 1),
            info("master", [OWN, FORMER], [i64::MAX, i64::MIN], 1),
            info("master", [OWN, OWN], [99, 100], 1),
            info("master", [OWN, NONE], [99, 100], 1),
            info("master", [FORMER, NONE], [99, -1], 1),
            info("master", [OWN, FORMER], [99, 100], 0),
            info("slave", [FORMER, FORMER], [99, 100], 1),
        ] {
            assert!(!is_untouched(&touched), "{}", touched.escape_ascii());
        }
    }

    #[test]
    fn a_replica_begins_no_stream() {
        let replica = Replication::read(&info("slave", [FORMER, NONE], [99, -1], 1)).unwrap();
        assert_eq!(replica.into_stream(), None);
    }

    proptest! {
        /// Whatever was written there since, a byte of it is seen.
        #[test]
        fn every_byte_since_the_promotion_is_seen(at in 0..1_i64 << 60, bytes in 0..1_i64 << 60) {
            let reply = info("master", [OWN, FORMER], [at + bytes, at + 1], 1);
            prop_assert_eq!(is_untouched(&reply), bytes == 0);
        }

        /// No part of an answer is taken for the whole, and none panics.
        #[test]
        fn an_answer_that_is_cut_off_proves_nothing(cut in 0_usize..290) {
            let whole = info("master", [OWN, FORMER], [99, 100], 1);
            let cut = cut.min(whole.len() - 5);
            prop_assert!(!Replication::read(&whole[..cut]).is_some_and(|read| read.is_untouched(&followed())));
        }

        #[test]
        fn no_bytes_panic(reply: Vec<u8>) {
            let _ = Replication::read(&reply);
        }
    }
}
