//! Marks in the queue, to wait until everything before them is written.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use bytes::Buf as _;

use crate::outbound::Outbound;
use crate::outbound::backlog::{Backlog, Waiting};

/// A position in the queue, see [`Outbound::mark`].
///
/// [`Connection`](crate::connection::Connection) has an example of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(NonZeroU64);

/// The position of a mark.
enum Place {
    /// After this many bytes, counted since the connection began.
    Byte(u64),
    /// After an entry of the backlog, which knows the mark while it is there.
    Waiting(u32),
    /// After the close frame, which is the last.
    Close,
}

impl Mark {
    /// Half of the numbers are for bytes: more than can be written in a thousand years.
    const WAITING: u64 = 1 << 63;
    const CLOSE: u64 = u64::MAX - 1;

    fn of(place: Place) -> Self {
        let number = match place {
            Place::Byte(end) => end & !Self::WAITING,
            Place::Waiting(mark) => Self::WAITING | u64::from(mark),
            Place::Close => Self::CLOSE,
        };
        Self(NonZeroU64::MIN.saturating_add(number))
    }

    fn place(self) -> Place {
        let number = self.0.get() - 1;
        if number == Self::CLOSE {
            return Place::Close;
        }
        if number & Self::WAITING == 0 {
            return Place::Byte(number);
        }
        Place::Waiting(u32::try_from(number & !Self::WAITING).unwrap_or(u32::MAX))
    }
}

impl Outbound {
    /// Returns a mark after everything that is queued now.
    ///
    /// Bytes that are queued later do not count, although some, such as a pong, may be written
    /// first.
    pub fn mark(&mut self) -> Mark {
        // Something was dropped before it, so that it is never written, but the close frame ends
        // the wait for it.
        if self.has_lost {
            return Mark::of(Place::Close);
        }
        if self.backlog.as_ref().is_some_and(|backlog| backlog.close.is_some()) {
            return Mark::of(Place::Close);
        }
        if !self.backlog.as_ref().is_some_and(|backlog| backlog.has_unframed()) {
            return Mark::of(Place::Byte(self.encoded_ever()));
        }
        self.marks = self.marks.wrapping_add(1);
        let mark = self.marks;
        self.backlog().mark(mark);
        Mark::of(Place::Waiting(mark))
    }

    /// Returns a mark after everything that is queued now and does not wait for an unfinished
    /// message made of frames: after the last frame of that message.
    pub fn mark_before_frame(&mut self) -> Mark {
        if !self.is_message_unfinished() {
            return self.mark();
        }
        if !self.backlog().has_waiting() {
            return Mark::of(Place::Byte(self.encoded_ever()));
        }
        self.marks = self.marks.wrapping_add(1);
        let mark = self.marks;
        self.backlog().mark_before_held(mark);
        Mark::of(Place::Waiting(mark))
    }

    /// Records that the transport holds back no written bytes.
    #[inline]
    pub fn handle_flushed(&mut self) {
        self.flushed_ever = self.written_ever;
        if let Some(backlog) = &mut self.backlog {
            backlog.reach_marks(self.flushed_ever);
            self.drop_idle_backlog();
        }
    }

    /// Returns whether everything before the mark has been written and
    /// [flushed](Self::handle_flushed), or was dropped.
    pub fn has_reached(&self, mark: Mark) -> bool {
        match mark.place() {
            Place::Byte(end) => self.flushed_ever >= end,
            Place::Close => {
                let waits = self.backlog.as_ref().is_some_and(|backlog| backlog.close.is_some());
                !waits && !self.has_remaining() && self.flushed_ever == self.written_ever
            }
            Place::Waiting(mark) => {
                !self.backlog.as_ref().is_some_and(|backlog| backlog.is_ahead(mark))
            }
        }
    }

    /// Returns whether everything before the mark has been written and
    /// [flushed](Self::handle_flushed). Unlike [`has_reached`](Self::has_reached), returns `false` if
    /// something before it was dropped: with the transport, or by a close.
    pub fn is_written(&self, mark: Mark) -> bool {
        let is_lost = match mark.place() {
            Place::Byte(_) => false,
            Place::Waiting(mark) => {
                self.backlog.as_ref().is_some_and(|backlog| backlog.is_lost(mark))
            }
            Place::Close => self.has_lost,
        };
        !is_lost && self.has_reached(mark)
    }

    /// Records that entries are dropped.
    pub(super) fn lose(&mut self, dropped: &VecDeque<Waiting>) {
        self.has_lost |= !dropped.is_empty();
        self.backlog().lose(dropped.iter().filter_map(|waiting| waiting.mark));
    }

    /// Records that everything is dropped. Returns the marks after it, and those lost before.
    pub(super) fn lose_all(&mut self) -> Vec<u32> {
        let lost = self.backlog.as_deref().map(Backlog::unreached).unwrap_or_default();
        // What is queued may have no length.
        let is_held = self.backlog.as_deref().is_some_and(Backlog::has_unframed);
        self.has_lost |= !self.is_empty() || is_held || !lost.is_empty();
        lost
    }

    /// Returns how many bytes were ever encoded, written or not.
    fn encoded_ever(&self) -> u64 {
        self.written_ever + self.remaining() as u64
    }

    /// Moves marks before all waiting entries to their byte position.
    pub(super) fn pass_marks(&mut self) {
        if self.backlog().may_begin_with_mark() {
            let (end, flushed) = (self.encoded_ever(), self.flushed_ever);
            self.backlog().pass_marks(end, flushed);
        }
    }
}
