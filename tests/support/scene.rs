//! Two groups, the program in front of them and messages through it, on hosts with narrow links where those may be had.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use switchback::cluster::NodeAddr;
use switchback::demo::{MessageLedger, MessageOptions, Messages, StallWatch, Stalls, Target};
use switchback::lab::{Client, Group, GroupOptions, Host, Network, wait_for};

use crate::running::Running;

const SOON: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const VALUE_BYTES: usize = 64 * 1024;

/// What a scene is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Hosts with links, if they may be had.
    pub(crate) on_hosts: bool,
    /// By side: replicas of its master, and what a host sends at most, `None` for no end.
    pub(crate) replicas: [usize; 2],
    pub(crate) link_bits: [Option<u64>; 2],
    /// Hosts for more nodes.
    pub(crate) spare_hosts: usize,
    /// Lines of every node's redis.conf.
    pub(crate) node_config: Vec<String>,
    /// What a full sync copies, on each side.
    pub(crate) dataset_bytes: usize,
    /// Lines of `[proxy]`, and of the route and below it.
    pub(crate) proxy_config: String,
    pub(crate) route_config: String,
    pub(crate) messages: MessageOptions,
}

impl Setting {
    /// Two equal groups with two replicas each, and messages that a small machine hardly feels.
    pub(crate) fn quiet() -> Self {
        Self {
            on_hosts: false,
            replicas: [2, 2],
            link_bits: [None, None],
            spare_hosts: 0,
            node_config: Vec::new(),
            dataset_bytes: 1_000_000,
            proxy_config: String::new(),
            route_config: "subscribe_to = \"replica\"\n".to_owned(),
            messages: MessageOptions {
                publishers: 8,
                pipeline: 2,
                channels: 19,
                subscribers: 38,
                channels_each: 1,
                patterns: 0,
                pattern_subscribers: 0,
                per_second: 150,
                bytes: 4_000..=4_200,
                ..MessageOptions::default()
            },
        }
    }
}

/// All of it, running. Ends in this order.
pub(crate) struct Scene {
    stalls: StallWatch,
    pub(crate) messages: Messages,
    pub(crate) running: Running,
    pub(crate) old: Group,
    pub(crate) new: Group,
    network: Option<Network>,
    setting: Setting,
    /// Wall clock when the messages began.
    began_millis: i64,
}

impl Scene {
    /// Starts it, and waits until the guard says both sides are well.
    pub(crate) fn set(setting: Setting) -> Self {
        let hosts = setting.replicas.iter().sum::<usize>() + 2 + setting.spare_hosts;
        let network = setting.on_hosts.then(|| Network::create(hosts).unwrap());
        let first_of_new = 1 + setting.replicas[0];
        let starting = [("old", 0), ("new", first_of_new)].map(|(name, first)| {
            let mut options = GroupOptions::named(name);
            options.replicas = setting.replicas[usize::from(first > 0)];
            options.down_after = Duration::from_secs(5);
            options.config.clone_from(&setting.node_config);
            if let Some(network) = &network {
                options.hosts = network.hosts()[first..=first + options.replicas].to_vec();
                options.sentinel_hosts = vec![network.hub().clone()];
            }
            options
        });
        let [old, new] = starting.map(|options| Group::start(options).unwrap());
        for group in [&old, &new] {
            fill(group, setting.dataset_bytes);
        }
        if let Some(network) = &network {
            for (number, host) in network.hosts().iter().enumerate() {
                let side = usize::from(number >= first_of_new);
                if let Some(bits) = setting.link_bits[side] {
                    host.cap(bits).unwrap();
                }
            }
            for group in [&old, &new] {
                group.reconnect_replicas().unwrap();
                group.settle().unwrap();
            }
        }
        let running = Running::start_on(
            network.as_ref().map(Network::hub),
            &setting.proxy_config,
            &old.sentinel_url(),
            Some(&new.sentinel_url()),
            &setting.route_config,
        );
        let messages = Messages::start(&[Target::from(&running.listen)], &setting.messages).unwrap();
        let stalls = StallWatch::start(&messages).unwrap();
        let began_millis = Timestamp::now().as_millisecond() - messages.elapsed().as_millis() as i64;
        let scene = Self {
            stalls,
            messages,
            running,
            old,
            new,
            network,
            setting,
            began_millis,
        };
        scene.pass(Duration::from_secs(1));
        scene
    }

    /// The route's weight, as soon as the guard has nothing against it. What a scene is made of, a backlog of a second or
    /// two, is what a look before a raise refuses, so whoever plays it has to insist.
    pub(crate) fn raise(&self, percent: u32) {
        let mut last = String::new();
        let outcome = wait_for("the guard to be content", SOON, || {
            last = self.running.say(&["HEALTH", "r", "JSON"]);
            let rules: Vec<Value> = serde_json::from_str(&last).unwrap_or_default();
            !rules.is_empty() && rules.iter().all(|rule| rule["verdict"] == "ok")
        });
        outcome.unwrap_or_else(|error| panic!("{error}: {last}"));
        let raise = ["WEIGHT", "r", &percent.to_string(), "FORCE", "it is only played"];
        assert_eq!(self.running.say(&raise), "OK");
    }

    pub(crate) fn group(&mut self, side: usize) -> &mut Group {
        [&mut self.old, &mut self.new][side]
    }

    pub(crate) fn master(&self, side: usize) -> NodeAddr {
        [&self.old, &self.new][side].master().unwrap()
    }

    pub(crate) fn spare_host(&self, number: usize) -> Option<Host> {
        let first = self.setting.replicas.iter().sum::<usize>() + 2;
        self.network.as_ref()?.hosts().get(first + number).cloned()
    }

    /// Lets time pass, in which messages go on.
    pub(crate) fn pass(&self, time: Duration) {
        let until = self.messages.elapsed() + time;
        while self.messages.elapsed() < until {
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// What the proxy has noted, oldest first.
    pub(crate) fn events(&self) -> Vec<Noted> {
        let events = self.running.events();
        let noted = events.iter().rev().filter_map(|event| self.noted(event));
        noted.collect()
    }

    fn noted(&self, event: &Value) -> Option<Noted> {
        let time: Timestamp = event["time"].as_str()?.parse().ok()?;
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        Some(Noted {
            at_seconds: (time.as_millisecond() - self.began_millis) as f64 / 1e3,
            kind: text("kind"),
            side: text("side"),
            reason: text("reason"),
        })
    }

    /// Ends the messages, and returns what has become of them, what was noted, and how the machine was.
    pub(crate) fn end(self) -> (MessageLedger, Vec<Noted>, Stalls) {
        let events = self.events();
        let Self { messages, stalls, .. } = self;
        (messages.stop(), events, stalls.stalls())
    }
}

/// One of the proxy's events.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    /// Since the messages began.
    pub(crate) at_seconds: f64,
    pub(crate) kind: String,
    pub(crate) side: String,
    pub(crate) reason: String,
}

impl Noted {
    /// The rule a verdict or a trip is about.
    pub(crate) fn rule(&self) -> &str {
        let tail = self.reason.split("rule=").nth(1).unwrap_or_default();
        tail.split(' ').next().unwrap_or_default()
    }
}

/// Writes data that cannot be compressed, and waits until all replicas have it.
fn fill(group: &Group, bytes: usize) {
    let master = group.master().unwrap();
    let mut client: Client = group.server(&master).unwrap().client().unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for number in 0..bytes / VALUE_BYTES {
        let mut value = vec![0; VALUE_BYTES];
        random.fill(&mut value);
        client
            .ask(&[b"SET".as_slice(), format!("data:{number}").as_bytes(), &value])
            .unwrap();
    }
    let replicas = (group.servers().len() - 1).to_string();
    wait_for("the data to be copied", SOON, || {
        client
            .ask(&["WAIT", &replicas, "1000"])
            .unwrap()
            .text()
            .as_deref()
            == Some(&replicas)
    })
    .unwrap();
}
