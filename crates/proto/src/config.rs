//! The configuration of a connection.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::compression::Compression;

/// How a connection behaves: limits, fragmentation, keepalive, closing.
///
/// The two constructors differ only in the limits for received frames and messages. All values are
/// valid; there is nothing to check.
///
/// ```
/// use std::time::Duration;
/// use towline_proto::{Config, Keepalive};
///
/// let config = Config::server()
///     .max_received_message_size(16 << 20)
///     .keepalive(Keepalive::every(Duration::from_secs(60)))
///     .close_timeout(Duration::from_secs(2));
/// // A message may come in one frame, so this raises the limit for frames too.
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest frame that may be received, in bytes of payload.
    ///
    /// A larger frame closes the connection with 1009, before memory is allocated for it. The limit
    /// also bounds a message in a single frame, by its compressed size if it is compressed. Does not
    /// apply to messages received in pieces.
    /// Default: 64 KiB on a server, 1 MiB on a client, or the value given to
    /// [`max_received_message_size`](Self::max_received_message_size()) if that is larger.
    #[doc(alias = "maxReceivedFrameSize")]
    pub max_received_frame_size: usize,

    /// The largest message that may be received, in bytes of payload over all its frames.
    ///
    /// A larger message closes the connection with 1009. This bounds the memory that a peer can
    /// make this end hold for a message. Does not apply without `assemble_fragments`, nor to
    /// messages received in pieces: neither holds messages. Default: 1 MiB on a server, 8 MiB on a
    /// client.
    ///
    /// The [setter](Self::max_received_message_size()) also raises the limit for frames. Code that
    /// assigns to the field must assign to `max_received_frame_size` as well.
    ///
    /// For a compressed message, the limit applies to its inflated size. Its compressed size may be
    /// twice the limit plus 64 KiB. Until all of it has been received, it also holds an inflater of
    /// about 80 KiB.
    #[doc(alias = "maxReceivedMessageSize")]
    pub max_received_message_size: usize,

    /// The most frames that a received message may have.
    ///
    /// More frames close the connection with 1009. Empty fragments take time but never reach a size
    /// limit. Does not apply without `assemble_fragments`, nor to messages received in pieces.
    /// Default: 65,536.
    pub max_received_fragments: NonZeroUsize,

    /// The most control frames (pings and pongs) that may be received per second, or `None` for no
    /// limit.
    ///
    /// More frames close the connection with 1008. The frames of a second may arrive at once, and
    /// so may those that piled up while the program did not receive: leave room. Default: 10,000.
    pub max_received_control_rate: Option<NonZeroU32>,

    /// Whether messages larger than `fragmentation_threshold` are sent in several frames.
    ///
    /// Control frames, such as pongs, are sent between the fragments instead of waiting for a large
    /// frame to be written. Default: on.
    #[doc(alias = "fragmentOutgoingMessages")]
    pub fragment_outgoing_messages: bool,

    /// The most payload of a sent frame, in bytes. Default: 16 KiB.
    #[doc(alias = "fragmentationThreshold")]
    pub fragmentation_threshold: NonZeroUsize,

    /// Whether fragments are assembled into messages.
    ///
    /// If off, each data frame is returned as it is received; a message of a single frame is also
    /// returned as a message. Text is validated across fragments either way. There is no
    /// compression. Default: on.
    #[doc(alias = "assembleFragments")]
    pub assemble_fragments: bool,

    /// When to ping a silent peer, or `None` for no pings. Default: a ping after 20 s of silence,
    /// and 10 s for the peer to send anything.
    #[doc(alias = "dropConnectionOnKeepaliveTimeout")]
    pub keepalive: Option<Keepalive>,

    /// How long the peer may take to answer a close frame, and then to close the transport, before
    /// the connection ends without it. Default: 5 s.
    #[doc(alias = "closeTimeout")]
    pub close_timeout: Duration,

    /// How long the peer may accept no bytes while data is queued for it, or `None` for no limit.
    ///
    /// This frees the memory held by a peer that stops reading, and keeps its senders from waiting
    /// forever. A slow peer that accepts some bytes within the timeout stays connected. A closing
    /// connection uses `close_timeout` instead. Default: 60 s.
    pub send_timeout: Option<Duration>,

    /// The number of queued bytes at which sending waits.
    ///
    /// A message of any size is accepted while fewer bytes are queued. So a peer that stops reading
    /// can make this end hold this much and one message per sender. Zero makes each message wait
    /// for the one before it. A long message that is being compressed counts only with its part
    /// that is not compressed yet, but is held whole until it has been compressed, together with a
    /// deflater of 165 to 290 KiB. Default: 256 KiB.
    pub send_high_water_mark: usize,

    /// Whether a connection that is lost keeps the messages of which it has written nothing, for
    /// `take_unsent` to return.
    ///
    /// They are in memory until the program takes them or drops the connection: at most what
    /// `send_high_water_mark` allows. Without this, an ended connection frees its queue at once.
    /// Default: off.
    pub keep_unsent: bool,

    /// How messages are compressed if the peer supports it, or `None` for no compression. Default:
    /// `None`.
    ///
    /// [`Deflate`](https://docs.rs/towline-proto/latest/towline_proto/struct.Deflate.html) lists
    /// the cost in time and memory. The handshake negotiates this. Without `assemble_fragments`, no
    /// compression is negotiated, because a single frame of a compressed message cannot be
    /// inflated.
    pub compression: Option<Compression>,

    frame_size: FrameSize,
}

/// The origin of the limit for received frames. It makes no difference to whether configurations are
/// equal.
#[derive(Debug, Clone, Copy, Eq)]
enum FrameSize {
    /// Set by the program.
    Own,
    /// The default, or raised with the limit for messages.
    Derived { default: usize, limit: usize },
}

impl PartialEq for FrameSize {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl FrameSize {
    const fn default(limit: usize) -> Self {
        Self::Derived { default: limit, limit }
    }
}

impl Config {
    /// Returns the defaults of a server: received frames of at most 64 KiB, messages of at most 1
    /// MiB.
    pub fn server() -> Self {
        Self {
            max_received_frame_size: 64 << 10,
            max_received_message_size: 1 << 20,
            max_received_fragments: const { NonZeroUsize::new(1 << 16).expect("not zero") },
            max_received_control_rate: NonZeroU32::new(10_000),
            fragment_outgoing_messages: true,
            fragmentation_threshold: const { NonZeroUsize::new(16 << 10).expect("not zero") },
            assemble_fragments: true,
            keepalive: Some(Keepalive::every(Duration::from_secs(20))),
            close_timeout: Duration::from_secs(5),
            send_timeout: Some(Duration::from_secs(60)),
            send_high_water_mark: 256 << 10,
            keep_unsent: false,
            compression: None,
            frame_size: FrameSize::default(64 << 10),
        }
    }

    /// Returns the defaults of a client: received frames of at most 1 MiB, messages of at most 8
    /// MiB.
    pub fn client() -> Self {
        Self {
            max_received_frame_size: 1 << 20,
            max_received_message_size: 8 << 20,
            frame_size: FrameSize::default(1 << 20),
            ..Self::server()
        }
    }

    /// Sets [`max_received_frame_size`](Self#structfield.max_received_frame_size), in bytes.
    /// [`max_received_message_size`](Self::max_received_message_size()) then no longer changes it,
    /// whichever is called first.
    #[must_use]
    pub fn max_received_frame_size(mut self, bytes: usize) -> Self {
        self.max_received_frame_size = bytes;
        self.frame_size = FrameSize::Own;
        self
    }

    /// Sets [`max_received_message_size`](Self#structfield.max_received_message_size), in bytes.
    ///
    /// Most messages come in a single frame, so this raises the limit for frames to the same size,
    /// unless that is higher or was set explicitly, before or after this call.
    ///
    /// ```
    /// use towline_proto::Config;
    ///
    /// let config = Config::server().max_received_message_size(16 << 20);
    /// assert_eq!(config.max_received_frame_size, 16 << 20);
    ///
    /// let config = Config::server().max_received_frame_size(4 << 20);
    /// assert_eq!(config.max_received_message_size(16 << 20).max_received_frame_size, 4 << 20);
    /// ```
    #[must_use]
    pub fn max_received_message_size(mut self, bytes: usize) -> Self {
        self.max_received_message_size = bytes;
        // Assigning another value to the field counts as setting it.
        if let FrameSize::Derived { default, limit } = self.frame_size
            && self.max_received_frame_size == limit
        {
            let limit = default.max(bytes);
            self.max_received_frame_size = limit;
            self.frame_size = FrameSize::Derived { default, limit };
        }
        self
    }

    /// Sets [`max_received_fragments`](Self::max_received_fragments).
    #[must_use]
    pub fn max_received_fragments(mut self, frames: NonZeroUsize) -> Self {
        self.max_received_fragments = frames;
        self
    }

    /// Sets [`max_received_control_rate`](Self::max_received_control_rate).
    #[must_use]
    pub fn max_received_control_rate(mut self, per_second: impl Into<Option<NonZeroU32>>) -> Self {
        self.max_received_control_rate = per_second.into();
        self
    }

    /// Sets [`fragment_outgoing_messages`](Self::fragment_outgoing_messages).
    #[must_use]
    pub fn fragment_outgoing_messages(mut self, on: bool) -> Self {
        self.fragment_outgoing_messages = on;
        self
    }

    /// Sets [`fragmentation_threshold`](Self::fragmentation_threshold).
    #[must_use]
    pub fn fragmentation_threshold(mut self, bytes: NonZeroUsize) -> Self {
        self.fragmentation_threshold = bytes;
        self
    }

    /// Sets [`assemble_fragments`](Self::assemble_fragments).
    #[must_use]
    pub fn assemble_fragments(mut self, on: bool) -> Self {
        self.assemble_fragments = on;
        self
    }

    /// Sets [`keepalive`](Self::keepalive).
    #[must_use]
    pub fn keepalive(mut self, keepalive: impl Into<Option<Keepalive>>) -> Self {
        self.keepalive = keepalive.into();
        self
    }

    /// Sets [`close_timeout`](Self::close_timeout).
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Sets [`send_timeout`](Self::send_timeout).
    #[must_use]
    pub fn send_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.send_timeout = timeout.into();
        self
    }

    /// Sets [`send_high_water_mark`](Self::send_high_water_mark).
    #[must_use]
    pub fn send_high_water_mark(mut self, bytes: usize) -> Self {
        self.send_high_water_mark = bytes;
        self
    }

    /// Sets [`keep_unsent`](Self::keep_unsent).
    #[must_use]
    pub fn keep_unsent(mut self, on: bool) -> Self {
        self.keep_unsent = on;
        self
    }

    /// Sets [`compression`](Self::compression).
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = compression.into();
        self
    }

    /// Returns the compression for the handshake to negotiate: `None` without `assemble_fragments`.
    pub fn negotiable_compression(&self) -> Option<Compression> {
        self.compression.filter(|_| self.assemble_fragments)
    }
}

/// When to ping a silent peer, and how long it may take to answer.
///
/// Any byte from the peer counts as an answer and delays the next ping.
///
/// ```
/// use std::time::Duration;
/// use towline_proto::{Config, Keepalive};
///
/// let keepalive = Keepalive::every(Duration::from_secs(60)).grace(Duration::from_secs(5));
/// let config = Config::client().keepalive(keepalive);
/// // None, for a transport that finds dead peers itself:
/// let config = Config::client().keepalive(None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// How long the peer must be silent before it is sent a ping.
    #[doc(alias = "keepaliveInterval")]
    pub interval: Duration,

    /// How long after the ping the connection ends if the peer stays silent, or `None` to keep
    /// sending pings and never end it.
    #[doc(alias("keepaliveGracePeriod", "dropConnectionOnKeepaliveTimeout"))]
    pub grace: Option<Duration>,
}

impl Keepalive {
    /// Sends a ping after `interval` of silence, and gives the peer 10 s to answer.
    pub fn every(interval: Duration) -> Self {
        Self { interval, grace: Some(Duration::from_secs(10)) }
    }

    /// Sets [`grace`](Self::grace).
    #[must_use]
    pub fn grace(mut self, grace: impl Into<Option<Duration>>) -> Self {
        self.grace = grace.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_message_raises_that_of_a_frame_unless_it_was_set() {
        for (config, default) in [(Config::server(), 64 << 10), (Config::client(), 1 << 20)] {
            let message = |bytes| config.clone().max_received_message_size(bytes);
            assert_eq!(message(64 << 20).max_received_frame_size, 64 << 20);
            // Not lowered: the limit for messages applies anyway.
            assert_eq!(message(100).max_received_frame_size, default);
            // The last value applies, not the highest.
            assert_eq!(
                message(64 << 20).max_received_message_size(100).max_received_frame_size,
                default
            );
            for own in [10, default, 32 << 20] {
                let before = config.clone().max_received_frame_size(own);
                assert_eq!(before.max_received_message_size(64 << 20).max_received_frame_size, own);
                let after = message(64 << 20).max_received_frame_size(own);
                assert_eq!(after.max_received_frame_size, own);
                let mut assigned = config.clone();
                assigned.max_received_frame_size = own + 1;
                let assigned = assigned.max_received_message_size(64 << 20);
                assert_eq!(assigned.max_received_frame_size, own + 1);
            }
        }
    }

    #[test]
    fn the_defaults_are_those_of_websocket_node() {
        let (server, client) = (Config::server(), Config::client());
        assert_eq!(server.max_received_frame_size, 0x10000);
        assert_eq!(server.max_received_message_size, 0x100000);
        assert_eq!(client.max_received_frame_size, 0x100000);
        assert_eq!(client.max_received_message_size, 0x800000);
        for config in [server, client] {
            assert!(config.fragment_outgoing_messages);
            assert_eq!(config.fragmentation_threshold.get(), 0x4000);
            assert!(config.assemble_fragments);
            assert_eq!(config.close_timeout, Duration::from_millis(5000));
            let keepalive = config.keepalive.expect("on");
            assert_eq!(keepalive.interval, Duration::from_millis(20_000));
            assert_eq!(keepalive.grace, Some(Duration::from_millis(10_000)));
        }
    }
}
