//! Connections whose opening handshake was done elsewhere.

use bytes::Bytes;
use towline_proto::handshake::Agreed;
use towline_proto::{Config, Role};

use crate::connection::info::Info;
use crate::connection::{Connection, Established, next_id};
use crate::transport::{AnyStream, Io};

impl Connection {
    /// Creates a client's connection on a stream whose opening handshake was done by an HTTP client
    /// of the program, with the subprotocol and the compression that were agreed on.
    ///
    /// [`Connect::add_to`] adds the handshake to a request of the HTTP client, and
    /// [`Handshake::verify`] checks the response. [`Connect::open`] makes a whole request instead. Offer
    /// the [compression][`Connect::compression`] that `config` has. A server uses
    /// [`ServerHandle::request`](crate::ServerHandle::request) or
    /// [`Request::from_http`](crate::Request::from_http) instead.
    ///
    /// `early` is as for [`from_stream`](Self::from_stream).
    ///
    /// ```
    /// use towline::bytes::Bytes;
    /// use towline::{Config, Connect, Connection, Io, http};
    ///
    /// /// `send` stands for an HTTP client: it sends a request, and returns the response and the
    /// /// stream of the upgrade.
    /// async fn connect<S: Io>(
    ///     send: impl AsyncFnOnce(http::Request<()>) -> (http::Response<()>, S),
    /// ) -> Result<Connection, Box<dyn std::error::Error>> {
    ///     let config = Config::client();
    ///     let mut request = http::Request::get("https://example.com/feed").body(())?;
    ///     let handshake = Connect::new()
    ///         .protocols(["chat.v2"])
    ///         .compression(config.negotiable_compression())
    ///         .add_to(request.headers_mut())?;
    ///     let (response, stream) = send(request).await;
    ///     let agreed = handshake.verify(&response)?;
    ///     Ok(Connection::from_agreed(stream, agreed, &config, Bytes::new()))
    /// }
    /// ```
    ///
    /// [`Connect::open`]: towline_proto::handshake::Connect::open
    /// [`Connect::compression`]: towline_proto::handshake::Connect::compression
    /// [`Connect::add_to`]: towline_proto::handshake::Connect::add_to
    /// [`Handshake::verify`]: towline_proto::handshake::Handshake::verify
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or if the runtime's time driver is not enabled.
    pub fn from_agreed(stream: impl Io, agreed: Agreed, config: &Config, early: Bytes) -> Self {
        Self::from_handshake(AnyStream::new(stream), Role::Client, agreed, config, early)
    }

    /// Creates a connection whose handshake was done elsewhere.
    pub(crate) fn from_handshake(
        stream: AnyStream,
        role: Role,
        agreed: Agreed,
        config: &Config,
        early: Bytes,
    ) -> Self {
        let peer_addr = stream.peer_addr();
        let info = Info {
            id: next_id(),
            role,
            protocol: agreed.protocol.map(|protocol| protocol.as_str().into()),
            compression: agreed.compression,
            version: agreed.version,
            remote_address: peer_addr.map(|address| address.ip()),
            peer_addr,
            tls: stream.tls(),
            http_version: None,
            request: None,
        };
        let established = Established { stream, early: early.into(), info, response: None };
        Self::establish(established, config, None)
    }
}
