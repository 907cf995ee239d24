//! What all threads of a run share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, watch};

use crate::bench::payload::{Source, unix_now};
use crate::bench::results::{Phase, Scenario};
use crate::exit::Failure;

/// What to do, in this process.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) url: String,
    pub(crate) scenario: Scenario,
    /// The number of the first connection, and how many there are.
    pub(crate) first: u64,
    pub(crate) connections: u64,
    /// How many connections all shards have.
    pub(crate) all_connections: u64,
    pub(crate) ramp: Duration,
    pub(crate) connecting: u64,
    pub(crate) in_flight: usize,
    /// The most unanswered messages of a thread in an open loop.
    pub(crate) most_unanswered: u64,
    /// Messages per second, or handshakes in the scenario storm.
    pub(crate) rate: Option<f64>,
    pub(crate) messages: Option<u64>,
    pub(crate) source: Source,
    pub(crate) on_open: Vec<Source>,
    pub(crate) skip: u64,
    pub(crate) any_answer: bool,
    pub(crate) close_timeout: Duration,
    pub(crate) threads: u64,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Ramp,
    WarmUp,
    Measured,
    Drain,
    /// The generator closes all connections.
    Close,
}

impl Stage {
    /// What counts are counted as.
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Ramp => Phase::Ramp,
            Self::WarmUp => Phase::WarmUp,
            Self::Measured => Phase::Measured,
            Self::Drain | Self::Close => Phase::Drain,
        }
    }
}

/// What all threads share.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) deliveries: Deliveries,
    /// Bounds how many connections are being opened.
    pub(crate) gate: Semaphore,
    origin: Instant,
    origin_unix: u64,
    /// Messages that can still be sent.
    tickets: Option<AtomicU64>,
    /// The first failure, and whether it is an error of usage, so that trying on is in vain.
    failure: Mutex<Option<Failure>>,
}

/// What a broadcast has delivered in this process.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// Connections that receive.
    pub(crate) receivers: AtomicU64,
    /// Messages that were received, and those that were to be.
    pub(crate) done: AtomicU64,
    pub(crate) expected: AtomicU64,
    /// How many the publisher waits for.
    wanted: AtomicU64,
    enough: Notify,
}

impl Deliveries {
    /// A receiver has a message.
    pub(crate) fn add(&self) {
        let done = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        if done == self.wanted.load(Ordering::SeqCst) {
            self.enough.notify_one();
        }
    }

    /// Waits until there are this many.
    pub(crate) async fn reach(&self, wanted: u64) {
        self.wanted.store(wanted, Ordering::SeqCst);
        // It may have been passed before it was set, by other threads.
        while self.done.load(Ordering::SeqCst) < wanted {
            let _ = tokio::time::timeout(Duration::from_millis(10), self.enough.notified()).await;
        }
    }
}

impl Run {
    pub(crate) fn new(plan: Plan, stage: watch::Receiver<Stage>) -> Self {
        let tickets = plan.messages.map(AtomicU64::new);
        let gate = usize::try_from(plan.connecting).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            gate: Semaphore::new(gate.min(Semaphore::MAX_PERMITS)),
            plan,
            stage,
            deliveries: Deliveries::default(),
            origin: Instant::now(),
            origin_unix: unix_now(),
            tickets,
            failure: Mutex::new(None),
        }
    }

    /// Nanoseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The point in time that is this many nanoseconds after the beginning.
    pub(crate) fn at(&self, nanoseconds: u64) -> tokio::time::Instant {
        (self.origin + Duration::from_nanos(nanoseconds)).into()
    }

    /// A time of this run as nanoseconds since 1970: processes can compare them.
    pub(crate) fn unix(&self, time: u64) -> u64 {
        self.origin_unix.saturating_add(time)
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// The number of a connection's first message after those of `--on-open`.
    pub(crate) fn first_seq(&self) -> u64 {
        self.plan.on_open.len() as u64
    }

    /// Waits for a stage, or a later one.
    pub(crate) async fn reached(&self, stage: Stage) {
        // If the sender is gone, the run is over.
        let _ = self.stage.clone().wait_for(|now| *now >= stage).await;
    }

    /// Takes one of the messages that are left.
    pub(crate) fn take_ticket(&self) -> bool {
        let Some(tickets) = &self.tickets else { return true };
        let taken =
            tickets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.is_ok()
    }

    /// Whether all messages were sent that are to be.
    pub(crate) fn is_sold_out(&self) -> bool {
        self.tickets.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) == 0)
    }

    /// How many messages are left to be sent, of `--messages`.
    pub(crate) fn left(&self) -> u64 {
        self.tickets.as_ref().map_or(0, |left| left.load(Ordering::Relaxed))
    }

    /// Keeps the first failure.
    pub(crate) fn keep(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    /// Looks at the first failure.
    pub(crate) fn with_failure<T>(&self, look: impl FnOnce(&mut Option<Failure>) -> T) -> T {
        look(&mut self.failure.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
