//! Connections that come back.

mod retry_after;

mod backoff;

mod dial;

mod ending;

mod attempt;

mod event;

mod handle;

mod driver;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use towline_proto::Message;

pub use attempt::Attempt;
pub use backoff::Backoff;
pub use dial::{Dial, DialError};
pub use ending::{Ending, Retry};
pub use event::{ReconnectEvent, ReconnectEvents};
pub use handle::ReconnectHandle;

use crate::client::Client;
use crate::client::reconnecting::driver::{Driver, Progress, State};
use crate::client::reconnecting::handle::Control;
use crate::connection::{Connection, Watch};
use crate::error::Result;
#[cfg(doc)]
use crate::error::{Error, ErrorKind};

/// A client that connects again when a connection is lost, see [`Client::reconnecting`].
///
/// Each connection is a fresh [`Connection`]. The program sees that one was lost, and sets the next one up
/// as it did the first: it logs in, subscribes, and decides what to send again. Nothing is replayed.
///
/// ```no_run
/// # async fn sign() -> std::io::Result<String> { Ok(String::new()) }
/// # async fn example() -> towline::Result<()> {
/// use http::Request;
/// use towline::Client;
///
/// let mut feed = Client::new().reconnecting(|_attempt| async {
///     // Made anew for each attempt, the first one included.
///     let request = Request::get("wss://example.com/feed").header("x-signature", sign().await?);
///     Ok(request.body(())?)
/// });
/// while let Some(mut connection) = feed.next().await? {
///     connection.send("subscribe").await?;
///     while let Ok(Some(message)) = connection.recv().await {
///         println!("{message:?}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # What is tried again
///
/// | what happened | by default |
/// | --- | --- |
/// | the name is not found, the connection is refused or times out, the server ends it before it answers, the proxy fails | again |
/// | status 408, 425, 429, 5xx, 2xx, and 3xx with a `Retry-After` | again |
/// | every other status: 401, 403, 404 and the like, and redirects that are not followed | gives up |
/// | a certificate, TLS that is refused or not spoken, an invalid URL, option, proxy or TLS setting | gives up |
/// | the transport is lost; the peer is silent (keepalive) or takes nothing (send timeout) | again |
/// | the peer closes with 1001, 1005 (no code), 1011 to 1014, or 3008 (timeout) | again |
/// | the peer closes with any other code, such as 1002, 1003, 1007 to 1010, and 4000 to 4999 | gives up |
/// | the peer breaks the protocol or exceeds a limit, so that this end closes with 1002, 1007, 1008 or 1009 | gives up |
/// | the peer closes with 1000 | ends |
/// | the program closes or aborts the connection | ends |
/// | the program drops the connection | again |
///
/// *Gives up* means that [`next`](Self::next) returns the error, and *ends* that it returns `None`.
/// [`retry_if`](Self::retry_if) decides otherwise, and [`Backoff`] sets the delays and the limits.
///
/// The client spawns no task: it works while [`next`](Self::next) is awaited. Dropping it ends an attempt or
/// a delay, and leaves open a connection that the program has.
#[must_use = "it does nothing unless `next` is awaited"]
pub struct Reconnecting(Driver);

impl Client {
    /// Returns a client that connects again when a connection is lost.
    ///
    /// The function makes what to connect to, anew for each attempt, the first one included: a URL, an
    /// `http::Request` with fresh headers, a stream, or a connection of its own: see [`Dial`]. It gets the
    /// [`Attempt`]: its number, and how the one before ended. Its errors are tried again, or not: see
    /// [`DialError`].
    ///
    /// The [`connect_timeout`](Self::connect_timeout) begins when the function is done, so that its own
    /// requests need a timeout of their own.
    ///
    /// ```no_run
    /// # async fn example() -> towline::Result<()> {
    /// use std::time::Duration;
    /// use towline::{Backoff, Client};
    ///
    /// let urls = ["wss://a.example/feed", "wss://b.example/feed"];
    /// let mut feed = Client::new()
    ///     .reconnecting(move |attempt| async move {
    ///         // Another server with each attempt.
    ///         Ok(urls[attempt.number() as usize % urls.len()])
    ///     })
    ///     .backoff(Backoff::default().max(Duration::from_secs(60)));
    /// let connection = feed.next().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconnecting<F, A, D>(&self, mut dial: F) -> Reconnecting
    where
        F: FnMut(Attempt) -> A + Send + 'static,
        A: Future<Output = std::result::Result<D, DialError>> + Send + 'static,
        D: Into<Dial>,
    {
        Reconnecting(Driver {
            client: self.clone(),
            dial: Box::new(move |attempt| {
                let dialling = dial(attempt);
                Box::pin(async move { dialling.await.map(Into::into) })
            }),
            backoff: Backoff::default(),
            retry: None,
            control: Arc::new(Control::default()),
            state: State::Ready,
            progress: Progress::default(),
            previous: None,
        })
    }
}

impl Reconnecting {
    /// Sets the delays and the limits. Default: [`Backoff::default`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.0.backoff = backoff;
        self
    }

    /// Decides about each ending, in place of [the defaults](Self#what-is-tried-again). It is called once for
    /// each attempt that fails and each connection that ends. It must not block.
    ///
    /// ```
    /// use std::time::Duration;
    /// use towline::{Client, Ending, Retry};
    ///
    /// let feed = Client::new()
    ///     .reconnecting(|_| async { Ok("wss://example.com/feed") })
    ///     .retry_if(|ending| match ending {
    ///         // This server means: come back in a minute.
    ///         Ending::Closed(closed) if closed.code().get() == 4008 => {
    ///             Retry::After(Duration::from_secs(60))
    ///         }
    ///         _ => Retry::Default,
    ///     });
    /// ```
    pub fn retry_if(mut self, decide: impl FnMut(&Ending) -> Retry + Send + 'static) -> Self {
        self.0.retry = Some(Box::new(decide));
        self
    }

    /// Returns the next connection: waits until the one before has ended, then for the delay, and then
    /// connects, until an attempt succeeds. `None` if one of the ends closed the connection as intended, or
    /// the program [stopped](ReconnectHandle::stop) the client.
    ///
    /// The connection before has to be received from, closed or dropped: the peer's close frame is only
    /// seen by receiving. A task of its own can do that while this one awaits the next.
    ///
    /// # Errors
    ///
    /// The last failure, if it is [fatal](Self#what-is-tried-again), or if a limit of the [`Backoff`] is
    /// reached. The message says which. The kind is that of the failure: one of [`Client::connect`],
    /// [`ErrorKind::Dial`] for an error of the program's function, or that of the connection's end.
    /// [`Error::response`] has the server's answer, and [`Error::get_ref`] the failure, as an `Arc`. Every
    /// later call returns the same error.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: neither a connection, nor an attempt in progress, nor a delay is lost. While no call is
    /// awaited, an attempt does not go on.
    ///
    /// # Panics
    ///
    /// As [`Client::connect`].
    pub async fn next(&mut self) -> Result<Option<Connection>> {
        poll_fn(|cx| self.0.poll_next(cx)).await
    }

    /// Takes the messages that the connection before the current one had queued and not written, for the
    /// program to send again if they still make sense: see [`Sender::take_unsent`](crate::Sender::take_unsent)
    /// for what they are. They are in memory until the current connection is lost.
    ///
    /// [`Connection::take_unsent`] on the lost connection takes the same messages; each is returned once.
    pub fn take_unsent(&mut self) -> Vec<Message> {
        self.0.previous.as_ref().map(Watch::take_unsent).unwrap_or_default()
    }

    /// Returns a handle for other tasks: it reports events, ends a delay, and stops the client.
    pub fn handle(&self) -> ReconnectHandle {
        ReconnectHandle(self.0.control.clone())
    }

    /// Subscribes to the events from now on, see [`ReconnectHandle::events`].
    pub fn events(&self) -> ReconnectEvents {
        self.0.control.subscribe()
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting").field("backoff", &self.0.backoff).finish_non_exhaustive()
    }
}
