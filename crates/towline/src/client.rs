//! The client: a URL in, a connection out.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use towline_proto::handshake::{
    Connect, HandshakeError, HeadLimits, Opening, Target, Version, encode_request, parse_response,
};
use towline_proto::{Config, Role};

use crate::connection::{Connection, Established, Info, next_id};
use crate::error::{Error, ErrorKind, Result};
use crate::head::{ReadError, read_head};
use crate::transport::{AnyStream, Io};

/// So much of the body is kept of an answer that is no WebSocket.
const BODY_START: usize = 4 << 10;

/// So many responses such as 103 may come before the one that counts.
const INTERIM_RESPONSES: usize = 8;

/// So long is waited for the body.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// What connects to servers. Set it up once and connect as often as you like; clones share what
/// can be shared.
///
/// ```no_run
/// # #[tokio::main] async fn main() -> towline::Result<()> {
/// let mut connection = towline::Client::new()
///     .protocols(["chat.v2"])
///     .header("authorization", "Bearer …")
///     .connect("ws://example.com/feed")
///     .await?;
/// connection.send("ship ahoy").await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "WebSocketClient")]
#[derive(Clone)]
#[must_use]
pub struct Client {
    connect: Connect,
    config: Config,
    head_limits: HeadLimits,
    connect_timeout: Duration,
    disable_nagle_algorithm: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            connect: Connect::new(),
            config: Config::client(),
            head_limits: HeadLimits::default(),
            connect_timeout: Duration::from_secs(30),
            disable_nagle_algorithm: true,
        }
    }
}

impl Client {
    /// A client with default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how connections behave. Default: [`Config::client`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Offers these subprotocols, in the order of preference; each call adds to them.
    #[doc(alias = "requestedProtocols")]
    pub fn protocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.connect = self.connect.protocols(names);
        self
    }

    /// Names the origin of the page on whose behalf the connection is made. Default: none.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.connect = self.connect.origin(origin);
        self
    }

    /// Adds this header to the request; each call adds one.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.connect = self.connect.header(name, value);
        self
    }

    /// Speaks this version. Default: [`Version::Rfc6455`]. Draft 8 differs in the name of the
    /// origin's header alone.
    #[doc(alias("webSocketVersion", "websocketVersion"))]
    pub fn version(mut self, version: Version) -> Self {
        self.connect = self.connect.version(version);
        self
    }

    /// Sets how long connecting may take in all: the name's look-up, the transport, the
    /// handshake. Default: 30 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how large the head of the server's answer may be. Default: 16 KiB and 100 headers.
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.head_limits = limits;
        self
    }

    /// Sets whether small writes go out at once rather than wait for company, on TCP streams,
    /// whoever dialled them. Default: on.
    #[doc(alias("disableNagleAlgorithm", "nodelay"))]
    pub fn disable_nagle_algorithm(mut self, on: bool) -> Self {
        self.disable_nagle_algorithm = on;
        self
    }

    /// Connects to the server that a URL names: `ws://example.com:8080/feed?room=7`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidUrl`], [`ErrorKind::InvalidHandshakeOption`]: what was asked for
    ///   can't be. [`ErrorKind::TlsUnavailable`] for `wss`: bring the TLS stream yourself, and
    ///   use [`connect_over`](Self::connect_over).
    /// - [`ErrorKind::Connect`]: no such host, nobody listens, no way there.
    /// - [`ErrorKind::HandshakeTimeout`]: it took longer than the
    ///   [`connect_timeout`](Self::connect_timeout).
    /// - [`ErrorKind::HttpResponse`]: the server answered with something other than a WebSocket;
    ///   [`Error::response`] has status, headers and the start of the body.
    /// - [`ErrorKind::Handshake`]: its answer is invalid.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a connection that is being made is given up.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    #[doc(alias = "connectFailed")]
    pub async fn connect(&self, url: impl AsRef<str>) -> Result<Connection> {
        let opening = self.open(url.as_ref())?;
        let target = opening.target();
        if target.is_secure() {
            return Err(Error::new(
                ErrorKind::TlsUnavailable,
                format!(
                    "{}: there is no TLS here yet; make a TLS stream and use connect_over",
                    url.as_ref()
                ),
            ));
        }
        self.in_time(target.authority(), async {
            let stream = AnyStream::Tcp(dial(target).await?);
            self.handshake(stream, &opening).await
        })
        .await
    }

    /// Connects over a stream that there is already: TLS, a tunnel, a Unix socket. The URL says
    /// what to ask for; its scheme and port are not dialled.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for what has to do with dialling.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stream is dropped.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub async fn connect_over(&self, stream: impl Io, url: impl AsRef<str>) -> Result<Connection> {
        let opening = self.open(url.as_ref())?;
        let stream = AnyStream::new(stream);
        let handshake = self.handshake(stream, &opening);
        self.in_time(opening.target().authority(), handshake).await
    }

    fn open(&self, url: &str) -> Result<Opening> {
        let uri: Uri = url.parse().map_err(|error| {
            Error::new(ErrorKind::InvalidUrl, format!("{url:?} is no URL: {error}"))
                .with_source(error)
        })?;
        let compression = self.config.negotiable_compression();
        self.connect.clone().compression(compression).open(&uri).map_err(|error| {
            let kind = match error {
                towline_proto::handshake::RequestError::Uri { .. } => ErrorKind::InvalidUrl,
                _ => ErrorKind::InvalidHandshakeOption,
            };
            Error::new(kind, error.to_string()).with_source(error)
        })
    }

    async fn in_time<T>(
        &self,
        authority: &str,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::time::timeout(self.connect_timeout, future).await.unwrap_or_else(|_| {
            let timeout = self.connect_timeout;
            Err(Error::new(
                ErrorKind::HandshakeTimeout,
                format!("no connection to {authority} within {timeout:?} (connect_timeout)"),
            ))
        })
    }

    async fn handshake(&self, mut stream: AnyStream, opening: &Opening) -> Result<Connection> {
        stream.set_nodelay(self.disable_nagle_algorithm);
        let peer_address = stream.peer_address();
        let authority = opening.target().authority();
        let lost = |error: io::Error| {
            Error::new(
                ErrorKind::Handshake,
                format!("the handshake with {authority} broke off: {error}"),
            )
            .with_source(error)
        };
        let mut request = Vec::with_capacity(512);
        encode_request(opening.request(), &mut request);
        stream.write_all(&request).await.map_err(lost)?;
        stream.flush().await.map_err(lost)?;

        let mut early = Vec::new();
        let response = self.response(&mut stream, &mut early, authority).await?;
        let agreed = match opening.verify(&response) {
            Ok(agreed) => agreed,
            Err(error @ HandshakeError::Status { .. }) => {
                let body = body_start(&mut stream, early, &response).await;
                return Err(Error::new(ErrorKind::HttpResponse, format!("{authority}: {error}"))
                    .with_source(error)
                    .with_response(response.map(|()| body)));
            }
            Err(error) => {
                return Err(Error::new(ErrorKind::Handshake, format!("{authority}: {error}"))
                    .with_source(error)
                    .with_response(response.map(|()| Bytes::new())));
            }
        };
        let info = Info {
            id: next_id(),
            role: Role::Client,
            protocol: agreed.protocol.map(|protocol| protocol.as_str().to_owned()),
            compression: agreed.compression,
            version: agreed.version,
            remote_address: peer_address.map(|address| address.ip()),
            peer_address,
            tls: stream.tls(),
        };
        let established = Established { stream, early, info, response: Some(Box::new(response)) };
        Ok(Connection::establish(established, &self.config, None))
    }

    /// The server's answer; what it says before that, such as 103, is passed over.
    async fn response(
        &self,
        stream: &mut AnyStream,
        early: &mut Vec<u8>,
        authority: &str,
    ) -> Result<http::Response<()>> {
        for _ in 0..=INTERIM_RESPONSES {
            let limit = self.head_limits.max_head_size;
            let parse = |bytes: &[u8]| parse_response(bytes, &self.head_limits);
            let response = match read_head(stream, early, limit, parse).await {
                Ok(response) => response,
                Err(error) => return Err(no_response(authority, error)),
            };
            let status = response.status();
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(response);
            }
        }
        Err(Error::new(
            ErrorKind::Handshake,
            format!("{authority} sent more than {INTERIM_RESPONSES} interim responses"),
        ))
    }
}

async fn dial(target: &Target) -> Result<TcpStream> {
    TcpStream::connect((target.host(), target.port())).await.map_err(|error| {
        let authority = target.authority();
        Error::new(ErrorKind::Connect, format!("can't connect to {authority}: {error}"))
            .with_source(error)
    })
}

fn no_response(authority: &str, error: ReadError<towline_proto::handshake::HeadError>) -> Error {
    match error {
        ReadError::Parse(error) => {
            Error::new(ErrorKind::Handshake, format!("{authority}: {error}")).with_source(error)
        }
        ReadError::Io(error) => {
            Error::new(ErrorKind::Handshake, format!("{authority} did not answer: {error}"))
                .with_source(error)
        }
        ReadError::Nothing => Error::new(
            ErrorKind::Handshake,
            format!("{authority} closed the connection without an answer"),
        ),
    }
}

/// The start of the body of an answer that is no WebSocket, as far as it comes without delay.
async fn body_start(
    stream: &mut AnyStream,
    mut body: Vec<u8>,
    response: &http::Response<()>,
) -> Bytes {
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(BODY_START);
    let wanted = length.min(BODY_START);
    let deadline = Instant::now() + BODY_WAIT;
    while body.len() < wanted {
        match tokio::time::timeout_at(deadline, stream.read_buf(&mut body)).await {
            Ok(Ok(1..)) => {}
            _ => break,
        }
    }
    body.truncate(wanted);
    body.into()
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}
