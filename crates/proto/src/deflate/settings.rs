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
/// [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
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
    /// for a [`client`](Self::client). A peer may ask for less.
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
    /// told is told not to refer to earlier messages at all; a server that can't be told declines, and
    /// there is no compression.
    pub fn receive_window_bits(mut self, bits: u8) -> Self {
        self.0.receive.window_bits = width(bits);
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
