//! What a program can choose.

use crate::compression::{Compression, Direction};
use crate::deflate::negotiation::PermessageDeflate;
use crate::deflate::window::{MAX_BITS, MIN_BITS};

/// permessage-deflate ([RFC 7692]), for [`Config::compression`]: how messages are compressed, if
/// the peer can do it too.
///
/// ```
/// use towline_proto::{Config, Deflate};
///
/// // A server of many connections: small in memory.
/// let config = Config::server().compression(Deflate::server().level(1));
/// // A feed of small, similar messages, which become much smaller by referring to each other.
/// let config = Config::server()
///     .compression(Deflate::server().send_context_takeover(true).send_window_bits(11));
/// ```
///
/// # Memory
///
/// Deflating takes 165 to 290 KiB, inflating 80 KiB, and both together 64 KiB for what comes of it.
/// All of it belongs to the thread, which keeps up to four of each as long as it lives, and usually
/// needs one; a connection borrows them from a message's first byte to its last. What a connection
/// keeps between two messages depends on *context takeover*, that is on whether a message may refer
/// to those before it:
///
/// | | a connection keeps |
/// | --- | --- |
/// | without context takeover | 64 bytes |
/// | received with it | the last 2^*bits* bytes of what was received: 32 KiB for 15, 512 bytes for 9 |
/// | sent with it, 9 to 12 bits | the last 2^*bits* bytes of what was sent: 4 KiB for 12 |
/// | sent with it, 13 to 15 bits | a deflater of its own: 192, 224 or 288 KiB |
///
/// A narrow window does not make inflating any smaller, but for what is kept.
///
/// # Which to choose
///
/// Time and length for JSON of 4 KiB, as measured on one machine: level 1 takes 14 µs and leaves
/// 28 %, level 3 takes 35 µs and leaves 20 %, level 6 takes 52 µs and leaves 19 %; inflating takes
/// 8 µs. Context takeover leaves 17 % at level 3, and of a message of 100 bytes, which becomes no
/// shorter by itself, 35 %. Each message takes 5 µs more than that where deflaters belong to the
/// thread: they must forget the message before.
///
/// # Peers that do it wrong
///
/// Some libraries fail at what the RFC allows:
///
/// | the peer | what goes wrong | what helps |
/// | --- | --- | --- |
/// | a client on Tornado 6.6 | it does not read parameters without a value, so it drops the `client_no_context_takeover` of a server's answer, and its second message refers to the first; the server closes with 1007 | a server sets [`receive_context_takeover(true)`](Self::receive_context_takeover), with [`receive_window_bits`](Self::receive_window_bits) to bound the memory, since Tornado does read those |
/// | a server on Tornado 6.6 | it drops the `server_no_context_takeover` of an offer for the same reason, so it agrees on the [fallback](Self::fallback) | nothing need be set |
/// | libwebsockets 4.1 | it spins, at the full load of a processor, on a message that is not compressed on a connection where compression was agreed on; such are those below the [`threshold`](Self::threshold), those that become no shorter, and those sent with [`Compress::Never`] | no compression for these peers: [`Accept::compression`]`(None)`, or [`Config::compression`]`(None)` of the client |
/// | a server on libwebsockets | it closes the connection where the extension is offered twice | a client that sets [`receive_window_bits`](Self::receive_window_bits) or `receive_context_takeover(false)` also sets [`fallback(false)`](Self::fallback) |
///
/// [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
/// [`Compress::Never`]: crate::compression::Compress::Never
/// [`Accept::compression`]: crate::handshake::Accept::compression
/// [`Config::compression`]: crate::config::Config::compression
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Deflate(Compression);

impl Deflate {
    /// Small in memory, for an end with many connections: no context takeover in either direction,
    /// so a connection that is at rest holds nothing. Level 3, messages from 256 bytes on.
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

    /// For an end with few connections, which can afford to make messages shorter: context takeover
    /// in both directions, if the server likes; with a window of 12 bits for what is sent and any
    /// for what is received, so a connection that is at rest holds at most 36 KiB. Level 3, messages
    /// from 256 bytes on: a lower [`threshold`](Self::threshold) is worth it for short messages
    /// that are alike.
    pub fn client() -> Self {
        Self::server()
            .send_context_takeover(true)
            .send_window_bits(12)
            .receive_context_takeover(true)
    }

    /// Sets how much time is spent on making messages short, from 1 (least) to 9 (most); other
    /// values count as the nearest of these. Default: 3. Above 6, the time grows by far more than
    /// the messages shrink.
    pub fn level(mut self, level: u8) -> Self {
        self.0.level = level.clamp(1, 9);
        self
    }

    /// Sets from how many bytes on messages are compressed. Shorter ones are sent as they are.
    /// Default: 256. Without context takeover, less than 100 bytes hardly ever become fewer.
    pub fn threshold(mut self, bytes: usize) -> Self {
        // An empty message can't become shorter.
        self.0.threshold = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        self
    }

    /// Sets whether sent messages may refer to earlier ones, if the peer allows. Default: off for
    /// a [`server`](Self::server), on for a [`client`](Self::client).
    ///
    /// A broadcast compresses a message once for all connections where this is off, and once for
    /// each where it is on.
    pub fn send_context_takeover(mut self, on: bool) -> Self {
        self.0.send.takeover = on;
        self
    }

    /// Sets how far back sent messages refer, within themselves too: 2^`bits` bytes, from 9 to 15;
    /// other values count as the nearest of these. Default: 15 for a [`server`](Self::server), 12
    /// for a [`client`](Self::client). A peer may ask for less. A client tells the server only if it
    /// [insists](Self::fallback).
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
    /// other values count as the nearest of these. Default: 15.
    ///
    /// It bounds what a connection holds, so it matters with
    /// [`receive_context_takeover`](Self::receive_context_takeover) only. A client that can't be
    /// told is told not to refer to earlier messages at all. A server that can't be told may refer as
    /// far back as it likes, unless the client [insists](Self::fallback).
    pub fn receive_window_bits(mut self, bits: u8) -> Self {
        self.0.receive.window_bits = width(bits);
        self
    }

    /// Sets whether a client which asks the server to receive little
    /// ([`receive_context_takeover(false)`](Self::receive_context_takeover),
    /// [`receive_window_bits`](Self::receive_window_bits)) also offers to do without, in the same
    /// header and after what it prefers ([RFC 7692], section 7.1.3). Default: on. A server does not
    /// use it.
    ///
    /// Some servers can't do what is asked for, and answer 400 where nothing else is offered: npm's
    /// `ws` with a `serverMaxWindowBits` that is larger, or with `serverNoContextTakeover: false`.
    /// The price is memory. With such a server a connection keeps up to 32 KiB of what it received,
    /// as if nothing had been asked for.
    ///
    /// If this is off, the client insists: there is one offer, and a server that agrees on
    /// compression in another way fails the handshake. The offer also says how narrow the client's
    /// own window is ([`send_window_bits`](Self::send_window_bits)), which spares the memory of a
    /// server that makes use of it. With the fallback it does not, since `ws` answers 400 where its
    /// `clientMaxWindowBits` is larger.
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

/// The widest is what there is where nothing is said.
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
