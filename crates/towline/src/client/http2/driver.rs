//! The task of a connection of HTTP/2: it alone reads from the socket and writes to it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use h2::PingPong;
use h2::client::{Builder, Connection};
use tokio::time::{Sleep, sleep_until};
use towline_proto::handshake::HeadLimits;

use crate::client::http2::chunk::Chunk;
use crate::client::http2::explain::Failed;
use crate::client::http2::line::{LEAST_WINDOW, Lease, Line};
use crate::client::http2::parting::PARTING;
use crate::client::http2::watched::{Allowance, FirstError, Watched};
use crate::client::upgrade::Reached;
use crate::transport::{Broken, ReadOn};

/// How much of one stream `h2` holds until it is written. The rest waits in the WebSocket's queue,
/// where its limits are.
const SEND_BUFFER: usize = 64 << 10;

/// `h2` takes this for the limit of streams until the server has sent its settings. No server can
/// send it: a setting has 32 bits.
const UNKNOWN: usize = usize::MAX - 1;

/// The state of the connection before the first stream.
enum Step {
    Settings,
    /// The settings lack the one that matters. A server can send it a little later, so one ping
    /// decides: the server answers it in order (RFC 9113, section 6.7).
    Pong,
    Done,
}

/// The task's own part.
struct Driver {
    line: Arc<Line>,
    /// `None` after the end.
    connection: Option<Connection<Watched, Chunk>>,
    allowance: Allowance,
    pings: Option<PingPong>,
    step: Step,
    /// The window of the connection.
    window: u32,
    /// When the first of the partings ends.
    expiry: Option<Pin<Box<Sleep>>>,
}

/// Begins HTTP/2 on a stream, with a window for each stream of this size. Does not wait for the
/// server.
pub(crate) async fn begin(
    reached: Reached,
    window: u32,
    limits: &HeadLimits,
) -> Result<Lease, Failed> {
    let Reached { stream, peer_addr, proxy } = reached;
    let tls = stream.tls();
    let first_error = FirstError::default();
    let allowance = Allowance::default();
    let broken = Broken::default();
    let stream = ReadOn::new(stream, broken.clone());
    let watched = Watched::new(stream, first_error.clone(), allowance.clone());
    let handshake = Builder::new()
        .enable_push(false)
        .initial_connection_window_size(LEAST_WINDOW.max(window))
        .initial_window_size(window)
        .initial_max_send_streams(UNKNOWN)
        .max_header_list_size(u32::try_from(limits.max_head_size).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        // `h2` counts small frames that nobody has read, and those that arrive after a reset for good. What it
        // keeps is bounded without that: by `Watched`, and by the windows of streams whose answer is not taken
        // yet or whose program has let go of them.
        .data_frame_budget(usize::MAX)
        // Streams that this end has reset, whose frames can still arrive. A connection lives long,
        // so these must not add up.
        .max_concurrent_reset_streams(1000)
        .max_local_error_reset_streams(None)
        .handshake(watched);
    let (requests, mut connection) = handshake.await.map_err(Failed::new)?;
    let lease = Line::begin(requests, (first_error, broken), tls, peer_addr, proxy, window);
    let pings = connection.ping_pong();
    let line = lease.line().clone();
    let step = Step::Settings;
    let driver = Driver {
        window: line.window(),
        line,
        connection: Some(connection),
        allowance,
        pings,
        step,
        expiry: None,
    };
    tokio::spawn(driver.run());
    Ok(lease)
}

impl Driver {
    async fn run(mut self) {
        let line = self.line.clone();
        let mut parting = pin!(async {
            line.unused.notified().await;
            tokio::time::sleep(PARTING).await;
        });
        let result = poll_fn(|cx| match self.poll(cx) {
            Poll::Pending => parting.as_mut().poll(cx).map(Ok),
            ready => ready,
        });
        let failed = result.await.err();
        if let Some(failed) = &failed {
            tracing::debug!(%failed, "a connection of HTTP/2 has failed");
        }
        self.end(failed);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(())) };
        self.line.ready.begin();
        self.allowance.renew();
        let window = self.line.window();
        if window > self.window {
            self.window = window;
            connection.set_target_window_size(window);
        }
        let result = Pin::new(connection).poll(cx);
        if self.line.broken.get().is_some() && !self.line.is_retired() {
            self.line.retire();
        }
        self.part(cx);
        self.line.ready.take_all(Some(cx.waker()));
        if !matches!(self.step, Step::Done) {
            self.listen(cx);
        }
        Poll::Ready(ready!(result).map_err(Failed::new))
    }

    /// Drops the partings that are over, and waits for the next one.
    fn part(&mut self, cx: &mut Context<'_>) {
        loop {
            let Some(until) = self.line.partings.drop_over() else {
                self.expiry = None;
                return;
            };
            let expiry = self.expiry.get_or_insert_with(|| Box::pin(sleep_until(until)));
            if expiry.deadline() != until {
                expiry.as_mut().reset(until);
            }
            if expiry.as_mut().poll(cx).is_pending() {
                return;
            }
        }
    }

    /// Finds out whether the server's settings are complete.
    fn listen(&mut self, cx: &mut Context<'_>) {
        let Some(connection) = &self.connection else { return };
        if connection.max_concurrent_send_streams() == UNKNOWN {
            return;
        }
        if !self.line.allows_connect()
            && let Some(pings) = &mut self.pings
        {
            if matches!(self.step, Step::Settings) {
                self.step = Step::Pong;
                // Fails if the connection has ended.
                let _ = pings.send_ping(h2::Ping::opaque());
            }
            if pings.poll_pong(cx).is_pending() {
                return;
            }
            // The settings can have come with the pong.
        }
        self.step = Step::Done;
        self.pings = None;
        self.line.greet();
    }

    fn end(&mut self, failed: Option<Failed>) {
        // Ends its streams, which the line then tells.
        self.connection = None;
        self.line.end(failed);
    }
}

/// Also if the runtime shuts down.
impl Drop for Driver {
    fn drop(&mut self) {
        self.end(None);
    }
}
