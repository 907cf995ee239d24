//! permessage-deflate ([RFC 7692]): negotiation, deflater, inflater.
//!
//! ```text
//!   Deflate ──▶ negotiation ──▶ Negotiated ─┬─▶ Deflater ◀─┐
//!                                           └─▶ Inflater ◀─┴─ pool of the thread
//! ```
//!
//! What takes memory belongs to the thread, and a connection has it only while it is in the middle
//! of a message. What a connection keeps between two messages is, where context takeover was agreed
//! on, the end of what was said; [`Deflate`] gives the bytes.
//!
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
//! [`Deflate`]: crate::deflate::settings::Deflate

// In the order of dependence: a module uses only those above it.
mod window;

mod pool;

mod deflater;

mod inflater;

mod negotiation;

mod settings;

pub use settings::Deflate;
