//! Frames as bytes, without history ([RFC 6455, section 5]).
//!
//! What is here looks at one frame alone. Whether a frame may follow the one before it, and
//! whether its size is allowed, is for `inbound`.
//!
//! [RFC 6455, section 5]: https://www.rfc-editor.org/rfc/rfc6455#section-5

pub mod opcode;

pub mod header;

pub mod close;

pub mod mask;

pub mod frame;
