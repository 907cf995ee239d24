//! What is known of a connection: its handshake, its addresses, its transport.

use std::net::{IpAddr, SocketAddr};

use http::Uri;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use towline_proto::Role;
use towline_proto::handshake::{Extension, Version};

use crate::connection::Connection;
use crate::connection::info::Info;
use crate::transport::TlsInfo;

impl Connection {
    /// Returns the result of the opening handshake and the peer's addresses.
    pub fn info(&self) -> &Info {
        self.sender.info()
    }

    /// Returns the number of this connection, which is unique in this process.
    pub fn id(&self) -> u64 {
        self.info().id
    }

    /// Returns which end this is.
    pub fn role(&self) -> Role {
        self.info().role
    }

    /// Returns the path and the query of the request, on both ends: `/chat?room=7`. Empty for a
    /// connection made with [`from_stream`](Self::from_stream).
    #[doc(alias = "resource_name")]
    pub fn resource(&self) -> &str {
        self.info().resource()
    }

    /// Returns the path of the request: `/chat`.
    pub fn path(&self) -> &str {
        self.info().path()
    }

    /// Returns the query of the request, without the question mark: `room=7`.
    pub fn query(&self) -> Option<&str> {
        self.info().query()
    }

    /// Returns the program's own data, by type: for example, the user's name. Each half of the
    /// connection has it in its `info().data()`, and so do the server's
    /// [events](crate::ServerEvent).
    ///
    /// A server inserts it with [`Request::data_mut`](crate::Request::data_mut), and a client into
    /// the extensions of the request for [`connect_request`](crate::Client::connect_request). It
    /// can't be changed once the connection is established: use an `Arc<Mutex<_>>` for mutable
    /// data. A connection without data takes no memory for it.
    ///
    /// These are not the [extensions](Self::extensions) of the protocol.
    pub fn data(&self) -> &http::Extensions {
        self.info().data()
    }

    /// Returns the subprotocol that was agreed on, in the client's spelling. Compare it with
    /// [`eq_ignore_ascii_case`](str::eq_ignore_ascii_case). (WebSocket-Node returns it in lower
    /// case.)
    pub fn protocol(&self) -> Option<&str> {
        self.info().protocol.as_deref()
    }

    /// Returns the extensions that were agreed on, as in the server's answer: one with compression,
    /// otherwise none.
    pub fn extensions(&self) -> Vec<Extension> {
        self.info().extensions()
    }

    /// Returns the version of the protocol.
    #[doc(alias("webSocketVersion", "websocketVersion"))]
    pub fn version(&self) -> Version {
        self.info().version
    }

    /// Returns the peer's address. For a client behind trusted proxies, it is the address that the
    /// proxies report. [`peer_addr`](Self::peer_addr) is the other end of the transport.
    #[doc(alias = "remoteAddress")]
    pub fn remote_address(&self) -> Option<IpAddr> {
        self.info().remote_address
    }

    /// Returns the address of the other end of the transport.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.info().peer_addr
    }

    /// Returns the TCP socket, to set its options, if the connection is on one, with this library's
    /// TLS or without, and can still receive. Reading from it or writing to it breaks the
    /// connection.
    #[doc(alias = "socket")]
    pub fn tcp_stream(&self) -> Option<&TcpStream> {
        self.receiver.tcp_stream()
    }

    /// Returns the Unix socket, if the connection is on one and can still receive.
    #[cfg(unix)]
    #[doc(alias = "socket")]
    pub fn unix_stream(&self) -> Option<&UnixStream> {
        self.receiver.unix_stream()
    }

    /// Returns whether the connection uses this library's TLS. `false` for a TLS stream of another
    /// library, and for a `ws` URL through a proxy, even if there is TLS with the proxy.
    pub fn is_secure(&self) -> bool {
        self.tls().is_some()
    }

    /// Returns the result of the TLS handshake and the peer's certificates, if the connection [is
    /// secure](Self::is_secure).
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.info().tls.as_deref()
    }

    /// Returns the request of the handshake as it was sent, after redirects, on the connection of a client
    /// that [keeps it](crate::Client::keep_request). Its headers can have credentials.
    pub fn request(&self) -> Option<&http::Request<()>> {
        self.response.as_deref().and_then(|answered| answered.request.as_deref())
    }

    /// Returns the server's response to the handshake, on a client's connection.
    pub fn response(&self) -> Option<&http::Response<()>> {
        self.response.as_deref().map(|answered| &answered.response)
    }

    /// Returns the version of HTTP that the handshake used: `HTTP_11`, or `HTTP_2` for extended
    /// CONNECT (RFC 8441). See [`Info::http_version`].
    pub fn http_version(&self) -> Option<http::Version> {
        self.info().http_version()
    }

    /// Returns the URL that a client's connection was made to, after
    /// [redirects](crate::Client::follow_redirects). Its scheme is `ws` or `wss`; user and password
    /// are removed.
    pub fn url(&self) -> Option<&Uri> {
        self.response.as_deref().and_then(|answered| answered.url.as_ref())
    }

    /// Returns the URL of the proxy that a client's connection goes through:
    /// `http://proxy.example:3128`. User and password are removed.
    pub fn proxy(&self) -> Option<&str> {
        self.response.as_deref().and_then(|answered| answered.proxy.as_deref())
    }
}
