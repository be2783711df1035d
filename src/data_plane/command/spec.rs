//! Which command is this?
//!
//! Pure: a row of the table and how it is found by name. Names are compared without regard to case, as Redis does, on
//! a buffer on the stack.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::flags;
use super::intent::{Intent, MergeKind};
use super::keys::KeyRule;
use super::table::{COMMANDS, NAME_BYTES_MAX};

/// What is known of one command.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Lower case; a subcommand is `container|subcommand`, as Redis prints it.
    pub name: &'static str,
    /// Number of arguments, the name (of a subcommand: both names) included; negative is "at least".
    pub arity: i8,
    /// Bits of [`flags`].
    pub flags: u32,
    /// Where its keys are.
    pub keys: KeyRule,
    /// How it is treated when its arguments say nothing else; see [`super::classify()`].
    pub intent: Intent,
    /// See [`Self::is_repeatable`]: asked of every request.
    is_repeatable: bool,
    /// See [`Self::is_plain`]: asked of every request.
    is_plain: bool,
}

impl Spec {
    /// A row of the table.
    pub(super) const fn new(
        name: &'static str,
        arity: i8,
        flags: u32,
        keys: KeyRule,
        intent: Intent,
    ) -> Self {
        let spec = Self {
            name,
            arity,
            flags,
            keys,
            intent,
            is_repeatable: false,
            is_plain: false,
        };
        Self {
            is_repeatable: spec.has_no_effect(),
            is_plain: spec.goes_by_keys(),
            ..spec
        }
    }

    /// Whether it has this property.
    #[inline]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether a request of `args` arguments, names included, is neither too short nor too long.
    #[inline]
    pub const fn accepts(&self, args: usize) -> bool {
        let bound = self.arity.unsigned_abs() as usize;
        if self.arity < 0 {
            args >= bound
        } else {
            args == bound
        }
    }

    /// Whether it can change data. Scripts can, and Redis flags them neither way.
    #[inline]
    pub const fn may_write(&self) -> bool {
        self.has(flags::WRITE) || (self.has(flags::NO_MANDATORY_KEYS) && !self.has(flags::READONLY))
    }

    /// Whether sending it twice is as good as once, whatever came of the first. Redis flags only what reads keys as
    /// `readonly`; what is forwarded without any key and does not write (PING, TIME, INFO) has no effect either.
    #[inline]
    pub const fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    const fn has_no_effect(&self) -> bool {
        let keyless = matches!(
            (self.keys, self.intent),
            (
                KeyRule::None,
                Intent::Forward
                    | Intent::Info
                    | Intent::Everywhere(
                        MergeKind::Channels(_) | MergeKind::Subscribers(_) | MergeKind::Patterns
                    )
            )
        );
        self.has(flags::READONLY) || (keyless && !self.may_write())
    }

    /// Whether its keys, which are at fixed places, say all that there is to be known of a request with the right number of arguments:
    /// where they are on one side, it goes there as it is.
    #[inline]
    pub const fn is_plain(&self) -> bool {
        self.is_plain
    }

    const fn goes_by_keys(&self) -> bool {
        matches!(self.intent, Intent::Forward | Intent::Split(_))
            && matches!(self.keys, KeyRule::None | KeyRule::Range { .. })
            && !self.has(flags::CONTAINER | flags::ADMIN | flags::NO_MANDATORY_KEYS)
    }

    /// Whether it publishes a message: the `uncertain_publish` policy is its, and its channel is hashed as its key.
    #[inline]
    pub const fn is_publish(&self) -> bool {
        matches!(self.keys, KeyRule::Channel)
    }
}

/// The table by name. Apart, because `CONFIG|GET` in one word is a name of the table and no command of Redis.
struct Index {
    /// Commands whose names are a few letters and nothing else, which are those that are sent most: where [`slot`] says, or behind.
    short: Box<[Short; SHORT_SLOTS]>,
    commands: FxHashMap<&'static [u8], &'static Spec>,
    subcommands: FxHashMap<&'static [u8], &'static Spec>,
}

/// A name as [`folded`] has it, and its row; no row: a free place.
type Short = (u64, Option<&'static Spec>);

/// A power of two, a few times the number of commands.
const SHORT_SLOTS: usize = 1024;

/// Made at first use. A perfect hash made by the compiler was rejected: phf hashes with SipHash, which took more
/// instructions than the rest of a request's classification together (2026-11).
static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let (subcommands, commands): (FxHashMap<_, _>, FxHashMap<_, _>) = specs()
        .map(|spec| (spec.name.as_bytes(), spec))
        .partition(|(name, _)| name.contains(&b'|'));
    let mut short: Box<[Short; SHORT_SLOTS]> = Box::new([(0, None); SHORT_SLOTS]);
    for (&name, &spec) in &commands {
        if let Some(key) = folded(name).filter(|_| name.iter().all(u8::is_ascii_lowercase)) {
            let mut at = slot(key);
            while short[at].1.is_some() {
                at = (at + 1) % SHORT_SLOTS;
            }
            short[at] = (key, Some(spec));
        }
    }
    Index {
        short,
        commands,
        subcommands,
    }
});

/// A name of at most eight bytes as a number, the same in upper and in lower case. Two names of which one has letters alone have
/// the same number only if they are the same without regard to case: the bit that is set here is the one that tells letters' case.
#[inline]
fn folded(name: &[u8]) -> Option<u64> {
    let length = name.len();
    let word = match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(first), Some(last)) if length <= 8 => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4))
        }
        (None, None) => {
            let at = |at: usize| u64::from(name.get(at).copied().unwrap_or_default()) << (8 * at);
            at(0) | at(1) | at(2)
        }
        _ => return None,
    };
    let used = u64::MAX.checked_shr(64 - 8 * length as u32).unwrap_or_default();
    Some((word | 0x2020_2020_2020_2020) & used)
}

/// Where to begin to look for a name: the upper bits of a product by an odd number, 2^64 divided by the golden ratio.
#[inline]
fn slot(key: u64) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SHORT_SLOTS.ilog2())) as usize % SHORT_SLOTS
}

/// Every row, in no order. For tests and documentation.
pub fn specs() -> impl Iterator<Item = &'static Spec> {
    COMMANDS.iter()
}

/// The names that a route's `allow` may hold.
pub fn allowable() -> impl Iterator<Item = &'static str> {
    specs()
        .filter(|spec| matches!(spec.intent, Intent::Restricted(_)))
        .map(|spec| spec.name)
}

/// The command `name`, or with a container (CONFIG) its subcommand `sub`; `None` if Redis 7.0 has no such thing.
/// `sub` is the request's argument 1, and ignored for a command that has no subcommands.
#[inline]
pub fn lookup(name: &[u8], sub: Option<&[u8]>) -> Option<&'static Spec> {
    let spec = command(name)?;
    match sub {
        Some(sub) if spec.has(flags::CONTAINER) => subcommand(spec, sub),
        _ => Some(spec),
    }
}

/// The command or container called `name`.
#[inline]
pub(super) fn command(name: &[u8]) -> Option<&'static Spec> {
    let index = &*INDEX;
    if let Some(key) = folded(name) {
        let mut at = slot(key);
        while let (found, Some(spec)) = index.short[at] {
            if found == key {
                return Some(spec);
            }
            at = (at + 1) % SHORT_SLOTS;
        }
    }
    let mut key = [0; NAME_BYTES_MAX];
    key.get_mut(..name.len())?.copy_from_slice(name);
    // The whole buffer, whose length the compiler knows: a few vector instructions.
    key.make_ascii_lowercase();
    index.commands.get(key.get(..name.len())?).copied()
}

/// The subcommand `sub` of `container`.
#[inline]
pub(super) fn subcommand(container: &Spec, sub: &[u8]) -> Option<&'static Spec> {
    let mut key = [0; NAME_BYTES_MAX];
    let prefix = container.name.len();
    let key = key.get_mut(..prefix + 1 + sub.len())?;
    key[..prefix].copy_from_slice(container.name.as_bytes());
    key[prefix] = b'|';
    key[prefix + 1..].copy_from_slice(sub);
    key.make_ascii_lowercase();
    INDEX.subcommands.get(&*key).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, sub: Option<&str>) -> Option<&'static str> {
        lookup(name.as_bytes(), sub.map(str::as_bytes)).map(|spec| spec.name)
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(name("gEt", None), Some("get"));
        for spec in specs().filter(|spec| !spec.name.contains('|')) {
            assert_eq!(name(spec.name, None), Some(spec.name));
            assert_eq!(name(&spec.name.to_ascii_uppercase(), None), Some(spec.name));
        }
        assert_eq!(name("XGroup", Some("Create")), Some("xgroup|create"));
        assert_eq!(name("get", Some("create")), Some("get"));
        assert_eq!(name("xgroup", None), Some("xgroup"));
    }

    #[test]
    fn what_redis_does_not_know_is_not_found() {
        for unknown in ["", "gett", "config|get", "|", "ge\0", "get\0", "\u{130}nfo"] {
            assert_eq!(name(unknown, None), None, "{unknown:?}");
        }
        // One bit from a command, in each of its bytes.
        for spec in specs().filter(|spec| !spec.name.contains('|')) {
            for (at, bit) in (0..spec.name.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                let mut near = spec.name.as_bytes().to_vec();
                near[at] ^= 1 << bit;
                let known = lookup(&near, None).map(|found| found.name.as_bytes());
                let same = specs().find(|other| other.name.as_bytes().eq_ignore_ascii_case(&near));
                assert_eq!(known, same.map(|other| other.name.as_bytes()), "{near:?}");
            }
        }
        for unknown in ["", "gett", "|get", "get|"] {
            assert_eq!(name("config", Some(unknown)), None, "{unknown:?}");
        }
    }

    #[test]
    fn the_longest_name_is_found_and_one_byte_more_is_not() {
        let longest = specs().map(|spec| spec.name.len()).max();
        assert_eq!(longest, Some(NAME_BYTES_MAX));
        assert_eq!(
            name("cluster", Some("count-failure-reports")),
            Some("cluster|count-failure-reports")
        );
        assert_eq!(name("cluster", Some("count-failure-reportss")), None);
        assert_eq!(name(&"g".repeat(NAME_BYTES_MAX + 1), None), None);
    }

    #[test]
    fn every_row_has_a_name_of_its_own_and_stands_below_its_container() {
        assert_eq!(INDEX.commands.len() + INDEX.subcommands.len(), COMMANDS.len());
        for spec in specs() {
            if let Some((container, _)) = spec.name.split_once('|') {
                let container = command(container.as_bytes()).unwrap();
                assert!(container.has(flags::CONTAINER), "{}", spec.name);
            }
        }
    }

    #[test]
    fn arity_counts_the_name_and_negative_is_at_least() {
        let accepted = |name: &str, count| command(name.as_bytes()).unwrap().accepts(count);
        assert!(accepted("get", 2) && !accepted("get", 1) && !accepted("get", 3));
        assert!(accepted("set", 3) && !accepted("set", 2) && accepted("set", 1_000_000));
    }

    #[test]
    fn what_may_be_sent_twice_has_no_effect() {
        let repeatable = |name: &str, sub: Option<&str>| {
            lookup(name.as_bytes(), sub.map(str::as_bytes))
                .unwrap()
                .is_repeatable()
        };
        for (name, sub) in [
            ("get", None),
            ("ping", None),
            ("eval_ro", None),
            ("config", Some("get")),
        ] {
            assert!(repeatable(name, sub), "{name}");
        }
        for (name, sub) in [
            ("set", None),
            ("publish", None),
            ("eval", None),
            ("fcall", None),
            ("xreadgroup", None),
            ("multi", None),
            ("config", None),
            ("config", Some("set")),
            ("slowlog", Some("reset")),
        ] {
            assert!(!repeatable(name, sub), "{name}");
        }
    }

    #[test]
    fn scripts_may_write_unless_redis_says_that_they_only_read() {
        for (name, writes) in [
            ("eval", true),
            ("fcall", true),
            ("eval_ro", false),
            ("set", true),
            ("get", false),
        ] {
            assert_eq!(command(name.as_bytes()).unwrap().may_write(), writes, "{name}");
        }
    }
}
