//! A client's request for a connection: inspect it, then accept or reject it.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::HOST;
use http::{Extensions, StatusCode, Uri};
use tokio::runtime::Handle;
use tokio::time::Instant;
use towline_proto::handshake::{
    Accept, Agreed, Cookie, Extension, Mechanism, Offer, Protocol, Rejection, Subprotocol, Version,
};
use towline_proto::{Config, Role};
use tracing::{Instrument as _, Span};

use crate::connection::{
    Connection, Established, Info, Requested, Throttle, answered as record_answer, handshake,
    next_id,
};
use crate::error::{Error, ErrorKind, Result};
use crate::server::account::Account;
use crate::server::answer::{Accepted, Answer};
use crate::server::connections::Connections;
use crate::server::event::ServerEvent;
use crate::server::hub::{Hub, InHand, Options};
use crate::server::measurement::Measurement;
use crate::server::quota::Admission;
use crate::server::rejections::{Refusal, unanswered};
use crate::server::see_through::SeeThrough;
use crate::server::stats::Unanswered;
use crate::transport::{AnyStream, Io, TlsInfo};

/// A client's request for a connection.
///
/// Inspect it, then [`accept`](Self::accept) or [`reject`](Self::reject) it. Both consume the
/// request, so it is answered once. A dropped request is answered with 500. Requests can be used on
/// any thread, within a runtime or not: the response is sent on the runtime that received the
/// request.
///
/// ```
/// # use http::StatusCode;
/// # use towline::{Accept, Connection, Request, Result};
/// async fn admit(request: Request) -> Result<Option<Connection>> {
///     if request.path() != "/chat" {
///         request.reject(StatusCode::NOT_FOUND, "no such room").await?;
///         return Ok(None);
///     }
///     request.accept_with(Accept::new().protocols(["chat.v2", "chat.v1"])).await.map(Some)
/// }
/// ```
#[doc(alias = "WebSocketRequest")]
pub struct Request(Box<Parts>);

/// Boxed, so that a task that has handled a request does not stay larger for the rest of its life.
struct Parts {
    http: http::Request<()>,
    offer: Offer,
    remote_address: Option<IpAddr>,
    peer_addr: Option<SocketAddr>,
    tls: Option<Arc<TlsInfo>>,
    hub: Arc<Hub>,
    /// The runtime that sends the response.
    runtime: Handle,
    /// When the request arrived.
    since: Instant,
    /// The span of the handshake.
    span: Span,
    _unanswered: Unanswered,
    /// Never locked. It makes a request `Sync` although a stream need not be. `None` once answered.
    answer: Mutex<Option<Answer>>,
    /// Present if the request did not come through the queue.
    in_hand: Option<InHand>,
    /// What it counts as, until it is a connection.
    admission: Admission,
}

impl Request {
    /// Makes a request from one that was read elsewhere and its stream, for programs with their own
    /// HTTP server and no [`Server`](crate::Server).
    ///
    /// `early` is what was read from the stream after the request. It belongs to the connection.
    /// [`accept`](Self::accept) refuses pages of another origin unless [confirmed](Accept::origin),
    /// proxies on the same machine are trusted, and versions 8 and 13 are accepted. To change this,
    /// use a [`ServerBuilder`](crate::ServerBuilder).
    ///
    /// # Errors
    ///
    /// A [`Rejection`], with its HTTP status, if the request is not a valid handshake. The response
    /// is sent in the background.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
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
        Self::new(http, peer, &hub, answer, None).map_err(|refused| {
            let (refusal, answer) = *refused;
            let returned = refusal.rejection.clone();
            tokio::spawn(async move { answer.reject(&hub, refusal, mechanism, peer).await });
            returned
        })
    }

    /// Returns the request, if it is a valid handshake.
    pub(crate) fn new(
        http: http::Request<()>,
        peer_addr: Option<SocketAddr>,
        hub: &Arc<Hub>,
        answer: Answer,
        admission: Admission,
    ) -> std::result::Result<Self, Box<(Refusal, Answer)>> {
        let host = || {
            let host = http.headers().get(HOST).and_then(|host| host.to_str().ok());
            host.or_else(|| Some(http.uri().authority()?.as_str())).unwrap_or_default()
        };
        let span = handshake(Role::Server, host, http.uri().path(), peer_addr);
        let offer = match Offer::from_request_since(hub.options.oldest_version, &http) {
            Ok(offer) => offer,
            Err(rejection) => {
                record_answer(&span, rejection.status(), None);
                let refusal = Refusal::failed(ErrorKind::Handshake, rejection);
                return Err(Box::new((refusal, answer)));
            }
        };
        let remote_address = peer_addr
            .map(|peer| hub.options.trusted_proxies.client_address(peer.ip(), http.headers()));
        let admission = match hub.admit(admission, remote_address) {
            Ok(admission) => admission,
            Err(rejection) => {
                record_answer(&span, rejection.status(), None);
                return Err(Box::new((rejection.into(), answer)));
            }
        };
        let tls = answer.tls().or_else(|| http.extensions().get().cloned());
        let (hub, runtime, answer) = (hub.clone(), Handle::current(), Mutex::new(Some(answer)));
        let (since, _unanswered) = (Instant::now(), hub.tally.request());
        let parts = Parts {
            http,
            offer,
            remote_address,
            peer_addr,
            tls,
            hub,
            runtime,
            since,
            span,
            _unanswered,
            answer,
            in_hand: None,
            admission,
        };
        Ok(Self(Box::new(parts)))
    }

    /// Keeps this until the request is answered, and its connection registered.
    pub(crate) fn keep(mut self, in_hand: InHand) -> Self {
        self.0.in_hand = Some(in_hand);
        self
    }

    /// Returns the HTTP request.
    #[doc(alias = "httpRequest")]
    pub fn http(&self) -> &http::Request<()> {
        &self.0.http
    }

    /// Returns the headers of the request.
    pub fn headers(&self) -> &http::HeaderMap {
        self.0.http.headers()
    }

    /// Returns the data of the request by type, which the [connection](Connection::data) keeps. It
    /// is what the program [puts there](Self::data_mut), and the extensions that an HTTP library's
    /// request had, such as those of tower layers.
    ///
    /// Not to be confused with the [extensions](Self::extensions) of the protocol.
    pub fn data(&self) -> &Extensions {
        self.0.http.extensions()
    }

    /// Returns the data of the request, to add to it.
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

    /// Returns the host as in the `Host` header, with the port if it has one.
    pub fn host(&self) -> &str {
        self.0.offer.host()
    }

    /// Returns whether the request came over TLS to this server. If a proxy terminated TLS, it did
    /// not.
    pub fn is_secure(&self) -> bool {
        self.tls().is_some()
    }

    /// Whether the client is known to speak TLS, to this server or to a trusted proxy.
    fn is_known_secure(&self) -> bool {
        let proxies = &self.0.hub.options.trusted_proxies;
        let forwarded =
            self.peer_addr().and_then(|peer| proxies.client_is_secure(peer.ip(), self.headers()));
        self.is_secure() || forwarded == Some(true)
    }

    /// Returns the result of the TLS handshake, including the client's certificates, if the request
    /// [is secure](Self::is_secure).
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.tls.as_deref()
    }

    /// Returns the path and the query: `/chat?room=7`.
    pub fn resource(&self) -> &str {
        self.0.offer.resource()
    }

    /// Returns the parsed target of the request.
    #[doc(alias = "resourceURL")]
    pub fn uri(&self) -> &Uri {
        self.0.offer.uri()
    }

    /// Returns the path: `/chat`.
    pub fn path(&self) -> &str {
        self.0.offer.path()
    }

    /// Returns the query without the question mark: `room=7`.
    pub fn query(&self) -> Option<&str> {
        self.0.offer.query()
    }

    /// Returns the client's address: as reported by trusted proxies, or else that of
    /// [`peer_addr`](Self::peer_addr).
    #[doc(alias = "remoteAddress")]
    pub fn remote_address(&self) -> Option<IpAddr> {
        self.0.remote_address
    }

    /// Returns the address at the other end of the transport, which may be a proxy's.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer_addr
    }

    /// Returns the protocol version that the client asks for.
    #[doc(alias("webSocketVersion", "websocketVersion"))]
    pub fn version(&self) -> Version {
        self.0.offer.version()
    }

    /// Returns the origin of the page that makes the request, or `None` if it is not from a page.
    pub fn origin(&self) -> Option<&str> {
        self.0.offer.origin()
    }

    /// Returns the extensions that the client offers.
    #[doc(alias = "requestedExtensions")]
    pub fn extensions(&self) -> &[Extension] {
        self.0.offer.extensions()
    }

    /// Returns the subprotocols that the client offers, in its order of preference.
    #[doc(alias = "requestedProtocols")]
    pub fn protocols(&self) -> &[Subprotocol] {
        self.0.offer.protocols()
    }

    /// Returns the first of these protocols that the client offers, ignoring case. Pass them in the
    /// server's order of preference.
    pub fn choose_protocol<I>(&self, supported: I) -> Option<&Subprotocol>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.0.offer.choose_protocol(supported)
    }

    /// Returns the cookies of the request.
    pub fn cookies(&self) -> &[Cookie] {
        self.0.offer.cookies()
    }

    /// Accepts without a subprotocol, if the server's [origin policy](crate::OriginPolicy) allows
    /// it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OriginRefused`] for a page of another origin; it has been answered with 403.
    /// [`ErrorKind::RequestGone`] if the client is gone, or has not taken the response within the
    /// [`handshake_timeout`](crate::ServerBuilder::handshake_timeout).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client gets one whole response. If this future is dropped after it was
    /// polled, it continues in the background, and the connection is closed with 1001, as any
    /// dropped connection. If it was never polled, the request is dropped, and so answered with
    /// 500.
    pub fn accept(self) -> impl Future<Output = Result<Connection>> + Send {
        self.accept_with(Accept::new())
    }

    /// Accepts with a subprotocol, a confirmed origin, cookies or headers.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept). [`ErrorKind::InvalidHandshakeOption`] for a subprotocol that
    /// was not offered or an invalid header; the request has been answered with 500.
    ///
    /// # Cancel safety
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_with(self, accept: Accept) -> impl Future<Output = Result<Connection>> + Send {
        let (runtime, span) = (self.0.runtime.clone(), self.0.span.clone());
        SeeThrough::new(runtime, self.answer_with(accept).instrument(span))
    }

    /// Accepts, if allowed. Run it in its own task: it does not continue when dropped.
    pub(crate) async fn answer_with(mut self, accept: Accept) -> Result<Connection> {
        let config = &self.0.hub.options.config;
        // The program's choice takes precedence over the configuration. Frames are handed out as
        // they come, so compression is not possible then.
        let accept = match config.assemble_fragments {
            true => accept.compression_by_default(config.negotiable_compression()),
            false => accept.compression(None),
        };
        let accept = match self.is_known_secure() {
            true => accept.over_tls(true),
            false => accept,
        };
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
        let status = response.status();
        record_answer(&self.0.span, status, info.protocol.as_deref());
        self.0.hub.tally.accept();
        self.0.hub.event(|| ServerEvent::Accepted(Arc::new(info.clone())));
        let hub = self.0.hub.clone();
        let admission = self.0.admission.take();
        let Some(answer) = self.take_answer() else { return Err(answered()) };
        let accepted = answer.accept(&hub, response).await.map_err(gone)?;
        self.measure(status);
        let Accepted { stream, early, on_its_way } = accepted;
        let observer = Account::observer(&hub);
        let established = Established { stream, early, info, response: None };
        let mut connection =
            Connection::establish(established, &hub.options.config, Some(observer));
        if let Some(throttling) = &hub.options.throttling {
            connection.throttle(Throttle::new(throttling));
        }
        if let Some(counted) = admission {
            counted.keep();
        }
        hub.connections.add(connection.shared());
        drop(on_its_way);
        hub.event(|| ServerEvent::Connected(connection.shared().info.clone()));
        Ok(connection)
    }

    /// Accepts for `auto_accept`, with the first subprotocol. The origin policy applies.
    pub(crate) async fn answer_unasked(self) -> Result<Connection> {
        let mut accept = Accept::new();
        if let Some(protocol) = self.protocols().first() {
            accept = accept.protocol(protocol.as_str());
        }
        let span = self.0.span.clone();
        self.answer_with(accept).instrument(span).await
    }

    /// Rejects with this status and a reason for the client's developer, which is sent in the
    /// header `X-WebSocket-Reject-Reason` and the body. 403 is a good choice if no other status
    /// fits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RequestGone`] if the client is gone, or has not taken the response within the
    /// [`handshake_timeout`](crate::ServerBuilder::handshake_timeout).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client gets one whole response. If this future is dropped after it was
    /// polled, it continues in the background. If it was never polled, the request is dropped, and
    /// so answered with 500.
    pub async fn reject(self, status: StatusCode, reason: impl Into<String>) -> Result<()> {
        self.reject_with(Rejection::new(status, reason.into())).await
    }

    /// Rejects with a status, a reason and headers. [`Rejection::default`] is a 403, the default of
    /// WebSocket-Node.
    ///
    /// # Errors
    ///
    /// As [`reject`](Self::reject). [`ErrorKind::InvalidHandshakeOption`] for an invalid header;
    /// the request has been answered without it.
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
        record_answer(&self.0.span, rejection.status(), None);
        self.measure(rejection.status());
        let left_out = rejection.header_error().map(|error| {
            Error::new(ErrorKind::InvalidHandshakeOption, error.to_string())
                .with_source(error.clone())
        });
        answer.reject(&self.0.hub, rejection.into(), mechanism, peer).await.map_err(gone)?;
        left_out.map_or(Ok(()), Err)
    }

    /// Resolves once an HTTP library has dropped the future of the response: its client is gone. For
    /// the request of a stream, never resolves.
    pub(crate) async fn gone(&mut self) {
        let answer = self.0.answer.get_mut().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Some(Answer::Upgrade { respond, .. }) => respond.closed().await,
            _ => std::future::pending().await,
        }
    }

    /// Reports how long the request has waited for its answer.
    fn measure(&self, status: StatusCode) {
        let Parts { hub, offer, since, .. } = &*self.0;
        hub.measured.note(|| Measurement::Handshake {
            status,
            mechanism: offer.mechanism(),
            is_secure: self.is_secure(),
            duration: since.elapsed(),
        });
    }

    fn take_answer(&mut self) -> Option<Answer> {
        self.0.answer.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn info(&mut self, agreed: Agreed) -> Info {
        let mut data = mem::take(self.0.http.extensions_mut());
        // Only the handshake needs it.
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
            http_version: Some(self.0.http.version()),
            request: Requested::new(self.resource(), data),
        }
    }
}

fn gone(error: io::Error) -> Error {
    Error::new(ErrorKind::RequestGone, format!("the response can't be sent to the client: {error}"))
        .with_source(error)
}

fn answered() -> Error {
    Error::new(ErrorKind::RequestGone, "the request has been answered already")
}

impl Drop for Request {
    fn drop(&mut self) {
        let Some(answer) = self.take_answer() else { return };
        if answer.is_unwanted() {
            return;
        }
        let status = unanswered().status();
        record_answer(&self.0.span, status, None);
        self.measure(status);
        let hub = self.0.hub.clone();
        let (mechanism, peer) = (self.0.offer.mechanism(), self.0.peer_addr);
        self.0.runtime.spawn(async move {
            let _ = answer.reject(&hub, unanswered().into(), mechanism, peer).await;
        });
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("resource", &self.resource())
            .field("remote_address", &self.0.remote_address)
            .finish_non_exhaustive()
    }
}
