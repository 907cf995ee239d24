//! The extractor: a request that can become a connection.

use std::fmt;

use axum_core::body::Body;
use axum_core::response::Response;
use http::StatusCode;
use towline::{Accept, Connection, Outcome, Rejection, Request, Responding, log_outcome as log};

use crate::once::once;

/// An extractor for a WebSocket request.
///
/// Inspect the [`request`](Self::request), and return the response of
/// [`on_connection`](Self::on_connection) or [`reject`](Self::reject), or any other response.
///
/// The route must be for GET, and for CONNECT if it is to serve HTTP/2 (RFC 8441):
/// `axum::routing::any` is for both. It can be used beside all other extractors, in any order.
/// `Option<Upgrade>` is `None` for a request that asks for no WebSocket.
///
/// ```
/// use axum::extract::State;
/// use axum::http::StatusCode;
/// use axum::response::Response;
/// use towline_axum::Upgrade;
///
/// #[derive(Clone)]
/// struct Rooms(Vec<String>);
///
/// async fn room(State(rooms): State<Rooms>, upgrade: Upgrade) -> Response {
///     let room = upgrade.request().query().unwrap_or_default().to_owned();
///     if !rooms.0.contains(&room) {
///         return upgrade.reject(StatusCode::NOT_FOUND, "no such room");
///     }
///     upgrade.protocols(["chat.v2", "chat.v1"]).on_connection(async move |mut connection| {
///         connection.send(format!("welcome to {room}")).await?;
///         while let Some(message) = connection.recv().await? {
///             connection.send(message).await?;
///         }
///         towline::Result::Ok(())
///     })
/// }
/// # let _: axum::routing::MethodRouter<Rooms> = axum::routing::any(room);
/// ```
///
/// The handler may also return another response and drop this. Then the server reports no event.
#[must_use = "the request is not answered until its response is returned"]
pub struct Upgrade {
    // Dropped first, so that a request that the handler answers in another way is not also rejected.
    responding: Responding,
    request: Request,
    accept: Accept,
    protocol: Option<String>,
}

impl Upgrade {
    pub(crate) fn new(request: Request, responding: Responding) -> Self {
        Self { responding, request, accept: Accept::new(), protocol: None }
    }

    /// Returns the request: path, query, headers, origin, cookies, subprotocols, addresses.
    ///
    /// In a nested route, the path is the whole one if the feature `axum` is on.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the request, to add [data](Request::data_mut) for the connection.
    ///
    /// The extensions of the HTTP request are already in it, so data of tower layers reaches
    /// [`Connection::data`]. They take some memory as long as the connection is open: if there are many
    /// idle connections that do not need them, call `upgrade.request_mut().data_mut().clear()`.
    pub fn request_mut(&mut self) -> &mut Request {
        &mut self.request
    }

    /// Selects the first of these subprotocols that the client offers, ignoring case: pass them in the
    /// server's order of preference. If the client offers none of them, none is selected, and the
    /// connection is accepted without one.
    pub fn protocols<I>(mut self, supported: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let chosen = self.request.choose_protocol(supported);
        self.protocol = chosen.map(|protocol| protocol.as_str().to_owned());
        self
    }

    /// Returns the subprotocol that [`protocols`](Self::protocols) selected, in the client's spelling.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Sets the options to accept with: a confirmed origin, cookies, headers, compression. A subprotocol
    /// selected by [`protocols`](Self::protocols) takes precedence over that of the options.
    ///
    /// ```
    /// use towline::{Accept, SetCookie};
    /// # use axum::response::Response;
    /// # use towline_axum::Upgrade;
    ///
    /// async fn chat(upgrade: Upgrade) -> Response {
    ///     let seen = SetCookie::new("seen", "1").expect("it is valid");
    ///     let accept = Accept::new().origin("https://app.example").cookie(seen);
    ///     upgrade.accept(accept).on_connection(|connection| async move { drop(connection) })
    /// }
    /// ```
    pub fn accept(mut self, accept: Accept) -> Self {
        self.accept = accept;
        self
    }

    /// Accepts, and returns the response for the handler to return. Once it is sent, calls `handle` with
    /// the connection, in a task of its own.
    ///
    /// A page whose origin is not allowed is answered with 403, options that are invalid with 500, and
    /// `handle` is not called. Nor is it called if the client is gone, or a layer replaces the response.
    ///
    /// The output of `handle` is `()` or a `Result`, whose error [is logged](Outcome); so is the error of
    /// accepting. If it panics, the
    /// connection is closed with 1011.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    #[doc(alias = "on_upgrade")]
    #[must_use = "the connection is only made if the handler returns this response"]
    pub fn on_connection<F, Fut>(self, handle: F) -> Response
    where
        F: FnOnce(Connection) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome,
    {
        let Self { responding, request, accept, protocol } = self;
        let accept = match protocol {
            Some(protocol) => accept.protocol(protocol),
            None => accept,
        };
        let path = request.path().to_owned();
        let mut accepting = Box::pin(request.accept_with(accept));
        // This provides the response.
        let accepted = once(&mut accepting);
        tokio::spawn(async move {
            let accepted = match accepted {
                Some(accepted) => accepted,
                None => accepting.await,
            };
            match accepted {
                Ok(connection) => log(handle(connection).await, &path),
                Err(error) => log(Err::<(), _>(error), &path),
            }
        });
        answer(responding)
    }

    /// Rejects with this status and a reason for the client's developer, which is sent in the header
    /// `X-WebSocket-Reject-Reason` and the body. Returns the response for the handler to return.
    ///
    /// Unlike any other response of the handler, this is reported as an
    /// [event](towline::ServerEvent::Rejected).
    pub fn reject(self, status: StatusCode, reason: impl Into<String>) -> Response {
        self.reject_with(Rejection::new(status, reason.into()))
    }

    /// Rejects with a status, a reason and headers. An invalid header is left out. Returns the response
    /// for the handler to return.
    pub fn reject_with(self, rejection: Rejection) -> Response {
        let Self { responding, request, .. } = self;
        let mut rejecting = Box::pin(request.reject_with(rejection));
        if let Some(Err(error)) = once(&mut rejecting) {
            tracing::warn!(%error, "a rejection is without a header");
        }
        answer(responding)
    }
}

/// Returns the response, which has been provided.
fn answer(mut responding: Responding) -> Response {
    let response = once(&mut responding).map(|response| response.map(Body::from));
    response.unwrap_or_else(|| {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("request", &self.request)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
