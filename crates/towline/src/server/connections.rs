//! All connections of a server.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use towline_proto::{CloseCode, CloseFrame};

use crate::connection::{Sender, Shared, Work};

/// Connections are kept in so many parts, so that those which come and go on different threads
/// don't wait for each other.
const PARTS: usize = 16;

/// So many are closed in one go.
const AT_ONCE: usize = 32;

/// The connections that a server has now, see
/// [`ServerHandle::connections`](crate::ServerHandle::connections).
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    parts: Box<[Mutex<Part>]>,
    len: AtomicUsize,
    fewer: Notify,
}

#[derive(Default)]
struct Part {
    open: HashMap<u64, Weak<Shared>>,
    /// What connections that come during a shutdown, or after it, are closed with.
    shutdown: Option<CloseFrame>,
}

impl Connections {
    /// Room for the connections of a server.
    pub(crate) fn of_server() -> Self {
        Self::in_parts(PARTS)
    }

    /// Room for the connection of a request by itself.
    pub(crate) fn of_request() -> Self {
        Self::in_parts(1)
    }

    fn in_parts(parts: usize) -> Self {
        let parts = (0..parts).map(|_| Mutex::default()).collect();
        Self(Arc::new(Inner { parts, len: AtomicUsize::new(0), fewer: Notify::new() }))
    }

    /// How many there are, those included that are closing.
    pub fn len(&self) -> usize {
        self.0.len.load(Ordering::Acquire)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A sender to the connection with this [`id`](crate::Info::id), if there is one.
    pub fn get(&self, id: u64) -> Option<Sender> {
        let shared = self.part(id).open.get(&id)?.upgrade()?;
        Some(Sender::new(shared))
    }

    /// A sender to each connection.
    ///
    /// A sender keeps its connection from being closed for want of handles: don't hold it for
    /// longer than it is of use.
    pub fn senders(&self) -> Vec<Sender> {
        self.all().into_iter().map(Sender::new).collect()
    }

    pub(crate) fn add(&self, shared: &Arc<Shared>) {
        let id = shared.info.id;
        let shutdown = {
            let mut part = self.part(id);
            part.open.insert(id, Arc::downgrade(shared));
            self.0.len.fetch_add(1, Ordering::AcqRel);
            part.shutdown.clone()
        };
        if let Some(frame) = shutdown {
            let _ = shared.close(frame);
        }
        // It may have ended before it was known.
        if shared.lock().session.closed().is_some() {
            self.remove(id);
        }
    }

    /// Has connections that are still to come closed with this, if they are not already.
    pub(crate) fn set_shutdown(&self, frame: &CloseFrame) {
        for part in &self.0.parts {
            lock(part).shutdown.get_or_insert_with(|| frame.clone());
        }
    }

    pub(crate) fn remove(&self, id: u64) {
        if self.part(id).open.remove(&id).is_some() {
            self.0.len.fetch_sub(1, Ordering::AcqRel);
            self.0.fewer.notify_waiters();
        }
    }

    /// Has all of them begin to close. Returns how many there are.
    pub(crate) async fn start_close_all(&self, frame: CloseFrame) -> usize {
        let close = move |shared: &Arc<Shared>| {
            let _ = shared.close(frame.clone());
        };
        self.for_each(close).await
    }

    /// Ends all of them at once. Returns how many there are.
    pub(crate) async fn abort_all(&self) -> usize {
        let frame = CloseFrame::new(CloseCode::GOING_AWAY, "").unwrap_or(CloseFrame::EMPTY);
        self.for_each(move |shared| shared.abort(frame.clone())).await
    }

    /// Does this with each of them. Of many, other tasks have their turn in between, and it goes on
    /// though nobody waits for it.
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
        // It panics nowhere; where the runtime has ended, so have the connections.
        let _ = acting.await;
        count
    }

    /// Waits until there is none.
    pub(crate) async fn wait_for_none(&self) {
        loop {
            let fewer = self.0.fewer.notified();
            if self.is_empty() {
                return;
            }
            fewer.await;
        }
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

/// Does something with one of many connections, of which the stream, or the subscriber that hears of
/// its end, may panic: that is no matter to the others.
pub(crate) fn alone<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("len", &self.len()).finish_non_exhaustive()
    }
}
