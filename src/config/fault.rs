//! What is wrong with a config, and where?
//!
//! Pure: collects faults instead of stopping at the first, because an operator who mends five one by one makes five
//! deploys of it. No text in here ever holds a password: what is shown of found values goes through [`super::shown`].

use std::cell::{Cell, RefCell};
use std::fmt;

use crate::limits::FAULTS_MAX;

/// One thing wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, `route[pubsub-1].guard.heartbeat_delay.limit`; a flag, `--old`; or the file itself.
    pub path: String,
    /// Counted from 1, where the fault is in a file.
    pub line: Option<usize>,
    /// What was found and what is allowed. One line.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} (line {line}): {}", self.path, self.text),
            None => write!(f, "{}: {}", self.path, self.text),
        }
    }
}

/// Everything wrong with a config, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The only fault there is.
    pub(super) fn one(path: impl Into<String>, line: Option<usize>, text: impl Into<String>) -> Self {
        Self(vec![Fault {
            path: path.into(),
            line,
            text: text.into(),
        }])
    }

    /// Each fault, at least one.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Faults {
    /// One line each, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Where faults are put while a config is read. Shared by reference among all readers of one config.
#[derive(Debug)]
pub(super) struct Report<'a> {
    text: &'a str,
    faults: RefCell<Vec<Fault>>,
    unlisted: Cell<usize>,
}

impl<'a> Report<'a> {
    /// `text`: what byte offsets refer to; empty where there is no file.
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            faults: RefCell::default(),
            unlisted: Cell::new(0),
        }
    }

    /// Adds a fault. `offset`: where in the text, in bytes.
    pub(super) fn add(&self, path: impl Into<String>, offset: Option<usize>, text: impl Into<String>) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() == FAULTS_MAX {
            self.unlisted.set(self.unlisted.get() + 1);
            return;
        }
        faults.push(Fault {
            path: path.into(),
            line: offset.map(|offset| self.line(offset)),
            text: text.into(),
        });
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    /// `value` if nothing was wrong.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Faults> {
        let mut faults = self.faults.into_inner();
        if faults.is_empty() {
            return Ok(value);
        }
        faults.sort_by_key(|fault| fault.line);
        if self.unlisted.get() > 0 {
            faults.push(Fault {
                path: "config".to_owned(),
                line: None,
                text: format!("{} more faults are not listed", self.unlisted.get()),
            });
        }
        Err(Faults(faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_the_order_of_lines_each_on_its_own() {
        let report = Report::new("a = 1\nb = 2\nc = 3\n");
        report.add("c", Some(12), "is odd");
        report.add("a", Some(0), "is odd");
        report.add("route", None, "is missing");
        let faults = report.into_result(()).unwrap_err();
        assert_eq!(
            faults.to_string(),
            "route: is missing\na (line 1): is odd\nc (line 3): is odd"
        );
    }

    #[test]
    fn faults_beyond_the_bound_are_counted() {
        let fill = |count| {
            let report = Report::new("");
            (0..count).for_each(|_| report.add("a", None, "bad"));
            report.into_result(()).unwrap_err()
        };
        assert_eq!(fill(FAULTS_MAX).iter().count(), FAULTS_MAX);
        let faults = fill(FAULTS_MAX + 1);
        assert_eq!(faults.iter().count(), FAULTS_MAX + 1);
        assert_eq!(faults.iter().last().unwrap().text, "1 more faults are not listed");
    }
}
