//! Counts what all connections have done.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::quantity::{counted, in_words};

/// Counts messages and their bytes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// Counts a message of this length.
    pub(crate) fn add(&self, length: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
    }

    /// `2 messages echoed (10 B)`, with this word.
    pub(crate) fn in_words(&self, done: &str) -> String {
        format!("{} {done} ({})", counted(self.messages(), "message"), self.size())
    }

    /// How many messages were counted.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// The bytes, for people.
    pub(crate) fn size(&self) -> String {
        in_words(self.bytes.load(Ordering::Relaxed))
    }
}

/// `4 delivered, 1 skipped`: of messages to several connections.
pub(crate) fn delivered(delivered: u64, skipped: u64) -> String {
    match skipped {
        0 => format!("{delivered} delivered"),
        skipped => format!("{delivered} delivered, {skipped} skipped"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told_in_words() {
        let tally = Tally::default();
        assert_eq!(tally.in_words("echoed"), "0 messages echoed (0 B)");
        tally.add(2048);
        assert_eq!(tally.in_words("echoed"), "1 message echoed (2 KiB)");
        assert_eq!(
            (delivered(4, 0), delivered(4, 1)),
            ("4 delivered".into(), "4 delivered, 1 skipped".into())
        );
    }
}
