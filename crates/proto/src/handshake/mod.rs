//! The opening handshake (RFC 6455, section 4), without I/O, for both roles.
//!
//! ```text
//!            client                                        server
//!  Connect ── open(uri) ──▶ Opening                parse_request(bytes)
//!                            │ request()                   │
//!                            ├──── encode_request ────▶ Offer::from_request ──▶ Rejection
//!                            │                             │                       │
//!  parse_response(bytes) ◀── encode_response ───── offer.accept(Accept, policy)    │
//!       │                    │                             │                       │
//!  opening.verify(response) ◀┴─────────── encode_response ◀────────────────────────┘
//!       │                                                  │
//!     Agreed                                            Agreed
//! ```
//!
//! Two HTTP mechanisms carry it ([`Mechanism`]): the `Upgrade` of HTTP/1.1, and the extended
//! CONNECT of HTTP/2 and HTTP/3 (RFC 8441, RFC 9220). Only the first needs the functions that parse
//! and encode HTTP heads, such as [`parse_request`] and [`encode_response`]. For the second, an
//! HTTP library does that and hands over `http::Request` and `http::Response`.
//!
//! A handshake over HTTP/1.1, with both ends in one process:
//!
//! ```
//! use towline_proto::handshake::*;
//!
//! let opening = Connect::new().protocols(["chat.v2"]).open(&"ws://example.com/feed".parse()?)?;
//! let mut wire = Vec::new();
//! encode_request(opening.request(), &mut wire);
//!
//! let (request, _) = parse_request(&wire, &HeadLimits::default())?.expect("a whole head");
//! let offer = Offer::from_request(&request)?;
//! let accept = Accept::new().protocol("chat.v2");
//! let (response, _) = offer.accept(&accept, &OriginPolicy::SameOrigin)?;
//! wire.clear();
//! encode_response(&response, &mut wire);
//!
//! let (response, _) = parse_response(&wire, &HeadLimits::default())?.expect("a whole head");
//! let agreed = opening.verify(&response)?;
//! assert_eq!(agreed.protocol.unwrap().as_str(), "chat.v2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// In order of dependency: a module uses only modules listed above it.
pub(crate) mod excerpt;
pub(crate) mod token;

pub(crate) mod header;

pub(crate) mod authority;
pub(crate) mod cookie;
pub(crate) mod credentials;
pub(crate) mod extension;
pub(crate) mod extra_headers;
pub(crate) mod forwarded;
pub(crate) mod key;
pub(crate) mod mechanism;
pub(crate) mod subprotocol;
pub(crate) mod version;

pub(crate) mod agreed;
pub(crate) mod origin;
pub(crate) mod rejection;

pub(crate) mod head;

pub(crate) mod accept;
pub(crate) mod reading;
pub(crate) mod server;

pub(crate) mod target;

pub(crate) mod connect;

pub(crate) mod verifying;

pub(crate) mod client;

pub use accept::{Accept, AcceptError};
pub use agreed::Agreed;
pub use client::Opening;
pub use connect::{Connect, RequestError};
pub use cookie::{Cookie, CookieError, SameSite, SetCookie, parse_cookies};
pub use credentials::Credentials;
pub use extension::{Extension, ExtensionError, Param, parse_extension_list, parse_extensions};
pub use extra_headers::HeaderError;
pub use forwarded::{CidrError, ForwardedHeader, TrustedProxies};
pub use head::{
    HeadError, HeadLimits, encode_request, encode_response, parse_request, parse_response,
    read_head,
};
pub use key::{Key, KeyError};
pub use mechanism::{Mechanism, Protocol};
pub use origin::{Origin, OriginError, OriginList, OriginPolicy};
pub use rejection::Rejection;
pub use server::Offer;
pub use subprotocol::{Subprotocol, SubprotocolError, parse_subprotocols};
pub use target::Target;
pub use verifying::{Handshake, HandshakeError};
pub use version::Version;
