//! Writing what is queued, and the flusher.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::thread::ThreadId;

use bytes::Buf as _;
use tokio::io::AsyncWrite as _;
use tokio::task::unconstrained;
use tokio::time::Instant;
use towline_proto::{Outbound, TransportFate};

use crate::connection::buffers;
use crate::connection::shared::{Flusher, Shared, State};
use crate::transport::WriteHalf;

/// So many pieces are written by one call: headers and lent payloads in turn.
const SLICES: usize = 64;

impl Shared {
    /// Writes without waiting; what does not go is left to the flusher.
    pub(crate) fn flush(self: &Arc<Self>, state: &mut State) {
        if matches!(state.flusher, Flusher::Blocked(_)) || state.has_nothing_to_write() {
            return;
        }
        if self.write_now(state).is_pending() {
            self.schedule_flusher(state);
        }
    }

    /// Writes what the transport takes now. The task's budget is no bound to it: what is written
    /// here is work that a task of its own would have to do otherwise.
    pub(crate) fn write_now(&self, state: &mut State) -> Poll<()> {
        let write = pin!(unconstrained(poll_fn(|cx| self.poll_write(state, cx))));
        write.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[inline]
    pub(crate) fn schedule_flusher(self: &Arc<Self>, state: &mut State) {
        if matches!(state.flusher, Flusher::None) {
            self.spawn_flusher(state);
        }
    }

    fn spawn_flusher(self: &Arc<Self>, state: &mut State) {
        state.flusher = Flusher::Scheduled;
        let flusher = run_flusher(self.clone(), std::thread::current().id());
        self.timekeeper.runtime().spawn(flusher);
    }

    /// How much is queued just now.
    fn queued(&self) -> usize {
        self.lock().session.outbound().queued_len()
    }

    /// Writes all that is queued, then does with the transport what is due.
    fn poll_write(&self, state: &mut State, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(result) = ready!(poll_write_step(state, cx)) {
            if let Err(error) = result {
                state.writer = None;
                state.session.handle_write_error(Instant::now().into_std(), error.kind());
            }
        }
        if let Some(buffer) = state.session.outbound().reclaim_buffer() {
            buffers::give_send(buffer);
        }
        Poll::Ready(())
    }
}

/// The next thing to do with the transport; `None` where there is none.
fn poll_write_step(state: &mut State, cx: &mut Context<'_>) -> Poll<Option<io::Result<()>>> {
    let State { session, writer: Some(writer), unflushed, is_shut_down, .. } = state else {
        return Poll::Ready(None);
    };
    if let Some(out) = session.poll_transmit() {
        *unflushed = true;
        return poll_write_some(writer, cx, out).map(Some);
    }
    if *unflushed {
        let result = ready!(Pin::new(writer).poll_flush(cx));
        *unflushed = false;
        return Poll::Ready(Some(result));
    }
    let is_over = session.poll_transport() != TransportFate::Open;
    if is_over && !*is_shut_down {
        let result = ready!(Pin::new(writer).poll_shutdown(cx));
        *is_shut_down = true;
        return Poll::Ready(Some(result));
    }
    if session.poll_transport() == TransportFate::Close {
        session.handle_transport_end();
    }
    Poll::Ready(None)
}

/// Writes some of `out`, as one or as several pieces.
fn poll_write_some(
    writer: &mut WriteHalf,
    cx: &mut Context<'_>,
    out: &mut Outbound,
) -> Poll<io::Result<()>> {
    let mut writer = Pin::new(writer);
    let first = out.chunk();
    let count = if first.len() == out.remaining() || !writer.is_write_vectored() {
        ready!(writer.as_mut().poll_write(cx, first))?
    } else {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = out.chunks_vectored(&mut slices);
        ready!(writer.as_mut().poll_write_vectored(cx, &slices[..used]))?
    };
    if count == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    out.advance(count);
    Poll::Ready(Ok(()))
}

/// The flusher.
///
/// Where it runs on another thread than the task that queued something, that task may not have
/// yielded yet: as long as it goes on queueing, the flusher lets it.
async fn run_flusher(shared: Arc<Shared>, scheduled_on: ThreadId) {
    if std::thread::current().id() != scheduled_on {
        let mut queued = shared.queued();
        loop {
            tokio::task::yield_now().await;
            if std::mem::replace(&mut queued, shared.queued()) == queued {
                break;
            }
        }
    }
    poll_fn(|cx| {
        shared.update(|shared, state| {
            let was_blocked = matches!(state.flusher, Flusher::Blocked(_));
            let queued = state.session.outbound().queued_len();
            let result = shared.poll_write(state, cx);
            if was_blocked && state.session.outbound().queued_len() < queued {
                state.peer_took_more = true;
            }
            state.flusher = match result {
                Poll::Pending => Flusher::Blocked(cx.waker().clone()),
                Poll::Ready(()) => {
                    state.wrote_this_turn = false;
                    Flusher::None
                }
            };
            result
        })
    })
    .await;
}
