//! A frame whole, for programs that want frames.

use std::fmt;

use bytes::Bytes;

use crate::glimpse;
use crate::wire::header::Rsv;
use crate::wire::opcode::Opcode;

/// A frame, for programs that want frames rather than messages.
///
/// Received as an event where `assemble_fragments` is off; made by hand for `send_frame`.
///
/// `Debug` shows the payload's length and its first 32 bytes.
///
/// ```
/// use towline_proto::Frame;
///
/// let first = Frame::text("Hel").fin(false);
/// let last = Frame::continuation("lo");
/// assert!(!first.is_fin() && last.is_fin());
/// assert_eq!(&first.payload()[..], b"Hel");
/// ```
#[doc(alias = "WebSocketFrame")]
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    fin: bool,
    rsv: Rsv,
    opcode: Opcode,
    masked: bool,
    payload: Bytes,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("fin", &self.fin)
            .field("rsv", &self.rsv)
            .field("opcode", &self.opcode)
            .field("masked", &self.masked)
            .field("payload", &glimpse::Bytes(&self.payload))
            .finish()
    }
}

impl Frame {
    /// A frame that ends its message, with no reserved bit set.
    #[doc(alias = "binaryPayload")]
    pub fn new(opcode: Opcode, payload: impl Into<Bytes>) -> Self {
        Self { fin: true, rsv: Rsv::NONE, opcode, masked: false, payload: payload.into() }
    }

    /// A text frame. A fragment may end in the middle of a character, hence bytes: the whole
    /// message has to be UTF-8, and the peer checks it.
    pub fn text(payload: impl Into<Bytes>) -> Self {
        Self::new(Opcode::Text, payload)
    }

    /// A binary frame.
    pub fn binary(payload: impl Into<Bytes>) -> Self {
        Self::new(Opcode::Binary, payload)
    }

    /// A further fragment of a message.
    pub fn continuation(payload: impl Into<Bytes>) -> Self {
        Self::new(Opcode::Continuation, payload)
    }

    /// Sets whether this frame ends its message; it does by default.
    #[must_use]
    pub fn fin(mut self, fin: bool) -> Self {
        self.fin = fin;
        self
    }

    /// Sets the reserved bits. A peer that has negotiated no extension fails the connection for
    /// any of them.
    #[doc(alias("rsv1", "rsv2", "rsv3"))]
    #[must_use]
    pub fn rsv(mut self, rsv: Rsv) -> Self {
        self.rsv = rsv;
        self
    }

    /// A received frame, which knows whether it was masked.
    pub(crate) fn masked(mut self, masked: bool) -> Self {
        self.masked = masked;
        self
    }

    /// Whether this frame ends its message.
    pub fn is_fin(&self) -> bool {
        self.fin
    }

    /// The reserved bits.
    pub fn reserved_bits(&self) -> Rsv {
        self.rsv
    }

    /// The kind of frame.
    pub fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// Whether a received frame was masked. Of a frame that is sent the role decides: a client
    /// masks, a server does not.
    #[doc(alias = "mask")]
    pub fn is_masked(&self) -> bool {
        self.masked
    }

    /// The payload, unmasked.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The payload, unmasked, without the frame.
    pub fn into_payload(self) -> Bytes {
        self.payload
    }

    /// The payload's length in bytes.
    #[doc(alias = "length")]
    pub fn len(&self) -> usize {
        self.payload.len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }
}
