//! A complete frame, for programs that use frames.

use std::fmt;

use bytes::Bytes;

use crate::glimpse;
use crate::wire::header::Rsv;
use crate::wire::opcode::Opcode;

/// A frame, for programs that use frames rather than messages.
///
/// Received if `assemble_fragments` is off; sent with `send_frame`.
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
    /// Creates a frame that ends its message, without reserved bits.
    #[doc(alias = "binaryPayload")]
    pub fn new(opcode: Opcode, payload: impl Into<Bytes>) -> Self {
        Self { fin: true, rsv: Rsv::NONE, opcode, masked: false, payload: payload.into() }
    }

    /// Creates a text frame. Takes bytes, because a fragment may end within a character. The whole
    /// message must be UTF-8; the peer checks it.
    pub fn text(payload: impl Into<Bytes>) -> Self {
        Self::new(Opcode::Text, payload)
    }

    /// Creates a binary frame.
    pub fn binary(payload: impl Into<Bytes>) -> Self {
        Self::new(Opcode::Binary, payload)
    }

    /// Creates a further fragment of a message.
    pub fn continuation(payload: impl Into<Bytes>) -> Self {
        Self::new(Opcode::Continuation, payload)
    }

    /// Sets whether this frame ends its message. Default: yes.
    #[must_use]
    pub fn fin(mut self, fin: bool) -> Self {
        self.fin = fin;
        self
    }

    /// Sets the reserved bits. A peer that has not negotiated an extension fails the connection if
    /// any is set.
    #[doc(alias("rsv1", "rsv2", "rsv3"))]
    #[must_use]
    pub fn rsv(mut self, rsv: Rsv) -> Self {
        self.rsv = rsv;
        self
    }

    /// Sets whether a received frame was masked.
    pub(crate) fn masked(mut self, masked: bool) -> Self {
        self.masked = masked;
        self
    }

    /// Returns whether this frame ends its message.
    pub fn is_fin(&self) -> bool {
        self.fin
    }

    /// Returns the reserved bits.
    pub fn reserved_bits(&self) -> Rsv {
        self.rsv
    }

    /// Returns the opcode.
    pub fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// Returns whether a received frame was masked. For sent frames, the role decides: a client
    /// masks, a server does not.
    #[doc(alias = "mask")]
    pub fn is_masked(&self) -> bool {
        self.masked
    }

    /// Returns the payload, unmasked.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Converts the frame into its unmasked payload.
    pub fn into_payload(self) -> Bytes {
        self.payload
    }

    /// Returns the payload's length in bytes.
    #[doc(alias = "length")]
    pub fn len(&self) -> usize {
        self.payload.len()
    }

    /// Returns whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }
}
