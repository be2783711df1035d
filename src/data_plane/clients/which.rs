//! Which clients are meant?
//!
//! Pure: the filters of CLIENT LIST and CLIENT KILL, read and worded as Redis does.

use std::net::SocketAddr;

use crate::data_plane::refusal::Refusal;
use crate::resp::{Args, parse_i64};

/// What Redis takes a client for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    PubSub,
    /// What has a replica's stream.
    Replica,
    /// Which no proxy has for a client.
    Master,
}

impl Kind {
    fn of(name: &[u8]) -> Result<Self, Refusal> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"pubsub" => Ok(Self::PubSub),
            b"replica" | b"slave" => Ok(Self::Replica),
            b"master" => Ok(Self::Master),
            _ => Err(redis(&[b"ERR Unknown client type '", name, b"'"])),
        }
    }
}

/// What is known of a client that filters ask for.
pub(crate) struct Client<'a> {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) addr: SocketAddr,
    pub(crate) laddr: SocketAddr,
    pub(crate) user: &'a [u8],
}

/// All that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Which {
    ids: Option<Vec<u64>>,
    kind: Option<Kind>,
    addr: Option<Vec<u8>>,
    laddr: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    but_not: Option<u64>,
}

impl Which {
    /// What follows CLIENT LIST.
    pub(crate) fn of_list(args: Args<'_>) -> Result<Self, Refusal> {
        let mut which = Self::default();
        let option = args.get(2).unwrap_or_default();
        if args.len() == 4 && option.eq_ignore_ascii_case(b"type") {
            which.kind = Some(Kind::of(args.get(3).unwrap_or_default())?);
        } else if args.len() > 3 && option.eq_ignore_ascii_case(b"id") {
            let number = |id: &[u8]| parse_i64(id).ok_or_else(|| redis(&[b"ERR Invalid client ID"]));
            let ids: Result<Vec<i64>, Refusal> = args.iter().skip(3).map(number).collect();
            which.ids = Some(ids?.into_iter().filter_map(|id| u64::try_from(id).ok()).collect());
        } else if args.len() != 2 {
            return Err(syntax());
        }
        Ok(which)
    }

    /// What follows CLIENT KILL in its new form, of which `own` is the client that asks.
    pub(crate) fn of_kill(args: Args<'_>, own: u64) -> Result<Self, Refusal> {
        let mut which = Self::default();
        let mut skip_me = true;
        let mut at = 2;
        while let Some(option) = args.get(at) {
            let value = args.get(at + 1).ok_or_else(syntax)?;
            match option.to_ascii_lowercase().as_slice() {
                b"id" => which.ids = Some(vec![id(value)?]),
                b"type" => which.kind = Some(Kind::of(value)?),
                b"addr" => which.addr = Some(value.to_vec()),
                b"laddr" => which.laddr = Some(value.to_vec()),
                // Whether there is one, the servers know.
                b"user" => which.user = Some(value.to_vec()),
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => skip_me = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => skip_me = false,
                _ => return Err(syntax()),
            }
            at += 2;
        }
        which.but_not = skip_me.then_some(own);
        Ok(which)
    }

    /// The one with this address: CLIENT KILL in its old form.
    pub(crate) fn at(addr: &[u8]) -> Self {
        Self {
            addr: Some(addr.to_vec()),
            ..Self::default()
        }
    }

    /// The numbers that were asked for, in that order.
    pub(crate) fn ids(&self) -> Option<&[u64]> {
        self.ids.as_deref()
    }

    /// But for this one.
    pub(crate) fn without(mut self, own: u64) -> Self {
        self.but_not = Some(own);
        self
    }

    pub(crate) fn is(&self, client: &Client<'_>) -> bool {
        let is_at = |wanted: &Option<Vec<u8>>, addr: SocketAddr| {
            wanted
                .as_ref()
                .is_none_or(|wanted| *wanted == addr.to_string().as_bytes())
        };
        self.but_not != Some(client.id)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&client.id))
            && self.kind.is_none_or(|kind| kind == client.kind)
            && self.user.as_ref().is_none_or(|user| user == client.user)
            && is_at(&self.addr, client.addr)
            && is_at(&self.laddr, client.laddr)
    }
}

fn id(value: &[u8]) -> Result<u64, Refusal> {
    let id = parse_i64(value).and_then(|id| u64::try_from(id).ok());
    id.filter(|id| *id > 0)
        .ok_or_else(|| redis(&[b"ERR client-id should be greater than 0"]))
}

fn syntax() -> Refusal {
    redis(&[b"ERR syntax error"])
}

fn redis(pieces: &[&[u8]]) -> Refusal {
    Refusal::Redis(pieces.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::with_args;

    fn of(request: &str) -> Result<Which, Refusal> {
        let words: Vec<&str> = request.split_whitespace().collect();
        with_args(&words, |args| match words[1] {
            "list" => Which::of_list(args),
            _ => Which::of_kill(args, 7),
        })
    }

    fn client(id: u64, kind: Kind) -> Client<'static> {
        Client {
            id,
            kind,
            addr: "127.0.0.1:1000".parse().unwrap(),
            laddr: "[::1]:6379".parse().unwrap(),
            user: b"default",
        }
    }

    #[test]
    fn every_filter_must_hold() {
        let all =
            of("client kill type normal addr 127.0.0.1:1000 laddr [::1]:6379 user default id 3").unwrap();
        assert!(all.is(&client(3, Kind::Normal)));
        assert!(!all.is(&client(4, Kind::Normal)));
        assert!(!all.is(&client(3, Kind::PubSub)));
        assert!(
            !of("client kill addr 127.0.0.1:1001")
                .unwrap()
                .is(&client(3, Kind::Normal))
        );
        assert!(
            !of("client list type replica")
                .unwrap()
                .is(&client(3, Kind::Normal))
        );
    }

    #[test]
    fn whoever_asks_is_spared_unless_it_says_otherwise() {
        assert!(
            !of("client kill type normal")
                .unwrap()
                .is(&client(7, Kind::Normal))
        );
        assert!(
            !of("client kill skipme no skipme yes")
                .unwrap()
                .is(&client(7, Kind::Normal))
        );
        assert!(of("client kill skipme no").unwrap().is(&client(7, Kind::Normal)));
    }

    #[test]
    fn faults_are_worded_as_by_redis() {
        for (request, text) in [
            ("client kill id 0", "ERR client-id should be greater than 0"),
            ("client kill id x", "ERR client-id should be greater than 0"),
            ("client kill type z", "ERR Unknown client type 'z'"),
            ("client kill skipme maybe", "ERR syntax error"),
            ("client kill id 1 addr", "ERR syntax error"),
            ("client list type", "ERR syntax error"),
            ("client list id", "ERR syntax error"),
            ("client list id x", "ERR Invalid client ID"),
            ("client list type z", "ERR Unknown client type 'z'"),
        ] {
            assert_eq!(of(request), Err(redis(&[text.as_bytes()])), "{request}");
        }
    }
}
