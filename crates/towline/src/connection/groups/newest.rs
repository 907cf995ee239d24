//! Broadcasts to all connections that found the queue full.

use std::collections::VecDeque;

use towline_proto::Outgoing;

/// Broadcasts that wait for room, in order. Without any, it is a null pointer.
#[derive(Default)]
pub(crate) struct Newest(Option<Box<Broadcasts>>);

#[derive(Default)]
struct Broadcasts {
    all: VecDeque<Outgoing<'static>>,
    /// The payload of all of them.
    bytes: usize,
}

impl Newest {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |broadcasts| broadcasts.bytes)
    }

    pub(crate) fn push(&mut self, newest: Outgoing<'static>) {
        let broadcasts = self.0.get_or_insert_default();
        broadcasts.bytes += newest.len();
        broadcasts.all.push_back(newest);
    }

    /// Takes the oldest one.
    pub(crate) fn pop(&mut self) -> Option<Outgoing<'static>> {
        let broadcasts = self.0.as_mut()?;
        let oldest = broadcasts.all.pop_front();
        broadcasts.bytes -= oldest.as_ref().map_or(0, Outgoing::len);
        if broadcasts.all.is_empty() {
            self.0 = None;
        }
        oldest
    }

    /// Drops the oldest ones, but for so many.
    pub(crate) fn truncate(&mut self, most: usize) {
        while self.0.as_ref().is_some_and(|broadcasts| broadcasts.all.len() > most) {
            drop(self.pop());
        }
    }
}
