//! As whom do a client's commands run?
//!
//! Pure: one worker's table of who has authenticated here, with what, and how many clients still are. The server has accepted
//! each of them; links are opened by what is kept here, and are apart by user, so that the server itself says what each
//! may do. A password is kept as long as somebody uses it, and shown to nobody.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use crate::cluster::Credentials;
use crate::limits::{USER_LINGER, USERS_MAX};
use crate::resp::write_command;

/// Whose a connection is. Numbers are not used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct UserId(u64);

impl UserId {
    /// Who a client is before it authenticates: by `unauthenticated`, the route's user or the server's default one.
    pub(crate) const FIRST: Self = Self(0);
    /// Who asks a server whether a password is right: nobody yet.
    pub(crate) const ASKING: Self = Self(1);

    /// The proxy itself, where clients do not begin as the route's user.
    pub(crate) const OWN: Self = Self(2);

    /// A client has authenticated as this one.
    #[inline]
    pub(crate) const fn has_logged_in(self) -> bool {
        self.0 > Self::OWN.0
    }
}

/// What a connection authenticates with: `AUTH password`, or `AUTH name password`. Of any bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Login {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) password: Vec<u8>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<&Credentials> for Login {
    fn from(credentials: &Credentials) -> Self {
        Self {
            name: credentials.user.as_ref().map(|name| name.as_bytes().to_vec()),
            password: credentials.password.expose().as_bytes().to_vec(),
        }
    }
}

impl Login {
    /// Appends the AUTH that says it.
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        match &self.name {
            Some(name) => write_command(into, &[b"AUTH", name, &self.password]),
            None => write_command(into, &[b"AUTH", &self.password]),
        }
    }
}

struct User {
    login: Rc<Login>,
    clients: usize,
    /// Since when there is no client.
    idle_since: Option<Instant>,
}

#[derive(Default)]
struct Table {
    /// By what clients chose: the hash is a keyed one.
    ids: HashMap<Rc<Login>, UserId>,
    users: HashMap<UserId, User>,
    last: u64,
    /// One was forgotten to make room.
    is_dropped: bool,
}

/// One worker's table.
#[derive(Default)]
pub(crate) struct Users(RefCell<Table>);

impl Users {
    /// A client has authenticated; `None` when there are too many users already.
    pub(crate) fn enter(&self, login: Login) -> Option<UserId> {
        let mut table = self.0.borrow_mut();
        if let Some(id) = table.ids.get(&login).copied() {
            if let Some(user) = table.users.get_mut(&id) {
                user.clients += 1;
                user.idle_since = None;
            }
            return Some(id);
        }
        if table.users.len() >= USERS_MAX {
            let idle = |(id, user): (&UserId, &User)| user.idle_since.map(|since| (since, *id));
            let (_, oldest) = table
                .users
                .iter()
                .filter_map(idle)
                .min_by_key(|(since, _)| *since)?;
            table.forget(oldest);
            table.is_dropped = true;
        }
        table.last = table.last.max(UserId::OWN.0) + 1;
        let (id, login) = (UserId(table.last), Rc::new(login));
        table.ids.insert(Rc::clone(&login), id);
        table.users.insert(
            id,
            User {
                login,
                clients: 1,
                idle_since: None,
            },
        );
        Some(id)
    }

    /// A client is this one no more.
    pub(crate) fn leave(&self, id: UserId) {
        if let Some(user) = self.0.borrow_mut().users.get_mut(&id) {
            user.clients = user.clients.saturating_sub(1);
            if user.clients == 0 {
                user.idle_since = Some(Instant::now());
            }
        }
    }

    /// What this user authenticated with.
    pub(crate) fn login(&self, id: UserId) -> Option<Rc<Login>> {
        let table = self.0.borrow();
        table.users.get(&id).map(|user| Rc::clone(&user.login))
    }

    /// Whether it is known; a connection of one that is not is to end.
    pub(crate) fn is_known(&self, id: UserId) -> bool {
        !id.has_logged_in() || self.0.borrow().users.contains_key(&id)
    }

    /// Those whom clients are.
    pub(crate) fn present(&self) -> Vec<UserId> {
        let table = self.0.borrow();
        let present = table.users.iter().filter(|(_, user)| user.clients > 0);
        present.map(|(id, _)| *id).collect()
    }

    /// Forgets those that nobody has been for a while; `true` when there were any.
    pub(crate) fn forget_idle(&self, now: Instant) -> bool {
        let mut table = self.0.borrow_mut();
        let is_over = |since: Instant| now.saturating_duration_since(since) >= USER_LINGER;
        let over: Vec<UserId> = table
            .users
            .iter()
            .filter(|(_, user)| user.idle_since.is_some_and(is_over))
            .map(|(id, _)| *id)
            .collect();
        over.iter().for_each(|id| table.forget(*id));
        std::mem::take(&mut table.is_dropped) || !over.is_empty()
    }
}

impl Table {
    fn forget(&mut self, id: UserId) {
        if let Some(user) = self.users.remove(&id) {
            self.ids.remove(&user.login);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(name: &str, password: &str) -> Login {
        Login {
            name: Some(name.as_bytes().to_vec()),
            password: password.as_bytes().to_vec(),
        }
    }

    #[test]
    fn clients_of_one_login_share_it_and_another_password_is_another() {
        let users = Users::default();
        let first = users.enter(login("a", "1")).unwrap();
        assert!(first.has_logged_in());
        assert_eq!(users.enter(login("a", "1")), Some(first));
        let other = users.enter(login("a", "2")).unwrap();
        assert_ne!(other, first);
        let default = users
            .enter(Login {
                name: None,
                ..login("", "1")
            })
            .unwrap();
        assert!(default != first && default != other);
        users.leave(first);
        assert!(users.present().contains(&first));
        users.leave(first);
        assert!(!users.present().contains(&first));
    }

    #[test]
    fn a_login_is_forgotten_when_nobody_has_used_it_for_a_while() {
        let users = Users::default();
        let id = users.enter(login("a", "1")).unwrap();
        let later = Instant::now() + 2 * USER_LINGER;
        assert!(!users.forget_idle(later), "it is in use");
        users.leave(id);
        assert!(!users.forget_idle(Instant::now()), "it may come again");
        assert!(users.is_known(id));
        assert!(users.forget_idle(later));
        assert!(!users.is_known(id));
        assert_eq!(users.login(id), None);
        assert_ne!(
            users.enter(login("a", "1")),
            Some(id),
            "links of the former are not its"
        );
    }

    #[test]
    fn there_is_room_for_so_many_users_that_are_in_use() {
        let users = Users::default();
        let ids: Vec<UserId> = (0..USERS_MAX)
            .map(|number| users.enter(login("a", &number.to_string())).unwrap())
            .collect();
        assert_eq!(users.enter(login("b", "")), None);
        users.leave(ids[7]);
        assert!(users.enter(login("b", "")).is_some());
        assert!(!users.is_known(ids[7]));
    }

    #[test]
    fn a_login_shows_nothing() {
        assert_eq!(format!("{:?}", login("name", "secret")), "***");
    }
}
