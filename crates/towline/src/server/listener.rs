//! From a listening socket, or any stream, to a request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use towline_proto::handshake::{Rejection, Transport, parse_request};

use crate::head::{ReadError, read_head};
use crate::server::hub::{Arrival, Hub};
use crate::server::request::{Answer, Request};
use crate::transport::AnyStream;

/// How long to wait where the process is out of sockets: the next attempt would fail as well.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// Accepts on a listening socket until the server is unmounted.
pub(crate) async fn listen(hub: Arc<Hub>, listener: TcpListener) {
    while let Some(accepted) = hub.while_mounted(accept(&hub, &listener)).await {
        match accepted {
            Ok((stream, peer, permit)) => {
                // A socket that has ended meanwhile says so at the first read.
                let _ = stream.set_nodelay(hub.options.disable_nagle_algorithm);
                tokio::spawn(handshake(hub.clone(), AnyStream::Tcp(stream), Some(peer), permit));
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
    hub: &Hub,
    listener: &TcpListener,
) -> io::Result<(TcpStream, SocketAddr, Option<OwnedSemaphorePermit>)> {
    let permit = permit(&hub.room).await;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

/// A place among the pending requests, once there is one.
pub(crate) async fn permit(room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // It is never closed.
    room.clone().acquire_owned().await.ok()
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

/// Reads a request from a stream and hands it to the program, or answers it where it is no valid
/// handshake.
pub(crate) async fn handshake(
    hub: Arc<Hub>,
    mut stream: AnyStream,
    peer: Option<SocketAddr>,
    permit: Option<OwnedSemaphorePermit>,
) {
    let _pending = hub.pend();
    let limits = hub.options.head_limits;
    let mut early = Vec::new();
    let head = read_head(&mut stream, &mut early, |bytes| parse_request(bytes, &limits));
    let head = tokio::time::timeout(hub.options.handshake_timeout, head).await;
    let rejection = match head {
        Ok(Ok(http)) => {
            let answer = Answer::Stream { stream, early };
            match Request::new(http, peer, &hub, answer) {
                Ok(request) => return arrive(&hub, request, permit).await,
                Err((rejection, answer)) => return reject(&hub, answer, rejection, peer).await,
            }
        }
        Ok(Err(ReadError::Parse(rejection))) => rejection,
        Ok(Err(ReadError::Nothing)) => return,
        Ok(Err(ReadError::Io(error))) => {
            return tracing::debug!(?peer, %error, "no request");
        }
        Err(_) => Rejection::new(
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "no whole request within {:?} (handshake_timeout)",
                hub.options.handshake_timeout
            ),
        ),
    };
    reject(&hub, Answer::Stream { stream, early }, rejection, peer).await;
}

/// Hands a valid request to the program, as one or as the connection it becomes.
pub(crate) async fn arrive(
    hub: &Arc<Hub>,
    mut request: Request,
    permit: Option<OwnedSemaphorePermit>,
) {
    if !hub.options.auto_accept {
        request.permit = permit;
        return hub.arrive(Arrival::Request(Box::new(request)));
    }
    match request.accept_anything().await {
        Ok(connection) => hub.arrive(Arrival::Connection(Box::new(connection))),
        Err(error) => tracing::debug!(%error, "request not accepted"),
    }
}

async fn reject(hub: &Arc<Hub>, answer: Answer, rejection: Rejection, peer: Option<SocketAddr>) {
    // Whether the client reads the answer is its own affair.
    let _ = answer.reject(hub, rejection, Transport::Http1Upgrade, peer).await;
}
