//! Buffers that belong to the thread, lent to whichever connection is at work.
//!
//! A connection takes one when it has something to read or to write, and gives it back when
//! nothing is left in it. So an idle connection holds none, and the few that there are stay hot
//! in the cache.

use std::cell::RefCell;

use bytes::buf::Limit;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use towline_proto::Input;

/// Bytes that one read may bring.
const RECEIVE: usize = 128 << 10;

/// A frame up to this may gather in the buffer; the rest of a longer one goes to its own place.
const GATHER_MAX: usize = RECEIVE / 2;

/// A read into less room than this would be a system call for little.
const ROOM_MIN: usize = RECEIVE / 4;

/// A payload from this on may be handed out as a part of the buffer, without a copy. As long as it
/// lives it keeps the whole buffer, …
const SHARE_MIN: usize = 8 << 10;

/// … so there must be so much in the buffer: messages that are kept take up at most four times
/// their size. (One whose neighbours are dropped, sixteen times.)
const SHARE_FILL: usize = RECEIVE / 4;

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
            if last.try_reclaim(RECEIVE) {
                return Some(last);
            }
            pool.receive.push(last);
        }
        let is_back = |buffer: &mut BytesMut| buffer.try_reclaim(RECEIVE);
        let free = pool.receive.iter_mut().rposition(is_back)?;
        Some(pool.receive.remove(free))
    };
    with_pool(take).unwrap_or_else(|| BytesMut::with_capacity(RECEIVE))
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

/// Bytes that were read and not decoded yet.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Without capacity where no buffer is held.
    bytes: BytesMut,
    /// How many of them have been consumed.
    start: usize,
    /// Whether the buffer is one of the thread's.
    is_lent: bool,
    /// Whether enough lies in the buffer for payloads to be handed out as parts of it.
    is_shareable: bool,
}

impl Received {
    /// Bytes that came before the connection did: behind the handshake, in the same packet.
    pub(crate) fn early(bytes: &[u8]) -> Self {
        Self { bytes: BytesMut::from(bytes), ..Self::default() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// What is left.
    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Has what is left decoded. What is consumed is left no more.
    #[inline]
    pub(crate) fn decode<'b, R>(&'b mut self, decode: impl FnOnce(&mut Input<'b>) -> R) -> R {
        let Self { bytes, start, .. } = self;
        let end = bytes.len();
        let mut input = Input::new(&mut bytes[*start..]);
        let decoded = decode(&mut input);
        *start = end - input.len();
        decoded
    }

    /// From which length on a payload is handed out by [`share`](Self::share), and not copied.
    #[inline]
    pub(crate) fn shared_from(&self) -> usize {
        if self.is_shareable { SHARE_MIN } else { usize::MAX }
    }

    /// The payload of this length that was consumed last.
    pub(crate) fn share(&mut self, payload_len: usize) -> Bytes {
        self.bytes.advance(self.start - payload_len);
        self.start = 0;
        self.bytes.split_to(payload_len).freeze()
    }

    /// Whether a frame of this length, which has begun, may gather in the buffer.
    pub(crate) fn can_gather(frame_len: usize) -> bool {
        frame_len <= GATHER_MAX
    }

    /// Room for the next read, behind what is left.
    pub(crate) fn room(&mut self) -> Limit<&mut BytesMut> {
        if self.is_empty() {
            self.release();
        }
        if !self.is_lent || self.bytes.capacity() - self.bytes.len() < ROOM_MIN {
            let mut next = take_receive();
            next.extend_from_slice(self.unread());
            self.release();
            (self.bytes, self.is_lent) = (next, true);
        }
        let room = self.bytes.capacity() - self.bytes.len();
        (&mut self.bytes).limit(room)
    }

    /// The next read has brought something.
    pub(crate) fn note_read(&mut self) {
        self.is_shareable = self.bytes.len() >= SHARE_FILL;
    }

    /// Gives the buffer back to the thread. What is left is dropped.
    #[inline]
    pub(crate) fn release(&mut self) {
        // Of a buffer that has been handed out to its last byte, there is no capacity left.
        if self.is_lent || self.bytes.capacity() > 0 {
            self.release_buffer();
        }
    }

    fn release_buffer(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.start = 0;
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

    use towline_proto::{Config, Inbound, Role};

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
        received.note_read();
        received.decode(|input| {
            let whole = inbound.find_whole(input.as_slice()).unwrap();
            assert_eq!(inbound.take_whole(whole, input).unwrap().len(), payload_len);
        });
        let payload = received.share(payload_len);
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
