//! The 2 to 14 bytes before a frame's payload.

use crate::wire::opcode::Opcode;

/// The longest header: two bytes, an eight-byte length and a masking key.
pub const MAX_HEADER_LEN: usize = 14;

/// The header of a frame ([RFC 6455, section 5.2]).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-------+-+-------------+-------------------------------+
/// |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
/// |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
/// |N|V|V|V|       |S|             |   (if payload len==126/127)   |
/// | |1|2|3|       |K|             |                               |
/// +-+-+-+-+-------+-+-------------+-------------------------------+
/// ```
///
/// [RFC 6455, section 5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// The reserved bits RSV1, RSV2 and RSV3, which only negotiated extensions use.
    pub rsv: Rsv,
    /// The opcode.
    pub opcode: Opcode,
    /// The masking key: present in frames from a client, absent in those from a server.
    pub mask: Option<[u8; 4]>,
    /// The payload's length in bytes.
    pub payload_len: u64,
}

/// The three reserved bits of a frame's first byte.
///
/// [`Header`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Rsv(u8);

impl Rsv {
    /// No reserved bit is set.
    pub const NONE: Self = Self(0);
    /// RSV1, which permessage-deflate uses.
    pub const RSV1: Self = Self(0x40);
    /// RSV2.
    pub const RSV2: Self = Self(0x20);
    /// RSV3.
    pub const RSV3: Self = Self(0x10);

    /// Returns the bits set in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the bits that are set here and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the bits at their position in a frame's first byte (mask `0x70`).
    pub fn bits(self) -> u8 {
        self.0
    }
}

/// The error for bytes that are never a valid frame header, whichever end sent them.
///
/// [`Header`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// An opcode that RFC 6455 reserves.
    ReservedOpcode(u8),
    /// "The minimal number of bytes MUST be used to encode the length": this one used more.
    NonMinimalLength(u64),
    /// A length of 2^63 or more: "the most significant bit MUST be 0".
    LengthTooLarge(u64),
}

impl Header {
    /// Parses a header at the beginning of `bytes`.
    ///
    /// Returns the header and its length in bytes, or `None` if `bytes` ends within the header.
    /// Errors are returned as soon as the offending byte is there.
    ///
    /// ```
    /// use towline_proto::{Header, Opcode};
    ///
    /// let text = [0x81, 2, b'H', b'i'];
    /// let Ok(Some((header, len))) = Header::decode(&text) else { panic!("a whole header") };
    /// assert!(header.fin && header.opcode == Opcode::Text && header.mask.is_none());
    /// assert_eq!((header.payload_len, &text[len..]), (2, &b"Hi"[..]));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Malformed`] if no frame can begin with these bytes.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let &[first, second, ref rest @ ..] = bytes else {
            return match bytes.first() {
                Some(first) => decode_opcode(*first).map(|_| None),
                None => Ok(None),
            };
        };
        let opcode = decode_opcode(first)?;
        let Some((payload_len, len_bytes)) = decode_length(second & 0x7F, rest)? else {
            return Ok(None);
        };
        let mut header_len = 2 + len_bytes;
        let mask = if second & 0x80 != 0 {
            let Some(key) = rest[len_bytes..].first_chunk::<4>() else { return Ok(None) };
            header_len += 4;
            Some(*key)
        } else {
            None
        };
        let header =
            Self { fin: first & 0x80 != 0, rsv: Rsv(first & 0x70), opcode, mask, payload_len };
        Ok(Some((header, header_len)))
    }

    /// Appends the header to `out`.
    #[inline(always)]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let first = (u8::from(self.fin) << 7) | self.rsv.0 | self.opcode.bits();
        let mask_bit = u8::from(self.mask.is_some()) << 7;
        let [a, b, c, d, e, f, g, h] = self.payload_len.to_be_bytes();
        match self.payload_len {
            0..=125 => out.extend_from_slice(&[first, mask_bit | h]),
            126..=0xFFFF => out.extend_from_slice(&[first, mask_bit | 126, g, h]),
            _ => out.extend_from_slice(&[first, mask_bit | 127, a, b, c, d, e, f, g, h]),
        }
        if let Some(key) = self.mask {
            out.extend_from_slice(&key);
        }
    }
}

fn decode_opcode(first: u8) -> Result<Opcode, Malformed> {
    let bits = first & 0x0F;
    Opcode::from_bits(bits).ok_or(Malformed::ReservedOpcode(bits))
}

/// Returns the payload's length, and the number of bytes after the first two that it took.
#[inline]
pub(crate) fn decode_length(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    match short {
        126 => {
            let Some(bytes) = rest.first_chunk::<2>() else { return Ok(None) };
            let len = u64::from(u16::from_be_bytes(*bytes));
            if len < 126 { Err(Malformed::NonMinimalLength(len)) } else { Ok(Some((len, 2))) }
        }
        127 => {
            let Some(bytes) = rest.first_chunk::<8>() else { return Ok(None) };
            let len = u64::from_be_bytes(*bytes);
            if len >> 63 != 0 {
                Err(Malformed::LengthTooLarge(len))
            } else if len <= 0xFFFF {
                Err(Malformed::NonMinimalLength(len))
            } else {
                Ok(Some((len, 8)))
            }
        }
        len => Ok(Some((u64::from(len), 0))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn round_trip(header: Header) {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        let len = bytes.len();
        assert!(len <= MAX_HEADER_LEN);
        assert_eq!(Header::decode(&bytes).unwrap(), Some((header, len)));
        for short in 0..len {
            assert_eq!(Header::decode(&bytes[..short]).unwrap(), None, "{short} of {len} bytes");
        }
    }

    proptest! {
        #[test]
        fn a_header_reads_back_as_it_was_written(
            fin: bool,
            rsv in 0u8..8,
            opcode in prop::sample::select(vec![0u8, 1, 2, 8, 9, 10]),
            mask: Option<[u8; 4]>,
            payload_len in prop_oneof![0u64..200, 65_000u64..66_000, 0..1u64 << 63],
        ) {
            let opcode = Opcode::from_bits(opcode).unwrap();
            round_trip(Header { fin, rsv: Rsv(rsv << 4), opcode, mask, payload_len });
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = Header::decode(&bytes);
        }
    }

    #[test]
    fn lengths_that_are_not_minimal_are_refused() {
        assert_eq!(Header::decode(&[0x82, 126, 0, 125]), Err(Malformed::NonMinimalLength(125)));
        assert!(Header::decode(&[0x82, 126, 0, 126]).unwrap().is_some());
        let mut long = [0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];
        assert_eq!(Header::decode(&long), Err(Malformed::NonMinimalLength(0xFFFF)));
        long[7] = 1;
        assert!(Header::decode(&long).unwrap().is_some());
    }

    #[test]
    fn lengths_of_64_bits_are_refused() {
        let mut bytes = [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Header::decode(&bytes), Err(Malformed::LengthTooLarge(1 << 63)));
        bytes[2..].fill(0xFF);
        assert_eq!(Header::decode(&bytes), Err(Malformed::LengthTooLarge(u64::MAX)));
    }

    #[test]
    fn a_reserved_opcode_is_refused_at_the_first_byte() {
        for bits in (3..=7).chain(11..=15) {
            assert_eq!(Header::decode(&[0x80 | bits]), Err(Malformed::ReservedOpcode(bits)));
        }
    }
}
