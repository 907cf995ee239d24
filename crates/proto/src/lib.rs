#![doc = include_str!("../README.md")]
//!
//! # The parts
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
//! - [`Inbound::poll`] returns everything that is received: a message, a control frame, a fault, or
//!   a request to read more. [`Inbound::poll_piece`] returns a message in pieces as it arrives.
//! - [`Connection`] is one end of a connection. [`Inbound`] and [`Session`] are its two parts, for
//!   hosts that split receiving from sending.
//! - [`ReadBuffer`] is a buffer to read into, for hosts without their own.
//! - [`handshake`] is the opening handshake of both ends.
//! - [`Fault`] is an error of the peer. Input from a peer never panics.

#![cfg_attr(docsrs, feature(doc_cfg))]

// In order of dependency: a module uses only modules listed above it.

mod glimpse;

mod nanos;

mod role;

mod compression;

mod config;

mod stats;

pub mod wire;

pub mod text;

mod message;

mod piece;

mod fault;

mod incoming;

mod read_buffer;

mod body;

mod whole;

mod inbound;

mod ahead;

mod refused;

mod broadcast;

mod burst;

mod outgoing;

mod outbound;

mod closing;

mod keepalive;

mod round_trip;

mod stall;

mod session;

mod connection;

pub mod handshake;

#[cfg(feature = "deflate")]
mod deflate;

#[cfg(test)]
mod testing;

pub use ahead::{ends_with_frame, latest_ping};
pub use broadcast::Broadcast;
pub use burst::Burst;
pub use closing::{CloseCause, Closed, Initiator, TransportFate};
pub use compression::{Compress, Compression, Negotiated};
pub use config::{Config, Keepalive};
pub use connection::Connection;
#[cfg(feature = "deflate")]
pub use deflate::Deflate;
pub use fault::{Fault, LimitExceeded, Violation};
pub use inbound::Inbound;
pub use incoming::{Incoming, Input};
pub use message::{Message, MessageKind, MessageRef, NotText};
pub use outbound::{Mark, Outbound};
pub use outgoing::Outgoing;
pub use piece::Piece;
pub use read_buffer::ReadBuffer;
pub use refused::{Refused, SendError};
pub use role::Role;
pub use session::Session;
pub use stats::{Counts, RoundTrip, Stats, Traffic};
pub use text::{InvalidUtf8, Text, Utf8Validator};
pub use wire::close::{CloseCode, CloseFrame, InvalidClose, MalformedClose};
pub use wire::frame::Frame;
pub use wire::header::{Header, Rsv};
pub use wire::opcode::Opcode;
