//! The body of a response: the inner service's, or a response to a handshake.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a [`Mount`](crate::Mount)'s response: the inner service's body, or the response
    /// to a handshake.
    ///
    /// Its errors are the inner body's. The default is an empty body.
    #[derive(Debug)]
    pub struct MountBody<B> {
        #[pin]
        origin: Origin<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = OriginProjection]
    enum Origin<B> {
        Answer { bytes: Bytes },
        Service { #[pin] body: B },
    }
}

impl<B> MountBody<B> {
    pub(crate) fn answer(bytes: Bytes) -> Self {
        Self { origin: Origin::Answer { bytes } }
    }

    pub(crate) fn service(body: B) -> Self {
        Self { origin: Origin::Service { body } }
    }
}

impl<B> Default for MountBody<B> {
    fn default() -> Self {
        Self::answer(Bytes::new())
    }
}

impl<B: Body<Data = Bytes>> Body for MountBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().origin.project() {
            OriginProjection::Answer { bytes } if bytes.is_empty() => Poll::Ready(None),
            OriginProjection::Answer { bytes } => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            OriginProjection::Service { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.origin {
            Origin::Answer { bytes } => bytes.is_empty(),
            Origin::Service { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.origin {
            Origin::Answer { bytes } => SizeHint::with_exact(bytes.len() as u64),
            Origin::Service { body } => body.size_hint(),
        }
    }
}
