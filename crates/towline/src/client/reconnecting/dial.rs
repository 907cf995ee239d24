//! What an attempt connects to.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::{Request, Uri};

use crate::client::Client;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::transport::{Given, Io};

/// What one attempt of a [reconnecting client](crate::Client::reconnecting) connects to.
///
/// A URL, a request and a ready [`Connection`] convert to it.
///
/// ```
/// use towline::Dial;
///
/// let by_url = Dial::from("wss://example.com/feed");
/// let signed = http::Request::get("wss://example.com/feed")
///     .header("x-signature", "…")
///     .body(())
///     .unwrap();
/// let by_request = Dial::from(signed);
/// ```
#[must_use]
pub struct Dial {
    client: Option<Client>,
    what: What,
}

enum What {
    Url(String),
    Request(Box<Request<()>>),
    Stream { stream: Given, url: String, is_bare: bool },
    Connection(Box<Connection>),
}

impl Dial {
    fn new(what: What) -> Self {
        Self { client: None, what }
    }

    /// Connects to this URL, as [`Client::connect`] does.
    pub fn url(url: impl AsRef<str>) -> Self {
        Self::new(What::Url(url.as_ref().to_owned()))
    }

    /// Connects with this request, as [`Client::connect_request`] does.
    pub fn request(request: Request<()>) -> Self {
        Self::new(What::Request(Box::new(request)))
    }

    /// Connects over this stream, as [`Client::connect_via`] does: with TLS on it for `wss`.
    pub fn via(stream: impl Io, url: impl AsRef<str>) -> Self {
        let (stream, url) = (Given::new(stream), url.as_ref().to_owned());
        Self::new(What::Stream { stream, url, is_bare: true })
    }

    /// Connects over this stream, as [`Client::connect_over`] does: without TLS of its own.
    pub fn over(stream: impl Io, url: impl AsRef<str>) -> Self {
        let (stream, url) = (Given::new(stream), url.as_ref().to_owned());
        Self::new(What::Stream { stream, url, is_bare: false })
    }

    /// Uses a connection that the program has established itself. What was not sent on it comes back if
    /// its own configuration [says so](crate::Config::keep_unsent()).
    pub fn connection(connection: Connection) -> Self {
        Self::new(What::Connection(Box::new(connection)))
    }

    /// Connects with the settings of this client, in place of those of the client that reconnects:
    /// another proxy, other subprotocols, another configuration.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Connects, with this client if the program has named no other.
    pub(crate) async fn connect(self, client: Client) -> Result<Connection> {
        let mut client = self.client.unwrap_or(client);
        // Not a change for which HTTP/2 connections are no longer shared.
        Arc::make_mut(&mut client.settings).config.keep_unsent = true;
        match self.what {
            What::Url(url) => client.connect(url).await,
            What::Request(request) => client.connect_request(*request).await,
            What::Stream { stream, url, is_bare } => {
                let asked = client.settings.asked(&url)?;
                client.settings.connect_on(stream, asked, is_bare).await
            }
            What::Connection(connection) => Ok(*connection),
        }
    }
}

impl From<&str> for Dial {
    fn from(url: &str) -> Self {
        Self::url(url)
    }
}

impl From<String> for Dial {
    fn from(url: String) -> Self {
        Self::url(url)
    }
}

impl From<&String> for Dial {
    fn from(url: &String) -> Self {
        Self::url(url)
    }
}

impl From<Uri> for Dial {
    fn from(uri: Uri) -> Self {
        Self::url(uri.to_string())
    }
}

impl From<Request<()>> for Dial {
    fn from(request: Request<()>) -> Self {
        Self::request(request)
    }
}

impl From<Connection> for Dial {
    fn from(connection: Connection) -> Self {
        Self::connection(connection)
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // URLs and headers can have secrets in them.
        let what = match self.what {
            What::Url(_) => "url",
            What::Request(_) => "request",
            What::Stream { .. } => "stream",
            What::Connection(_) => "connection",
        };
        f.debug_struct("Dial").field("what", &what).finish_non_exhaustive()
    }
}

/// The error of the program's function for a [reconnecting client](crate::Client::reconnecting): why
/// there is nothing to connect to.
///
/// Every [`std::error::Error`] converts to it, so the function can use `?`. A converted error is tried
/// again, since getting a token mostly fails for the reasons that connecting does. Two are judged on their
/// own:
///
/// - an [`Error`](crate::Error) of this crate, as if connecting had failed with it;
/// - an [`http::Error`](http::Error), a request that can't be built, which is fatal.
///
/// [`fatal`](Self::fatal) and [`retry`](Self::retry) decide for any error. They also take what is no
/// `std::error::Error` and converts to a boxed one: a string, a `Box<dyn Error + Send + Sync>`, and
/// `anyhow::Error`, for which `?` needs `.map_err(DialError::retry)`.
///
/// ```
/// use towline::{Dial, DialError};
///
/// async fn dial(token: Option<&str>) -> Result<Dial, DialError> {
///     let token = token.ok_or_else(|| DialError::fatal("the user has logged out"))?;
///     let request = http::Request::get("wss://example.com/feed")
///         .header("authorization", format!("Bearer {token}"))
///         .body(())?;
///     Ok(request.into())
/// }
/// ```
pub struct DialError(Choice);

enum Choice {
    Retry(Source),
    Fatal(Source),
    /// To be judged like an error of connecting.
    Own(Arc<Error>),
}

type Source = Arc<dyn StdError + Send + Sync>;

impl DialError {
    /// Creates an error after which the client tries again.
    pub fn retry(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Choice::Retry(error.into().into()))
    }

    /// Creates an error after which the client gives up.
    pub fn fatal(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Choice::Fatal(error.into().into()))
    }

    /// Returns whether the client gives up.
    pub fn is_fatal(&self) -> bool {
        matches!(self.0, Choice::Fatal(_))
    }

    /// Returns the error that this was made from.
    pub fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        match &self.0 {
            Choice::Retry(source) | Choice::Fatal(source) => &**source,
            Choice::Own(error) => &**error,
        }
    }

    /// The same, for another error to have as its source.
    pub(crate) fn shared(&self) -> Source {
        match &self.0 {
            Choice::Retry(source) | Choice::Fatal(source) => source.clone(),
            Choice::Own(error) => error.clone(),
        }
    }

    /// The error of this crate that this was made from, if it was.
    pub(crate) fn own(&self) -> Option<&Arc<Error>> {
        match &self.0 {
            Choice::Own(error) => Some(error),
            _ => None,
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for DialError {
    fn from(error: E) -> Self {
        let error: Box<dyn StdError + Send + Sync> = Box::new(error);
        match error.downcast::<Error>() {
            Ok(error) => Self(Choice::Own(error.into())),
            Err(error) if error.is::<http::Error>() => Self::fatal(error),
            Err(error) => Self::retry(error),
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is nothing to connect to: {}", self.get_ref())
    }
}

impl fmt::Debug for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialError")
            .field("source", &self.get_ref())
            .field("is_fatal", &self.is_fatal())
            .finish()
    }
}
