//! A connection for those who live in `futures`: a stream and a sink.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use towline_proto::{CloseCode, Message};

use crate::connection::Connection;
use crate::error::{Error, Result};

impl Stream for Connection {
    type Item = Result<Message>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

/// Messages are sent without a flush; flushing waits until the operating system has them. Closing
/// the sink closes the connection with 1000.
impl Sink<Message> for Connection {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.sender.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<()> {
        self.sender.start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.sender.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.start_close(CloseCode::NORMAL, "")?;
        let Self { sender, receiver, .. } = &mut *self;
        receiver.poll_closed(cx, &mut sender.place).map(|_| Ok(()))
    }
}
