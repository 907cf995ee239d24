//! What can be told of bytes in front of which a message may begin, without consuming them.

use crate::role::Role;
use crate::wire::header::{Header, MAX_HEADER_LEN, Rsv};
use crate::wire::opcode::Opcode;

/// A message in a single frame, all of which is there.
pub(crate) struct WholeMessage {
    pub(crate) header_len: usize,
    pub(crate) payload_len: usize,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) is_text: bool,
}

impl WholeMessage {
    /// The one in front of `input`, if there is one of at most this length that the end with this
    /// role may receive.
    #[inline]
    pub(crate) fn find(input: &[u8], role: Role, most: usize) -> Option<Self> {
        let (header, header_len) = Header::decode(input).ok()??;
        let is_message = header.fin
            && header.rsv == Rsv::NONE
            && matches!(header.opcode, Opcode::Text | Opcode::Binary)
            && header.mask.is_some() == (role == Role::Server);
        let payload_len = usize::try_from(header.payload_len).ok()?;
        let is_there = payload_len <= most.min(input.len() - header_len);
        (is_message && is_there).then_some(Self {
            header_len,
            payload_len,
            mask: header.mask,
            is_text: header.opcode == Opcode::Text,
        })
    }
}

/// How long the frame in front of `input` is, header included, if it goes on after `input`. As long
/// as the header does, the longest that one can be.
pub(crate) fn unfinished(input: &[u8]) -> Option<usize> {
    match Header::decode(input) {
        Ok(Some((header, header_len))) => usize::try_from(header.payload_len)
            .ok()
            .and_then(|payload_len| payload_len.checked_add(header_len))
            .filter(|frame_len| *frame_len > input.len()),
        Ok(None) => Some(MAX_HEADER_LEN),
        Err(_) => None,
    }
}
