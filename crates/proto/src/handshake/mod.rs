//! The opening handshake (RFC 6455, section 4), without I/O, for both roles.

// In the order of dependence: a module uses only modules named above it.
pub(crate) mod excerpt;
pub(crate) mod token;
pub(crate) mod header;
pub(crate) mod authority;
pub(crate) mod cookie;
pub(crate) mod extension;
pub(crate) mod extra_headers;
pub(crate) mod forwarded;
pub(crate) mod key;
pub(crate) mod subprotocol;
pub(crate) mod transport;
pub(crate) mod version;
pub(crate) mod agreed;
pub(crate) mod origin;
pub(crate) mod rejection;
pub(crate) mod head;
pub(crate) mod accept;
pub(crate) mod reading;
pub(crate) mod server;

pub use accept::{Accept, AcceptError};
pub use agreed::Agreed;
pub use cookie::{Cookie, CookieError, SameSite, SetCookie, parse_cookies};
pub use extension::{Extension, ExtensionError, Param, parse_extensions};
pub use extra_headers::HeaderError;
pub use forwarded::{CidrError, ForwardedHeader, TrustedProxies};
pub use head::{
    HeadError, HeadLimits, encode_request, encode_response, parse_request, parse_response,
};
pub use key::{Key, KeyError};
pub use origin::{Origin, OriginError, OriginList, OriginPolicy};
pub use rejection::Rejection;
pub use server::Offer;
pub use subprotocol::{Subprotocol, SubprotocolError, parse_subprotocols};
pub use transport::{Protocol, Transport};
pub use version::Version;
