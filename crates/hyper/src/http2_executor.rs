//! The executor for HTTP/2 that ends the streams of WebSockets that have ended.
//!
//! hyper spawns two tasks for a WebSocket over HTTP/2. The first runs the service, and sends the
//! response; in the poll that does so it spawns the second, which passes on what is written. That one
//! waits for the client's window, without limit, although the WebSocket is gone. So it gets a deadline:
//!
//! ```text
//!   task of the request:   Opening::announce ──▶ OPENING ──▶ execute ──▶ task of the writing side
//!   the WebSocket's stream: InUse, until it is dropped ───────────────────▶ ended after LINGER
//! ```

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::sync::oneshot;

/// How long a client may take for the last bytes of a WebSocket that has ended: as long as for the
/// answer to a close frame, by default.
const LINGER: Duration = Duration::from_secs(5);

tokio::task_local! {
    /// The WebSocket that the request of this task opens.
    static OPENING: Cell<Option<Opening>>;
}

/// An executor for hyper's HTTP/2 servers, on tokio. It resets the streams that WebSockets leave behind.
///
/// hyper keeps the bytes that it has taken for a stream until the client gives window for them, even
/// after the WebSocket has ended. With this executor, the client has five seconds for them. Then the
/// stream is reset (`RST_STREAM` with `CANCEL`), and its memory is free. What h2 has taken already can't be
/// reset: at most 4 KiB that the client gives some window for, and more from a client that takes nothing
/// from the socket. It stays until the HTTP/2 connection ends. Everything else is as with
/// `hyper_util::rt::TokioExecutor`.
///
/// [`HttpServer`](crate::HttpServer) uses it. In an accept loop of your own, pass it to hyper's builder
/// or hyper-util's:
///
/// ```
/// use hyper_util::server::conn::auto;
/// use towline_hyper::Http2Executor;
///
/// let mut builder = auto::Builder::new(Http2Executor::new());
/// builder.http2().enable_connect_protocol();
/// ```
///
/// It finds the WebSocket of a stream if [`request()`](crate::request()) or the response's future of
/// [`Mount`](crate::Mount) runs in the task that hyper has spawned for the request, as it does unless
/// the service spawns a task for it. Otherwise the stream has no deadline.
///
/// # Panics
///
/// hyper's connections panic outside of a tokio runtime, and in one without time.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Http2Executor {}

impl Http2Executor {
    /// Returns the executor.
    pub fn new() -> Self {
        Self {}
    }
}

impl<F> Executor<F> for Http2Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        // In the task of a request, hyper spawns nothing but the writing side of its upgrade.
        match OPENING.try_with(Cell::take).ok().flatten() {
            Some(opening) => drop(tokio::spawn(opening.bound(future))),
            None => drop(tokio::spawn(OPENING.scope(Cell::new(None), future))),
        }
    }
}

/// Part of a stream that carries a WebSocket, and dropped with it.
pub(crate) struct InUse {
    _dropped: oneshot::Sender<()>,
}

/// A WebSocket whose stream hyper has not released yet.
pub(crate) struct Opening {
    /// Resolves when the [`InUse`] is dropped.
    end: oneshot::Receiver<()>,
}

impl InUse {
    pub(crate) fn new() -> (Self, Opening) {
        let (_dropped, end) = oneshot::channel();
        (Self { _dropped }, Opening { end })
    }
}

impl Opening {
    /// Tells the executor which WebSocket the request of the current task opens. Without
    /// [`Http2Executor`], it does nothing.
    pub(crate) fn announce(self) {
        let _ = OPENING.try_with(|opening| opening.set(Some(self)));
    }

    /// Runs the writing side, until the deadline that the WebSocket's end begins.
    async fn bound<F: Future>(self, writing: F) {
        let mut writing = pin!(writing);
        tokio::select! {
            biased;
            _ = writing.as_mut() => return,
            _ = self.end => {}
        }
        // Boxed, as open WebSockets have no timer.
        let _ = Box::pin(tokio::time::timeout(LINGER, writing)).await;
    }
}
