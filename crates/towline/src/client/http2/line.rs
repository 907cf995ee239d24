//! A connection of HTTP/2, shared by the WebSockets on it.
//!
//! ```text
//!   Slot ──▶ Line ◀── Lease ◀── Stream, one for each WebSocket
//!             ▲
//!             └── the task, which owns the socket (`driver`)
//! ```
//!
//! A `Line` takes new streams until it is retired. It ends with its last [`Lease`].

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use h2::client::SendRequest;
use tokio::sync::{Notify, watch};

use crate::client::http2::chunk::Chunk;
use crate::client::http2::explain::Failed;
use crate::client::http2::parting::{Parting, Partings};
use crate::client::http2::ready::Ready;
use crate::client::http2::watched::{FirstError, own_error};
use crate::error::ErrorKind;
use crate::transport::{Broken, TlsInfo};

/// The smallest window of a connection. `h2` takes small DATA frames in proportion to it.
pub(crate) const LEAST_WINDOW: u32 = 16 << 20;

/// The largest window that there can be (RFC 9113, section 6.9.1).
pub(crate) const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// A shared connection.
pub(crate) struct Line {
    pub(crate) tls: Option<Arc<TlsInfo>>,
    pub(crate) peer_addr: Option<SocketAddr>,
    pub(crate) proxy: Option<String>,
    pub(crate) ready: Arc<Ready>,
    first_error: FirstError,
    pub(crate) broken: Broken,
    pub(crate) partings: Partings,
    /// The window of each stream.
    stream_window: u32,
    state: Mutex<State>,
    greeting: watch::Sender<Greeting>,
    /// Notified when the last lease is gone.
    pub(crate) unused: Notify,
    home: OnceLock<Weak<dyn Home>>,
}

struct State {
    /// `None` after the last lease. `h2` ends a connection without it and without streams.
    requests: Option<SendRequest<Chunk>>,
    leases: usize,
    /// The most leases that there were at once.
    most_leases: usize,
    /// Whether it takes no new streams.
    is_retired: bool,
}

/// How far the server's first words have come.
#[derive(Clone, Default)]
pub(crate) enum Greeting {
    /// The server's settings are not complete.
    #[default]
    Awaited,
    Received,
    /// The connection has ended, with an error or without.
    Ended(Option<Arc<Failed>>),
}

/// What lists a line, so that others find it.
pub(crate) trait Home: Send + Sync {
    fn forget(&self, line: &Line);
}

/// The right to one stream on a line.
pub(crate) struct Lease(Arc<Line>);

impl Line {
    /// Returns a line, and the first lease of it.
    pub(crate) fn begin(
        requests: SendRequest<Chunk>,
        (first_error, broken): (FirstError, Broken),
        tls: Option<Arc<TlsInfo>>,
        peer_addr: Option<SocketAddr>,
        proxy: Option<String>,
        stream_window: u32,
    ) -> Lease {
        let requests = Some(requests);
        let state = State { requests, leases: 1, most_leases: 1, is_retired: false };
        Lease(Arc::new(Self {
            tls,
            peer_addr,
            proxy,
            ready: Arc::default(),
            first_error,
            broken,
            partings: Partings::default(),
            stream_window,
            state: Mutex::new(state),
            greeting: watch::Sender::default(),
            unused: Notify::new(),
            home: OnceLock::new(),
        }))
    }

    /// Sets what lists the line.
    pub(crate) fn set_home(&self, home: Weak<dyn Home>) {
        let _ = self.home.set(home);
    }

    /// Returns the right to another stream, if the line takes one.
    pub(crate) fn lease(self: &Arc<Self>) -> Option<Lease> {
        let mut state = self.lock();
        let State { requests: Some(requests), leases, most_leases, is_retired: false } =
            &mut *state
        else {
            return None;
        };
        // Streams whose programs have let go of them count until they have ended.
        let streams = *leases + self.partings.len();
        let most_windows = (LARGEST_WINDOW / self.stream_window) as usize;
        let has_room = streams < requests.current_max_send_streams().min(most_windows);
        if *leases == 0 || !has_room || !requests.is_extended_connect_protocol_enabled() {
            return None;
        }
        *leases += 1;
        *most_leases = (*most_leases).max(streams + 1);
        Some(Lease(self.clone()))
    }

    /// Returns the window that the connection needs so that its streams can fill theirs and one of
    /// them still moves. It grows with the number of streams.
    pub(crate) fn window(&self) -> u32 {
        let streams = u32::try_from(self.lock().most_leases).unwrap_or(u32::MAX);
        streams.saturating_mul(self.stream_window).clamp(LEAST_WINDOW, LARGEST_WINDOW)
    }

    /// Returns the kind and the text of the first error, if it was one of this library.
    pub(crate) fn own_error(&self) -> Option<(ErrorKind, String)> {
        self.broken.get().and_then(own_error).or_else(|| self.first_error.get().cloned())
    }

    /// Takes no new streams any more. Those that are open live on.
    pub(crate) fn retire(&self) {
        self.lock().is_retired = true;
        self.leave_home();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.lock().is_retired
    }

    /// Returns how many streams the server allows at once.
    pub(crate) fn most_streams(&self) -> usize {
        let state = self.lock();
        state.requests.as_ref().map_or(0, SendRequest::current_max_send_streams)
    }

    /// Returns whether the server allows extended CONNECT (RFC 8441, section 3).
    pub(crate) fn allows_connect(&self) -> bool {
        let state = self.lock();
        state.requests.as_ref().is_some_and(SendRequest::is_extended_connect_protocol_enabled)
    }

    /// Notes that the server's settings are complete.
    pub(crate) fn greet(&self) {
        self.greeting.send_replace(Greeting::Received);
    }

    /// Notes that the connection has ended.
    pub(crate) fn end(&self, failed: Option<Failed>) {
        // What sends requests is kept as long as there are streams: it knows the peer's GOAWAY.
        self.retire();
        self.greeting.send_if_modified(|greeting| {
            let is_first = !matches!(greeting, Greeting::Ended(_));
            if is_first {
                *greeting = Greeting::Ended(failed.map(Arc::new));
            }
            is_first
        });
        self.ready.take_all(None);
        self.partings.drop_all();
    }

    /// Keeps a stream until its bytes are written.
    pub(crate) fn part(&self, parting: Parting) {
        self.partings.add(parting);
        self.ready.wake_task();
    }

    /// Returns the peer's GOAWAY, if it has sent one.
    pub(crate) fn goaway(&self) -> Option<h2::Error> {
        let mut requests = self.lock().requests.clone()?;
        let polled = requests.poll_ready(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(Err(error)) if error.is_go_away() => Some(error),
            _ => None,
        }
    }

    fn leave_home(&self) {
        if let Some(home) = self.home.get().and_then(Weak::upgrade) {
            home.forget(self);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.0
    }

    /// Waits until the server's settings are complete. The error tells how the connection ended.
    pub(crate) async fn greeted(&self) -> Result<(), Option<Arc<Failed>>> {
        let mut greeting = self.0.greeting.subscribe();
        let done = greeting.wait_for(|greeting| !matches!(greeting, Greeting::Awaited)).await;
        match done.as_deref() {
            Ok(Greeting::Ended(failed)) => Err(failed.clone()),
            _ => Ok(()),
        }
    }

    /// Returns what sends a request.
    pub(crate) fn requests(&self) -> Option<SendRequest<Chunk>> {
        self.0.lock().requests.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let requests = {
            let mut state = self.0.lock();
            state.leases -= 1;
            if state.leases > 0 {
                return;
            }
            state.is_retired = true;
            state.requests.take()
        };
        drop(requests);
        self.0.leave_home();
        self.0.unused.notify_one();
    }
}
