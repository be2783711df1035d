//! fred: what its documentation offers, each with its result verified. Host, port and protocol are the arguments.

use std::collections::HashSet;
use std::future::Future;
use std::time::{Duration, Instant};

use fred::clients::{DynamicPool, SubscriberClient};
use fred::interfaces::*;
use fred::monitor;
use fred::prelude::*;
use fred::types::client::{ClientKillFilter, Toggle};
use fred::types::config::{Blocking, DynamicPoolConfig};
use fred::types::lists::LMoveDirection;
use fred::types::scan::Scanner;
use fred::types::scripts::{Library, Script};
use fred::types::streams::XReadResponse;
use fred::types::{ClientUnblockFlag, MultipleKeys, RespVersion};
use futures::{StreamExt, TryStreamExt};
use tokio::time::{sleep, timeout};

type Outcome = Result<(), Error>;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Address {
    host: String,
    port: u16,
    version: RespVersion,
}

impl Address {
    fn config(&self) -> Config {
        Config {
            server: ServerConfig::new_centralized(self.host.as_str(), self.port),
            version: self.version.clone(),
            ..Config::default()
        }
    }

    /// Connects again by itself, as fred's examples have it.
    fn builder(&self) -> Builder {
        let mut builder = Builder::from_config(self.config());
        builder.set_policy(ReconnectPolicy::new_constant(0, 20));
        builder.with_performance_config(|config| config.broadcast_channel_capacity = 4096);
        builder
    }

    async fn client(&self) -> Result<Client, Error> {
        let client = self.builder().build()?;
        client.init().await?;
        Ok(client)
    }
}

async fn check<F: Future<Output = Outcome> + Send + 'static>(name: &str, body: F) {
    let said = match timeout(3 * PATIENCE, tokio::spawn(body)).await {
        Err(_) => "no end within 30 s".to_owned(),
        Ok(Ok(Ok(()))) => return println!("ok {name}"),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(panicked)) => match panicked.try_into_panic() {
            Ok(why) => why
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| why.downcast_ref::<&str>().map(|why| (*why).to_owned()))
                .unwrap_or_default(),
            Err(_) => "cancelled".to_owned(),
        },
    };
    println!(
        "not ok {name} -- {}",
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    );
}

/// The next of a stream of events that is as wanted, bounded.
async fn next<T: Clone + std::fmt::Debug>(
    events: &mut tokio::sync::broadcast::Receiver<T>,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let found = timeout(PATIENCE, async {
        loop {
            let event = events.recv().await.expect("an event");
            if wanted(&event) {
                return event;
            }
        }
    });
    found.await.expect("an event within 10 s")
}

/// As fred does not wait for the confirmation of a subscription, this is used for that, too.
async fn until<F: Future<Output = Result<bool, Error>>>(what: &str, condition: impl Fn() -> F) -> Outcome {
    let end = Instant::now() + PATIENCE;
    while !condition().await? {
        assert!(Instant::now() < end, "{what}: not within 10 s");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn values(address: Address) -> Outcome {
    let client = address.client().await?;
    let _: () = client.set("s", "v", None, None, false).await?;
    assert_eq!(client.get::<Option<String>, _>("s").await?.as_deref(), Some("v"));
    assert_eq!(client.get::<Option<String>, _>("none").await?, None);
    let before: Option<String> = client
        .set("s", "w", Some(Expiration::PX(100)), Some(SetOptions::XX), true)
        .await?;
    assert_eq!(before.as_deref(), Some("v"));
    until("expiry", || async { Ok(!client.exists::<bool, _>("s").await?) }).await
}

async fn binary(address: Address) -> Outcome {
    let client = address.client().await?;
    let bytes: Vec<u8> = (0..=255).collect();
    let _: () = client.set("binary", bytes.as_slice(), None, None, false).await?;
    assert_eq!(client.get::<Vec<u8>, _>("binary").await?, bytes);
    let large = vec![b'x'; 20_000_000];
    let _: () = client.set("large", large.as_slice(), None, None, false).await?;
    assert!(client.get::<Vec<u8>, _>("large").await? == large);
    client.del::<(), _>("large").await
}

async fn types(address: Address) -> Outcome {
    let client = address.client().await?;
    let _: () = client.hset("h", [("a", "1"), ("b", "2")]).await?;
    let all: std::collections::BTreeMap<String, i64> = client.hgetall("h").await?;
    assert_eq!(
        all.into_iter().collect::<Vec<_>>(),
        [("a".to_owned(), 1), ("b".to_owned(), 2)]
    );
    let _: () = client.rpush("l", vec![1, 2, 3]).await?;
    assert_eq!(client.lrange::<Vec<i64>, _>("l", 0, -1).await?, [1, 2, 3]);
    let _: () = client.sadd("set", vec!["a", "b"]).await?;
    assert!(client.sismember::<bool, _, _>("set", "a").await?);
    let _: () = client
        .zadd("z", None, None, false, false, vec![(1.5, "one"), (2.0, "two")])
        .await?;
    assert_eq!(client.zscore::<f64, _, _>("z", "one").await?, 1.5);
    let ranged: Vec<(String, f64)> = client.zrange("z", 0, -1, None, false, None, true).await?;
    assert_eq!(ranged, [("one".to_owned(), 1.5), ("two".to_owned(), 2.0)]);
    assert_eq!(client.incr_by_float::<f64, _>("float", 1.25).await?, 1.25);
    let _: () = client.pfadd("hll", vec!["a", "b", "c"]).await?;
    assert_eq!(client.pfcount::<i64, _>("hll").await?, 3);
    assert_eq!(client.object_kind("l").await?, "listpack");
    Ok(())
}

/// What fred has no function for.
trait Custom {
    async fn object_kind(&self, key: &str) -> Result<String, Error>;
}

impl Custom for Client {
    async fn object_kind(&self, key: &str) -> Result<String, Error> {
        let said: String = self.custom(fred::cmd!("OBJECT"), vec!["ENCODING", key]).await?;
        Ok(if said == "quicklist" {
            "listpack".to_owned()
        } else {
            said
        }) // as older and newer servers call it
    }
}

async fn many_keys(address: Address) -> Outcome {
    let client = address.client().await?;
    client
        .mset::<Vec<(String, i64)>>((0..100).map(|i| (format!("m:{i}"), i)).collect())
        .await?;
    let keys: Vec<String> = (0..101).map(|i| format!("m:{i}")).collect();
    let got: Vec<Option<i64>> = client.mget(keys.clone()).await?;
    assert_eq!(got, (0..100).map(Some).chain([None]).collect::<Vec<_>>());
    assert_eq!(client.exists::<i64, _>(keys.clone()).await?, 100);
    assert_eq!(client.unlink::<i64, _>(keys).await?, 100);
    Ok(())
}

async fn one_tag(address: Address) -> Outcome {
    let client = address.client().await?;
    let _: () = client.set("{u}a", 1, None, None, false).await?;
    let _: () = client.rename("{u}a", "{u}b").await?;
    assert!(client.copy::<bool, _, _>("{u}b", "{u}c", None, false).await?);
    let _: () = client.sadd("{u}x", vec![1, 2, 3]).await?;
    let _: () = client.sadd("{u}y", vec![2, 3, 4]).await?;
    let both: HashSet<i64> = client.sinter(vec!["{u}x", "{u}y"]).await?;
    assert_eq!(both, HashSet::from([2, 3]));
    assert_eq!(
        client
            .sort::<Vec<i64>, _, _>(
                "{u}x",
                None,
                None,
                (),
                Some(fred::types::SortOrder::Desc),
                false,
                None
            )
            .await?,
        [3, 2, 1]
    );
    Ok(())
}

async fn errors(address: Address) -> Outcome {
    let client = address.client().await?;
    let _: () = client.rpush("text", "a").await?;
    let wrong = client
        .incr::<i64, _>("text")
        .await
        .expect_err("a list is no number");
    assert!(wrong.details().starts_with("WRONGTYPE"), "{wrong}");
    let unknown = client
        .custom::<Value, _>(fred::cmd!("NOTACOMMAND"), vec!["a"])
        .await
        .expect_err("no command");
    assert!(unknown.details().contains("unknown command"), "{unknown}");
    Ok(())
}

async fn pipelines(address: Address) -> Outcome {
    let client = address.client().await?;
    let pipeline = client.pipeline();
    for i in 0..10_000 {
        let _: () = pipeline.set(format!("p:{i}"), i, None, None, false).await?;
    }
    let _: Vec<Value> = pipeline.all().await?;
    let pipeline = client.pipeline();
    for i in 0..10_000 {
        let _: () = pipeline.get(format!("p:{i}")).await?;
    }
    assert_eq!(pipeline.all::<Vec<i64>>().await?, (0..10_000).collect::<Vec<_>>());

    let pipeline = client.pipeline();
    let _: () = pipeline.set("word", "a", None, None, false).await?;
    let _: () = pipeline.incr("word").await?;
    let _: () = pipeline.get("word").await?;
    let results = pipeline.try_all::<String>().await;
    assert_eq!(results[0].as_deref(), Ok("OK"));
    assert!(results[1].is_err());
    assert_eq!(results[2].as_deref(), Ok("a"));
    assert_eq!(pipeline.last::<String>().await?, "a");
    Ok(())
}

async fn at_once(address: Address) -> Outcome {
    let client = address.client().await?;
    let asked = (0..2_000).map(|i| client.get::<i64, _>(format!("p:{i}")));
    assert_eq!(
        futures::future::try_join_all(asked).await?,
        (0..2_000).collect::<Vec<_>>()
    );
    Ok(())
}

async fn transactions(address: Address) -> Outcome {
    let client = address.client().await?;
    let transaction = client.multi();
    let _: () = transaction.set("{t}a", 1, None, None, false).await?;
    let _: () = transaction.incr("{t}a").await?;
    let _: () = transaction.get("{t}a").await?;
    let done: (String, i64, i64) = transaction.exec(true).await?;
    assert_eq!(done, ("OK".to_owned(), 2, 2));

    let transaction = client.multi(); // what fails when it is executed leaves the others
    let _: () = transaction.rpush("{t}a", 1).await?;
    let _: () = transaction.incr("{t}a").await?;
    assert!(transaction.exec::<Vec<Value>>(true).await.is_err());
    assert_eq!(client.get::<i64, _>("{t}a").await?, 3);

    let transaction = client.multi(); // what is refused when it is queued takes all along
    let _: () = transaction.incr("{t}a").await?;
    let _ = transaction
        .custom::<Value, _>(fred::cmd!("NOTACOMMAND"), vec!["a"])
        .await;
    assert!(transaction.exec::<Vec<Value>>(true).await.is_err());
    assert_eq!(client.get::<i64, _>("{t}a").await?, 3);
    Ok(())
}

async fn watches(address: Address) -> Outcome {
    let (client, other) = (address.client().await?, address.client().await?);
    for (changed, wanted) in [(true, None), (false, Some("mine"))] {
        client.watch("{t}w").await?;
        if changed {
            let _: () = other.set("{t}w", "theirs", None, None, false).await?;
        }
        let transaction = client.multi();
        let _: () = transaction.set("{t}w", "mine", None, None, false).await?;
        let done: Value = transaction.exec(true).await?;
        assert_eq!(done.is_null(), changed);
        assert_eq!(other.get::<String, _>("{t}w").await?, wanted.unwrap_or("theirs"));
    }
    client.watch("{t}w").await?;
    client.unwatch().await
}

async fn pool(address: Address) -> Outcome {
    let pool = address.builder().build_pool(5)?;
    pool.init().await?;
    let mut counts = futures::future::try_join_all((0..100).map(|_| pool.incr::<i64, _>("pooled"))).await?;
    counts.sort_unstable();
    assert_eq!(counts, (1..=100).collect::<Vec<_>>());
    let pipeline = pool.next().pipeline();
    let _: () = pipeline.incr("pooled").await?;
    assert_eq!(pipeline.last::<i64>().await?, 101);
    let ids: HashSet<i64> = futures::future::try_join_all(pool.clients().iter().map(|one| one.client_id()))
        .await?
        .into_iter()
        .collect();
    assert_eq!(ids.len(), 5);
    pool.quit().await
}

async fn exclusive_pool(address: Address) -> Outcome {
    let pool = address.builder().build_exclusive_pool(3)?;
    pool.init().await?;
    let tasks = (0..20).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let client = pool.acquire().await; // nobody else's, so that WATCH holds
            client.watch("{t}counted").await?;
            let count: Option<i64> = client.get("{t}counted").await?;
            let transaction = client.multi();
            let _: () = transaction
                .set("{t}counted", count.unwrap_or(0) + 1, None, None, false)
                .await?;
            Ok::<bool, Error>(!transaction.exec::<Value>(true).await?.is_null())
        })
    });
    let mut done = 0;
    for task in futures::future::join_all(tasks).await {
        done += i64::from(task.expect("no panic")?);
    }
    assert!(done > 0);
    assert_eq!(pool.acquire().await.get::<i64, _>("{t}counted").await?, done);
    pool.quit().await
}

async fn dynamic_pool(address: Address) -> Outcome {
    let mut builder = address.builder();
    builder.set_pool_config(DynamicPoolConfig {
        min_clients: 2,
        max_clients: 6,
        ..DynamicPoolConfig::default()
    });
    let pool: DynamicPool = builder.build_dynamic_pool()?;
    pool.init().await?;
    assert_eq!(pool.size(), 2);
    pool.scale(3).await;
    assert_eq!(pool.size(), 5);
    for i in 1..=50 {
        assert_eq!(pool.next().incr::<i64, _>("dynamic").await?, i);
    }
    pool.scale(-3).await;
    assert_eq!(pool.size(), 2);
    assert_eq!(pool.next().incr::<i64, _>("dynamic").await?, 51);
    pool.quit().await
}

async fn hundred(address: Address) -> Outcome {
    let pool = address.builder().build_pool(100)?;
    pool.init().await?;
    let mut counts =
        futures::future::try_join_all(pool.clients().iter().map(|one| one.incr::<i64, _>("hundred"))).await?;
    counts.sort_unstable();
    assert_eq!(counts, (1..=100).collect::<Vec<_>>());
    pool.quit().await
}

async fn messages(address: Address) -> Outcome {
    let (subscriber, publisher) = (address.client().await?, address.client().await?);
    let mut heard = subscriber.message_rx();
    subscriber.subscribe(vec!["news", "music"]).await?;
    subscriber.psubscribe("n?ws").await?;
    until("subscribed", || async {
        Ok(publisher.publish::<i64, _, _>("news", -1).await? == 2
            && publisher.publish::<i64, _, _>("music", -1).await? == 1)
    })
    .await?;
    for i in 0..500 {
        let _: () = publisher.publish("news", i).await?;
    }
    let _: () = publisher.publish("music", "la").await?;
    let (mut plain, mut by_pattern, mut music) = (Vec::new(), Vec::new(), Vec::new());
    while plain.len() + by_pattern.len() + music.len() < 1_001 {
        let message = next(&mut heard, |message| message.value.as_i64() != Some(-1)).await;
        match (&*message.channel, message.kind) {
            ("music", _) => music.push(message.value.convert::<String>()?),
            (_, fred::types::MessageKind::Message) => plain.push(message.value.convert::<i64>()?),
            (_, fred::types::MessageKind::PMessage) => by_pattern.push(message.value.convert::<i64>()?),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(plain, (0..500).collect::<Vec<_>>());
    assert_eq!(by_pattern, plain);
    assert_eq!(music, ["la"]);
    subscriber.unsubscribe(vec!["news", "music"]).await?;
    subscriber.punsubscribe("n?ws").await?;
    let _: () = subscriber.set("after", 1, None, None, false).await?;
    Ok(())
}

async fn shard_messages(address: Address) -> Outcome {
    let (subscriber, publisher) = (address.client().await?, address.client().await?);
    let mut heard = subscriber.message_rx();
    subscriber.ssubscribe("shard").await?;
    until("subscribed", || async {
        Ok(publisher.spublish::<i64, _, _>("shard", "hello").await? == 1)
    })
    .await?;
    let message = next(&mut heard, |_| true).await;
    assert_eq!(
        (&*message.channel, message.value.convert::<String>()?),
        ("shard", "hello".to_owned())
    );
    assert_eq!(
        publisher.pubsub_shardchannels::<Vec<String>, _>("shard").await?,
        ["shard"]
    );
    subscriber.sunsubscribe("shard").await?;
    until("left", || async {
        Ok(publisher.spublish::<i64, _, _>("shard", "nobody").await? == 0)
    })
    .await
}

async fn counted_subscribers(address: Address) -> Outcome {
    let (subscriber, publisher) = (address.client().await?, address.client().await?);
    subscriber.subscribe("counted").await?;
    subscriber.psubscribe("count*").await?;
    until("subscribed", || async {
        Ok(publisher.publish::<i64, _, _>("counted", "x").await? == 2)
    })
    .await?;
    let numbers: std::collections::HashMap<String, i64> = publisher.pubsub_numsub("counted").await?;
    assert_eq!(numbers.get("counted"), Some(&1));
    assert_eq!(
        publisher.pubsub_channels::<Vec<String>, _>("counted").await?,
        ["counted"]
    );
    assert!(publisher.pubsub_numpat::<i64>().await? >= 1);
    Ok(())
}

async fn resubscribes(address: Address) -> Outcome {
    let publisher = address.client().await?;
    let subscriber: SubscriberClient = address.builder().build_subscriber_client()?;
    subscriber.init().await?;
    let _task = subscriber.manage_subscriptions();
    let mut heard = subscriber.message_rx();
    let mut reconnected = subscriber.reconnect_rx();
    subscriber.subscribe("again").await?;
    subscriber.psubscribe("agai?-by-pattern").await?;
    subscriber.ssubscribe("again-sharded").await?;
    let id: i64 = subscriber
        .connection_ids()
        .into_values()
        .next()
        .expect("a connection");
    assert_eq!(
        publisher
            .client_kill::<i64>(vec![ClientKillFilter::ID(id.to_string())])
            .await?,
        1
    );
    next(&mut reconnected, |_| true).await;
    until("subscribed again", || async {
        Ok(publisher.publish::<i64, _, _>("again", "x").await? == 1
            && publisher.publish::<i64, _, _>("again-by-pattern", "x").await? == 1
            && publisher.spublish::<i64, _, _>("again-sharded", "x").await? == 1)
    })
    .await?;
    for channel in ["again", "again-by-pattern", "again-sharded"] {
        let mut again = heard.resubscribe();
        let _: () = if channel == "again-sharded" {
            publisher.spublish(channel, "y").await?
        } else {
            publisher.publish(channel, "y").await?
        };
        next(&mut again, |message| &*message.channel == channel).await;
    }
    assert!(heard.try_recv().is_ok());
    subscriber.unsubscribe_all().await?;
    subscriber.quit().await
}

async fn keyspace(address: Address) -> Outcome {
    let (subscriber, client) = (address.client().await?, address.client().await?);
    client.config_set("notify-keyspace-events", "KEA").await?;
    let mut events = subscriber.keyspace_event_rx();
    subscriber.psubscribe("__keyspace@0__:noted").await?;
    until("subscribed", || async {
        let _: () = client.set("noted", 1, None, None, false).await?;
        Ok(!events.is_empty())
    })
    .await?;
    let event = next(&mut events, |_| true).await;
    assert_eq!(
        (event.operation.as_str(), event.key.as_str(), event.db),
        ("set", Some("noted"), 0)
    );
    Ok(())
}

async fn blocking_pops(address: Address) -> Outcome {
    let (blocked, client) = (address.client().await?, address.client().await?);
    let consumer = tokio::spawn(async move {
        let mut got = Vec::new();
        for _ in 0..20 {
            let (_, value): (String, i64) = blocked.blpop("queue", 5.0).await?;
            got.push(value);
        }
        Ok::<_, Error>((blocked, got))
    });
    for i in 0..20 {
        let _: () = client.rpush("queue", i).await?;
    }
    let (blocked, got) = consumer.await.expect("no panic")?;
    assert_eq!(got, (0..20).collect::<Vec<_>>());
    let late = blocked
        .brpop::<Value, _>("queue", 0.1)
        .await
        .expect_err("nothing came");
    assert_eq!(late.kind(), &ErrorKind::Timeout);

    let moved = blocked.blmove::<String, _, _>(
        "{q}from",
        "{q}to",
        LMoveDirection::Left,
        LMoveDirection::Right,
        5.0,
    );
    let pushed = async {
        sleep(Duration::from_millis(50)).await;
        client.rpush::<(), _, _>("{q}from", "moved").await
    };
    assert_eq!(futures::try_join!(moved, pushed)?.0, "moved");
    let popped = blocked.bzpopmin::<(String, String, f64), _>("zqueue", 5.0);
    let added = async {
        sleep(Duration::from_millis(50)).await;
        client
            .zadd::<(), _, _>("zqueue", None, None, false, false, (2.5, "least"))
            .await
    };
    assert_eq!(
        futures::try_join!(popped, added)?.0,
        ("zqueue".to_owned(), "least".to_owned(), 2.5)
    );
    let many: (String, Vec<i64>) = {
        let _: () = client.rpush("mqueue", vec![1, 2, 3]).await?;
        blocked
            .blmpop(5.0, MultipleKeys::from("mqueue"), LMoveDirection::Left, Some(2))
            .await?
    };
    assert_eq!(many, ("mqueue".to_owned(), vec![1, 2]));
    Ok(())
}

async fn interrupted(address: Address) -> Outcome {
    let mut builder = address.builder();
    builder.with_config(|config| config.blocking = Blocking::Interrupt);
    let client = builder.build()?;
    client.init().await?;
    let waiting = client.clone();
    let blocked = tokio::spawn(async move { waiting.blpop::<Option<(String, i64)>, _>("never", 20.0).await });
    sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    assert_eq!(client.incr::<i64, _>("interrupting").await?, 1); // sends CLIENT UNBLOCK by a connection of its own
    assert!(blocked.await.expect("no panic").is_err());
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    Ok(())
}

async fn unblocked(address: Address) -> Outcome {
    let (blocked, client) = (address.client().await?, address.client().await?);
    let id: i64 = blocked.client_id().await?;
    let waiting = tokio::spawn(async move { blocked.blpop::<Option<(String, i64)>, _>("never", 20.0).await });
    until("unblocked", || async {
        client
            .client_unblock::<bool, _>(id.to_string(), Some(ClientUnblockFlag::Timeout))
            .await
    })
    .await?;
    assert_eq!(
        waiting.await.expect("no panic").expect_err("nothing came").kind(),
        &ErrorKind::Timeout
    );
    Ok(())
}

async fn streams(address: Address) -> Outcome {
    let (client, reader) = (address.client().await?, address.client().await?);
    let id: String = client
        .xadd("stream", false, None, "*", ("field", "value"))
        .await?;
    let _: () = client.xgroup_create("stream", "group", "0", false).await?;
    let got: XReadResponse<String, String, String, String> = client
        .xreadgroup_map("group", "me", Some(1), None, false, "stream", ">")
        .await?;
    assert_eq!(got["stream"][0].0, id);
    assert_eq!(got["stream"][0].1["field"], "value");
    let (cursor, claimed): (String, Vec<(String, std::collections::HashMap<String, String>)>) = client
        .xautoclaim_values("stream", "group", "you", 0, "0-0", None, false)
        .await?;
    assert_eq!((cursor.as_str(), claimed[0].0.as_str()), ("0-0", id.as_str()));
    assert_eq!(
        client
            .xack::<i64, _, _, _>("stream", "group", id.as_str())
            .await?,
        1
    );
    let read = reader.xread_map::<String, String, String, String, _, _>(Some(1), Some(5_000), "stream", "$");
    let added = async {
        sleep(Duration::from_millis(50)).await;
        client
            .xadd::<String, _, _, _, _>("stream", false, None, "*", ("a", "b"))
            .await
    };
    let (next, later) = futures::try_join!(read, added)?;
    assert_eq!(next["stream"][0].0, later);
    assert_eq!(client.xlen::<i64, _>("stream").await?, 2);
    Ok(())
}

async fn tracks(address: Address) -> Outcome {
    let (client, other) = (address.client().await?, address.client().await?);
    let mut stale = client.invalidation_rx();
    client.start_tracking((), false, false, false, false).await?;
    for i in 0..20 {
        let key = format!("tracked:{i}");
        let _: Option<String> = client.get(&key).await?;
        let _: () = other.set(&key, i, None, None, false).await?;
        next(&mut stale, |told| {
            told.keys.iter().any(|one| one.as_str() == Some(&key))
        })
        .await;
    }
    client.stop_tracking().await?;
    let _: Option<String> = client.get("tracked:0").await?;
    let _: () = other.set("tracked:0", "untold", None, None, false).await?;
    let _: () = client.ping(None).await?;
    assert!(stale.try_recv().is_err());
    Ok(())
}

async fn tracks_prefixes(address: Address) -> Outcome {
    let (client, other) = (address.client().await?, address.client().await?);
    let mut stale = client.invalidation_rx();
    client
        .start_tracking(vec!["told:", "said:"], true, false, false, true)
        .await?;
    for i in 0..20 {
        let _: () = other.set(format!("untold:{i}"), i, None, None, false).await?;
        let _: () = client.set(format!("told:mine:{i}"), i, None, None, false).await?;
        let key = format!("{}:{i}", if i % 2 == 0 { "told" } else { "said" });
        let _: () = other.set(&key, i, None, None, false).await?;
        let told = next(&mut stale, |_| true).await;
        assert_eq!(
            told.keys
                .iter()
                .filter_map(|one| one.as_str())
                .collect::<Vec<_>>(),
            [key.as_str()]
        );
    }
    client.stop_tracking().await
}

async fn tracks_what_is_asked(address: Address) -> Outcome {
    let (client, other) = (address.client().await?, address.client().await?);
    let mut stale = client.invalidation_rx();
    client.start_tracking((), false, true, false, false).await?;
    let _: Option<String> = client.get("unkept").await?;
    let pipeline = client.pipeline();
    let _: () = pipeline.client_caching(true).await?;
    let _: () = pipeline.get("kept").await?;
    let _: Vec<Value> = pipeline.all().await?;
    let _: () = other.set("unkept", 1, None, None, false).await?;
    let _: () = other.set("kept", 1, None, None, false).await?;
    let told = next(&mut stale, |_| true).await;
    assert_eq!(
        told.keys
            .iter()
            .filter_map(|one| one.as_str())
            .collect::<Vec<_>>(),
        ["kept"]
    );
    Ok(())
}

async fn tracks_again(address: Address) -> Outcome {
    let (client, other) = (address.client().await?, address.client().await?);
    let (starting, mut reconnected, mut stale) =
        (client.clone(), client.reconnect_rx(), client.invalidation_rx());
    let _task = client.on_reconnect(move |_| {
        let starting = starting.clone();
        async move { starting.start_tracking((), false, false, false, false).await }
    });
    client.start_tracking((), false, false, false, false).await?;
    let id: i64 = client.client_id().await?;
    assert_eq!(
        other
            .client_kill::<i64>(vec![ClientKillFilter::ID(id.to_string())])
            .await?,
        1
    );
    next(&mut reconnected, |_| true).await;
    until("told of a key", || async {
        let _: Option<String> = client.get("tracked again").await?;
        let _: () = other.set("tracked again", 1, None, None, false).await?;
        Ok(true)
    })
    .await?;
    let end = Instant::now() + PATIENCE;
    while timeout(Duration::from_millis(50), stale.recv()).await.is_err() {
        assert!(Instant::now() < end, "no invalidation after reconnecting");
        let _: Option<String> = client.get("tracked again").await?;
        let _: () = other.set("tracked again", 1, None, None, false).await?;
    }
    Ok(())
}

/// In RESP2 another client is told, by the channel that it subscribes to.
async fn tracks_for_another(address: Address) -> Outcome {
    let (client, told, other) = (
        address.client().await?,
        address.client().await?,
        address.client().await?,
    );
    let mut stale = told.invalidation_rx();
    told.subscribe("__redis__:invalidate").await?;
    until("subscribed", || async {
        Ok(other
            .pubsub_channels::<Vec<String>, _>("__redis__:invalidate")
            .await?
            .len()
            == 1)
    })
    .await?;
    let id = told.connection_ids().into_values().next().expect("a connection");
    let _: () = client
        .client_tracking(Toggle::On, Some(id), (), false, false, false, false)
        .await?;
    assert_eq!(client.client_getredir::<i64>().await?, id);
    for i in 0..20 {
        let key = format!("redirected:{i}");
        let _: Option<String> = client.get(&key).await?;
        let _: () = other.set(&key, i, None, None, false).await?;
        next(&mut stale, |told| {
            told.keys.iter().any(|one| one.as_str() == Some(&key))
        })
        .await;
    }
    Ok(())
}

async fn scripts(address: Address) -> Outcome {
    let client = address.client().await?;
    let script = Script::from_lua("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}");
    script.load(&client).await?;
    assert!(client.script_exists::<bool, _>(script.sha1().to_string()).await?);
    let got: (String, String, i64) = script.evalsha(&client, "scripted", "x").await?;
    assert_eq!(got, ("scripted".to_owned(), "x".to_owned(), 1));
    client.script_flush(false).await?;
    assert!(script
        .evalsha::<Value, _, _, _>(&client, "scripted", "x")
        .await
        .is_err());
    let got: (String, String, i64) = script.evalsha_with_reload(&client, "scripted", "x").await?;
    assert_eq!(got.2, 2);
    for i in 0..50 {
        let got: i64 = client
            .eval("return redis.call('INCR', KEYS[1])", format!("scripted:{i}"), ())
            .await?;
        assert_eq!(got, 1);
    }
    Ok(())
}

async fn functions(address: Address) -> Outcome {
    let client = address.client().await?;
    let code = "#!lua name=fredlib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)\n\
                redis.register_function{function_name='read', callback=function(keys, args) return redis.call('GET', keys[1]) end, flags={'no-writes'}}";
    let library = Library::from_code(&client, code).await?;
    assert_eq!(
        library.functions()["twice"]
            .fcall::<i64, _, _, _>(&client, "k", 21)
            .await?,
        42
    );
    let _: () = client.set("readable", "text", None, None, false).await?;
    assert_eq!(
        library.functions()["read"]
            .fcall_ro::<String, _, _, _>(&client, "readable", ())
            .await?,
        "text"
    );
    let dump: Vec<u8> = client.function_dump().await?;
    let _: () = client.function_delete("fredlib").await?;
    assert!(client.fcall::<Value, _, _, _>("twice", "k", 21).await.is_err());
    let _: () = client.function_restore(dump, "REPLACE").await?;
    assert_eq!(client.fcall::<i64, _, _, _>("twice", "k", 21).await?, 42);
    client.function_delete("fredlib").await
}

async fn scans(address: Address) -> Outcome {
    let client = address.client().await?;
    let wanted: HashSet<String> = (0..10_000).map(|i| format!("p:{i}")).collect();
    let mut pages = client.scan("p:*", Some(500), None);
    let mut seen = HashSet::new();
    while let Some(mut page) = pages.try_next().await? {
        for key in page.take_results().unwrap_or_default() {
            seen.insert(key.into_string().expect("text"));
        }
        page.next();
    }
    assert!(seen == wanted, "{} by pages", seen.len());
    let buffered: HashSet<String> = client
        .scan_buffered("p:*", Some(500), None)
        .map_ok(|key| key.into_string().expect("text"))
        .try_collect()
        .await?;
    assert!(buffered == wanted, "{} buffered", buffered.len());
    let (mut cursor, mut seen) = ("0".to_owned(), HashSet::new());
    loop {
        let (next, keys): (String, Vec<String>) = client.scan_page(cursor, "p:*", Some(1_000), None).await?;
        seen.extend(keys);
        cursor = next;
        if cursor == "0" {
            break;
        }
    }
    assert!(seen == wanted, "{} by cursor", seen.len());
    Ok(())
}

async fn scans_values(address: Address) -> Outcome {
    let client = address.client().await?;
    for i in 0..1_000 {
        let _: () = client.hset("big:h", (i, i)).await?;
        let _: () = client.sadd("big:s", i).await?;
        let _: () = client
            .zadd("big:z", None, None, false, false, (f64::from(i), i))
            .await?;
    }
    let mut fields = 0;
    let mut pages = Box::pin(client.hscan("big:h", "*", Some(100)));
    while let Some(mut page) = pages.try_next().await? {
        fields += page.take_results().map_or(0, |found| found.len());
        page.next();
    }
    let mut members = 0;
    let mut pages = Box::pin(client.sscan("big:s", "*", Some(100)));
    while let Some(mut page) = pages.try_next().await? {
        members += page.take_results().map_or(0, |found| found.len());
        page.next();
    }
    let mut scored = 0;
    let mut pages = Box::pin(client.zscan("big:z", "*", Some(100)));
    while let Some(mut page) = pages.try_next().await? {
        scored += page.take_results().map_or(0, |found| found.len());
        page.next();
    }
    assert_eq!((fields, members, scored), (1_000, 1_000, 1_000));
    Ok(())
}

async fn databases(address: Address) -> Outcome {
    let client = address.client().await?;
    let mut builder = address.builder();
    builder.with_config(|config| config.database = Some(3));
    let third = builder.build()?;
    third.init().await?;
    let _: () = third.set("in three", 1, None, None, false).await?;
    assert_eq!(client.get::<Option<i64>, _>("in three").await?, None);
    client.select(3).await?;
    assert_eq!(client.get::<Option<i64>, _>("in three").await?, Some(1));
    third.force_reconnection().await?;
    assert_eq!(third.get::<Option<i64>, _>("in three").await?, Some(1));
    Ok(())
}

async fn names(address: Address) -> Outcome {
    let mut builder = address.builder();
    builder.with_connection_config(|config| config.auto_client_setname = true);
    let client = builder.build()?;
    client.init().await?;
    let name: String = client.client_getname().await?;
    assert_eq!(name, client.id());
    let listed: String = client.client_list::<String, String>(None, None).await?;
    assert!(listed.contains(&format!("name={name} ")), "{listed}");
    client.client_setname("another").await?;
    assert!(client.client_info::<String>().await?.contains("name=another "));
    Ok(())
}

async fn reconnects(address: Address) -> Outcome {
    let (client, other) = (address.client().await?, address.client().await?);
    let mut reconnected = client.reconnect_rx();
    for i in 1..=5 {
        let id: i64 = client.client_id().await?;
        assert_eq!(
            other
                .client_kill::<i64>(vec![ClientKillFilter::ID(id.to_string())])
                .await?,
            1
        );
        assert_eq!(client.incr::<i64, _>("reconnecting").await?, i);
        next(&mut reconnected, |_| true).await;
        assert_ne!(client.client_id::<i64>().await?, id);
    }
    Ok(())
}

async fn changes_protocol(address: Address) -> Outcome {
    let client = Address {
        version: RespVersion::RESP2,
        ..address
    }
    .client()
    .await?;
    client
        .hello(RespVersion::RESP3, None, Some("three".into()))
        .await?;
    assert_eq!(client.client_getname::<String>().await?, "three");
    let _: () = client.hset("protocol", ("a", 1)).await?;
    assert!(matches!(
        client.hgetall::<Value, _>("protocol").await?,
        Value::Map(_)
    ));
    let known: Value = client.custom(fred::cmd!("ZSCORE"), vec!["z", "one"]).await?;
    assert!(matches!(known, Value::Double(_)), "{known:?}");
    Ok(())
}

async fn users(address: Address) -> Outcome {
    let client = address.client().await?;
    client
        .acl_setuser(
            "fred",
            vec!["on", ">secret", "~fred:*", "&*", "+@all", "-flushall"],
        )
        .await?;
    let mut builder = address.builder();
    builder.with_config(|config| {
        config.username = Some("fred".into());
        config.password = Some("secret".into());
    });
    let user = builder.build()?;
    user.init().await?;
    assert_eq!(user.acl_whoami::<String>().await?, "fred");
    let _: () = user.set("fred:a", 1, None, None, false).await?;
    let refused = user
        .set::<Value, _, _>("other", 1, None, None, false)
        .await
        .expect_err("no right to");
    assert!(refused.details().starts_with("NOPERM"), "{refused}");
    builder.with_config(|config| config.password = Some("wrong".into()));
    assert!(builder.build()?.init().await.is_err());
    client.auth(Some("fred".into()), "secret").await?;
    assert_eq!(client.acl_whoami::<String>().await?, "fred");
    user.acl_deluser("fred").await
}

async fn monitors(address: Address) -> Outcome {
    let client = address.client().await?;
    let mut seen = Box::pin(
        monitor::run(Config {
            version: RespVersion::RESP2,
            ..address.config()
        })
        .await?,
    );
    let _: () = client.set("watched", "by monitor", None, None, false).await?;
    let told = timeout(PATIENCE, async {
        while let Some(command) = seen.next().await {
            if command.command.eq_ignore_ascii_case("set")
                && command.args.first().and_then(|key| key.as_str()).as_deref() == Some("watched")
            {
                return true;
            }
        }
        false
    });
    assert!(told.await.expect("within 10 s"));
    Ok(())
}

async fn of_the_server(address: Address) -> Outcome {
    let client = address.client().await?;
    assert!(client.info::<String>(None).await?.contains("redis_version:"));
    assert!(client.dbsize::<i64>().await? > 10_000);
    assert!(client.memory_usage::<i64, _>("h", None).await? > 0);
    assert!(client.slowlog_length::<i64>().await? >= 0);
    let limits: std::collections::HashMap<String, String> = client.config_get("maxmemory").await?;
    assert!(limits.contains_key("maxmemory"));
    assert_eq!(client.echo::<String, _>("echoed").await?, "echoed");
    assert!(client.randomkey::<Option<String>>().await?.is_some());
    assert!(client.lastsave::<i64>().await? > 0);
    Ok(())
}

async fn waits(address: Address) -> Outcome {
    let client = address.client().await?;
    let _: () = client.set("replicated", 1, None, None, false).await?;
    assert_eq!(client.wait::<i64>(1, 100).await?, 0);
    Ok(())
}

async fn heartbeat(address: Address) -> Outcome {
    let client = address.client().await?;
    let beating = client.clone();
    let task = tokio::spawn(async move { beating.enable_heartbeat(Duration::from_millis(20), true).await });
    sleep(Duration::from_millis(500)).await;
    assert!(!task.is_finished());
    task.abort();
    Ok(())
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    let version = if words[3] == "3" {
        RespVersion::RESP3
    } else {
        RespVersion::RESP2
    };
    let address = Address {
        host: words[1].clone(),
        port: words[2].parse().expect("a port"),
        version,
    };
    std::panic::set_hook(Box::new(|_| {}));
    macro_rules! checks {
        ($($name:literal => $body:ident),* $(,)?) => { $(check($name, $body(address.clone())).await;)* };
    }
    checks! {
        "set, get, expiry" => values,
        "binary values, and one of 20 MB" => binary,
        "values of all types" => types,
        "commands over many keys" => many_keys,
        "commands over several keys with one tag" => one_tag,
        "errors are errors" => errors,
        "pipelines" => pipelines,
        "commands of one client at once" => at_once,
        "transactions" => transactions,
        "watch" => watches,
        "a pool" => pool,
        "an exclusive pool" => exclusive_pool,
        "a dynamic pool" => dynamic_pool,
        "a hundred connections" => hundred,
        "publish and subscribe" => messages,
        "sharded publish and subscribe" => shard_messages,
        "subscribers are counted" => counted_subscribers,
        "a subscriber that reconnects subscribes again" => resubscribes,
        "keyspace notifications" => keyspace,
        "blocking pops" => blocking_pops,
        "a blocking pop is interrupted by the next command" => interrupted,
        "a blocking pop is unblocked" => unblocked,
        "streams and groups" => streams,
        "scripts" => scripts,
        "functions" => functions,
        "scan" => scans,
        "hscan, sscan, zscan" => scans_values,
        "databases" => databases,
        "names of connections" => names,
        "a connection that is killed comes back" => reconnects,
        "the protocol changes" => changes_protocol,
        "users" => users,
        "monitor" => monitors,
        "what the server says of itself" => of_the_server,
        "wait" => waits,
        "heartbeat" => heartbeat,
    }
    if address.version == RespVersion::RESP3 {
        checks! {
            "tracking" => tracks,
            "tracking by prefix" => tracks_prefixes,
            "tracking of what is asked for" => tracks_what_is_asked,
            "tracking begins again after reconnecting" => tracks_again,
        }
    } else {
        checks! { "tracking for another client" => tracks_for_another }
    }
}
