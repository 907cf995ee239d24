//! What a program can see of quotas: their limits, how much is used, and how often they were applied.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A quota of a server, which is named as its option is.
///
/// ```
/// use towline::Quota;
///
/// assert_eq!(Quota::ConnectionsPerAddress.option(), "max_connections_per_address");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Quota {
    /// [`ServerBuilder::max_handshakes`](crate::ServerBuilder::max_handshakes).
    Handshakes,
    /// [`ServerBuilder::max_connections`](crate::ServerBuilder::max_connections).
    Connections,
    /// [`ServerBuilder::max_connections_per_address`](crate::ServerBuilder::max_connections_per_address).
    ConnectionsPerAddress,
    /// [`ServerBuilder::max_handshake_rate`](crate::ServerBuilder::max_handshake_rate).
    HandshakeRate,
    /// [`ServerBuilder::max_message_rate`](crate::ServerBuilder::max_message_rate).
    MessageRate,
    /// [`ServerBuilder::max_byte_rate`](crate::ServerBuilder::max_byte_rate).
    ByteRate,
    /// [`ServerBuilder::max_buffered_bytes`](crate::ServerBuilder::max_buffered_bytes).
    BufferedBytes,
}

impl Quota {
    /// Returns the name of the option of [`ServerBuilder`](crate::ServerBuilder) that sets it.
    pub fn option(self) -> &'static str {
        match self {
            Self::Handshakes => "max_handshakes",
            Self::Connections => "max_connections",
            Self::ConnectionsPerAddress => "max_connections_per_address",
            Self::HandshakeRate => "max_handshake_rate",
            Self::MessageRate => "max_message_rate",
            Self::ByteRate => "max_byte_rate",
            Self::BufferedBytes => "max_buffered_bytes",
        }
    }
}

/// Displays the name of the option.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.option())
    }
}

/// The use of a quota and what it has done, see [`ServerStats::quotas`](crate::ServerStats::quotas).
///
/// The limit and the use are those of now. If several servers [share](crate::Quotas) the quota, the
/// use is that of all of them. The counts begin with zero, never decrease, and are of this server.
///
/// ```
/// # fn example(server: towline::ServerHandle) {
/// for (quota, stats) in server.stats().quotas {
///     if let (Some(used), Some(limit)) = (stats.used, stats.limit) {
///         println!("{quota}: {used} of {limit}, {} refused", stats.refused);
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaStats {
    /// The limit: handshakes, connections, or bytes. `None` for a rate.
    pub limit: Option<u64>,
    /// How much of the limit is used. For
    /// [`ConnectionsPerAddress`](Quota::ConnectionsPerAddress), the most that one client has. `None`
    /// for a rate.
    pub used: Option<u64>,
    /// The handshakes that were refused.
    pub refused: u64,
    /// How often the server stopped reading from a connection for a while, with
    /// [`WhenTooFast::SlowDown`](crate::WhenTooFast::SlowDown).
    pub slowed: u64,
    /// The connections that were closed: with 1008 for a rate, with 1013 for memory. With shared
    /// quotas, a connection that is closed for memory counts on the server that noticed the excess.
    pub closed: u64,
}

impl QuotaStats {
    /// A quota with a limit, of which so much is used.
    pub(crate) fn of(limit: usize, used: usize) -> Self {
        let count = |count| Some(u64::try_from(count).unwrap_or(u64::MAX));
        Self { limit: count(limit), used: count(used), ..Self::default() }
    }
}

/// Counts how often quotas were applied, which is rare. Empty until then.
#[derive(Default)]
pub(crate) struct Applied(Mutex<BTreeMap<Quota, QuotaStats>>);

impl Applied {
    pub(crate) fn refuse(&self, quota: Quota) {
        self.count(quota, |stats| &mut stats.refused);
    }

    pub(crate) fn slow_down(&self, quota: Quota) {
        self.count(quota, |stats| &mut stats.slowed);
    }

    pub(crate) fn close(&self, quota: Quota) {
        self.count(quota, |stats| &mut stats.closed);
    }

    fn count(&self, quota: Quota, which: fn(&mut QuotaStats) -> &mut u64) {
        let mut applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *which(applied.entry(quota).or_default()) += 1;
    }

    /// Adds the counts to those quotas that are set.
    pub(crate) fn add_to(&self, quotas: &mut BTreeMap<Quota, QuotaStats>) {
        let applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (quota, stats) in quotas {
            if let Some(counts) = applied.get(quota) {
                let QuotaStats { refused, slowed, closed, .. } = *counts;
                *stats = QuotaStats { refused, slowed, closed, ..*stats };
            }
        }
    }
}
