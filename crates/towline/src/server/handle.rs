//! What can be done with a server from any task.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use towline_proto::handshake::Transport;
use towline_proto::{CloseCode, CloseFrame, Config};

use crate::error::{Error, ErrorKind, Result};
use crate::server::answer::{Answer, Upgraded};
use crate::server::connections::Connections;
use crate::server::event::Events;
#[cfg(doc)]
use crate::server::event::ServerEvent;
use crate::server::gate::Gate;
use crate::server::request::unanswered;
use crate::transport::{AnyStream, Io};

/// A handle of a [`Server`](crate::Server), for any task: to mount and unmount, to watch, to broadcast, to shut
/// down. Clones are the same.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) gate: Gate,
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
}

/// What a shutdown has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Connections that there were.
    pub connections: usize,
    /// Those of them that had not ended by the deadline, and were aborted.
    pub aborted: usize,
}

impl ServerHandle {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate, addresses: Arc::default() }
    }

    /// Listens on one more socket; after [`unmount`](Self::unmount), on the first again.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn mount(&self, listener: TcpListener) {
        self.gate.hub.connections.set_shutdown(None);
        self.gate.hub.set_mounted(true);
        if let Ok(address) = listener.local_addr() {
            self.lock_addresses().push(address);
        }
        tokio::spawn(self.gate.clone().listen(listener, self.gate.hub.unmounts()));
    }

    /// Takes no further requests: the listening sockets are closed, and an HTTP library that the
    /// server is mounted on treats handshakes like any other request. Connections are left alone,
    /// and requests that have come can still be answered.
    pub fn unmount(&self) {
        self.lock_addresses().clear();
        self.gate.hub.set_mounted(false);
    }

    /// Whether requests are taken.
    pub fn is_mounted(&self) -> bool {
        self.gate.hub.is_mounted()
    }

    /// The addresses that are listened on.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.lock_addresses().clone()
    }

    /// The address that is listened on: the first one, if there are several.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] where there is none.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let first = self.lock_addresses().first().copied();
        first.ok_or_else(|| Error::new(ErrorKind::Listen, "the server listens on no address"))
    }

    /// Reads a request from a stream of any kind and hands it to
    /// [`next_request`](crate::Server::next_request), as if it had come through a listening socket. Where
    /// no address is given, a TCP stream's own is taken.
    ///
    /// All of that goes on in the background, as soon as there is a place among the
    /// [handshakes](crate::ServerBuilder::max_handshakes); until then the stream waits, unread.
    /// While the server is unmounted, the answer is 503.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn serve(&self, stream: impl Io, peer_address: Option<SocketAddr>) {
        let stream = AnyStream::new(stream);
        let peer = peer_address.or_else(|| stream.peer_address());
        self.gate.serve(stream, peer);
    }

    /// Hands a request that came through an HTTP library to [`Server::next_request`](crate::Server::next_request), and resolves
    /// to the response to send, which is 503 while the server is unmounted.
    ///
    /// `upgraded` is awaited once the response with status 101, or 200 to an extended CONNECT, is
    /// on its way. An extended CONNECT bears a [`Protocol`](towline_proto::handshake::Protocol) among the request's
    /// extensions.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it is the response that is dropped, so the client is taken to have gone.
    /// Accepting the request fails with [`ErrorKind::RequestGone`] then.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn upgrade(
        &self,
        request: http::Request<()>,
        peer_address: Option<SocketAddr>,
        upgraded: impl Future<Output = io::Result<Upgraded>> + Send + 'static,
    ) -> http::Response<Bytes> {
        let gate = self.gate.clone();
        let pending = gate.hub.pend();
        let transport = Transport::of(&request);
        let (respond, response) = oneshot::channel();
        let answer = Answer::Upgrade { respond, stream: Box::pin(upgraded) };
        if gate.hub.is_mounted() {
            let permit = gate.permit().await;
            tokio::spawn(async move {
                let _pending = pending;
                gate.admit(request, peer_address, answer, permit).await;
            });
        } else {
            gate.refuse(answer, transport, peer_address).await;
        }
        response.await.unwrap_or_else(|_| unanswered().response(transport))
    }

    /// The connections there are now.
    pub fn connections(&self) -> Connections {
        self.gate.hub.connections.clone()
    }

    /// What happens from now on: requests accepted and rejected, connections made and ended.
    ///
    /// Up to 1024 events are kept for one who is slow to take them; then the oldest are missed,
    /// and [`ServerEvent::Missed`] says how many.
    pub fn events(&self) -> Events {
        Events(self.gate.hub.subscribe())
    }

    /// How connections behave.
    pub fn config(&self) -> &Config {
        &self.gate.hub.options.config
    }

    /// Closes all connections there are now, and waits until they have ended, which takes as long
    /// as the [close timeout](Config::close_timeout) at most. Returns how many there were.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a code that must not be sent or a reason of more than 123
    /// bytes. Nothing has happened then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: closing has begun when this is first polled, and goes on in any case.
    #[doc(alias = "closeAllConnections")]
    pub async fn close_all(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<usize> {
        let frame = CloseFrame::new(code, reason.as_ref().to_owned())
            .map_err(|error| Error::new(ErrorKind::InvalidSend, error.to_string()))?;
        let senders = self.connections().senders();
        self.gate.hub.connections.start_close_all(&frame);
        for sender in &senders {
            sender.wait_closed().await;
        }
        Ok(senders.len())
    }

    /// Unmounts, closes all connections, and waits until the last one has ended; those that have
    /// not within `deadline` are aborted.
    ///
    /// Requests that have come and not been answered are up to the program; a connection that it
    /// accepts from one of them is closed as well.
    ///
    /// # Errors
    ///
    /// As [`close_all`](Self::close_all).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was begun goes on, but nothing is aborted.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[doc(alias = "shutDown")]
    pub async fn shutdown(&self, code: CloseCode, deadline: Duration) -> Result<Shutdown> {
        let frame = CloseFrame::new(code, "")
            .map_err(|error| Error::new(ErrorKind::InvalidSend, error.to_string()))?;
        self.unmount();
        self.gate.hub.connections.set_shutdown(Some(&frame));
        let mut connections = self.gate.hub.connections.start_close_all(&frame);
        let ended = self.gate.hub.connections.wait_for_none();
        let aborted = match tokio::time::timeout(deadline, ended).await {
            Ok(()) => 0,
            Err(_) => self.gate.hub.connections.abort_all(),
        };
        connections = connections.max(aborted);
        Ok(Shutdown { connections, aborted })
    }

    fn lock_addresses(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &*self.lock_addresses())
            .field("connections", &self.gate.hub.connections.len())
            .finish_non_exhaustive()
    }
}
