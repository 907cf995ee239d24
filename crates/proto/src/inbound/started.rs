//! A header that arrives in pieces.

use crate::fault::Fault;
use crate::incoming::Input;
use crate::wire::header::{Header, MAX_HEADER_LEN};

/// The first bytes of an incomplete header.
#[derive(Debug, Default)]
pub(super) struct StartedHeader {
    bytes: [u8; MAX_HEADER_LEN],
    len: u8,
}

impl StartedHeader {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the next header, once it is complete.
    #[inline]
    pub(super) fn complete(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, Fault> {
        if self.len == 0
            && let Some((header, header_len)) = Header::decode(input.as_slice())?
        {
            input.take(header_len);
            return Ok(Some(header));
        }
        while let [byte] = input.take(1) {
            self.bytes[usize::from(self.len)] = *byte;
            self.len += 1;
            if let Some((header, _)) = Header::decode(&self.bytes[..usize::from(self.len)])? {
                self.len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }
}
