//! What does the control loop say of itself to whoever looks from a browser?
//!
//! Shell: asks the loop as an operator would, at most twice a second whoever and how many look, and waits for a bounded
//! time: a loop that has stopped is what the page is to show, not what it is to hang on.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell, mpsc, oneshot};
use tokio::time::timeout;

use super::page;
use crate::control_plane::Event;
use crate::control_plane::admin::{Command, Reply, Request, json};
use crate::glance::Seen;
use crate::limits::{GLANCE_EVENTS, GLANCE_LIFETIME, GLANCE_WAIT};

/// Why there is nothing to show. The page's words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("the control loop has not answered within {} ms", .0.as_millis())]
    Late(Duration),
    #[error("the proxy is ending")]
    Ended,
}

/// What the loop has said lately.
pub(crate) struct Glance {
    events: mpsc::Sender<Event>,
    wait: Duration,
    latest: Mutex<Option<Rc<Latest>>>,
}

/// What it said at one moment.
pub(super) struct Latest {
    at: Instant,
    /// `STATUS`, `HEALTH`, `TOPOLOGY` and `EVENTS` in one document.
    pub(super) json: Bytes,
    html: OnceCell<Bytes>,
}

impl Glance {
    pub(crate) fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            events,
            wait: GLANCE_WAIT,
            latest: Mutex::new(None),
        }
    }

    /// What it says now, or said half a second ago.
    pub(super) async fn look(&self) -> Result<Rc<Latest>, Unanswered> {
        let looked = timeout(self.wait, async {
            // One asks, the others wait for what it hears.
            let mut latest = self.latest.lock().await;
            if let Some(latest) = latest
                .as_ref()
                .filter(|latest| latest.at.elapsed() < GLANCE_LIFETIME)
            {
                return Ok(Rc::clone(latest));
            }
            let fresh = Rc::new(self.ask_for_all().await?);
            *latest = Some(Rc::clone(&fresh));
            Ok(fresh)
        });
        looked.await.unwrap_or(Err(Unanswered::Late(self.wait)))
    }

    async fn ask_for_all(&self) -> Result<Latest, Unanswered> {
        let (route, is_json) = (|| None, false);
        let status = self
            .ask(Command::Status {
                route: route(),
                json: is_json,
            })
            .await?;
        let health = self
            .ask(Command::Health {
                route: route(),
                json: is_json,
            })
            .await?;
        let topology = self
            .ask(Command::Topology {
                route: route(),
                json: is_json,
            })
            .await?;
        let events = Command::Events {
            count: GLANCE_EVENTS,
            json: is_json,
        };
        let events = self.ask(events).await?;
        let document = Reply::Map(vec![
            ("time", Reply::Bulk(format!("{:.3}", Timestamp::now()))),
            ("version", Reply::Bulk(env!("CARGO_PKG_VERSION").to_owned())),
            ("status", status),
            ("health", health),
            ("topology", topology),
            ("events", events),
        ]);
        Ok(Latest {
            at: Instant::now(),
            json: Bytes::from(json(&document)),
            html: OnceCell::new(),
        })
    }

    async fn ask(&self, command: Command) -> Result<Reply, Unanswered> {
        let (reply, answer) = oneshot::channel();
        let request = Event::Admin(Request { command, reply });
        self.events.send(request).await.map_err(|_| Unanswered::Ended)?;
        answer.await.map_err(|_| Unanswered::Ended)
    }
}

impl Latest {
    /// The page, made when somebody wants it.
    pub(super) async fn html(&self) -> Bytes {
        let made = self.html.get_or_init(|| async {
            let document: Value = serde_json::from_slice(&self.json).unwrap_or_default();
            let [status, health, topology, events] =
                ["status", "health", "topology", "events"].map(|part| &document[part]);
            let seen = Seen::of(status, health, topology, events);
            let time = document["time"].as_str().unwrap_or_default();
            Bytes::from(page::of(&seen, time))
        });
        made.await.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    fn glance(room: usize) -> (Glance, mpsc::Receiver<Event>) {
        let (events, inbox) = mpsc::channel(room);
        let wait = Duration::from_millis(50);
        let glance = Glance {
            wait,
            ..Glance::new(events)
        };
        (glance, inbox)
    }

    #[test]
    fn a_loop_that_does_not_answer_or_is_gone_is_told_in_time() {
        run(async {
            let (glance, inbox) = glance(1);
            let late = || Err(Unanswered::Late(glance.wait));
            // The first question waits for its answer, the second for room in the queue.
            for _ in 0..2 {
                assert_eq!(glance.look().await.map(|latest| latest.json.clone()), late());
            }
            drop(inbox);
            assert_eq!(
                glance.look().await.map(|latest| latest.json.clone()),
                Err(Unanswered::Ended)
            );
        });
    }

    #[test]
    fn however_many_look_the_loop_is_asked_once() {
        run(async {
            let (glance, mut inbox) = glance(8);
            let answering = async {
                let mut asked = 0;
                while let Some(event) = inbox.recv().await {
                    let Event::Admin(Request { reply, .. }) = event else {
                        continue;
                    };
                    asked += 1;
                    let _ = reply.send(Reply::Array(Vec::new()));
                }
                asked
            };
            let looking = async {
                let looks = [glance.look(), glance.look(), glance.look()].map(Box::pin);
                for look in looks {
                    assert!(look.await.is_ok());
                }
                let [first, second] = [glance.look().await, glance.look().await].map(Result::unwrap);
                assert_eq!(first.json, second.json);
                drop(glance);
            };
            let (asked, ()) = tokio::join!(answering, looking);
            assert_eq!(asked, 4, "once for each of the four");
        });
    }
}
