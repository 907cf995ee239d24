//! The rest of a piece that the program has not read.

use std::io;
use std::task::Poll;

use bytes::Buf as _;
use tokio::io::ReadBuf;

use crate::connection::driver::Held;
use crate::connection::receiver::Receiver;

/// The bytes of the last piece that are still to be read.
#[derive(Debug, Default)]
pub(crate) struct Rest(Held);

impl Rest {
    pub(crate) fn new(held: Held) -> Self {
        Self(held)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the bytes.
    pub(crate) fn bytes<'r>(&'r self, receiver: &'r Receiver) -> &'r [u8] {
        match &self.0 {
            Held::InBuffer(len) => receiver.piece(*len),
            Held::Owned(bytes) => bytes,
        }
    }

    /// Drops the first bytes, at most as many as there are.
    pub(crate) fn consume(&mut self, receiver: &mut Receiver, count: usize) {
        match &mut self.0 {
            Held::InBuffer(len) => {
                *len = len.saturating_sub(count);
                if *len == 0 {
                    receiver.release_piece();
                }
            }
            Held::Owned(bytes) => {
                bytes.advance(count.min(bytes.len()));
                if bytes.is_empty() {
                    self.0 = Held::default();
                    receiver.release_piece();
                }
            }
        }
    }

    /// Moves as many bytes as possible.
    pub(crate) fn read(
        &mut self,
        receiver: &mut Receiver,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = buffer.remaining().min(self.len());
        buffer.put_slice(&self.bytes(receiver)[..count]);
        self.consume(receiver, count);
        Poll::Ready(Ok(()))
    }
}
