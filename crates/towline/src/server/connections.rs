//! All connections of a server.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use towline_proto::{CloseCode, CloseFrame, Closed, Stats, Traffic};

use crate::connection::{Sender, Shared, Work, alone};
use crate::server::stats::{ServerStats, Sums};

/// The connections are kept in this many parts, so that threads that add and remove them rarely
/// contend for a lock.
const PARTS: usize = 16;

/// How many are closed before yielding.
const AT_ONCE: usize = 32;

/// The open connections of a server, see
/// [`ServerHandle::connections`](crate::ServerHandle::connections).
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

/// The connections of a server that may be gone.
pub(crate) struct WeakConnections(Weak<Inner>);

struct Inner {
    parts: Box<[Mutex<Part>]>,
    len: AtomicUsize,
    fewer: Notify,
    broadcasts: AtomicU64,
}

#[derive(Default)]
struct Part {
    open: HashMap<u64, Weak<Shared>>,
    /// The close frame for connections that are added during or after a shutdown.
    shutdown: Option<CloseFrame>,
    /// Of all connections that were ever here.
    sums: Sums,
    /// What connections have received after the stats of their end, until they are removed. Empty
    /// except for moments.
    late: HashMap<u64, Traffic>,
}

impl Connections {
    /// An empty set for a server.
    pub(crate) fn of_server() -> Self {
        Self::in_parts(PARTS)
    }

    /// An empty set for a request without a server.
    pub(crate) fn of_request() -> Self {
        Self::in_parts(1)
    }

    fn in_parts(parts: usize) -> Self {
        let parts = (0..parts).map(|_| Mutex::default()).collect();
        Self(Arc::new(Inner {
            parts,
            len: AtomicUsize::new(0),
            fewer: Notify::new(),
            broadcasts: AtomicU64::new(0),
        }))
    }

    /// Returns the number of connections, including those that are closing.
    pub fn len(&self) -> usize {
        self.0.len.load(Ordering::Acquire)
    }

    /// Returns whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a sender to the connection with this [`id`](crate::Info::id), if it is open.
    pub fn get(&self, id: u64) -> Option<Sender> {
        let shared = self.part(id).open.get(&id)?.upgrade()?;
        Some(Sender::new(shared))
    }

    /// Returns a sender to each connection.
    ///
    /// A connection is closed when its last handle is dropped, and a sender is a handle: don't hold
    /// it longer than needed.
    pub fn senders(&self) -> Vec<Sender> {
        self.all().into_iter().map(Sender::new).collect()
    }

    pub(crate) fn add(&self, shared: &Arc<Shared>) {
        let id = shared.info.id;
        let shutdown = {
            let mut part = self.part(id);
            part.open.insert(id, Arc::downgrade(shared));
            part.sums.begin();
            self.0.len.fetch_add(1, Ordering::AcqRel);
            part.shutdown.clone()
        };
        if let Some(frame) = shutdown {
            let _ = shared.close(frame);
        }
        // It may have ended before it was added.
        let closed = shared.lock().session.closed().cloned();
        if let Some(closed) = closed {
            self.remove(id, &closed, &shared.stats());
        }
    }

    /// Closes connections that are added from now on with this frame. The first frame stays.
    pub(crate) fn set_shutdown(&self, frame: &CloseFrame) {
        for part in &self.0.parts {
            lock(part).shutdown.get_or_insert_with(|| frame.clone());
        }
    }

    /// Removes a connection that has ended, and adds what was sent and received to the sums.
    pub(crate) fn remove(&self, id: u64, closed: &Closed, stats: &Stats) {
        let is_known = {
            let mut part = self.part(id);
            let is_known = part.open.remove(&id).is_some();
            if is_known {
                part.sums.end(closed, stats);
                if let Some(late) = part.late.remove(&id) {
                    part.sums.add_late(&late);
                }
            }
            is_known
        };
        if is_known {
            self.note_fewer();
        }
    }

    /// Removes a connection that is gone without an end, and adds what was sent and received to the sums.
    pub(crate) fn forget(&self, id: u64, stats: &Stats) {
        let is_known = {
            let mut part = self.part(id);
            let is_known = part.open.remove(&id).is_some();
            if is_known {
                part.sums.forget(stats);
            }
            is_known
        };
        if is_known {
            self.note_fewer();
        }
    }

    fn note_fewer(&self) {
        self.0.len.fetch_sub(1, Ordering::AcqRel);
        self.0.fewer.notify_waiters();
    }

    /// Adds what a connection has received that is not in the stats of its end. Its live counts have
    /// it until it is removed.
    pub(crate) fn add_late(&self, id: u64, received: &Traffic) {
        let mut part = self.part(id);
        match part.open.contains_key(&id) {
            true => part.late.entry(id).or_default().add(received),
            false => part.sums.add_late(received),
        }
    }

    /// Counts a broadcast.
    pub(crate) fn note_broadcast(&self) {
        self.0.broadcasts.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds up what was sent and received. A connection is either open or in the sums of its part,
    /// so that it is counted once. Only a few connections are locked at a time, and none for long.
    pub(crate) fn add_to(&self, stats: &mut ServerStats) {
        let (mut round_trips, mut measured) = (Duration::ZERO, 0_u32);
        for part in &self.0.parts {
            let open = add_sums(part, stats);
            stats.connections += open.len();
            for shared in open {
                let of_one = shared.stats();
                if let Some(round_trip) = of_one.round_trip {
                    round_trips = round_trips.saturating_add(round_trip.smoothed);
                    measured += 1;
                }
                stats.add_live(&of_one);
            }
        }
        stats.round_trip_mean = round_trips.checked_div(measured);
        stats.broadcasts = self.0.broadcasts.load(Ordering::Relaxed);
    }

    /// Returns the connections that hold memory, and how much.
    pub(crate) async fn holders(&self) -> Vec<(usize, Arc<Shared>)> {
        let mut holders = Vec::new();
        let mut work = Work::default();
        for shared in self.all() {
            match alone(|| shared.held()) {
                Some(held) if held > 0 => holders.push((held, shared)),
                _ => {}
            }
            work.add_call();
            poll_fn(|cx| work.poll_pay(cx)).await;
        }
        holders
    }

    /// Starts the close of all connections.
    pub(crate) async fn start_close_all(&self, frame: CloseFrame) {
        let close = move |shared: &Arc<Shared>| {
            let _ = shared.close(frame.clone());
        };
        self.for_each(close).await;
    }

    /// Aborts all connections. Returns how many there are.
    pub(crate) async fn abort_all(&self) -> usize {
        let frame = CloseFrame::new(CloseCode::GOING_AWAY, "").unwrap_or(CloseFrame::EMPTY);
        self.for_each(move |shared| shared.abort(frame.clone())).await
    }

    /// Calls `act` for each connection in a task, which yields now and then and goes on if this
    /// future is dropped.
    async fn for_each(&self, act: impl Fn(&Arc<Shared>) + Send + 'static) -> usize {
        let all = self.all();
        let count = all.len();
        let act = move |shared: &Arc<Shared>| {
            alone(|| act(shared));
        };
        if count <= AT_ONCE {
            all.iter().for_each(act);
            return count;
        }
        let acting = tokio::spawn(async move {
            let mut work = Work::default();
            for shared in all {
                act(&shared);
                drop(shared);
                work.add_call();
                poll_fn(|cx| work.poll_pay(cx)).await;
            }
        });
        // The task does not panic. If the runtime has ended, so have the connections.
        let _ = acting.await;
        count
    }

    /// Waits until there are no connections.
    pub(crate) async fn wait_for_none(&self) {
        loop {
            let fewer = self.0.fewer.notified();
            if self.is_empty() {
                return;
            }
            fewer.await;
        }
    }

    pub(crate) fn downgrade(&self) -> WeakConnections {
        WeakConnections(Arc::downgrade(&self.0))
    }

    pub(crate) fn all(&self) -> Vec<Arc<Shared>> {
        let mut all = Vec::with_capacity(self.len());
        for part in &self.0.parts {
            all.extend(lock(part).open.values().filter_map(Weak::upgrade));
        }
        all
    }

    fn part(&self, id: u64) -> MutexGuard<'_, Part> {
        let parts = &self.0.parts;
        lock(&parts[usize::try_from(id % parts.len() as u64).unwrap_or(0)])
    }
}

impl WeakConnections {
    pub(crate) fn upgrade(&self) -> Option<Connections> {
        self.0.upgrade().map(Connections)
    }
}

/// How often a thread yields to others that are dropping a connection.
const DROPPING: usize = 1000;

/// Adds the sums of a part. Returns its connections.
fn add_sums(part: &Mutex<Part>, stats: &mut ServerStats) -> Vec<Arc<Shared>> {
    for _ in 0..DROPPING {
        let part = lock(part);
        let open: Vec<_> = part.open.values().filter_map(Weak::upgrade).collect();
        // A connection whose runtime is shut down is in neither, from its last reference to `forget`.
        if open.len() == part.open.len() {
            part.sums.add_to(stats);
            return open;
        }
        drop(part);
        drop(open);
        std::thread::yield_now();
    }
    let part = lock(part);
    part.sums.add_to(stats);
    part.open.values().filter_map(Weak::upgrade).collect()
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("len", &self.len()).finish_non_exhaustive()
    }
}
