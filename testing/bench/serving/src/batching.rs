//! Echoes for libraries that are a `Stream` and a `Sink`: one write for all messages that arrive together.

use anyhow::Result;
use futures_util::future::poll_immediate;
use futures_util::{Sink, SinkExt, Stream, StreamExt};

/// What to do with a received item.
pub enum Step<M> {
    /// Send this message back.
    Reply(M),
    /// Ignore it, since it is not a message.
    Skip,
    /// Stop.
    End,
}

/// Echoes each message by `send`, as the documentation of these libraries shows.
///
/// # Errors
///
/// Those of the library.
pub async fn echo<S, M, E>(
    mut socket: S,
    mut step: impl FnMut(S::Item) -> Result<Step<M>>,
) -> Result<()>
where
    S: Stream + Sink<M, Error = E> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    while let Some(item) = socket.next().await {
        match step(item)? {
            Step::Reply(message) => socket.send(message).await?,
            Step::Skip => {}
            Step::End => break,
        }
    }
    Ok(())
}

/// Echoes with `feed`, and flushes when nothing more can be received at once.
///
/// # Errors
///
/// Those of the library.
pub async fn echo_in_batches<S, M, E>(
    mut socket: S,
    mut step: impl FnMut(S::Item) -> Result<Step<M>>,
) -> Result<()>
where
    S: Stream + Sink<M, Error = E> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        while let Some(item) = next {
            match step(item)? {
                Step::Reply(message) => socket.feed(message).await?,
                Step::Skip => {}
                Step::End => return Ok(()),
            }
            next = match poll_immediate(socket.next()).await {
                Some(None) => return Ok(()),
                Some(Some(item)) => Some(item),
                None => None,
            };
        }
        socket.flush().await?;
    }
    Ok(())
}

/// Receives everything that can be received at once, and then sends the echoes, for a library that writes
/// before it reads.
///
/// # Errors
///
/// Those of the library.
pub async fn echo_after_gathering<S, M, E>(
    mut socket: S,
    mut step: impl FnMut(S::Item) -> Result<Step<M>>,
) -> Result<()>
where
    S: Stream + Sink<M, Error = E> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut gathered = Vec::new();
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        while let Some(item) = next {
            match step(item)? {
                Step::Reply(message) => gathered.push(message),
                Step::Skip => {}
                Step::End => return Ok(()),
            }
            if gathered.len() >= 1024 {
                break;
            }
            next = match poll_immediate(socket.next()).await {
                Some(None) => return Ok(()),
                Some(Some(item)) => Some(item),
                None => None,
            };
        }
        for message in gathered.drain(..) {
            socket.feed(message).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}
