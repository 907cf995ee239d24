//! Requests that can't become connections.

use std::fmt;

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::{StatusCode, header};
use towline::{Mechanism, Rejection};

/// The rejection of a request by the extractor [`Upgrade`](crate::Upgrade).
///
/// As a response it has the [status](Self::status), the headers that belong to it, such as
/// `Sec-WebSocket-Version`, and the reason as its body. To answer in another way, extract
/// `Result<Upgrade, UpgradeRejection>`. To serve ordinary requests at the same route, extract
/// `Option<Upgrade>`.
///
/// ```
/// use axum::response::{IntoResponse as _, Response};
/// use towline_axum::{RejectionKind, Upgrade, UpgradeRejection};
///
/// async fn chat(upgrade: Result<Upgrade, UpgradeRejection>) -> Response {
///     match upgrade {
///         Ok(upgrade) => upgrade.on_connection(|connection| async move { drop(connection) }),
///         Err(rejection) if rejection.kind() == RejectionKind::NotWebSocket => {
///             "this is the chat: use a WebSocket".into_response()
///         }
///         Err(rejection) => rejection.into_response(),
///     }
/// }
/// # let _: axum::routing::MethodRouter = axum::routing::any(chat);
/// ```
#[derive(Debug, Clone)]
pub struct UpgradeRejection {
    kind: RejectionKind,
    // Boxed, since it is the error of many functions.
    rejection: Box<Rejection>,
    mechanism: Mechanism,
}

/// The kinds of [`UpgradeRejection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The request asks for no WebSocket: it has no `Upgrade: websocket` or no `Connection: Upgrade`, or
    /// over HTTP/2 it is no CONNECT with `:protocol: websocket`. Status 426; 405 for a method other than GET
    /// and, over HTTP/2, other than CONNECT; 501 for another `:protocol`, 400 without one.
    NotWebSocket,
    /// The request asks for a WebSocket by a method other than GET. Status 405.
    Method,
    /// The version is not supported; `Sec-WebSocket-Version` lists those that are. Status 426, or 400
    /// over HTTP/2.
    Version,
    /// The request is no valid handshake in another way. Status 400.
    Invalid,
    /// The server is unmounted, shut down, or has too many handshakes in progress or connections. Status 503.
    Unavailable,
    /// The client has too many connections, or makes them too fast:
    /// [`max_connections_per_address`](towline::ServerBuilder::max_connections_per_address) or
    /// [`max_handshake_rate`](towline::ServerBuilder::max_handshake_rate). Status 429, with
    /// `Retry-After`.
    TooMany,
    /// The HTTP server does not support upgrades, or another extractor has taken the stream. hyper
    /// needs `serve_connection_with_upgrades`. Status 500.
    NotUpgradable,
}

impl UpgradeRejection {
    /// `asks`: whether the request asks for a WebSocket.
    pub(crate) fn new(rejection: Rejection, mechanism: Mechanism, asks: bool) -> Self {
        let of_version = |(name, _): &(http::HeaderName, _)| name == header::SEC_WEBSOCKET_VERSION;
        let kind = match rejection.status() {
            StatusCode::SERVICE_UNAVAILABLE => RejectionKind::Unavailable,
            StatusCode::TOO_MANY_REQUESTS => RejectionKind::TooMany,
            _ if !asks => RejectionKind::NotWebSocket,
            _ if rejection.headers().iter().any(of_version) => RejectionKind::Version,
            StatusCode::UPGRADE_REQUIRED => RejectionKind::NotWebSocket,
            StatusCode::METHOD_NOT_ALLOWED => RejectionKind::Method,
            _ => RejectionKind::Invalid,
        };
        Self { kind, rejection: Box::new(rejection), mechanism }
    }

    pub(crate) fn not_upgradable(mechanism: Mechanism) -> Self {
        let reason = "the HTTP server does not support upgrades, or the stream was taken already";
        let rejection = Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, reason);
        Self { kind: RejectionKind::NotUpgradable, rejection: Box::new(rejection), mechanism }
    }

    /// Returns the kind.
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        self.rejection.status()
    }

    /// Returns the reason.
    pub fn reason(&self) -> &str {
        self.rejection.reason()
    }
}

impl fmt::Display for UpgradeRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rejection.fmt(f)
    }
}

impl std::error::Error for UpgradeRejection {}

impl IntoResponse for UpgradeRejection {
    fn into_response(self) -> Response {
        self.rejection.response(self.mechanism).map(Body::from)
    }
}
