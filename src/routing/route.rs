//! Which side owns a slot, and do a command's slots have one owner?
//!
//! Pure: `owner(slot)` is the one question routing asks, so that a later kind of side can answer it differently.

use super::{Slot, Weight};
use crate::cluster::Side;

/// The side a slot belongs to at this weight.
#[inline]
pub fn owner(slot: Slot, weight: Weight) -> Side {
    if slot.rank() < weight.ranks() {
        Side::New
    } else {
        Side::Old
    }
}

/// The side that owns most slots; `old` at exactly half. Commands without a key that want one server go here.
#[inline]
pub fn majority_owner(weight: Weight) -> Side {
    if weight.steps() > Weight::FULL.steps() / 2 {
        Side::New
    } else {
        Side::Old
    }
}

/// The owners of the keys of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// The command has no key.
    None,
    /// All its keys belong to this side.
    One(Side),
    /// Its keys belong to both.
    Both,
}

impl Owners {
    /// The owners of the keys seen so far and one more.
    #[inline]
    pub fn and(self, side: Side) -> Self {
        match self {
            Self::None => Self::One(side),
            Self::One(one) if one == side => self,
            Self::One(_) | Self::Both => Self::Both,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn raising_the_weight_only_moves_slots_from_old_to_new(key: Vec<u8>, a in 0..=10_000u16, b in 0..=10_000u16) {
            let (low, high) = (a.min(b), a.max(b));
            let slot = Slot::of(&key);
            if owner(slot, Weight::from_steps(low).unwrap()) == Side::New {
                prop_assert_eq!(owner(slot, Weight::from_steps(high).unwrap()), Side::New);
            }
        }

        #[test]
        fn at_zero_and_at_full_one_side_owns_everything(key: Vec<u8>) {
            prop_assert_eq!(owner(Slot::of(&key), Weight::ZERO), Side::Old);
            prop_assert_eq!(owner(Slot::of(&key), Weight::FULL), Side::New);
        }
    }
}
