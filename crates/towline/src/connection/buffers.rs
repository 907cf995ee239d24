//! Buffers of a thread, lent to the connections that read or write on it.
//!
//! A connection takes a buffer to read or to write, and returns it when it is empty. So an idle
//! connection holds none, and the few buffers stay hot in the cache.

use std::cell::RefCell;

use bytes::buf::Limit;
use bytes::{Bytes, BytesMut};
use towline_proto::{Input, ReadBuffer};

/// A buffer that has grown past this while sending is freed rather than kept.
const SEND_MAX: usize = 256 << 10;

/// The capacity of a new send buffer.
const SEND_MIN: usize = 4 << 10;

/// How many free buffers of each kind a thread keeps.
const KEPT: usize = 4;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { receive: Vec::new(), send: Vec::new() }) };
}

struct Pool {
    /// The buffer that was returned last is at the end. Payloads that were handed out can still
    /// refer to any of them.
    receive: Vec<BytesMut>,
    send: Vec<Vec<u8>>,
}

/// Returns an empty buffer to encode into.
pub(crate) fn take_send() -> Vec<u8> {
    with_pool(|pool| pool.send.pop()).unwrap_or_else(|| Vec::with_capacity(SEND_MIN))
}

/// Returns a buffer to the pool.
pub(crate) fn give_send(buffer: Vec<u8>) {
    // A smaller buffer was not created here, and is of little use.
    if (SEND_MIN..=SEND_MAX).contains(&buffer.capacity()) {
        with_pool(|pool| {
            if pool.send.len() < KEPT {
                pool.send.push(buffer);
            }
            None::<()>
        });
    }
}

fn take_receive() -> BytesMut {
    let take = |pool: &mut Pool| {
        if let Some(mut last) = pool.receive.pop() {
            if last.try_reclaim(ReadBuffer::CAPACITY) {
                return Some(last);
            }
            pool.receive.push(last);
        }
        let is_back = |buffer: &mut BytesMut| buffer.try_reclaim(ReadBuffer::CAPACITY);
        let free = pool.receive.iter_mut().rposition(is_back)?;
        Some(pool.receive.remove(free))
    };
    with_pool(take).unwrap_or_else(|| BytesMut::with_capacity(ReadBuffer::CAPACITY))
}

fn give_receive(mut buffer: BytesMut) {
    buffer.clear();
    with_pool(|pool| {
        if pool.receive.len() == KEPT {
            // The oldest one is most likely still referred to by payloads.
            pool.receive.remove(0);
        }
        pool.receive.push(buffer);
        None::<()>
    });
}

/// Returns `None` if the thread is ending and its pool is gone.
fn with_pool<R>(f: impl FnOnce(&mut Pool) -> Option<R>) -> Option<R> {
    POOL.try_with(|pool| f(&mut pool.borrow_mut())).ok().flatten()
}

/// Bytes that were read and not decoded yet, in a buffer of the thread.
#[derive(Debug, Default)]
pub(crate) struct Received {
    buffer: ReadBuffer,
    /// Whether the memory is from the thread's pool.
    is_lent: bool,
}

impl Received {
    /// Bytes that were read after the end of the handshake, before the connection was created.
    pub(crate) fn early(bytes: &[u8]) -> Self {
        Self { buffer: bytes.into(), is_lent: false }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The bytes that are left.
    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        self.buffer.unread()
    }

    /// The bytes that are left, for the decoder.
    #[inline]
    pub(crate) fn input(&mut self) -> Input<'_> {
        self.buffer.input()
    }

    /// The payload of this length that was consumed last.
    #[inline]
    pub(crate) fn payload(&mut self, payload_len: usize) -> Bytes {
        self.buffer.payload(payload_len)
    }

    /// The bytes that were consumed last. They are there until the next read or release.
    #[inline]
    pub(crate) fn consumed(&self, count: usize) -> &[u8] {
        self.buffer.consumed(count)
    }

    /// The memory that the bytes that are left keep from the thread's pool.
    pub(crate) fn memory(&self) -> usize {
        if self.is_lent { ReadBuffer::CAPACITY } else { self.unread().len() }
    }

    /// Room for the next read, after the bytes that are left.
    pub(crate) fn room(&mut self) -> Limit<&mut BytesMut> {
        if self.is_empty() {
            self.release();
        }
        if !self.is_lent || !self.buffer.has_room() {
            let old = self.buffer.replace(take_receive());
            if std::mem::replace(&mut self.is_lent, true) {
                give_receive(old);
            }
        }
        self.buffer.room()
    }

    /// Hands the bytes that are left over to the decoder, when there is no more to read for now.
    pub(crate) fn settle(&mut self) {
        self.buffer.settle();
    }

    /// Returns the memory to the thread's pool. The bytes that are left are dropped.
    #[inline]
    pub(crate) fn release(&mut self) {
        // A buffer whose last byte was handed out has no capacity left.
        if self.is_lent || self.buffer.has_memory() {
            self.release_memory();
        }
    }

    fn release_memory(&mut self) {
        let bytes = self.buffer.take();
        if std::mem::take(&mut self.is_lent) {
            give_receive(bytes);
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::BufMut as _;
    use towline_proto::{Config, Inbound, Incoming, Role};

    use super::*;

    /// Receives a message that leaves `left_over` bytes of the buffer unused, and shares its
    /// payload.
    fn share_all_but(left_over: usize) {
        let mut inbound = Inbound::new(Role::Client, &Config::client());
        let mut received = Received::default();
        let mut room = received.room();
        let payload_len = room.remaining_mut() - left_over - 10;
        room.put_slice(&[0x82, 127]);
        room.put_u64(payload_len as u64);
        room.put_bytes(0, payload_len);
        let Incoming::Binary(message) = inbound.poll(&mut received.input()) else { panic!() };
        assert_eq!(message.len(), payload_len);
        let payload = received.payload(payload_len);
        received.release();
        assert!(!received.is_lent);
        drop(payload);
    }

    #[test]
    fn a_buffer_comes_back_to_the_thread_though_it_was_handed_out_to_the_last_byte() {
        for left_over in [1, 0] {
            share_all_but(left_over);
            let kept = POOL.with_borrow(|pool| pool.receive.len());
            assert_eq!(kept, 1, "{left_over} bytes left over");
        }
    }
}
