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
        Self {
            name,
            arity,
            flags,
            keys,
            intent,
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

    /// Whether it publishes a message: the `uncertain_publish` policy is its, and its channel is hashed as its key.
    #[inline]
    pub const fn is_publish(&self) -> bool {
        matches!(self.keys, KeyRule::Channel)
    }
}

/// The table by name. Apart, because `CONFIG|GET` in one word is a name of the table and no command of Redis.
struct Index {
    commands: FxHashMap<&'static [u8], &'static Spec>,
    subcommands: FxHashMap<&'static [u8], &'static Spec>,
}

/// Made at first use. A perfect hash made by the compiler was rejected: phf hashes with SipHash, which took more
/// instructions than the rest of a request's classification together (2026-11).
static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let (subcommands, commands) = specs()
        .map(|spec| (spec.name.as_bytes(), spec))
        .partition(|(name, _)| name.contains(&b'|'));
    Index {
        commands,
        subcommands,
    }
});

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
    let mut key = [0; NAME_BYTES_MAX];
    key.get_mut(..name.len())?.copy_from_slice(name);
    // The whole buffer, whose length the compiler knows: a few vector instructions.
    key.make_ascii_lowercase();
    INDEX.commands.get(key.get(..name.len())?).copied()
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
        assert_eq!(name("XGroup", Some("Create")), Some("xgroup|create"));
        assert_eq!(name("get", Some("create")), Some("get"));
        assert_eq!(name("xgroup", None), Some("xgroup"));
    }

    #[test]
    fn what_redis_does_not_know_is_not_found() {
        for unknown in ["", "gett", "config|get", "|", "ge\0", "get\0", "\u{130}nfo"] {
            assert_eq!(name(unknown, None), None, "{unknown:?}");
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
