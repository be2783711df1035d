//! One group of nodes 1, 2 and 3 and Sentinels 1, 2 and 3, under a clock that the test moves.

use super::*;
use crate::control_plane::sentinel::reply::{Flags, Role, SentinelState};
use crate::limits::{PROMOTION_WAIT, VIEW_LIFETIME};
use proptest::prelude::*;
use std::time::Duration;

fn node(port: u16) -> NodeAddr {
    NodeAddr::new("node", port)
}

fn sentinel(port: u16) -> NodeAddr {
    NodeAddr::new("sentinel", port)
}

/// A Sentinel's view of the group: everyone but the master is its replica.
fn view(of: u16, named: u16, epoch: u64) -> View {
    let replica = |port| ReplicaState {
        addr: node(port),
        flags: Flags::default(),
        link_down: None,
    };
    let other = |port: u16| SentinelState {
        addr: sentinel(port),
        id: format!("id{port}"),
    };
    View {
        id: Some(format!("id{of}")),
        named: node(named),
        epoch,
        flags: Flags::default(),
        replicas: (1..=3).filter(|&port| port != named).map(replica).collect(),
        sentinels: (1..=3).filter(|&port| port != of).map(other).collect(),
    }
}

struct Group {
    now: Instant,
    follower: Follower,
    topology: Topology,
    reasons: Vec<String>,
    notices: Vec<Notice>,
    ask_now: bool,
}

impl Group {
    fn new() -> Self {
        let now = Instant::now();
        let sentinels: Vec<_> = (1..=3).map(sentinel).collect();
        Self {
            now,
            follower: Follower::new(now, &sentinels, "cache"),
            topology: Topology::default(),
            reasons: Vec::new(),
            notices: Vec::new(),
            ask_now: false,
        }
    }

    /// Master 1, replicas 2 and 3, everyone agreeing at epoch 5.
    fn settled() -> Self {
        let mut group = Self::new();
        (1..=3).for_each(|of| group.says(view(of, 1, 5)));
        group.roles();
        assert_eq!(group.master(), Some(1));
        assert_eq!(group.replicas(), [2, 3]);
        group
    }

    fn handle(&mut self, input: Input) {
        self.now += Duration::from_millis(1);
        let outcome = self.follower.handle(self.now, input);
        if let Some((topology, reason)) = outcome.topology {
            assert_ne!(topology, self.topology, "sent on change only");
            self.topology = topology;
            self.reasons.push(reason);
        }
        self.notices.extend(outcome.notices);
        self.ask_now = outcome.ask_now;
    }

    fn says(&mut self, view: View) {
        let of: u16 = view.id.as_deref().unwrap()[2..].parse().unwrap();
        self.handle(Input::Answered {
            sentinel: sentinel(of),
            view,
        });
    }

    fn lost(&mut self, of: u16) {
        self.handle(Input::Failed {
            sentinel: sentinel(of),
            fault: Fault::Lost,
            text: "gone".to_owned(),
        });
    }

    fn role(&mut self, port: u16, is_master: bool) {
        let role = if is_master {
            Role::Master(Vec::new())
        } else {
            Role::Replica
        };
        self.handle(Input::Role {
            node: node(port),
            answer: Answer::Role(role),
        });
    }

    /// Node 1 is the master by everyone's own word.
    fn roles(&mut self) {
        self.role(1, true);
        self.role(2, false);
        self.role(3, false);
    }

    fn silent(&mut self, port: u16) {
        self.handle(Input::Role {
            node: node(port),
            answer: Answer::Silent,
        });
    }

    fn announced(&mut self, by: u16, channel: &str, payload: &str) {
        self.handle(Input::Announced {
            sentinel: sentinel(by),
            message: Message::parse(channel, payload).unwrap(),
        });
    }

    /// Sentinel 1 is about to make node 2 the master.
    fn promoting(&mut self) {
        self.announced(
            1,
            "+failover-state-send-slaveof-noone",
            "slave node:2 node 2 @ cache node 1",
        );
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.handle(Input::Tick);
    }

    fn master(&self) -> Option<u16> {
        self.topology.master.as_ref().map(|addr| addr.port)
    }

    fn heir(&self) -> Option<u16> {
        self.topology.heir.as_ref().map(|addr| addr.port)
    }

    fn replicas(&self) -> Vec<u16> {
        self.topology.replicas.iter().map(|addr| addr.port).collect()
    }

    fn told(&self, kind: &str) -> usize {
        self.notices.iter().filter(|notice| notice.kind == kind).count()
    }
}

#[test]
fn nobody_is_master_until_role_confirms_it() {
    let mut group = Group::new();
    (1..=3).for_each(|of| group.says(view(of, 1, 5)));
    assert_eq!(group.master(), None);
    group.role(1, false);
    group.pass(DISCOVERY_WAIT);
    assert_eq!(group.master(), None);
    group.role(1, true);
    assert_eq!(group.master(), Some(1));
}

#[test]
fn discovery_waits_for_the_other_sentinels_but_not_for_ever() {
    let mut group = Group::new();
    group.says(view(1, 2, 1));
    group.role(2, true);
    assert_eq!(group.master(), None);
    group.says(view(2, 1, 5));
    group.lost(3);
    group.roles();
    assert_eq!(group.master(), Some(1), "the newer epoch");

    let mut alone = Group::new();
    alone.says(view(1, 1, 1));
    alone.role(1, true);
    alone.pass(DISCOVERY_WAIT);
    assert_eq!(alone.master(), Some(1));
}

#[test]
fn a_stranger_is_not_discovered_before_the_master_that_most_name_has_answered() {
    let mut group = Group::new();
    group.says(view(1, 1, 5));
    group.says(view(2, 1, 5));
    group.says(view(3, 77, 900));
    group.role(77, true);
    assert_eq!(group.master(), None);
    group.roles();
    assert_eq!(group.master(), Some(1));
    assert_eq!(group.told("switch_refused"), 1);
}

#[test]
fn a_newer_epoch_of_one_sentinel_is_followed_once_role_confirms_it() {
    let mut group = Group::settled();
    group.says(view(1, 2, 6));
    assert_eq!(group.master(), Some(1), "node 2 says it is a replica");
    group.role(2, true);
    assert_eq!(group.master(), Some(2));
    // Neither the Sentinels that know of nothing yet nor the old master's own word lead back.
    group.says(view(2, 1, 5));
    group.says(view(3, 1, 5));
    group.role(1, true);
    group.silent(2);
    group.pass(Duration::from_secs(1));
    assert_eq!(group.master(), Some(2));
    assert_eq!(group.told("switch_refused"), 0);
}

#[test]
fn a_switch_to_a_node_that_says_it_is_a_replica_is_refused_and_told_once() {
    let mut group = Group::settled();
    for _ in 0..3 {
        group.says(view(3, 2, 900));
        group.role(2, false);
    }
    assert_eq!(group.master(), Some(1));
    assert_eq!(group.told("switch_refused"), 1);
}

#[test]
fn one_sentinel_cannot_name_a_stranger_even_if_that_is_a_master() {
    let mut group = Group::settled();
    group.says(view(3, 77, 900));
    group.role(77, true);
    assert_eq!(group.master(), Some(1));
    group.says(view(2, 77, 900));
    assert_eq!(group.master(), Some(77), "a majority can");
}

#[test]
fn one_sentinel_cannot_list_a_stranger_first_and_then_name_or_promote_it() {
    let adopting = || {
        let mut group = Group::settled();
        let mut adopts = view(1, 1, 5);
        adopts.replicas.push(ReplicaState {
            addr: node(77),
            flags: Flags::default(),
            link_down: None,
        });
        group.says(adopts);
        group.role(77, true);
        group
    };
    let mut named = adopting();
    named.says(view(1, 77, 9));
    named.role(77, true);
    assert_eq!(named.master(), Some(1));
    assert_eq!(named.told("switch_refused"), 1);
    let mut promoted = adopting();
    let of_77 = "slave node:77 node 77 @ cache node 1";
    promoted.announced(1, "+failover-state-send-slaveof-noone", of_77);
    promoted.role(77, true);
    assert_eq!((promoted.master(), promoted.heir()), (Some(1), None));
}

#[test]
fn a_stale_sentinel_alone_does_not_bring_the_former_master_back() {
    let mut group = Group::settled();
    (1..=3).for_each(|of| group.says(view(of, 2, 6)));
    group.role(2, true);
    assert_eq!(group.master(), Some(2));
    group.pass(VIEW_LIFETIME + Duration::from_secs(1));
    group.says(view(3, 1, 5));
    group.role(1, true);
    group.role(2, true);
    assert_eq!(group.master(), Some(2));
}

#[test]
fn sentinels_that_began_anew_are_followed_when_most_of_them_agree() {
    let mut group = Group::settled();
    group.pass(VIEW_LIFETIME + Duration::from_secs(1));
    group.role(1, true);
    group.role(2, true);
    group.says(view(1, 2, 0));
    assert_eq!(group.master(), Some(1));
    group.says(view(2, 2, 0));
    assert_eq!(group.master(), Some(2));
}

#[test]
fn a_silent_master_stays_without_a_failover_and_is_held_in_one() {
    let mut group = Group::settled();
    group.silent(1);
    group.silent(1);
    assert_eq!(group.master(), Some(1));
    let mut failing = view(1, 1, 5);
    failing.flags.o_down = true;
    group.says(failing);
    assert_eq!(group.master(), None);
    assert!(group.follower.is_urgent(group.now));
    group.says(view(1, 1, 5));
    assert_eq!(group.master(), Some(1), "-odown");
    assert!(!group.follower.is_urgent(group.now));
}

#[test]
fn a_master_that_says_it_is_none_is_held_until_another_is_confirmed() {
    let mut group = Group::settled();
    group.role(1, false);
    assert_eq!(group.master(), None);
    group.says(view(1, 2, 6));
    group.role(2, true);
    assert_eq!(group.master(), Some(2));
}

#[test]
fn an_announced_promotion_holds_at_once_and_is_followed_when_role_confirms_it() {
    let mut group = Group::settled();
    group.promoting();
    assert_eq!((group.master(), group.heir()), (None, Some(2)));
    assert!(group.ask_now);
    group.role(2, false);
    group.role(1, true);
    assert_eq!((group.master(), group.heir()), (None, Some(2)));
    group.role(2, true);
    assert_eq!(
        (group.master(), group.heir()),
        (None, Some(2)),
        "subscribers go first"
    );
    group.pass(HEIR_WAIT);
    assert_eq!((group.master(), group.heir()), (Some(2), None));
    // Sentinels see it a second later; until then all name the old one, that still says it is master.
    (1..=3).for_each(|of| group.says(view(of, 1, 5)));
    group.role(1, true);
    assert_eq!(group.master(), Some(2));
    group.says(view(1, 2, 6));
    group.role(1, true);
    group.pass(PROMOTION_WAIT * 2);
    assert_eq!(group.master(), Some(2));
}

#[test]
fn a_dead_masters_heir_is_followed_at_once() {
    let mut group = Group::settled();
    group.silent(1);
    group.silent(1);
    group.promoting();
    assert_eq!((group.master(), group.heir()), (None, Some(2)));
    group.role(2, true);
    assert_eq!((group.master(), group.heir()), (Some(2), None));
}

#[test]
fn sentinels_that_name_the_heir_do_not_cut_its_wait_short() {
    let mut group = Group::settled();
    group.promoting();
    group.role(2, true);
    (1..=3).for_each(|of| group.says(view(of, 2, 6)));
    assert_eq!((group.master(), group.heir()), (None, Some(2)));
    group.pass(HEIR_WAIT);
    assert_eq!(group.master(), Some(2));
}

#[test]
fn a_promotion_that_is_aborted_or_never_confirmed_leads_back() {
    let mut group = Group::settled();
    group.promoting();
    group.announced(1, "-failover-abort-slave-timeout", "master cache node 1");
    assert_eq!((group.master(), group.heir()), (Some(1), None));

    let mut group = Group::settled();
    group.promoting();
    group.role(2, true);
    group.announced(1, "-failover-abort-slave-timeout", "master cache node 1");
    assert_eq!((group.master(), group.heir()), (Some(1), None), "within the wait");

    let mut group = Group::settled();
    group.promoting();
    group.role(2, true);
    group.pass(HEIR_WAIT);
    assert_eq!(group.master(), Some(2));
    group.pass(PROMOTION_WAIT + Duration::from_millis(1));
    (1..=3).for_each(|of| group.says(view(of, 1, 5)));
    group.role(1, true);
    assert_eq!(group.master(), Some(1));
    assert_eq!(group.told("promotion_unconfirmed"), 1);
}

#[test]
fn a_sentinel_that_disagrees_with_the_present_cannot_have_commands_held() {
    let mut group = Group::settled();
    group.says(view(1, 3, 4));
    group.promoting();
    assert_eq!(group.master(), Some(1));

    let mut group = Group::settled();
    group.announced(
        1,
        "+failover-state-send-slaveof-noone",
        "slave node:9 node 9 @ cache node 1",
    );
    group.announced(
        1,
        "+failover-state-send-slaveof-noone",
        "slave node:2 node 2 @ other node 1",
    );
    assert_eq!(group.master(), Some(1));
}

#[test]
fn dead_replicas_leave_and_come_back() {
    let mut group = Group::settled();
    group.silent(3);
    assert_eq!(group.replicas(), [2, 3], "one answer may be missed");
    group.silent(3);
    assert_eq!(group.replicas(), [2]);
    group.role(3, false);
    assert_eq!(group.replicas(), [2, 3]);
    assert!(group.reasons.last().unwrap().contains("+node:3"));
}

#[test]
fn a_replica_that_most_sentinels_find_down_is_left_out() {
    let mut group = Group::settled();
    let with_down = |of| {
        let mut view = view(of, 1, 5);
        view.replicas[0].flags.s_down = true;
        view
    };
    group.says(with_down(1));
    assert_eq!(group.replicas(), [2, 3], "one of three");
    group.says(with_down(2));
    assert_eq!(group.replicas(), [3]);
}

#[test]
fn a_replica_whose_link_is_down_stays_for_the_guard_to_see_but_not_for_ever() {
    let mut group = Group::settled();
    let with_link = |of, time| {
        let mut view = view(of, 1, 5);
        view.replicas[0].link_down = Some(time);
        view
    };
    (1..=3).for_each(|of| group.says(with_link(of, REPLICA_LINK_DOWN_MAX)));
    assert_eq!(group.replicas(), [2, 3]);
    let longer = REPLICA_LINK_DOWN_MAX + Duration::from_millis(1);
    (1..=3).for_each(|of| group.says(with_link(of, longer)));
    assert_eq!(group.replicas(), [3]);
}

#[test]
fn the_topology_outlives_all_sentinels() {
    let mut group = Group::settled();
    (1..=3).for_each(|of| group.lost(of));
    for _ in 0..60 {
        group.roles();
        group.pass(Duration::from_secs(1));
    }
    assert_eq!(group.master(), Some(1));
    assert_eq!(group.replicas(), [2, 3]);
    assert_eq!(group.told("sentinel_lost"), 3);
    assert_eq!(group.reasons.len(), 1, "{:?}", group.reasons);
}

#[test]
fn messages_have_everyone_asked_at_once_unless_they_are_of_another_group() {
    let mut group = Group::settled();
    group.announced(1, "+switch-master", "other node 1 node 2");
    assert!(!group.ask_now);
    group.announced(1, "+switch-master", "cache node 1 node 2");
    assert!(group.ask_now);
    assert_eq!(group.master(), Some(1), "a message alone changes nothing");
}

proptest! {
    /// Whatever Sentinels say, nobody is published as master whose last word was that it is a replica.
    #[test]
    fn no_views_make_a_replica_master(
        steps in proptest::collection::vec((0u8..5, 1u16..4, 1u16..6, 0u64..9, any::<bool>()), 1..80)
    ) {
        let mut group = Group::new();
        let mut roles = [false; 6];
        for (kind, of, port, epoch, flag) in steps {
            match kind {
                0 => group.says(view(of, port, epoch)),
                1 => {
                    roles[usize::from(port)] = flag;
                    group.role(port, flag);
                }
                2 => group.silent(port),
                3 => group.promoting(),
                _ => group.pass(Duration::from_millis(epoch * 400)),
            }
            prop_assert!(group.master().is_none() || group.heir().is_none());
            if let Some(master) = group.master() {
                prop_assert!(roles[usize::from(master)], "{} of {:?}", master, roles);
            }
        }
    }
}
