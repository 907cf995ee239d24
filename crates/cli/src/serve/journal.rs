//! `--verbose`: lines about connections.

use towline::{CloseFrame, Closed, Connection, Error, Request, TlsInfo};

use crate::certificate::Certificate;
use crate::say;
use crate::serve::options::limits::in_options;

/// The client for the log, and the proxy in between, if there is one.
pub(crate) fn peer(request: &Request) -> String {
    match (request.remote_address(), request.peer_addr()) {
        (Some(client), Some(peer)) if client != peer.ip().to_canonical() => {
            format!("{client} by {peer}")
        }
        (_, Some(peer)) => peer.to_string(),
        _ => "a client".to_owned(),
    }
}

/// Says that a connection is open, and what was negotiated.
pub(crate) fn opened(peer: &str, connection: &Connection, resource: &str) {
    let protocol = connection.protocol().map(|name| format!(" ({name})"));
    let protocol = protocol.unwrap_or_default();
    let with: String =
        connection.extensions().iter().map(|extension| format!(", with {extension}")).collect();
    let over = connection.tls().map(over).unwrap_or_default();
    say::log(format_args!("{peer} connected to {resource}{over}{protocol}{with}"));
}

/// Says how a connection has ended, and what it has done.
pub(crate) fn ended(peer: &str, closed: &Closed, error: Option<&Error>, done: &str) {
    let mut end = error.map_or_else(|| closed.to_string(), ToString::to_string);
    // Such as the quota that this client was closed for.
    let told = closed.sent().map(CloseFrame::reason).filter(|reason| !end.contains(reason));
    if let Some(reason) = told {
        end = format!("{end}: {reason}");
    }
    say::log(format_args!("{peer} {}; {done}", in_options(end)));
}

/// TLS for the log: its version, whether the WebSocket is on HTTP/2, and the client's certificate.
fn over(tls: &TlsInfo) -> String {
    let client = tls.peer_certificates.first().and_then(|der| Certificate::of(der));
    let whose = client.map(|certificate| format!(" as {}", certificate.subject));
    let http2 = if tls.alpn.as_deref() == Some(b"h2") { " and HTTP/2" } else { "" };
    format!(" over {}{http2}{}", tls.version, whose.unwrap_or_default())
}
