//! The payload of a DATA frame to send, and the count of such bytes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};

/// The bytes of one stream that `h2` has accepted and not written yet.
#[derive(Default)]
pub(crate) struct Unsent {
    count: AtomicUsize,
    /// Whether some were written since the last call of [`has_moved`](Self::has_moved).
    has_moved: AtomicBool,
    waiter: Mutex<Option<Waker>>,
}

impl Unsent {
    /// Returns these bytes as the payload of a DATA frame.
    pub(crate) fn chunk(self: &Arc<Self>, bytes: Bytes) -> Chunk {
        let is_counted = bytes.is_empty();
        self.count.fetch_add(bytes.len() + usize::from(is_counted), Ordering::AcqRel);
        Chunk { bytes, is_counted, unsent: self.clone() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub(crate) fn has_moved(&self) -> bool {
        self.has_moved.swap(false, Ordering::AcqRel)
    }

    /// Waits until all bytes are written. Keeps one waker.
    pub(crate) fn poll_none(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_empty() {
            return Poll::Ready(());
        }
        self.exchange(Some(cx.waker().clone()));
        if self.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn exchange(&self, waker: Option<Waker>) -> Option<Waker> {
        let mut waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *waiter, waker)
    }

    fn remove(&self, count: usize) {
        if count > 0
            && self.count.fetch_sub(count, Ordering::AcqRel) == count
            && let Some(waiter) = self.exchange(None)
        {
            waiter.wake();
        }
    }
}

/// The payload of a DATA frame. It tells its stream how much of it was written, or dropped.
pub(crate) struct Chunk {
    bytes: Bytes,
    /// Whether it counts as a byte although it is empty, as END_STREAM does.
    is_counted: bool,
    unsent: Arc<Unsent>,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.unsent.has_moved.store(true, Ordering::Release);
        self.unsent.remove(count);
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.unsent.remove(self.bytes.len() + usize::from(self.is_counted));
    }
}
