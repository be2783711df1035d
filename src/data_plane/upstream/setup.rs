//! What is a node told on a session's own link, before anything else?
//!
//! Pure: state that belongs to a connection and has to be there again on each one that takes its place.

use crate::resp::write_command;

/// Beyond its setting, what a link is told once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setup {
    /// CLIENT TRACKING: what follows ON.
    pub(crate) tracking: Option<Vec<Vec<u8>>>,
    /// The link may speak RESP2, which has no pushes: a second connection, in RESP3, hears the invalidations.
    pub(crate) has_ear: bool,
    /// Subcommands of CLIENT that the proxy does not know, as the client wrote them: words after CLIENT.
    pub(crate) unknown: Vec<Vec<Vec<u8>>>,
}

impl Setup {
    /// Nothing: any link will do.
    pub(crate) fn is_empty(&self) -> bool {
        self.tracking.is_none() && self.unknown.is_empty()
    }

    /// Whether it is a broadcast of all that `other` is one of, and of more.
    pub(crate) fn hears_more_than(&self, other: &Self) -> bool {
        let (Some(words), Some(others)) = (&self.tracking, &other.tracking) else {
            return false;
        };
        self.has_ear == other.has_ear
            && self.unknown == other.unknown
            && others.first().is_some_and(|word| word == b"BCAST")
            && words.len() > others.len()
            && others.iter().all(|word| words.contains(word))
    }

    /// Whether a node that was told `present` can be told this in its place. Prefixes only add up there.
    pub(crate) fn can_follow(&self, present: &Self) -> bool {
        let tracks = |setup: &Self| {
            let is_broadcast = |word: &Vec<u8>| word == b"BCAST";
            setup
                .tracking
                .as_ref()
                .is_some_and(|words| !words.iter().any(is_broadcast))
        };
        tracks(self) && tracks(present) && self.unknown == present.unknown
    }

    /// CLIENT TRACKING ON; `ear` is the number of the second connection.
    pub(super) fn tracking_request(&self, ear: Option<i64>) -> Vec<u8> {
        let mut request = Vec::new();
        let redirect = ear.map(|id| id.to_string());
        if let Some(options) = &self.tracking {
            let mut words: Vec<&[u8]> = vec![b"CLIENT", b"TRACKING", b"ON"];
            if let Some(id) = &redirect {
                words.extend([b"REDIRECT".as_slice(), id.as_bytes()]);
            }
            words.extend(options.iter().map(Vec::as_slice));
            write_command(&mut request, &words);
        }
        request
    }

    /// The requests, and how many; `ear` is the number of the second connection.
    pub(super) fn requests(&self, ear: Option<i64>) -> (Vec<u8>, usize) {
        let mut request = self.tracking_request(ear);
        for command in &self.unknown {
            let mut words: Vec<&[u8]> = vec![b"CLIENT"];
            words.extend(command.iter().map(Vec::as_slice));
            write_command(&mut request, &words);
        }
        (request, usize::from(self.tracking.is_some()) + self.unknown.len())
    }
}
