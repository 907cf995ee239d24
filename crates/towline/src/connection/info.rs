//! What the opening handshake agreed on.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use http::Extensions;
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
    pub protocol: Option<Box<str>>,
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
    /// There unless the handshake was done elsewhere. In a box, as what is at rest should be small.
    pub(crate) request: Option<Box<Requested>>,
}

/// What is left of the request.
#[derive(Debug, Clone)]
pub(crate) struct Requested {
    resource: Box<str>,
    data: Extensions,
}

impl Requested {
    pub(crate) fn new(resource: &str, data: Extensions) -> Option<Box<Self>> {
        // An empty map has memory all the same.
        let data = if data.is_empty() { Extensions::new() } else { data };
        Some(Box::new(Self { resource: resource.into(), data }))
    }
}

impl Info {
    /// What the request asked for: the path and the query, `/chat?room=7`, as it was on the wire. Empty
    /// where the handshake was [done elsewhere](crate::Connection::from_stream).
    #[doc(alias = "resource_name")]
    pub fn resource(&self) -> &str {
        self.request.as_ref().map_or("", |request| &request.resource)
    }

    /// The path of what was asked for: `/chat`.
    pub fn path(&self) -> &str {
        self.resource().split('?').next().unwrap_or_default()
    }

    /// The query of what was asked for, without the question mark: `room=7`.
    pub fn query(&self) -> Option<&str> {
        self.resource().split_once('?').map(|(_, query)| query)
    }

    /// What the program has put there, by type: on a server by
    /// [`Request::data_mut`](crate::Request::data_mut), on a client into the extensions of the request
    /// for [`connect_request`](crate::Client::connect_request). It takes no memory where it is empty.
    pub fn data(&self) -> &Extensions {
        static NONE: LazyLock<Extensions> = LazyLock::new(Extensions::new);
        self.request.as_ref().map_or(&NONE, |request| &request.data)
    }

    /// The extensions that were agreed on, as the server's answer says it.
    pub fn extensions(&self) -> Vec<Extension> {
        self.compression.iter().map(Negotiated::extension).collect()
    }
}
