//! How many connections a server takes: in all, and from one address.
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

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use towline_proto::handshake::{Rejection, TrustedProxies};

use crate::connection::Rate;
use crate::server::quota::addresses::{Addresses, Excess};
use crate::server::quota::network::Network;
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

/// What is counted for them.
pub(crate) struct Quotas {
    limits: Limits,
    connections: AtomicUsize,
    addresses: Option<Addresses>,
}

/// What a stream or a request has been counted as. Dropping it takes that back. `None` as long as it
/// counts as nothing.
pub(crate) type Admission = Option<Box<Counted>>;

pub(crate) struct Counted {
    quotas: Arc<Quotas>,
    network: Option<Network>,
    is_connection: bool,
}

impl Quotas {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        let is_by_address =
            limits.connections_per_address.is_some() || limits.handshake_rate.is_some();
        let addresses = is_by_address.then(Addresses::new);
        Arc::new(Self { limits, connections: AtomicUsize::new(0), addresses })
    }

    /// Admits a stream before its head is read.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        peer: Option<SocketAddr>,
        proxies: &TrustedProxies,
    ) -> Result<Admission, Rejection> {
        match peer.map(|peer| peer.ip()) {
            Some(peer) if self.addresses.is_some() && !proxies.trusts(peer) => {
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
    ) -> Result<Admission, Rejection> {
        if let Some(client) = client
            && admission.as_ref().is_none_or(|counted| counted.network.is_none())
        {
            admission = self.count_address(admission, client)?;
        }
        let Some(most) = self.limits.connections else { return Ok(admission) };
        let more = |count| (count < most).then_some(count + 1);
        let order = Ordering::AcqRel;
        if self.connections.fetch_update(order, Ordering::Acquire, more).is_err() {
            return Err(too_many_connections(most));
        }
        self.counted(&mut admission).is_connection = true;
        Ok(admission)
    }

    fn count_address(
        self: &Arc<Self>,
        mut admission: Admission,
        client: IpAddr,
    ) -> Result<Admission, Rejection> {
        let Some(addresses) = &self.addresses else { return Ok(admission) };
        let Limits { connections_per_address, handshake_rate, prefixes, .. } = self.limits;
        let network = Network::of(client, prefixes);
        addresses.enter(network, connections_per_address, handshake_rate).map_err(|excess| {
            match excess {
                Excess::Connections(most) => too_many_from(&network, most),
                Excess::Handshakes(rate, wait) => too_often(&network, rate, wait),
            }
        })?;
        self.counted(&mut admission).network = Some(network);
        Ok(admission)
    }

    fn counted<'a>(self: &Arc<Self>, admission: &'a mut Admission) -> &'a mut Counted {
        admission.get_or_insert_with(|| {
            Box::new(Counted { quotas: self.clone(), network: None, is_connection: false })
        })
    }

    /// A connection of this client has ended.
    pub(crate) fn release(&self, client: Option<IpAddr>) {
        let network = client.map(|client| Network::of(client, self.limits.prefixes));
        self.take_back(network, self.limits.connections.is_some());
    }

    fn take_back(&self, network: Option<Network>, is_connection: bool) {
        if let Some((addresses, network)) = self.addresses.as_ref().zip(network) {
            addresses.leave(network);
        }
        if is_connection {
            self.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Counted {
    /// The request has become a connection, which is [released](Quotas::release) when it ends.
    pub(crate) fn keep(mut self) {
        self.network = None;
        self.is_connection = false;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.quotas.take_back(self.network, self.is_connection);
    }
}
