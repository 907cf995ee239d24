//! Frames of HTTP/2 (RFC 9113), byte by byte, valid or not. There is no I/O here.

/// The type of a frame with bytes of a stream (section 6.1).
pub const DATA: u8 = 0;
/// The type of a frame that opens or answers a request (section 6.2).
pub const HEADERS: u8 = 1;
/// The type of a frame that ends a stream at once (section 6.4).
pub const RST_STREAM: u8 = 3;
/// The type of a frame with settings, or their acknowledgement (section 6.5).
pub const SETTINGS: u8 = 4;
/// The type of a ping and of its acknowledgement (section 6.7).
pub const PING: u8 = 6;
/// The type of a frame that ends the connection (section 6.8).
pub const GOAWAY: u8 = 7;
/// The type of a frame that opens a window (section 6.9).
pub const WINDOW_UPDATE: u8 = 8;
/// The type of a frame with the rest of the headers (section 6.10).
pub const CONTINUATION: u8 = 9;

/// The flag of the last frame of a stream, of DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// The flag of an acknowledgement, of SETTINGS and PING.
pub const ACK: u8 = 1;
/// The flag of the last frame of a block of headers.
pub const END_HEADERS: u8 = 4;

/// The setting for how many streams the peer may open (section 6.5.2).
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
/// The setting for the window of each stream (section 6.5.2).
pub const INITIAL_WINDOW_SIZE: u16 = 4;
/// The setting that allows extended CONNECT (RFC 8441, section 3).
pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// The error code for broken rules (section 7).
pub const PROTOCOL_ERROR: u32 = 1;
/// The error code for a stream that is not needed any more (section 7).
pub const CANCEL: u32 = 8;
/// The error code for too much of something (section 7).
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// What a client sends first (section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's head.
pub const HEAD: usize = 9;

/// A frame that was received.
#[derive(Debug)]
pub struct Frame {
    /// The type.
    pub kind: u8,
    /// The flags.
    pub flags: u8,
    /// The stream, or 0 for the connection.
    pub stream: u32,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Parses the head of a frame. Its payload, which is to be read next, is zeros.
    #[must_use]
    pub fn of_head(head: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Self { kind, flags, stream: u32::from_be_bytes(stream), payload: vec![0; length] }
    }

    /// The error code of a RST_STREAM or a GOAWAY.
    #[must_use]
    pub fn error_code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let bytes = self.payload[at..].first_chunk().expect("an error code has 32 bits");
        u32::from_be_bytes(*bytes)
    }

    /// The debug data of a GOAWAY.
    #[must_use]
    pub fn debug_data(&self) -> &str {
        std::str::from_utf8(&self.payload[8..]).expect("the debug data is text")
    }
}

/// Returns the bytes of a frame.
///
/// ```
/// use towline_kit::http2::{END_STREAM, DATA, frame};
///
/// assert_eq!(frame(DATA, END_STREAM, 1, b"hi"), b"\0\0\x02\0\x01\0\0\0\x01hi");
/// ```
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length =
        u32::try_from(payload.len()).expect("a payload has less than 16 MiB").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Returns a block of headers for HPACK, each of them literal, without indexing, with a new name (RFC
/// 7541, section 6.2.2).
#[must_use]
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for string in [name, value] {
            let length = u8::try_from(string.len()).ok().filter(|length| *length < 127);
            bytes.push(length.expect("names and values are short"));
            bytes.extend(string.as_bytes());
        }
    }
    bytes
}
