//! permessage-deflate ([RFC 7692]): negotiation, deflater, inflater.
//!
//! ```text
//!   Deflate ──▶ negotiation ──▶ Negotiated ─┬─▶ Deflater ◀─┐
//!                                           └─▶ Inflater ◀─┴─ pool of the thread
//! ```
//!
//! Deflaters and inflaters belong to the thread; a connection borrows them while a message is in
//! progress. Between messages, a connection with context takeover keeps only the window;
//! [`Deflate`] gives the sizes.
//!
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
//! [`Deflate`]: crate::deflate::settings::Deflate

// In order of dependency: a module uses only modules listed above it.
mod window;

mod pool;

mod deflater;

mod inflater;

mod negotiation;

mod settings;

pub use settings::Deflate;
