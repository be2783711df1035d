//! A watcher on a thread of its own, and what it has said so far.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use switchback::cluster::{Endpoint, NodeAddr, Side, Topology};
use switchback::control_plane::{Event, sentinel::watch};
use tokio::sync::{mpsc, oneshot};

/// Longer than any failover here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Watched {
    events: Receiver<(Instant, Event)>,
    pub(crate) topologies: Vec<(Instant, Topology)>,
    pub(crate) notices: Vec<(&'static str, String)>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watched {
    pub(crate) fn start(endpoint: Endpoint) -> Self {
        let (sender, events) = channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let (inner, mut received) = mpsc::channel(16);
            let run = async move {
                let follow = tokio::task::spawn_local(watch(7, Side::New, endpoint, inner));
                let forward = async {
                    while let Some(event) = received.recv().await {
                        let _ = sender.send((Instant::now(), event));
                    }
                };
                tokio::select! {
                    () = forward => panic!("the watcher ended"),
                    _ = stopped => follow.abort(),
                }
            };
            tokio::task::LocalSet::new().block_on(&runtime, run);
        });
        Self {
            events,
            topologies: Vec::new(),
            notices: Vec::new(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Waits until what was said fulfils a condition.
    pub(crate) fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok((at, event)) => self.keep(at, event),
                Err(_) => panic!("{what} did not come: {:?} {:?}", self.topologies, self.notices),
            }
        }
    }

    /// Takes in what was said so far.
    pub(crate) fn catch_up(&mut self) {
        while let Ok((at, event)) = self.events.try_recv() {
            self.keep(at, event);
        }
    }

    pub(crate) fn wait_for_master(&mut self, master: &NodeAddr) {
        let what = format!("master {master}");
        self.wait_until(&what, |watched| watched.master() == Some(master));
    }

    pub(crate) fn wait_for(&mut self, master: &NodeAddr, replicas: &[NodeAddr]) {
        let mut replicas = replicas.to_vec();
        replicas.sort();
        let expected = Topology {
            master: Some(master.clone()),
            replicas,
            heir: None,
        };
        let what = format!("{expected:?}");
        self.wait_until(&what, |watched| watched.now() == Some(&expected));
    }

    pub(crate) fn wait_for_notice(&mut self, kind: &str) -> String {
        self.wait_until(kind, |watched| {
            watched.notices.iter().any(|(told, _)| *told == kind)
        });
        let found = self.notices.iter().rev().find(|(told, _)| *told == kind);
        found.unwrap().1.clone()
    }

    pub(crate) fn now(&self) -> Option<&Topology> {
        self.topologies.last().map(|(_, topology)| topology)
    }

    pub(crate) fn master(&self) -> Option<&NodeAddr> {
        self.now()?.master.as_ref()
    }

    /// The masters one after the other, changes of replicas left out.
    pub(crate) fn masters(&self) -> Vec<Option<NodeAddr>> {
        let mut masters: Vec<_> = self
            .topologies
            .iter()
            .map(|(_, topology)| topology.master.clone())
            .collect();
        masters.dedup();
        masters
    }

    fn keep(&mut self, at: Instant, event: Event) {
        match event {
            Event::Topology {
                route: 7,
                side: Side::New,
                topology,
                ..
            } => {
                assert_ne!(self.now(), Some(&topology), "sent on change only");
                self.topologies.push((at, topology));
            }
            Event::Notice {
                route: 7,
                side: Side::New,
                kind,
                text,
            } => self.notices.push((kind, text)),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the watcher's thread");
            }
        }
    }
}
