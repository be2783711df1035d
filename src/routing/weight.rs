//! Which share of the slots belongs to `new`, and which slots are they?
//!
//! Pure: arithmetic on integers, so that every worker and every proxy agrees without talking.
//! A random choice per command was rejected: one key would then live on both sides at once.

use std::fmt;
use std::str::FromStr;

use crc::{CRC_16_XMODEM, Crc, Table};
use memchr::memchr;
use serde::{Deserialize, Serialize};

use crate::cluster::Side;
use crate::limits::SLOTS;

/// Redis Cluster's checksum, sixteen bytes at a time: an MGET of a hundred keys has a hundred of them made.
static CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_XMODEM);

/// A hash slot, `0..16384`, exactly as Redis Cluster computes it from a key's hash tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u16);

impl Slot {
    /// The slot of a key, or of a channel name: of its hash tag, the first `{…}` with something in it, if it has one.
    #[inline]
    pub fn of(key: &[u8]) -> Self {
        let tag = || {
            if !has_brace(key) {
                return None;
            }
            let after = key.get(memchr(b'{', key)? + 1..)?;
            after.get(..memchr(b'}', after)?).filter(|tag| !tag.is_empty())
        };
        Self(CRC.checksum(tag().unwrap_or(key)) % SLOTS)
    }

    /// The slot's number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The slot's place in the order in which slots move to `new`: a fixed bijection of `0..16384`.
    ///
    /// Multiplication by an odd constant modulo a power of two is a bijection; this one (2^14 / golden ratio, made
    /// odd) spreads neighbouring slots apart, so that any weight takes an even sample of a skewed key space.
    pub const fn rank(self) -> u16 {
        const ODD: u32 = 10_125;
        ((self.0 as u32 * ODD) % SLOTS as u32) as u16
    }
}

/// Most keys are short and have none, which eight bytes at a time takes a third of the instructions that memchr takes to begin.
#[inline]
fn has_brace(key: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let (chunks, rest) = key.as_chunks::<8>();
    // A byte that is one becomes zero, of which one less has its highest bit set while it has not itself.
    let has_one = |chunk: &[u8; 8]| {
        let different = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(b'{'));
        different.wrapping_sub(ONES) & !different & (ONES << 7) != 0
    };
    chunks.iter().any(has_one) || rest.contains(&b'{')
}

/// Share of slots owned by [`crate::cluster::Side::New`]. Unit: 1/10000. Range: `0..=10_000`.
/// An integer, so that equal inputs route equally on every worker and every proxy. Written as its text, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Weight(u16);

impl Weight {
    /// Everything on `old`.
    pub const ZERO: Self = Self(0);
    /// Everything on `new`.
    pub const FULL: Self = Self(10_000);

    /// A weight from hundredths of a percent; `None` above 10,000.
    pub const fn from_steps(steps: u16) -> Option<Self> {
        if steps <= Self::FULL.0 {
            Some(Self(steps))
        } else {
            None
        }
    }

    /// Hundredths of a percent, `0..=10_000`.
    pub const fn steps(self) -> u16 {
        self.0
    }

    /// The share as a number `0.0..=1.0`, for the `weight_ratio` metric.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::FULL.0)
    }

    /// How many ranks belong to `new`: a slot is new's when its rank is below this. `0` at 0 and `16384` at 100.
    /// Rounded up, so that the smallest weight above 0 moves something.
    pub const fn ranks(self) -> u16 {
        (self.0 as u32 * SLOTS as u32).div_ceil(Self::FULL.0 as u32) as u16
    }

    /// Whether any slot belongs to `side`.
    pub fn owns_any(self, side: Side) -> bool {
        match side {
            Side::Old => self != Self::FULL,
            Side::New => self != Self::ZERO,
        }
    }
}

impl fmt::Display for Weight {
    /// Percent with two decimals, `25.00`, as the admin socket replies it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// A weight that is not a percentage between 0 and 100 with at most two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a weight is a percentage from 0 to 100 with at most two decimals")]
pub struct ParseWeightError;

impl FromStr for Weight {
    type Err = ParseWeightError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || decimals.len() > 2 || !digits(whole) || !digits(decimals) {
            return Err(ParseWeightError);
        }
        if decimals.is_empty() && text.contains('.') {
            return Err(ParseWeightError);
        }
        let hundredths = format!("{decimals:0<2}");
        let number = |digits: &str| digits.parse::<u32>().map_err(|_| ParseWeightError);
        let steps = number(whole)? * 100 + number(&hundredths)?;
        let steps = u16::try_from(steps).map_err(|_| ParseWeightError)?;
        Self::from_steps(steps).ok_or(ParseWeightError)
    }
}

impl TryFrom<String> for Weight {
    type Error = ParseWeightError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Weight> for String {
    fn from(weight: Weight) -> Self {
        weight.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rank_is_a_bijection_of_all_slots() {
        let mut seen = vec![false; usize::from(SLOTS)];
        for number in 0..SLOTS {
            let rank = Slot(number).rank();
            assert!(
                !std::mem::replace(&mut seen[usize::from(rank)], true),
                "rank {rank} twice"
            );
        }
    }

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // CLUSTER KEYSLOT of a Redis 7.0.15 server.
        assert_eq!(Slot::of(b"foo").number(), 12_182);
        assert_eq!(
            Slot::of(b"{user1000}.following"),
            Slot::of(b"{user1000}.followers")
        );
        assert_eq!(Slot::of(b"foo{}{bar}").number(), 8_363);
        assert_eq!(Slot::of(b"").number(), 0);
    }

    proptest! {
        #[test]
        fn a_brace_is_seen_wherever_it_is(key in proptest::collection::vec(proptest::sample::select(vec![0u8, b'z', b'{', b'|', 0xfb, 0xff]), 0..20)) {
            prop_assert_eq!(has_brace(&key), key.contains(&b'{'));
        }

        #[test]
        fn a_slot_is_what_another_s_hash_of_the_key_is(
            key in prop_oneof![any::<Vec<u8>>().boxed(), "[{}a-z0-9]{0,80}".prop_map(String::into_bytes).boxed()]
        ) {
            prop_assert_eq!(Slot::of(&key).number(), redis_protocol::redis_keyslot(&key));
        }
    }

    #[test]
    fn ranks_cover_nothing_at_zero_and_everything_at_full() {
        assert_eq!(Weight::ZERO.ranks(), 0);
        assert_eq!(Weight::FULL.ranks(), SLOTS);
        assert_eq!(Weight(1).ranks(), 2);
        assert_eq!(Weight(5_000).ranks(), SLOTS / 2);
    }

    #[test]
    fn a_weight_reads_and_prints_as_percent_with_two_decimals() {
        assert_eq!("25".parse(), Ok(Weight(2_500)));
        assert_eq!("0.5".parse(), Ok(Weight(50)));
        assert_eq!("100.00".parse(), Ok(Weight::FULL));
        assert_eq!(Weight(2_505).to_string(), "25.05");
        for bad in [
            "", ".", "5.", "-1", "100.01", "656", "999.99", "1e1", "0.001", "+5", "١", "1000",
        ] {
            assert_eq!(bad.parse::<Weight>(), Err(ParseWeightError), "{bad:?}");
        }
    }
}
