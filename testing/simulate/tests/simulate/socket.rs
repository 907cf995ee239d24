//! One end of a link, as the stream of a connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::link::{Found, Link, Taken};

pub(crate) struct Socket {
    link: Arc<Link>,
    side: usize,
    /// The arrivals that a task waits for, which reads or writes.
    timers: [Option<Pin<Box<Sleep>>>; 2],
}

const READING: usize = 0;
const WRITING: usize = 1;

impl Socket {
    pub(crate) fn new(link: Arc<Link>, side: usize) -> Self {
        Self { link, side, timers: [None, None] }
    }

    /// Wakes the task at this time. Returns whether that is now.
    fn wait(&mut self, who: usize, at: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(at) = at else { return false };
        let timer = self.timers[who].get_or_insert_with(|| Box::pin(sleep_until(at)));
        timer.as_mut().reset(at);
        timer.as_mut().poll(cx).is_ready()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let side = self.side;
            let until = {
                let mut state = self.link.lock();
                match state.read(side, buffer.remaining(), self.link.shape) {
                    Found::Data(bytes) => {
                        crate::link::put(bytes, buffer);
                        return Poll::Ready(Ok(()));
                    }
                    Found::End => return Poll::Ready(Ok(())),
                    Found::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                    Found::Nothing(until) => {
                        state.pipes[1 - side].reader = Some(cx.waker().clone());
                        until
                    }
                }
            };
            if !self.wait(READING, until, cx) {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let side = self.side;
            let until = {
                let mut state = self.link.lock();
                match state.write(side, bytes, self.link.shape) {
                    Taken::Bytes(count) => return Poll::Ready(Ok(count)),
                    Taken::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                    Taken::Ended => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                    Taken::Full(until) => {
                        state.pipes[side].writer = Some(cx.waker().clone());
                        until
                    }
                }
            };
            if !self.wait(WRITING, until, cx) {
                return Poll::Pending;
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shape = self.link.shape;
        self.link.lock().end(self.side, shape);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let shape = self.link.shape;
        self.link.lock().drop_end(self.side, shape);
    }
}
