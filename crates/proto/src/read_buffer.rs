//! A buffer to read into and to decode from.

use std::fmt;
use std::io;

use bytes::buf::Limit;
use bytes::{Buf as _, BufMut, Bytes, BytesMut};

use crate::glimpse;
use crate::incoming::Input;

/// The smallest payload that may be returned as a part of the buffer, without a copy. While it
/// lives, it keeps the whole buffer …
const SHARE_MIN: usize = 8 << 10;

/// … so the buffer must hold at least this much: retained messages then take at most four times
/// their size (sixteen times if their neighbours are dropped).
const SHARE_FILL: usize = ReadBuffer::CAPACITY / 4;

/// The longest frame that is assembled in the buffer. The rest of a longer one is read into its own
/// memory.
const GATHER_MAX: usize = ReadBuffer::CAPACITY / 2;

/// The least room for a read: a smaller one wastes a system call.
const ROOM_MIN: usize = ReadBuffer::CAPACITY / 4;

/// The most bytes of a blocking read.
const CHUNK: usize = 16 << 10;

/// Bytes that were read and are not decoded yet.
///
/// Reads go into its [`room`](Self::room); its [`input`](Self::input) goes to the decoder. The
/// beginning of a frame stays in the buffer while its rest may arrive, so that it is decoded in one
/// piece. If a read has no more bytes for now, call [`settle`](Self::settle), so that the decoder
/// takes the beginning over.
///
/// A new buffer holds no memory, and [`take`](Self::take) removes the memory again, so that a host
/// can share it between many connections.
///
/// ```
/// use towline_proto::{Config, Inbound, Incoming, ReadBuffer, Role};
///
/// let mut inbound = Inbound::new(Role::Client, &Config::client());
/// let mut buffer = ReadBuffer::new();
/// let mut socket = &b"\x81\x02hi"[..];
/// let text = loop {
///     match inbound.poll(&mut buffer.input()) {
///         Incoming::More => buffer.read_from(&mut socket)?,
///         Incoming::Text(text) => break text,
///         other => panic!("{other:?}"),
///     };
/// };
/// assert_eq!(text, "hi");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct ReadBuffer {
    /// Without capacity if there is no memory.
    bytes: BytesMut,
    /// How many of them have been consumed.
    start: usize,
    /// Whether there is nothing more to read for now.
    is_settled: bool,
    /// Whether the buffer held enough for payloads to be returned as parts of it.
    is_shareable: bool,
}

impl fmt::Debug for ReadBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuffer")
            .field("unread", &glimpse::Bytes(self.unread()))
            .finish_non_exhaustive()
    }
}

impl ReadBuffer {
    /// The size of the memory, and so the most bytes of a read.
    pub const CAPACITY: usize = 128 << 10;

    /// Creates an empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns whether everything has been consumed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Returns the bytes that have not been consumed.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Returns the bytes that have not been consumed as input for the decoder.
    #[inline]
    pub fn input(&mut self) -> Input<'_> {
        let gathers = if self.is_settled { 0 } else { GATHER_MAX };
        Input::of_buffer(&mut self.bytes, &mut self.start, gathers)
    }

    /// Consumes `count` bytes, or all if there are fewer. Used for the head of a handshake.
    pub fn consume(&mut self, count: usize) {
        self.input().take(count);
    }

    /// Returns room for the next read, after the bytes that have not been consumed.
    pub fn room(&mut self) -> Limit<&mut BytesMut> {
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
        if !self.has_room() {
            self.bytes.advance(self.start);
            self.start = 0;
            self.bytes.reserve(Self::CAPACITY.saturating_sub(self.bytes.len()).max(ROOM_MIN));
        }
        self.is_settled = false;
        self.is_shareable = false;
        let room = self.bytes.capacity() - self.bytes.len();
        (&mut self.bytes).limit(room)
    }

    /// Returns whether the current memory has room for a read.
    pub fn has_room(&self) -> bool {
        self.bytes.capacity() - self.bytes.len() >= ROOM_MIN
    }

    /// Records that there is nothing more to read for now: the decoder then takes over the
    /// beginning of a frame.
    pub fn settle(&mut self) {
        self.is_settled = true;
    }

    /// Reads once from a blocking stream. Returns the number of bytes, 0 at its end.
    ///
    /// # Errors
    ///
    /// Errors of the stream.
    pub fn read_from(&mut self, stream: &mut impl io::Read) -> io::Result<usize> {
        read(stream, &mut self.room())
    }

    /// Returns the payload of this length that was consumed last. A long one is a part of the
    /// buffer, if that does not retain too much memory; otherwise it is copied.
    #[inline]
    pub fn payload(&mut self, payload_len: usize) -> Bytes {
        if payload_len >= SHARE_MIN && self.is_shareable() {
            return self.share(payload_len);
        }
        Bytes::copy_from_slice(&self.bytes[self.start.saturating_sub(payload_len)..self.start])
    }

    /// Returns the bytes that were consumed last, at most this many. They are there until the next
    /// call that takes `&mut self`, except for [`input`](Self::input) of which nothing is consumed.
    #[inline]
    pub fn consumed(&self, count: usize) -> &[u8] {
        &self.bytes[self.start.saturating_sub(count)..self.start]
    }

    fn is_shareable(&mut self) -> bool {
        self.is_shareable |= self.bytes.len() >= SHARE_FILL;
        self.is_shareable
    }

    #[inline(never)]
    fn share(&mut self, payload_len: usize) -> Bytes {
        self.bytes.advance(self.start.saturating_sub(payload_len));
        let payload = self.bytes.split_to(payload_len.min(self.start));
        self.start = 0;
        payload.freeze()
    }

    /// Returns whether the buffer has memory.
    #[inline]
    pub fn has_memory(&self) -> bool {
        self.bytes.capacity() > 0
    }

    /// Replaces the memory by `next`, which is empty, and copies the bytes that have not been
    /// consumed. Returns the old memory.
    pub fn replace(&mut self, mut next: BytesMut) -> BytesMut {
        next.extend_from_slice(self.unread());
        self.start = 0;
        std::mem::replace(&mut self.bytes, next)
    }

    /// Takes the memory. Bytes that have not been consumed are dropped.
    pub fn take(&mut self) -> BytesMut {
        self.start = 0;
        std::mem::take(&mut self.bytes)
    }
}

impl From<&[u8]> for ReadBuffer {
    fn from(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), ..Self::default() }
    }
}

/// Reads once into `room`.
pub(crate) fn read(stream: &mut impl io::Read, room: &mut impl BufMut) -> io::Result<usize> {
    // `Read` requires initialized bytes.
    let mut chunk = [0; CHUNK];
    let most = CHUNK.min(room.remaining_mut());
    let count = stream.read(&mut chunk[..most])?;
    room.put_slice(&chunk[..count]);
    Ok(count)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn filled(bytes: usize) -> ReadBuffer {
        let mut buffer = ReadBuffer::new();
        buffer.room().put_bytes(7, bytes);
        buffer
    }

    #[test]
    fn what_is_left_stays_in_front_of_what_is_read_next() {
        let mut buffer = filled(ReadBuffer::CAPACITY);
        buffer.consume(ReadBuffer::CAPACITY - 3);
        let mut room = buffer.room();
        assert!(room.remaining_mut() >= ROOM_MIN);
        room.put_slice(b"more");
        assert_eq!(buffer.unread(), b"\x07\x07\x07more");
    }

    #[test]
    fn memory_is_used_again_once_nothing_is_left_in_it() {
        let mut buffer = filled(ReadBuffer::CAPACITY);
        let place = buffer.unread().as_ptr();
        buffer.consume(usize::MAX);
        assert!(buffer.is_empty());
        assert_eq!(buffer.room().remaining_mut(), ReadBuffer::CAPACITY);
        buffer.room().put_u8(1);
        assert_eq!(buffer.unread().as_ptr(), place);
    }

    #[test]
    fn a_payload_is_shared_if_that_keeps_no_more_than_it_is_worth() {
        for (fill, payload_len, is_shared) in [
            (SHARE_FILL, SHARE_MIN, true),
            (SHARE_FILL - 1, SHARE_MIN, false),
            (SHARE_FILL, SHARE_MIN - 1, false),
        ] {
            let mut buffer = filled(fill);
            let place = buffer.unread().as_ptr();
            buffer.consume(payload_len);
            let payload = buffer.payload(payload_len);
            assert_eq!(payload, vec![7; payload_len]);
            assert_eq!(payload.as_ptr() == place, is_shared);
            assert_eq!(buffer.unread().len(), fill - payload_len);
        }
    }
}
