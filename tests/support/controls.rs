//! What happens to groups all the time and is nobody's incident: nothing of it may trip.

use std::time::Duration;

use nix::sys::signal::Signal;
use switchback::cluster::NodeAddr;
use switchback::demo::{MessageLedger, Stalls};
use switchback::lab::{Client, Server, wait_for};

use crate::scene::{Noted, Scene, Setting};

const SOON: Duration = Duration::from_secs(60);
/// How long it is watched after it is over.
const AFTERMATH: Duration = Duration::from_secs(4);
/// Half of the traffic on each side.
const WEIGHT: u32 = 50;
const OLD: usize = 0;
const NEW: usize = 1;

/// One of them: a name, and what is done.
pub(crate) type Control = (&'static str, fn(&mut Scene));

/// All of them.
pub(crate) const CONTROLS: [Control; 17] = [
    ("nothing", |scene| scene.pass(AFTERMATH)),
    ("failover-of-old", |scene| fail_over(scene, OLD)),
    ("failover-of-new", |scene| fail_over(scene, NEW)),
    ("attach-to-old", |scene| attach(scene, OLD)),
    ("attach-to-new", |scene| attach(scene, NEW)),
    ("rolling-restart-of-old", |scene| restart_replicas(scene, OLD)),
    ("rolling-restart-of-new", |scene| restart_replicas(scene, NEW)),
    ("bgsave", |scene| {
        on_masters(scene, |master| call(master, &["BGSAVE"]));
        wait_for_children(scene);
    }),
    ("aof-rewrite", |scene| {
        on_masters(scene, |master| {
            call(master, &["CONFIG", "SET", "appendonly", "yes"]);
        });
        wait_for_children(scene);
        on_masters(scene, |master| call(master, &["BGREWRITEAOF"]));
        wait_for_children(scene);
    }),
    ("big-del-on-old", |scene| delete_big_key(scene, OLD)),
    ("big-del-on-new", |scene| delete_big_key(scene, NEW)),
    ("slow-script-on-old", |scene| slow_script(scene, OLD)),
    ("slow-script-on-new", |scene| slow_script(scene, NEW)),
    ("proxy-stalled", |scene| {
        scene.running.signal(Signal::SIGSTOP);
        scene.pass(Duration::from_secs(2));
        scene.running.signal(Signal::SIGCONT);
    }),
    ("quorum-lost-on-old", |scene| lose_quorum(scene, OLD)),
    ("quorum-lost-on-new", |scene| lose_quorum(scene, NEW)),
    ("load-doubled", |scene| {
        scene.messages.set_rate(300);
        scene.pass(AFTERMATH);
    }),
];

/// What came of one.
pub(crate) struct Outcome {
    pub(crate) events: Vec<Noted>,
    pub(crate) messages: MessageLedger,
    pub(crate) stalls: Stalls,
}

impl Outcome {
    pub(crate) fn trips(&self) -> Vec<&Noted> {
        self.of_kinds(&["trip", "trip_withheld"])
    }

    /// Rules that were bad, whatever was done about it.
    pub(crate) fn bad(&self) -> Vec<&Noted> {
        self.of_kinds(&["rule_bad"])
    }

    fn of_kinds(&self, kinds: &[&str]) -> Vec<&Noted> {
        self.events
            .iter()
            .filter(|event| kinds.contains(&event.kind.as_str()))
            .collect()
    }
}

/// Plays one at half weight.
pub(crate) fn play((_, control): Control, setting: Setting) -> Outcome {
    let mut scene = Scene::set(Setting {
        spare_hosts: 3,
        ..setting
    });
    scene.raise(WEIGHT);
    // Long enough that every replica's trouble would count.
    scene.pass(AFTERMATH);
    control(&mut scene);
    scene.pass(AFTERMATH);
    let (messages, events, stalls) = scene.end();
    Outcome {
        events,
        messages,
        stalls,
    }
}

fn fail_over(scene: &mut Scene, side: usize) {
    let group = scene.group(side);
    group.failover().unwrap();
    group.settle().unwrap();
}

fn attach(scene: &mut Scene, side: usize) {
    let master = scene.master(side);
    for number in 0..3 {
        let host = scene.spare_host(number);
        scene.group(side).attach(host, &master).unwrap();
    }
    scene.group(side).settle().unwrap();
}

fn restart_replicas(scene: &mut Scene, side: usize) {
    let master = scene.master(side);
    for replica in scene.group(side).replicas_of(&master) {
        scene.group(side).server_mut(&replica).unwrap().restart().unwrap();
        scene.group(side).settle().unwrap();
        // One after the other, as somebody would who waits for the first to be well.
        scene.pass(AFTERMATH);
    }
}

fn lose_quorum(scene: &mut Scene, side: usize) {
    for index in 0..2 {
        scene.group(side).sentinel_mut(index).unwrap().kill().unwrap();
    }
    scene.pass(AFTERMATH);
}

fn delete_big_key(scene: &mut Scene, side: usize) {
    let mut client = master_client(scene, side);
    let master = scene.master(side);
    let replicas = scene.group(side).replicas_of(&master).len().to_string();
    let fill = "for i = 1, 1000 do redis.call('SADD', KEYS[1], ARGV[1] * 1000 + i) end";
    for thousand in 0..500 {
        client
            .ask(&["EVAL", fill, "1", "big", &thousand.to_string()])
            .unwrap();
        // All at once it would be more than a narrow link carries, which is not what this is about.
        client.ask(&["WAIT", &replicas, "1000"]).unwrap();
    }
    scene.pass(AFTERMATH);
    client.ask(&["DEL", "big"]).unwrap();
}

fn slow_script(scene: &mut Scene, side: usize) {
    let busy = "local t = redis.call('TIME'); local now; repeat now = redis.call('TIME') \
                until (now[1] - t[1]) * 1000000 + now[2] - t[2] > 400000";
    master_client(scene, side).ask(&["EVAL", busy, "0"]).unwrap();
}

fn master_client(scene: &mut Scene, side: usize) -> Client {
    let master: NodeAddr = scene.master(side);
    scene.group(side).server(&master).unwrap().client().unwrap()
}

fn on_masters(scene: &mut Scene, act: fn(&Server)) {
    for side in [OLD, NEW] {
        let master = scene.master(side);
        act(scene.group(side).server(&master).unwrap());
    }
}

fn call(server: &Server, words: &[&str]) {
    server.call(words).unwrap();
}

/// Until what was begun in the background is done.
fn wait_for_children(scene: &mut Scene) {
    on_masters(scene, |master| {
        wait_for("a child to end", SOON, || {
            let field = |name| master.info("persistence", name).unwrap();
            [
                "rdb_bgsave_in_progress",
                "aof_rewrite_in_progress",
                "aof_rewrite_scheduled",
            ]
            .iter()
            .all(|name| field(name) == "0")
        })
        .unwrap();
    });
}
