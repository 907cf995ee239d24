//! Single measurements of a server, for histograms.

use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use towline_proto::handshake::Mechanism;
use towline_proto::{Closed, Stats};

/// How many measurements a subscriber can be behind by.
const BEHIND: usize = 1024;

/// Something that a server has measured, see
/// [`ServerHandle::measurements`](crate::ServerHandle::measurements).
///
/// [`Measurements`] has an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Measurement {
    /// A handshake was answered.
    #[non_exhaustive]
    Handshake {
        /// The status of the response: 101, or 200 to an extended CONNECT, if it was accepted.
        status: StatusCode,
        /// The HTTP mechanism of the request.
        mechanism: Mechanism,
        /// Whether the request came over TLS to this server.
        is_secure: bool,
        /// The time from the request to the response: mostly that which the program took. Zero for
        /// a request that was refused before the program could see it.
        duration: Duration,
    },
    /// A connection has ended.
    #[non_exhaustive]
    Ended {
        /// How it ended.
        closed: Closed,
        /// What was sent and received on it.
        stats: Box<Stats>,
    },
    /// This many measurements were missed, because they came faster than they were received.
    Missed(u64),
}

impl Measurement {
    /// A handshake that was answered before the program could see it.
    pub(crate) fn unseen(status: StatusCode, mechanism: Mechanism, is_secure: bool) -> Self {
        Self::Handshake { status, mechanism, is_secure, duration: Duration::ZERO }
    }
}

/// A subscription to the measurements of a server, see
/// [`ServerHandle::measurements`](crate::ServerHandle::measurements).
///
/// ```
/// # async fn example(server: towline::ServerHandle) {
/// use towline::Measurement;
///
/// let mut measurements = server.measurements();
/// while let Some(measurement) = measurements.next().await {
///     match measurement {
///         Measurement::Handshake { status, duration, .. } => println!("{status} after {duration:?}"),
///         Measurement::Ended { closed, stats, .. } => println!("{closed}: {stats:?}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Measurements(broadcast::Receiver<Measurement>);

impl Measurements {
    /// Returns the next measurement, if there is one already.
    pub fn try_next(&mut self) -> Option<Measurement> {
        match self.0.try_recv() {
            Ok(measurement) => Some(measurement),
            Err(TryRecvError::Lagged(count)) => Some(Measurement::Missed(count)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    /// Waits for the next measurement. Returns `None` once the server and all of its connections
    /// are gone.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no measurement is lost.
    pub async fn next(&mut self) -> Option<Measurement> {
        match self.0.recv().await {
            Ok(measurement) => Some(measurement),
            Err(RecvError::Lagged(count)) => Some(Measurement::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// The measurements of a server. Without a subscriber, they cost nothing.
#[derive(Default)]
pub(crate) struct Measured(OnceLock<broadcast::Sender<Measurement>>);

impl Measured {
    pub(crate) fn subscribe(&self) -> Measurements {
        Measurements(self.0.get_or_init(|| broadcast::Sender::new(BEHIND)).subscribe())
    }

    pub(crate) fn note(&self, measurement: impl FnOnce() -> Measurement) {
        if let Some(measured) = self.0.get()
            && measured.receiver_count() > 0
        {
            let _ = measured.send(measurement());
        }
    }
}
