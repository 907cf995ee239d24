// The README's links lead to docs.rs. The first definition of a link counts, so here they lead to the
// items, and rustdoc checks them.
//! [`Accept`]: Accept
//! [`ByteStream`]: ByteStream
//! [`Client`]: Client
//! [`Closed`]: Closed
//! [`Config`]: Config
//! [`Connection`]: Connection
//! [`Error`]: Error
//! [`ErrorKind`]: ErrorKind
//! [`Message`]: Message
//! [`MessageReader`]: MessageReader
//! [`MessageWriter`]: MessageWriter
//! [`Proxy`]: Proxy
//! [`Receiver`]: Receiver
//! [`Reconnecting`]: Reconnecting
//! [`Request`]: Request
//! [`Sender`]: Sender
//! [`Server`]: Server
//! [`ServerBuilder`]: ServerBuilder
//! [`ServerHandle`]: ServerHandle
//! [`topics`]: mod@topics
#![doc = include_str!("../README.md")]
//!
//! # Adapters
//!
//! Adapters to HTTP libraries use [`ServerHandle::respond`], [`ServerHandle::request`],
//! [`ServerHandle::upgrade`], [`Upgraded`], [`Mechanism`] and [`Protocol`]. HTTP clients use [`Connect`],
//! [`Opening`], [`Handshake`] and [`Connection::from_agreed`].

#![cfg_attr(docsrs, feature(doc_cfg))]

// In order of dependence: a module uses only those above it.

mod error;

mod questions;

mod transient;

mod transport;

#[cfg(feature = "rustls")]
mod tls;

mod connection;

mod head;

pub mod topics;

pub mod relaying;

mod server;

mod client;

/// The crate of the payload type, in the version that this API uses.
pub use bytes;
#[cfg(feature = "http2")]
pub use client::HttpVersion;
pub use client::{
    Attempt, Backoff, Client, Dial, DialError, Ending, Proxy, ReconnectEvent, ReconnectEvents,
    ReconnectHandle, Reconnecting, Resolve, Retry,
};
pub use connection::{
    ByteReader, ByteStream, ByteWriter, Connection, Event, Info, MessageReader, MessageWriter,
    Rate, Receiver, Sender, WhenFull, WhenTooFast,
};
pub use error::{Blame, Error, ErrorKind, Result};
/// The crate of requests, headers and status codes, in the version that this API uses.
pub use http;
pub use server::{
    Broadcasting, Connections, Delivery, Events, Measurement, Measurements, Outcome, Quota,
    QuotaStats, Quotas, Request, Responding, Server, ServerBuilder, ServerEvent, ServerHandle,
    ServerStats, Shutdown, Upgraded,
};
// For the adapters to HTTP libraries, which accept connections, and log what clients can cause. Not a part
// of the API.
#[doc(hidden)]
pub use server::{LeftOut, Seldom, accept_one, log_outcome};
#[cfg(feature = "rustls")]
pub use tls::{ClientAuth, Tls, TlsServer};
#[cfg(feature = "deflate")]
pub use towline_proto::Deflate;
pub use towline_proto::handshake::{
    Accept, AcceptError, Agreed, CidrError, Connect, Cookie, CookieError, Extension,
    ExtensionError, ForwardedHeader, Handshake, HandshakeError, HeadError, HeadLimits, HeaderError,
    Mechanism, Opening, Origin, OriginError, OriginList, OriginPolicy, Param, Protocol, Rejection,
    RequestError, SameSite, SetCookie, Subprotocol, SubprotocolError, Target, TrustedProxies,
    Version,
};
pub use towline_proto::{
    CloseCause, CloseCode, CloseFrame, Closed, Compress, Compression, Config, Fault, Frame,
    Initiator, InvalidClose, InvalidUtf8, Keepalive, LimitExceeded, MalformedClose, Message,
    MessageKind, MessageRef, Negotiated, NotText, Opcode, Outgoing, Role, RoundTrip, Rsv, Stats,
    Text, Traffic, Violation,
};
// For the adapter to hyper, which serves HTTP/2. Not a part of the API.
#[doc(hidden)]
pub use transport::{Broken, ReadOn};
pub use transport::{Io, TlsInfo, TlsStream, Transport};
