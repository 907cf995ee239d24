//! Frames parsed from bytes on the wire.

use towline_proto::{CloseFrame, Header, Opcode};

/// A frame written by an end, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The header.
    pub header: Header,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

/// Returns all frames in `bytes`.
///
/// # Panics
///
/// Panics if the bytes are not frames, or the last frame is incomplete.
pub fn hear(mut bytes: &[u8]) -> Vec<Heard> {
    let mut all = Vec::new();
    while let Some((heard, len)) = Heard::first_of(bytes) {
        all.push(heard);
        bytes = &bytes[len..];
    }
    assert!(bytes.is_empty(), "the beginning of a frame at the end: {bytes:02x?}");
    all
}

impl Heard {
    /// Returns the first frame of `bytes` and its length in bytes, if it is complete.
    ///
    /// # Panics
    ///
    /// Panics if no frame can begin with these bytes.
    pub fn first_of(bytes: &[u8]) -> Option<(Self, usize)> {
        let (header, head_len) = Header::decode(bytes).expect("a well-formed frame")?;
        let payload_len = usize::try_from(header.payload_len).expect("a payload in memory");
        let len = head_len.checked_add(payload_len).expect("a frame in memory");
        let key = header.mask.unwrap_or_default();
        let masked = bytes.get(head_len..len)?;
        let payload = masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        Some((Self { header, payload: payload.collect() }, len))
    }

    /// Returns the opcode.
    pub fn opcode(&self) -> Opcode {
        self.header.opcode
    }

    /// Returns whether the frame ends its message.
    pub fn is_fin(&self) -> bool {
        self.header.fin
    }

    /// Returns the payload as text.
    ///
    /// # Panics
    ///
    /// Panics if the payload is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("text")
    }

    /// Returns the code and the reason of a close frame.
    ///
    /// # Panics
    ///
    /// Panics if this is not a close frame, or a malformed one.
    pub fn close(&self) -> CloseFrame {
        assert_eq!(self.opcode(), Opcode::Close, "{self:?}");
        CloseFrame::decode(&self.payload).expect("a well-formed close frame")
    }
}
