//! Is the node at the other end one that this side's commands may go to?
//!
//! Shell: connects, authenticates, agrees on protocol and database, asks PING and ROLE. A node that is loading, or is not a master,
//! never becomes a link: commands stay held instead of being refused by it. A user may be allowed neither of the two: HELLO is
//! allowed to everybody, and tells the role as well.

use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::setup::Setup;
use crate::cluster::NodeAddr;
use crate::data_plane::users::{Login, UserId};
use crate::net::{self, Stream};
use crate::resp::{Protocol, ReplyScanner, write_command};
use crate::tls::SideTls;

/// Bytes of all handshake replies together. ROLE of a master lists its replicas; the rest are single lines.
const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The node cannot be reached, or went away.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The node's own error to AUTH or ROLE. A later attempt may succeed.
    #[error("{0}")]
    Refused(String),
    /// The node's own error to HELLO: it does not speak the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The node's own error to SELECT: it will not change.
    #[error("{0}")]
    Database(String),
    /// The node's own error to SELECT while a script takes long: it tells everybody the same.
    #[error("{0}")]
    Busy(String),
    /// The node's own error to what one session's link is to be told.
    #[error("{0}")]
    Setup(String),
    /// The node's own error, which is about the user: the node is as usable as ever.
    #[error("{0}")]
    User(String),
    /// ROLE says something else than what is wanted.
    #[error("its ROLE is not {}", match .0 {
        Wanted::Master => "master",
        Wanted::Replica => "that of a connected replica",
        Wanted::Any => "one",
        Wanted::Unasked => "master",
    })]
    Role(Wanted),
    /// It does not speak RESP.
    #[error("its replies are not RESP")]
    Garbage,
}

/// What a node is told once for all commands on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Setting {
    pub(crate) database: u32,
    pub(crate) protocol: Protocol,
    pub(crate) user: UserId,
}

impl Setting {
    /// Of connections on which passwords are asked about.
    pub(crate) const ASKING: Self = Self::of(UserId::ASKING);

    /// The first of this user.
    pub(crate) const fn of(user: UserId) -> Self {
        Self {
            database: 0,
            protocol: Protocol::Resp2,
            user,
        }
    }
}

/// What a node's ROLE must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It is a master.
    Master,
    /// It is a replica, and connected to its master.
    Replica,
    /// Either: it is only to be asked.
    Any,
    /// It is a master, as far as it says so to somebody who has not authenticated.
    Unasked,
}

/// What a link needs to be opened.
#[derive(Debug)]
pub(crate) struct Dial<'a> {
    pub(crate) node: &'a NodeAddr,
    pub(crate) auth: Option<Rc<Login>>,
    pub(crate) tls: Option<SideTls>,
    pub(crate) setting: Setting,
    /// `CLIENT SETNAME`, so that an operator sees in CLIENT LIST who this is. No spaces.
    pub(crate) name: &'a str,
    pub(crate) wanted: Wanted,
    /// How many more connections the node would take is of interest. Asked with everything else: whoever begins to watch what the
    /// node executes sees all of it, by which it is known for the proxy's own, or nothing.
    pub(crate) asks_room: bool,
}

/// What a node that can be used has said of the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// Its CLIENT ID; 0 when the node would not tell.
    pub(crate) client_id: i64,
    /// It wants a password before it says anything.
    pub(crate) wants_password: bool,
    /// How many more connections it would take; `None`: it does not say, or was not asked.
    pub(crate) room: Option<u64>,
}

/// An authenticated connection to a node of the wanted role.
pub(crate) async fn open(dial: &Dial<'_>) -> Result<(Stream, Said), HandshakeError> {
    let mut stream = net::connect(dial.node, dial.tls.as_ref()).await?;
    let is_selected = inherits_database(&mut stream, dial).await?;
    let (request, count) = questions(dial, is_selected);
    stream.write_all(&request).await?;
    let replies = read(&mut stream, count).await?;
    let mut replies = replies.iter();
    if dial.auth.is_some() {
        match error(replies.next()) {
            Some(text) if is_about_user(&text) => return Err(HandshakeError::User(text)),
            Some(text) => return Err(HandshakeError::Refused(text)),
            None => {}
        }
    }
    let hello = replies.next();
    match error(hello) {
        Some(text) if text.starts_with("NOAUTH ") && dial.wanted == Wanted::Unasked => {
            let said = Said {
                wants_password: true,
                ..Said::default()
            };
            return Ok((stream, said));
        }
        Some(text) if text.starts_with("NOAUTH ") => return Err(HandshakeError::User(NOAUTH.to_owned())),
        Some(text) if dial.setting.protocol != Protocol::Resp2 => return Err(HandshakeError::Protocol(text)),
        // A node that does not know HELLO knows no users either, and will say its role.
        _ => {}
    }
    if dial.setting.database != 0 && !is_selected {
        match error(replies.next()) {
            Some(text) if text.starts_with("ERR DB index") => return Err(HandshakeError::Database(text)),
            Some(text) if text.starts_with("BUSY ") => return Err(HandshakeError::Busy(text)),
            Some(text) if is_about_user(&text) => return Err(HandshakeError::User(text)),
            Some(text) => return Err(HandshakeError::Refused(text)),
            None => {}
        }
    }
    // Neither the name nor the id is worth a link: an ACL may forbid CLIENT.
    let _ = replies.next();
    let client_id = replies.next().and_then(|reply| integer(reply)).unwrap_or(0);
    match error(replies.next()) {
        Some(text) if text.starts_with("LOADING ") || text.starts_with("MASTERDOWN ") => {
            return Err(HandshakeError::Refused(text));
        }
        // An ACL forbids PING, or a script keeps the node busy: it is there either way.
        _ => {}
    }
    let role = replies.next().map(Vec::as_slice);
    let said = Said {
        client_id,
        wants_password: false,
        room: replies.next().and_then(|info| room(info)),
    };
    match role {
        Some(role) if is_wanted(role, dial.wanted) => Ok((stream, said)),
        // A node that is kept busy by a script says neither to anybody; what may end that has to get there.
        Some(role) if role.starts_with(b"-NOPERM") || role.starts_with(b"-BUSY ") => match hello {
            Some(hello) if says_role(hello, dial.wanted) => Ok((stream, said)),
            _ => Err(HandshakeError::Role(dial.wanted)),
        },
        // A password is asked for since 2.0, HELLO is known since 6.0.
        Some(role) if role.starts_with(b"-NOAUTH") => Err(HandshakeError::User(NOAUTH.to_owned())),
        Some(role) if role.starts_with(b"-") => Err(HandshakeError::Refused(
            error(Some(&role.to_vec())).unwrap_or_default(),
        )),
        _ => Err(HandshakeError::Role(dial.wanted)),
    }
}

/// A client keeps its database when it becomes another user, one that may not choose a database included. So it is chosen before that,
/// if the node lets anybody; whether a user may choose one itself it is asked when it does. Returns whether it has been chosen.
async fn inherits_database(stream: &mut Stream, dial: &Dial<'_>) -> Result<bool, HandshakeError> {
    if dial.setting.database == 0 || !dial.setting.user.has_logged_in() {
        return Ok(false);
    }
    let mut request = Vec::new();
    select(&mut request, dial.setting.database);
    stream.write_all(&request).await?;
    let replies = read(stream, 1).await?;
    match error(replies.first()) {
        None => Ok(true),
        Some(text) if text.starts_with("ERR DB index") => Err(HandshakeError::Database(text)),
        Some(_) => Ok(false),
    }
}

/// Tells the node what the link is for. `ear`: the number there of the connection that hears its invalidations.
pub(super) async fn set_up(
    stream: &mut Stream,
    setup: &Setup,
    ear: Option<i64>,
) -> Result<(), HandshakeError> {
    let (request, count) = setup.requests(ear);
    stream.write_all(&request).await?;
    let replies = read(stream, count).await?;
    let refusal = replies.iter().find_map(|reply| error(Some(reply)));
    refusal.map_or(Ok(()), |text| Err(HandshakeError::Setup(text)))
}

/// How many more connections a node would take, as its INFO says; `None`: it does not.
fn room(info: &[u8]) -> Option<u64> {
    let info = String::from_utf8_lossy(info);
    let field = |name: &str| -> Option<u64> {
        let value = |line: &str| {
            line.strip_prefix(name)?
                .strip_prefix(':')?
                .trim_end()
                .parse()
                .ok()
        };
        info.lines().find_map(value)
    };
    let (most, connected) = field("maxclients").zip(field("connected_clients"))?;
    Some(most.saturating_sub(connected))
}

/// What Redis says to a client that has not authenticated.
pub(crate) const NOAUTH: &str = "NOAUTH Authentication required.";

/// Whether a refusal is about who asks, and none of the node's.
fn is_about_user(text: &str) -> bool {
    const WORDS: [&str; 5] = [
        "WRONGPASS ",
        "NOPERM ",
        "NOAUTH ",
        "ERR invalid password",
        "ERR AUTH <password> called without any password configured",
    ];
    WORDS.iter().any(|words| text.starts_with(words))
}

/// The same as [`is_wanted`], of HELLO's reply.
fn says_role(hello: &[u8], wanted: Wanted) -> bool {
    let says = |role: &[u8]| memchr::memmem::find(hello, &[b"$4\r\nrole\r\n", role].concat()).is_some();
    match wanted {
        Wanted::Master | Wanted::Unasked => says(b"$6\r\nmaster\r\n"),
        Wanted::Replica => says(b"$7\r\nreplica\r\n"),
        Wanted::Any => true,
    }
}

fn is_wanted(role: &[u8], wanted: Wanted) -> bool {
    match wanted {
        Wanted::Master | Wanted::Unasked => role.starts_with(b"*3\r\n$6\r\nmaster\r\n"),
        Wanted::Replica => {
            let connected = memchr::memmem::find(role, b"\r\n$9\r\nconnected\r\n:").is_some();
            role.starts_with(b"*5\r\n$5\r\nslave\r\n") && connected
        }
        Wanted::Any => role.starts_with(b"*"),
    }
}

/// What a node is asked first, in one write, and how many replies there will be.
fn questions(dial: &Dial<'_>, is_selected: bool) -> (Vec<u8>, usize) {
    let mut request = Vec::new();
    if let Some(auth) = &dial.auth {
        auth.write(&mut request);
    }
    match dial.setting.protocol {
        // Without a version the connection stays as it is.
        Protocol::Resp2 => write_command(&mut request, &[b"HELLO"]),
        protocol @ Protocol::Resp3 => request.extend_from_slice(protocol.hello()),
    }
    let selects = dial.setting.database != 0 && !is_selected;
    if selects {
        select(&mut request, dial.setting.database);
    }
    write_command(&mut request, &[b"CLIENT", b"SETNAME", dial.name.as_bytes()]);
    write_command(&mut request, &[b"CLIENT", b"ID"]);
    // ROLE is answered by a node that is still loading, PING is not.
    write_command(&mut request, &[b"PING"]);
    write_command(&mut request, &[b"ROLE"]);
    if dial.asks_room {
        write_command(&mut request, &[b"INFO", b"clients"]);
    }
    let others = [dial.auth.is_some(), selects, dial.asks_room];
    let count = 5 + others.into_iter().filter(|is_asked| *is_asked).count();
    (request, count)
}

fn select(request: &mut Vec<u8>, database: u32) {
    write_command(request, &[b"SELECT", database.to_string().as_bytes()]);
}

async fn read(stream: &mut Stream, count: usize) -> Result<Vec<Vec<u8>>, HandshakeError> {
    let mut scanner = ReplyScanner::new();
    let mut replies = Vec::with_capacity(count);
    let mut buffer = Vec::new();
    while replies.len() < count {
        match scanner.scan(&buffer).map_err(|_| HandshakeError::Garbage)? {
            Some(end) => replies.push(buffer.drain(..end).collect()),
            None if buffer.len() > HANDSHAKE_BYTES_MAX => return Err(HandshakeError::Garbage),
            None if stream.read_buf(&mut buffer).await? == 0 => {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            None => {}
        }
    }
    Ok(replies)
}

/// The text of an error reply.
fn error(reply: Option<&Vec<u8>>) -> Option<String> {
    let text = reply?.strip_prefix(b"-")?;
    Some(String::from_utf8_lossy(text).trim_end().to_owned())
}

fn integer(reply: &[u8]) -> Option<i64> {
    let digits = reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
