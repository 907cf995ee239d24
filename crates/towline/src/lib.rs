//! WebSocket clients and servers (RFC 6455) on tokio, ready for production.
//!
//! Keepalive, backpressure, memory limits, cancel safety, sending from many tasks and a complete
//! close are built in and on by default. Client and server connections are the same type,
//! [`Connection`].
//!
//! # A server
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> towline::Result<()> {
//! let mut server = towline::Server::bind("127.0.0.1:9001").await?;
//! while let Some(request) = server.next_request().await {
//!     tokio::spawn(async move {
//!         let mut connection = request.accept().await?;
//!         while let Some(message) = connection.recv().await? {
//!             connection.send(message).await?;
//!         }
//!         towline::Result::Ok(())
//!     });
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Inspect each [`Request`] before accepting or rejecting it: path, headers, cookies, subprotocols.
//! A [`ServerHandle`] broadcasts, reports events and shuts the server down, from any task.
//!
//! # A client
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> towline::Result<()> {
//! let mut connection = towline::Client::new().connect("ws://127.0.0.1:9001/").await?;
//! connection.send("ship ahoy").await?;
//! println!("{:?}", connection.recv().await?);
//! connection.close(towline::CloseCode::NORMAL, "bye").await?;
//! # Ok(())
//! # }
//! ```
//!
//! The client tries all addresses of a host, uses the [proxy](Proxy) that the environment names, and
//! follows [redirects](Client::follow_redirects) if you allow it.
//!
//! # What is built in
//!
//! These hold for every connection, client or server, on any transport:
//!
//! - **Cancel safety.** Any future can be dropped at any time: no message is lost, duplicated,
//!   reordered or torn. Closing, accepting and rejecting continue in the background once begun. The
//!   few exceptions, such as [`ServerHandle::upgrade`], are documented.
//! - **Many senders.** [`Sender`] is `Clone + Send + Sync`. Messages never interleave; control frames
//!   are sent between the fragments of a long message.
//! - **No flush.** A sent message leaves at the latest when the sending task next yields. Replies to
//!   messages that arrived together leave together.
//! - **Backpressure.** Sending waits while too much is queued. A peer that stops reading costs a
//!   bounded amount of memory.
//! - **Keepalive.** Pings, their grace period and the close timeout run even if the program neither
//!   sends nor receives. A peer is never declared dead while its bytes are unread.
//! - **Memory limits.** Limits are checked before memory is allocated, and while a compressed message
//!   inflates.
//! - **A complete close.** [`Closed`] says which end began, the code, the reason, and the cause.
//! - **Safe defaults.** Servers refuse pages of other origins unless allowed, and trust forwarded
//!   addresses only from known proxies.
//! - **Small at rest.** An idle connection holds no buffer.
//!
//! # Where to go on
//!
//! - [`Server`], [`ServerBuilder`] and [`Request`]: listen, accept, reject, broadcast, shut down.
//! - [`Client`] and [`Proxy`]: connect, through whatever is in between. [`Reconnecting`]: connect again
//!   when a connection is lost.
//! - [`topics`]: what one says to many, in chat rooms and feeds.
//! - [`Connection`] and [`Sender`]: send, receive, close. A connection also carries the
//!   [path](Connection::path) it was requested by and [data](Connection::data) of the program, such as
//!   the user.
//! - [`ByteStream`]: a connection as `AsyncRead` and `AsyncWrite`, for tunnels. [`MessageReader`] and
//!   [`MessageWriter`]: one message that is too large to be held in memory.
//! - [`Config`]: limits, keepalive, timeouts, queues, compression.
//! - [`Error`] and [`ErrorKind`]: what can fail, and [which end](Blame) is to blame.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `tls` | `wss://` clients, and servers that speak TLS |
//! | `deflate` | compression (permessage-deflate, RFC 7692), for [`Config::compression`] |
//! | `idn` | host names that are not ASCII, in a client's URLs |
//! | `http2` | clients over HTTP/2 (RFC 8441): `Client::http_version` |
//! | `rustls`, `ring`, `aws-lc-rs`, `platform-verifier`, `webpki-roots` | the parts of `tls`, to choose from |
//! | `rustls-0_23` | rustls's own types in the API |
//!
//! # Other crates
//!
//! `towline-axum` is an extractor for axum. `towline-hyper` mounts a server on hyper or tower, and
//! has a function for handlers of all frameworks on hyper. Adapters to other HTTP libraries use
//! [`ServerHandle::request`], [`ServerHandle::upgrade`], [`Upgraded`], [`Mechanism`] and
//! [`Protocol`]. HTTP clients use [`Connect`], [`Opening`] and [`Connection::from_agreed`]. `towline-proto` is the
//! protocol without I/O, for other runtimes; the types of it that programs on tokio need are
//! re-exported here, as are the crates [`http`] and [`bytes`].

// In order of dependence: a module uses only those above it.

mod error;

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
    Broadcasting, Connections, Delivery, Events, Measurement, Measurements, Request, Responding,
    Server, ServerBuilder, ServerEvent, ServerHandle, ServerStats, Shutdown, Upgraded,
};
// For the adapters to HTTP libraries, which log what clients can cause. Not a part of the API.
#[doc(hidden)]
pub use server::{LeftOut, Seldom};
#[cfg(feature = "rustls")]
pub use tls::{ClientAuth, Tls, TlsServer};
#[cfg(feature = "deflate")]
pub use towline_proto::Deflate;
pub use towline_proto::handshake::{
    Accept, AcceptError, Agreed, CidrError, Connect, Cookie, CookieError, Extension,
    ExtensionError, ForwardedHeader, HandshakeError, HeadError, HeadLimits, HeaderError, Mechanism,
    Opening, Origin, OriginError, OriginList, OriginPolicy, Param, Protocol, Rejection,
    RequestError, SameSite, SetCookie, Subprotocol, SubprotocolError, Target, TrustedProxies,
    Version,
};
pub use towline_proto::{
    CloseCause, CloseCode, CloseFrame, Closed, Compress, Compression, Config, Fault, Frame,
    Initiator, InvalidClose, InvalidUtf8, Keepalive, LimitExceeded, MalformedClose, Message,
    MessageKind, MessageRef, Negotiated, NotText, Opcode, Outgoing, Role, RoundTrip, Rsv, Stats,
    Text, Traffic, Violation,
};
pub use transport::{Io, TlsInfo, TlsStream};
