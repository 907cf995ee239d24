//! What bytes on the wire say.

use towline_proto::{CloseFrame, Header, Opcode};

/// A frame that an end has written, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its head.
    pub header: Header,
    /// Its payload, unmasked.
    pub payload: Vec<u8>,
}

/// All frames in `bytes`.
///
/// # Panics
///
/// Where the bytes are no frames, or the last one is not whole.
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
    /// The first frame of `bytes` and how many of them it takes, if it is whole.
    ///
    /// # Panics
    ///
    /// Where no frame can begin with these bytes.
    pub fn first_of(bytes: &[u8]) -> Option<(Self, usize)> {
        let (header, head_len) = Header::decode(bytes).expect("a well-formed frame")?;
        let payload_len = usize::try_from(header.payload_len).expect("a payload in memory");
        let len = head_len.checked_add(payload_len).expect("a frame in memory");
        let key = header.mask.unwrap_or_default();
        let masked = bytes.get(head_len..len)?;
        let payload = masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        Some((Self { header, payload: payload.collect() }, len))
    }

    /// What kind of frame it is.
    pub fn opcode(&self) -> Opcode {
        self.header.opcode
    }

    /// Whether it ends its message.
    pub fn is_fin(&self) -> bool {
        self.header.fin
    }

    /// The payload as text.
    ///
    /// # Panics
    ///
    /// Where it is none.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("text")
    }

    /// What a close frame says.
    ///
    /// # Panics
    ///
    /// Where this is not a close frame, or a malformed one.
    pub fn close(&self) -> CloseFrame {
        assert_eq!(self.opcode(), Opcode::Close, "{self:?}");
        CloseFrame::decode(&self.payload).expect("a well-formed close frame")
    }
}
