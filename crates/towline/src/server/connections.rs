//! All connections of a server.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use towline_proto::{Broadcast, CloseCode, CloseFrame, Compress, Message};

use crate::connection::{Sender, Shared};

/// The connections that a server has now, see
/// [`ServerHandle::connections`](crate::ServerHandle::connections).
#[derive(Clone, Default)]
pub struct Connections(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    fewer: Notify,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Weak<Shared>>,
    /// What connections that come during a shutdown, or after it, are closed with.
    shutdown: Option<CloseFrame>,
}

impl Connections {
    /// How many there are, those included that are closing.
    pub fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A sender to the connection with this [`id`](crate::Info::id), if there is one.
    pub fn get(&self, id: u64) -> Option<Sender> {
        let shared = self.lock().open.get(&id)?.upgrade()?;
        Some(Sender::new(shared))
    }

    /// A sender to each connection.
    ///
    /// A sender keeps its connection from being closed for want of handles: don't hold it for
    /// longer than it is of use.
    pub fn senders(&self) -> Vec<Sender> {
        self.all().into_iter().map(Sender::new).collect()
    }

    /// Sends a message to all connections, and waits until each has taken it or has ended.
    ///
    /// A connection whose outgoing queue is full doesn't hold up the others, only the return.
    /// Returns how many took it. The payload is shared: it is not copied for each connection,
    /// but for a small one, which is copied beside its header. With
    /// [compression](crate::Config::compression), it is compressed once for all connections that
    /// make the same of it, and shared as well; with context takeover in the server's direction,
    /// once for each.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: those connections that have not taken the message by then don't get it.
    pub async fn broadcast(&self, message: impl Into<Message>) -> usize {
        self.broadcast_with(message, Compress::Auto).await
    }

    /// Sends a message to all connections as [`broadcast`](Self::broadcast) does, and says whether
    /// it is to be compressed.
    ///
    /// # Cancel safety
    ///
    /// As [`broadcast`](Self::broadcast).
    pub async fn broadcast_with(&self, message: impl Into<Message>, compress: Compress) -> usize {
        let mut broadcast = Broadcast::new(message.into(), compress);
        let (mut sent, full) = self.send_to_all(&mut broadcast);
        let broadcast = Arc::new(Mutex::new(broadcast));
        // One task each: a connection that takes the message does not set off a look at the others.
        let mut waiting = JoinSet::new();
        for shared in full {
            let (broadcast, runtime) = (broadcast.clone(), shared.timekeeper.runtime().clone());
            waiting.spawn_on(async move { shared.broadcast(&broadcast).await.is_ok() }, &runtime);
        }
        while let Some(is_sent) = waiting.join_next().await {
            sent += usize::from(is_sent.unwrap_or(false));
        }
        sent
    }

    /// Sends a message to those connections whose outgoing queue has room, and passes over the
    /// others. Returns how many took it, and a sender to each of those that were passed over.
    pub fn try_broadcast(&self, message: impl Into<Message>) -> (usize, Vec<Sender>) {
        self.try_broadcast_with(message, Compress::Auto)
    }

    /// Sends a message to those that have room as [`try_broadcast`](Self::try_broadcast) does, and
    /// says whether it is to be compressed.
    pub fn try_broadcast_with(
        &self,
        message: impl Into<Message>,
        compress: Compress,
    ) -> (usize, Vec<Sender>) {
        let mut broadcast = Broadcast::new(message.into(), compress);
        let (sent, full) = self.send_to_all(&mut broadcast);
        (sent, full.into_iter().map(Sender::new).collect())
    }

    /// How many took the message, and which are full.
    fn send_to_all(&self, broadcast: &mut Broadcast) -> (usize, Vec<Arc<Shared>>) {
        let mut sent = 0;
        let mut full = Vec::new();
        for shared in self.all() {
            match shared.try_broadcast(broadcast) {
                Some(result) => sent += usize::from(result.is_ok()),
                None => full.push(shared),
            }
        }
        (sent, full)
    }

    pub(crate) fn add(&self, shared: &Arc<Shared>) {
        let shutdown = {
            let mut state = self.lock();
            state.open.insert(shared.info.id, Arc::downgrade(shared));
            state.shutdown.clone()
        };
        if let Some(frame) = shutdown {
            shared.close(frame);
        }
        // It may have ended before it was known.
        if shared.lock().session.closed().is_some() {
            self.remove(shared.info.id);
        }
    }

    /// Has connections that are still to come closed with this, if they are not already.
    pub(crate) fn set_shutdown(&self, frame: CloseFrame) {
        self.lock().shutdown.get_or_insert(frame);
    }

    pub(crate) fn remove(&self, id: u64) {
        self.lock().open.remove(&id);
        self.0.fewer.notify_waiters();
    }

    pub(crate) fn start_close_all(&self, frame: &CloseFrame) -> usize {
        let all = self.all();
        for shared in &all {
            shared.close(frame.clone());
        }
        all.len()
    }

    pub(crate) fn abort_all(&self) -> usize {
        let all = self.all();
        let frame = CloseFrame::new(CloseCode::GOING_AWAY, "").unwrap_or(CloseFrame::EMPTY);
        for shared in &all {
            shared.abort(frame.clone());
        }
        all.len()
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

    fn all(&self) -> Vec<Arc<Shared>> {
        self.lock().open.values().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("len", &self.len()).finish_non_exhaustive()
    }
}
