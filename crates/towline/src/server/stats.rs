//! What a program can see of a server: counts of its handshakes and connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http::StatusCode;
use towline_proto::{CloseCode, Closed, Stats, Traffic};

use crate::error::ErrorKind;
use crate::server::quota_stats::{Applied, Quota, QuotaStats};

/// What a server has done so far, see [`ServerHandle::stats`](crate::ServerHandle::stats).
///
/// All counts begin with zero and never decrease, except for those that say *now*.
///
/// [`ServerHandle::stats`](crate::ServerHandle::stats) has an example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// The connections that are open or closing now.
    pub connections: usize,
    /// The connections that were established.
    pub connections_total: u64,
    /// The requests that have arrived and are not answered now.
    pub requests: usize,
    /// The handshakes that were accepted.
    pub accepted: u64,
    /// The handshakes that were rejected, by the status of the response.
    pub rejected: BTreeMap<StatusCode, u64>,
    /// The handshakes that failed, by the kind of the failure, as in
    /// [`ServerEvent::HandshakeFailed`](crate::ServerEvent::HandshakeFailed): those of TLS, and those
    /// without a valid request. Those that were answered are in `rejected`, too.
    pub failed: BTreeMap<ErrorKind, u64>,
    /// How many of them failed in TLS. Clients that sent nothing do not count.
    pub tls_failed: u64,
    /// The connections that have ended, by the [class](CloseCode::class) of [`Closed::code`].
    pub closed: BTreeMap<CloseCode, u64>,
    /// What was sent on all connections, those that have ended included.
    pub sent: Traffic,
    /// What was received on all connections, those that have ended included.
    pub received: Traffic,
    /// The pings that were sent.
    pub pings_sent: u64,
    /// The pings that were received.
    pub pings_received: u64,
    /// The mean of the smoothed round trips of the connections that are open now. `None` before the
    /// first is measured.
    pub round_trip_mean: Option<Duration>,
    /// The longest of them.
    pub round_trip_max: Option<Duration>,
    /// The messages that wait behind those being written now, on all connections.
    pub queued_messages: usize,
    /// The bytes that the transports have not taken yet, on all connections.
    pub queued_bytes: usize,
    /// The memory that all connections of this server hold for messages. `None` without
    /// [`max_buffered_bytes`](crate::ServerBuilder::max_buffered_bytes).
    pub buffered_bytes: Option<usize>,
    /// The quotas that are set: how much of each is used, and how often it was applied.
    pub quotas: BTreeMap<Quota, QuotaStats>,
    /// How often a sender waited for room in the queue of its connection.
    pub waits: u64,
    /// For how long senders waited for room, added up.
    pub waited: Duration,
    /// The broadcasts that were made.
    pub broadcasts: u64,
}

impl ServerStats {
    /// Adds a connection that is open.
    pub(crate) fn add_live(&mut self, stats: &Stats) {
        self.queued_messages += stats.queued_messages;
        self.queued_bytes += stats.queued_bytes;
        self.round_trip_max = self.round_trip_max.max(stats.round_trip.map(|trip| trip.smoothed));
        self.add_past(stats);
    }

    fn add_past(&mut self, stats: &Stats) {
        self.sent.add(&stats.sent);
        self.received.add(&stats.received);
        self.pings_sent += stats.pings_sent;
        self.pings_received += stats.pings_received;
        self.waits += stats.waits;
        self.waited = self.waited.saturating_add(stats.waited);
    }
}

/// The sums over the connections of a part of a server.
#[derive(Default)]
pub(crate) struct Sums {
    begun: u64,
    past: ServerStats,
}

impl Sums {
    pub(crate) fn begin(&mut self) {
        self.begun += 1;
    }

    pub(crate) fn end(&mut self, closed: &Closed, stats: &Stats) {
        self.past.add_past(stats);
        *self.past.closed.entry(closed.code().class()).or_default() += 1;
    }

    /// A connection is gone without an end.
    pub(crate) fn forget(&mut self, stats: &Stats) {
        self.past.add_past(stats);
    }

    /// Adds what a connection has received that was not in the stats of its end.
    pub(crate) fn add_late(&mut self, received: &Traffic) {
        self.past.received.add(received);
    }

    pub(crate) fn add_to(&self, sum: &mut ServerStats) {
        let past = &self.past;
        sum.connections_total += self.begun;
        for (code, count) in &past.closed {
            *sum.closed.entry(*code).or_default() += count;
        }
        sum.sent.add(&past.sent);
        sum.received.add(&past.received);
        sum.pings_sent += past.pings_sent;
        sum.pings_received += past.pings_received;
        sum.waits += past.waits;
        sum.waited = sum.waited.saturating_add(past.waited);
    }
}

/// Counts what comes before connections.
#[derive(Default)]
pub(crate) struct Tally {
    requests: Arc<AtomicUsize>,
    accepted: AtomicU64,
    tls_failed: AtomicU64,
    /// Boxed, since a request that came without a server has a tally as well.
    turned_away: OnceLock<Box<TurnedAway>>,
}

/// Counts the clients that got no connection, or too much of it.
#[derive(Default)]
struct TurnedAway {
    /// A program can choose any status, but only those that there are.
    rejected: Mutex<BTreeMap<StatusCode, u64>>,
    failed: Mutex<BTreeMap<ErrorKind, u64>>,
    applied: Applied,
}

/// A request that is not answered yet.
pub(crate) struct Unanswered(Arc<AtomicUsize>);

impl Tally {
    pub(crate) fn request(&self) -> Unanswered {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Unanswered(self.requests.clone())
    }

    pub(crate) fn accept(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    fn turned_away(&self) -> &TurnedAway {
        self.turned_away.get_or_init(Box::default)
    }

    /// How often quotas were applied.
    pub(crate) fn applied(&self) -> &Applied {
        &self.turned_away().applied
    }

    pub(crate) fn fail(&self, kind: ErrorKind) {
        *lock(&self.turned_away().failed).entry(kind).or_default() += 1;
    }

    pub(crate) fn fail_tls(&self, kind: ErrorKind) {
        self.tls_failed.fetch_add(1, Ordering::Relaxed);
        self.fail(kind);
    }

    pub(crate) fn reject(&self, status: StatusCode) {
        *lock(&self.turned_away().rejected).entry(status).or_default() += 1;
    }

    pub(crate) fn add_to(&self, sum: &mut ServerStats) {
        sum.requests = self.requests.load(Ordering::Relaxed);
        sum.accepted = self.accepted.load(Ordering::Relaxed);
        sum.tls_failed = self.tls_failed.load(Ordering::Relaxed);
        if let Some(turned_away) = self.turned_away.get() {
            sum.failed = lock(&turned_away.failed).clone();
            sum.rejected = lock(&turned_away.rejected).clone();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
