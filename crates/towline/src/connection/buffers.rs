//! Buffers that belong to the thread, lent to whichever connection is at work.
//!
//! A connection takes one when it has something to read or to write, and gives it back when
//! nothing is left in it. So an idle connection holds none, and the few that there are stay hot
//! in the cache.

use std::cell::RefCell;

use bytes::buf::Limit;
use bytes::{Bytes, BytesMut};
use towline_proto::{Input, ReadBuffer};

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
    /// The one that was given back last is at the end. Payloads may still be out of any of them.
    receive: Vec<BytesMut>,
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
            // The one that has been out of use for longest is that whose payloads are kept.
            pool.receive.remove(0);
        }
        pool.receive.push(buffer);
        None::<()>
    });
}

/// `None` where the thread is ending and its pool is gone.
fn with_pool<R>(f: impl FnOnce(&mut Pool) -> Option<R>) -> Option<R> {
    POOL.try_with(|pool| f(&mut pool.borrow_mut())).ok().flatten()
}

/// Bytes that were read and not decoded yet, in memory of the thread's.
#[derive(Debug, Default)]
pub(crate) struct Received {
    buffer: ReadBuffer,
    /// Whether the memory is the thread's.
    is_lent: bool,
}

impl Received {
    /// Bytes that came before the connection did: behind the handshake, in the same packet.
    pub(crate) fn early(bytes: &[u8]) -> Self {
        Self { buffer: bytes.into(), is_lent: false }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// What is left.
    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        self.buffer.unread()
    }

    /// What is left, for the decoder.
    #[inline]
    pub(crate) fn input(&mut self) -> Input<'_> {
        self.buffer.input()
    }

    /// The payload of this length that was consumed last.
    #[inline]
    pub(crate) fn payload(&mut self, payload_len: usize) -> Bytes {
        self.buffer.payload(payload_len)
    }

    /// Room for the next read, behind what is left.
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

    /// There is nothing more to read for now: the decoder takes over what is left.
    pub(crate) fn settle(&mut self) {
        self.buffer.settle();
    }

    /// Gives the memory back to the thread. What is left is dropped.
    #[inline]
    pub(crate) fn release(&mut self) {
        // Of memory that has been handed out to its last byte, there is no capacity left.
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

    /// Receives a message that leaves so many bytes of the buffer over, and shares its payload.
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
