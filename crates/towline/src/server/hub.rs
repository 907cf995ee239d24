//! What a server's listeners, requests and connections share.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, broadcast};
use towline_proto::handshake::{HeadLimits, OriginPolicy, TrustedProxies};
use towline_proto::{Closed, Config};

use crate::connection::{Info, Observer};
use crate::server::connections::Connections;
use crate::server::event::ServerEvent;

/// Events that one who watches may be behind by.
const EVENTS: usize = 1024;

/// How a server treats what comes to it.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) origins: OriginPolicy,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) head_limits: HeadLimits,
    pub(crate) handshake_timeout: Duration,
    pub(crate) max_pending_requests: usize,
    pub(crate) max_handshakes: usize,
    pub(crate) disable_nagle_algorithm: bool,
    pub(crate) auto_accept: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: Config::server(),
            origins: OriginPolicy::default(),
            trusted_proxies: TrustedProxies::default(),
            head_limits: HeadLimits::default(),
            handshake_timeout: Duration::from_secs(10),
            max_pending_requests: 1024,
            max_handshakes: 16 << 10,
            disable_nagle_algorithm: true,
            auto_accept: false,
        }
    }
}

pub(crate) struct Hub {
    pub(crate) options: Options,
    pub(crate) connections: Connections,
    /// Each stream has a permit from the first byte to a whole request.
    pub(crate) handshakes: Arc<Semaphore>,
    /// Each request, or the connection it has become unasked, has a permit from there to the
    /// program's hands.
    pub(crate) requests: Arc<Semaphore>,
    /// Made for the first one who watches: it has room for all that one may be behind by.
    events: OnceLock<broadcast::Sender<ServerEvent>>,
    is_mounted: AtomicBool,
    /// How often it was unmounted: what listened before that must not go on when it is mounted
    /// anew.
    unmounts: AtomicUsize,
    /// Handshakes whose outcome the program is still to hear of.
    pending: AtomicUsize,
    pub(crate) changed: Notify,
}

impl Hub {
    pub(crate) fn new(options: Options, connections: Connections) -> Arc<Self> {
        Arc::new(Self {
            connections,
            handshakes: Arc::new(Semaphore::new(options.max_handshakes)),
            requests: Arc::new(Semaphore::new(options.max_pending_requests)),
            events: OnceLock::new(),
            is_mounted: AtomicBool::new(true),
            unmounts: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            changed: Notify::new(),
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

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<ServerEvent> {
        self.events.get_or_init(|| broadcast::Sender::new(EVENTS)).subscribe()
    }

    pub(crate) fn is_mounted(&self) -> bool {
        self.is_mounted.load(Ordering::SeqCst)
    }

    pub(crate) fn set_mounted(&self, is_mounted: bool) {
        if !is_mounted {
            self.unmounts.fetch_add(1, Ordering::AcqRel);
        }
        self.is_mounted.store(is_mounted, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Whether nothing can arrive any more.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.is_mounted() && self.pending.load(Ordering::SeqCst) == 0
    }

    /// Counts a handshake until the guard is dropped. Look whether the server is mounted after
    /// that, and either the handshake is refused or who asks whether it is quiet hears of it.
    pub(crate) fn pend(self: &Arc<Self>) -> Pending {
        self.pending.fetch_add(1, Ordering::SeqCst);
        Pending(self.clone())
    }

    /// How often it was unmounted.
    pub(crate) fn unmounts(&self) -> usize {
        self.unmounts.load(Ordering::Acquire)
    }

    /// `future`, or `None` if the server has been unmounted since that had happened so often.
    pub(crate) async fn until_unmounted<F: Future>(
        &self,
        unmounts: usize,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut changed = pin!(self.changed.notified());
        std::future::poll_fn(|cx| {
            while changed.as_mut().poll(cx).is_ready() {
                changed.set(self.changed.notified());
            }
            if self.unmounts() != unmounts {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

impl Observer for Hub {
    fn closed(&self, info: &Arc<Info>, closed: &Closed) {
        // What may be the program's own code comes last: it may panic.
        self.connections.remove(info.id);
        self.event(|| ServerEvent::Closed(info.clone(), closed.clone()));
        tracing::debug!(id = info.id, %closed, "connection closed");
    }
}

/// A handshake whose outcome the program is still to hear of.
pub(crate) struct Pending(Arc<Hub>);

impl Drop for Pending {
    fn drop(&mut self) {
        if self.0.pending.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}
