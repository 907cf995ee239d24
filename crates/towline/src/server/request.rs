//! A client's request for a connection: inspect it, then accept or reject it.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Extensions, StatusCode, Uri};
use tokio::runtime::Handle;
use towline_proto::handshake::{
    Accept, Agreed, Cookie, Extension, Mechanism, Offer, Protocol, Rejection, Subprotocol, Version,
};
use towline_proto::{Config, Role};

use crate::connection::{Connection, Established, Info, Requested, next_id};
use crate::error::{Error, ErrorKind, Result};
use crate::server::answer::{Accepted, Answer};
use crate::server::connections::Connections;
use crate::server::event::ServerEvent;
use crate::server::hub::{Hub, Options};
use crate::server::see_through::SeeThrough;
use crate::transport::{AnyStream, Io, TlsInfo};

/// A client's request for a connection.
///
/// Inspect it, then [`accept`](Self::accept) or [`reject`](Self::reject) it: either takes the
/// request, so it is answered once. A request that is dropped is answered with 500. All of it
/// works on any thread, within a runtime or not: the answer is given on the runtime that the
/// request came in on.
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
pub struct Request(Box<Parts>);

/// They are apart so that a task which has been through a request is not the larger for it as long
/// as it lives.
struct Parts {
    http: http::Request<()>,
    offer: Offer,
    remote_address: Option<IpAddr>,
    peer_addr: Option<SocketAddr>,
    tls: Option<Arc<TlsInfo>>,
    hub: Arc<Hub>,
    /// Where the answer is given, whoever gives it.
    runtime: Handle,
    /// Never locked: a stream need not be `Sync`, and a request is. `None` once it is answered.
    answer: Mutex<Option<Answer>>,
}

impl Request {
    /// A request that was read elsewhere, and the stream it came on, for a program that has an
    /// HTTP server of its own and no [`Server`](crate::Server).
    ///
    /// `early` is what was read from the stream behind the request, and belongs to the connection.
    /// Pages of another origin are refused by [`accept`](Self::accept) unless
    /// [confirmed](Accept::origin), proxies on the same machine are trusted, and versions 8 and 13
    /// are accepted; a server's [builder](crate::ServerBuilder) lets you choose.
    ///
    /// # Errors
    ///
    /// A [`Rejection`], with its HTTP status, if the request is no valid handshake. It is being
    /// answered with that.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    #[doc(alias = "WebSocketRequest")]
    pub fn from_http(
        http: http::Request<()>,
        stream: impl Io,
        early: Bytes,
        config: Config,
    ) -> std::result::Result<Self, Rejection> {
        let hub = Hub::new(Options { config, ..Options::default() }, Connections::of_request());
        let stream = AnyStream::new(stream);
        let peer = stream.peer_addr();
        let mechanism = Mechanism::of(&http);
        let answer = Answer::Stream { stream, early: early.into(), is_set_up: false };
        Self::new(http, peer, &hub, answer).map_err(|refused| {
            let (rejection, answer) = *refused;
            let returned = rejection.clone();
            tokio::spawn(async move { answer.reject(&hub, rejection, mechanism, peer).await });
            returned
        })
    }

    /// A request on its way through `hub`, if it is a valid handshake.
    pub(crate) fn new(
        http: http::Request<()>,
        peer_addr: Option<SocketAddr>,
        hub: &Arc<Hub>,
        answer: Answer,
    ) -> std::result::Result<Self, Box<(Rejection, Answer)>> {
        let offer = match Offer::from_request_since(hub.options.oldest_version, &http) {
            Ok(offer) => offer,
            Err(rejection) => return Err(Box::new((rejection, answer))),
        };
        let remote_address = peer_addr
            .map(|peer| hub.options.trusted_proxies.client_address(peer.ip(), http.headers()));
        let tls = answer.tls().or_else(|| http.extensions().get().cloned());
        let (hub, runtime, answer) = (hub.clone(), Handle::current(), Mutex::new(Some(answer)));
        let parts = Parts { http, offer, remote_address, peer_addr, tls, hub, runtime, answer };
        Ok(Self(Box::new(parts)))
    }

    /// The request as HTTP has it.
    #[doc(alias = "httpRequest")]
    pub fn http(&self) -> &http::Request<()> {
        &self.0.http
    }

    /// The headers of the request.
    pub fn headers(&self) -> &http::HeaderMap {
        self.0.http.headers()
    }

    /// What goes with the request, by type, and with the [connection](Connection::data) that comes of
    /// it: what the program puts [there](Self::data_mut), and the extensions that the request had when
    /// it came through an HTTP library, such as those of tower layers.
    ///
    /// These are not the [extensions](Self::extensions) of the protocol.
    pub fn data(&self) -> &Extensions {
        self.0.http.extensions()
    }

    /// The same, to put something there.
    ///
    /// ```
    /// # use towline::{Connection, Request, Result};
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// async fn admit(mut request: Request, name: String) -> Result<Connection> {
    ///     request.data_mut().insert(User(name));
    ///     let connection = request.accept().await?;
    ///     if let Some(User(name)) = connection.data().get() {
    ///         println!("{name} is aboard");
    ///     }
    ///     Ok(connection)
    /// }
    /// ```
    pub fn data_mut(&mut self) -> &mut Extensions {
        self.0.http.extensions_mut()
    }

    /// The host that the request is for, as its `Host` has it: with the port, if it was written.
    pub fn host(&self) -> &str {
        self.0.offer.host()
    }

    /// Whether the request came over TLS of this library's. Behind a proxy that has taken the TLS
    /// off, it has not.
    pub fn is_secure(&self) -> bool {
        self.tls().is_some()
    }

    /// Whether the client is known to have spoken TLS, to this server or to a trusted proxy.
    fn is_known_secure(&self) -> bool {
        let proxies = &self.0.hub.options.trusted_proxies;
        let forwarded =
            self.peer_addr().and_then(|peer| proxies.client_is_secure(peer.ip(), self.headers()));
        self.is_secure() || forwarded == Some(true)
    }

    /// What the TLS handshake agreed on, and the client's certificates, if the request
    /// [is secure](Self::is_secure).
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.tls.as_deref()
    }

    /// The path and the query: `/chat?room=7`.
    pub fn resource(&self) -> &str {
        self.0.offer.resource()
    }

    /// The target of the request, taken apart.
    #[doc(alias = "resourceURL")]
    pub fn uri(&self) -> &Uri {
        self.0.offer.uri()
    }

    /// The path: `/chat`.
    pub fn path(&self) -> &str {
        self.0.offer.path()
    }

    /// The query, without the question mark: `room=7`.
    pub fn query(&self) -> Option<&str> {
        self.0.offer.query()
    }

    /// The client's address, as far as it is to be believed: what trusted proxies say, else
    /// [`peer_addr`](Self::peer_addr)'s.
    #[doc(alias = "remoteAddress")]
    pub fn remote_address(&self) -> Option<IpAddr> {
        self.0.remote_address
    }

    /// The address at the other end of the transport, which may be a proxy's.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer_addr
    }

    /// The version of the protocol that the client asks for.
    #[doc(alias("webSocketVersion", "websocketVersion"))]
    pub fn version(&self) -> Version {
        self.0.offer.version()
    }

    /// The origin of the page that makes the request; `None` if it does not come from a page.
    pub fn origin(&self) -> Option<&str> {
        self.0.offer.origin()
    }

    /// The extensions that the client offers.
    #[doc(alias = "requestedExtensions")]
    pub fn extensions(&self) -> &[Extension] {
        self.0.offer.extensions()
    }

    /// The subprotocols that the client would speak, in its order of preference.
    #[doc(alias = "requestedProtocols")]
    pub fn protocols(&self) -> &[Subprotocol] {
        self.0.offer.protocols()
    }

    /// The first of these protocols, by the server's preference, that the client offers, in
    /// whatever case.
    pub fn choose_protocol<I>(&self, supported: I) -> Option<&Subprotocol>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.0.offer.choose_protocol(supported)
    }

    /// The cookies of the request.
    pub fn cookies(&self) -> &[Cookie] {
        self.0.offer.cookies()
    }

    /// Accepts without a subprotocol, if the server's [origin policy](crate::OriginPolicy) allows
    /// it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OriginRefused`] for a page of another origin, which has been answered with
    /// 403. [`ErrorKind::RequestGone`] if the client has gone, or has not taken the answer within
    /// the [`handshake_timeout`](crate::ServerBuilder::handshake_timeout).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client gets one answer, and that whole. Once this was polled, what is left
    /// to do goes on in the background if this is dropped; the connection that comes of it is
    /// closed with 1001 then, as any that is dropped. If it was never polled, the request is
    /// dropped, and so answered with 500.
    pub fn accept(self) -> impl Future<Output = Result<Connection>> + Send {
        self.accept_with(Accept::new())
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
    pub fn accept_with(self, accept: Accept) -> impl Future<Output = Result<Connection>> + Send {
        SeeThrough::new(self.0.runtime.clone(), self.answer_with(accept))
    }

    /// Accepts, if that may be. For a task of its own: nobody goes on with it when it is dropped.
    pub(crate) async fn answer_with(mut self, accept: Accept) -> Result<Connection> {
        let config = &self.0.hub.options.config;
        // What the program says here goes before the configuration. Frames are handed out as they
        // come, so there is no compression then.
        let accept = match config.assemble_fragments {
            true => accept.compression_by_default(config.negotiable_compression()),
            false => accept.compression(None),
        }
        .over_tls(self.is_known_secure());
        let (response, agreed) = match self.0.offer.accept(&accept, &self.0.hub.options.origins) {
            Ok(accepted) => accepted,
            Err(error) => {
                let rejection = error.rejection();
                let kind = if rejection.status() == StatusCode::FORBIDDEN {
                    ErrorKind::OriginRefused
                } else {
                    ErrorKind::InvalidHandshakeOption
                };
                let error = Error::new(kind, error.to_string()).with_source(error);
                self.refuse(rejection).await?;
                return Err(error);
            }
        };
        let info = self.info(agreed);
        self.0.hub.event(|| ServerEvent::Accepted(Arc::new(info.clone())));
        let hub = self.0.hub.clone();
        let Some(answer) = self.take_answer() else { return Err(answered()) };
        let accepted = answer.accept(&hub, response).await.map_err(gone)?;
        let Accepted { stream, early, on_its_way } = accepted;
        let established = Established { stream, early, info, response: None };
        let connection = Connection::establish(established, &hub.options.config, Some(hub.clone()));
        hub.connections.add(connection.shared());
        drop(on_its_way);
        hub.event(|| ServerEvent::Connected(connection.shared().info.clone()));
        Ok(connection)
    }

    /// Accepts without asking the program, with the first subprotocol. The policy for origins holds
    /// as it does otherwise.
    pub(crate) async fn answer_unasked(self) -> Result<Connection> {
        let mut accept = Accept::new();
        if let Some(protocol) = self.protocols().first() {
            accept = accept.protocol(protocol.as_str());
        }
        self.answer_with(accept).await
    }

    /// Rejects with this status, 403 if there is none better, and a reason for the client's
    /// developer, which goes into the header `X-WebSocket-Reject-Reason` and the body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RequestGone`] if the client has gone, or has not taken the answer within the
    /// [`handshake_timeout`](crate::ServerBuilder::handshake_timeout).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client gets one answer, and that whole. Once this was polled, what is left
    /// to do goes on in the background if this is dropped. If it was never polled, the request is
    /// dropped, and so answered with 500.
    pub async fn reject(self, status: StatusCode, reason: impl Into<String>) -> Result<()> {
        self.reject_with(Rejection::new(status, reason.into())).await
    }

    /// Rejects with a status, a reason and headers. [`Rejection::default`] is the 403 that
    /// WebSocket-Node rejects with if it is told nothing else.
    ///
    /// # Errors
    ///
    /// As [`reject`](Self::reject). [`ErrorKind::InvalidHandshakeOption`] for a header that can't
    /// be added; the request has been answered without it.
    ///
    /// # Cancel safety
    ///
    /// As [`reject`](Self::reject).
    pub async fn reject_with(mut self, rejection: Rejection) -> Result<()> {
        let runtime = self.0.runtime.clone();
        SeeThrough::new(runtime, async move { self.refuse(rejection).await }).await
    }

    async fn refuse(&mut self, rejection: Rejection) -> Result<()> {
        let Some(answer) = self.take_answer() else { return Err(answered()) };
        let (mechanism, peer) = (self.0.offer.mechanism(), self.0.peer_addr);
        let left_out = rejection.header_error().map(|error| {
            Error::new(ErrorKind::InvalidHandshakeOption, error.to_string())
                .with_source(error.clone())
        });
        answer.reject(&self.0.hub, rejection, mechanism, peer).await.map_err(gone)?;
        left_out.map_or(Ok(()), Err)
    }

    fn take_answer(&mut self) -> Option<Answer> {
        self.0.answer.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn info(&mut self, agreed: Agreed) -> Info {
        let mut data = mem::take(self.0.http.extensions_mut());
        // What was for the handshake, and is of no use any more.
        data.remove::<Protocol>();
        data.remove::<Arc<TlsInfo>>();
        Info {
            id: next_id(),
            role: Role::Server,
            protocol: agreed.protocol.map(|protocol| protocol.as_str().into()),
            compression: agreed.compression,
            version: agreed.version,
            remote_address: self.0.remote_address,
            peer_addr: self.0.peer_addr,
            tls: self.0.tls.clone(),
            request: Requested::new(self.resource(), data),
        }
    }
}

fn gone(error: io::Error) -> Error {
    Error::new(ErrorKind::RequestGone, format!("the client can't be answered: {error}"))
        .with_source(error)
}

fn answered() -> Error {
    Error::new(ErrorKind::RequestGone, "the request has been answered already")
}

impl Drop for Request {
    fn drop(&mut self) {
        let Some(answer) = self.take_answer() else { return };
        let hub = self.0.hub.clone();
        let (mechanism, peer) = (self.0.offer.mechanism(), self.0.peer_addr);
        self.0.runtime.spawn(async move {
            let _ = answer.reject(&hub, unanswered(), mechanism, peer).await;
        });
    }
}

/// What a request is answered with that nobody answers.
pub(crate) fn unanswered() -> Rejection {
    let reason = "the server did not answer the request";
    Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("resource", &self.resource())
            .field("remote_address", &self.0.remote_address)
            .finish_non_exhaustive()
    }
}
