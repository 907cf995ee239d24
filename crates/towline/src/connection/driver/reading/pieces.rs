//! Receiving messages in pieces, as they arrive.

use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use towline_proto::{Incoming, MessageKind, Piece};

use crate::connection::driver::reading::Reader;
use crate::connection::shared::Shared;
use crate::connection::writer::Receiving;

/// A received piece of a message.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) kind: MessageKind,
    pub(crate) is_last: bool,
    pub(crate) held: Held,
}

/// Where the bytes of a piece are.
#[derive(Debug)]
pub(crate) enum Held {
    /// The bytes of the receive buffer that were consumed last.
    InBuffer(usize),
    /// Inflated bytes, and the beginning of a message that was assembled.
    Owned(Bytes),
}

impl Default for Held {
    fn default() -> Self {
        Self::InBuffer(0)
    }
}

impl Held {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::InBuffer(len) => *len,
            Self::Owned(bytes) => bytes.len(),
        }
    }
}

impl From<Piece<'_>> for Arrived {
    fn from(piece: Piece<'_>) -> Self {
        let held = match piece.payload {
            Cow::Borrowed(bytes) => Held::InBuffer(bytes.len()),
            Cow::Owned(bytes) => Held::Owned(bytes.into()),
        };
        Self { kind: piece.kind, is_last: piece.is_last, held }
    }
}

impl Reader {
    /// Receives the next piece of a message, or `None` when receiving is over. What is
    /// [in the buffer](Self::piece) is there until the next call that receives.
    pub(crate) fn poll_piece(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Arrived>> {
        self.lent = None;
        loop {
            ready!(self.poll_budget(shared, cx));
            match self.inbound.poll_piece(&mut self.received.input()) {
                Incoming::Piece(piece) => {
                    let arrived = Arrived::from(piece);
                    if self.throttle.is_some() {
                        self.is_piecewise = !arrived.is_last;
                        if arrived.is_last && !self.admit_message(shared) {
                            return Poll::Ready(None);
                        }
                    }
                    self.count_work();
                    self.work.add_message(arrived.held.len());
                    self.look_after_answers(shared);
                    self.note_position(shared);
                    return Poll::Ready(Some(arrived));
                }
                Incoming::More => ready!(self.poll_read(shared, cx)),
                Incoming::Skipped => self.count_work(),
                other => {
                    self.has_answered = true;
                    let other = other.into_owned();
                    drop(shared.handle_incoming(other, self.inbound.take_counts()));
                    self.count_work();
                    self.end_if_over(shared);
                }
            }
            if self.is_over {
                return Poll::Ready(None);
            }
        }
    }

    /// Returns the bytes at the end of the piece that is in the buffer.
    pub(crate) fn piece(&self, len: usize) -> &[u8] {
        self.received.consumed(len)
    }

    /// Releases the buffer if the piece that has been taken was the last that is in it.
    pub(crate) fn release_piece(&mut self) {
        if self.received.is_empty() {
            self.received.release();
        }
    }

    /// Drops the rest of a message of which a piece was received. It counts as others do: returns
    /// `false` if it is one too many, and receiving is over.
    pub(crate) fn skip_message(&mut self, shared: &Arc<Shared>) -> bool {
        self.inbound.skip_message();
        self.release_piece();
        self.admit_skipped(shared)
    }

    /// Counts a message whose rest is dropped, unless it was counted.
    pub(super) fn admit_skipped(&mut self, shared: &Arc<Shared>) -> bool {
        !std::mem::take(&mut self.is_piecewise) || self.admit_message(shared)
    }

    /// Notes that the program has got an item, possibly in the middle of a frame.
    pub(super) fn note_position(&mut self, shared: &Arc<Shared>) {
        if self.inbound.is_between_frames() {
            return self.note_handed_out(shared);
        }
        let is_empty = self.received.is_empty();
        self.is_position_known |= !is_empty;
        if !is_empty {
            self.count_buffer(shared);
        }
        let position = if is_empty { Receiving::MidFrame } else { Receiving::HasMore };
        shared.heard.set_position(position);
    }
}
