//! What does one connection authenticate with, and where does the password come from?
//!
//! Pure given [`Surroundings`]: reads a password file or an environment variable through them. Faults name the key,
//! never the file, the variable or anything in them: people paste a password where its name belongs.

use std::path::Path;

use super::found::Found;
use super::keys::Keys;
use super::section::Section;
use super::surroundings::Surroundings;
use super::url::Given;
use crate::cluster::{Credentials, Secret};
use crate::limits::PASSWORD_BYTES_MAX;

/// `old_auth`, `old_sentinel_auth`, `new_auth`, `new_sentinel_auth`.
pub(super) const AUTH: Keys = Keys {
    known: &["user", "password", "password_file", "password_env"],
};

/// A table's user and password. `None`: something in it is faulty, and reported.
pub(super) fn given(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Given> {
    let user = section
        .get("user")
        .map(|found| found.parsed("an ACL user's name, 1 to 256 bytes", user));
    let mut passwords = Vec::new();
    for key in ["password", "password_file", "password_env"] {
        let Some(found) = section.get(key) else { continue };
        if !passwords.is_empty() {
            found.fault("a second password; allowed: one of password, password_file and password_env");
        }
        passwords.push(password(&found, key, around));
    }
    let password = passwords.pop();
    Some(Given {
        user: all_or_none(user)?,
        password: all_or_none(password)?,
    })
}

/// `None` for what is there and faulty.
fn all_or_none<T>(found: Option<Option<T>>) -> Option<Option<T>> {
    match found {
        Some(None) => None,
        found => Some(found.flatten()),
    }
}

fn password(found: &Found<'_>, key: &str, around: &Surroundings<'_>) -> Option<Secret> {
    let text = found.text("a string")?;
    let password = match key {
        "password" => checked(text.to_owned()),
        "password_file" => from_file(Path::new(text), around),
        _ => from_env(text, around).unwrap_or_else(|| Err("the variable it names is not set".to_owned())),
    };
    password.map_err(|text| found.fault(text)).ok()
}

fn user(text: &str) -> Option<String> {
    (1..=256).contains(&text.len()).then(|| text.to_owned())
}

fn checked(text: String) -> Result<Secret, String> {
    match text.len() {
        0 => Err("the password is empty".to_owned()),
        1..=PASSWORD_BYTES_MAX => Ok(Secret::new(text)),
        _ => Err(format!("the password is longer than {PASSWORD_BYTES_MAX} bytes")),
    }
}

/// The first newline at the end is the editor's, not the password's.
fn from_file(path: &Path, around: &Surroundings<'_>) -> Result<Secret, String> {
    // One byte and a newline more than allowed: longer files need not be read to be refused.
    let bytes = (around.read)(path, PASSWORD_BYTES_MAX + 3)
        .map_err(|error| format!("the file it names cannot be read: {}", error.kind()))?;
    let mut text = String::from_utf8(bytes).map_err(|_| "the file it names is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    checked(text)
}

/// A password from an environment variable; `None` when it is not set.
pub(super) fn from_env(name: &str, around: &Surroundings<'_>) -> Option<Result<Secret, String>> {
    let value = (around.env)(name)?;
    let text = value.into_string();
    Some(text.map_or_else(|_| Err("the variable's value is not UTF-8".to_owned()), checked))
}

/// One connection's credentials out of what the URL and the other place say; each part may come from either.
///
/// # Errors
/// What is wrong with the two together.
pub(super) fn merge(url: Given, other: Given) -> Result<Option<Credentials>, &'static str> {
    if url.user.is_some() && other.user.is_some() {
        return Err("a second user; its URL has one already");
    }
    if url.password.is_some() && other.password.is_some() {
        return Err("a second password; its URL has one already");
    }
    let user = url.user.or(other.user);
    match (user, url.password.or(other.password)) {
        (user, Some(password)) => Ok(Some(Credentials { user, password })),
        (Some(_), None) => {
            Err("a user without a password; in a URL a password alone is written redis://:PASSWORD@…")
        }
        (None, None) => Ok(None),
    }
}
