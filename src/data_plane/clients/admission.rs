//! May one more client come in?
//!
//! Shell: who is there is counted by address, all workers together. The lock is taken when a client comes and when it goes.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::config::RouteLimits;
use crate::data_plane::refusal::Refusal;

/// The clients of a route, by where they come from.
#[derive(Debug)]
pub(crate) struct Admission {
    by_address: Mutex<FxHashMap<IpAddr, usize>>,
    /// As many as the process has descriptors for, whatever the limits say.
    most: AtomicUsize,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            by_address: Mutex::default(),
            most: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Admission {
    /// There are never to be more than this.
    pub(crate) fn at_most(&self, clients: usize) {
        self.most.store(clients, Ordering::Relaxed);
    }

    /// It comes in, and is one of `clients` from now on.
    ///
    /// # Errors
    /// There are as many as there may be; nothing is counted.
    pub(crate) fn enter(
        &self,
        address: IpAddr,
        clients: &AtomicUsize,
        limits: &RouteLimits,
    ) -> Result<(), Refusal> {
        let mut here = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let most = limits.clients.min(self.most.load(Ordering::Relaxed));
        if clients.load(Ordering::Relaxed) >= most {
            return Err(Refusal::TooManyClients);
        }
        let of_address = here.entry(address).or_default();
        let limit = limits.clients_per_address;
        if limit > 0 && *of_address >= limit {
            return Err(Refusal::TooManyOfAddress { limit });
        }
        *of_address += 1;
        clients.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// It has gone.
    pub(crate) fn leave(&self, address: IpAddr, clients: &AtomicUsize) {
        let mut here = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        clients.fetch_sub(1, Ordering::Relaxed);
        if let Some(of_address) = here.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                here.remove(&address);
                if here.capacity() > 4 * here.len() + ADDRESSES_KEPT {
                    here.shrink_to_fit();
                }
            }
        }
    }
}

/// Room for addresses that is not worth giving back.
const ADDRESSES_KEPT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_limit_within_that_of_all_and_who_goes_makes_room() {
        let limits = RouteLimits {
            clients: 3,
            clients_per_address: 2,
            ..RouteLimits::default()
        };
        let (admission, clients) = (Admission::default(), AtomicUsize::new(0));
        let [one, two]: [IpAddr; 2] = ["10.0.0.1", "::1"].map(|address| address.parse().unwrap());
        let enter = |address| admission.enter(address, &clients, &limits);
        assert_eq!((enter(one), enter(one)), (Ok(()), Ok(())));
        assert_eq!(enter(one), Err(Refusal::TooManyOfAddress { limit: 2 }));
        assert_eq!(enter(two), Ok(()));
        assert_eq!(enter(two), Err(Refusal::TooManyClients));
        admission.leave(one, &clients);
        assert_eq!(enter(one), Ok(()));
        for address in [one, one, two] {
            admission.leave(address, &clients);
        }
        assert_eq!(clients.load(Ordering::Relaxed), 0);
        assert!(admission.by_address.lock().unwrap().is_empty());
        admission.at_most(0);
        assert_eq!(
            admission.enter(one, &clients, &limits),
            Err(Refusal::TooManyClients)
        );
    }
}
