//! Buffers that belong to the thread, lent to whichever connection is at work.
//!
//! A connection takes one when it has something to read or to write, and gives it back when
//! nothing is left in it. So an idle connection holds none, and the few that there are stay hot
//! in the cache.

use std::cell::RefCell;

/// Bytes that one read may bring.
const RECEIVE: usize = 64 << 10;

/// A buffer that has grown past this while sending is freed rather than kept.
const SEND_MAX: usize = 256 << 10;

/// What a new buffer for sending has room for.
const SEND_MIN: usize = 4 << 10;

/// Buffers of each sort that a thread keeps for the next one who asks.
const KEPT: usize = 4;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { receive: Vec::new(), send: Vec::new() }) };
}

struct Pool {
    receive: Vec<Box<[u8]>>,
    send: Vec<Vec<u8>>,
}

/// An empty buffer to encode into.
pub(crate) fn take_send() -> Vec<u8> {
    with_pool(|pool| pool.send.pop()).unwrap_or_else(|| Vec::with_capacity(SEND_MIN))
}

/// Gives a buffer back.
pub(crate) fn give_send(buffer: Vec<u8>) {
    // A small one was not made here, and would be of little use to the next who asks.
    if (SEND_MIN..=SEND_MAX).contains(&buffer.capacity()) {
        with_pool(|pool| {
            if pool.send.len() < KEPT {
                pool.send.push(buffer);
            }
            None::<()>
        });
    }
}

fn take_receive() -> Box<[u8]> {
    with_pool(|pool| pool.receive.pop()).unwrap_or_else(|| vec![0; RECEIVE].into_boxed_slice())
}

fn give_receive(buffer: Box<[u8]>) {
    if buffer.len() == RECEIVE {
        with_pool(|pool| {
            if pool.receive.len() < KEPT {
                pool.receive.push(buffer);
            }
            None::<()>
        });
    }
}

/// `None` where the thread is ending and its pool is gone.
fn with_pool<R>(f: impl FnOnce(&mut Pool) -> Option<R>) -> Option<R> {
    POOL.try_with(|pool| f(&mut pool.borrow_mut())).ok().flatten()
}

/// Bytes that were read and not decoded yet.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// `None` is: nothing, and no buffer held for it.
    bytes: Option<Box<[u8]>>,
    start: usize,
    end: usize,
}

impl Received {
    /// Bytes that came before the connection did: behind the handshake, in the same packet.
    pub(crate) fn early(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { bytes: (end > 0).then(|| bytes.into_boxed_slice()), start: 0, end }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// What is left.
    pub(crate) fn unread(&mut self) -> &mut [u8] {
        match &mut self.bytes {
            Some(bytes) => &mut bytes[self.start..self.end],
            None => &mut [],
        }
    }

    /// All but the last `left` bytes were consumed.
    pub(crate) fn consumed_to(&mut self, left: usize) {
        self.start = self.end - left;
    }

    /// Room for the next read. Only where nothing is left.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        debug_assert!(self.is_empty());
        (self.start, self.end) = (0, 0);
        self.bytes.get_or_insert_with(take_receive)
    }

    /// The next read brought so much.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = count;
    }

    /// Gives the buffer back to the thread. What is left is dropped.
    pub(crate) fn release(&mut self) {
        (self.start, self.end) = (0, 0);
        if let Some(bytes) = self.bytes.take() {
            give_receive(bytes);
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.release();
    }
}
