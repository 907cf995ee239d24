//! The WebSocket protocol ([RFC 6455]) without I/O: bytes and the time in, messages and bytes out.
//!
//! There is no socket here, no clock, no thread and no async runtime. A host feeds it what it
//! reads, writes what it says, and calls it back at the time it names. [`towline`] is such a host,
//! on tokio; use that unless you are writing another.
//!
//! ```text
//!            read              poll
//!      socket ───▶ Input ─▶ Inbound ─▶ Incoming ─▶ program         socket
//!        ▲                                │  │        │               ▲
//!        └──────────── more ──────────────┘  │   send, close          │ write
//!                                   ping, close,      │               │
//!                                       fault         │               │
//!                                            ▼        ▼               │
//!                      Session: [closing] [keepalive] [outbound] ─────┘
//!                         ▲                     │
//!                 clock ──┘ handle_timeout      └─▶ poll_timeout, poll_transport
//! ```
//!
//! - All that comes in comes of one call, [`Inbound::poll`]: a message, a control frame, a fault, or
//!   the word that more is to be read.
//! - [`Connection`] is one end, whole. [`Inbound`] and [`Session`] are its two parts, for a host
//!   that splits receiving from sending, or tells the session later.
//! - [`ReadBuffer`] is what to read into, for a host that has no buffers of its own.
//!   `examples/blocking.rs` is all of a client and a server on sockets that block.
//! - [`handshake`] is what comes before: the opening handshake of both ends.
//! - What a peer does wrong is a [`Fault`]. It never panics and is never blamed on the caller.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
//! [`towline`]: https://docs.rs/towline

// In the order of dependence: a module uses only those above it.

mod glimpse;

pub mod role;

pub mod compression;

pub mod config;

pub mod wire;

pub mod text;

pub mod message;

pub mod fault;

pub mod incoming;

pub mod read_buffer;

mod body;

mod whole;

pub mod inbound;

mod ahead;

pub mod refused;

pub mod broadcast;

pub mod outgoing;

pub mod outbound;

pub mod closing;

pub mod keepalive;

mod stall;

pub mod session;

pub mod connection;

pub mod handshake;

#[cfg(feature = "deflate")]
pub mod deflate;

#[cfg(test)]
mod testing;

pub use ahead::{ends_with_frame, latest_ping};
pub use broadcast::Broadcast;
pub use closing::{CloseCause, Closed, Initiator, TransportFate};
pub use compression::{Compress, Compression, Negotiated};
pub use config::{Config, Keepalive};
pub use connection::Connection;
#[cfg(feature = "deflate")]
pub use deflate::Deflate;
pub use fault::{Fault, LimitExceeded, Violation};
pub use inbound::Inbound;
pub use incoming::{Incoming, Input};
pub use message::{Message, MessageRef};
pub use outbound::{Mark, Outbound};
pub use outgoing::Outgoing;
pub use read_buffer::ReadBuffer;
pub use refused::{Refused, SendError};
pub use role::Role;
pub use session::Session;
pub use text::{InvalidUtf8, Text, Utf8Validator};
pub use wire::close::{CloseCode, CloseFrame, InvalidClose, MalformedClose};
pub use wire::frame::Frame;
pub use wire::header::{Header, Rsv};
pub use wire::opcode::Opcode;
