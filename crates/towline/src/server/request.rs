//! A client's request for a connection: inspect it, then accept or reject it.

mod answering;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::HOST;
use http::{Extensions, Uri};
use tokio::runtime::Handle;
use tokio::time::Instant;
#[cfg(doc)]
use towline_proto::handshake::Accept;
use towline_proto::handshake::{
    Cookie, Extension, Mechanism, Offer, Rejection, Subprotocol, Version,
};
use towline_proto::{Config, Role};
use tracing::Span;

#[cfg(doc)]
use crate::connection::Connection;
use crate::connection::{answered as record_answer, handshake};
use crate::error::ErrorKind;
use crate::server::answer::Answer;
use crate::server::connections::Connections;
use crate::server::hub::{Hub, InHand, Options};
use crate::server::quota::Admission;
use crate::server::rejections::Refusal;
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
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("resource", &self.resource())
            .field("remote_address", &self.0.remote_address)
            .finish_non_exhaustive()
    }
}
