//! Echoes for libraries that are a `Stream` and a `Sink`: one write for all that came together.

use anyhow::Result;
use futures_util::future::poll_immediate;
use futures_util::{Sink, SinkExt, Stream, StreamExt};

/// What is to be done with an item that was received.
pub enum Step<M> {
    /// It is a message: send this back.
    Reply(M),
    /// It is none, and of no interest.
    Skip,
    /// It is the end.
    End,
}

/// Echoes each message by `send`, as the documentation of every such library shows it.
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

/// Receives all that can be received at once, and then sends the echoes: for a library that writes
/// what it has been fed before it reads.
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
