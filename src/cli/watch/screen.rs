//! What is on the screen, and what does a key do?
//!
//! Pure: keys, answers and times in, an effect out. An order leaves only after it was confirmed, and is dropped if the route
//! is not as it was when it was asked for. Going back is possible whatever else is being typed or waited for.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::history::History;
use super::order::{Asked, Order, Proof};
use crate::glance::{Route, Seen};
use crate::routing::Weight;

/// Silence for longer than this is told: an answer is due every second.
pub(super) const SILENCE: Duration = Duration::from_millis(3_500);
/// A percentage has this many characters at most: `100.00`.
const TYPED_MAX: usize = 6;
/// A route's name.
const NAME_MAX: usize = 64;

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: Timestamp,
}

/// What was pressed, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    NextRoute,
    PreviousRoute,
    /// Ctrl-C: ends it from anywhere.
    Interrupt,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    Quit,
    Ask(Asked),
}

/// What the next key means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mode {
    Watching,
    /// A weight for this route is being typed.
    Percent {
        route: String,
        typed: String,
    },
    /// What was asked for waits for its proof.
    Confirming {
        asked: Asked,
        typed: String,
    },
}

/// What was told last, until something else is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) is_good: bool,
}

/// Everything the screen is made of.
#[derive(Debug)]
pub(super) struct Screen {
    /// Where the proxy is.
    pub(super) place: String,
    pub(super) seen: Seen,
    pub(super) history: History,
    pub(super) mode: Mode,
    pub(super) told: Option<Told>,
    /// Orders whose answers are out. One, and a route back beside it.
    pub(super) pending: Vec<Asked>,
    /// Name of the route that is shown: its place in the list may change.
    shown: String,
    heard: Now,
    /// Why there was no answer since.
    trouble: Option<String>,
}

impl Screen {
    /// Begins with what was seen, on this route or on the first.
    pub(super) fn new(place: String, route: Option<&str>, seen: Seen, now: Now) -> Self {
        let first = seen.routes.first().map_or("", |route| route.name.as_str());
        let shown = route.unwrap_or(first).to_owned();
        let mut history = History::default();
        history.add(&seen, now.instant);
        Self {
            place,
            seen,
            history,
            mode: Mode::Watching,
            told: None,
            pending: Vec::new(),
            shown,
            heard: now,
            trouble: None,
        }
    }

    /// The route that is shown: the first when it is not there any more.
    pub(super) fn route(&self) -> Option<&Route> {
        self.seen.route(&self.shown).or(self.seen.routes.first())
    }

    /// Since when, and why, there is no answer.
    pub(super) fn silence(&self, now: Instant) -> Option<(Timestamp, String)> {
        let silent = now.saturating_duration_since(self.heard.instant);
        let why = match &self.trouble {
            Some(why) => why.clone(),
            None if silent > SILENCE => format!("no answer for {} s", silent.as_secs()),
            None => return None,
        };
        Some((self.heard.wall, why))
    }

    /// The proxy has answered.
    pub(super) fn heard(&mut self, seen: Seen, now: Now) {
        self.history.add(&seen, now.instant);
        (self.seen, self.heard, self.trouble) = (seen, now, None);
        if let Mode::Confirming { asked, .. } = &self.mode
            && let Some(why) = asked.overtaken(self.seen.route(&asked.route))
        {
            self.drop_it(&format!("{why}; nothing was done"));
        }
    }

    /// It has not.
    pub(super) fn missed(&mut self, why: String) {
        self.trouble = Some(why);
    }

    /// What came of an order.
    pub(super) fn answered(&mut self, asked: &Asked, answer: Result<String, String>) {
        self.pending.retain(|pending| pending != asked);
        let named = asked.named();
        self.told = Some(match answer {
            Ok(word) => Told {
                text: format!("{word}: {named}"),
                is_good: true,
            },
            Err(why) => Told {
                text: format!("{named}: {why}"),
                is_good: false,
            },
        });
    }

    pub(super) fn press(&mut self, key: Key, now: Instant) -> Option<Effect> {
        if key == Key::Interrupt {
            return Some(Effect::Quit);
        }
        self.told = None;
        match std::mem::replace(&mut self.mode, Mode::Watching) {
            Mode::Watching => self.watching(key, now),
            Mode::Percent { route, typed } => {
                self.percent(route, typed, key, now);
                None
            }
            Mode::Confirming { asked, typed } => self.confirming(asked, typed, key, now),
        }
    }

    fn watching(&mut self, key: Key, now: Instant) -> Option<Effect> {
        match key {
            Key::Char('q') => return Some(Effect::Quit),
            Key::NextRoute => self.show_another(1),
            Key::PreviousRoute => self.show_another(-1),
            Key::Char(letter) => self.letter(letter, now),
            Key::Enter | Key::Escape | Key::Backspace | Key::Interrupt => {}
        }
        None
    }

    /// Asks for what a letter stands for.
    fn letter(&mut self, letter: char, now: Instant) {
        let Some(route) = self.route() else { return };
        let is_ramping = route.state == "ramping";
        let is_paused = route
            .paused
            .as_deref()
            .is_some_and(|why| why.contains("by the operator"));
        let order = match letter {
            'b' => Order::Back,
            'r' | 'w' | 's' if route.is_latched => {
                return self.drop_it("it is latched: a arms it, once what is bad is well again");
            }
            'r' => match route.next_step {
                Some(step) => Order::Weight(step),
                None => return self.drop_it("the ramp has no step above the weight; w takes any"),
            },
            'w' => {
                let route = route.name.clone();
                self.mode = match self.unavailable(now) {
                    None => Mode::Percent {
                        route,
                        typed: String::new(),
                    },
                    Some(why) => return self.drop_it(&why),
                };
                return;
            }
            'a' if route.is_latched => Order::Arm,
            's' if !is_ramping => Order::RampStart,
            'p' if is_ramping && is_paused => Order::RampResume,
            'p' if is_ramping => Order::RampPause,
            'x' if is_ramping => Order::RampAbort,
            'a' => return self.drop_it("it is armed"),
            's' => {
                return self.drop_it("it is ramping already; p resumes a ramp that an operator has paused");
            }
            'p' | 'x' => return self.drop_it("it is not ramping"),
            _ => return,
        };
        let asked = Asked::of(route, order);
        self.ask(asked, now);
    }

    /// Asks for the proof.
    fn ask(&mut self, asked: Asked, now: Instant) {
        let is_under_way = self
            .pending
            .iter()
            .any(|pending| pending.order == Order::Back && pending.route == asked.route);
        match self.unavailable(now) {
            Some(why) if asked.order != Order::Back => self.drop_it(&why),
            _ if asked.order == Order::Back && is_under_way => self.drop_it("it is under way"),
            _ => {
                self.mode = Mode::Confirming {
                    asked,
                    typed: String::new(),
                }
            }
        }
    }

    /// Why nothing but going back may be ordered now.
    fn unavailable(&self, now: Instant) -> Option<String> {
        if let Some((_, why)) = self.silence(now) {
            return Some(format!("the proxy is not reachable: {why}"));
        }
        let pending = self.pending.iter().find(|pending| pending.order != Order::Back)?;
        Some(format!("no answer yet: {}", pending.named()))
    }

    fn percent(&mut self, route: String, mut typed: String, key: Key, now: Instant) {
        match key {
            Key::Char(digit) if digit.is_ascii_digit() || digit == '.' => {
                if typed.len() < TYPED_MAX {
                    typed.push(digit);
                }
            }
            Key::Backspace => {
                typed.pop();
            }
            Key::Char('b') => return self.letter('b', now),
            Key::Enter => {
                let Ok(weight) = typed.parse::<Weight>() else {
                    return self.drop_it("a weight is a percentage from 0 to 100 with at most two decimals");
                };
                return match self.seen.route(&route) {
                    Some(route) => {
                        let to = f64::from(weight.steps()) / 100.0;
                        self.ask(Asked::of(route, Order::Weight(to)), now);
                    }
                    None => self.drop_it("the route is gone"),
                };
            }
            Key::Char(_) | Key::Escape | Key::NextRoute | Key::PreviousRoute | Key::Interrupt => {
                return self.drop_it("nothing was done");
            }
        }
        self.mode = Mode::Percent { route, typed };
    }

    fn confirming(&mut self, asked: Asked, mut typed: String, key: Key, now: Instant) -> Option<Effect> {
        match (asked.proof, key) {
            (Proof::Letter, Key::Char('y' | 'Y')) => return Some(self.confirmed(asked)),
            (Proof::Letter, Key::Char('b')) if asked.order != Order::Back => {
                self.letter('b', now);
                return None;
            }
            (Proof::Name, Key::Char(letter)) => {
                if typed.chars().count() < NAME_MAX {
                    typed.push(letter);
                }
            }
            (Proof::Name, Key::Backspace) => {
                typed.pop();
            }
            (Proof::Name, Key::Enter) if typed == asked.route => return Some(self.confirmed(asked)),
            (Proof::Name, Key::Enter) => {
                self.drop_it("that is not its name; nothing was done");
                return None;
            }
            (Proof::Letter | Proof::Name, _) => {
                self.drop_it("nothing was done");
                return None;
            }
        }
        self.mode = Mode::Confirming { asked, typed };
        None
    }

    fn confirmed(&mut self, asked: Asked) -> Effect {
        self.pending.push(asked.clone());
        Effect::Ask(asked)
    }

    fn drop_it(&mut self, why: &str) {
        self.mode = Mode::Watching;
        self.told = Some(Told {
            text: why.to_owned(),
            is_good: false,
        });
    }

    fn show_another(&mut self, by: isize) {
        let count = self.seen.routes.len() as isize;
        let at = self.seen.routes.iter().position(|route| route.name == self.shown);
        if count > 0 {
            let next = (at.map_or(0, |at| at as isize) + by).rem_euclid(count);
            self.shown = self
                .seen
                .routes
                .get(next as usize)
                .map_or_else(String::new, |route| route.name.clone());
        }
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
