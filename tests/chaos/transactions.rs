//! Does each transaction run whole, once at most, and never vanish?
//!
//! `Book` is pure; around it a shell: apps that increment two keys of one slot in MULTI and EXEC, so that the two are equal
//! wherever and whenever one looks.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchback::lab::{Client, Reply};

use crate::apps::{Apps, Place, Told, tell};
use crate::windows::Windows;

const APPS: usize = 3;
const PAIRS: usize = 8;

/// One pair's two keys.
fn keys(pair: usize) -> [String; 2] {
    ["a", "b"].map(|name| format!("{{pair:{pair}}}:{name}"))
}

/// What was told of one pair.
#[derive(Clone, Debug, Default)]
struct Pair {
    acknowledged: Vec<Duration>,
    uncertain: usize,
}

/// What was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pairs: [Pair; PAIRS],
    wrong: Vec<String>,
}

impl Book {
    /// What is wrong, `found` being the two values of each pair on each master.
    pub(crate) fn violations(&self, found: &[[[u64; 2]; PAIRS]], may_lose: &Windows) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        for (number, pair) in self.pairs.iter().enumerate() {
            let on_masters: Vec<[u64; 2]> = found.iter().map(|master| master[number]).collect();
            if on_masters.iter().any(|[a, b]| a != b) {
                wrong.push(format!("transactions: pair {number} is torn: {on_masters:?}"));
            }
            let ran: u64 = on_masters.iter().map(|[a, _]| a).sum();
            let certain = pair.acknowledged.iter().filter(|at| !may_lose.cover(**at));
            let (least, most) = (certain.count(), pair.acknowledged.len() + pair.uncertain);
            if ran < least as u64 || ran > most as u64 {
                wrong.push(format!(
                    "transactions: pair {number} ran {ran} times, {least} to {most} would be right"
                ));
            }
        }
        wrong
    }
}

/// Those who transact.
pub(crate) struct Transactions {
    book: Arc<Mutex<Book>>,
    apps: Apps,
}

impl Transactions {
    pub(crate) fn start(place: &Place) -> Self {
        let book = Arc::<Mutex<Book>>::default();
        let (noting, here) = (Arc::clone(&book), place.clone());
        let apps = Apps::start(place, APPS, move |number, round, client| {
            let pair = (round as usize + number) % PAIRS;
            let (told, outcome) = transact(client, &keys(pair));
            let mut book = noting.lock().unwrap();
            match told {
                Told::Done(reply) => {
                    book.pairs[pair].acknowledged.push(here.now());
                    match reply.elements() {
                        [Reply::Integer(a), Reply::Integer(b)] if a == b => {}
                        _ => book
                            .wrong
                            .push(format!("transactions: EXEC of pair {pair}: {reply:?}")),
                    }
                }
                Told::Refused(_) => {}
                Told::Uncertain => book.pairs[pair].uncertain += 1,
            }
            outcome
        });
        Self { book, apps }
    }

    pub(crate) fn stop(mut self) -> Book {
        self.apps.stop();
        let book = self.book.lock().unwrap();
        book.clone()
    }
}

/// What EXEC came to. One step after the other: who sends all at once and has MULTI refused runs the rest outside.
fn transact(client: &mut Client, keys: &[String; 2]) -> (Told, io::Result<()>) {
    for (words, right) in [
        (&["MULTI"][..], "OK"),
        (&["INCR", &keys[0]], "QUEUED"),
        (&["INCR", &keys[1]], "QUEUED"),
    ] {
        match tell(client, words) {
            (Told::Done(Reply::Status(status)), Ok(())) if status == right => {}
            (Told::Done(other), Ok(())) => return (Told::Done(other), Ok(())),
            // Nothing runs before EXEC.
            (Told::Uncertain | Told::Refused(_), Ok(())) => {
                let (_, outcome) = tell(client, &["DISCARD"]);
                return (Told::Refused("queueing".to_owned()), outcome);
            }
            (_, Err(error)) => return (Told::Refused("queueing".to_owned()), Err(error)),
        }
    }
    tell(client, &["EXEC"])
}

/// What the masters hold.
pub(crate) fn pairs_on(masters: &mut [Client]) -> Vec<[[u64; 2]; PAIRS]> {
    let value = |master: &mut Client, key: &str| {
        let text = master.ask(&["GET", key]).unwrap().text();
        text.map_or(0, |digits| digits.parse().unwrap())
    };
    let of =
        |master: &mut Client| std::array::from_fn(|pair| keys(pair).each_ref().map(|key| value(master, key)));
    masters.iter_mut().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(5);

    fn book(acknowledged: usize, uncertain: usize) -> Book {
        let mut book = Book::default();
        book.pairs[0] = Pair {
            acknowledged: vec![AT; acknowledged],
            uncertain,
        };
        book
    }

    fn wrong(book: &Book, old: [u64; 2], new: [u64; 2], windows: &Windows) -> usize {
        let master = |first| std::array::from_fn(|pair| if pair == 0 { first } else { [0; 2] });
        book.violations(&[master(old), master(new)], windows).len()
    }

    #[test]
    fn acknowledged_ones_have_run_once_uncertain_ones_once_at_most() {
        let none = Windows::default();
        assert_eq!(wrong(&book(3, 1), [1, 1], [2, 2], &none), 0);
        assert_eq!(wrong(&book(3, 1), [2, 2], [2, 2], &none), 0);
        assert_eq!(wrong(&book(3, 1), [3, 3], [2, 2], &none), 1);
        assert_eq!(wrong(&book(3, 1), [2, 2], [0, 0], &none), 1);
        let mut lossy = Windows::default();
        lossy.add(AT, AT);
        assert_eq!(wrong(&book(3, 1), [2, 2], [0, 0], &lossy), 0);
    }

    #[test]
    fn half_a_transaction_is_wrong_even_where_whole_ones_may_be_lost() {
        let mut lossy = Windows::default();
        lossy.add(AT, AT);
        assert_eq!(wrong(&book(3, 0), [3, 2], [0, 0], &lossy), 1);
    }
}
