//! Echoes: from a request to the end of its connection.

use std::sync::Arc;

use towline::{Accept, Connection, Request, Result};

use crate::say;
use crate::serve::journal;
use crate::serve::tally::{Tally, count};

/// State shared by all echoes.
#[derive(Debug)]
pub(crate) struct Echo {
    /// The subprotocols to speak, most preferred first, or `any`.
    pub(crate) protocols: Vec<String>,
    pub(crate) verbose: u8,
    pub(crate) tally: Tally,
}

impl Echo {
    /// Accepts a request and echoes every message. Returns whether the connection was closed
    /// cleanly; a request that does not become a connection counts as clean.
    pub(crate) async fn serve(self: Arc<Self>, request: Request) -> bool {
        let peer = journal::peer(&request);
        let resource = request.resource().to_owned();
        // Refused requests are reported by an event of the server.
        let Ok(mut connection) = self.accept(request).await else { return true };
        if self.verbose > 0 {
            journal::opened(&peer, &connection, &resource);
        }
        let (echoed, error) = self.echo(&mut connection, &peer).await;
        let closed = connection.sender().wait_closed().await;
        if self.verbose > 0 {
            let done = format!("{} echoed", count(echoed, "message"));
            journal::ended(&peer, &closed, error.as_ref(), &done);
        }
        closed.is_clean()
    }

    async fn accept(&self, request: Request) -> Result<Connection> {
        let protocol = match &self.protocols[..] {
            [any] if any == "any" => request.protocols().first(),
            names => request.choose_protocol(names),
        };
        let accept = match protocol {
            Some(protocol) => Accept::new().protocol(protocol.as_str()),
            None => Accept::new(),
        };
        request.accept_with(accept).await
    }

    /// Returns how many messages were echoed, and the error that ended the connection.
    async fn echo(&self, connection: &mut Connection, peer: &str) -> (u64, Option<towline::Error>) {
        let mut echoed = 0;
        loop {
            let message = match connection.recv().await {
                Ok(Some(message)) => message,
                Ok(None) => return (echoed, None),
                Err(error) => return (echoed, Some(error)),
            };
            let length = message.len();
            if self.verbose > 1 {
                let kind = if message.is_text() { "text" } else { "binary" };
                say::note(format_args!("{peer} {kind}, {length} B"));
            }
            // If sending fails, receiving returns how the connection ended.
            if connection.send(message).await.is_ok() {
                self.tally.add(length);
                echoed += 1;
            }
        }
    }
}
