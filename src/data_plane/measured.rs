//! What does a command, a reply, a message take within the data plane?
//!
//! Shell: operations for `benches/operations`, of what is nobody else's to use. Each is done `count` times, and returns something
//! that depends on all of it.

use std::rc::Rc;

use super::command::TopicKind;
use super::local_route::LocalRoute;
use super::pubsub::{Delivery, GAP_CHANNEL, head};
use super::session::{Ends, Replies, Session, plain, side_of};
use super::upstream::Pipeline;
use crate::cluster::Side;
use crate::limits::BULK_BYTES_MAX;
use crate::resp::{Args, RequestParser};
use crate::routing::Weight;

/// Commands under way at once, replies written at once.
const BATCH: usize = 16;
/// Clients that listen.
const LISTENERS: usize = 100;

/// A request is parsed, its command looked up, and the side it goes to found, where both own keys.
pub fn express(request: &[u8], count: usize) -> usize {
    const HALF: Option<Weight> = Weight::from_steps(5_000);
    let weight = HALF.unwrap_or(Weight::ZERO);
    let mut parser = RequestParser::new();
    let mut sum = 0usize;
    for _ in 0..count {
        let request = std::hint::black_box(request);
        let length = parser.parse(request, BULK_BYTES_MAX).ok().flatten();
        let args = Args::new(request, parser.spans());
        let found = plain(args).and_then(|spec| side_of(spec, args, weight));
        sum = sum.wrapping_add(length.unwrap_or_default() + found.map_or(2, Side::index));
        parser.reset();
    }
    sum
}

/// A command is added to what is under way on a link, written, and answered.
pub fn pipeline(request: &[u8], count: usize) -> usize {
    let mut pipeline = Pipeline::default();
    let mut sum = 0usize;
    for number in 1..=count {
        pipeline.push(number, request);
        if number.is_multiple_of(BATCH) {
            pipeline.wrote(pipeline.unwritten().len());
            while let Some((number, request)) = pipeline.answered() {
                sum = sum.wrapping_add(number + request.len());
            }
            pipeline.settle();
        }
    }
    sum
}

/// A reply gets its place, comes in its turn, and is written.
pub fn replies(reply: &[u8], count: usize) -> usize {
    in_order(reply, count, |first| first..first + BATCH as u64)
}

/// The same, of replies that come from two sides: of each two the later one first.
pub fn early_replies(reply: &[u8], count: usize) -> usize {
    in_order(reply, count, |first| {
        let pairs = (first..first + BATCH as u64).step_by(2);
        pairs.flat_map(|number| [number + 1, number])
    })
}

fn in_order<I: Iterator<Item = u64>>(reply: &[u8], count: usize, order: impl Fn(u64) -> I) -> usize {
    let mut replies = Replies::default();
    let mut sum = 0usize;
    for _ in 0..count / BATCH {
        let first = replies.open();
        for _ in 1..BATCH {
            replies.open();
        }
        order(first).for_each(|number| replies.finish(number, reply));
        sum = sum.wrapping_add(written(&mut replies));
    }
    sum
}

fn written(replies: &mut Replies) -> usize {
    let length = replies.output.front().len();
    replies.output.wrote(length);
    length
}

/// A message finds a hundred clients.
pub fn hub(message: &[u8], count: usize) -> usize {
    let route = LocalRoute::idle();
    let hub = &route.hub;
    // The proxy's own takes no node.
    let topic = hub.topic(&route, TopicKind::Channel, GAP_CHANNEL, 1);
    let sessions: Vec<_> = (0..LISTENERS as u64)
        .map(|id| Session::new(id, Rc::clone(&route), Ends::NONE))
        .collect();
    for session in &sessions {
        // It has been told that it listens.
        let since = session.state.borrow_mut().replies.open();
        session.state.borrow_mut().replies.finish(since, b"");
        hub.join(&topic, session, since);
    }
    let mut sum = 0usize;
    for _ in 0..count {
        let Some(topic) = head(message).and_then(|head| hub.find(head.kind, head.topic)) else {
            continue;
        };
        topic.deliver(&Delivery::Copied(message), &route.limits().pubsub_output);
        for session in &sessions {
            sum = sum.wrapping_add(written(&mut session.state.borrow_mut().replies));
        }
    }
    sum
}

/// Topic and channel of a message of which `bytes` are all or the beginning: for fuzzing.
pub fn message_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    head(bytes).map(|head| (head.topic, head.channel))
}
