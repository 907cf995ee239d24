//! A shutdown of the WebSockets, as the signal for axum's.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use towline::{CloseCode, ServerHandle};

/// Returns a future for `axum::serve(…).with_graceful_shutdown(…)`: once `signal` is ready, it closes all
/// WebSockets of this server with 1001, and is ready when they have ended.
///
/// So `axum::serve` first closes the WebSockets, which would otherwise go on after it has returned, and
/// then shuts down as usual. In between, other requests are served, and requests for WebSockets are
/// answered with 503. Requests whose handlers have not decided yet are waited for. What has not ended
/// within the [`deadline`](ShutdownOn::deadline), by default 10 s, is aborted.
///
/// Over HTTP/2 a WebSocket is a part of an HTTP connection, which axum waits for without a deadline. So
/// this order is needed, and not only convenient.
///
/// If some routes have a server of their own, pass the future for one as the signal of the other's.
///
/// ```no_run
/// # async fn example(
/// #     listener: tokio::net::TcpListener,
/// #     app: axum::Router,
/// #     server: towline::ServerHandle,
/// # ) -> std::io::Result<()> {
/// let signal = async { drop(tokio::signal::ctrl_c().await) };
/// axum::serve(listener, app)
///     .with_graceful_shutdown(towline_axum::shutdown_on(server, signal))
///     .await
/// # }
/// ```
///
/// # Cancel safety
///
/// Once `signal` is ready, the shutdown continues if this is dropped, but aborts no connection.
pub fn shutdown_on<S>(server: ServerHandle, signal: S) -> ShutdownOn
where
    S: Future<Output = ()> + Send + 'static,
{
    let stage = Stage::Waiting { signal: Box::pin(signal), server };
    ShutdownOn { deadline: Duration::from_secs(10), stage }
}

/// The future of [`shutdown_on`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct ShutdownOn {
    deadline: Duration,
    stage: Stage,
}

enum Stage {
    Waiting { signal: Pin<Box<dyn Future<Output = ()> + Send>>, server: ServerHandle },
    Closing(Pin<Box<dyn Future<Output = ()> + Send>>),
    Done,
}

impl ShutdownOn {
    /// Sets how long the WebSockets may take to end. Those that take longer are aborted. Default: 10 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

async fn close(server: ServerHandle, deadline: Duration) {
    match server.shutdown(CloseCode::GOING_AWAY, deadline).await {
        Ok(shutdown) => {
            let (connections, aborted) = (shutdown.connections, shutdown.aborted);
            tracing::debug!(connections, aborted, "WebSockets closed");
        }
        Err(error) => tracing::warn!(%error, "WebSockets not closed"),
    }
}

impl Future for ShutdownOn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.stage {
                Stage::Waiting { signal, server } => {
                    ready!(signal.as_mut().poll(cx));
                    let closing = close(server.clone(), self.deadline);
                    self.stage = Stage::Closing(Box::pin(closing));
                }
                Stage::Closing(closing) => {
                    ready!(closing.as_mut().poll(cx));
                    self.stage = Stage::Done;
                }
                Stage::Done => return Poll::Ready(()),
            }
        }
    }
}

impl fmt::Debug for ShutdownOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Waiting { .. } => "waiting",
            Stage::Closing(_) => "closing",
            Stage::Done => "done",
        };
        f.debug_struct("ShutdownOn")
            .field("stage", &stage)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
