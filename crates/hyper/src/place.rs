//! The places for connections whose first request is incomplete: so many in all, and so many for the
//! peers of one network.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The part of an IPv6 address that one customer has at least, as in `towline::Server`.
const CUSTOMER: u128 = !0 << 64;

/// The places of a server.
pub(crate) struct Places {
    pub(crate) count: usize,
    all: Arc<Semaphore>,
    /// How many the peers of one network may have.
    pub(crate) most: Option<usize>,
    /// How many they have, if they have any.
    networks: Mutex<HashMap<IpAddr, usize>>,
}

impl Places {
    pub(crate) fn new(count: usize, most: Option<usize>) -> Arc<Self> {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            count,
            all: Arc::new(Semaphore::new(count)),
            most,
            networks: Mutex::default(),
        })
    }

    /// Counts a peer, unless its network has as many places as it may have.
    pub(crate) fn arrive(self: &Arc<Self>, peer: IpAddr) -> Result<Arrived, TooMany> {
        let Some(most) = self.most else {
            return Ok(Arrived { places: self.clone(), network: None });
        };
        let network = network(peer);
        let mut networks = lock(&self.networks);
        let count = networks.entry(network).or_default();
        if *count >= most {
            return Err(TooMany { most });
        }
        *count += 1;
        Ok(Arrived { places: self.clone(), network: Some(network) })
    }

    fn leave(&self, network: IpAddr) {
        let mut networks = lock(&self.networks);
        if let Some(count) = networks.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                networks.remove(&network);
                // What a flood has allocated is not kept.
                if networks.len() < networks.capacity() / 4 {
                    networks.shrink_to_fit();
                }
            }
        }
    }
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & CUSTOMER).into(),
        v4 => v4,
    }
}

/// The peers of a network have as many places as they may have.
#[derive(Debug)]
pub(crate) struct TooMany {
    pub(crate) most: usize,
}

/// A peer that is counted for its network until this is dropped.
pub(crate) struct Arrived {
    places: Arc<Places>,
    network: Option<IpAddr>,
}

impl Arrived {
    /// Waits for a place.
    pub(crate) async fn place(self) -> Place {
        let permit = self.places.all.clone().acquire_owned().await.expect("never closed");
        let taken = Mutex::new(Some((permit, self)));
        Place(Arc::new(Inner { taken, has_request: false.into() }))
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if let Some(network) = self.network {
            self.places.leave(network);
        }
    }
}

/// The place of a connection, shared by clones. It becomes free once one of them leaves it or all
/// are dropped.
#[derive(Clone)]
pub(crate) struct Place(Arc<Inner>);

struct Inner {
    taken: Mutex<Option<(OwnedSemaphorePermit, Arrived)>>,
    /// Whether the connection has had a request.
    has_request: AtomicBool,
}

impl Place {
    /// Frees the place.
    pub(crate) fn leave(&self) {
        drop(lock(&self.0.taken).take());
    }

    /// Frees the place, since a request is complete.
    pub(crate) fn leave_with_request(&self) {
        self.0.has_request.store(true, Ordering::Relaxed);
        self.leave();
    }

    /// Whether the connection has had a request.
    pub(crate) fn has_request(&self) -> bool {
        self.0.has_request.load(Ordering::Relaxed)
    }

    /// Resolves at the deadline if the place is still taken; otherwise never.
    pub(crate) fn late(&self, deadline: Instant) -> impl Future<Output = ()> + use<> {
        // A clone would keep the place.
        let place = Arc::downgrade(&self.0);
        async move {
            tokio::time::sleep_until(deadline).await;
            let place = place.upgrade();
            if place.is_some_and(|place| lock(&place.taken).is_some()) {
                return;
            }
            std::future::pending().await
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_of_a_network_have_their_places_and_no_more() {
        let places = Places::new(9, Some(2));
        let arrive = |peer: &str| places.arrive(peer.parse().unwrap());
        let (first, second) = (arrive("192.0.2.1").unwrap(), arrive("::ffff:192.0.2.1").unwrap());
        assert_eq!(arrive("192.0.2.1").err().map(|refused| refused.most), Some(2));
        let other = arrive("192.0.2.2").unwrap();
        drop(first);
        let third = arrive("192.0.2.1").unwrap();
        let v6 = [arrive("2001:db8::1").unwrap(), arrive("2001:db8::2").unwrap()];
        assert!(arrive("2001:db8::3").is_err());
        let next = arrive("2001:db8:0:1::3").unwrap();
        drop((second, third, other, v6, next));
        assert!(lock(&places.networks).is_empty());
    }
}
