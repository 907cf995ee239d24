//! The same loop for every library: one message after the other, until the meter stops it.

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};

use crate::meter::Meter;

/// The task of a client, and its duration.
pub(crate) struct Flow {
    pub(crate) size: usize,
    pub(crate) payload: Bytes,
    pub(crate) meter: Meter,
}

impl Flow {
    /// Counts a received message.
    ///
    /// # Errors
    ///
    /// If it differs from the message sent.
    #[inline]
    pub(crate) fn came(&mut self, payload: &[u8]) -> Result<bool> {
        ensure!(payload.len() == self.size, "{} bytes came", payload.len());
        if self.meter.is_sampled() {
            ensure!(payload == self.payload, "a message is not what was sent");
        }
        Ok(self.meter.count())
    }

    /// Sends by `send`, which flushes, or by `feed`, which flushes when the buffer is full.
    ///
    /// # Errors
    ///
    /// Those of the library.
    pub(crate) async fn send<S, M, E>(
        &mut self,
        mut sink: S,
        feed: bool,
        message: impl Fn(Bytes) -> M,
    ) -> Result<()>
    where
        S: Sink<M, Error = E> + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        loop {
            let message = message(self.payload.clone());
            if feed {
                sink.feed(message).await?;
            } else {
                sink.send(message).await?;
            }
            if !self.meter.count() {
                return Ok(());
            }
        }
    }

    /// # Errors
    ///
    /// Those of the library.
    pub(crate) async fn receive<S, M, E>(
        &mut self,
        mut stream: S,
        check: impl Fn(&mut Self, S::Item) -> Result<bool>,
    ) -> Result<()>
    where
        S: Stream<Item = Result<M, E>> + Unpin,
    {
        while let Some(item) = stream.next().await {
            if !check(self, item)? {
                return Ok(());
            }
        }
        anyhow::bail!("the connection ended")
    }
}
