//! A transport that is often not ready, and moves a few bytes when it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use towline::{Config, Connection};

use crate::ends::connections;

/// What becomes of each call, in turn and then over again: 0 is "not ready, ask again", any other
/// number is how many bytes are moved at the most.
pub(crate) type Schedule = Vec<u16>;

const READ: usize = 0;
const WRITE: usize = 1;

pub(crate) struct Choppy {
    inner: DuplexStream,
    schedule: Schedule,
    /// Where reading is in it, and where writing is: else each could meet the same part for ever.
    at: [usize; 2],
}

/// The two ends of a pipe that works by this schedule.
pub(crate) fn choppy_pipe(pipe: usize, schedule: &[u16]) -> (Choppy, Choppy) {
    let (one, other) = tokio::io::duplex(pipe);
    let end = |inner, at| Choppy { inner, schedule: schedule.to_vec(), at: [at; 2] };
    (end(one, 0), end(other, schedule.len() / 2))
}

/// A server's and a client's end of one connection, over such a pipe.
pub(crate) fn choppy_pair(
    config: &Config,
    pipe: usize,
    schedule: &[u16],
) -> (Connection, Connection) {
    let (at_server, at_client) = choppy_pipe(pipe, schedule);
    connections(at_server, at_client, config, config)
}

impl Choppy {
    /// How many bytes may be moved by this call.
    fn poll_budget(&mut self, way: usize, cx: &mut Context<'_>) -> Poll<usize> {
        let budget = self.schedule.get(self.at[way] % self.schedule.len().max(1)).map_or(1, |n| *n);
        self.at[way] += 1;
        if budget == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(budget.into())
    }
}

impl AsyncRead for Choppy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Poll::Ready(budget) = self.poll_budget(READ, cx) else { return Poll::Pending };
        let mut part = vec![0; budget.min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut part);
        let result = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        buffer.put_slice(part.filled());
        result
    }
}

impl AsyncWrite for Choppy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(budget) = self.poll_budget(WRITE, cx) else { return Poll::Pending };
        Pin::new(&mut self.inner).poll_write(cx, &bytes[..budget.min(bytes.len())])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Poll::Ready(_) = self.poll_budget(WRITE, cx) else { return Poll::Pending };
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
