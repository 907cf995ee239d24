//! The spans and events of `tracing`, for handshakes and connections.
//!
//! All are of level DEBUG, so that a server shows nothing of single connections at INFO. No field
//! has a query, a header or a payload. Without a subscriber that wants them, a span is nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use towline_proto::{Closed, Initiator, Role, Stats};
use tracing::Span;
use tracing::field::Empty;

use crate::connection::info::Info;

/// The span of an opening handshake, in the current span.
pub(crate) fn handshake<'h>(
    role: Role,
    host: impl FnOnce() -> &'h str,
    path: &str,
    peer: Option<SocketAddr>,
) -> Span {
    tracing::debug_span!(
        target: "towline::handshake",
        "handshake",
        role = role_name(role),
        host = host(),
        path,
        peer = peer.map(display),
        protocol = Empty,
        status = Empty,
    )
}

/// Records the response to a handshake.
pub(crate) fn answered(span: &Span, status: http::StatusCode, protocol: Option<&str>) {
    span.record("status", status.as_u16());
    if let Some(protocol) = protocol {
        span.record("protocol", protocol);
    }
}

/// The span of a connection. Boxed, since there is seldom a subscriber that wants it.
pub(crate) struct ConnectionSpan(Option<Box<Span>>);

impl ConnectionSpan {
    /// A span without a parent: a connection can outlive what it was made by. It follows from the
    /// current span, which is the handshake's.
    pub(crate) fn new(info: &Info) -> Self {
        let span = tracing::debug_span!(
            target: "towline::connection",
            parent: None,
            "connection",
            id = info.id,
            role = role_name(info.role),
            path = info.path(),
            protocol = info.protocol.as_deref(),
            peer = info.peer_addr.map(display),
            remote_address = info.remote_address.map(display),
        );
        if span.is_disabled() {
            return Self(None);
        }
        span.follows_from(Span::current());
        Self(Some(Box::new(span)))
    }

    /// The event at the end of the connection.
    pub(crate) fn end(&self, info: &Arc<Info>, closed: &Closed, stats: &Stats) {
        let Some(span) = self.0.as_deref() else { return };
        let initiator = match closed.initiator() {
            Initiator::Local => "local",
            _ => "remote",
        };
        tracing::debug!(
            target: "towline::connection",
            parent: span,
            id = info.id,
            code = closed.code().get(),
            initiator,
            cause = %closed.cause(),
            duration = ?stats.age,
            messages_sent = stats.sent.messages,
            messages_received = stats.received.messages,
            bytes_sent = stats.sent.payload_bytes,
            bytes_received = stats.received.payload_bytes,
            "connection closed"
        );
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

#[cfg(test)]
mod tests {
    use towline_proto::handshake::Version;

    use super::*;

    #[test]
    fn without_a_subscriber_spans_allocate_nothing() {
        let address: SocketAddr = ([127, 0, 0, 1], 80).into();
        let info = Info {
            id: 1,
            role: Role::Server,
            protocol: Some("chat.v2".into()),
            compression: None,
            version: Version::default(),
            remote_address: Some(address.ip()),
            peer_addr: Some(address),
            tls: None,
            http_version: None,
            request: None,
        };
        let used = allocation_counter::measure(|| {
            let span = handshake(Role::Server, || "example.com", "/chat", Some(address));
            answered(&span, http::StatusCode::SWITCHING_PROTOCOLS, Some("chat.v2"));
            let connection = span.in_scope(|| ConnectionSpan::new(&info));
            assert!(connection.0.is_none());
        });
        assert_eq!(used.count_total, 0);
    }
}
