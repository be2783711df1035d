//! What did the subscribers of one thread receive?
//!
//! Pure: a line for every subscription and everything that can come through it.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::delays::Delays;
use super::history::History;
use super::line::Line;
use super::payload::Stamp;
use super::plan::Plan;
use super::push::Push;
use crate::demo::LATE_AFTER;

const LATE_MICROS: u64 = LATE_AFTER.as_micros() as u64;

/// One subscription's part that is about one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) subscriber: usize,
    /// The pattern subscribed to; `None` for the channel itself.
    pub(super) pattern: Option<usize>,
    pub(super) channel: usize,
}

/// Everything that came.
#[derive(Clone, Debug)]
pub(super) struct Reception {
    plan: Arc<Plan>,
    /// By place, then by publisher.
    lines: FxHashMap<Place, Box<[Line]>>,
    pub(super) delays: Delays,
    pub(super) history: History,
    pub(super) delivered: u64,
    pub(super) late: u64,
    /// Not a payload as it was written, or not for whom it came to.
    pub(super) damaged: u64,
    /// Connections that ended before their time.
    pub(super) reconnects: u64,
}

impl Reception {
    /// Of these subscribers, before anything came.
    pub(super) fn new(plan: &Arc<Plan>, publishers: usize, subscribers: impl Iterator<Item = usize>) -> Self {
        let places = subscribers.flat_map(|subscriber| places(plan, subscriber));
        let lines = places.map(|place| (place, vec![Line::default(); publishers].into()));
        Self {
            plan: Arc::clone(plan),
            lines: lines.collect(),
            delays: Delays::default(),
            history: History::default(),
            delivered: 0,
            late: 0,
            damaged: 0,
            reconnects: 0,
        }
    }

    /// Notes what a subscriber read. Says whether it was the confirmation of a subscription.
    pub(super) fn take(&mut self, subscriber: usize, push: Push<'_>, now_micros: u64) -> bool {
        let (pattern, channel, payload) = match push {
            Push::Message { channel, payload } => (None, channel, payload),
            Push::PatternMessage {
                pattern,
                channel,
                payload,
            } => (Some(pattern), channel, payload),
            Push::Confirmation => return true,
            Push::Other => {
                self.damaged += 1;
                return false;
            }
        };
        if self
            .note(subscriber, pattern, channel, payload, now_micros)
            .is_none()
        {
            self.damaged += 1;
        }
        false
    }

    /// `None` when it is not what was published, or nothing this subscriber should get.
    fn note(
        &mut self,
        subscriber: usize,
        pattern: Option<&[u8]>,
        name: &[u8],
        payload: &[u8],
        now_micros: u64,
    ) -> Option<()> {
        let stamp = Stamp::read(payload)?;
        let channel = usize::from(stamp.channel);
        if self.plan.channel(channel).as_bytes() != name {
            return None;
        }
        let pattern = match pattern {
            None => None,
            Some(name) => {
                let own = self.plan.pattern_of(subscriber)?;
                (self.plan.pattern(own).as_bytes() == name).then_some(Some(own))?
            }
        };
        let place = Place {
            subscriber,
            pattern,
            channel,
        };
        let line = self
            .lines
            .get_mut(&place)?
            .get_mut(usize::from(stamp.publisher))?;
        line.take(stamp.number);
        let delay = now_micros.saturating_sub(stamp.due_micros);
        self.delivered += 1;
        self.delays.add_micros(delay);
        let moment = self.history.at(now_micros);
        moment.delivered += 1;
        moment.slowest = moment.slowest.max(Duration::from_micros(delay));
        if delay > LATE_MICROS {
            self.late += 1;
            moment.late += 1;
            self.history.harmed(stamp.due_micros + LATE_MICROS);
        }
        Some(())
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (Place, &[Line])> {
        self.lines.iter().map(|(place, lines)| (*place, &**lines))
    }

    /// The name subscribed to, and the channel's.
    pub(super) fn names(&self, place: Place) -> (&str, &str) {
        let channel = self.plan.channel(place.channel);
        (
            place
                .pattern
                .map_or(channel, |pattern| self.plan.pattern(pattern)),
            channel,
        )
    }
}

fn places(plan: &Plan, subscriber: usize) -> impl Iterator<Item = Place> {
    let own = plan
        .channels_of(subscriber)
        .into_iter()
        .map(|channel| (None, channel));
    let pattern = plan.pattern_of(subscriber);
    let under = pattern
        .into_iter()
        .flat_map(|pattern| plan.channels_under(pattern));
    own.chain(under.map(move |channel| (pattern, channel)))
        .map(move |(pattern, channel)| Place {
            subscriber,
            pattern,
            channel,
        })
}
