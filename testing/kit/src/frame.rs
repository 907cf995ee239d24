//! The bytes of any frame, valid or not.

use towline_proto::{CloseCode, Opcode, Role};

/// Builds a frame, by default an empty, binary, final and unmasked one.
///
/// Nothing is checked, so that invalid frames can be built too:
///
/// ```
/// use towline_kit::frame;
///
/// assert_eq!(frame().text("hi").bytes(), [0x81, 2, b'h', b'i']);
/// assert_eq!(frame().ping("").fin(false).rsv(0b100).bytes(), [0x49, 0]);
/// assert_eq!(frame().text("hi").masked([0, 0, 0, 1]).bytes()[1], 0x82);
/// assert_eq!(frame().binary([7]).length_as(126).bytes(), [0x82, 126, 0, 1, 7]);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct FrameBytes {
    fin: bool,
    rsv: u8,
    opcode: u8,
    key: Option<[u8; 4]>,
    payload: Vec<u8>,
    announced: Option<u64>,
    length_as: Option<u8>,
}

/// Starts building a frame.
pub fn frame() -> FrameBytes {
    FrameBytes {
        fin: true,
        rsv: 0,
        opcode: Opcode::Binary.bits(),
        key: None,
        payload: Vec::new(),
        announced: None,
        length_as: None,
    }
}

/// Returns the bytes of frames, one after the other.
pub fn join(frames: impl IntoIterator<Item = FrameBytes>) -> Vec<u8> {
    frames.into_iter().flat_map(|frame| frame.bytes()).collect()
}

impl FrameBytes {
    /// Makes it a text frame. The payload need not be UTF-8.
    pub fn text(self, payload: impl AsRef<[u8]>) -> Self {
        self.opcode(Opcode::Text.bits()).payload(payload)
    }

    /// Makes it a binary frame.
    pub fn binary(self, payload: impl AsRef<[u8]>) -> Self {
        self.opcode(Opcode::Binary.bits()).payload(payload)
    }

    /// Makes it a continuation frame.
    pub fn continuation(self, payload: impl AsRef<[u8]>) -> Self {
        self.opcode(Opcode::Continuation.bits()).payload(payload)
    }

    /// Makes it a ping.
    pub fn ping(self, payload: impl AsRef<[u8]>) -> Self {
        self.opcode(Opcode::Ping.bits()).payload(payload)
    }

    /// Makes it a pong.
    pub fn pong(self, payload: impl AsRef<[u8]>) -> Self {
        self.opcode(Opcode::Pong.bits()).payload(payload)
    }

    /// Makes it a close frame with any code and reason.
    pub fn close(self, code: impl Into<CloseCode>, reason: impl AsRef<[u8]>) -> Self {
        let code = code.into().get().to_be_bytes();
        self.close_with([&code, reason.as_ref()].concat())
    }

    /// Makes it a close frame with any payload.
    pub fn close_with(self, payload: impl AsRef<[u8]>) -> Self {
        self.opcode(Opcode::Close.bits()).payload(payload)
    }

    /// Sets the opcode, 0 to 15.
    pub fn opcode(mut self, bits: u8) -> Self {
        self.opcode = bits;
        self
    }

    /// Sets the payload, before masking.
    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = payload.as_ref().to_vec();
        self
    }

    /// Sets whether the frame ends its message.
    pub fn fin(mut self, fin: bool) -> Self {
        self.fin = fin;
        self
    }

    /// Sets the reserved bits: `0b100` is RSV1.
    pub fn rsv(mut self, bits: u8) -> Self {
        self.rsv = bits;
        self
    }

    /// Masks the frame with this key.
    pub fn masked(mut self, key: [u8; 4]) -> Self {
        self.key = Some(key);
        self
    }

    /// Masks the frame if this role masks its frames.
    pub fn by(self, sender: Role) -> Self {
        if sender.masks() { self.masked([0x37, 0xFA, 0x21, 0x3D]) } else { self }
    }

    /// Writes this length in the header, whatever the length of the payload is.
    pub fn announcing(mut self, len: u64) -> Self {
        self.announced = Some(len);
        self
    }

    /// Writes the length in the form that begins with 126 (two bytes) or 127 (eight bytes), even if
    /// a shorter form would do.
    pub fn length_as(mut self, form: u8) -> Self {
        self.length_as = Some(form);
        self
    }

    /// Returns the bytes of the header only.
    pub fn head(&self) -> Vec<u8> {
        let len = self.announced.unwrap_or(self.payload.len() as u64);
        let form = self.length_as.unwrap_or(match len {
            0..=125 => 125,
            126..=0xFFFF => 126,
            _ => 127,
        });
        let mask_bit = u8::from(self.key.is_some()) << 7;
        let long = len.to_be_bytes();
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        match form {
            127 => bytes.extend([&[mask_bit | 127], &long[..]].concat()),
            126 => bytes.extend([&[mask_bit | 126], &long[6..]].concat()),
            _ => bytes.push(mask_bit | long[7]),
        }
        bytes.extend(self.key.iter().flatten());
        bytes
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        let key = self.key.unwrap_or_default();
        bytes.extend(self.payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }
}
