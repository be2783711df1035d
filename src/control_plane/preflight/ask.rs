//! How are one node and one Sentinel asked what the checks want to know?
//!
//! Shell: a connection for one visit, all questions in a row, all answers within one time. A question that is refused (an
//! ACL may forbid it) costs its own answer and no other; a connection that is lost costs what was not answered yet.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::{timeout, timeout_at};

use super::facts::{Learnt, NodeAnswer, SentinelAnswer};
use super::{read_node, read_sentinel};
use crate::cluster::{Access, NodeAddr};
use crate::control_plane::client::{Client, ClientError};
use crate::control_plane::guard::parse_info;
use crate::limits::PREFLIGHT_ASK_TIMEOUT;
use crate::resp::{Value, text};

/// What an operator sees in CLIENT LIST.
const CLIENT_NAME: &str = "switchback-preflight";

/// Where Sentinels greet each other.
const HELLO_CHANNEL: &[u8] = b"__sentinel__:hello";
/// Settings that are asked for, each on its own: CONFIG GET takes several only since Redis 7, and a pattern would fetch
/// passwords.
const SETTINGS: [&str; 3] = ["databases", "save", "client-output-buffer-limit"];
const INFO: [&[u8]; 7] = [
    b"INFO",
    b"server",
    b"memory",
    b"persistence",
    b"replication",
    b"stats",
    b"modules",
];
/// Before Redis 7, INFO takes one section.
const INFO_BEFORE_7: [&[u8]; 2] = [b"INFO", b"everything"];

/// One visit's answers: a reply or why there is none.
type Answers = Vec<Learnt<Value>>;

/// Asks one node.
pub(super) async fn node(addr: &NodeAddr, access: &Access, digest: &RandomState) -> Learnt<NodeAnswer> {
    let mut client = connect(addr, access).await?;
    let deadline = tokio::time::Instant::now() + PREFLIGHT_ASK_TIMEOUT;
    let asked = Instant::now();
    let (wall, time) = (wall_seconds(), ask(&mut client, &[&[b"TIME"]], deadline).await);
    let clock_took = asked.elapsed().as_secs_f64();
    let info = ask(&mut client, &[&INFO, &[b"ROLE"]], deadline).await;
    let info = match info.first() {
        Some(Err(why)) if why.contains("syntax") => {
            ask(&mut client, &[&INFO_BEFORE_7, &[b"ROLE"]], deadline).await
        }
        _ => info,
    };
    let [info, role]: [Learnt<Value>; 2] = info.try_into().map_err(|_| silence())?;
    let (info, role) = (permitted(info, "+info")?, permitted(role, "+role")?);
    let mut questions: Vec<Vec<&[u8]>> = SETTINGS
        .iter()
        .map(|name| vec![&b"CONFIG"[..], b"GET", name.as_bytes()])
        .collect();
    questions.push(vec![b"ACL", b"LIST"]);
    questions.push(vec![b"PUBSUB", b"NUMSUB", HELLO_CHANNEL]);
    questions.push(vec![b"FUNCTION", b"LIST", b"WITHCODE"]);
    let questions: Vec<&[&[u8]]> = questions.iter().map(Vec::as_slice).collect();
    let mut rest = ask(&mut client, &questions, deadline).await.into_iter();
    let mut next = |permission| {
        let missing = || Err("it gave no answer".to_owned());
        permitted(rest.next().unwrap_or_else(missing), permission)
    };
    let settings: BTreeMap<_, _> = SETTINGS
        .iter()
        .map(|name| {
            let value = next("+config|get");
            (*name, value.and_then(|value| read_node::setting(&value, name)))
        })
        .collect();
    let users = next("+acl|list").and_then(|value| read_node::users(&value, digest));
    let hello_listeners = next("+pubsub|numsub").and_then(|value| read_node::listeners(&value));
    let functions = match next("+function|list") {
        // Before Redis 7 there are none.
        Err(why) if why.contains("unknown command") => Ok(BTreeMap::new()),
        value => value.and_then(|value| read_node::functions(&value, digest)),
    };
    let time = permitted(first(time), "+time");
    Ok(NodeAnswer {
        info: parse_info(&info, &role, asked.elapsed()).map_err(|error| error.to_string())?,
        fields: read_node::info(&info),
        clock_ahead: time
            .and_then(|time| read_node::time(&time))
            .map(|theirs| theirs - (wall + clock_took / 2.0)),
        clock_slack: clock_took / 2.0,
        hello_listeners,
        settings,
        users,
        functions,
    })
}

/// Asks one Sentinel.
pub(super) async fn sentinel(addr: &NodeAddr, access: &Access, master_name: &str) -> Learnt<SentinelAnswer> {
    let mut client = connect(addr, access).await?;
    let deadline = tokio::time::Instant::now() + PREFLIGHT_ASK_TIMEOUT;
    let name = master_name.as_bytes();
    let questions: [&[&[u8]]; 5] = [
        &[b"SENTINEL", b"MASTER", name],
        &[b"SENTINEL", b"REPLICAS", name],
        &[b"SENTINEL", b"SENTINELS", name],
        &[b"SENTINEL", b"MASTERS"],
        &[b"SENTINEL", b"MYID"],
    ];
    let mut answers = ask(&mut client, &questions, deadline).await;
    // Redis before 6.2 has none.
    let id = answers.pop().and_then(Result::ok).and_then(|id| text(&id));
    let permit = |answer| permitted(answer, "+sentinel");
    let answers: Vec<Value> = answers.into_iter().map(permit).collect::<Result<_, _>>()?;
    match answers.as_slice() {
        [master, replicas, sentinels, masters] => {
            let read = read_sentinel::answer(master, replicas, sentinels, masters);
            Ok(SentinelAnswer { id, ..read })
        }
        _ => Err("it gave no answer".to_owned()),
    }
}

async fn connect(addr: &NodeAddr, access: &Access) -> Learnt<Client> {
    let connected = timeout(PREFLIGHT_ASK_TIMEOUT, Client::connect(addr, access, CLIENT_NAME));
    match connected.await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(silence()),
    }
}

/// All questions, then all answers, one each.
async fn ask(client: &mut Client, questions: &[&[&[u8]]], deadline: tokio::time::Instant) -> Answers {
    let mut answers = Answers::with_capacity(questions.len());
    let asked = timeout_at(deadline, async {
        for question in questions {
            client.send(question).await?;
        }
        for _ in questions {
            answers.push(match client.receive().await? {
                Value::Error(text) => Err(text),
                value => Ok(value),
            });
        }
        Ok::<_, ClientError>(())
    });
    let why = match asked.await {
        Ok(Ok(())) => return answers,
        Ok(Err(error)) => error.to_string(),
        Err(_) => silence(),
    };
    answers.resize_with(questions.len(), || Err(why.clone()));
    answers
}

fn first(answers: Answers) -> Learnt<Value> {
    answers.into_iter().next().unwrap_or_else(|| Err(silence()))
}

/// A refusal says what is to be permitted.
fn permitted(answer: Learnt<Value>, permission: &str) -> Learnt<Value> {
    answer.map_err(|why| match why.starts_with("NOPERM") {
        true => format!("not permitted: give the user {permission}"),
        false => why,
    })
}

fn silence() -> String {
    format!("no answer within {}", seconds(PREFLIGHT_ASK_TIMEOUT))
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn wall_seconds() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}
