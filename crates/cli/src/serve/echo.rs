//! The echo: from a request to the end of its connection.

use std::sync::Arc;

use towline::{Accept, Connection, Request, Result, TlsInfo};

use crate::certificate::Certificate;
use crate::exit::in_options;
use crate::say;
use crate::serve::tally::{Tally, count};

/// What all echoes share.
#[derive(Debug)]
pub(crate) struct Echo {
    /// The subprotocols to speak, the preferred one first, or `any`.
    pub(crate) protocols: Vec<String>,
    pub(crate) verbose: u8,
    pub(crate) tally: Tally,
}

impl Echo {
    /// Accepts a request and sends every message back. Returns whether the connection was closed
    /// as it should be; a request that does not become one is not held against anybody.
    pub(crate) async fn serve(self: Arc<Self>, request: Request) -> bool {
        let peer = peer(&request);
        let resource = request.resource().to_owned();
        // Who was refused, and why, is an event of the server.
        let Ok(mut connection) = self.accept(request).await else { return true };
        if self.verbose > 0 {
            let protocol = connection.protocol().map(|name| format!(" ({name})"));
            let protocol = protocol.unwrap_or_default();
            let with: String = connection
                .extensions()
                .iter()
                .map(|extension| format!(", with {extension}"))
                .collect();
            let over = connection.tls().map(over).unwrap_or_default();
            say::note(format_args!("{peer} connected to {resource}{over}{protocol}{with}"));
        }
        let (echoed, error) = self.echo(&mut connection, &peer).await;
        let closed = connection.sender().wait_closed().await;
        if self.verbose > 0 {
            let end = error.map_or_else(|| closed.to_string(), |error| error.to_string());
            let end = in_options(end)
                .replace("max_received_fragments", "--max-fragments")
                .replace("max_received_control_rate", "--max-control-rate");
            say::note(format_args!("{peer} {end}; {} echoed", count(echoed, "message")));
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

    /// How many messages were sent back, and what ended it.
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
            // Where that fails, receiving says how it ended.
            if connection.send(message).await.is_ok() {
                self.tally.add(length);
                echoed += 1;
            }
        }
    }
}

/// What TLS says, for the log: its version, whether HTTP/2 is between it and the WebSocket, and whose
/// certificate the client has shown.
fn over(tls: &TlsInfo) -> String {
    let client = tls.peer_certificates.first().and_then(|der| Certificate::of(der));
    let whose = client.map(|certificate| format!(" as {}", certificate.subject));
    let http2 = if tls.alpn.as_deref() == Some(b"h2") { " and HTTP/2" } else { "" };
    format!(" over {}{http2}{}", tls.version, whose.unwrap_or_default())
}

/// Who it is, for the log: the client, and the proxy it comes through, if there is one.
fn peer(request: &Request) -> String {
    match (request.remote_address(), request.peer_addr()) {
        (Some(client), Some(peer)) if client != peer.ip().to_canonical() => {
            format!("{client} by {peer}")
        }
        (_, Some(peer)) => peer.to_string(),
        _ => "somebody".to_owned(),
    }
}
