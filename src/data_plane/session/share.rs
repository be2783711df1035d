//! How much of a link that others use too may one client have under way?
//!
//! Pure: so many bytes of its commands and their replies, since whoever comes next waits for all of that. What a reply will
//! take is not known when its command leaves, and waiting for it would cost a round trip each: it is taken to be as large as the largest of
//! late, which fades. So a client that turns to large values is ahead of its share once, by what it had sent before the first of them came.

use crate::limits::{SHARE_BYTES_FIRST, SHARE_BYTES_MAX};

/// By how much of itself the largest of late fades with each reply: a hundred small ones, and it is as good as forgotten.
const FADES_BY: u64 = 16;

/// A session's on one side.
#[derive(Debug)]
pub(crate) struct Share {
    /// Bytes that a command or its reply has, whichever is more: the most of late.
    each: u64,
    /// Of the reply that is coming.
    came: u64,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            each: SHARE_BYTES_FIRST,
            came: 0,
        }
    }
}

impl Share {
    /// Whether one more may follow those in flight. Always when there is none: then a reply comes after which it is asked again.
    #[inline]
    pub(crate) fn has_room(&self, in_flight: u64) -> bool {
        in_flight == 0 || in_flight * self.each < SHARE_BYTES_MAX
    }

    /// A command of this length leaves.
    #[inline]
    pub(crate) fn sends(&mut self, bytes: usize) {
        self.each = self.each.max(bytes as u64);
    }

    /// So much of a reply has come, and more will.
    pub(crate) fn comes(&mut self, bytes: usize) {
        self.came += bytes as u64;
        self.each = self.each.max(self.came);
    }

    /// So much has come, and it is the end of a reply.
    #[inline]
    pub(crate) fn ends(&mut self, bytes: usize) {
        let length = std::mem::take(&mut self.came) + bytes as u64;
        self.each = (self.each - self.each / FADES_BY).max(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many leave before one has to wait.
    fn room(share: &Share) -> u64 {
        (0..).find(|in_flight| !share.has_room(*in_flight)).unwrap()
    }

    #[test]
    fn large_values_take_more_of_it_and_fade() {
        let mut share = Share::default();
        assert_eq!(
            room(&share),
            SHARE_BYTES_MAX / SHARE_BYTES_FIRST,
            "nothing is known"
        );
        (0..200).for_each(|_| share.ends(70));
        assert_eq!(room(&share), SHARE_BYTES_MAX.div_ceil(70));
        share.ends(64 << 10);
        assert_eq!(room(&share), SHARE_BYTES_MAX / (64 << 10));
        (0..200).for_each(|_| share.ends(70));
        assert_eq!(room(&share), SHARE_BYTES_MAX.div_ceil(70), "it fades");
        share.sends(128 << 10);
        assert_eq!(
            room(&share),
            SHARE_BYTES_MAX / (128 << 10),
            "requests count as well"
        );
    }

    #[test]
    fn one_command_always_goes() {
        let mut share = Share::default();
        (0..100).for_each(|_| share.comes(1 << 20));
        assert_eq!(room(&share), 1);
        share.ends(0);
        assert_eq!(room(&share), 1);
    }
}
