//! What each address has open, and how fast it connects.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::{Meter, Rate};
use crate::server::quota::network::Network;

/// The table is kept in this many parts, so that threads rarely contend for a lock.
const PARTS: usize = 16;

/// How many networks without a connection a part remembers, about 100 bytes each: 65,536 in all.
/// Each network with a connection costs less than that connection.
const IDLE_MAX: usize = 4096;

/// The networks that have connections, or have connected of late.
pub(crate) struct Addresses {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Part {
    entries: HashMap<Network, Entry>,
    /// How many of them have a connection.
    busy: usize,
}

struct Entry {
    connections: usize,
    handshakes: Meter,
}

/// Why a network has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Connections(usize),
    Handshakes(Rate, Duration),
}

impl Addresses {
    pub(crate) fn new() -> Self {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        Self { parts, hasher: RandomState::new() }
    }

    /// Counts a handshake and a connection, if both are allowed: each only if it has a limit.
    pub(crate) fn enter(
        &self,
        network: Network,
        most: Option<usize>,
        rate: Option<Rate>,
    ) -> Result<(), Excess> {
        let now = Instant::now();
        let mut part = self.part(network);
        let Part { entries, busy } = &mut *part;
        let is_known = entries.contains_key(&network);
        if !is_known && entries.len() - *busy >= IDLE_MAX {
            forget(entries, now);
        }
        let new = || Entry { connections: 0, handshakes: Meter::full(now) };
        let entry = entries.entry(network).or_insert_with(new);
        // Attempts that are refused count as well: they cost as much as others.
        if let Some(rate) = rate
            && let Err(wait) = entry.handshakes.try_take(rate, now, 1)
        {
            return Err(Excess::Handshakes(rate, wait));
        }
        let Some(most) = most else { return Ok(()) };
        if entry.connections >= most {
            return Err(Excess::Connections(most));
        }
        *busy += usize::from(entry.connections == 0);
        entry.connections += 1;
        Ok(())
    }

    /// A connection of this network has ended.
    pub(crate) fn leave(&self, network: Network) {
        let now = Instant::now();
        let mut part = self.part(network);
        let Part { entries, busy } = &mut *part;
        let Some(entry) = entries.get_mut(&network) else { return };
        entry.connections = entry.connections.saturating_sub(1);
        if entry.connections == 0 {
            *busy = busy.saturating_sub(1);
            if entry.handshakes.is_full(now) {
                entries.remove(&network);
            } else if entries.len() - *busy > IDLE_MAX {
                forget(entries, now);
            }
            // What a flood has allocated is not kept, even if some stay connected.
            if entries.len() < entries.capacity() / 4 {
                entries.shrink_to(entries.len() * 2);
            }
        }
    }

    /// Returns how many connections the network has that has most of them.
    pub(crate) fn most(&self) -> usize {
        let most = |part: &Mutex<Part>| {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            part.entries.values().map(|entry| entry.connections).max().unwrap_or(0)
        };
        self.parts.iter().map(most).max().unwrap_or(0)
    }

    fn part(&self, network: Network) -> MutexGuard<'_, Part> {
        let hash = self.hasher.hash_one(network);
        let parts = &self.parts;
        let part = &parts[usize::try_from(hash % parts.len() as u64).unwrap_or(0)];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the networks without a connection that may connect as if they were new, and if those are
/// fewer than half, the ones that may connect soonest.
fn forget(entries: &mut HashMap<Network, Entry>, now: Instant) {
    entries.retain(|_, entry| entry.connections > 0 || !entry.handshakes.is_full(now));
    let is_idle = |entry: &Entry| entry.connections == 0;
    let mut times: Vec<_> =
        entries.values().filter(|entry| is_idle(entry)).map(|it| it.handshakes.full_at()).collect();
    if times.len() > IDLE_MAX / 2 {
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        entries.retain(|_, entry| !is_idle(entry) || entry.handshakes.full_at() > median);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::*;
    use crate::server::quota::network::Prefixes;

    fn network(number: u32) -> Network {
        let bits = u128::from(number) << 64;
        Network::of(IpAddr::V6(Ipv6Addr::from_bits(bits)), Prefixes::default())
    }

    fn known(addresses: &Addresses) -> usize {
        addresses.parts.iter().map(|part| part.lock().unwrap().entries.len()).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_million_networks_take_the_room_of_some() {
        let addresses = Addresses::new();
        let rate = Some(Rate::per_minute(2));
        for number in 0..1_000_000 {
            addresses.enter(network(number), Some(1), rate).unwrap();
            addresses.leave(network(number));
        }
        assert!(known(&addresses) <= PARTS * IDLE_MAX, "{} are known", known(&addresses));
        assert!(known(&addresses) >= IDLE_MAX, "{} are known", known(&addresses));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_networks_forgets_no_connection() {
        let addresses = Addresses::new();
        let (most, rate) = (Some(1), Some(Rate::per_minute(2)));
        addresses.enter(network(0), most, rate).unwrap();
        for number in 1..200_000 {
            addresses.enter(network(number), most, rate).unwrap();
            addresses.leave(network(number));
        }
        assert_eq!(addresses.enter(network(0), most, rate), Err(Excess::Connections(1)));
        addresses.leave(network(0));
        assert!(matches!(addresses.enter(network(0), most, rate), Err(Excess::Handshakes(..))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_flood_has_allocated_is_freed_although_some_stay() {
        let addresses = Addresses::new();
        for number in 0..100_000 {
            addresses.enter(network(number), Some(1), None).unwrap();
        }
        for number in 100..100_000 {
            addresses.leave(network(number));
        }
        let parts = addresses.parts.iter().map(|part| part.lock().unwrap());
        let capacity: usize = parts.map(|part| part.entries.capacity()).sum();
        assert_eq!(known(&addresses), 100);
        assert!(capacity <= 1000, "room for {capacity}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_is_forgotten_once_it_may_connect_as_if_it_were_new() {
        let addresses = Addresses::new();
        addresses.enter(network(1), Some(1), None).unwrap();
        addresses.leave(network(1));
        assert_eq!(known(&addresses), 0);
        let rate = Some(Rate::per_second(1));
        addresses.enter(network(1), Some(1), rate).unwrap();
        addresses.leave(network(1));
        assert_eq!(known(&addresses), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        addresses.enter(network(1), Some(1), rate).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        addresses.leave(network(1));
        assert_eq!(known(&addresses), 0);
    }
}
