//! The answer to a request, on its way to the client.

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
use tokio::sync::oneshot;
use tokio::time::timeout;
use towline_proto::handshake::{Mechanism, Rejection, encode_response};

use crate::server::accepting::OnItsWay;
use crate::server::event::ServerEvent;
use crate::server::hub::Hub;
use crate::transport::{AnyStream, Io, TlsInfo};

/// How long a rejected client may take to read the answer.
const LINGER: Duration = Duration::from_secs(1);

/// Where the answer goes.
pub(crate) enum Answer {
    /// Onto the stream that the request came on, which is the connection's then.
    Stream {
        stream: AnyStream,
        early: Vec<u8>,
        /// Whether the stream knows already when small writes are to go out.
        is_set_up: bool,
    },
    /// Through an HTTP library, which gives the stream for it.
    Upgrade { respond: oneshot::Sender<http::Response<Bytes>>, stream: UpgradeFuture },
}

/// The stream, once the library is done with it.
pub(crate) type UpgradeFuture = Pin<Box<dyn Future<Output = io::Result<Upgraded>> + Send>>;

/// The stream of a request that was accepted.
pub(crate) struct Accepted {
    pub(crate) stream: AnyStream,
    pub(crate) early: Vec<u8>,
    /// Drop it when the connection is known.
    pub(crate) on_its_way: Option<OnItsWay>,
}

/// The stream of a request that came through an HTTP library, once that is done with it.
pub struct Upgraded {
    /// Never locked: a stream need not be `Sync`, and this is.
    stream: Mutex<AnyStream>,
    early: Vec<u8>,
}

impl Upgraded {
    /// The stream, and what the library has read from it behind the request.
    ///
    /// A stream that is a `TcpStream` is known as one: take it out of the library's wrapper where
    /// that is possible.
    pub fn new(stream: impl Io, early: impl Into<Vec<u8>>) -> Self {
        Self { stream: Mutex::new(AnyStream::new(stream)), early: early.into() }
    }

    fn into_parts(self) -> (AnyStream, Vec<u8>) {
        (self.stream.into_inner().unwrap_or_else(PoisonError::into_inner), self.early)
    }
}

impl Answer {
    /// An answer on a stream from which nothing was read behind the request.
    pub(crate) fn on(stream: AnyStream) -> Self {
        Self::Stream { stream, early: Vec::new(), is_set_up: false }
    }

    /// What the TLS handshake of its stream agreed on, where that is known before it is given.
    pub(crate) fn tls(&self) -> Option<Arc<TlsInfo>> {
        match self {
            Self::Stream { stream, .. } => stream.tls(),
            Self::Upgrade { .. } => None,
        }
    }

    /// Answers with this, and makes the stream the connection's.
    pub(crate) async fn accept(
        self,
        hub: &Hub,
        response: http::Response<()>,
    ) -> io::Result<Accepted> {
        let answering = async {
            match self {
                Self::Stream { mut stream, mut early, is_set_up } => {
                    // The request's buffer is large enough, and in most cases of no use any more.
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
        let ((stream, early, is_set_up), on_its_way) =
            timeout(hub.options.handshake_timeout, answering).await??;
        if !is_set_up {
            stream.set_nodelay(hub.options.nodelay);
        }
        Ok(Accepted { stream, early, on_its_way })
    }

    /// Answers with a rejection, and tells who watches the server.
    pub(crate) async fn reject(
        self,
        hub: &Arc<Hub>,
        rejection: Rejection,
        mechanism: Mechanism,
        peer_addr: Option<SocketAddr>,
    ) -> io::Result<()> {
        tracing::debug!(?peer_addr, %rejection, "request rejected");
        hub.event(|| ServerEvent::Rejected {
            status: rejection.status(),
            reason: rejection.reason().to_owned(),
            peer_addr,
        });
        let response = rejection.response(mechanism);
        match self {
            Self::Stream { mut stream, .. } => {
                let mut bytes = Vec::with_capacity(512);
                encode_response(&response, &mut bytes);
                bytes.extend_from_slice(response.body());
                let answering = async {
                    stream.write_all(&bytes).await?;
                    stream.shutdown().await
                };
                timeout(hub.options.handshake_timeout, answering).await??;
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
