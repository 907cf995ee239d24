//! How many connections a server takes: in all, and from one address. Several servers can share what
//! is counted.
//!
//! ```text
//!   accepted ─▶ arrive ─▶ head ─▶ request ─▶ answer ─▶ keep ─▶ connection ─▶ release
//! ```
//!
//! A peer that is not a trusted proxy is its own client, so its address is counted before its head
//! is read. Otherwise the head says which address to count. Without these options nothing is
//! counted.

mod network;

mod addresses;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use towline_proto::handshake::{Rejection, TrustedProxies};

use crate::connection::Rate;
use crate::server::memory::Common;
use crate::server::quota::addresses::{Addresses, Excess};
use crate::server::quota::network::Network;
use crate::server::quota_stats::{Quota, QuotaStats};
use crate::server::rejections::{too_many_connections, too_many_from, too_often};

pub(crate) use network::Prefixes;

/// The options about connections.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) connections: Option<usize>,
    pub(crate) connections_per_address: Option<usize>,
    pub(crate) handshake_rate: Option<Rate>,
    pub(crate) prefixes: Prefixes,
    pub(crate) buffered_bytes: Option<usize>,
}

/// What several servers count together for their quotas: connections, addresses, and memory. Clones
/// are cheap and refer to the same counts.
///
/// Each server has counts of its own, unless it is given these with
/// [`ServerBuilder::quotas`](crate::ServerBuilder::quotas).
#[derive(Clone, Default)]
pub struct Quotas(Arc<Counts>);

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    /// Made by the first server that has a limit by address.
    addresses: OnceLock<Addresses>,
    memory: Arc<Common>,
}

/// The limits of a server, and what is counted for them.
pub(crate) struct Admissions {
    limits: Limits,
    counts: Quotas,
}

/// What a stream or a request has been counted as. Dropping it takes that back. `None` as long as it
/// counts as nothing.
pub(crate) type Admission = Option<Box<Counted>>;

pub(crate) struct Counted {
    admissions: Arc<Admissions>,
    network: Option<Network>,
    is_connection: bool,
}

/// Why a client is not admitted.
pub(crate) struct Refused {
    pub(crate) quota: Quota,
    pub(crate) rejection: Rejection,
}

impl Quotas {
    /// Returns new counts, which no server shares yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many connections count for
    /// [`max_connections`](crate::ServerBuilder::max_connections) now, on all servers that share
    /// these counts and have that limit. Requests that are not answered yet count too.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Acquire)
    }

    /// The memory of all servers.
    pub(crate) fn memory(&self) -> Arc<Common> {
        self.0.memory.clone()
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

impl Admissions {
    pub(crate) fn new(limits: Limits, shared: Option<Quotas>) -> Arc<Self> {
        Arc::new(Self { limits, counts: shared.unwrap_or_default() })
    }

    /// Admits a stream before its head is read.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        peer: Option<SocketAddr>,
        proxies: &TrustedProxies,
    ) -> Result<Admission, Refused> {
        match peer.map(|peer| peer.ip()) {
            Some(peer) if self.is_by_address() && !proxies.trusts(peer) => {
                self.count_address(None, peer)
            }
            _ => Ok(None),
        }
    }

    /// Admits the request of a client.
    pub(crate) fn request(
        self: &Arc<Self>,
        mut admission: Admission,
        client: Option<IpAddr>,
    ) -> Result<Admission, Refused> {
        if let Some(client) = client
            && admission.as_ref().is_none_or(|counted| counted.network.is_none())
        {
            admission = self.count_address(admission, client)?;
        }
        let Some(most) = self.limits.connections else { return Ok(admission) };
        let more = |count| (count < most).then_some(count + 1);
        let (connections, order) = (&self.counts.0.connections, Ordering::AcqRel);
        if connections.fetch_update(order, Ordering::Acquire, more).is_err() {
            let rejection = too_many_connections(most);
            return Err(Refused { quota: Quota::Connections, rejection });
        }
        self.counted(&mut admission).is_connection = true;
        Ok(admission)
    }

    fn count_address(
        self: &Arc<Self>,
        mut admission: Admission,
        client: IpAddr,
    ) -> Result<Admission, Refused> {
        let Some(addresses) = self.addresses() else { return Ok(admission) };
        let Limits { connections_per_address, handshake_rate, prefixes, .. } = self.limits;
        let network = Network::of(client, prefixes);
        addresses.enter(network, connections_per_address, handshake_rate).map_err(|excess| {
            let (quota, rejection) = match excess {
                Excess::Connections(most) => {
                    (Quota::ConnectionsPerAddress, too_many_from(&network, most))
                }
                Excess::Handshakes(rate, wait) => {
                    (Quota::HandshakeRate, too_often(&network, rate, wait))
                }
            };
            Refused { quota, rejection }
        })?;
        self.counted(&mut admission).network = Some(network);
        Ok(admission)
    }

    fn counted<'a>(self: &Arc<Self>, admission: &'a mut Admission) -> &'a mut Counted {
        admission.get_or_insert_with(|| {
            Box::new(Counted { admissions: self.clone(), network: None, is_connection: false })
        })
    }

    /// A connection of this client has ended.
    pub(crate) fn release(&self, client: Option<IpAddr>) {
        let network = client.map(|client| Network::of(client, self.limits.prefixes));
        self.take_back(network, self.limits.connections.is_some());
    }

    fn take_back(&self, network: Option<Network>, is_connection: bool) {
        if self.limits.connections_per_address.is_some()
            && let Some((addresses, network)) = self.addresses().zip(network)
        {
            addresses.leave(network);
        }
        if is_connection {
            self.counts.0.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn is_by_address(&self) -> bool {
        self.limits.connections_per_address.is_some() || self.limits.handshake_rate.is_some()
    }

    fn addresses(&self) -> Option<&Addresses> {
        let addresses = &self.counts.0.addresses;
        self.is_by_address().then(|| addresses.get_or_init(Addresses::new))
    }

    /// Adds the quotas that are set, and how much of them is used.
    pub(crate) fn add_to(&self, quotas: &mut BTreeMap<Quota, QuotaStats>) {
        let Limits { connections, connections_per_address, handshake_rate, .. } = self.limits;
        if let Some(most) = connections {
            quotas.insert(Quota::Connections, QuotaStats::of(most, self.counts.connections()));
        }
        if let Some(most) = connections_per_address {
            let used = self.addresses().map_or(0, Addresses::most);
            quotas.insert(Quota::ConnectionsPerAddress, QuotaStats::of(most, used));
        }
        if handshake_rate.is_some() {
            quotas.insert(Quota::HandshakeRate, QuotaStats::default());
        }
    }
}

impl Counted {
    /// The request has become a connection, which is [released](Admissions::release) when it ends.
    pub(crate) fn keep(mut self) {
        self.network = None;
        self.is_connection = false;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.admissions.take_back(self.network, self.is_connection);
    }
}
