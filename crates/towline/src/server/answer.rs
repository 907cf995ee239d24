//! The response to a request, being sent to the client.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;
use towline_proto::handshake::{Mechanism, encode_response};

use crate::server::accepting::OnItsWay;
use crate::server::hub::Hub;
use crate::server::rejections::Refusal;
use crate::transport::{AnyStream, Io, TlsInfo};

/// How long to wait for a rejected client to read the response.
const LINGER: Duration = Duration::from_secs(1);

/// Where the response goes.
pub(crate) enum Answer {
    /// The stream of the request, which then becomes the connection's.
    Stream {
        stream: AnyStream,
        early: Vec<u8>,
        /// Whether TCP_NODELAY is set already.
        is_set_up: bool,
    },
    /// An HTTP library, which then gives the stream.
    Upgrade { respond: oneshot::Sender<http::Response<Bytes>>, stream: UpgradeFuture },
}

/// Resolves to the stream once the library releases it.
pub(crate) type UpgradeFuture = Pin<Box<dyn Future<Output = io::Result<Upgraded>> + Send>>;

/// The stream of an accepted request.
pub(crate) struct Accepted {
    pub(crate) stream: AnyStream,
    pub(crate) early: Vec<u8>,
    /// Drop it once the connection is registered.
    pub(crate) on_its_way: Option<OnItsWay>,
}

/// The stream of a request that came through an HTTP library, for
/// [`ServerHandle::request`](crate::ServerHandle::request) and
/// [`ServerHandle::upgrade`](crate::ServerHandle::upgrade).
///
/// [`ServerHandle::request`](crate::ServerHandle::request) has an example.
pub struct Upgraded {
    /// Never locked. It makes this type `Sync` although a stream need not be.
    stream: Mutex<AnyStream>,
    early: Vec<u8>,
}

impl Upgraded {
    /// Wraps the stream and the bytes that the library has read after the request.
    ///
    /// Pass a `TcpStream` itself where it can be taken out of the library's wrapper: it is
    /// recognised, and costs less.
    pub fn new(stream: impl Io, early: impl Into<Vec<u8>>) -> Self {
        Self { stream: Mutex::new(AnyStream::new(stream)), early: early.into() }
    }

    fn into_parts(self) -> (AnyStream, Vec<u8>) {
        (self.stream.into_inner().unwrap_or_else(PoisonError::into_inner), self.early)
    }
}

impl Answer {
    /// A response on a stream from which nothing was read after the request.
    pub(crate) fn on(stream: AnyStream) -> Self {
        Self::Stream { stream, early: Vec::new(), is_set_up: false }
    }

    /// What the TLS handshake of the stream agreed on, if known before the stream is released.
    pub(crate) fn tls(&self) -> Option<Arc<TlsInfo>> {
        match self {
            Self::Stream { stream, .. } => stream.tls(),
            Self::Upgrade { .. } => None,
        }
    }

    /// Whether the HTTP library has dropped the response, and so answered the request in another
    /// way, if at all.
    pub(crate) fn is_unwanted(&self) -> bool {
        match self {
            Self::Stream { .. } => false,
            Self::Upgrade { respond, .. } => respond.is_closed(),
        }
    }

    /// Sends this response and turns the stream into the connection's.
    pub(crate) async fn accept(
        self,
        hub: &Hub,
        response: http::Response<()>,
    ) -> io::Result<Accepted> {
        let answering = async {
            match self {
                Self::Stream { mut stream, mut early, is_set_up } => {
                    // The request's buffer is large enough, and usually no longer used.
                    let mut head =
                        if early.is_empty() { mem::take(&mut early) } else { Vec::new() };
                    head.reserve(256);
                    encode_response(&response, &mut head);
                    stream.write_all(&head).await?;
                    stream.flush().await?;
                    Ok((stream, early, is_set_up))
                }
                Self::Upgrade { respond, stream } => {
                    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
                    respond.send(response.map(|()| Bytes::new())).map_err(gone)?;
                    let (stream, early) = stream.await?.into_parts();
                    Ok((stream, early, false))
                }
            }
        };
        let answering = hub.accepting.wait(answering);
        let ((stream, early, is_set_up), on_its_way) = in_time(hub, answering).await?;
        if !is_set_up {
            stream.set_nodelay(hub.options.nodelay);
        }
        Ok(Accepted { stream, early, on_its_way })
    }

    /// Sends a refusal and reports it as an event.
    pub(crate) async fn reject(
        self,
        hub: &Arc<Hub>,
        refusal: Refusal,
        mechanism: Mechanism,
        peer_addr: Option<SocketAddr>,
    ) -> io::Result<()> {
        hub.refused(&refusal, peer_addr);
        let response = refusal.rejection.response(mechanism);
        match self {
            Self::Stream { mut stream, .. } => {
                let mut bytes = Vec::with_capacity(512);
                encode_response(&response, &mut bytes);
                bytes.extend_from_slice(response.body());
                let answering = async {
                    stream.write_all(&bytes).await?;
                    stream.shutdown().await
                };
                in_time(hub, answering).await?;
                if let Ok(place) = hub.lingering.clone().try_acquire_owned() {
                    tokio::spawn(linger(stream, place));
                }
                Ok(())
            }
            Self::Upgrade { respond, .. } => {
                respond.send(response).map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
        }
    }
}

/// Returns the result of `answering`, unless the client takes too long to read the response.
async fn in_time<T>(hub: &Hub, answering: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let limit = hub.options.handshake_timeout;
    timeout(limit, answering).await.unwrap_or_else(|_| {
        let why = format!("it was not taken within {limit:?} (handshake_timeout)");
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    })
}

/// Reads what the client still sends. Closing a socket with unread bytes would reset it, and the
/// client would lose the response.
async fn linger(mut stream: AnyStream, _place: OwnedSemaphorePermit) {
    let _ = timeout(LINGER, async {
        let mut bytes = [0; 1024];
        while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
    })
    .await;
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("early", &self.early.len()).finish_non_exhaustive()
    }
}
