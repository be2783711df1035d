//! A new master that is subscribed to before anything is published there: no gap is told when nothing can have been missed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, wait_for};
use crate::pubsub::{
    assert_nothing_lost_while, assert_payloads, gaps, listeners, payload, replicate, subscribed,
};

/// The present master, and the node that will be the next.
struct Succession {
    proxied: Proxied,
    heir: Server,
}

impl Succession {
    fn begin() -> Self {
        let (proxied, heir) = (Proxied::start(), Server::start());
        replicate(&heir, &proxied.old);
        Self { proxied, heir }
    }

    /// Sentinel says whom it will promote. Returns once every worker that has subscriptions watches it, how many do. Which of a
    /// route's workers have them is the kernel's choice.
    fn announce(&self) -> usize {
        let workers = count_clients(&mut self.proxied.old.client(), "switchback-subscriber");
        let heir = Arc::new(self.heir.addr());
        self.proxied.publish(|snapshot| {
            snapshot.old.master = None;
            snapshot.old.heir = Some(heir);
        });
        self.wait_for_clients("switchback-heir", workers);
        workers
    }

    fn wait_for_clients(&self, name: &str, count: usize) {
        let mut client = self.heir.client();
        wait_for(&format!("{count} connections named {name}"), || {
            count_clients(&mut client, name) == count
        });
    }

    /// As Sentinel does it, with more done in the same moment.
    fn promote(&self, more: &[&str]) {
        in_one(&self.heir, &["REPLICAOF NO ONE"], more);
    }

    /// Until the workers have asked the heir whether anything was published before, and have the answer.
    fn wait_until_proven(&self, workers: usize) {
        let mut client = self.heir.client();
        let mut own = 0;
        wait_for("the heir to be asked", || {
            let stats = client.text("INFO commandstats");
            let calls = stats.split("cmdstat_info:calls=").nth(1);
            let calls = calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap());
            own += 1;
            calls == workers + own - 1
        });
        self.wait_for_clients("switchback-subscriber", workers);
    }

    fn publish_heir(&self) {
        let heir = Arc::new(self.heir.addr());
        self.proxied.publish(|snapshot| {
            snapshot.old.master = Some(heir);
            snapshot.old.heir = None;
        });
    }

    /// What the former master had to tell is told, too.
    fn wait_until_left(&self, channel: &str) {
        wait_for("the former master to be left", || {
            listeners(&self.proxied.old, channel) == 0
        });
    }

    fn gaps_told(&self) -> u64 {
        self.proxied.stats.gaps[Side::Old.index()].load(Ordering::Relaxed)
    }
}

fn count_clients(direct: &mut Client, name: &str) -> usize {
    direct
        .text("CLIENT LIST")
        .matches(&format!("name={name} "))
        .count()
}

/// In a transaction, and ends everyone's connections with it.
fn in_one(server: &Server, first: &[&str], more: &[&str]) {
    let kills = ["CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub"];
    let mut sentinel = server.client();
    assert_eq!(sentinel.text("MULTI"), "+OK\\r\\n");
    for line in first.iter().chain(more).chain(&kills) {
        assert_eq!(sentinel.text(line), "+QUEUED\\r\\n");
    }
    assert!(sentinel.text("EXEC").starts_with('*'));
}

/// Enough for both workers to have some.
fn subscribers(proxied: &Proxied, channel: &str) -> Vec<Client> {
    (0..40).map(|_| subscribed(proxied, channel)).collect()
}

#[test]
fn no_gap_is_told_and_nothing_lost_when_the_heir_was_subscribed_to_first() {
    let it = Succession::begin();
    assert_nothing_lost_while(&it.proxied, || {
        let workers = it.announce();
        it.promote(&[]);
        it.wait_until_proven(workers);
        it.publish_heir();
        it.wait_until_left("p1.c1");
    });
    assert_eq!(it.gaps_told(), 0);
}

#[test]
fn what_others_publish_at_the_heir_before_it_is_followed_is_delivered() {
    let it = Succession::begin();
    let mut clients = subscribers(&it.proxied, "news");
    let workers = it.announce();
    it.promote(&[]);
    it.wait_until_proven(workers);
    it.heir.client().text("PUBLISH news early");
    for client in &mut clients {
        assert_eq!(payload(client), "early");
    }
    it.publish_heir();
    it.wait_until_left("news");
    for client in &mut clients {
        assert_payloads(&it.proxied, client, "news", &[]);
    }
    assert_eq!(it.gaps_told(), 0);
}

#[test]
fn what_was_published_at_the_heir_before_it_could_be_subscribed_to_is_told_as_a_gap() {
    for unheard in ["PUBLISH news unheard", "SPUBLISH other unheard"] {
        let it = Succession::begin();
        let mut watcher = subscribed(&it.proxied, "__switchback:gap");
        let mut client = subscribed(&it.proxied, "news");
        let workers = it.announce();
        let published = jiff::Timestamp::now();
        it.promote(&[unheard]);
        it.wait_until_proven(workers);
        it.publish_heir();
        let gap = gaps(&mut watcher);
        let told: serde_json::Value = serde_json::from_str(&gap).unwrap();
        let from: jiff::Timestamp = told["from"].as_str().unwrap().parse().unwrap();
        assert!(from <= published, "{published} in {gap}");
        assert_eq!(it.gaps_told(), 1);
        assert_payloads(&it.proxied, &mut client, "news", &[]);
    }
}

#[test]
fn an_heir_that_followed_somebody_else_proves_nothing() {
    let it = Succession::begin();
    let _client = subscribed(&it.proxied, "news");
    let other = Server::start();
    replicate(&it.heir, &other);
    let workers = it.announce();
    it.promote(&[]);
    it.wait_until_proven(workers);
    it.publish_heir();
    wait_for("the gap to be told", || it.gaps_told() == 1);
}

#[test]
fn a_promotion_that_comes_to_nothing_leaves_nothing_behind() {
    for is_promoted in [false, true] {
        let it = Succession::begin();
        let mut clients = subscribers(&it.proxied, "news");
        let workers = it.announce();
        if is_promoted {
            it.promote(&[]);
            it.wait_until_proven(workers);
            let back = format!("REPLICAOF 127.0.0.1 {}", it.proxied.old.port);
            in_one(&it.heir, &[&back], &[]);
        }
        let old = Arc::new(it.proxied.old.addr());
        it.proxied.publish(|snapshot| {
            snapshot.old.master = Some(old);
            snapshot.old.heir = None;
        });
        for name in ["switchback-heir", "switchback-subscriber", "switchback"] {
            it.wait_for_clients(name, 0);
        }
        for client in &mut clients {
            assert_payloads(&it.proxied, client, "news", &[]);
        }
        assert_eq!((listeners(&it.heir, "news"), it.gaps_told()), (0, 0));
    }
}

#[test]
fn who_subscribes_while_the_heir_is_awaited_misses_nothing_there() {
    let it = Succession::begin();
    let _clients = subscribers(&it.proxied, "news");
    let workers = it.announce();
    let mut before = subscribed(&it.proxied, "before");
    it.promote(&[]);
    it.wait_until_proven(workers);
    let mut direct = it.heir.client();
    direct.text("PUBLISH before 1");
    assert_eq!(payload(&mut before), "1");
    for number in 0..100 {
        let channel = format!("late:{number}");
        let mut late = subscribed(&it.proxied, &channel);
        direct.text(&format!("PUBLISH {channel} 1"));
        assert_eq!(payload(&mut late), "1");
        late.text(&format!("UNSUBSCRIBE {channel}"));
    }
    wait_for("what nobody listens to any more to be left", || {
        (0..100).all(|number| listeners(&it.heir, &format!("late:{number}")) == 0)
    });
    let mut late = subscribed(&it.proxied, "late");
    it.publish_heir();
    it.wait_until_left("late");
    assert_payloads(&it.proxied, &mut late, "late", &[]);
    assert_eq!(it.gaps_told(), 0);
}

#[test]
fn thousands_of_patterns_go_over_to_the_heir() {
    for is_awaited in [true, false] {
        let it = Succession::begin();
        let mut client = subscribed(&it.proxied, "news");
        for number in 0..3_000 {
            client.send(&[b"PSUBSCRIBE", format!("p{number}.*").as_bytes()]);
        }
        for _ in 0..3_000 {
            client.reply();
        }
        let workers = it.announce();
        it.promote(&[]);
        if is_awaited {
            it.wait_until_proven(workers);
        } else {
            wait_for("a part of them", || listeners(&it.heir, "news") == 1);
        }
        it.publish_heir();
        it.wait_until_left("news");
        let patterns = || it.heir.client().text("PUBSUB NUMPAT");
        wait_for("all of them", || patterns() == ":3000\\r\\n");
        for number in [0, 1_500, 2_999] {
            let channel = format!("p{number}.x");
            assert_payloads(&it.proxied, &mut client, &channel, &[]);
        }
        if is_awaited {
            assert_eq!(it.gaps_told(), 0);
        }
    }
}
