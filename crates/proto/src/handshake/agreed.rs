//! The result of a handshake.

use crate::compression::Negotiated;
use crate::handshake::extension::Extension;
use crate::handshake::subprotocol::Subprotocol;
use crate::handshake::version::Version;

/// The parameters that client and server agreed on; the same on both ends.
///
/// [`Opening`](crate::handshake::Opening) has an example of a client, and
/// [`Offer`](crate::handshake::Offer) of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// The subprotocol, in the client's spelling, or `None`.
    ///
    /// WebSocket-Node's `protocol` is its [`lower_case`](Subprotocol::lower_case).
    pub protocol: Option<Subprotocol>,
    /// The extensions in use, as the server's answer names them.
    pub extensions: Vec<Extension>,
    /// Compression, if it is among the extensions.
    pub compression: Option<Negotiated>,
    /// The protocol version.
    #[doc(alias = "webSocketVersion")]
    pub version: Version,
}
