//! The window: the last bytes of earlier messages, to which later ones may refer.

/// The widest window: 32 KiB.
pub(super) const MAX_BITS: u8 = 15;

/// The narrowest window that the engine supports. RFC 7692 allows 8 too.
pub(super) const MIN_BITS: u8 = 9;

/// The last bytes of earlier messages, at most as many as fit in the window.
#[derive(Debug, Default)]
pub(super) struct Window(Vec<u8>);

impl Window {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends bytes to a window of this width.
    pub(super) fn push(&mut self, said: &[u8], bits: u8) {
        let size = 1 << bits;
        if said.len() >= size {
            self.0.clear();
        }
        let said = &said[said.len().saturating_sub(size)..];
        let excess = (self.0.len() + said.len()).saturating_sub(size);
        self.0.drain(..excess);
        let missing = (self.0.len() + said.len()).saturating_sub(self.0.capacity());
        if missing > 0 {
            // Doubling would allocate more than a window, for the lifetime of the connection.
            let wanted = (self.0.capacity() * 2).clamp(self.0.len() + said.len(), size);
            self.0.reserve_exact(wanted - self.0.len());
        }
        self.0.extend_from_slice(said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_is_the_end_of_what_was_said_and_takes_no_more(
            said in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..12),
        ) {
            let mut window = Window::default();
            let mut all = Vec::new();
            for piece in said {
                window.push(&piece, MIN_BITS);
                all.extend(piece);
                prop_assert_eq!(window.as_slice(), &all[all.len().saturating_sub(512)..]);
                prop_assert!(window.0.capacity() <= 512, "{} bytes", window.0.capacity());
            }
        }
    }
}
