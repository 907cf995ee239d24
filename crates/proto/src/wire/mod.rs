//! The encoding of single frames ([RFC 6455, section 5]).
//!
//! This module sees one frame at a time. `inbound` checks whether a frame is allowed after the
//! previous one, and its size.
//!
//! [RFC 6455, section 5]: https://www.rfc-editor.org/rfc/rfc6455#section-5

pub mod opcode;

pub mod header;

pub mod close;

pub mod mask;

pub mod frame;
