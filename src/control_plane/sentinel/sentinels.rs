//! Which Sentinels are asked, and what did each say last?
//!
//! Pure: the configured ones always, others as they are learnt, within a bound. Nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::agreement::View;
use super::notices::Notices;
use super::reply::SentinelState;
use crate::cluster::NodeAddr;
use crate::limits::{SENTINEL_FORGET_AFTER, SENTINELS_MAX, VIEW_LIFETIME};

/// Why a Sentinel has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be reached, or is silent.
    Lost,
    /// It refuses: a wrong password, a name it does not monitor.
    Refused,
    /// It answers, not as a Sentinel does.
    Garbage,
}

impl Fault {
    const fn kind(self) -> &'static str {
        match self {
            Self::Lost => "sentinel_lost",
            Self::Refused => "sentinel_refused",
            Self::Garbage => "sentinel_garbage",
        }
    }
}

#[derive(Debug, Default)]
struct Sentinel {
    configured: bool,
    id: Option<String>,
    view: Option<(Instant, View)>,
    fault: Option<Fault>,
    /// Since when its view names the master that it names.
    named_since: Option<Instant>,
    /// It is of use no more since then: neither answering nor named by another.
    useless_since: Option<Instant>,
}

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Sentinels(BTreeMap<NodeAddr, Sentinel>);

impl Sentinels {
    pub(crate) fn new(configured: &[NodeAddr]) -> Self {
        let entry = |addr: &NodeAddr| {
            let sentinel = Sentinel {
                configured: true,
                ..Sentinel::default()
            };
            (addr.clone(), sentinel)
        };
        Self(configured.iter().map(entry).collect())
    }

    /// Whom to ask.
    pub(crate) fn wanted(&self) -> BTreeSet<NodeAddr> {
        self.0.keys().cloned().collect()
    }

    /// It answered.
    pub(crate) fn heard(&mut self, now: Instant, addr: &NodeAddr, view: View, notices: &mut Notices) {
        // Its last answer may arrive after it was forgotten.
        let Some(sentinel) = self.0.get_mut(addr) else {
            return;
        };
        if sentinel.fault.take().is_some() {
            notices.tell(now, "sentinel_back", &addr.to_string());
        }
        sentinel.id = view.id.clone().or(sentinel.id.take());
        let id = sentinel.id.clone();
        let others = view.sentinels.clone();
        let renamed = sentinel
            .view
            .as_ref()
            .is_none_or(|(_, last)| last.named != view.named);
        if renamed {
            sentinel.named_since = Some(now);
        }
        sentinel.view = Some((now, view));
        self.drop_other_names_of(addr, id);
        self.learn(others);
        self.forget(now);
    }

    /// It did not.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        addr: &NodeAddr,
        fault: Fault,
        text: &str,
        notices: &mut Notices,
    ) {
        let Some(sentinel) = self.0.get_mut(addr) else {
            return;
        };
        if sentinel.fault.replace(fault) != Some(fault) {
            notices.tell(now, fault.kind(), &format!("{addr}: {text}"));
        }
        self.forget(now);
    }

    /// Whether each configured one has answered or failed: more cannot be known by waiting.
    pub(crate) fn all_tried(&self) -> bool {
        let tried = |one: &Sentinel| !one.configured || one.view.is_some() || one.fault.is_some();
        self.0.values().all(tried)
    }

    /// The last answer of each Sentinel that has one not too old. One that is asked by two names is heard once, unless
    /// the answers differ: then one of them is another's with a stolen run id, and must not silence it.
    pub(crate) fn views(&self, now: Instant) -> impl Iterator<Item = (&NodeAddr, &View)> {
        let mut seen = BTreeSet::new();
        self.0.iter().filter_map(move |(addr, sentinel)| {
            let (at, view) = sentinel.view.as_ref()?;
            let fresh = now.saturating_duration_since(*at) <= VIEW_LIFETIME;
            let once = sentinel
                .id
                .as_ref()
                .is_none_or(|id| seen.insert((id, &view.named)));
            (fresh && once).then_some((addr, view))
        })
    }

    /// The last answer of this one, if it is not too old.
    pub(crate) fn view(&self, now: Instant, addr: &NodeAddr) -> Option<&View> {
        let (at, view) = self.0.get(addr)?.view.as_ref()?;
        (now.saturating_duration_since(*at) <= VIEW_LIFETIME).then_some(view)
    }

    /// Since when this master is named by anyone that names it now.
    pub(crate) fn named_at(&self, now: Instant, master: &NodeAddr) -> Option<Instant> {
        self.views(now)
            .filter(|(_, view)| view.named == *master)
            .filter_map(|(addr, _)| self.0.get(addr)?.named_since)
            .min()
    }

    /// How many there are, dead ones included: what a majority is counted of.
    pub(crate) fn known(&self) -> usize {
        let ids: BTreeSet<_> = self.0.values().filter_map(|one| one.id.as_ref()).collect();
        ids.len() + self.0.values().filter(|one| one.id.is_none()).count()
    }

    /// One process may be configured by name and announced by address: its configured name stays.
    fn drop_other_names_of(&mut self, addr: &NodeAddr, id: Option<String>) {
        if id.is_some() {
            self.0
                .retain(|other, one| one.configured || other == addr || one.id != id);
        }
    }

    fn learn(&mut self, others: Vec<SentinelState>) {
        for SentinelState { addr, id } in others {
            let known = self.0.contains_key(&addr) || self.0.values().any(|one| one.id.as_ref() == Some(&id));
            if known || id.is_empty() || self.0.len() >= SENTINELS_MAX {
                continue;
            }
            let learnt = Sentinel {
                id: Some(id),
                ..Sentinel::default()
            };
            self.0.insert(addr, learnt);
        }
    }

    /// Drops the learnt ones that have been dead and unnamed for long.
    fn forget(&mut self, now: Instant) {
        let named: BTreeSet<NodeAddr> = self
            .views(now)
            .flat_map(|(_, view)| view.sentinels.iter().map(|one| one.addr.clone()))
            .collect();
        self.0.retain(|addr, one| {
            if one.configured || one.fault.is_none() || named.contains(addr) {
                one.useless_since = None;
                return true;
            }
            let since = *one.useless_since.get_or_insert(now);
            now.saturating_duration_since(since) < SENTINEL_FORGET_AFTER
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::sentinel::reply::Flags;
    use std::time::Duration;

    fn addr(port: u16) -> NodeAddr {
        NodeAddr::new("sentinel", port)
    }

    fn view(id: &str, others: &[u16]) -> View {
        View {
            id: Some(id.to_owned()),
            named: NodeAddr::new("node", 1),
            epoch: 1,
            flags: Flags::default(),
            replicas: Vec::new(),
            sentinels: others
                .iter()
                .map(|&port| SentinelState {
                    addr: addr(port),
                    id: format!("id{port}"),
                })
                .collect(),
        }
    }

    struct Case {
        now: Instant,
        notices: Notices,
        sentinels: Sentinels,
    }

    impl Case {
        fn new(configured: &[u16]) -> Self {
            let configured: Vec<_> = configured.iter().copied().map(addr).collect();
            let now = Instant::now();
            Self {
                now,
                notices: Notices::new(now),
                sentinels: Sentinels::new(&configured),
            }
        }

        fn heard(&mut self, port: u16, id: &str, others: &[u16]) {
            self.sentinels
                .heard(self.now, &addr(port), view(id, others), &mut self.notices);
        }

        fn lost(&mut self, port: u16) {
            self.sentinels
                .failed(self.now, &addr(port), Fault::Lost, "gone", &mut self.notices);
        }

        fn ports(&self) -> Vec<u16> {
            self.sentinels.wanted().iter().map(|addr| addr.port).collect()
        }
    }

    #[test]
    fn others_are_learnt_up_to_the_bound() {
        let mut case = Case::new(&[1]);
        let many: Vec<u16> = (2..200).collect();
        case.heard(1, "id1", &many);
        assert_eq!(case.ports().len(), SENTINELS_MAX);
    }

    #[test]
    fn one_that_is_known_by_two_addresses_is_asked_and_counted_once() {
        let mut case = Case::new(&[1, 2]);
        case.heard(1, "id1", &[9]);
        assert_eq!(case.ports(), [1, 2, 9]);
        case.heard(2, "id9", &[]);
        assert_eq!(case.ports(), [1, 2]);
        case.heard(2, "id1", &[]);
        assert_eq!(case.sentinels.views(case.now).count(), 1);
        assert_eq!(case.sentinels.known(), 1);
    }

    #[test]
    fn a_learnt_one_that_is_dead_and_unnamed_is_forgotten_a_configured_one_never() {
        let mut case = Case::new(&[1, 2]);
        case.heard(1, "id1", &[3, 4]);
        (2..=4).for_each(|port| case.lost(port));
        case.heard(1, "id1", &[4]);
        case.now += SENTINEL_FORGET_AFTER;
        case.heard(1, "id1", &[4]);
        assert_eq!(case.ports(), [1, 2, 4]);
    }

    #[test]
    fn an_old_view_counts_no_more() {
        let mut case = Case::new(&[1]);
        case.heard(1, "id1", &[]);
        case.now += VIEW_LIFETIME;
        assert_eq!(case.sentinels.views(case.now).count(), 1);
        case.now += Duration::from_millis(1);
        assert_eq!(case.sentinels.views(case.now).count(), 0);
    }

    #[test]
    fn loss_and_return_are_told_on_change_only() {
        let mut case = Case::new(&[1]);
        case.lost(1);
        case.lost(1);
        case.heard(1, "id1", &[]);
        case.heard(1, "id1", &[]);
        let kinds: Vec<_> = case.notices.take().iter().map(|notice| notice.kind).collect();
        assert_eq!(kinds, ["sentinel_lost", "sentinel_back"]);
    }
}
