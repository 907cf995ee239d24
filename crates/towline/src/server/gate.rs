//! The way in: from a listening socket, a stream or an HTTP library to the program.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use towline_proto::handshake::{Rejection, Transport, parse_request};

use crate::connection::Connection;
use crate::head::{ReadError, read_head};
use crate::server::hub::{Hub, Options};
use crate::server::request::{Answer, Request};
use crate::transport::AnyStream;

/// How long to wait where the process is out of sockets: the next attempt would fail as well.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// What the program gets.
pub(crate) enum Arrival {
    Request(Box<Request>),
    Connection(Box<Connection>),
}

/// The way in. Clones are the same.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) hub: Arc<Hub>,
    /// It holds no more requests than there are permits in the hub.
    arrivals: mpsc::UnboundedSender<Arrival>,
}

impl Gate {
    /// The gate, and where what comes through it comes out.
    pub(crate) fn new(options: Options) -> (Self, mpsc::UnboundedReceiver<Arrival>) {
        let (arrivals, arrived) = mpsc::unbounded_channel();
        (Self { hub: Hub::new(options), arrivals }, arrived)
    }

    /// A place among the handshakes, once there is one.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.hub.handshakes.clone().acquire_owned().await.ok()
    }

    /// Accepts on a listening socket until the server is unmounted again.
    pub(crate) async fn listen(self, listener: TcpListener, unmounts: usize) {
        while let Some(accepted) = self.hub.until_unmounted(unmounts, self.accept(&listener)).await
        {
            match accepted {
                Ok((stream, peer, permit)) => {
                    // A socket that has ended meanwhile says so at the first read.
                    let _ = stream.set_nodelay(self.hub.options.disable_nagle_algorithm);
                    let stream = AnyStream::Tcp(stream);
                    tokio::spawn(self.clone().handshake(stream, Some(peer), permit));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "can't accept connections for now");
                    tokio::time::sleep(OUT_OF_SOCKETS).await;
                }
            }
        }
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, Option<OwnedSemaphorePermit>)> {
        let permit = self.permit().await;
        let (stream, peer) = listener.accept().await?;
        Ok((stream, peer, permit))
    }

    /// Reads a request from a stream and hands it to the program, or answers it where it is no
    /// valid handshake.
    pub(crate) async fn handshake(
        self,
        mut stream: AnyStream,
        peer: Option<SocketAddr>,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let _pending = self.hub.pend();
        let Options { head_limits, handshake_timeout, .. } = self.hub.options;
        let mut early = Vec::new();
        let head = read_head(&mut stream, &mut early, |bytes| parse_request(bytes, &head_limits));
        let rejection = match tokio::time::timeout(handshake_timeout, head).await {
            Ok(Ok(http)) => {
                return self.admit(http, peer, Answer::Stream { stream, early }, permit).await;
            }
            Ok(Err(ReadError::Parse(rejection))) => rejection,
            Ok(Err(ReadError::Nothing)) => return,
            Ok(Err(ReadError::Io(error))) => return tracing::debug!(?peer, %error, "no request"),
            Err(_) => Rejection::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("no whole request within {handshake_timeout:?} (handshake_timeout)"),
            ),
        };
        let answer = Answer::Stream { stream, early };
        // Whether the client reads the answer is its own affair.
        let _ = answer.reject(&self.hub, rejection, Transport::Http1Upgrade, peer).await;
    }

    /// Hands a request to the program, as one or as the connection it becomes, or answers it
    /// where it is no valid handshake.
    pub(crate) async fn admit(
        self,
        http: http::Request<()>,
        peer: Option<SocketAddr>,
        answer: Answer,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let transport = Transport::of(&http);
        let mut request = match Request::new(http, peer, &self.hub, answer) {
            Ok(request) => request,
            Err(refused) => {
                let (rejection, answer) = *refused;
                let _ = answer.reject(&self.hub, rejection, transport, peer).await;
                return;
            }
        };
        if !self.hub.options.auto_accept {
            request.permit = self.hub.requests.clone().acquire_owned().await.ok();
            drop(permit);
            return self.arrive(Arrival::Request(Box::new(request)));
        }
        match request.accept_anything().await {
            Ok(connection) => self.arrive(Arrival::Connection(Box::new(connection))),
            Err(error) => tracing::debug!(%error, "request not accepted"),
        }
    }

    fn arrive(&self, arrival: Arrival) {
        // A server that is gone drops it, and so answers it.
        let _ = self.arrivals.send(arrival);
    }
}

/// Whether an error of `accept` is one of the connection that was to be accepted, and not of the
/// listening socket.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
