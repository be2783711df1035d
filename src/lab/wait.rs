//! How is a condition waited for?
//!
//! Shell: polls, so that no test and no demo sleeps longer than it must.

use std::time::{Duration, Instant};

use super::LabError;

/// Short against everything that is waited for here, long against what it costs to ask a server.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` holds, `within` at most.
///
/// # Errors
/// [`LabError::Timeout`].
pub fn wait_for(what: &str, within: Duration, mut condition: impl FnMut() -> bool) -> Result<(), LabError> {
    let deadline = Instant::now() + within;
    while !condition() {
        if Instant::now() >= deadline {
            return Err(LabError::Timeout {
                what: what.to_owned(),
                waited: within,
            });
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}
