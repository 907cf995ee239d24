//! Answers a request of an HTTP library by a handler.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use towline_proto::handshake::Mechanism;

use crate::server::answer::Upgraded;
use crate::server::handle::ServerHandle;
use crate::server::outcome::{Outcome, log_outcome};
use crate::server::request::Request;

impl ServerHandle {
    /// Calls `handle` with a request that came through an HTTP library, and resolves to the response to
    /// return to that library. It is [`request`](Self::request) in one call, for the handlers of web
    /// frameworks; the arguments are those of [`upgrade`](Self::upgrade).
    ///
    /// `handle` runs in a task of its own, in which it accepts or rejects the request, and then serves
    /// the connection. It is not called for a request that is not a valid handshake, or for which the
    /// server has no room: the response has the status that [`request`](Self::request) would fail with.
    ///
    /// Its output is `()` or a `Result`, whose error is [logged](Outcome). If it returns or panics before
    /// it has answered the request, the response is 500.
    ///
    /// ```
    /// use std::io;
    /// use std::net::SocketAddr;
    ///
    /// use towline::bytes::Bytes;
    /// use towline::{Accept, Request, ServerHandle, Upgraded, http};
    ///
    /// async fn chat(request: Request) -> towline::Result<()> {
    ///     let mut connection = request.accept_with(Accept::new().protocols(["chat.v2"])).await?;
    ///     while let Some(message) = connection.recv().await? {
    ///         connection.send(message).await?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// // In the handler of a framework:
    /// async fn handler(
    ///     server: ServerHandle,
    ///     request: http::Request<()>,
    ///     peer: SocketAddr,
    ///     upgraded: impl Future<Output = io::Result<Upgraded>> + Send + 'static,
    /// ) -> http::Response<Bytes> {
    ///     server.respond(request, Some(peer), upgraded, chat).await
    /// }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping this future drops the response, so the client counts as gone. Accepting
    /// the request then fails with [`ErrorKind::RequestGone`](crate::ErrorKind::RequestGone).
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub async fn respond<F, Fut>(
        &self,
        request: http::Request<()>,
        peer_addr: Option<SocketAddr>,
        upgraded: impl Future<Output = io::Result<Upgraded>> + Send + 'static,
        handle: F,
    ) -> http::Response<Bytes>
    where
        F: FnOnce(Request) -> Fut + Send + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let mechanism = Mechanism::of(&request);
        let (request, response) = match self.request(request, peer_addr, upgraded) {
            Ok(taken) => taken,
            Err(rejection) => return rejection.response(mechanism),
        };
        let path = request.path().to_owned();
        tokio::spawn(async move { log_outcome(handle(request).await, &path) });
        response.await
    }
}
