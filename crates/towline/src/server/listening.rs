//! Listening sockets.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};
use tokio::sync::oneshot;
use towline_proto::handshake::Mechanism;

use crate::server::answer::Answer;
use crate::server::seldom::Seldom;
use crate::server::standing::Term;
use crate::server::way::{Entry, Way, drop_unseen, refuse, turn_away};
use crate::transport::AnyStream;

/// How many connections the backlog holds, as with [`TcpListener::bind`].
const BACKLOG: u32 = 1024;

/// How long to wait when the process is out of sockets: an immediate retry would fail as well.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// Listens on the first of the addresses that can be listened on. With `shared`, other sockets that
/// also set it can listen there too.
pub(crate) async fn bind(address: impl ToSocketAddrs, shared: bool) -> io::Result<TcpListener> {
    if !shared {
        return TcpListener::bind(address).await;
    }
    let mut failed = None;
    for address in lookup_host(address).await? {
        match bind_shared(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed
        .unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the name has no address")))
}

fn bind_shared(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    share_port(&socket)?;
    // As in `TcpListener::bind`, so that a server can be restarted at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(all(unix, not(any(target_os = "illumos", target_os = "solaris"))))]
fn share_port(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(not(all(unix, not(any(target_os = "illumos", target_os = "solaris")))))]
fn share_port(_: &TcpSocket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "ports can't be shared on this system"))
}

/// Accepts on a listening socket until told to stop.
pub(crate) async fn accept(
    way: Arc<Way>,
    listener: TcpListener,
    term: Term,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut no_delay = NoDelay::of(&listener, way.hub.options.nodelay);
    while let Some((stream, peer)) =
        unless(&mut stopped, accept_one(&listener, &way.hub.lines().accept_failed)).await
    {
        let is_set_up = no_delay.is_inherited_by(&stream);
        let (stream, peer) = (AnyStream::Tcp(stream), Some(peer));
        // Further clients wait in the socket's backlog.
        let Some(permit) = unless(&mut stopped, way.hub.place()).await else {
            let hub = way.hub.clone();
            drop((way, listener));
            // Before a TLS handshake there is no HTTP to answer by.
            if hub.options.tls.is_none() {
                refuse(&hub, Answer::on(stream), Mechanism::Http1Upgrade, peer).await;
            }
            return;
        };
        let admission = match way.hub.arrive(peer) {
            Ok(admission) => admission,
            Err(rejection) => {
                let hub = way.hub.clone();
                match hub.options.tls {
                    // A TLS handshake to say no would cost as much as one that is allowed.
                    Some(_) => drop_unseen(&hub, &rejection, peer),
                    None => drop(tokio::spawn(turn_away(hub, stream, rejection, peer, permit))),
                }
                continue;
            }
        };
        let entry = Entry { term, permit, admission };
        let way = way.clone();
        match way.hub.options.tls.clone() {
            Some(tls) => {
                if !is_set_up {
                    stream.set_nodelay(way.hub.options.nodelay);
                }
                tokio::spawn(way.secure(tls, stream, peer, entry));
            }
            None => {
                let deadline = way.deadline();
                tokio::spawn(way.handshake(stream, is_set_up, peer, entry, deadline));
            }
        }
    }
}

/// Waits for the next connection. Errors are logged, and do not end the wait.
///
/// Cancel safe.
pub async fn accept_one(listener: &TcpListener, failed: &Seldom) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if let Some(left_out) = failed.turn() {
                    let left_out = left_out.count();
                    tracing::warn!(%error, left_out, "accepting connections failed; retrying");
                }
                tokio::time::sleep(OUT_OF_SOCKETS).await;
            }
        }
    }
}

/// Returns the output of `future`, or `None` once told to stop.
async fn unless<F: Future>(stopped: &mut oneshot::Receiver<()>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match Pin::new(&mut *stopped).poll(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => future.as_mut().poll(cx).map(Some),
    })
    .await
}

/// Whether an error of `accept` is about the connection to be accepted, not the listening socket.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// Whether accepted sockets inherit TCP_NODELAY from the listening socket. On most systems they do,
/// which saves a system call for each.
enum NoDelay {
    Unknown { wanted: bool },
    Known { is_inherited: bool },
}

impl NoDelay {
    fn of(listener: &TcpListener, wanted: bool) -> Self {
        match SockRef::from(listener).set_tcp_nodelay(wanted) {
            Ok(()) => Self::Unknown { wanted },
            Err(_) => Self::Known { is_inherited: false },
        }
    }

    /// Determined from the first one.
    fn is_inherited_by(&mut self, stream: &TcpStream) -> bool {
        match *self {
            Self::Known { is_inherited } => is_inherited,
            Self::Unknown { wanted } => {
                let is_inherited = stream.nodelay().is_ok_and(|on| on == wanted);
                *self = Self::Known { is_inherited };
                is_inherited
            }
        }
    }
}
