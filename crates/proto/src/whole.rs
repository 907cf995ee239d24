//! A message in a single frame that is complete in the input: the common case.

use crate::incoming::Input;
use crate::role::Role;
use crate::wire::header::{Header, MAX_HEADER_LEN, decode_length};
use crate::wire::mask;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};

const FIN: u8 = 0x80;
const TEXT: u8 = FIN | Opcode::Text as u8;
const BINARY: u8 = FIN | Opcode::Binary as u8;
const PING: u8 = FIN | Opcode::Ping as u8;

/// The position of such a message.
#[derive(Debug)]
pub(crate) struct WholeMessage {
    payload_len: usize,
    header_len: u8,
    mask: Option<[u8; 4]>,
    pub(crate) is_text: bool,
}

impl WholeMessage {
    /// Finds a message at the beginning of `input`, of at most this length, that an end with this
    /// role may receive.
    ///
    /// Every message takes this path, so it does only the minimum: [`Header::decode`] handles
    /// everything else.
    #[inline]
    pub(crate) fn find(input: &[u8], role: Role, most: usize) -> Option<Self> {
        let &[first, second, ref rest @ ..] = input else { return None };
        if first != TEXT && first != BINARY {
            return None;
        }
        let is_masked = role == Role::Server;
        // With a wrong mask bit, this is not a length of seven bits.
        let short = second ^ (u8::from(is_masked) << 7);
        if short > 0x7F {
            return None;
        }
        let (payload_len, len_bytes) = decode_length(short, rest).ok()??;
        let payload_len = usize::try_from(payload_len).ok()?;
        let (mask, header_len) = if is_masked {
            (Some(*rest.get(len_bytes..)?.first_chunk::<4>()?), 6 + len_bytes)
        } else {
            (None, 2 + len_bytes)
        };
        let is_there = payload_len <= most.min(input.len() - header_len);
        let header_len = u8::try_from(header_len).ok()?;
        is_there.then_some(Self { payload_len, header_len, mask, is_text: first == TEXT })
    }

    /// Takes the payload out of the input in which it was found.
    #[inline]
    pub(crate) fn take<'b>(&self, input: &mut Input<'b>) -> &'b mut [u8] {
        input.take(usize::from(self.header_len));
        let payload = input.take(self.payload_len);
        if let Some(key) = self.mask {
            mask::apply(key, 0, payload);
        }
        payload
    }
}

/// Returns whether `input` begins with a complete ping that an end with this role may receive.
#[inline]
pub(crate) fn is_ping(input: &[u8], role: Role) -> bool {
    let &[PING, second, ref rest @ ..] = input else { return false };
    let (is_masked, key_len) = if role == Role::Server { (0x80, 4) } else { (0, 0) };
    let len = usize::from(second ^ is_masked);
    len <= MAX_CONTROL_PAYLOAD && rest.len() >= key_len + len
}

/// Returns the length of the frame at the beginning of `input`, including its header, if the frame
/// is incomplete. For an incomplete header, returns the longest length of a header.
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
