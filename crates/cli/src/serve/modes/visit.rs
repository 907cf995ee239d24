//! A visit: from a request to the end of its connection, in any mode.

use std::future::Future;

use towline::{Connection, Error, Request, Result};

use crate::secrets;
use crate::serve::journal;
use crate::serve::live::Live;

/// What a server does with its connections.
pub(crate) trait Mode: Sync {
    /// What was set aside for a connection before it was accepted.
    type Seat: Send;

    /// Accepts a request, or rejects it and returns `None`.
    fn accept(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Option<(Connection, Self::Seat)>>> + Send;

    /// Serves a connection until it is closing or closed.
    fn attend(
        &self,
        connection: Connection,
        seat: Self::Seat,
        peer: &str,
    ) -> impl Future<Output = Done> + Send;

    /// What all connections have done, for the line at the end of the program.
    fn summary(&self) -> String;
}

/// What was done on a connection.
pub(crate) struct Done {
    /// For the log: `3 messages echoed`.
    pub(crate) what: String,
    /// The error that ended the connection.
    pub(crate) error: Option<Error>,
}

/// What visits have in common.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) verbose: u8,
    pub(crate) live: Live,
}

/// Accepts a request and serves its connection. Returns whether it was closed cleanly; a request that
/// does not become a connection counts as clean.
pub(crate) async fn visit<M: Mode>(mode: &M, request: Request, host: &Host) -> bool {
    let peer = journal::peer(&request);
    let resource = (host.verbose > 0).then(|| secrets::without_query(request.resource()));
    // Refused requests are reported by an event of the server.
    let Ok(Some((connection, seat))) = mode.accept(request).await else { return true };
    if let Some(resource) = resource {
        journal::opened(&peer, &connection, &resource);
    }
    let sender = connection.sender();
    let done = mode.attend(connection, seat, &peer).await;
    let closed = sender.wait_closed().await;
    host.live.ended(&sender, &closed);
    if host.verbose > 0 {
        journal::ended(&peer, &closed, done.error.as_ref(), &done.what);
    }
    closed.is_clean()
}
