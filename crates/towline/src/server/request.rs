//! A client's request for a connection: inspect it, then accept or reject it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use towline_proto::handshake::{
    Accept, Agreed, Cookie, Extension, Offer, Rejection, Subprotocol, Transport, Version,
    encode_response,
};
use towline_proto::{Config, Role};

use crate::connection::{Connection, Established, Info, next_id};
use crate::error::{Error, ErrorKind, Result};
use crate::server::event::ServerEvent;
use crate::server::hub::{Hub, Options};
use crate::transport::{AnyStream, Io};

/// How long a rejected client may take to read the answer.
const LINGER: Duration = Duration::from_secs(1);

/// A client's request for a connection.
///
/// Inspect it, then [`accept`](Self::accept) or [`reject`](Self::reject) it: either takes the
/// request, so it is answered once. A request that is dropped is answered with 500.
///
/// ```
/// # use http::StatusCode;
/// # use towline::{Accept, Connection, Request, Result};
/// async fn admit(request: Request) -> Result<Option<Connection>> {
///     if request.path() != "/chat" {
///         request.reject(StatusCode::NOT_FOUND, "no such room").await?;
///         return Ok(None);
///     }
///     let accept = match request.choose_protocol(["chat.v2", "chat.v1"]) {
///         Some(protocol) => Accept::new().protocol(protocol.as_str()),
///         None => Accept::new(),
///     };
///     request.accept_with(accept).await.map(Some)
/// }
/// ```
#[doc(alias = "WebSocketRequest")]
pub struct Request {
    http: http::Request<()>,
    offer: Offer,
    remote_address: Option<IpAddr>,
    peer_address: Option<SocketAddr>,
    hub: Arc<Hub>,
    answer: Option<Answer>,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// Where the answer goes.
pub(crate) enum Answer {
    /// Onto the stream that the request came on, which is the connection's then.
    Stream { stream: AnyStream, early: Vec<u8> },
    /// Through an HTTP library, which gives the stream for it.
    Upgrade { respond: oneshot::Sender<http::Response<Bytes>>, stream: UpgradeFuture },
}

/// The stream, and what has been read from it behind the request.
pub(crate) type UpgradeFuture =
    Pin<Box<dyn Future<Output = io::Result<(AnyStream, Vec<u8>)>> + Send>>;

impl Request {
    /// A request that was read elsewhere, and the stream it came on, for a program that has an
    /// HTTP server of its own and no [`Server`](crate::Server).
    ///
    /// `early` is what was read from the stream behind the request, and belongs to the connection.
    /// Pages of another origin are refused by [`accept`](Self::accept) unless
    /// [confirmed](Accept::origin), and proxies in private networks are trusted; a server's
    /// [builder](crate::ServerBuilder) lets you choose.
    ///
    /// # Errors
    ///
    /// A [`Rejection`], with its HTTP status, if the request is no valid handshake. It is being
    /// answered with that.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[doc(alias = "WebSocketRequest")]
    pub fn from_http(
        http: http::Request<()>,
        stream: impl Io,
        early: Bytes,
        config: Config,
    ) -> std::result::Result<Self, Rejection> {
        let hub = Hub::new(Options { config, ..Options::default() });
        let stream = AnyStream::new(stream);
        let peer = stream.peer_address();
        let transport = Transport::of(&http);
        let answer = Answer::Stream { stream, early: early.into() };
        Self::new(http, peer, &hub, answer).map_err(|refused| {
            let (rejection, answer) = *refused;
            let returned = rejection.clone();
            tokio::spawn(async move { answer.reject(&hub, rejection, transport, peer).await });
            returned
        })
    }

    /// A request on its way through `hub`, if it is a valid handshake.
    pub(crate) fn new(
        http: http::Request<()>,
        peer_address: Option<SocketAddr>,
        hub: &Arc<Hub>,
        answer: Answer,
    ) -> std::result::Result<Self, Box<(Rejection, Answer)>> {
        let offer = match Offer::from_request(&http) {
            Ok(offer) => offer,
            Err(rejection) => return Err(Box::new((rejection, answer))),
        };
        let remote_address = peer_address
            .map(|peer| hub.options.trusted_proxies.client_address(peer.ip(), http.headers()));
        let (hub, answer, permit) = (hub.clone(), Some(answer), None);
        Ok(Self { http, offer, remote_address, peer_address, hub, answer, permit })
    }

    /// The request as HTTP has it.
    #[doc(alias = "httpRequest")]
    pub fn http(&self) -> &http::Request<()> {
        &self.http
    }

    /// The headers of the request.
    pub fn headers(&self) -> &http::HeaderMap {
        self.http.headers()
    }

    /// The host that the request is for, as its `Host` has it: with the port, if it was written.
    pub fn host(&self) -> &str {
        self.offer.host()
    }

    /// The path and the query: `/chat?room=7`.
    pub fn resource(&self) -> &str {
        self.offer.resource()
    }

    /// The target of the request, taken apart.
    #[doc(alias = "resourceURL")]
    pub fn uri(&self) -> &Uri {
        self.offer.uri()
    }

    /// The path: `/chat`.
    pub fn path(&self) -> &str {
        self.offer.path()
    }

    /// The query, without the question mark: `room=7`.
    pub fn query(&self) -> Option<&str> {
        self.offer.query()
    }

    /// The client's address, as far as it is to be believed: what trusted proxies say, else
    /// [`peer_address`](Self::peer_address)'s.
    #[doc(alias = "remoteAddress")]
    pub fn remote_address(&self) -> Option<IpAddr> {
        self.remote_address
    }

    /// The address at the other end of the transport, which may be a proxy's.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer_address
    }

    /// The version of the protocol that the client asks for.
    #[doc(alias("webSocketVersion", "websocketVersion"))]
    pub fn version(&self) -> Version {
        self.offer.version()
    }

    /// The origin of the page that makes the request; `None` if it does not come from a page.
    pub fn origin(&self) -> Option<&str> {
        self.offer.origin()
    }

    /// The extensions that the client offers.
    #[doc(alias = "requestedExtensions")]
    pub fn extensions(&self) -> &[Extension] {
        self.offer.extensions()
    }

    /// The subprotocols that the client would speak, in its order of preference.
    #[doc(alias = "requestedProtocols")]
    pub fn protocols(&self) -> &[Subprotocol] {
        self.offer.protocols()
    }

    /// The first of these protocols, by the server's preference, that the client offers, in
    /// whatever case.
    pub fn choose_protocol<I>(&self, supported: I) -> Option<&Subprotocol>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.offer.choose_protocol(supported)
    }

    /// The cookies of the request.
    pub fn cookies(&self) -> &[Cookie] {
        self.offer.cookies()
    }

    /// Accepts without a subprotocol, if the server's [origin policy](crate::OriginPolicy) allows
    /// it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OriginRefused`] for a page of another origin, which has been answered with
    /// 403. [`ErrorKind::RequestGone`] if the client has gone.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the request is answered, and the connection, if it came to be, closed.
    pub async fn accept(self) -> Result<Connection> {
        self.accept_with(Accept::new()).await
    }

    /// Accepts with a subprotocol, a confirmed origin, cookies, headers.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept). [`ErrorKind::InvalidHandshakeOption`] for a subprotocol that
    /// was not offered and a header that can't be added; the request has been answered with 500.
    ///
    /// # Cancel safety
    ///
    /// As [`accept`](Self::accept).
    pub async fn accept_with(mut self, accept: Accept) -> Result<Connection> {
        let (response, agreed) = match self.offer.accept(&accept, &self.hub.options.origins) {
            Ok(accepted) => accepted,
            Err(error) => {
                let rejection = error.rejection();
                let kind = if rejection.status() == StatusCode::FORBIDDEN {
                    ErrorKind::OriginRefused
                } else {
                    ErrorKind::InvalidHandshakeOption
                };
                let error = Error::new(kind, error.to_string()).with_source(error);
                self.reject_with(rejection).await?;
                return Err(error);
            }
        };
        let info = self.info(agreed);
        self.hub.event(|| ServerEvent::Accepted(Arc::new(info.clone())));
        let Some(answer) = self.answer.take() else { return Err(gone(None)) };
        let (stream, early) = answer.accept(response).await.map_err(|error| gone(Some(error)))?;
        let hub = self.hub.clone();
        let established = Established { stream, early, info, response: None };
        let connection = Connection::establish(established, &hub.options.config, Some(hub.clone()));
        hub.connections.add(connection.shared());
        hub.event(|| ServerEvent::Connected(connection.shared().info.clone()));
        Ok(connection)
    }

    /// Accepts whatever is asked for: any origin, and the first subprotocol.
    pub(crate) async fn accept_anything(self) -> Result<Connection> {
        let mut accept = Accept::new();
        if let Some(origin) = self.origin() {
            accept = accept.origin(origin);
        }
        if let Some(protocol) = self.protocols().first() {
            accept = accept.protocol(protocol.as_str());
        }
        self.accept_with(accept).await
    }

    /// Rejects with this status, 403 if there is none better, and a reason for the client's
    /// developer, which goes into the header `X-WebSocket-Reject-Reason` and the body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RequestGone`] if the client has gone.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the client may get a part of the answer.
    pub async fn reject(self, status: StatusCode, reason: impl Into<String>) -> Result<()> {
        self.reject_with(Rejection::new(status, reason.into())).await
    }

    /// Rejects with a status, a reason and headers. [`Rejection::default`] is the 403 that
    /// WebSocket-Node rejects with if it is told nothing else.
    ///
    /// # Errors
    ///
    /// As [`reject`](Self::reject).
    ///
    /// # Cancel safety
    ///
    /// As [`reject`](Self::reject).
    pub async fn reject_with(mut self, rejection: Rejection) -> Result<()> {
        let Some(answer) = self.answer.take() else { return Err(gone(None)) };
        let (transport, peer) = (self.offer.transport(), self.peer_address);
        answer
            .reject(&self.hub, rejection, transport, peer)
            .await
            .map_err(|error| gone(Some(error)))
    }

    fn info(&self, agreed: Agreed) -> Info {
        Info {
            id: next_id(),
            role: Role::Server,
            protocol: agreed.protocol.map(|protocol| protocol.as_str().to_owned()),
            extensions: agreed.extensions,
            version: agreed.version,
            remote_address: self.remote_address,
            peer_address: self.peer_address,
        }
    }
}

fn gone(error: Option<io::Error>) -> Error {
    match error {
        Some(error) => Error::new(ErrorKind::RequestGone, format!("the client has gone: {error}"))
            .with_source(error),
        None => Error::new(ErrorKind::RequestGone, "the request has been answered already"),
    }
}

impl Answer {
    async fn accept(self, response: http::Response<()>) -> io::Result<(AnyStream, Vec<u8>)> {
        match self {
            Self::Stream { mut stream, early } => {
                let mut head = Vec::with_capacity(256);
                encode_response(&response, &mut head);
                stream.write_all(&head).await?;
                stream.flush().await?;
                Ok((stream, early))
            }
            Self::Upgrade { respond, stream } => {
                let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
                respond.send(response.map(|()| Bytes::new())).map_err(gone)?;
                stream.await
            }
        }
    }

    /// Answers with a rejection, and tells who watches the server.
    pub(crate) async fn reject(
        self,
        hub: &Arc<Hub>,
        rejection: Rejection,
        transport: Transport,
        peer_address: Option<SocketAddr>,
    ) -> io::Result<()> {
        tracing::debug!(?peer_address, %rejection, "request rejected");
        hub.event(|| ServerEvent::Rejected {
            status: rejection.status(),
            reason: rejection.reason().to_owned(),
            peer_address,
        });
        let response = rejection.response(transport);
        match self {
            Self::Stream { mut stream, .. } => {
                let mut bytes = Vec::with_capacity(512);
                encode_response(&response, &mut bytes);
                bytes.extend_from_slice(response.body());
                stream.write_all(&bytes).await?;
                stream.shutdown().await?;
                tokio::spawn(linger(stream));
                Ok(())
            }
            Self::Upgrade { respond, .. } => {
                respond.send(response).map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
        }
    }
}

/// Reads what the client still sends: a socket that is closed over unread bytes takes the answer
/// back.
async fn linger(mut stream: AnyStream) {
    let _ = tokio::time::timeout(LINGER, async {
        let mut bytes = [0; 1024];
        while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
    })
    .await;
}

impl Drop for Request {
    fn drop(&mut self) {
        let (Some(answer), Ok(runtime)) = (self.answer.take(), Handle::try_current()) else {
            return;
        };
        let hub = self.hub.clone();
        let (transport, peer) = (self.offer.transport(), self.peer_address);
        runtime.spawn(async move {
            let reason = "the server did not answer the request";
            let rejection = Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, reason);
            let _ = answer.reject(&hub, rejection, transport, peer).await;
        });
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("resource", &self.resource())
            .field("remote_address", &self.remote_address)
            .finish_non_exhaustive()
    }
}
