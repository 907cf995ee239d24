//! A transport that is full and ready at arbitrary times, and the peer at its far end.
//!
//! Its lock is not shuttle's, since tokio holds locks of its own over calls of a stream. Only one
//! thread runs at a time, so it is always free.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use towline::{Config, Connection, Opcode, Role};
use towline_kit::{FrameBytes, Heard, frame, join};

use crate::model::{any, passes};

/// The connection's end.
struct Wire(Arc<Mutex<Pipe>>);

/// The peer: a client.
#[derive(Clone)]
pub(crate) struct Far(Arc<Mutex<Pipe>>);

#[derive(Default)]
struct Pipe {
    to_read: VecDeque<u8>,
    is_at_end: bool,
    /// So many bytes may still be written.
    room: usize,
    /// Whether everything is taken at once.
    flows: bool,
    /// So many calls of `poll_write` before one that panics.
    panics_after: Option<usize>,
    written: Vec<u8>,
    heard: Vec<Heard>,
    is_dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    far: Option<Waker>,
}

/// A connection of a server's, and its peer, who takes nothing yet.
pub(crate) fn connect(config: &Config) -> (Connection, Far) {
    let pipe = Arc::new(Mutex::new(Pipe::default()));
    let connection =
        Connection::from_stream(Wire(pipe.clone()), Role::Server, config, Default::default());
    (connection, Far(pipe))
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Far {
    /// Says frames, which can be read together.
    pub(crate) fn says(&self, frames: impl IntoIterator<Item = FrameBytes>) {
        let mut pipe = lock(&self.0);
        pipe.to_read.extend(join(frames.into_iter().map(|frame| frame.by(Role::Client))));
        wake(&mut pipe.reader);
    }

    /// Ends what can be read.
    pub(crate) fn ends(&self) {
        let mut pipe = lock(&self.0);
        pipe.is_at_end = true;
        wake(&mut pipe.reader);
    }

    /// Takes everything from now on.
    pub(crate) fn flows(&self) {
        let mut pipe = lock(&self.0);
        pipe.flows = true;
        wake(&mut pipe.writer);
    }

    /// Has it look again whether it has heard enough.
    pub(crate) fn looks_again(&self) {
        wake(&mut lock(&self.0).far);
    }

    /// Has a write panic, after so many that don't.
    pub(crate) fn panics_after(&self, writes: usize) {
        lock(&self.0).panics_after = Some(writes);
    }

    /// Takes what is written, piece by piece, until it has heard enough.
    pub(crate) async fn hears_until(&self, is_enough: impl Fn(&[Heard]) -> bool) -> Vec<Heard> {
        self.takes_until(|pipe| is_enough(&pipe.heard)).await
    }

    /// The same, or until the connection has let go of the transport.
    pub(crate) async fn hears_until_closed(&self, is_enough: impl Fn(&[Heard]) -> bool) {
        self.takes_until(|pipe| pipe.is_dropped || is_enough(&pipe.heard)).await;
    }

    /// Takes what is written, until there are so many messages.
    pub(crate) async fn hears_messages(&self, count: usize) -> Vec<String> {
        messages(&self.hears_until(|heard| messages(heard).len() >= count).await)
    }

    /// Closes, or answers a close, and takes what is written until the connection has let go of the
    /// transport. Tasks of the connection's that live on then will be found.
    pub(crate) async fn leaves(&self) -> Vec<Heard> {
        self.says([frame().close(1000, "")]);
        self.ends();
        self.hears_all().await
    }

    /// Takes what is written until the connection has let go of the transport.
    pub(crate) async fn hears_all(&self) -> Vec<Heard> {
        let heard = self.takes_until(|pipe| pipe.is_dropped).await;
        // The timekeeper notices that there is nothing more to do.
        passes(Duration::from_secs(3600));
        heard
    }

    async fn takes_until(&self, is_enough: impl Fn(&Pipe) -> bool) -> Vec<Heard> {
        poll_fn(|cx| {
            let mut pipe = lock(&self.0);
            if is_enough(&pipe) {
                return Poll::Ready(pipe.heard.clone());
            }
            if pipe.writer.is_some() || any(2) == 0 {
                pipe.room += 1 + any(60);
            }
            wake(&mut pipe.writer);
            pipe.far = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// What was heard so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        lock(&self.0).heard.clone()
    }
}

/// The messages among what was heard that are finished. None stands in another.
pub(crate) fn messages(heard: &[Heard]) -> Vec<String> {
    let mut all = Vec::new();
    let mut unfinished: Option<String> = None;
    for frame in heard {
        match frame.opcode() {
            Opcode::Continuation => unfinished.as_mut().unwrap().push_str(frame.text()),
            Opcode::Text => assert_eq!(unfinished.replace(frame.text().to_owned()), None),
            _ => continue,
        }
        if frame.is_fin() {
            all.extend(unfinished.take());
        }
    }
    all
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.0);
        if pipe.to_read.is_empty() && !pipe.is_at_end {
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let most = pipe.to_read.len().min(buffer.remaining());
        if most > 0 {
            let bytes: Vec<_> = pipe.to_read.drain(..1 + any(most)).collect();
            buffer.put_slice(&bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut pipe = lock(&self.0);
        match &mut pipe.panics_after {
            Some(0) => {
                pipe.panics_after = None;
                drop(pipe);
                resume_unwind(Box::new(()));
            }
            Some(writes) => *writes -= 1,
            None => {}
        }
        wake(&mut pipe.far);
        if pipe.room == 0 && !pipe.flows {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = if pipe.flows { bytes.len() } else { bytes.len().min(pipe.room) };
        pipe.room = pipe.room.saturating_sub(count);
        let Pipe { written, heard, .. } = &mut *pipe;
        written.extend_from_slice(&bytes[..count]);
        while let Some((frame, len)) = Heard::first_of(written) {
            written.drain(..len);
            heard.push(frame);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        wake(&mut lock(&self.0).far);
        if any(4) == 0 {
            // Not yet, but soon.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let mut pipe = lock(&self.0);
        pipe.is_dropped = true;
        wake(&mut pipe.far);
    }
}
