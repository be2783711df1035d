//! Is each element that is pushed popped once at most, and never gone?
//!
//! `Book` is pure: what was told of each push and pop, against what is left. Around it a shell: some push elements with
//! names of their own, others wait for them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchback::lab::{Client, Reply};

use crate::apps::{Apps, Place, Told, tell};
use crate::windows::Windows;

const PUSHERS: usize = 2;
const POPPERS: usize = 4;
const QUEUES: u64 = 4;

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Push {
    Acknowledged(Duration),
    Uncertain,
    Refused,
}

/// What was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pushes: HashMap<String, Push>,
    pops: Vec<(String, Duration)>,
    /// Each may have taken one element with it, unseen.
    pops_uncertain: usize,
    misrouted: Vec<String>,
}

impl Book {
    /// What is wrong, `left` being what the masters hold.
    pub(crate) fn violations(&self, left: &[String], may_lose: &Windows) -> Vec<String> {
        let mut wrong = self.misrouted.clone();
        let mut first_pop: HashMap<&str, Duration> = HashMap::new();
        for (element, at) in &self.pops {
            // A pop that a master had not passed on is undone by its successor.
            match first_pop.insert(element, *at) {
                Some(before) if !may_lose.cover(before) => {
                    wrong.push(format!(
                        "queues: {element} was popped at {before:?} and again at {at:?}"
                    ));
                }
                _ => {}
            }
        }
        let mut seen = HashSet::new();
        for element in left {
            if !seen.insert(element.as_str()) {
                wrong.push(format!("queues: {element} is there twice"));
            }
            match first_pop.get(element.as_str()) {
                Some(at) if !may_lose.cover(*at) => {
                    wrong.push(format!(
                        "queues: {element} was popped at {at:?} and is still there"
                    ));
                }
                _ => {}
            }
        }
        let gone_of = |element: &str| !first_pop.contains_key(element) && !seen.contains(element);
        let mut gone = Vec::new();
        for (element, push) in &self.pushes {
            match push {
                Push::Acknowledged(at) if gone_of(element) && !may_lose.cover(*at) => {
                    gone.push(format!("queues: {element}, pushed at {at:?}, is gone"));
                }
                Push::Refused if !gone_of(element) => {
                    wrong.push(format!("queues: {element} was refused, and pushed all the same"));
                }
                _ => {}
            }
        }
        let unknown = first_pop.keys().copied().chain(seen.iter().copied());
        let unknown = unknown.filter(|element| !self.pushes.contains_key(*element));
        wrong.extend(unknown.map(|element| format!("queues: nobody has pushed {element}")));
        if gone.len() > self.pops_uncertain {
            wrong.push(format!(
                "queues: {} elements are gone, and {} pops were uncertain",
                gone.len(),
                self.pops_uncertain
            ));
            wrong.extend(gone);
        }
        wrong
    }
}

/// Those who push and those who wait.
pub(crate) struct Queues {
    book: Arc<Mutex<Book>>,
    pushers: Apps,
    poppers: Apps,
}

impl Queues {
    pub(crate) fn start(place: &Place) -> Self {
        let book = Arc::<Mutex<Book>>::default();
        let (pushing, popping) = (Arc::clone(&book), Arc::clone(&book));
        let (here, there) = (place.clone(), place.clone());
        let pushers = Apps::start(place, PUSHERS, move |number, round, client| {
            let key = format!("queue:{}", round % QUEUES);
            let element = format!("{key}:{number}:{round}");
            // Before it is popped, or it would seem to come from nowhere.
            let note = |push| {
                let mut book = pushing.lock().unwrap();
                book.pushes.insert(element.clone(), push);
            };
            note(Push::Uncertain);
            let (told, outcome) = tell(client, &["RPUSH", &key, &element]);
            match told {
                Told::Done(Reply::Integer(_)) => note(Push::Acknowledged(here.now())),
                Told::Done(other) => misrouted(&pushing, format!("RPUSH {element}: {other:?}")),
                Told::Refused(_) => note(Push::Refused),
                Told::Uncertain => {}
            }
            outcome
        });
        let poppers = Apps::start(place, POPPERS, move |_, round, client| {
            let key = format!("queue:{}", round % QUEUES);
            let (told, outcome) = tell(client, &["BLPOP", &key, "1"]);
            match told {
                Told::Done(Reply::Null) | Told::Refused(_) => {}
                Told::Done(reply) => {
                    let words: Vec<String> = reply.elements().iter().filter_map(Reply::text).collect();
                    match words.as_slice() {
                        [from, element] if *from == key && element.starts_with(&format!("{key}:")) => {
                            let popped = (element.clone(), there.now());
                            popping.lock().unwrap().pops.push(popped);
                        }
                        _ => misrouted(&popping, format!("BLPOP {key}: {reply:?}")),
                    }
                }
                Told::Uncertain => popping.lock().unwrap().pops_uncertain += 1,
            }
            outcome
        });
        Self {
            book,
            pushers,
            poppers,
        }
    }

    /// Ends them, pushers first.
    pub(crate) fn stop(mut self) -> Book {
        self.pushers.stop();
        self.poppers.stop();
        let book = self.book.lock().unwrap();
        book.clone()
    }
}

/// What the masters hold.
pub(crate) fn left_on(masters: &mut [Client]) -> Vec<String> {
    let mut left = Vec::new();
    for master in masters {
        for queue in 0..QUEUES {
            let elements = master
                .ask(&["LRANGE", &format!("queue:{queue}"), "0", "-1"])
                .unwrap();
            left.extend(elements.elements().iter().filter_map(Reply::text));
        }
    }
    left
}

fn misrouted(book: &Mutex<Book>, what: String) {
    book.lock().unwrap().misrouted.push(format!("queues: {what}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(5);

    fn book(push: Push, pops: usize) -> Book {
        Book {
            pushes: HashMap::from([("e".to_owned(), push)]),
            pops: vec![("e".to_owned(), AT); pops],
            ..Book::default()
        }
    }

    fn around() -> Windows {
        let mut windows = Windows::default();
        windows.add(AT, AT);
        windows
    }

    fn wrong(book: &Book, left: &[&str], windows: &Windows) -> usize {
        let left: Vec<String> = left.iter().map(|one| (*one).to_owned()).collect();
        book.violations(&left, windows).len()
    }

    #[test]
    fn popped_once_or_still_there_is_right_and_both_or_twice_only_where_a_pop_may_be_lost() {
        let none = Windows::default();
        let pushed = Push::Acknowledged(AT);
        assert_eq!(wrong(&book(pushed, 1), &[], &none), 0);
        assert_eq!(wrong(&book(pushed, 0), &["e"], &none), 0);
        for (pops, left) in [(1, &["e"][..]), (2, &[])] {
            assert_eq!(wrong(&book(pushed, pops), left, &none), 1);
            assert_eq!(wrong(&book(pushed, pops), left, &around()), 0);
        }
        assert_eq!(wrong(&book(pushed, 0), &["e", "e"], &around()), 1);
    }

    #[test]
    fn gone_is_wrong_but_for_a_lost_push_and_a_pop_nobody_heard_of() {
        let none = Windows::default();
        let mut gone = book(Push::Acknowledged(AT), 0);
        assert_eq!(wrong(&gone, &[], &none), 2);
        assert_eq!(wrong(&gone, &[], &around()), 0);
        gone.pops_uncertain = 1;
        assert_eq!(wrong(&gone, &[], &none), 0);
        assert_eq!(wrong(&book(Push::Uncertain, 0), &[], &none), 0);
    }

    #[test]
    fn what_was_refused_or_never_pushed_is_nowhere() {
        let none = Windows::default();
        assert_eq!(wrong(&book(Push::Refused, 1), &[], &none), 1);
        assert_eq!(wrong(&Book::default(), &["e"], &none), 1);
    }
}
