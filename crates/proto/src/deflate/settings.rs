//! The options of permessage-deflate.

use crate::compression::{Compression, Direction};
use crate::deflate::negotiation::PermessageDeflate;
use crate::deflate::window::{MAX_BITS, MIN_BITS};

/// The options of permessage-deflate ([RFC 7692]), for [`Config::compression`].
///
/// ```
/// use towline_proto::{Config, Deflate};
///
/// // A server with many connections, each of which keeps next to no memory for it.
/// let server = Config::server().compression(Deflate::server());
/// // A client of a feed of short messages that are alike.
/// let client = Config::client().compression(Deflate::client().threshold(64));
/// ```
///
/// # Memory
///
/// A deflater takes 165 to 290 KiB, an inflater 80 KiB, and their output 64 KiB. This memory
/// belongs to the thread, which keeps up to four of each until it ends and usually needs one. A
/// connection borrows them from the first byte of a message to its last. The memory that a
/// connection keeps between messages depends on *context takeover*, that is, whether a message may
/// refer to earlier ones:
///
/// | | a connection keeps |
/// | --- | --- |
/// | without context takeover | 120 bytes, of which 56 count what is compressed |
/// | received with it | the last 2^*bits* bytes received: 32 KiB for 15, 512 bytes for 9 |
/// | sent with it, 9 to 12 bits | the last 2^*bits* bytes sent: 4 KiB for 12 |
/// | sent with it, 13 to 15 bits | its own deflater: 192, 224 or 288 KiB |
///
/// A narrow window reduces only the memory kept, not that of the inflater.
///
/// # Which to choose
///
/// Time and size for 4 KiB of JSON, measured on one machine: level 1 takes 14 µs and leaves 28 %,
/// level 3 takes 35 µs and leaves 20 %, level 6 takes 52 µs and leaves 19 %. Inflating takes 8 µs.
/// With context takeover, level 3 leaves 17 %, and 35 % of a message of 100 bytes, which otherwise
/// does not shrink. Deflaters that belong to the thread take 5 µs more per message, because they
/// must forget the previous message.
///
/// # Peers with bugs
///
/// Some libraries fail on behavior that the RFC allows:
///
/// | the peer | problem | workaround |
/// | --- | --- | --- |
/// | a client on Tornado 6.6 | it ignores parameters without a value, so it drops the `client_no_context_takeover` of a server's answer, and its second message refers to the first; the server closes with 1007 | a server sets [`receive_context_takeover(true)`](Self::receive_context_takeover), with [`receive_window_bits`](Self::receive_window_bits) to bound the memory, since Tornado does read those |
/// | a server on Tornado 6.6 | it drops the `server_no_context_takeover` of an offer for the same reason, so it agrees on the [fallback](Self::fallback) | no setting is needed |
/// | libwebsockets 4.1 | it busy-loops on an uncompressed message after compression was negotiated: messages below the [`threshold`](Self::threshold), messages that do not shrink, and messages sent with [`Compress::Never`] | no compression for these peers: [`Accept::compression`]`(None)`, or [`Config::compression`]`(None)` of the client |
/// | a server on libwebsockets | it closes the connection if the extension is offered twice | a client that sets [`receive_window_bits`](Self::receive_window_bits) or `receive_context_takeover(false)` also sets [`fallback(false)`](Self::fallback) |
///
/// [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
/// [`Compress::Never`]: crate::compression::Compress::Never
/// [`Accept::compression`]: crate::handshake::Accept::compression
/// [`Config::compression`]: crate::config::Config::compression
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Deflate(Compression);

impl Deflate {
    /// Returns options for an end with many connections: no context takeover in either direction,
    /// so an idle connection holds no memory. Level 3, messages of at least 256 bytes.
    pub fn server() -> Self {
        Self(Compression {
            level: 3,
            threshold: 256,
            send: Direction { takeover: false, window_bits: None },
            receive: Direction { takeover: false, window_bits: None },
            fallback: true,
            method: &PermessageDeflate,
        })
    }

    /// Returns options for an end with few connections: context takeover in both directions if the
    /// server agrees, a window of 12 bits for sent messages and any for received ones. An idle
    /// connection holds at most 36 KiB. Level 3, messages of at least 256 bytes; a lower
    /// [`threshold`](Self::threshold) helps with short, similar messages.
    pub fn client() -> Self {
        Self::server()
            .send_context_takeover(true)
            .send_window_bits(12)
            .receive_context_takeover(true)
    }

    /// Sets the compression level, from 1 (fastest) to 9 (smallest); other values are clamped.
    /// Default: 3. Above 6, the time grows by far more than the messages shrink.
    pub fn level(mut self, level: u8) -> Self {
        self.0.level = level.clamp(1, 9);
        self
    }

    /// Sets the smallest message that is compressed, in bytes. Default: 256. Without context
    /// takeover, messages below 100 bytes hardly ever shrink.
    pub fn threshold(mut self, bytes: usize) -> Self {
        // An empty message cannot shrink.
        self.0.threshold = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        self
    }

    /// Sets whether sent messages may refer to earlier ones, if the peer allows. Default: off for
    /// a [`server`](Self::server), on for a [`client`](Self::client).
    ///
    /// If off, a broadcast compresses a message once for all connections; if on, once for each.
    pub fn send_context_takeover(mut self, on: bool) -> Self {
        self.0.send.takeover = on;
        self
    }

    /// Sets the window of sent messages: they refer at most 2^`bits` bytes back, within themselves
    /// too. From 9 to 15; other values are clamped. Default: 15 for a [`server`](Self::server), 12
    /// for a [`client`](Self::client). A peer may ask for less. A client tells the server only with
    /// [`fallback(false)`](Self::fallback).
    pub fn send_window_bits(mut self, bits: u8) -> Self {
        self.0.send.window_bits = width(bits);
        self
    }

    /// Sets whether received messages may refer to earlier ones. Default: off for a
    /// [`server`](Self::server), on for a [`client`](Self::client).
    pub fn receive_context_takeover(mut self, on: bool) -> Self {
        self.0.receive.takeover = on;
        self
    }

    /// Sets how far back received messages may refer to earlier ones: 2^`bits` bytes, from 9 to 15;
    /// other values are clamped. Default: 15.
    ///
    /// It bounds the memory that a connection holds, so it matters only with
    /// [`receive_context_takeover`](Self::receive_context_takeover). A client that does not support
    /// the parameter is told not to refer to earlier messages. A server that does not support it
    /// may refer back as far as it likes, unless the client sets
    /// [`fallback(false)`](Self::fallback).
    pub fn receive_window_bits(mut self, bits: u8) -> Self {
        self.0.receive.window_bits = width(bits);
        self
    }

    /// Sets whether a client that restricts what the server sends
    /// ([`receive_context_takeover(false)`](Self::receive_context_takeover),
    /// [`receive_window_bits`](Self::receive_window_bits)) also offers compression without these
    /// restrictions, in the same header and after the preferred offer ([RFC 7692], section 7.1.3).
    /// Default: on. Servers ignore this option.
    ///
    /// Some servers cannot meet the restrictions, and answer 400 if there is no other offer: npm's
    /// `ws` with a larger `serverMaxWindowBits`, or with `serverNoContextTakeover: false`. The cost
    /// is memory: with such a server, a connection keeps up to 32 KiB of received data, as without
    /// the restrictions.
    ///
    /// If off, there is a single offer, and the handshake fails if the server agrees on compression
    /// without the restrictions. The offer also contains the client's own window
    /// ([`send_window_bits`](Self::send_window_bits)), which lets some servers save memory. With
    /// the fallback it does not, because `ws` answers 400 if its `clientMaxWindowBits` is larger.
    ///
    /// ```
    /// use towline_proto::{Compression, Deflate};
    ///
    /// let offers = |deflate: Deflate| {
    ///     let offers = Compression::from(deflate).offers();
    ///     offers.iter().map(ToString::to_string).collect::<Vec<_>>()
    /// };
    /// let narrow = Deflate::client().receive_window_bits(10);
    /// assert_eq!(
    ///     offers(narrow),
    ///     [
    ///         "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
    ///         "permessage-deflate; client_max_window_bits",
    ///         "permessage-deflate",
    ///     ],
    /// );
    /// assert_eq!(offers(narrow.fallback(false)).len(), 1);
    /// ```
    ///
    /// [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
    pub fn fallback(mut self, on: bool) -> Self {
        self.0.fallback = on;
        self
    }
}

/// The widest window is the default and is not written out.
fn width(bits: u8) -> Option<u8> {
    (bits < MAX_BITS).then_some(bits.max(MIN_BITS))
}

impl From<Deflate> for Compression {
    fn from(deflate: Deflate) -> Self {
        deflate.0
    }
}

impl From<Deflate> for Option<Compression> {
    fn from(deflate: Deflate) -> Self {
        Some(deflate.0)
    }
}
