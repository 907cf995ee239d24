//! The encoded bytes, and their buffer.

use std::io::IoSlice;

use bytes::Buf;

use crate::outbound::Outbound;
use crate::outbound::encoding::AHEAD;

impl Outbound {
    /// Lends an empty buffer to encode into, so that many connections can share one in turn.
    /// [`reclaim_buffer`](Self::reclaim_buffer) returns it.
    pub fn lend_buffer(&mut self, buffer: Vec<u8>) {
        if self.encoded.capacity() == 0 {
            debug_assert!(buffer.is_empty());
            self.encoded = buffer;
        }
    }

    /// Returns whether there is a buffer to encode into.
    #[inline]
    pub fn has_buffer(&self) -> bool {
        self.encoded.capacity() > 0
    }

    /// Returns the buffer, if it is empty.
    pub fn reclaim_buffer(&mut self) -> Option<Vec<u8>> {
        (self.has_buffer() && self.is_empty()).then(|| std::mem::take(&mut self.encoded))
    }

    /// Drops written bytes, which would pile up if the queue is never empty.
    fn forget_written(&mut self) {
        if !self.has_remaining() {
            self.encoded.clear();
            self.written = 0;
            self.set_boundary(0);
            self.drop_idle_backlog();
        } else if self.written >= AHEAD && self.written >= self.encoded.len() / 2 {
            self.move_boundary();
            self.encoded.drain(..self.written);
            if let Some(backlog) = &mut self.backlog {
                backlog.shift(self.written);
            }
            self.written = 0;
        }
    }
}

/// The encoded bytes, in order.
impl Buf for Outbound {
    #[inline]
    fn remaining(&self) -> usize {
        let lent = self.backlog.as_ref().map_or(0, |backlog| backlog.lent_len());
        self.encoded.len() - self.written + lent
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        match &self.backlog {
            Some(backlog) => backlog.chunk(&self.encoded, self.written),
            None => &self.encoded[self.written..],
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match (&self.backlog, slices) {
            (_, []) => 0,
            (Some(backlog), slices) => backlog.chunks(&self.encoded, self.written, slices),
            (None, [first, ..]) => {
                *first = IoSlice::new(&self.encoded[self.written..]);
                usize::from(!first.is_empty())
            }
        }
    }

    fn advance(&mut self, count: usize) {
        let len = self.encoded.len();
        self.written = match &mut self.backlog {
            Some(backlog) => {
                let (written, boundary) = backlog.advance(count, self.written, len);
                if let Some(boundary) = boundary {
                    self.set_boundary(boundary);
                }
                written
            }
            None => {
                assert!(count <= len - self.written, "advanced past the end by {count} bytes");
                self.written + count
            }
        };
        self.written_ever += count as u64;
        self.forget_written();
    }
}
