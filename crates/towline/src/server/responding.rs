//! The response to a request that came through an HTTP library, on its way to that library.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::oneshot;
use towline_proto::handshake::Mechanism;

use crate::server::rejections::unanswered;

/// A future for the HTTP response to a request from
/// [`ServerHandle::request`](crate::ServerHandle::request): return it to the HTTP library.
///
/// It is ready once the program accepts, rejects or drops the request. Accepting and rejecting a
/// request provides the response when their futures are first polled.
///
/// [`ServerHandle::request`](crate::ServerHandle::request) has an example.
///
/// # Cancel safety
///
/// Not cancel safe: dropping it drops the response, so the client counts as gone. Accepting the
/// request then fails with [`ErrorKind::RequestGone`](crate::ErrorKind::RequestGone).
pub struct Responding {
    response: oneshot::Receiver<http::Response<Bytes>>,
    mechanism: Mechanism,
}

impl Responding {
    pub(crate) fn new(mechanism: Mechanism) -> (oneshot::Sender<http::Response<Bytes>>, Self) {
        let (respond, response) = oneshot::channel();
        (respond, Self { response, mechanism })
    }
}

impl Future for Responding {
    type Output = http::Response<Bytes>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<http::Response<Bytes>> {
        let mechanism = self.mechanism;
        let response = Pin::new(&mut self.response).poll(cx);
        response.map(|response| response.unwrap_or_else(|_| unanswered().response(mechanism)))
    }
}

impl fmt::Debug for Responding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responding").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}
