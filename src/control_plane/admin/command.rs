//! Which command do the arguments of a request make?
//!
//! Pure: arguments in, a [`Command`] or the error line out. Redis's own words where Redis has them, so that an
//! operator with `redis-cli` reads what he knows.

use std::time::Duration;

use super::model::Command;
use crate::control_plane::shift::RampOrder;
use crate::limits::{ADMIN_DURATION_MAX, ADMIN_REASON_BYTES_MAX, EVENTS_KEPT, SHUTDOWN_GRACE};
use crate::resp::Args;
use crate::routing::{ParseWeightError, Weight};

/// A request that is not a command. The operator's fault; its text is the error line without the `-`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Too few or too many arguments.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(&'static str),
    /// Not a name we know.
    #[error("ERR unknown command '{name}', with args beginning with: {args}")]
    Unknown {
        /// As sent, escaped and cut.
        name: String,
        /// The same of the first arguments, each in quotes.
        args: String,
    },
    /// `CONFIG` knows one subcommand.
    #[error("ERR unknown subcommand '{0}'. Try HELP.")]
    Subcommand(String),
    /// An argument where none of the kind is expected.
    #[error("ERR syntax error")]
    Syntax,
    /// A name no route can have; what routes there are is the loop's to know.
    #[error("ERR no such route '{0}'")]
    Route(String),
    /// Not a percentage.
    #[error("ERR {0}")]
    Weight(#[from] ParseWeightError),
    /// Not a number of seconds in range.
    #[error("ERR {what} takes seconds from {least} to {}, decimals allowed", ADMIN_DURATION_MAX.as_secs())]
    Seconds {
        /// `OVER` or `GRACE`.
        what: &'static str,
        /// The lower bound in words.
        least: &'static str,
    },
    /// `COUNT` is not a number above 0. Redis's words.
    #[error("ERR value is out of range, must be positive")]
    Count,
    /// `FORCE` and `REASON` without a text.
    #[error("ERR {0} needs a text")]
    NoReason(&'static str),
    /// A reason that is not one line.
    #[error("ERR a reason has at most {ADMIN_REASON_BYTES_MAX} bytes")]
    LongReason,
    /// Not what can be wanted of a ramp.
    #[error("ERR RAMP takes START, PAUSE, RESUME or ABORT")]
    Ramp,
}

/// Makes a command of the arguments of one request. PING, HELLO, SUBSCRIBE and the like are not among them: they
/// concern the connection, and [`super::peer`] has answered them before.
///
/// # Errors
/// [`CommandError`]: say it and read on.
pub fn parse(args: Args<'_>) -> Result<Command, CommandError> {
    let words: Vec<&[u8]> = args.iter().collect();
    let (name, rest) = match words.as_slice() {
        [] => return Err(unknown(b"", &[])),
        [name, rest @ ..] => (*name, rest),
    };
    match name.to_ascii_uppercase().as_slice() {
        b"STATUS" => listing(rest, "status", |route, json| Command::Status { route, json }),
        b"HEALTH" => listing(rest, "health", |route, json| Command::Health { route, json }),
        b"TOPOLOGY" => listing(rest, "topology", |route, json| Command::Topology { route, json }),
        b"EVENTS" => events(rest),
        b"WEIGHT" => weight(rest),
        b"BACK" => back(rest),
        b"ARM" => match rest {
            [name] => Ok(Command::Arm { route: route(name)? }),
            _ => Err(CommandError::Arity("arm")),
        },
        b"RAMP" => ramp(rest),
        b"CONFIG" => config(rest),
        b"UPGRADE" if rest.is_empty() => Ok(Command::Upgrade),
        b"UPGRADE" => Err(CommandError::Arity("upgrade")),
        b"SHUTDOWN" => shutdown(rest),
        _ => Err(unknown(name, rest)),
    }
}

/// `[route] [JSON]`. A route that is called `json` is reached as `json JSON`.
fn listing(
    rest: &[&[u8]],
    name: &'static str,
    command: impl FnOnce(Option<String>, bool) -> Command,
) -> Result<Command, CommandError> {
    match rest {
        [] => Ok(command(None, false)),
        [word] if is(word, "JSON") => Ok(command(None, true)),
        [name] => Ok(command(Some(route(name)?), false)),
        [name, word] if is(word, "JSON") => Ok(command(Some(route(name)?), true)),
        [_, _] => Err(CommandError::Syntax),
        _ => Err(CommandError::Arity(name)),
    }
}

fn events(mut rest: &[&[u8]]) -> Result<Command, CommandError> {
    let (mut count, mut json) = (EVENTS_KEPT, false);
    loop {
        rest = match rest {
            [] => return Ok(Command::Events { count, json }),
            [word, number, rest @ ..] if is(word, "COUNT") => {
                count = number_above_zero(number)?.min(EVENTS_KEPT);
                rest
            }
            [word, rest @ ..] if is(word, "JSON") => {
                json = true;
                rest
            }
            _ => return Err(CommandError::Syntax),
        };
    }
}

fn weight(rest: &[&[u8]]) -> Result<Command, CommandError> {
    let (name, percent, options) = match rest {
        [] => return Err(CommandError::Arity("weight")),
        [name] => return Ok(Command::GetWeight { route: route(name)? }),
        [name, percent, options @ ..] => (name, percent, options),
    };
    let (over, options) = match options {
        [word, seconds, rest @ ..] if is(word, "OVER") => (Some(over(seconds)?), rest),
        rest => (None, rest),
    };
    let force = match options {
        [] => None,
        [word, reason @ ..] if is(word, "FORCE") => Some(text(reason, "FORCE")?),
        _ => return Err(CommandError::Syntax),
    };
    Ok(Command::SetWeight {
        route: route(name)?,
        weight: std::str::from_utf8(percent)
            .unwrap_or_default()
            .parse::<Weight>()?,
        over,
        force,
    })
}

fn back(rest: &[&[u8]]) -> Result<Command, CommandError> {
    match rest {
        [] => Err(CommandError::Arity("back")),
        [name] => Ok(Command::Back {
            route: route(name)?,
            reason: None,
        }),
        [name, word, reason @ ..] if is(word, "REASON") => Ok(Command::Back {
            route: route(name)?,
            reason: Some(text(reason, "REASON")?),
        }),
        _ => Err(CommandError::Syntax),
    }
}

fn ramp(rest: &[&[u8]]) -> Result<Command, CommandError> {
    let [name, word] = rest else {
        return Err(CommandError::Arity("ramp"));
    };
    let order = match word.to_ascii_uppercase().as_slice() {
        b"START" => RampOrder::Start,
        b"PAUSE" => RampOrder::Pause,
        b"RESUME" => RampOrder::Resume,
        b"ABORT" => RampOrder::Abort,
        _ => return Err(CommandError::Ramp),
    };
    Ok(Command::Ramp {
        route: route(name)?,
        order,
    })
}

fn config(rest: &[&[u8]]) -> Result<Command, CommandError> {
    match rest {
        [] => Err(CommandError::Arity("config")),
        [word] if is(word, "RELOAD") => Ok(Command::ConfigReload),
        [word, ..] if is(word, "RELOAD") => Err(CommandError::Arity("config|reload")),
        [word, ..] => Err(CommandError::Subcommand(escaped(word))),
    }
}

fn shutdown(rest: &[&[u8]]) -> Result<Command, CommandError> {
    let error = CommandError::Seconds {
        what: "GRACE",
        least: "0",
    };
    match rest {
        [] => Ok(Command::Shutdown {
            grace: SHUTDOWN_GRACE,
        }),
        [word, number] if is(word, "GRACE") => Ok(Command::Shutdown {
            grace: seconds(number).ok_or(error)?,
        }),
        _ => Err(CommandError::Syntax),
    }
}

fn over(number: &[u8]) -> Result<Duration, CommandError> {
    let positive = seconds(number).filter(|duration| !duration.is_zero());
    positive.ok_or(CommandError::Seconds {
        what: "OVER",
        least: "above 0",
    })
}

/// Digits with at most one point: `f64`'s own syntax would take `inf`, `1e3` and a sign.
fn seconds(number: &[u8]) -> Option<Duration> {
    let plain = number.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !plain || number.len() > 32 {
        return None;
    }
    let number: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let duration = Duration::try_from_secs_f64(number).ok()?;
    (duration <= ADMIN_DURATION_MAX).then_some(duration)
}

fn number_above_zero(number: &[u8]) -> Result<usize, CommandError> {
    let number = crate::resp::parse_i64(number).ok_or(CommandError::Count)?;
    match usize::try_from(number) {
        Ok(0) | Err(_) => Err(CommandError::Count),
        Ok(number) => Ok(number),
    }
}

/// A route's name, `[A-Za-z0-9._-]{1,64}` as in the configuration. Anything else is no route, and no text either.
fn route(name: &[u8]) -> Result<String, CommandError> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    match std::str::from_utf8(name) {
        Ok(text) if (1..=64).contains(&name.len()) && name.iter().all(allowed) => Ok(text.to_owned()),
        _ => Err(CommandError::Route(escaped(name))),
    }
}

/// The rest of the line. Control characters become spaces: it is shown to operators and kept as one line.
fn text(words: &[&[u8]], what: &'static str) -> Result<String, CommandError> {
    let joined = words.join(&b' ');
    let text: String = String::from_utf8_lossy(&joined)
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    match text.trim() {
        "" => Err(CommandError::NoReason(what)),
        text if text.len() > ADMIN_REASON_BYTES_MAX => Err(CommandError::LongReason),
        text => Ok(text.to_owned()),
    }
}

fn is(word: &[u8], expected: &str) -> bool {
    word.eq_ignore_ascii_case(expected.as_bytes())
}

/// As in Redis: the name and the first arguments, each cut at 128 bytes in all.
pub(super) fn unknown(name: &[u8], rest: &[&[u8]]) -> CommandError {
    let mut args = String::new();
    for word in rest {
        if args.len() >= 128 {
            break;
        }
        args.push_str(&format!("'{}' ", escaped(word)));
    }
    CommandError::Unknown {
        name: escaped(name),
        args,
    }
}

/// Foreign bytes for an error line: no control characters, not long.
pub(super) fn escaped(word: &[u8]) -> String {
    word.get(..64).unwrap_or(word).escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::with_args;
    use proptest::prelude::*;

    fn line(line: &str) -> Result<Command, CommandError> {
        with_args(&line.split(' ').collect::<Vec<_>>(), parse)
    }

    fn error(request: &str) -> String {
        line(request).unwrap_err().to_string()
    }

    fn status(route: Option<&str>, json: bool) -> Command {
        let route = route.map(str::to_owned);
        Command::Status { route, json }
    }

    #[test]
    fn a_listing_takes_a_route_and_json_in_any_case() {
        assert_eq!(line("STATUS"), Ok(status(None, false)));
        assert_eq!(line("status json"), Ok(status(None, true)));
        assert_eq!(line("Status r-1"), Ok(status(Some("r-1"), false)));
        assert_eq!(line("STATUS r.1_x Json"), Ok(status(Some("r.1_x"), true)));
        assert_eq!(line("STATUS json JSON"), Ok(status(Some("json"), true)));
        let route = Some("r".to_owned());
        assert_eq!(line("health r"), Ok(Command::Health { route, json: false }));
        assert_eq!(
            line("TOPOLOGY"),
            Ok(Command::Topology {
                route: None,
                json: false
            })
        );
        assert_eq!(error("STATUS r TEXT"), "ERR syntax error");
        assert_eq!(
            error("HEALTH r JSON x"),
            "ERR wrong number of arguments for 'health' command"
        );
    }

    #[test]
    fn a_weight_is_asked_for_or_set_with_options() {
        let set = |percent: &str, over: Option<f64>, force: Option<&str>| Command::SetWeight {
            route: "r".to_owned(),
            weight: percent.parse().unwrap(),
            over: over.map(Duration::from_secs_f64),
            force: force.map(str::to_owned),
        };
        assert_eq!(
            line("WEIGHT r"),
            Ok(Command::GetWeight {
                route: "r".to_owned()
            })
        );
        assert_eq!(line("weight r 25.5"), Ok(set("25.5", None, None)));
        assert_eq!(line("weight r 25 over 60"), Ok(set("25", Some(60.0), None)));
        assert_eq!(line("WEIGHT r 25 OVER .5"), Ok(set("25", Some(0.5), None)));
        assert_eq!(
            line("WEIGHT r 25 OVER 60 FORCE some words OVER here"),
            Ok(set("25", Some(60.0), Some("some words OVER here")))
        );
        assert_eq!(line("WEIGHT r 25 FORCE x"), Ok(set("25", None, Some("x"))));
        assert_eq!(
            error("WEIGHT"),
            "ERR wrong number of arguments for 'weight' command"
        );
        for bad in ["101", "-1", "abc", "1e1", ""] {
            assert_eq!(
                error(&format!("WEIGHT r {bad}")),
                "ERR a weight is a percentage from 0 to 100 with at most two decimals"
            );
        }
        assert_eq!(error("WEIGHT r 25 FORCE"), "ERR FORCE needs a text");
        assert_eq!(error("WEIGHT r 25 FORCE  \t"), "ERR FORCE needs a text");
        for bad in ["WEIGHT r 25 OVER", "WEIGHT r 25 60", "WEIGHT r 25 OVER 1 OVER 2"] {
            assert_eq!(error(bad), "ERR syntax error", "{bad}");
        }
    }

    #[test]
    fn seconds_are_above_zero_and_at_most_a_day() {
        assert!(line("WEIGHT r 1 OVER 86400").is_ok());
        for bad in [
            "86400.001",
            "0",
            "0.0",
            "-1",
            "+1",
            "1e3",
            "inf",
            "nan",
            ".",
            "1.2.3",
            "0.0000000001",
            "1s",
        ] {
            assert_eq!(
                error(&format!("WEIGHT r 1 OVER {bad}")),
                "ERR OVER takes seconds from above 0 to 86400, decimals allowed",
                "{bad}"
            );
        }
        let grace = |seconds| {
            Ok(Command::Shutdown {
                grace: Duration::from_secs(seconds),
            })
        };
        assert_eq!(line("SHUTDOWN GRACE 0"), grace(0));
        assert_eq!(line("shutdown"), grace(SHUTDOWN_GRACE.as_secs()));
        assert_eq!(error("SHUTDOWN NOW"), "ERR syntax error");
        assert_eq!(
            error("SHUTDOWN GRACE x"),
            "ERR GRACE takes seconds from 0 to 86400, decimals allowed"
        );
    }

    #[test]
    fn going_back_may_have_a_reason_and_arming_none() {
        let back = |reason: Option<&str>| Command::Back {
            route: "r".to_owned(),
            reason: reason.map(str::to_owned),
        };
        assert_eq!(line("BACK r"), Ok(back(None)));
        assert_eq!(line("back r reason it is late"), Ok(back(Some("it is late"))));
        assert_eq!(error("BACK r REASON"), "ERR REASON needs a text");
        assert_eq!(error("BACK r it is late"), "ERR syntax error");
        assert_eq!(
            line("ARM r"),
            Ok(Command::Arm {
                route: "r".to_owned()
            })
        );
        assert_eq!(error("ARM"), "ERR wrong number of arguments for 'arm' command");
        assert_eq!(
            error("ARM r s"),
            "ERR wrong number of arguments for 'arm' command"
        );
    }

    #[test]
    fn a_ramp_is_started_paused_resumed_or_aborted() {
        let ramp = |order| {
            Ok(Command::Ramp {
                route: "r".to_owned(),
                order,
            })
        };
        assert_eq!(line("RAMP r START"), ramp(RampOrder::Start));
        assert_eq!(line("ramp r pause"), ramp(RampOrder::Pause));
        assert_eq!(line("RAMP r Resume"), ramp(RampOrder::Resume));
        assert_eq!(line("RAMP r ABORT"), ramp(RampOrder::Abort));
        for bad in ["RAMP", "RAMP r", "RAMP r START now"] {
            assert_eq!(
                error(bad),
                "ERR wrong number of arguments for 'ramp' command",
                "{bad}"
            );
        }
        assert_eq!(
            error("RAMP r sideways"),
            "ERR RAMP takes START, PAUSE, RESUME or ABORT"
        );
        assert_eq!(error("RAMP a/b START"), "ERR no such route 'a/b'");
    }

    #[test]
    fn a_reason_is_one_line_and_bounded() {
        let reason = |words: &[&str]| with_args(&[&["BACK", "r", "REASON"], words].concat(), parse);
        assert_eq!(
            reason(&["a\r\n-OK", "\u{1b}[31m"]),
            Ok(Command::Back {
                route: "r".to_owned(),
                reason: Some("a  -OK  [31m".to_owned())
            })
        );
        let at = "x".repeat(ADMIN_REASON_BYTES_MAX);
        assert!(reason(&[&at]).is_ok());
        assert_eq!(reason(&[&at, "x"]), Err(CommandError::LongReason));
    }

    #[test]
    fn events_are_counted_from_one_to_as_many_as_are_kept() {
        let events = |count, json| Ok(Command::Events { count, json });
        assert_eq!(line("EVENTS"), events(EVENTS_KEPT, false));
        assert_eq!(line("EVENTS COUNT 5 JSON"), events(5, true));
        assert_eq!(line("events json count 1"), events(1, true));
        assert_eq!(line("EVENTS COUNT 99999999"), events(EVENTS_KEPT, false));
        for bad in ["0", "-1", "x", "99999999999999999999", ""] {
            assert_eq!(
                error(&format!("EVENTS COUNT {bad}")),
                "ERR value is out of range, must be positive"
            );
        }
        assert_eq!(error("EVENTS COUNT"), "ERR syntax error");
    }

    #[test]
    fn what_is_no_command_is_said_in_the_words_of_redis() {
        assert_eq!(
            error("FLUSHALL now please"),
            "ERR unknown command 'FLUSHALL', with args beginning with: 'now' 'please' "
        );
        assert_eq!(line("CONFIG reload"), Ok(Command::ConfigReload));
        assert_eq!(line("upgrade"), Ok(Command::Upgrade));
        assert_eq!(
            error("UPGRADE now"),
            "ERR wrong number of arguments for 'upgrade' command"
        );
        assert_eq!(error("CONFIG GET"), "ERR unknown subcommand 'GET'. Try HELP.");
        assert_eq!(error("ARM a/b"), "ERR no such route 'a/b'");
        assert!(line(&format!("ARM {}", "x".repeat(64))).is_ok());
        assert!(line(&format!("ARM {}", "x".repeat(65))).is_err());
    }

    proptest! {
        #[test]
        fn no_arguments_panic_and_no_error_breaks_its_line(
            name in proptest::sample::select(vec!["STATUS", "WEIGHT", "BACK", "EVENTS", "CONFIG", "UPGRADE", "SHUTDOWN", "ARM", "RAMP", "X"]),
            rest in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec!["r", "JSON", "OVER", "FORCE", "COUNT", "GRACE", "REASON", "START", "25", "1.5"])
                        .prop_map(|word| word.as_bytes().to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..200),
                ],
                0..8,
            ),
        ) {
            let mut bytes = name.as_bytes().to_vec();
            let mut spans = vec![(0, bytes.len() as u32)];
            for word in &rest {
                spans.push((bytes.len() as u32, word.len() as u32));
                bytes.extend_from_slice(word);
            }
            if let Err(error) = parse(Args::new(&bytes, &spans)) {
                let text = error.to_string();
                prop_assert!(!text.contains(['\r', '\n']), "{:?}", text);
                prop_assert!(text.len() < 1024);
            }
        }

        #[test]
        fn every_weight_and_time_reads_back(steps in 0u16..=10_000, millis in 1u64..=86_400_000) {
            let weight = Weight::from_steps(steps).unwrap();
            let seconds = format!("{}.{:03}", millis / 1000, millis % 1000);
            let request = format!("WEIGHT r {weight} OVER {seconds}");
            let Ok(Command::SetWeight { weight: read, over: Some(over), .. }) = line(&request) else {
                return Err(TestCaseError::fail(request));
            };
            prop_assert_eq!(read, weight);
            prop_assert_eq!(over.as_millis(), u128::from(millis));
        }
    }
}
