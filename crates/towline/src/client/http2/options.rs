//! The options of a client for HTTP/2.

use std::any::Any;
use std::sync::Arc;

use crate::client::Client;
use crate::client::http2::Http2;
use crate::client::http2::line::LARGEST_WINDOW;
use crate::transport::{Alpn, HTTP_1};

/// The default window of a stream.
const STREAM_WINDOW: u32 = 64 << 10;

/// The version of HTTP that a client's opening handshakes use, for
/// [`Client::http_version`].
///
/// | version | `wss://` | `ws://` |
/// | --- | --- | --- |
/// | `Http1` | HTTP/1.1 | HTTP/1.1 |
/// | `Http2` | HTTP/2, or an error | HTTP/2 without asking (prior knowledge) |
/// | `Auto` | HTTP/2 if the server offers it, otherwise HTTP/1.1 | HTTP/1.1 |
///
/// [`Client::http_version`] has an example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.1, with a TCP connection for each WebSocket (RFC 6455). The default.
    #[default]
    Http1,
    /// HTTP/2 alone, with many WebSockets on one TCP connection (RFC 8441).
    Http2,
    /// HTTP/2 if the server offers WebSockets over it, otherwise HTTP/1.1.
    Auto,
}

/// The options for HTTP/2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) version: HttpVersion,
    pub(crate) stream_window: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { version: HttpVersion::default(), stream_window: STREAM_WINDOW }
    }
}

impl Options {
    /// The protocols to offer by ALPN.
    pub(crate) fn alpn(self) -> Alpn {
        match self.version {
            HttpVersion::Http1 => HTTP_1,
            HttpVersion::Http2 => &["h2"],
            HttpVersion::Auto => &["h2", "http/1.1"],
        }
    }

    /// Whether HTTP/1.1 can be used instead.
    pub(crate) fn can_fall_back(self) -> bool {
        self.version == HttpVersion::Auto
    }
}

impl Client {
    /// Sets the version of HTTP for opening handshakes. Default: [`HttpVersion::Http1`].
    ///
    /// Over HTTP/2 (RFC 8441), connections to the same scheme, host and port, through the same
    /// proxy, share a TCP connection. It is shared by connections of this client and of its clones;
    /// setting an option on a client makes one that shares no TCP connection with those before.
    /// Several connects at once make one TCP connection. If it has as many streams as the server
    /// allows (`SETTINGS_MAX_CONCURRENT_STREAMS`), or the server is about to end it (GOAWAY with
    /// `NO_ERROR`), the next connect makes another one. It ends at once when its last WebSocket
    /// has ended.
    ///
    /// With [`Auto`](HttpVersion::Auto), the client offers `h2` and `http/1.1` by ALPN (RFC 7301).
    /// If the server selects `h2` and does not allow extended CONNECT, the client makes a second
    /// connection with HTTP/1.1. It remembers such servers for ten minutes.
    ///
    /// Everything else is as over HTTP/1.1, with these differences:
    ///
    /// - [`Connection::tcp_stream`](crate::Connection::tcp_stream) is `None`, since the socket
    ///   belongs to several connections. [`Connection::http_version`] tells the version.
    /// - A stream that the server resets, or a GOAWAY, ends a connection with
    ///   [`ErrorKind::ConnectionLost`]. The message names HTTP/2's error code.
    /// - [`connect_over`](Self::connect_over) and [`connect_via`](Self::connect_via) use their
    ///   stream for one WebSocket.
    ///
    /// An idle WebSocket holds no buffer and has no task, as over HTTP/1.1. It takes about 2.7 KiB
    /// on the heap, and no socket. The TCP connection has a task.
    ///
    /// ```no_run
    /// # #[tokio::main] async fn main() -> towline::Result<()> {
    /// use towline::{Client, HttpVersion};
    ///
    /// let client = Client::new().http_version(HttpVersion::Auto);
    /// // Both on one TCP connection, if the server speaks HTTP/2.
    /// let news = client.connect("wss://example.com/news").await?;
    /// let chat = client.connect("wss://example.com/chat").await?;
    /// println!("{:?}", chat.http_version());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If [`Http2`](HttpVersion::Http2) is set, connecting returns
    /// [`ErrorKind::NoApplicationProtocol`] for a server that does not select HTTP/2 by ALPN, and
    /// [`ErrorKind::NoExtendedConnect`] for one that does not send `SETTINGS_ENABLE_CONNECT_PROTOCOL`.
    /// [`ErrorKind::Handshake`]: the server breaks the rules of HTTP/2, or resets the stream or ends
    /// the connection in place of an answer.
    ///
    /// [`Connection::http_version`]: crate::Connection::http_version
    /// [`ErrorKind::ConnectionLost`]: crate::ErrorKind::ConnectionLost
    /// [`ErrorKind::Handshake`]: crate::ErrorKind::Handshake
    /// [`ErrorKind::NoApplicationProtocol`]: crate::ErrorKind::NoApplicationProtocol
    /// [`ErrorKind::NoExtendedConnect`]: crate::ErrorKind::NoExtendedConnect
    pub fn http_version(self, version: HttpVersion) -> Self {
        self.with_http2(|options| options.version = version)
    }

    /// Sets how many bytes of one WebSocket over HTTP/2 the server may send ahead of what the
    /// program receives: the initial window of flow control (RFC 9113, section 6.9.2). Default:
    /// 64 KiB. A value of 0 counts as 1, and one of 2 GiB or more as 2 GiB - 1.
    ///
    /// It bounds the rate of one WebSocket to a window per round trip: 64 KiB at 50 ms are
    /// 1.3 MB/s. It also bounds what a WebSocket costs whose program does not receive. The window of
    /// the connection is 16 MiB, or the sum of its streams' windows if that is more, so that programs
    /// that do not receive never hold up others. Since no window can be larger than 2 GiB, a
    /// connection takes no more streams than have room in that.
    ///
    /// ```
    /// use towline::{Client, HttpVersion};
    ///
    /// // 10 MB/s at 100 ms.
    /// let client = Client::new().http_version(HttpVersion::Http2).http2_stream_window(1 << 20);
    /// ```
    pub fn http2_stream_window(self, bytes: u32) -> Self {
        self.with_http2(|options| options.stream_window = bytes.clamp(1, LARGEST_WINDOW))
    }

    fn with_http2(mut self, change: impl FnOnce(&mut Options)) -> Self {
        let settings = self.settings();
        let carrier = settings.carrier.as_deref().map(|carrier| carrier as &dyn Any);
        let current = carrier.and_then(|carrier| carrier.downcast_ref::<Http2>());
        let mut options = current.map_or_else(Options::default, |http2| http2.options);
        change(&mut options);
        let carrier: Arc<Http2> = Http2::new(options);
        settings.carrier = Some(carrier);
        self
    }
}
