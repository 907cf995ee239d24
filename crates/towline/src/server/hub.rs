//! State shared by a server's listeners, requests and connections.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use towline_proto::handshake::{HeadLimits, OriginPolicy, Rejection, TrustedProxies, Version};
use towline_proto::{CloseCause, Closed, Config, LimitExceeded, Stats, Traffic};

use crate::connection::{Info, Observer, Throttling, TooFast};
use crate::error::{Error, ErrorKind};
use crate::server::accepting::{Accepting, OnItsWay};
use crate::server::connections::Connections;
use crate::server::event::ServerEvent;
use crate::server::measurement::{Measured, Measurement};
use crate::server::memory::Memory;
use crate::server::quota::{Admission, Admissions, Limits, Quotas, Refused};
use crate::server::quota_stats::{Quota, QuotaStats};
use crate::server::rejections::{Refusal, no_place, no_requests};
use crate::server::seldom::Seldom;
use crate::server::standing::{Standing, Term};
use crate::server::stats::{ServerStats, Tally};
use crate::topics::Topics;
use crate::transport::SecureServer;

/// How many events a subscriber can be behind by.
const EVENTS: usize = 1024;

/// How many streams of rejected clients linger at once. They are outside of all other limits, so
/// that a flood of requests which are refused would take all file descriptors.
const LINGERING: usize = 256;

/// The options of a server.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) origins: OriginPolicy,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) oldest_version: Version,
    pub(crate) head_limits: HeadLimits,
    pub(crate) handshake_timeout: Duration,
    pub(crate) max_pending_requests: usize,
    pub(crate) max_handshakes: usize,
    pub(crate) nodelay: bool,
    pub(crate) auto_accept: bool,
    /// The program's topics, instead of the server's own.
    pub(crate) topics: Option<Topics>,
    /// Boxed, as the request of a program with its own HTTP server has options of its own.
    pub(crate) limits: Option<Box<Limits>>,
    /// What several servers count together for these limits.
    pub(crate) quotas: Option<Quotas>,
    pub(crate) throttling: Option<Arc<Throttling>>,
    /// If set, listening sockets speak TLS.
    pub(crate) tls: Option<Arc<dyn SecureServer>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: Config::server(),
            origins: OriginPolicy::default(),
            trusted_proxies: TrustedProxies::default(),
            oldest_version: Version::Draft8,
            head_limits: HeadLimits::default(),
            handshake_timeout: Duration::from_secs(10),
            max_pending_requests: 1024,
            max_handshakes: 16 << 10,
            nodelay: true,
            auto_accept: false,
            topics: None,
            limits: None,
            quotas: None,
            throttling: None,
            tls: None,
        }
    }
}

/// The lines of the log that clients can cause, each at most once a second.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) accept_failed: Seldom,
    tls_failed: Seldom,
    handshake_failed: Seldom,
    rejected: Seldom,
    pub(crate) not_accepted: Seldom,
    pub(crate) relieved: Seldom,
}

pub(crate) struct Hub {
    pub(crate) options: Options,
    pub(crate) standing: Standing,
    pub(crate) accepting: Accepting,
    pub(crate) connections: Connections,
    /// Each stream holds a permit from its first byte until its whole request has a place.
    pub(crate) handshakes: Arc<Semaphore>,
    /// Each stream of a rejected client holds a permit until the client has read the response.
    pub(crate) lingering: Arc<Semaphore>,
    /// Each request, or the connection it was auto-accepted as, takes a permit until the program
    /// takes it. Closed once nobody will take any.
    pub(crate) places: Semaphore,
    /// Made for the first subscriber: it has room for all events that one can be behind by.
    events: OnceLock<broadcast::Sender<ServerEvent>>,
    /// Made when first asked for.
    topics: OnceLock<Topics>,
    pub(crate) measured: Measured,
    /// Present if there is anything to count.
    admissions: Option<Arc<Admissions>>,
    /// Present if it is limited.
    pub(crate) memory: Option<Arc<Memory>>,
    /// Made for the first line.
    lines: OnceLock<Box<Lines>>,
    pub(crate) tally: Tally,
}

impl Hub {
    pub(crate) fn new(options: Options, connections: Connections) -> Arc<Self> {
        let (limits, quotas) = (options.limits.as_deref().copied(), options.quotas.clone());
        let memory = limits
            .and_then(|limits| limits.buffered_bytes)
            .map(|most| Memory::new(most, &connections, quotas.as_ref().map(Quotas::memory)));
        Arc::new(Self {
            standing: Standing::mounted(),
            accepting: Accepting::default(),
            connections,
            handshakes: Arc::new(Semaphore::new(options.max_handshakes)),
            lingering: Arc::new(Semaphore::new(LINGERING)),
            places: Semaphore::new(options.max_pending_requests),
            events: OnceLock::new(),
            topics: options.topics.clone().map_or_else(OnceLock::new, OnceLock::from),
            measured: Measured::default(),
            admissions: limits.map(|limits| Admissions::new(limits, quotas)),
            memory,
            lines: OnceLock::new(),
            tally: Tally::default(),
            options,
        })
    }

    pub(crate) fn event(&self, event: impl FnOnce() -> ServerEvent) {
        if let Some(events) = self.events.get()
            && events.receiver_count() > 0
        {
            let _ = events.send(event());
        }
    }

    /// Reports a TLS handshake that failed, except for clients that sent nothing, such as port
    /// scanners.
    pub(crate) fn tls_failed(&self, kind: ErrorKind, reason: String, peer: Option<SocketAddr>) {
        if let Some(left_out) = self.lines().tls_failed.turn() {
            tracing::debug!(
                ?peer, %reason, left_out = left_out.count(), "TLS handshake failed"
            );
        }
        if kind != ErrorKind::RequestGone {
            self.tally.fail_tls(kind);
            let (status, peer_addr) = (None, peer);
            self.event(|| ServerEvent::HandshakeFailed { kind, reason, status, peer_addr });
        }
    }

    /// Reports a handshake that failed, after TLS if there is any.
    pub(crate) fn handshake_failed(
        &self,
        kind: ErrorKind,
        reason: String,
        status: Option<StatusCode>,
        peer_addr: Option<SocketAddr>,
    ) {
        if let Some(left_out) = self.lines().handshake_failed.turn() {
            let left_out = left_out.count();
            tracing::debug!(?peer_addr, %reason, left_out, "handshake failed");
        }
        self.tally.fail(kind);
        if let Some(status) = status {
            self.tally.reject(status);
        }
        self.event(|| ServerEvent::HandshakeFailed { kind, reason, status, peer_addr });
    }

    /// Reports a stream that failed before the request was complete, unless the client has sent nothing.
    pub(crate) fn broken_off(&self, error: io::Error, has_begun: bool, peer: Option<SocketAddr>) {
        let error = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let why = "the client closed the connection before its request was complete";
                Error::of_stream(ErrorKind::ConnectionLost, why.to_owned(), error)
            }
            _ => {
                let why = format!("the connection failed before the request was complete: {error}");
                Error::of_stream(ErrorKind::ConnectionLost, why, error)
            }
        };
        if has_begun || error.is_tls() {
            self.handshake_failed(error.kind(), error.to_string(), None, peer);
        }
    }

    /// Reports a refusal, as one event.
    pub(crate) fn refused(&self, refusal: &Refusal, peer_addr: Option<SocketAddr>) {
        let Refusal { rejection, failure } = refusal;
        match failure {
            Some(kind) => {
                let (reason, status) = (rejection.reason().to_owned(), Some(rejection.status()));
                self.handshake_failed(*kind, reason, status, peer_addr);
            }
            None => self.rejected(rejection, peer_addr),
        }
    }

    /// Reports a request that is rejected.
    pub(crate) fn rejected(&self, rejection: &Rejection, peer_addr: Option<SocketAddr>) {
        if let Some(left_out) = self.lines().rejected.turn() {
            tracing::debug!(
                ?peer_addr, %rejection, left_out = left_out.count(), "request rejected"
            );
        }
        self.tally.reject(rejection.status());
        self.event(|| ServerEvent::Rejected {
            status: rejection.status(),
            reason: rejection.reason().to_owned(),
            peer_addr,
        });
    }

    pub(crate) fn topics(&self) -> Topics {
        self.topics.get_or_init(Topics::new).clone()
    }

    /// Admits a stream before its head is read, as far as its peer's address is known to be the
    /// client's.
    pub(crate) fn arrive(&self, peer: Option<SocketAddr>) -> Result<Admission, Rejection> {
        let Some(admissions) = &self.admissions else { return Ok(None) };
        let proxies = &self.options.trusted_proxies;
        admissions.arrive(peer, proxies).map_err(|refused| self.refused_by_quota(refused))
    }

    /// Admits the request of a client.
    pub(crate) fn admit(
        &self,
        admission: Admission,
        client: Option<IpAddr>,
    ) -> Result<Admission, Rejection> {
        let Some(admissions) = &self.admissions else { return Ok(None) };
        admissions.request(admission, client).map_err(|refused| self.refused_by_quota(refused))
    }

    fn refused_by_quota(&self, Refused { quota, rejection }: Refused) -> Rejection {
        self.tally.applied().refuse(quota);
        rejection
    }

    pub(crate) fn lines(&self) -> &Lines {
        self.lines.get_or_init(Box::default)
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<ServerEvent> {
        self.events.get_or_init(|| broadcast::Sender::new(EVENTS)).subscribe()
    }

    pub(crate) fn stats(&self) -> ServerStats {
        let mut stats = ServerStats::default();
        self.tally.add_to(&mut stats);
        self.connections.add_to(&mut stats);
        stats.buffered_bytes = self.memory.as_ref().map(|memory| memory.held());
        self.add_quotas(&mut stats.quotas);
        stats
    }

    /// Adds the quotas that are set.
    fn add_quotas(&self, quotas: &mut BTreeMap<Quota, QuotaStats>) {
        let most = self.options.max_handshakes;
        let free = self.handshakes.available_permits();
        quotas.insert(Quota::Handshakes, QuotaStats::of(most, most.saturating_sub(free)));
        if let Some(admissions) = &self.admissions {
            admissions.add_to(quotas);
        }
        if let Some(memory) = &self.memory {
            let stats = QuotaStats::of(memory.most(), memory.held_by_all());
            quotas.insert(Quota::BufferedBytes, stats);
        }
        let Throttling { messages, bytes, .. } =
            self.options.throttling.as_deref().cloned().unwrap_or_default();
        for (quota, rate) in [(Quota::MessageRate, messages), (Quota::ByteRate, bytes)] {
            if rate.is_some() {
                quotas.insert(quota, QuotaStats::default());
            }
        }
        self.tally.applied().add_to(quotas);
    }

    /// Waits for a place among the handshakes.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        self.handshakes.clone().acquire_owned().await.expect("never closed")
    }

    /// Waits for a place among the handshakes, at most until the end of this term.
    pub(crate) async fn place_during(&self, term: Term) -> Option<OwnedSemaphorePermit> {
        let place = self.standing.during(term, self.place()).await?;
        // The place may have become free because the term ended.
        (self.standing.term() == Some(term)).then_some(place)
    }

    /// Takes a request that is handed to the program without a queue, if the server is mounted and
    /// a place is free.
    pub(crate) fn take_in_hand(&self) -> Result<InHand, Rejection> {
        // Counted before the term is read: either this sees the shutdown, or the shutdown waits.
        let on_its_way = self.accepting.begin();
        if self.standing.term().is_none() {
            return Err(no_requests());
        }
        match self.handshakes.clone().try_acquire_owned() {
            Ok(place) => Ok(InHand { _place: place, _on_its_way: on_its_way }),
            Err(_) => Err(self.refused_by_quota(Refused {
                quota: Quota::Handshakes,
                rejection: no_place(self.options.max_handshakes),
            })),
        }
    }

    /// Waits until there is no connection, and none is being made.
    pub(crate) async fn wait_for_end(&self) {
        loop {
            self.accepting.wait_for_none().await;
            self.connections.wait_for_none().await;
            // A request being accepted meanwhile may have become a connection, and still be one.
            if self.accepting.is_none() && self.connections.is_empty() {
                return;
            }
        }
    }
}

/// A request that the program got without a queue. It has a place among the handshakes, and a
/// shutdown waits for it. Drop it once the connection is registered, or the request rejected.
pub(crate) struct InHand {
    _place: OwnedSemaphorePermit,
    _on_its_way: OnItsWay,
}

impl Observer for Hub {
    fn closed(&self, info: &Arc<Info>, closed: &Closed, stats: &Stats) {
        self.connections.remove(info.id, closed, stats);
        if let Some(admissions) = &self.admissions {
            admissions.release(info.remote_address);
        }
        if let CloseCause::LimitExceeded(limit) = closed.cause() {
            match limit {
                LimitExceeded::MessageRate { .. } => self.tally.applied().close(Quota::MessageRate),
                LimitExceeded::ByteRate { .. } => self.tally.applied().close(Quota::ByteRate),
                _ => {}
            }
        }
        self.event(|| ServerEvent::Closed(info.clone(), closed.clone()));
        self.measured
            .note(|| Measurement::Ended { closed: closed.clone(), stats: Box::new(stats.clone()) });
    }

    fn counted_late(&self, info: &Info, received: &Traffic) {
        self.connections.add_late(info.id, received);
    }

    fn gone(&self, info: &Info, stats: &Stats) {
        self.connections.forget(info.id, stats);
        if let Some(admissions) = &self.admissions {
            admissions.release(info.remote_address);
        }
    }

    fn slowed_down(&self, by: TooFast) {
        self.tally.applied().slow_down(match by {
            TooFast::Messages => Quota::MessageRate,
            TooFast::Bytes => Quota::ByteRate,
        });
    }
}
