//! Can apps be served now?
//!
//! Pure: asks each route's snapshot. A side without traffic does not count: a route at weight 0 is ready without `new`.

use std::time::Duration;

use tokio::sync::watch;

use crate::cluster::Side;
use crate::routing::{RouteTable, Weight};

/// The routes, as `/readyz` sees them.
pub(crate) struct Readiness {
    routes: Vec<(String, RouteTable)>,
    /// Holds a grace period once the proxy is ending.
    stopped: watch::Receiver<Option<Duration>>,
}

impl Readiness {
    pub(crate) fn new(routes: Vec<(String, RouteTable)>, stopped: watch::Receiver<Option<Duration>>) -> Self {
        Self { routes, stopped }
    }

    /// What is missing, a line each; empty when everything can be served.
    pub(crate) fn missing(&self) -> Vec<String> {
        if self.stopped.borrow().is_some() {
            return vec!["the proxy is ending: it takes no new clients".to_owned()];
        }
        let of_route = |(name, table): &(String, RouteTable)| {
            let snapshot = table.current();
            let has_traffic = |side: Side| match side {
                Side::Old => snapshot.weight < Weight::FULL,
                Side::New => snapshot.weight > Weight::ZERO,
            };
            let lacks_master = |side: Side| snapshot.side(side).is_none_or(|view| view.master.is_none());
            let mut missing: Vec<String> = Side::BOTH
                .into_iter()
                .filter(|side| has_traffic(*side) && lacks_master(*side))
                .map(|side| format!("route {name}: no usable master on side {side}"))
                .collect();
            if table.acknowledged() < snapshot.epoch {
                missing.push(format!(
                    "route {name}: a worker has not confirmed epoch {}",
                    snapshot.epoch.0
                ));
            }
            missing
        };
        self.routes.iter().flat_map(of_route).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::NodeAddr;
    use crate::routing::{Epoch, Publisher, SideView, Snapshot};

    fn with(weight: Weight, old: bool, new: bool) -> Vec<String> {
        let view = |has_master: bool| SideView {
            master: has_master.then(|| Arc::new(NodeAddr::new("n", 1))),
            ..SideView::default()
        };
        let snapshot = Snapshot {
            epoch: Epoch(1),
            weight,
            old: view(old),
            new: Some(view(new)),
        };
        let publisher = Publisher::new(snapshot, 1);
        publisher.subscribe(0).acknowledge(Epoch(1));
        let (_stop, stopped) = watch::channel(None);
        Readiness::new(vec![("r".to_owned(), publisher.table())], stopped).missing()
    }

    #[test]
    fn only_a_side_with_traffic_needs_a_master() {
        assert!(with(Weight::ZERO, true, false).is_empty());
        assert!(with(Weight::FULL, false, true).is_empty());
        assert_eq!(
            with(Weight::ZERO, false, true),
            ["route r: no usable master on side old"]
        );
        let half = Weight::from_steps(5_000).unwrap();
        assert_eq!(with(half, true, false), ["route r: no usable master on side new"]);
    }
}
