//! The opcode of a frame.

use std::fmt;

/// The opcode of a frame: its type ([RFC 6455, section 5.2]).
///
/// `Display` writes the RFC's name in lower case: `text`, `ping`.
///
/// [RFC 6455, section 5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
///
/// ```
/// use towline_proto::Opcode;
///
/// assert_eq!(Opcode::from_bits(0x9), Some(Opcode::Ping));
/// assert!(Opcode::Ping.is_control());
/// assert_eq!(Opcode::from_bits(0x3), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message that a text or binary frame began.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// A close frame: its sender sends nothing after it.
    Close = 0x8,
    /// A ping: asks the peer for a pong.
    Ping = 0x9,
    /// A pong: the answer to a ping, or unsolicited.
    Pong = 0xA,
}

impl Opcode {
    /// Returns the opcode with this number, or `None` for the reserved ones (3 to 7, 11 to 15) and
    /// for numbers above 15.
    pub fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Returns the number on the wire.
    pub fn bits(self) -> u8 {
        self as u8
    }

    /// Returns the opcode of the first frame of a message.
    #[inline(always)]
    pub(crate) fn of_message(is_text: bool) -> Self {
        if is_text { Self::Text } else { Self::Binary }
    }

    /// Returns whether this is a control frame: close, ping or pong. Control frames are never
    /// fragmented and carry at most [`MAX_CONTROL_PAYLOAD`] bytes.
    pub fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Continuation => "continuation",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
        })
    }
}

/// The most bytes that a ping, a pong or a close frame can carry ([RFC 6455, section 5.5]).
///
/// [RFC 6455, section 5.5]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5
pub const MAX_CONTROL_PAYLOAD: usize = 125;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opcode_is_its_number_and_the_rest_is_reserved() {
        let known: Vec<u8> = (0..=255).filter(|bits| Opcode::from_bits(*bits).is_some()).collect();
        assert_eq!(known, [0, 1, 2, 8, 9, 10]);
        for bits in known {
            let opcode = Opcode::from_bits(bits).expect("known");
            assert_eq!(opcode.bits(), bits);
            assert_eq!(opcode.is_control(), bits >= 8);
            assert_eq!(opcode.to_string(), format!("{opcode:?}").to_lowercase());
        }
        assert_eq!(format!("{:>6}", Opcode::Ping), "  ping");
    }
}
