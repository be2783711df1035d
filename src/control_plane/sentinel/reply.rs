//! What does a Sentinel or a node answer?
//!
//! Pure: the replies of SENTINEL MASTER, REPLICAS, SENTINELS and GET-MASTER-ADDR-BY-NAME, and of ROLE, to structs.
//! Whatever has not their form is an error, never half an answer: the next Sentinel's is as good.

use std::time::Duration;

use super::message::address;
use crate::cluster::NodeAddr;
use crate::limits::{NODES_MAX, SENTINELS_MAX};
use crate::resp::{Value, text};

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It has another form altogether.
    #[error("it answers {0} with something else")]
    Form(&'static str),
    /// A field is missing or is not what it should be.
    #[error("its answer has no usable field '{0}'")]
    Field(&'static str),
    /// GET-MASTER-ADDR-BY-NAME of a name it does not monitor.
    #[error("it monitors no master of that name")]
    NoSuchMaster,
    /// It lists more than is kept track of.
    #[error("it lists more than {0} entries")]
    TooMany(usize),
}

/// What Sentinel believes of an instance: its `flags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `s_down`: it finds it down.
    pub s_down: bool,
    /// `o_down`: enough Sentinels do.
    pub o_down: bool,
    /// `disconnected`: it has no connection to it.
    pub disconnected: bool,
    /// `failover_in_progress`: it is leading one.
    pub failover_in_progress: bool,
}

impl Flags {
    fn parse(flags: &str) -> Self {
        let has = |name: &str| flags.split(',').any(|flag| flag == name);
        Self {
            s_down: has("s_down"),
            o_down: has("o_down"),
            disconnected: has("disconnected"),
            failover_in_progress: has("failover_in_progress"),
        }
    }
}

/// SENTINEL MASTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterState {
    /// What it believes of the master.
    pub flags: Flags,
    /// Of the configuration it holds: the failover that made it. Higher is newer.
    pub config_epoch: u64,
}

/// One replica of SENTINEL REPLICAS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    /// Where it is.
    pub addr: NodeAddr,
    /// What Sentinel believes of it.
    pub flags: Flags,
    /// How long it has been without its master; `None`: `master-link-status` is `ok`.
    pub link_down: Option<Duration>,
}

/// One of SENTINEL SENTINELS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelState {
    /// Where it is.
    pub addr: NodeAddr,
    /// Its run id; empty when unknown.
    pub id: String,
}

/// ROLE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A master, and the replicas that are online on it, as it sees their addresses.
    Master(Vec<NodeAddr>),
    /// A replica.
    Replica,
}

/// Reads GET-MASTER-ADDR-BY-NAME.
///
/// # Errors
/// [`ReplyError::NoSuchMaster`] for a null.
pub fn master_addr(value: &Value) -> Result<NodeAddr, ReplyError> {
    const FORM: ReplyError = ReplyError::Form("GET-MASTER-ADDR-BY-NAME");
    match value {
        Value::Null => Err(ReplyError::NoSuchMaster),
        Value::Array(items) => match items.as_slice() {
            [host, port] => pair_address(host, port).ok_or(FORM),
            _ => Err(FORM),
        },
        _ => Err(FORM),
    }
}

/// Reads SENTINEL MASTER.
///
/// # Errors
/// When a field that is needed is not there.
pub fn master(value: &Value) -> Result<MasterState, ReplyError> {
    let fields = Fields::of(value).ok_or(ReplyError::Form("SENTINEL MASTER"))?;
    Ok(MasterState {
        flags: fields.flags()?,
        config_epoch: fields.number("config-epoch")?,
    })
}

/// Reads SENTINEL REPLICAS.
///
/// # Errors
/// When a field that is needed is not there, of any replica.
pub fn replicas(value: &Value) -> Result<Vec<ReplicaState>, ReplyError> {
    list(value, "SENTINEL REPLICAS", NODES_MAX, |fields| {
        let down = fields.text("master-link-status")? != "ok";
        let link_down = if down {
            Some(Duration::from_millis(fields.number("master-link-down-time")?))
        } else {
            None
        };
        Ok(ReplicaState {
            addr: fields.addr()?,
            flags: fields.flags()?,
            link_down,
        })
    })
}

/// Reads SENTINEL SENTINELS.
///
/// # Errors
/// When a field that is needed is not there, of any Sentinel.
pub fn sentinels(value: &Value) -> Result<Vec<SentinelState>, ReplyError> {
    list(value, "SENTINEL SENTINELS", SENTINELS_MAX, |fields| {
        Ok(SentinelState {
            addr: fields.addr()?,
            id: fields.text("runid")?,
        })
    })
}

/// Reads ROLE.
///
/// # Errors
/// When it is neither a master's nor a replica's.
pub fn role(value: &Value) -> Result<Role, ReplyError> {
    const FORM: ReplyError = ReplyError::Form("ROLE");
    let Value::Array(items) = value else {
        return Err(FORM);
    };
    let kind = items.first().and_then(text).ok_or(FORM)?;
    match (kind.as_str(), items.as_slice()) {
        ("master", [_, _, Value::Array(replicas)]) => {
            if replicas.len() > NODES_MAX {
                return Err(ReplyError::TooMany(NODES_MAX));
            }
            let listed: Option<Vec<_>> = replicas.iter().map(role_replica).collect();
            Ok(Role::Master(listed.ok_or(FORM)?))
        }
        ("slave", [_, _, _, _, _]) => Ok(Role::Replica),
        _ => Err(FORM),
    }
}

/// `[host, port, offset]`
fn role_replica(value: &Value) -> Option<NodeAddr> {
    match value {
        Value::Array(items) => match items.as_slice() {
            [host, port, _] => pair_address(host, port),
            _ => None,
        },
        _ => None,
    }
}

fn pair_address(host: &Value, port: &Value) -> Option<NodeAddr> {
    address(&text(host)?, &text(port)?)
}

fn list<T>(
    value: &Value,
    form: &'static str,
    entries_max: usize,
    read: impl Fn(Fields<'_>) -> Result<T, ReplyError>,
) -> Result<Vec<T>, ReplyError> {
    let Value::Array(items) = value else {
        return Err(ReplyError::Form(form));
    };
    if items.len() > entries_max {
        return Err(ReplyError::TooMany(entries_max));
    }
    let entry = |item| read(Fields::of(item).ok_or(ReplyError::Form(form))?);
    items.iter().map(entry).collect()
}

/// An array of names and values in turn.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(&'a [Value]);

impl<'a> Fields<'a> {
    pub(crate) fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Array(items) if items.len() % 2 == 0 => Some(Self(items)),
            _ => None,
        }
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<String, ReplyError> {
        let found = self
            .0
            .chunks_exact(2)
            .find(|pair| text(&pair[0]).as_deref() == Some(name));
        found
            .and_then(|pair| text(&pair[1]))
            .ok_or(ReplyError::Field(name))
    }

    pub(crate) fn number(&self, name: &'static str) -> Result<u64, ReplyError> {
        self.text(name)?.parse().map_err(|_| ReplyError::Field(name))
    }

    pub(crate) fn addr(&self) -> Result<NodeAddr, ReplyError> {
        address(&self.text("ip")?, &self.text("port")?).ok_or(ReplyError::Field("ip"))
    }

    fn flags(&self) -> Result<Flags, ReplyError> {
        Ok(Flags::parse(&self.text("flags")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{decode_value, write_command};
    use proptest::prelude::*;

    /// An array of bulk strings.
    fn array(words: &str) -> Value {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let mut bytes = Vec::new();
        write_command(&mut bytes, &words);
        decode_value(&bytes).unwrap()
    }

    const REPLICA: &str = "ip 10.0.0.2 port 6380 flags s_down,slave,disconnected master-link-status err \
                           master-link-down-time 1500";

    #[test]
    fn a_replica_has_address_flags_and_link() {
        let listed = replicas(&Value::Array(vec![array(REPLICA)])).unwrap();
        assert_eq!(listed[0].addr, NodeAddr::new("10.0.0.2", 6380));
        assert!(listed[0].flags.s_down && listed[0].flags.disconnected && !listed[0].flags.o_down);
        assert_eq!(listed[0].link_down, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn a_master_has_flags_and_an_epoch() {
        let state = master(&array("flags master,o_down,failover_in_progress config-epoch 7")).unwrap();
        assert!(state.flags.o_down && state.flags.failover_in_progress && !state.flags.s_down);
        assert_eq!(state.config_epoch, 7);
    }

    #[test]
    fn a_name_that_is_not_monitored_is_told_from_garbage() {
        assert_eq!(master_addr(&Value::Null), Err(ReplyError::NoSuchMaster));
        assert_eq!(
            master_addr(&array("10.0.0.1 6379")),
            Ok(NodeAddr::new("10.0.0.1", 6379))
        );
        assert!(master_addr(&array("10.0.0.1 0")).is_err());
        assert!(master_addr(&Value::Integer(1)).is_err());
    }

    #[test]
    fn a_missing_field_is_an_error() {
        for name in ["ip", "port", "flags", "master-link-status"] {
            let garbled = array(&REPLICA.replace(&format!("{name} "), "x "));
            assert!(replicas(&Value::Array(vec![garbled])).is_err(), "{name}");
        }
        assert!(master(&array("flags master config-epoch -1")).is_err());
        assert!(master(&array("flags")).is_err());
    }

    #[test]
    fn more_entries_than_are_kept_track_of_are_refused() {
        let listed = |count| replicas(&Value::Array(vec![array(REPLICA); count]));
        assert_eq!(listed(NODES_MAX).unwrap().len(), NODES_MAX);
        assert_eq!(listed(NODES_MAX + 1), Err(ReplyError::TooMany(NODES_MAX)));
    }

    #[test]
    fn role_tells_masters_from_replicas() {
        let role_of = |bytes: &[u8]| role(&decode_value(bytes).unwrap());
        let master = b"*3\r\n$6\r\nmaster\r\n:10\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n7001\r\n$1\r\n9\r\n";
        assert_eq!(
            role_of(master),
            Ok(Role::Master(vec![NodeAddr::new("127.0.0.1", 7001)]))
        );
        let replica = b"*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:7000\r\n$9\r\nconnected\r\n:5\r\n";
        assert_eq!(role_of(replica), Ok(Role::Replica));
        let sentinel = b"*2\r\n$8\r\nsentinel\r\n*0\r\n";
        for other in [&sentinel[..], b"+OK\r\n", b"*0\r\n", b"*1\r\n$6\r\nmaster\r\n"] {
            assert!(role_of(other).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_reply_can_panic_a_parser(words in proptest::collection::vec("(ip|port|flags|runid|master|slave|[0-9]{0,6})", 1..12)) {
            let value = array(&words.join(" "));
            let listed = Value::Array(vec![value.clone(), value.clone()]);
            for value in [value, listed] {
                let _ = (master(&value), replicas(&value), sentinels(&value), master_addr(&value), role(&value));
            }
        }
    }
}
