//! A transport of the test's making, and the peer at its far end.
//!
//! Every call that the connection makes is recorded. The far end says what it likes, read by
//! read; takes as much as it likes, or nothing; ends or fails when it likes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use towline::{Config, Connection, Role, Sender};
use towline_kit::{FrameBytes, Heard, join};

/// A call of the connection's, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// So many bytes were read.
    Read(usize),
    /// There was nothing to read.
    ReadPending,
    /// So many bytes were written, in however many slices.
    Write(usize),
    /// There was no room to write.
    WritePending,
    /// The writing side was shut down.
    Shutdown,
}

/// The connection's end.
pub(crate) struct Wire(Arc<Mutex<Pipe>>);

/// The test's end: a mock peer.
pub(crate) struct Far {
    pipe: Arc<Mutex<Pipe>>,
    role: Role,
}

#[derive(Default)]
struct Pipe {
    /// Each is one read.
    to_read: VecDeque<Vec<u8>>,
    /// After that: the end, or an error.
    end: Option<Result<(), io::ErrorKind>>,
    /// So many bytes may still be written.
    room: usize,
    write_error: Option<io::ErrorKind>,
    panics: bool,
    /// Whether what was written is held back, so that a flush has to wait.
    holds_back: bool,
    calls: Vec<Call>,
    written: Vec<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A connection of this role, and its peer.
pub(crate) fn connect(role: Role, config: &Config) -> (Connection, Far) {
    connect_with_early(role, config, Bytes::new())
}

/// The same, where these bytes came behind the handshake.
pub(crate) fn connect_with_early(role: Role, config: &Config, early: Bytes) -> (Connection, Far) {
    let pipe = Arc::new(Mutex::new(Pipe { room: usize::MAX, ..Pipe::default() }));
    let far = Far { pipe: pipe.clone(), role };
    (Connection::from_stream(Wire(pipe), role, config, early), far)
}

/// The two ends of a transport that is to become a server's connection.
pub(crate) fn wire() -> (Wire, Far) {
    let pipe = Arc::new(Mutex::new(Pipe { room: usize::MAX, ..Pipe::default() }));
    (Wire(pipe.clone()), Far { pipe, role: Role::Server })
}

/// Lets all tasks run until each of them waits.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

impl Far {
    fn lock(&self) -> MutexGuard<'_, Pipe> {
        self.pipe.lock().unwrap()
    }

    /// The role that the peer plays.
    pub(crate) fn role(&self) -> Role {
        match self.role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        }
    }

    /// Says a frame, in a read of its own.
    pub(crate) fn says(&self, frame: FrameBytes) {
        self.says_all([frame]);
    }

    /// Says frames, all in one read.
    pub(crate) fn says_all(&self, frames: impl IntoIterator<Item = FrameBytes>) {
        let role = self.role();
        self.says_bytes(join(frames.into_iter().map(|frame| frame.by(role))));
    }

    /// Says these bytes, in one read.
    pub(crate) fn says_bytes(&self, bytes: Vec<u8>) {
        let mut pipe = self.lock();
        pipe.to_read.push_back(bytes);
        wake(pipe.reader.take());
    }

    /// Ends what can be read, behind what has been said.
    pub(crate) fn ends(&self) {
        let mut pipe = self.lock();
        pipe.end = Some(Ok(()));
        wake(pipe.reader.take());
    }

    /// Makes reading fail, behind what has been said.
    pub(crate) fn fails(&self, kind: io::ErrorKind) {
        let mut pipe = self.lock();
        pipe.end = Some(Err(kind));
        wake(pipe.reader.take());
    }

    /// Makes writing fail.
    pub(crate) fn fails_writes(&self, kind: io::ErrorKind) {
        let mut pipe = self.lock();
        pipe.write_error = Some(kind);
        wake(pipe.writer.take());
    }

    /// Makes writing panic.
    pub(crate) fn panics(&self) {
        self.lock().panics = true;
    }

    /// Takes nothing from now on.
    pub(crate) fn stalls(&self) {
        self.lock().room = 0;
    }

    /// The same, and what the transport itself holds back is full: what is sent next is queued.
    pub(crate) async fn stalls_behind(&self, _: &Sender) {
        self.stalls();
    }

    /// Takes so many bytes more.
    pub(crate) fn takes(&self, bytes: usize) {
        let mut pipe = self.lock();
        pipe.room = pipe.room.saturating_add(bytes);
        wake(pipe.writer.take());
    }

    /// Takes everything from now on.
    pub(crate) fn flows(&self) {
        self.takes(usize::MAX);
    }

    /// Has a flush wait from now on, though everything can be written.
    pub(crate) fn holds_back(&self) {
        self.lock().holds_back = true;
    }

    /// Has a flush wait no longer.
    pub(crate) fn lets_through(&self) {
        let mut pipe = self.lock();
        pipe.holds_back = false;
        wake(pipe.writer.take());
    }

    /// The frames that have been written whole since this was last asked.
    pub(crate) fn hears(&self) -> Vec<Heard> {
        let mut pipe = self.lock();
        let mut all = Vec::new();
        let mut at = 0;
        while let Some((heard, len)) = Heard::first_of(&pipe.written[at..]) {
            assert_eq!(heard.header.mask.is_some(), self.role.masks(), "{heard:?}");
            all.push(heard);
            at += len;
        }
        pipe.written.drain(..at);
        all
    }

    /// Takes what has been written, which need be no frames.
    pub(crate) fn hears_bytes(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().written)
    }

    /// Forgets what has been written.
    pub(crate) fn forgets_what_it_heard(&self) {
        self.hears_bytes();
    }

    /// The calls since this was last asked.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    /// The sizes of the writes since calls were last asked for.
    pub(crate) fn writes(&self) -> Vec<usize> {
        let written = |call: Call| match call {
            Call::Write(count) => Some(count),
            _ => None,
        };
        self.calls().into_iter().filter_map(written).collect()
    }

    /// How many bytes the connection has not read.
    pub(crate) fn unread(&self) -> usize {
        self.lock().to_read.iter().map(Vec::len).sum()
    }

    /// Whether the connection has let go of the transport.
    pub(crate) fn is_dropped(&self) -> bool {
        Arc::strong_count(&self.pipe) == 1
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut pipe = self.0.lock().unwrap();
        let Some(chunk) = pipe.to_read.front_mut() else {
            return match pipe.end {
                Some(end) => {
                    pipe.calls.push(Call::Read(0));
                    // An error is told once.
                    pipe.end = Some(Ok(()));
                    Poll::Ready(end.map_err(io::Error::from))
                }
                None => {
                    pipe.calls.push(Call::ReadPending);
                    pipe.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        };
        let count = chunk.len().min(buffer.remaining());
        buffer.put_slice(&chunk[..count]);
        chunk.drain(..count);
        if chunk.is_empty() {
            pipe.to_read.pop_front();
        }
        pipe.calls.push(Call::Read(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut pipe = self.0.lock().unwrap();
        if pipe.panics {
            drop(pipe);
            panic!("the stream's own");
        }
        if let Some(kind) = pipe.write_error {
            return Poll::Ready(Err(kind.into()));
        }
        if pipe.room == 0 {
            pipe.calls.push(Call::WritePending);
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut count = 0;
        for slice in slices {
            let part = slice.len().min(pipe.room);
            pipe.written.extend_from_slice(&slice[..part]);
            pipe.room -= part;
            count += part;
        }
        if pipe.room > usize::MAX / 2 {
            pipe.room = usize::MAX;
        }
        pipe.calls.push(Call::Write(count));
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.0.lock().unwrap();
        if pipe.holds_back {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().unwrap().calls.push(Call::Shutdown);
        Poll::Ready(Ok(()))
    }
}
