//! Which connection is there before anybody needs it?
//!
//! Shell: one link of a worker to a side that is nobody's yet. Whoever needs a further link takes it at once, and the next one is
//! dialled behind. Were it dialled only then, what other clients send right after would come first at the node: on a server
//! commands run in the order in which they come. It is worth no more than that: where it cannot be had, all is dialled when needed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::backoff::Backoff;
use super::handshake::Setting;
use super::link::Link;
use crate::data_plane::users::UserId;

/// The spare link of one worker to one side.
#[derive(Default)]
pub(super) struct Reserve {
    link: RefCell<Option<Rc<Link>>>,
    /// The setting in which the next one will be needed; `None`: not before somebody needs one.
    setting: Cell<Option<Setting>>,
    backoff: RefCell<Backoff>,
}

impl Reserve {
    /// Somebody needs links in `setting`. Those of clients' own users are dialled when they are needed: there may be many.
    pub(super) fn expect(&self, setting: Setting) {
        if setting.user == UserId::FIRST {
            self.setting.set(Some(setting));
        }
    }

    /// Whether it is known what the next one is for.
    pub(super) fn is_expected(&self) -> bool {
        self.setting.get().is_some()
    }

    /// The setting in which one is to be dialled now.
    pub(super) fn missing(&self, now: Instant) -> Option<Setting> {
        let setting = self.setting.get()?;
        (!self.is_there(setting) && self.backoff.borrow().allows(now)).then_some(setting)
    }

    /// Whether there is one in `setting`, or will be.
    pub(super) fn is_there(&self, setting: Setting) -> bool {
        let link = self.link.borrow();
        let suits =
            |link: &Rc<Link>| link.setting.get() == setting && (link.is_ready() || link.is_dialling());
        link.as_ref().is_some_and(suits)
    }

    /// The one that has been dialled. One for another setting makes room for it; clients that take turns in several databases
    /// do not have it dialled at each turn.
    pub(super) fn put(&self, link: Rc<Link>) {
        if let Some(former) = self.link.replace(Some(link)) {
            former.close();
            self.wait();
        }
    }

    /// Hands it over.
    pub(super) fn take(&self, setting: Setting) -> Option<Rc<Link>> {
        if !self.is_there(setting) {
            return None;
        }
        self.backoff.borrow_mut().reset();
        self.link.take()
    }

    /// It has ended before anybody took it: a node may close what is idle.
    pub(super) fn ended(&self, link: &Rc<Link>) {
        let is_it = |own: &mut Rc<Link>| Rc::ptr_eq(own, link);
        if self.link.borrow_mut().take_if(is_it).is_some() {
            self.wait();
        }
    }

    /// It could not be had.
    pub(super) fn refused(&self, link: &Rc<Link>) {
        let is_it = self
            .link
            .borrow()
            .as_ref()
            .is_some_and(|own| Rc::ptr_eq(own, link));
        if is_it {
            self.give_up();
        }
    }

    /// Lets go of it, and dials none before somebody needs one again: its connection may be needed for something else.
    pub(super) fn give_up(&self) {
        self.setting.set(None);
        self.wait();
        if let Some(link) = self.link.take() {
            link.close();
        }
    }

    /// Another node is meant now, or none.
    pub(super) fn clear(&self) {
        self.give_up();
        self.backoff.borrow_mut().reset();
    }

    fn wait(&self) {
        self.backoff.borrow_mut().failed(Instant::now(), fastrand::f64());
    }
}
