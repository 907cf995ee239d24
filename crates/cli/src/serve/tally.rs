//! Counts what all connections have echoed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::quantity::in_words;

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
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = in_words(self.bytes.load(Ordering::Relaxed));
        write!(f, "{} echoed ({bytes})", count(self.messages.load(Ordering::Relaxed), "message"))
    }
}

/// `1 message`, `2 messages`.
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_not() {
        let tally = Tally::default();
        assert_eq!(tally.to_string(), "0 messages echoed (0 B)");
        tally.add(2048);
        assert_eq!(tally.to_string(), "1 message echoed (2 KiB)");
    }
}
