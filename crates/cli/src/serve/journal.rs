//! `--verbose`: lines about connections, and about handshakes that come to none.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use towline::{CloseFrame, Closed, Connection, Error, Events, Request, ServerEvent, TlsInfo};

use crate::certificate::Certificate;
use crate::say;
use crate::secrets;
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
    let protocol = connection.protocol().map(|name| match secrets::protocol_in_log(name) {
        shown if shown == name => format!(" ({name})"),
        hidden => format!(" {hidden}"),
    });
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

/// The most lines about refusals in a second. A flood of them must not fill the log.
const AT_ONCE: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);

/// Says which requests are refused, and which handshakes fail.
pub(crate) async fn refusals(mut events: Events) {
    let mut pace = Pace::new();
    loop {
        let event = tokio::select! {
            biased;
            () = sleep_until(pace.until), if pace.left_out > 0 => {
                say::log(format_args!("{} more were refused or failed", pace.left_out));
                pace = Pace::new();
                continue;
            }
            event = events.next() => event,
        };
        let Some(event) = event else { return };
        if let Some(line) = refusal(event)
            && pace.allows()
        {
            say::log(line);
        }
    }
}

fn refusal(event: ServerEvent) -> Option<String> {
    let (status, reason, peer) = match event {
        ServerEvent::Rejected { status, reason, peer_addr } => (Some(status), reason, peer_addr),
        ServerEvent::HandshakeFailed { status, reason, peer_addr, .. } => {
            (status, reason, peer_addr)
        }
        _ => return None,
    };
    let peer = peer.map_or_else(|| "a client".to_owned(), |peer| peer.to_string());
    let why = in_options(secrets::reason(&reason));
    Some(match status {
        Some(status) => format!("{peer} refused with {status}: {why}"),
        None => format!("{peer} failed: {why}"),
    })
}

/// Lets so many lines through within a second.
struct Pace {
    until: Instant,
    lines: u32,
    left_out: u64,
}

impl Pace {
    fn new() -> Self {
        Self { until: Instant::now() + SECOND, lines: 0, left_out: 0 }
    }

    fn allows(&mut self) -> bool {
        if self.left_out == 0 && Instant::now() >= self.until {
            *self = Self::new();
        }
        let is_allowed = self.lines < AT_ONCE;
        match is_allowed {
            true => self.lines += 1,
            false => self.left_out += 1,
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_few_lines_a_second() {
        let mut pace = Pace::new();
        let allowed = (0..500).filter(|_| pace.allows()).count();
        assert_eq!((allowed, pace.left_out), (20, 480));
        let mut pace = Pace::new();
        for _ in 0..100 {
            assert!(pace.allows());
            tokio::time::advance(SECOND / 10).await;
        }
    }

    #[test]
    fn a_line_names_the_option_of_this_program() {
        let event = ServerEvent::Rejected {
            status: http::StatusCode::BAD_REQUEST,
            reason: "3 connections (max_connections)".to_owned(),
            peer_addr: None,
        };
        assert_eq!(
            refusal(event).unwrap(),
            "a client refused with 400 Bad Request: 3 connections (--max-connections)"
        );
    }
}
