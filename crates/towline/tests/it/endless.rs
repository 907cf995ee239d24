//! A stream whose peer never stops, and never takes part in tokio's budget: what lets others run
//! beside it is the connection's own doing.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts something, from wherever it happens.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Says `first` once and `again` for ever, or nothing if that is empty; takes all.
pub(crate) struct Endless {
    first: Vec<u8>,
    again: Vec<u8>,
    at: usize,
    /// So much is read at once.
    pub(crate) chunk: usize,
    /// How many bytes were read of it.
    pub(crate) read: Count,
    /// How many bytes were written to it.
    pub(crate) written: Count,
}

impl Endless {
    pub(crate) fn new(first: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>) -> Self {
        let (read, written) = <(Count, Count)>::default();
        let mut again: Vec<u8> = again.into();
        if !again.is_empty() {
            again = again.repeat((64 << 10) / again.len() + 1);
        }
        Self { first: first.into(), again, at: 0, chunk: usize::MAX, read, written }
    }

    /// Says nothing.
    pub(crate) fn mute() -> Self {
        Self::new([], [])
    }
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if !this.first.is_empty() {
            let count = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first[..count]);
            this.first.drain(..count);
        } else if this.again.is_empty() {
            return Poll::Pending;
        }
        let mut room = buffer.remaining().min(this.chunk);
        while room > 0 && !this.again.is_empty() {
            let rest = &this.again[this.at..];
            let count = rest.len().min(room);
            room -= count;
            buffer.put_slice(&rest[..count]);
            this.at = (this.at + count) % this.again.len();
        }
        this.read.add(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = slices.iter().map(|slice| slice.len()).sum();
        self.written.add(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Lets the other tasks that are ready run, as a task does that is woken by something.
async fn step_back() {
    let mut has = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Another task on the same thread, which sees how much was done between two of its turns.
pub(crate) struct Bystander {
    task: tokio::task::JoinHandle<()>,
    turns: Count,
    most: Arc<AtomicUsize>,
}

impl Bystander {
    /// One who looks at this count.
    pub(crate) fn of(count: &Count) -> Self {
        let (count, turns, most) = (count.clone(), Count::default(), Arc::default());
        let task = tokio::spawn({
            let (turns, most) = (turns.clone(), Arc::<AtomicUsize>::clone(&most));
            async move {
                let mut last = count.get();
                loop {
                    let now = count.get();
                    most.fetch_max(now - last, Ordering::Relaxed);
                    last = now;
                    turns.add(1);
                    step_back().await;
                }
            }
        });
        Self { task, turns, most }
    }

    pub(crate) fn turns(&self) -> usize {
        self.turns.get()
    }

    /// The most that was done between two turns.
    pub(crate) async fn most(self) -> usize {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        self.task.abort();
        self.most.load(Ordering::Relaxed)
    }
}
