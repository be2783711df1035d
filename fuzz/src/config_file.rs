//! Is every file a configuration or a list of faults, and does neither show a password?
//!
//! Files that it names hold what the input has behind its first NUL, and so do variables.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use switchback::config::{Surroundings, parse, reloadable};

/// No input has it by accident.
const PASSWORD: &str = "hunter2-hunter2";

/// Panics when a config needs a restart to become itself, or when a fault or a config tells a password.
pub fn check(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (text, file) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let text = String::from_utf8_lossy(text);
    let around = Surroundings {
        cores: 2,
        is_root: false,
        read: &|_, most| {
            Ok([PASSWORD.as_bytes(), file]
                .concat()
                .into_iter()
                .take(most)
                .collect())
        },
        env: &|_| Some(OsString::from_vec([PASSWORD.as_bytes(), file].concat())),
        roots: &Vec::new,
    };
    match parse(&text, &around) {
        Ok(config) => {
            assert!(!config.routes.is_empty(), "nothing to do");
            assert!(reloadable(&config, &config).is_ok(), "it is not itself");
            assert!(!format!("{config:?}").contains(PASSWORD), "a password is told");
        }
        Err(faults) => {
            let told = faults.to_string();
            assert!(!told.is_empty(), "no fault");
            assert!(
                !told.contains(PASSWORD) || text.contains(PASSWORD),
                "a password is told"
            );
            assert!(
                told.lines().all(|line| !line.contains(['\r', '\0'])),
                "a fault breaks its line"
            );
        }
    }
}
