// The README's links lead to docs.rs. The first definition of a link counts, so here they lead to the
// items, and rustdoc checks them.
//! [`observe`]: observe()
//! [`Observer`]: Observer
//! [`TopicsObserver`]: TopicsObserver
//! [`towline`]: towline
#![doc = include_str!("../README.md")]
//!
//! Install the exporter first: metrics go to the recorder that is installed when [`Observer::new`]
//! is called.
//!
//! # The metrics
//!
//! Names are those of [OpenTelemetry] for the handshake, which is an HTTP request, and begin with
//! `websocket.` otherwise. Prometheus has underscores for the dots.
//!
//! | metric | type | unit | labels |
//! | --- | --- | --- | --- |
//! | `http.server.request.duration` | histogram | seconds | `http.request.method`, `http.response.status_code`, `network.protocol.version`, `url.scheme` |
//! | `http.server.active_requests` | gauge | requests | |
//! | `websocket.handshakes` | counter | handshakes | `status` |
//! | `websocket.handshakes.failed` | counter | handshakes | `reason` |
//! | `websocket.tls.failures` | counter | handshakes | |
//! | `websocket.connections` | counter | connections | |
//! | `websocket.connections.active` | gauge | connections | |
//! | `websocket.connection.duration` | histogram | seconds | `code` |
//! | `websocket.closes` | counter | connections | `code` |
//! | `websocket.messages` | counter | messages | `direction` |
//! | `websocket.bytes` | counter | bytes | `direction` |
//! | `websocket.frames` | counter | frames | `direction` |
//! | `websocket.wire.bytes` | counter | bytes | `direction` |
//! | `websocket.uncompressed.bytes` | counter | bytes | `direction` |
//! | `websocket.compressed.bytes` | counter | bytes | `direction` |
//! | `websocket.pings` | counter | pings | `direction` |
//! | `websocket.round_trip.mean`, `websocket.round_trip.max` | gauge | seconds | |
//! | `websocket.queue.messages` | gauge | messages | |
//! | `websocket.queue.bytes` | gauge | bytes | |
//! | `websocket.send.waits` | counter | waits | |
//! | `websocket.send.waited` | counter | microseconds | |
//! | `websocket.broadcasts` | counter | broadcasts | |
//! | `websocket.measurements.missed` | counter | measurements | |
//! | `websocket.quota.limit`, `websocket.quota.used` | gauge | handshakes, connections, bytes | `quota` |
//! | `websocket.quota.refused` | counter | handshakes | `quota` |
//! | `websocket.quota.slowed` | counter | pauses | `quota` |
//! | `websocket.quota.closed` | counter | connections | `quota` |
//!
//! `direction` is `sent` or `received`. `code` is the close code, as in [`ServerStats::closed`]:
//! the codes that peers can choose are counted together, as `3000` and `4000`. So no peer can make
//! many time series. `websocket.closes` is 0 for 1000, 1001 and 1006 from the first reading on; other
//! codes are there once they have occurred. `quota` is the [option](towline::Quota::option) that sets the
//! quota. Rates have no limit and no use, only counts.
//!
//! `reason` is the [code](towline::ErrorKind::code) of the failure's kind, as in
//! [`ServerStats::failed`]: `ERR_HANDSHAKE_TIMEOUT`, `ERR_NOT_HTTP`, `ERR_IS_TLS`. A handshake that failed
//! and was answered is in `websocket.handshakes`, too.
//!
//! # What it costs
//!
//! Counters and gauges come from [`ServerHandle::stats`], which is read at an
//! [interval](Observer::every). Nothing is lost between two readings, and nothing is done for single
//! messages. Histograms come from [`ServerHandle::measurements`]: one value for a handshake and one
//! for a connection that ends. If these come faster than they are recorded,
//! `websocket.measurements.missed` counts those that are lost.
//!
//! Several servers of a process add up. To tell them apart, give each a [label](Observer::label). Round trips
//! do not add up, nor do the use and the limit of quotas, since servers can [share](towline::Quotas) them:
//! without labels they are those of the server that was read last. Round trips are 0 while no open connection
//! has one. They and the use of quotas are 0 once an observer of the server is dropped.
//!
//! [OpenTelemetry]: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/

#![cfg_attr(docsrs, feature(doc_cfg))]

// In order of dependence: a module uses only those above it.

mod names;

mod readings;

mod topics;

use std::fmt;
use std::time::Duration;

use metrics::{Label, SharedString};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
#[cfg(doc)]
use towline::ServerStats;
use towline::{Measurements, ServerHandle};

pub use crate::topics::TopicsObserver;

use crate::readings::Readings;

/// The time between two readings, unless set.
const INTERVAL: Duration = Duration::from_secs(5);

/// Reports the metrics of a server until it has ended. Spawn it.
///
/// It is an [`Observer`] with the defaults.
///
/// # Cancel safety
///
/// Cancel safe: dropping it ends the reports, and sets gauges back by what this server has added.
pub fn observe(server: ServerHandle) -> impl Future<Output = ()> + Send + 'static {
    Observer::new(server).run()
}

/// Reports the metrics of a server to the recorder that is installed.
///
/// ```no_run
/// # async fn example(chat: towline::Server) {
/// use std::time::Duration;
/// use towline_metrics::Observer;
///
/// let observer = Observer::new(chat.handle()).label("server", "chat");
/// tokio::spawn(observer.every(Duration::from_secs(1)).run());
/// # }
/// ```
pub struct Observer {
    server: ServerHandle,
    measurements: Measurements,
    interval: Duration,
    readings: Readings,
}

impl Observer {
    /// Creates an observer, and describes the metrics with their units to the recorder.
    ///
    /// From now on, handshakes and ends of connections are measured.
    pub fn new(server: ServerHandle) -> Self {
        names::describe();
        let measurements = server.measurements();
        Self { server, measurements, interval: INTERVAL, readings: Readings::default() }
    }

    /// Sets the time between two readings of the counters. Default: 5 s. At least a millisecond.
    ///
    /// A reading locks each open connection for a moment: some milliseconds for 10,000 of them.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Adds a label to all metrics, such as the name of the server. Call it before the first
    /// [`collect`](Self::collect).
    #[must_use]
    pub fn label(mut self, name: impl Into<SharedString>, value: impl Into<SharedString>) -> Self {
        self.readings.add_label(Label::new(name, value));
        self
    }

    /// Reads the counters now, and records the measurements that have come. For a program that is
    /// scraped, and collects before it renders; call it at least every few seconds, so that no
    /// measurement is missed.
    pub fn collect(&mut self) {
        while let Some(measurement) = self.measurements.try_next() {
            self.readings.record(&measurement);
        }
        self.readings.read(&self.server.stats());
    }

    /// Reports until the server was shut down, or its `Server` dropped, and its connections have
    /// ended.
    ///
    /// # Cancel safety
    ///
    /// As [`observe`].
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub async fn run(mut self) {
        let mut ticks = interval_at(Instant::now(), self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                measurement = self.measurements.next() => match measurement {
                    Some(measurement) => self.readings.record(&measurement),
                    None => return,
                },
                _ = ticks.tick() => {
                    // Before the reading, so that it is the last one if this is the end.
                    let is_over = self.is_over();
                    self.collect();
                    if is_over {
                        return;
                    }
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.server.is_over() && self.server.connections().is_empty()
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("interval", &self.interval).finish_non_exhaustive()
    }
}
