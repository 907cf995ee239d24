//! WebSocket for Rust, client and server, on tokio: the library in which what every production
//! user otherwise adds by hand is there already.
//!
//! A server:
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
//! A client:
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
//! # What holds for every connection
//!
//! Server or client, on any transport:
//!
//! - **Cancel safe.** Any future can be dropped at any time; nothing is lost, doubled, reordered or
//!   torn. What has begun to close, accept or reject goes on. Where there is more to say, as of
//!   [`ServerHandle::upgrade`], the method does.
//! - **Many senders.** [`Sender`] is `Clone + Send + Sync`. Messages never interleave; control
//!   frames slip in between the fragments of a long one.
//! - **Nothing stuck.** What was sent leaves at the latest when the sending task next yields.
//!   Replies to messages that came together leave together.
//! - **Backpressure.** Sending waits while too much is queued; a peer that stops reading costs a
//!   bounded amount of memory.
//! - **Alive or gone.** Keepalive pings, their grace period and the close timeout run although
//!   nobody receives or sends. A peer is never declared dead while its bytes lie unread.
//! - **Limits bound memory**, before anything is allocated, and while something inflates.
//! - **A close completes** and says who began, what was said, and why.
//! - **Safe by default**: pages of other origins are refused unless allowed, and forwarded
//!   addresses are believed only from trusted proxies.
//! - **Cheap at rest.** An idle connection holds no buffer.
//!
//! The client finds its way through what is in between: addresses that do not answer, [proxies](Proxy),
//! which the environment names by default, and [redirects](Client::follow_redirects) where it is told
//! to follow them.
//!
//! With the feature `deflate`, messages can be compressed (permessage-deflate, RFC 7692):
//! [`Config::compression`] takes a `Deflate`, which says what that costs.
//!
//! A connection knows the [path](Connection::path) that it was asked for by, and carries what the
//! program gives it to carry: its [data](Connection::data), such as who the user is.
//!
//! # What is public
//!
//! All of this crate's API is in its root, by name. What belongs to the protocol comes from the crate
//! `towline-proto` and is here under its own name, as far as a program on tokio has to do with it:
//! messages, close codes, the configuration, how a connection ends, and what handshakes are made of,
//! with the errors of their parts. The protocol's machinery, which a host other than tokio needs, is
//! in `towline-proto` alone. Adapters to HTTP libraries have nothing beyond this:
//! [`ServerHandle::upgrade`], [`Upgraded`], [`Mechanism`] and [`Protocol`] are for them.
//!
//! The crates [`http`] and [`bytes`], whose types are in the API, are re-exported.
//!
//! Where to go on: [`Server`], [`Request`], [`Client`], [`Connection`], [`Config`], [`Error`].

// In the order of dependence: a module uses only those above it.

mod error;

mod transport;

#[cfg(feature = "rustls")]
mod tls;

mod connection;

mod head;

mod server;

mod client;

/// The crate of the payloads' type, in the version that this one has.
pub use bytes;
pub use client::{Client, Proxy, Resolve};
pub use connection::{Connection, Event, Info, Receiver, Sender, WhenFull};
pub use error::{Blame, Error, ErrorKind, Result};
/// The crate of requests, headers and status codes, in the version that this one has.
pub use http;
pub use server::{
    Broadcasting, Connections, Delivery, Events, Request, Server, ServerBuilder, ServerEvent,
    ServerHandle, Shutdown, Upgraded,
};
#[cfg(feature = "rustls")]
pub use tls::{ClientAuth, Tls, TlsServer};
#[cfg(feature = "deflate")]
pub use towline_proto::Deflate;
pub use towline_proto::handshake::{
    Accept, AcceptError, CidrError, Cookie, CookieError, Extension, ExtensionError,
    ForwardedHeader, HandshakeError, HeadError, HeadLimits, HeaderError, Mechanism, Origin,
    OriginError, OriginList, OriginPolicy, Param, Protocol, Rejection, RequestError, SameSite,
    SetCookie, Subprotocol, SubprotocolError, TrustedProxies, Version,
};
pub use towline_proto::{
    CloseCause, CloseCode, CloseFrame, Closed, Compress, Compression, Config, Fault, Frame,
    Initiator, InvalidClose, InvalidUtf8, Keepalive, LimitExceeded, MalformedClose, Message,
    MessageRef, Negotiated, Opcode, Outgoing, Role, Rsv, Text, Violation,
};
pub use transport::{Io, TlsInfo, TlsStream};
