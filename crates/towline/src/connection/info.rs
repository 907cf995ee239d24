//! The result of the opening handshake.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use http::{Extensions, Request, Response, Uri};
use towline_proto::handshake::{Extension, Version};
use towline_proto::{Negotiated, Role};

use crate::transport::TlsInfo;

/// The result of the opening handshake and the peer's addresses. It does not change.
///
/// ```
/// # fn example(connection: &towline::Connection) {
/// let info = connection.info();
/// println!("{} from {:?}, speaks {:?}", info.id, info.remote_address, info.protocol);
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Info {
    /// The number of the connection, unique in this process.
    pub id: u64,
    /// Which end this is.
    pub role: Role,
    /// The subprotocol, if one was agreed on, in the client's spelling, even if that of
    /// [`Accept::protocol`] was different. Compare it with
    /// [`eq_ignore_ascii_case`](str::eq_ignore_ascii_case). (WebSocket-Node returns it in lower
    /// case.)
    ///
    /// [`Accept::protocol`]: towline_proto::handshake::Accept::protocol
    pub protocol: Option<Box<str>>,
    /// The parameters of compression, if it was agreed on.
    pub compression: Option<Negotiated>,
    /// The version of the protocol.
    pub version: Version,
    /// The peer's address: the one that trusted proxies report for the client, otherwise that of
    /// [`peer_addr`](Self::peer_addr).
    pub remote_address: Option<IpAddr>,
    /// The address of the other end of the transport, which can be a proxy's.
    pub peer_addr: Option<SocketAddr>,
    /// The result of the TLS handshake with the peer's certificates, if the connection uses this
    /// library's TLS. `None` over a TLS stream of another library.
    pub tls: Option<Arc<TlsInfo>>,
    /// Not in `request`, since it fits beside the other small fields here.
    pub(crate) http_version: Option<http::Version>,
    /// `None` if the handshake was done elsewhere. Boxed, to keep idle connections small.
    pub(crate) request: Option<Box<Requested>>,
}

/// The parts of the request that a connection keeps.
#[derive(Clone)]
pub(crate) struct Requested {
    resource: Box<str>,
    data: Extensions,
}

/// Without the query, which often has a token.
impl fmt::Debug for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.resource.split('?').next().unwrap_or_default();
        f.debug_struct("Requested").field("path", &path).finish_non_exhaustive()
    }
}

impl Requested {
    pub(crate) fn new(resource: &str, data: Extensions) -> Option<Box<Self>> {
        // A map that is empty but was used has allocated memory.
        let data = if data.is_empty() { Extensions::new() } else { data };
        Some(Box::new(Self { resource: resource.into(), data }))
    }
}

impl Info {
    /// Returns the path and the query of the request as they were on the wire: `/chat?room=7`.
    /// Empty for a connection made with [`from_stream`](crate::Connection::from_stream).
    #[doc(alias = "resource_name")]
    pub fn resource(&self) -> &str {
        self.request.as_ref().map_or("", |request| &request.resource)
    }

    /// Returns the path of the request: `/chat`.
    pub fn path(&self) -> &str {
        self.resource().split('?').next().unwrap_or_default()
    }

    /// Returns the query of the request, without the question mark: `room=7`.
    pub fn query(&self) -> Option<&str> {
        self.resource().split_once('?').map(|(_, query)| query)
    }

    /// Returns the version of HTTP that the handshake used: that of the request on a server, that of
    /// the response on a client. `None` if the handshake was done elsewhere, as with
    /// [`from_stream`](crate::Connection::from_stream).
    pub fn http_version(&self) -> Option<http::Version> {
        self.http_version
    }

    /// Returns the program's own data, by type. A server inserts it with
    /// [`Request::data_mut`](crate::Request::data_mut), a client into the extensions of the request
    /// for [`connect_request`](crate::Client::connect_request). It takes no memory while it is
    /// empty.
    pub fn data(&self) -> &Extensions {
        static NONE: LazyLock<Extensions> = LazyLock::new(Extensions::new);
        self.request.as_ref().map_or(&NONE, |request| &request.data)
    }

    /// Returns the extensions that were agreed on, as in the server's answer.
    pub fn extensions(&self) -> Vec<Extension> {
        self.compression.iter().map(Negotiated::extension).collect()
    }
}

/// The parts of the handshake that only a client's connection keeps.
pub(crate) struct Answered {
    /// The URL that was connected to, without user and password.
    pub(crate) url: Option<Uri>,
    /// The proxy's URL, without user and password.
    pub(crate) proxy: Option<String>,
    /// If the client keeps it.
    pub(crate) request: Option<Box<Request<()>>>,
    pub(crate) response: Response<()>,
}
