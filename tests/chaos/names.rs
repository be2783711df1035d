//! Is each reply the one to its own request?
//!
//! `is_right` is pure. Around it a shell: apps that send requests of several kinds at once, each of which says in its reply
//! whose it is, and that leave and come back now and then.

use std::io;
use std::sync::{Arc, Mutex};

use switchback::lab::{Client, Reply};

use crate::apps::{Apps, Place};

const APPS: usize = 4;
const KEYS: u64 = 8;
/// Then it leaves, and is another client.
const ROUNDS: u64 = 10;
/// Errors an app may be told: the server's, where they say that it is not there, and the proxy's own.
const ALLOWED: [&str; 5] = [
    "UNCERTAIN",
    "NOUPSTREAM",
    "CROSSSIDE",
    "LOADING",
    "ERR max number of clients",
];

/// A request, and what its reply begins with.
#[derive(Clone, Debug, PartialEq)]
struct Question {
    words: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Status,
    /// The same bytes.
    Echo(String),
    /// Null, or what begins with these.
    Named(Vec<String>),
}

impl Question {
    fn new(words: &[&str], kind: Kind) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { words, kind }
    }

    fn is_right(&self, reply: &Reply) -> bool {
        let is_named = |reply: &Reply, name: &String| {
            *reply == Reply::Null || reply.text().is_some_and(|text| text.starts_with(name.as_str()))
        };
        match (reply, &self.kind) {
            (Reply::Error(line), _) => ALLOWED.iter().any(|allowed| line.starts_with(allowed)),
            (Reply::Status(status), Kind::Status) => status == "OK",
            (Reply::Bulk(_), Kind::Echo(token)) => reply.text().as_ref() == Some(token),
            (Reply::Bulk(_) | Reply::Null, Kind::Named(names)) => {
                matches!(names.as_slice(), [name] if is_named(reply, name))
            }
            (Reply::Array(found), Kind::Named(names)) => {
                found.len() == names.len() && found.iter().zip(names).all(|(one, name)| is_named(one, name))
            }
            _ => false,
        }
    }
}

/// A round's. Lengths differ, so that no reply fits where another belongs.
fn questions(number: usize, round: u64) -> Vec<Question> {
    let key = |offset: u64| format!("name:{number}:{}", (round + offset) % KEYS);
    let value = |key: &str| format!("{key}#{round}#{}", "x".repeat((round % 97) as usize));
    let token = |what: &str| format!("{what}:{number}:{round}");
    let get = |key: &str| Question::new(&["GET", key], Kind::Named(vec![format!("{key}#")]));
    let [first, second, third] = [0, 3, 5].map(key);
    vec![
        Question::new(&["ECHO", &token("first")], Kind::Echo(token("first"))),
        Question::new(&["SET", &first, &value(&first)], Kind::Status),
        get(&first),
        get(&second),
        Question::new(
            &["MGET", &second, &third, &first],
            Kind::Named([&second, &third, &first].map(|key| format!("{key}#")).to_vec()),
        ),
        Question::new(&["SET", &third, &value(&third)], Kind::Status),
        Question::new(&["PING", &token("ping")], Kind::Echo(token("ping"))),
        get(&third),
        Question::new(&["ECHO", &token("last")], Kind::Echo(token("last"))),
    ]
}

/// What was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pub(crate) replies: u64,
    pub(crate) wrong: Vec<String>,
}

/// Those who ask.
pub(crate) struct Names {
    book: Arc<Mutex<Book>>,
    apps: Apps,
}

impl Names {
    pub(crate) fn start(place: &Place) -> Self {
        let book = Arc::<Mutex<Book>>::default();
        let noting = Arc::clone(&book);
        let apps = Apps::start(place, APPS, move |number, round, client| {
            let asked = questions(number, round);
            let outcome = ask(client, &asked, &noting);
            // Leaving is an error to `Apps`: it comes back on another connection.
            match round % ROUNDS {
                0 => Err(io::ErrorKind::ConnectionAborted.into()),
                _ => outcome,
            }
        });
        Self { book, apps }
    }

    pub(crate) fn stop(mut self) -> Book {
        self.apps.stop();
        let book = self.book.lock().unwrap();
        book.clone()
    }
}

fn ask(client: &mut Client, asked: &[Question], book: &Mutex<Book>) -> io::Result<()> {
    for question in asked {
        client.send(&question.words)?;
    }
    for question in asked {
        let reply = client.receive()?;
        let mut book = book.lock().unwrap();
        book.replies += 1;
        if !question.is_right(&reply) {
            book.wrong.push(format!("names: {:?}: {reply:?}", question.words));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_right_for_its_own_request_and_no_other_of_the_round() {
        let asked = questions(1, 7);
        let reply = |question: &Question| match &question.kind {
            Kind::Status => Reply::Status("OK".to_owned()),
            Kind::Echo(token) => Reply::Bulk(token.clone().into_bytes()),
            Kind::Named(names) => match names.as_slice() {
                [name] => Reply::Bulk(name.clone().into_bytes()),
                names => Reply::Array(
                    names
                        .iter()
                        .map(|one| Reply::Bulk(one.clone().into_bytes()))
                        .collect(),
                ),
            },
        };
        for (index, question) in asked.iter().enumerate() {
            assert!(question.is_right(&reply(question)));
            for (other, wrong) in asked.iter().enumerate() {
                let same = wrong.kind == question.kind || index == other;
                assert_eq!(question.is_right(&reply(wrong)), same, "{question:?} {wrong:?}");
            }
        }
    }

    #[test]
    fn only_errors_that_apps_know_of_are_right() {
        let question = &questions(0, 1)[0];
        assert!(question.is_right(&Reply::Error("NOUPSTREAM no master".to_owned())));
        for error in ["READONLY You can't write", "ERR unknown command", "MOVED 1"] {
            assert!(!question.is_right(&Reply::Error(error.to_owned())), "{error}");
        }
    }
}
