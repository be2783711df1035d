//! What does a Sentinel announce?
//!
//! Pure: channel and payload of its pub/sub to an enum, as `sentinelEvent` in Redis 7.0's sentinel.c writes them. A
//! message is never believed, it only has everyone asked at once; so the parser keeps what a notice or a hold needs.

use crate::cluster::NodeAddr;
use crate::resp::{Value, text};

/// What kind of process a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceKind {
    /// The monitored master.
    Master,
    /// One of its replicas.
    Replica,
    /// Another Sentinel.
    Sentinel,
}

/// The process a message is about: `sentinelEvent`'s `%@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What it is.
    pub kind: InstanceKind,
    /// Where it is.
    pub addr: NodeAddr,
    /// The name of the master it belongs to, or is.
    pub master_name: String,
}

/// What happened to an [`Instance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// `+sdown`: this Sentinel finds it down.
    Down,
    /// `-sdown`
    Up,
    /// `+odown`: enough Sentinels find the master down.
    AgreedDown,
    /// `-odown`
    NotAgreedDown,
    /// `+reboot`
    Rebooted,
    /// `+try-failover`
    FailoverStarted,
    /// `+failover-state-send-slaveof-noone`, `+failover-state-wait-promotion`: the replica is about to be, or was, told
    /// to be master. Writes the old master still takes from here on may be lost.
    Promoting,
    /// `+promoted-slave`
    Promoted,
    /// `-failover-abort-…`
    FailoverAborted,
    /// `+failover-end`, `+failover-end-for-timeout`
    FailoverEnded,
    /// `+slave`: a replica it did not know.
    ReplicaFound,
    /// `+slave-reconf-…`, `+fix-slave-config`: it was told whom to follow.
    ReplicaReconfigured,
    /// `+convert-to-slave`: a former master was told to be a replica.
    Converted,
    /// `+sentinel`: a Sentinel it did not know.
    SentinelFound,
    /// `+reset-master`, `+monitor`, `-monitor`: what it knows of the master began anew.
    Reset,
    /// `+role-change`, `-role-change`
    RoleChanged,
}

/// One announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `+switch-master`
    SwitchMaster {
        /// The name of the group.
        master_name: String,
        /// Its former master.
        from: NodeAddr,
        /// Its new one, as this Sentinel has it.
        to: NodeAddr,
    },
    /// Something happened to an instance.
    Instance {
        /// What.
        news: News,
        /// To whom.
        instance: Instance,
    },
    /// `+tilt`, `-tilt`: it distrusts its own clock, or does so no more.
    Tilt {
        /// `+tilt`.
        entered: bool,
    },
    /// Anything else.
    Other,
}

/// An announcement of a known kind whose payload has not its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an announcement of Sentinel's has not the form of its kind")]
pub struct MessageError;

impl Message {
    /// Reads one announcement.
    ///
    /// # Errors
    /// When the payload is not what Sentinel publishes on this channel.
    pub fn parse(channel: &str, payload: &str) -> Result<Self, MessageError> {
        match channel {
            "+tilt" => return Ok(Self::Tilt { entered: true }),
            "-tilt" => return Ok(Self::Tilt { entered: false }),
            "+switch-master" => return switch_master(payload).ok_or(MessageError),
            _ => {}
        }
        let Some(news) = news(channel) else {
            return Ok(Self::Other);
        };
        let instance = instance(payload).ok_or(MessageError)?;
        Ok(Self::Instance { news, instance })
    }

    /// The group it is about; `None` when it is about none.
    pub fn master_name(&self) -> Option<&str> {
        match self {
            Self::SwitchMaster { master_name, .. } => Some(master_name),
            Self::Instance { instance, .. } => Some(&instance.master_name),
            Self::Tilt { .. } | Self::Other => None,
        }
    }
}

/// Channel and payload of a `pmessage`; `None` for anything else a subscribed connection may receive.
pub fn pushed(value: &Value) -> Option<(String, String)> {
    let Value::Array(items) = value else { return None };
    match items.as_slice() {
        [kind, _, channel, payload] if text(kind)? == "pmessage" => Some((text(channel)?, text(payload)?)),
        _ => None,
    }
}

/// `None` for what is no address: a port that is none, a host with bytes that no host has.
pub(super) fn address(host: &str, port: &str) -> Option<NodeAddr> {
    let fits = |byte: u8| byte.is_ascii_graphic();
    if host.is_empty() || host.len() > 255 || !host.bytes().all(fits) {
        return None;
    }
    let addr = match port.parse() {
        Ok(0) | Err(_) => return None,
        Ok(port) => NodeAddr::new(host, port),
    };
    // `[]` was nothing but brackets.
    (!addr.host.is_empty()).then_some(addr)
}

fn news(channel: &str) -> Option<News> {
    Some(match channel {
        "+sdown" => News::Down,
        "-sdown" => News::Up,
        "+odown" => News::AgreedDown,
        "-odown" => News::NotAgreedDown,
        "+reboot" => News::Rebooted,
        "+try-failover" => News::FailoverStarted,
        "+failover-state-send-slaveof-noone" | "+failover-state-wait-promotion" => News::Promoting,
        "+promoted-slave" => News::Promoted,
        "+failover-end" | "+failover-end-for-timeout" => News::FailoverEnded,
        "+slave" => News::ReplicaFound,
        "+fix-slave-config" => News::ReplicaReconfigured,
        "+convert-to-slave" => News::Converted,
        "+sentinel" => News::SentinelFound,
        "+reset-master" | "+monitor" | "-monitor" => News::Reset,
        "+role-change" | "-role-change" => News::RoleChanged,
        _ if channel.starts_with("-failover-abort-") => News::FailoverAborted,
        _ if channel.starts_with("+slave-reconf-") => News::ReplicaReconfigured,
        _ => return None,
    })
}

/// `name old-host old-port new-host new-port`
fn switch_master(payload: &str) -> Option<Message> {
    let mut words = payload.split(' ');
    let mut next = || words.next();
    let master_name = next()?.to_owned();
    let from = address(next()?, next()?)?;
    let to = address(next()?, next()?)?;
    next().is_none().then_some(Message::SwitchMaster {
        master_name,
        from,
        to,
    })
}

/// `master name host port …`, or `slave name host port @ master-name master-host master-port …`
fn instance(payload: &str) -> Option<Instance> {
    let mut words = payload.split(' ');
    let mut next = || words.next();
    let kind = match next()? {
        "master" => InstanceKind::Master,
        "slave" => InstanceKind::Replica,
        "sentinel" => InstanceKind::Sentinel,
        _ => return None,
    };
    let name = next()?;
    let addr = address(next()?, next()?)?;
    let master_name = match kind {
        InstanceKind::Master => name,
        InstanceKind::Replica | InstanceKind::Sentinel => {
            let (at, master_name) = (next()?, next()?);
            address(next()?, next()?)?;
            if at != "@" {
                return None;
            }
            master_name
        }
    };
    Some(Instance {
        kind,
        addr,
        master_name: master_name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn instance_of(channel: &str, payload: &str) -> (News, Instance) {
        match Message::parse(channel, payload) {
            Ok(Message::Instance { news, instance }) => (news, instance),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_switch_names_both_masters() {
        let message = Message::parse("+switch-master", "cache 10.0.0.1 6379 fd00::2 6380").unwrap();
        let (from, to) = (NodeAddr::new("10.0.0.1", 6379), NodeAddr::new("fd00::2", 6380));
        assert_eq!(message.master_name(), Some("cache"));
        let master_name = "cache".to_owned();
        assert_eq!(
            message,
            Message::SwitchMaster {
                master_name,
                from,
                to
            }
        );
    }

    #[test]
    fn a_replica_is_told_from_the_master_it_belongs_to() {
        let (news, instance) = instance_of(
            "+sdown",
            "slave 10.0.0.2:6380 10.0.0.2 6380 @ cache 10.0.0.1 6379",
        );
        assert_eq!(news, News::Down);
        assert_eq!(instance.kind, InstanceKind::Replica);
        assert_eq!(instance.addr, NodeAddr::new("10.0.0.2", 6380));
        assert_eq!(instance.master_name, "cache");
    }

    #[test]
    fn what_follows_the_instance_is_no_part_of_it() {
        let (news, instance) = instance_of("+odown", "master cache redis-1.example 6379 #quorum 2/2");
        assert_eq!(news, News::AgreedDown);
        assert_eq!(instance.addr, NodeAddr::new("redis-1.example", 6379));
        assert_eq!(instance.master_name, "cache");
    }

    #[test]
    fn every_abort_is_one_and_unknown_announcements_are_other() {
        for kind in [
            "not-elected",
            "no-good-slave",
            "slave-timeout",
            "of-a-later-version",
        ] {
            let (news, _) = instance_of(&format!("-failover-abort-{kind}"), "master cache 10.0.0.1 6379");
            assert_eq!(news, News::FailoverAborted);
        }
        assert_eq!(Message::parse("+new-epoch", "7"), Ok(Message::Other));
        assert_eq!(
            Message::parse("+tilt", "#tilt mode entered"),
            Ok(Message::Tilt { entered: true })
        );
    }

    #[test]
    fn a_payload_of_another_form_is_an_error() {
        let switches = [
            "",
            "cache",
            "cache 10.0.0.1 6379 10.0.0.2",
            "cache a 0 b 1",
            "cache a 1 b 70000",
            "cache a 1 b 2 c",
            "cache a 1  2",
        ];
        for payload in switches {
            assert_eq!(
                Message::parse("+switch-master", payload),
                Err(MessageError),
                "{payload:?}"
            );
        }
        for payload in [
            "",
            "master",
            "slave a b 1",
            "slave a b 1 # c d 2",
            "king a b 1",
            "master a b\u{1b} 1",
        ] {
            assert_eq!(
                Message::parse("+sdown", payload),
                Err(MessageError),
                "{payload:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_payload_can_panic_the_parser(channel in "[+-](switch-master|sdown|slave|sentinel|.{0,8})", payload: String) {
            let _ = Message::parse(&channel, &payload);
        }

        #[test]
        fn no_words_can_panic_the_parser(words in proptest::collection::vec("(slave|master|@|[0-9]{1,6}|\\PC{0,4})", 0..9)) {
            let _ = Message::parse("+switch-master", &words.join(" "));
            let _ = Message::parse("+sdown", &words.join(" "));
        }

        #[test]
        fn every_switch_reads_back(from_port in 1u16.., to_port in 1u16.., host in "[a-z0-9.:-]{1,40}") {
            let message = Message::parse("+switch-master", &format!("m {host} {from_port} {host} {to_port}")).unwrap();
            let (from, to) = (NodeAddr::new(host.as_str(), from_port), NodeAddr::new(host.as_str(), to_port));
            prop_assert_eq!(message, Message::SwitchMaster { master_name: "m".to_owned(), from, to });
        }
    }
}
