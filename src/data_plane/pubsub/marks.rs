//! Does a replica pass on what is published on its master, and where in the stream are two of them?
//!
//! Shell, where replicas are subscribed to. Links are watched by marks: numbers, published on the master and heard on the
//! replica. Every one must come back, in order: a full resync drops what was published meanwhile without closing the
//! link. What is lost between two marks (250 ms apart) without a mark cannot be noticed; but a replica whose side has got
//! another master may have been resynchronized, and is suspected until a mark of that one has come through.
//!
//! A replica may lag, and another one tell again what was heard already, or what publishers have not waited for. Until its
//! first mark has come, a link to another replica is mute: what is missed by that is told, as it is missed in any case.
//!
//! Two replicas of one master tell the same messages. When a worker goes from one to the other, the former link is heard up
//! to a mark and the present one from that mark on; and if the present one gets there first, it is not read on until the
//! former one has got there too.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use super::hub::Hub;
use super::subscriber_link::{SubscriberLink, garbage};
use crate::cluster::Side;
use crate::config::SubscribeTo;
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::upstream::Lease;
use crate::limits::SUBSCRIBER_SILENT_CHECKS;
use crate::resp::write_command;

impl Hub {
    /// Whether links may be to replicas: what was published on the master is then told by marks.
    pub(super) fn uses_marks(&self, route: &LocalRoute) -> bool {
        self.subscribe_to(route) == SubscribeTo::Replica
    }

    /// Where topics are placed. Users who have authenticated need not be allowed to publish marks: theirs are on the master.
    pub(super) fn subscribe_to(&self, route: &LocalRoute) -> SubscribeTo {
        match self.user.has_logged_in() {
            true => SubscribeTo::Master,
            false => route.subscribe_to(),
        }
    }

    /// Whether the link's replica still hears its master.
    pub(super) fn check(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) -> io::Result<()> {
        if !self.uses_marks(route) || link.behind.get() > 0 || !self.feed(link.side).is_present(link) {
            return Ok(());
        }
        let looks = link.marks.borrow().iter().filter(|mark| mark.is_look).count();
        if looks >= SUBSCRIBER_SILENT_CHECKS as usize {
            self.feed(link.side).avoid(&link.node, Instant::now());
            return Err(garbage("the replica does not pass messages on"));
        }
        self.mark(route, link);
        Ok(())
    }

    /// Publishes a mark on the side's master, if that can be done. From the first one on a link delivers; one that is to take
    /// another's place has to show first that it hears its master.
    pub(super) fn mark(&self, route: &Rc<LocalRoute>, link: &SubscriberLink) {
        if let Some(number) = self.publish_mark(route, link.side) {
            self.awaits(link, number, true);
        }
    }

    fn awaits(&self, link: &SubscriberLink, number: u64, is_look: bool) {
        link.expects(number, is_look);
        let former = self.feed(link.side).former.borrow().clone();
        if link.begins.get().is_none() && (former.is_none() || link.passed.get() > 0) {
            link.begins.set(Some(number));
        }
        if let (Some(former), Some(begins)) = (former, link.begins.get())
            && former.fence.get().is_none()
        {
            former.fence.set(Some((begins, Instant::now())));
        }
    }

    /// Publishes a mark as a fence, for every link of the side to hear.
    pub(super) fn fence_by_mark(&self, route: &Rc<LocalRoute>, side: Side) -> Option<u64> {
        let number = self.publish_mark(route, side)?;
        if let Some(present) = self.feed(side).ready().filter(|link| link.behind.get() == 0) {
            self.awaits(&present, number, false);
        }
        Some(number)
    }

    fn publish_mark(&self, route: &Rc<LocalRoute>, side: Side) -> Option<u64> {
        let Lease::Ready(master) = route.links(side).shared(route, route.own_setting(side)) else {
            return None;
        };
        let number = self.next_number();
        let mut request = Vec::new();
        let mut digits = itoa::Buffer::new();
        write_command(
            &mut request,
            &[b"PUBLISH", &self.mark_channel, digits.format(number).as_bytes()],
        );
        route.messenger().send_own(&master, &request);
        Some(number)
    }

    pub(super) fn next_number(&self) -> u64 {
        self.last_number.set(self.last_number.get() + 1);
        self.last_number.get()
    }

    /// A mark has come through a replica.
    pub(super) fn marked(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>, message: &[u8]) {
        let Some(number) = mark_number(message) else {
            return;
        };
        link.passed.set(link.passed.get().max(number));
        let feed = self.feed(link.side);
        let former = feed.former.borrow().clone();
        let cut = former.as_ref().and_then(|former| former.fence.get());
        if let (Some(former), Some((cut, _))) = (former, cut)
            && number >= cut
        {
            // From here on it is the present link's to deliver, once the former one has got here too.
            if Rc::ptr_eq(&former.link, link) {
                link.is_muted.set(true);
                return;
            }
            link.pause(former.link.passed.get() < cut && former.link.is_ready());
        }
        if link.begins.get().is_none() && link.behind.get() == 0 && feed.is_present(link) {
            self.mark(route, link);
        }
        if link.is_muted.get() && link.begins.get().is_some_and(|begins| number >= begins) {
            self.unmute(route, link);
        }
        let (is_lost, sent) = {
            let mut marks = link.marks.borrow_mut();
            let earlier = marks.iter().take_while(|mark| mark.number < number).count();
            let known = marks.get(earlier).filter(|mark| mark.number == number).copied();
            marks.drain(..earlier + usize::from(known.is_some()));
            (earlier > 0, known.map(|mark| mark.sent))
        };
        let is_told = !feed.is_present(link) && feed.ready().is_some_and(|present| present.is_complete.get());
        if is_lost && !is_told {
            // Marks before this one never came: the replica was resynchronized past them.
            feed.misses(link.heard_all.get());
        }
        let is_whole = link.behind.get() == 0 && !link.is_muted.get() && number >= link.whole_from.get();
        if is_whole && (is_lost || !link.is_complete.get()) {
            self.complete(route, link);
        }
        if let Some(sent) = sent {
            link.heard_all.set(sent);
        }
    }
}

/// The number in a mark.
fn mark_number(message: &[u8]) -> Option<u64> {
    let text = message.strip_suffix(b"\r\n")?;
    let start = text.iter().rposition(|byte| *byte == b'\n')? + 1;
    std::str::from_utf8(text.get(start..)?).ok()?.parse().ok()
}
