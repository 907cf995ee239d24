//! Behaviour tests, by topic, over real sockets: what hyper does with them is half of the matter.

#![allow(clippy::unwrap_used, missing_docs)]

mod agreed;
mod compression;
mod early;
mod failed_handshakes;
mod handlers;
mod http2;
mod http2_broken;
mod http2_client;
mod http2_closing;
mod http2_endings;
mod http2_floods;
mod http2_handshakes;
mod http2_lingering;
mod http2_stalled;
mod layers;
mod load;
mod raw_http2;
mod refusals;
mod requests;
mod shutdown;
mod spans;
mod support;
#[cfg(feature = "rustls")]
mod tls;
#[cfg(feature = "rustls")]
mod tunnel;
mod unmount;
mod upgrades;
