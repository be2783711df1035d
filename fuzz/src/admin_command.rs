//! Does every request make a command within its bounds, or an error of one short line?

use std::time::Duration;

use switchback::control_plane::admin::{Command, Reply, json, parse};
use switchback::limits::{ADMIN_DURATION_MAX, ADMIN_REASON_BYTES_MAX, ADMIN_REQUEST_BYTES_MAX, EVENTS_KEPT};
use switchback::resp::{Args, RequestParser};

/// Longest error line a request can bring about, in bytes: a name and some arguments, escaped.
const ERROR_BYTES_MAX: usize = 1_024;

/// Panics when a command or an error leaves its bounds.
pub fn check(mut input: &[u8]) {
    let mut parser = RequestParser::new();
    while let Ok(Some(length)) = parser.parse(input, ADMIN_REQUEST_BYTES_MAX) {
        let bytes = parser.rewritten().unwrap_or(input);
        match parse(Args::new(bytes, parser.spans())) {
            Ok(command) => bounded(&command),
            Err(error) => {
                let line = error.to_string();
                assert!(line.len() <= ERROR_BYTES_MAX, "{} bytes", line.len());
                assert!(!line.contains(char::is_control), "{line:?}");
                assert!(json(&Reply::Error(line)).starts_with("\"ERR "));
            }
        }
        parser.reset();
        input = &input[length..];
    }
}

fn bounded(command: &Command) {
    match command {
        Command::Status { route, .. } | Command::Health { route, .. } | Command::Topology { route, .. } => {
            route.iter().for_each(|route| is_name(route));
        }
        Command::GetWeight { route } | Command::Arm { route } | Command::Ramp { route, .. } => is_name(route),
        Command::Back { route, reason } => {
            is_name(route);
            reason.iter().for_each(|reason| is_reason(reason));
        }
        Command::SetWeight {
            route, over, force, ..
        } => {
            is_name(route);
            force.iter().for_each(|reason| is_reason(reason));
            assert!(over.is_none_or(|over| Duration::ZERO < over && over <= ADMIN_DURATION_MAX));
        }
        Command::Events { count, .. } => assert!((1..=EVENTS_KEPT).contains(count)),
        Command::Shutdown { grace } => assert!(*grace <= ADMIN_DURATION_MAX),
        Command::ConfigReload | Command::Upgrade => {}
        Command::SubscribeEvents { .. } => unreachable!("made by the socket, never by arguments"),
    }
}

fn is_name(route: &str) {
    assert!((1..=64).contains(&route.len()), "{route:?}");
    assert!(
        route
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)),
        "{route:?}"
    );
}

fn is_reason(reason: &str) {
    assert!((1..=ADMIN_REASON_BYTES_MAX).contains(&reason.len()), "{reason:?}");
    assert!(
        !reason.contains(char::is_control) && reason.trim() == reason,
        "{reason:?}"
    );
}
