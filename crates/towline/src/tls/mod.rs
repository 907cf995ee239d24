//! TLS, by rustls.
//!
//! ```text
//!   Tls ──────▶ handshake ──▶ Stream { Session } ──▶ AnyStream::Duplex ──▶ the two halves
//!   TlsServer ─────┘
//! ```

mod diagnosis;

mod pem;

mod files;

mod provider;

mod roots;

mod verifier;

mod explain;

mod session;

mod scratch;

mod under;

mod live;

mod stream;

mod asked;

mod handshake;

mod client;

mod server;

pub use client::Tls;
pub use server::{ClientAuth, TlsServer};
