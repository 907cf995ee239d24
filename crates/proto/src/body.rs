//! What has come of a message, or of a frame where those are handed out.

/// Nothing, or a buffer that ends with the message.
#[derive(Debug, Default)]
pub(crate) enum Body {
    #[default]
    None,
    Text(String),
    Bytes(Vec<u8>),
}

impl Body {
    /// Its length and its capacity.
    pub(crate) fn extent(&self) -> (usize, usize) {
        match self {
            Self::None => (0, 0),
            Self::Text(text) => (text.len(), text.capacity()),
            Self::Bytes(bytes) => (bytes.len(), bytes.capacity()),
        }
    }

    /// Makes room for `additional` bytes, and for `factor` times as many as there are, so that a
    /// body which grows in pieces is not copied for each of them; but for no more than `most` in
    /// all.
    pub(crate) fn grow(&mut self, additional: usize, factor: usize, most: usize) {
        let (len, capacity) = self.extent();
        if additional <= capacity - len {
            return;
        }
        let lever = len.saturating_mul(factor).min(most).saturating_sub(len);
        let more = additional.max(lever);
        match self {
            Self::None => {}
            Self::Text(text) => text.reserve_exact(more),
            Self::Bytes(bytes) => bytes.reserve_exact(more),
        }
    }
}
