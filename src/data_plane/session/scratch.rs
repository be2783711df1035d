//! What do a worker's clients share, because each needs it for a moment only?
//!
//! Shell: the buffer that sockets are read into, and inputs that nothing is kept in. A client has an input of its own only
//! while a part of a request, or one that has to wait, is in it: an idle one holds none, and a busy one allocates none.

use std::cell::{Ref, RefCell, RefMut};

use super::input::Input;
use crate::limits::{READ_BYTES, SPARE_INPUTS_MAX};

/// One for each worker.
pub(crate) struct Scratch {
    /// Zeroed once, so that it can be read into without `unsafe`.
    buffer: RefCell<Vec<u8>>,
    #[allow(
        clippy::vec_box,
        reason = "clients hold them by a pointer, which is what moves"
    )]
    inputs: RefCell<Vec<Box<Input>>>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            buffer: RefCell::new(vec![0; READ_BYTES]),
            inputs: RefCell::default(),
        }
    }

    /// To read into.
    #[inline]
    pub(crate) fn space(&self) -> RefMut<'_, Vec<u8>> {
        self.buffer.borrow_mut()
    }

    /// What has been read. To be let go of before anybody else reads.
    #[inline]
    pub(super) fn read(&self) -> Ref<'_, Vec<u8>> {
        self.buffer.borrow()
    }

    /// An input with nothing in it.
    #[inline]
    pub(super) fn input(&self) -> Box<Input> {
        self.inputs.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes one back in which nothing is kept.
    #[inline]
    pub(super) fn give_back(&self, mut input: Box<Input>) {
        let mut inputs = self.inputs.borrow_mut();
        if inputs.len() < SPARE_INPUTS_MAX {
            input.clear();
            inputs.push(input);
        }
    }
}
