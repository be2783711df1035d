//! What is asked, by how many, beside whom, and through what?
//!
//! Pure.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::crowd::{Clients, Command, Pace};
use super::values::{MIDDLE, SMALL, Values};

/// Written by who writes, read by nobody.
const WRITTEN: Values = Values {
    prefix: "written:",
    ..MIDDLE
};
/// What the ordinary clients of a skewed load do: far from what anything here can carry, so that they wait for others and not for
/// each other.
const ORDINARY: Clients = Clients {
    count: 50,
    pipeline: 1,
    command: Command::Get(SMALL),
    pace: Pace::Every(Duration::from_millis(10)),
};
const SLOW_BYTES_A_SECOND: usize = 1_000_000;

/// One work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Clients that are alike, and ask as soon as they are answered.
    Even { clients: usize, pipeline: usize },
    /// Ordinary clients beside somebody else.
    Beside(Neighbour),
}

/// Who else is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Neighbour {
    Nobody,
    /// One client that pipelines GETs flat out, with so many on their way.
    Hot(usize),
    /// One that pipelines PINGs flat out, which the proxy answers itself: 10,000 on their way.
    Pings,
    /// One that reads 64 KiB values flat out, 100 on their way.
    LargeReads,
    /// One that writes them.
    LargeWrites,
    /// One that asks for a thousand 64 KiB values and reads a megabyte a second.
    SlowReader,
}

/// What stands between clients and servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Through {
    Direct,
    Proxy { workers: usize, weight: u16 },
}

/// Numbers of clients and commands in a pipeline that are measured together: the product of both, but for what takes minutes.
pub(crate) const CLIENTS: [usize; 6] = [10, 50, 100, 500, 1_000, 10_000];
pub(crate) const PIPELINES: [usize; 4] = [1, 10, 100, 1_000];
const ON_THEIR_WAY_MAX: usize = 100_000;

pub(crate) const NEIGHBOURS: [Neighbour; 8] = [
    Neighbour::Nobody,
    Neighbour::Hot(100),
    Neighbour::Hot(1_000),
    Neighbour::Hot(10_000),
    Neighbour::Pings,
    Neighbour::LargeReads,
    Neighbour::LargeWrites,
    Neighbour::SlowReader,
];

/// In the order of the plots' legends.
pub(crate) const THROUGH: [Through; 5] = [
    Through::Direct,
    proxy(1, 0),
    proxy(2, 0),
    proxy(1, 50),
    proxy(2, 50),
];

const fn proxy(workers: usize, weight: u16) -> Through {
    Through::Proxy { workers, weight }
}

/// All of them.
pub(crate) fn all() -> Vec<Work> {
    let even = CLIENTS.into_iter().flat_map(|clients| {
        let few = PIPELINES
            .into_iter()
            .filter(move |pipeline| clients * pipeline <= ON_THEIR_WAY_MAX);
        few.map(move |pipeline| Work::Even { clients, pipeline })
    });
    even.chain(NEIGHBOURS.map(Work::Beside)).collect()
}

impl Work {
    /// At a weight between only what the plots show of it.
    pub(crate) fn is_done_through(self, through: Through) -> bool {
        match (self, through) {
            (_, Through::Direct | Through::Proxy { weight: 0, .. }) => true,
            (Self::Even { clients, pipeline }, Through::Proxy { .. }) => clients == 100 || pipeline == 1,
            (Self::Beside(_), Through::Proxy { .. }) => false,
        }
    }

    /// How many connections it takes, a few for those who look after it included.
    pub(crate) fn connections(self) -> usize {
        64 + match self {
            Self::Even { clients, .. } => clients,
            Self::Beside(_) => ORDINARY.count + 1,
        }
    }

    /// Whose waits are measured.
    pub(crate) fn clients(self) -> Clients {
        match self {
            Self::Even { clients, pipeline } => Clients {
                count: clients,
                pipeline,
                command: Command::Get(SMALL),
                pace: Pace::WhenAnswered,
            },
            Self::Beside(_) => ORDINARY,
        }
    }

    /// Who else is there.
    pub(crate) fn neighbour(self) -> Option<Clients> {
        let one = |pipeline, command, pace| Clients {
            count: 1,
            pipeline,
            command,
            pace,
        };
        match self {
            Self::Even { .. } | Self::Beside(Neighbour::Nobody) => None,
            Self::Beside(neighbour) => Some(match neighbour {
                Neighbour::Hot(pipeline) => one(pipeline, Command::Get(SMALL), Pace::FlatOut),
                Neighbour::Pings => one(10_000, Command::Ping, Pace::FlatOut),
                Neighbour::LargeReads => one(100, Command::Get(MIDDLE), Pace::FlatOut),
                Neighbour::LargeWrites => one(100, Command::Set(WRITTEN), Pace::FlatOut),
                Neighbour::SlowReader | Neighbour::Nobody => {
                    one(1_000, Command::Get(MIDDLE), Pace::SlowReader(SLOW_BYTES_A_SECOND))
                }
            }),
        }
    }

    /// How long its clients do nothing before the memory of idle ones is read: where there are enough of them to tell it. Whoever has
    /// nothing to say for a second or two is parked, a few thousand a second.
    pub(crate) fn idle(self) -> Duration {
        match self {
            Self::Even {
                clients: 1_000..,
                pipeline: 1,
            } => Duration::from_secs(6),
            Self::Even { .. } | Self::Beside(_) => Duration::ZERO,
        }
    }

    /// How long it is warmed up and measured, when one of few commands is to be measured for `length`: each pipeline is to be
    /// answered a few times.
    pub(crate) fn lengths(self, length: Duration) -> (Duration, Duration) {
        match self {
            Self::Even { clients, pipeline } => {
                let once = Duration::from_micros(10 * (clients * pipeline) as u64);
                ((length / 4).max(once), length.max(2 * once))
            }
            Self::Beside(_) => (length / 4, 2 * length),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even { clients, pipeline } => write!(formatter, "{clients} clients, pipeline {pipeline}"),
            Self::Beside(neighbour) => write!(formatter, "beside {neighbour}"),
        }
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => formatter.write_str("nobody"),
            Self::Hot(pipeline) => write!(formatter, "a pipeline of {pipeline}"),
            Self::Pings => formatter.write_str("pings"),
            Self::LargeReads => formatter.write_str("large reads"),
            Self::LargeWrites => formatter.write_str("large writes"),
            Self::SlowReader => formatter.write_str("a slow reader"),
        }
    }
}

impl fmt::Display for Through {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => formatter.write_str("direct"),
            Self::Proxy { workers, weight } => {
                let plural = if *workers == 1 { "" } else { "s" };
                write!(formatter, "{workers} worker{plural}")?;
                match weight {
                    0 => Ok(()),
                    weight => write!(formatter, ", weight {weight}"),
                }
            }
        }
    }
}
