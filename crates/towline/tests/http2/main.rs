//! WebSockets over HTTP/2 (RFC 8441), as a client, against servers that behave and servers that do
//! not.

#![allow(clippy::unwrap_used, missing_docs)]

mod settings;

mod handshakes;

mod endings;

mod windows;

mod sharing;

mod failing;

mod broken;

mod parting;

mod abandoned;

mod ways;

#[cfg(feature = "tls")]
mod tls;

mod raw;
mod server;
mod support;
