//! What the opening handshake agreed on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use towline_proto::handshake::{Extension, Version};
use towline_proto::{Negotiated, Role};

use crate::transport::TlsInfo;

/// What the opening handshake agreed on, and who the peer is. It does not change.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Info {
    /// Which connection this is: no two of this process have the same number.
    pub id: u64,
    /// Which end this is.
    pub role: Role,
    /// The subprotocol, if one was agreed on, as it stands in the handshake: a server names it in
    /// the client's spelling, whatever that of [`Accept::protocol`] was. So compare it with
    /// [`eq_ignore_ascii_case`](str::eq_ignore_ascii_case). (WebSocket-Node has it in lower case.)
    ///
    /// [`Accept::protocol`]: towline_proto::handshake::Accept::protocol
    pub protocol: Option<String>,
    /// Compression, if it was agreed on.
    pub compression: Option<Negotiated>,
    /// The version of the protocol.
    pub version: Version,
    /// The client's address as far as it is to be believed: what trusted proxies say, else
    /// [`peer_addr`](Self::peer_addr)'s.
    pub remote_address: Option<IpAddr>,
    /// The address at the other end of the transport, which may be a proxy's.
    pub peer_addr: Option<SocketAddr>,
    /// What the TLS handshake agreed on, with the peer's certificates, where TLS of this library's is
    /// under the connection. `None` over a TLS stream of another's.
    pub tls: Option<Arc<TlsInfo>>,
}

impl Info {
    /// The extensions that were agreed on, as the server's answer says it.
    pub fn extensions(&self) -> Vec<Extension> {
        self.compression.iter().map(Negotiated::extension).collect()
    }
}
