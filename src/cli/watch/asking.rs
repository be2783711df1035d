//! How does the screen hear from the proxy?
//!
//! Shell: a thread that asks once a second, and one for each order that is out. They may wait for a proxy that has stopped
//! as long as any command does; the screen does not wait for them.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde_json::Value;

use super::order::Asked;
use crate::cli::client::{Client, ClientError};
use crate::glance::Seen;

const INTERVAL: Duration = Duration::from_secs(1);
/// Events that are asked for: those of all routes, and a screen shows some dozens.
const EVENTS: &str = "200";

/// What is heard.
pub(super) enum News {
    Seen(Box<Seen>),
    Silence(String),
    Answered(Asked, Result<String, String>),
    /// Bytes from the terminal.
    Typed(Vec<u8>),
    /// A signal asks for the end, or there is no terminal any more.
    End,
}

/// Asks for everything once.
pub(super) fn look(client: &mut Client) -> Result<Seen, ClientError> {
    let mut ask = |words: &[&str]| -> Result<Value, ClientError> {
        let document = client.text(words, Duration::ZERO)?;
        serde_json::from_str(&document).map_err(|_| ClientError::Nonsense)
    };
    let status = ask(&["STATUS", "JSON"])?;
    let health = ask(&["HEALTH", "JSON"])?;
    let topology = ask(&["TOPOLOGY", "JSON"])?;
    let events = ask(&["EVENTS", "COUNT", EVENTS, "JSON"])?;
    Ok(Seen::of(&status, &health, &topology, &events))
}

/// Keeps asking, over `client` as long as it lasts. Ringing the bell has it ask at once.
pub(super) fn keep_looking(
    socket: PathBuf,
    client: Client,
    news: SyncSender<News>,
) -> std::io::Result<SyncSender<()>> {
    let (bell, rung) = sync_channel(1);
    let thread = std::thread::Builder::new().name("watch".to_owned());
    thread.spawn(move || look_until_nobody_hears(&socket, client, &news, &rung))?;
    Ok(bell)
}

fn look_until_nobody_hears(socket: &Path, client: Client, news: &SyncSender<News>, rung: &Receiver<()>) {
    let mut client = Some(client);
    loop {
        // Rung or not, it is time.
        let _ = rung.recv_timeout(INTERVAL);
        let seen = match client.take() {
            Some(client) => Ok(client),
            None => Client::connect(socket),
        }
        .and_then(|mut fresh| {
            let seen = look(&mut fresh)?;
            client = Some(fresh);
            Ok(seen)
        });
        let heard = match seen {
            Ok(seen) => News::Seen(Box::new(seen)),
            Err(error) => News::Silence(error.to_string()),
        };
        if news.send(heard).is_err() {
            return;
        }
    }
}

/// Has an order carried out, on a connection of its own: it may take seconds, and going back must not wait for it.
pub(super) fn carry_out(socket: &Path, asked: Asked, news: SyncSender<News>, bell: SyncSender<()>) {
    let (socket, order) = (socket.to_owned(), asked.clone());
    let thread = std::thread::Builder::new().name("order".to_owned());
    let told = news.clone();
    let started = thread.spawn(move || {
        let words = order.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = Client::connect(&socket).and_then(|mut client| client.text(&words, Duration::ZERO));
        let answer = answer.map_err(|error| error.to_string());
        // Nobody hears it when the screen is gone; what was ordered is done all the same.
        let _ = told.send(News::Answered(order, answer));
        let _ = bell.try_send(());
    });
    if let Err(error) = started {
        // By the thread that looks at it: it must not wait for itself.
        let _ = news.try_send(News::Answered(asked, Err(error.to_string())));
    }
}
