//! Writing what is queued, and the flusher.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf as _;
use tokio::io::AsyncWrite as _;
use tokio::time::Instant;
use towline_proto::{Outbound, Transport};

use crate::connection::buffers;
use crate::connection::shared::{Flusher, Shared, State};
use crate::transport::WriteHalf;

/// So many pieces are written by one call: headers and lent payloads in turn.
const SLICES: usize = 64;

impl Shared {
    /// Changes the state, and sees to what follows from it.
    #[inline]
    pub(crate) fn update<R>(
        self: &Arc<Self>,
        change: impl FnOnce(&Arc<Self>, &mut State) -> R,
    ) -> R {
        let mut state = self.lock();
        let result = change(self, &mut state);
        let after = self.settle(&mut state);
        drop(state);
        after.run(self);
        result
    }

    /// Writes without waiting; what does not go is left to the flusher.
    pub(crate) fn flush(self: &Arc<Self>, state: &mut State) {
        if matches!(state.flusher, Flusher::Blocked(_)) {
            return;
        }
        if self.poll_write(state, &mut Context::from_waker(Waker::noop())).is_pending() {
            self.schedule_flusher(state);
        }
    }

    pub(crate) fn schedule_flusher(self: &Arc<Self>, state: &mut State) {
        if matches!(state.flusher, Flusher::None) {
            state.flusher = Flusher::Scheduled;
            self.runtime.spawn(flush(self.clone()));
        }
    }

    /// Writes all that is queued, then does with the transport what is due.
    pub(crate) fn poll_write(&self, state: &mut State, cx: &mut Context<'_>) -> Poll<()> {
        while let State { session, writer: Some(writer), unflushed, is_shut_down, .. } = &mut *state
        {
            let result = if let Some(out) = session.poll_transmit() {
                *unflushed = true;
                ready!(poll_write_some(writer, cx, out))
            } else if *unflushed {
                let result = ready!(Pin::new(writer).poll_flush(cx));
                *unflushed = false;
                result
            } else {
                match session.poll_transport() {
                    Transport::ShutDown | Transport::Close if !*is_shut_down => {
                        let result = ready!(Pin::new(writer).poll_shutdown(cx));
                        *is_shut_down = true;
                        result
                    }
                    Transport::Close => {
                        session.handle_transport_end();
                        break;
                    }
                    Transport::Open | Transport::ShutDown => break,
                }
            };
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
async fn flush(shared: Arc<Shared>) {
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
