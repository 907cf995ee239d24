//! What a connection is told to do: limits, fragmentation, keepalive, closing.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::compression::Compression;

/// How a connection behaves: limits, fragmentation, keepalive, closing.
///
/// The two constructors differ in what may be received, and in nothing else; every other default
/// is the same on both ends. There is nothing to validate: each value that can be written down
/// is one that works.
///
/// ```
/// use std::time::Duration;
/// use towline_proto::{Config, Keepalive};
///
/// let config = Config::server()
///     .max_received_message_size(16 << 20)
///     .keepalive(Keepalive::every(Duration::from_secs(60)))
///     .close_timeout(Duration::from_secs(2));
/// // A message may come in one frame, so the limit for frames has gone up with it.
/// assert_eq!(config.max_received_frame_size, 16 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest frame that is received, in bytes of payload.
    ///
    /// A message that comes in one frame is bound by it too; a compressed one as it comes, and not
    /// in what it inflates to. A larger frame closes the connection with 1009, before anything is
    /// allocated for it. Default: 64 KiB on a server, 1 MiB on a client; or as much as
    /// [`max_received_message_size`](Self::max_received_message_size()) was set to, if that is
    /// more.
    #[doc(alias = "maxReceivedFrameSize")]
    pub max_received_frame_size: usize,

    /// The largest message that is received, in bytes of payload over all of its frames.
    ///
    /// A larger one closes the connection with 1009. It is what a peer can make this end hold
    /// at once. Without `assemble_fragments` nothing is held, and it does not apply. Default:
    /// 1 MiB on a server, 8 MiB on a client.
    ///
    /// Its [setter](Self::max_received_message_size()) raises the limit for frames with it.
    /// Whoever assigns to the field has to assign to `max_received_frame_size` as well.
    ///
    /// Of a compressed message, it is what it inflates to that counts. As it comes it may take twice
    /// as much, and 64 KiB. Until it has come whole, it holds an inflater of about 80 KiB as well.
    #[doc(alias = "maxReceivedMessageSize")]
    pub max_received_message_size: usize,

    /// The most frames that a received message may come in.
    ///
    /// Fragments cost no memory of their own here, but empty ones cost time without ever
    /// reaching a size limit. More of them close the connection with 1009. Does not apply
    /// without `assemble_fragments`. Default: 65,536.
    pub max_received_fragments: NonZeroUsize,

    /// How many control frames (ping, pong, close) may be received in a second, or `None` for
    /// any number.
    ///
    /// A second's worth may come at once, and what a program does not receive for a while comes
    /// at once too: leave room. More of them close the connection with 1008. Default: 10,000.
    pub max_received_control_rate: Option<NonZeroU32>,

    /// Whether messages larger than `fragmentation_threshold` are sent in several frames.
    ///
    /// Control frames (a pong, say) go out between those, where a single frame would hold them
    /// up. Default: on.
    #[doc(alias = "fragmentOutgoingMessages")]
    pub fragment_outgoing_messages: bool,

    /// The most payload that a sent frame carries, in bytes. Default: 16 KiB.
    #[doc(alias = "fragmentationThreshold")]
    pub fragmentation_threshold: NonZeroUsize,

    /// Whether fragments are put together, and messages received.
    ///
    /// If off, every data frame is an event of its own, as it comes, and a message that consists
    /// of a single frame is an event as well. Text is checked to be UTF-8 across fragments either
    /// way, and there is no compression. Default: on.
    #[doc(alias = "assembleFragments")]
    pub assemble_fragments: bool,

    /// Whether and when the peer is asked if it is still there, or `None` to never ask.
    /// Default: a ping after 20 s of silence, and 10 s for the peer to show any sign of life.
    #[doc(alias = "dropConnectionOnKeepaliveTimeout")]
    pub keepalive: Option<Keepalive>,

    /// How long the peer has to answer a close frame, and then to close the transport, before
    /// the connection ends without it. Default: 5 s.
    #[doc(alias = "closeTimeout")]
    pub close_timeout: Duration,

    /// How long the peer may take nothing at all while something is queued for it, or `None` for
    /// ever.
    ///
    /// It is what frees the memory that a peer holds which stops reading, and keeps its senders
    /// from waiting for ever. Whoever takes a little now and then is borne with, however slow. A
    /// connection that is closing has the `close_timeout` instead. Default: 60 s.
    pub send_timeout: Option<Duration>,

    /// How many bytes may wait to be written to the peer before sending waits, too.
    ///
    /// A message is taken while less than this is waiting, whatever its own size: what a peer
    /// that stops reading can make this end hold is this and one message for each sender. Zero
    /// makes each message wait for the one before it. A message that is longer than a frame and is
    /// being compressed counts as far as that has not been done, but is held whole until it has
    /// been, and a deflater of 165 to 290 KiB with it until the end. Default: 256 KiB.
    pub send_high_water_mark: usize,

    /// Whether and how messages are compressed, if the peer can do it too, or `None` for as they
    /// are. Default: `None`.
    ///
    /// It takes time and memory, which `Deflate` gives. It is the handshake that makes use of it;
    /// without `assemble_fragments` it makes none, since a frame of a compressed message means
    /// nothing by itself.
    pub compression: Option<Compression>,

    frame_size: FrameSize,
}

/// Where the limit for received frames comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameSize {
    /// It was set.
    Own,
    /// It is the default, or was raised by the limit for messages.
    Derived { default: usize, limit: usize },
}

impl FrameSize {
    const fn default(limit: usize) -> Self {
        Self::Derived { default: limit, limit }
    }
}

impl Config {
    /// What a server uses by default: received frames of at most 64 KiB, messages of at most
    /// 1 MiB.
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
            compression: None,
            frame_size: FrameSize::default(64 << 10),
        }
    }

    /// What a client uses by default: received frames of at most 1 MiB, messages of at most
    /// 8 MiB.
    pub fn client() -> Self {
        Self {
            max_received_frame_size: 1 << 20,
            max_received_message_size: 8 << 20,
            frame_size: FrameSize::default(1 << 20),
            ..Self::server()
        }
    }

    /// Sets [`max_received_frame_size`](Self#structfield.max_received_frame_size), in bytes. It
    /// stays as it is then, before or after
    /// [`max_received_message_size`](Self::max_received_message_size()) is set.
    #[must_use]
    pub fn max_received_frame_size(mut self, bytes: usize) -> Self {
        self.max_received_frame_size = bytes;
        self.frame_size = FrameSize::Own;
        self
    }

    /// Sets [`max_received_message_size`](Self#structfield.max_received_message_size), in bytes.
    ///
    /// A message may come in a single frame, and most do. So this raises the limit for frames to
    /// the same size, unless it is higher already or was set itself, before or after this.
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
        // A limit that was assigned to is one that was set.
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

    /// Sets [`compression`](Self::compression).
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = compression.into();
        self
    }

    /// The compression for a handshake to negotiate: none without `assemble_fragments`.
    pub fn negotiable_compression(&self) -> Option<Compression> {
        self.compression.filter(|_| self.assemble_fragments)
    }
}

/// When a silent peer is asked whether it is still there, and how long it has to answer.
///
/// Any byte that the peer sends is an answer, and puts the next question off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// How long the peer is silent before it is sent a ping.
    #[doc(alias = "keepaliveInterval")]
    pub interval: Duration,

    /// How long after that ping the peer is taken for dead and the connection ended, or `None`
    /// to go on asking and never conclude.
    #[doc(alias("keepaliveGracePeriod", "dropConnectionOnKeepaliveTimeout"))]
    pub grace: Option<Duration>,
}

impl Keepalive {
    /// A ping after `interval` of silence, and 10 s to answer it.
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
            // It is not lowered: the message's limit holds in any case.
            assert_eq!(message(100).max_received_frame_size, default);
            // The last value counts, and not the highest.
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
