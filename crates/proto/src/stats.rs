//! What a connection has sent and received so far, and how quickly its peer answers.

use std::time::Duration;

/// What a connection has sent and received so far, and what is queued now.
///
/// All counts begin with zero after the opening handshake and never decrease. Counting is always on.
///
/// ```
/// use std::time::Instant;
/// use towline_proto::{Config, Connection, Role};
///
/// let now = Instant::now();
/// let mut connection = Connection::new(Role::Client, &Config::client(), now);
/// connection.session().send("ship ahoy").unwrap();
/// let stats = connection.session().stats(now);
/// assert_eq!((stats.sent.messages, stats.sent.payload_bytes), (1, 9));
/// assert!(stats.round_trip.is_none() && stats.queued_bytes > 9);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What was sent. A message counts when it is queued, frames when they are encoded, and bytes on
    /// the wire when the transport has taken them.
    pub sent: Traffic,
    /// What was received, up to the last read of the receiving half.
    pub received: Traffic,
    /// The pings that were sent: keepalive pings, those of round trips, and the program's.
    pub pings_sent: u64,
    /// The pings that were received.
    pub pings_received: u64,
    /// The time from a ping to its pong. `None` before the first.
    pub round_trip: Option<RoundTrip>,
    /// The messages, or frames made by the program, that wait behind those being written.
    pub queued_messages: usize,
    /// The bytes that the transport has not taken yet, encoded or not.
    pub queued_bytes: usize,
    /// How often a sender waited for room in the queue, counted when the wait is over.
    pub waits: u64,
    /// For how long senders waited for room. The times of senders that waited at once are added up.
    pub waited: Duration,
    /// The time since the opening handshake.
    pub age: Duration,
    /// The time since bytes of the peer were last received, whatever was sent meanwhile. While the
    /// program is busy, it is up to six seconds too long.
    pub idle: Duration,
}

/// What was sent or received, in one direction.
///
/// [`Stats`] has an example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages, text and binary.
    pub messages: u64,
    /// The bytes of their payloads, before compression.
    pub payload_bytes: u64,
    /// Frames of all kinds, control frames included.
    pub frames: u64,
    /// The bytes of frames on the transport, headers included. TLS and the handshake do not count.
    pub wire_bytes: u64,
    /// The payload bytes of the messages that were compressed, before compression.
    pub plain_bytes: u64,
    /// The payload bytes of the same messages, after compression.
    pub compressed_bytes: u64,
}

/// The time from a ping to its pong.
///
/// Keepalive pings are measured, and the pings of round trips that the program asked for, by pongs
/// with the same payload (RFC 6455, section 5.5.3): unsolicited ones are none of them. A pong counts
/// when it is decoded, so the time includes that during which the program did not receive.
///
/// [`Stats`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoundTrip {
    /// The last one, in whole microseconds, at least one.
    pub last: Duration,
    /// The smoothed one: 7/8 of what it was and 1/8 of the last one, as SRTT in [RFC 6298, section
    /// 2](https://www.rfc-editor.org/rfc/rfc6298#section-2).
    pub smoothed: Duration,
}

impl Traffic {
    /// Adds the counts of another connection.
    pub fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.payload_bytes += other.payload_bytes;
        self.frames += other.frames;
        self.wire_bytes += other.wire_bytes;
        self.plain_bytes += other.plain_bytes;
        self.compressed_bytes += other.compressed_bytes;
    }
}

/// What a decoder has received since its counts were last taken.
///
/// They are small: a decoder belongs to the receiving half of each connection. Take them before each
/// read.
///
/// [`Connection`](crate::connection::Connection) does this for hosts that use it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Messages that were complete in the input, of one frame each.
    pub(crate) whole: u32,
    /// Other messages, and all frames that are not whole messages.
    pub(crate) others: u32,
    pub(crate) frames: u32,
    pub(crate) wire_bytes: u32,
    pub(crate) compressed_bytes: u32,
    pub(crate) plain_bytes: u32,
    pub(crate) payload_bytes: u64,
}

impl Counts {
    /// Adds bytes that were inflated. Their number is bound by the length of a read.
    #[inline]
    pub(crate) fn add_inflated(&mut self, compressed: u64, plain: u64) {
        let add = |sum: &mut u32, bytes: u64| {
            *sum = sum.wrapping_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        };
        add(&mut self.compressed_bytes, compressed);
        add(&mut self.plain_bytes, plain);
    }
}

impl From<Counts> for Traffic {
    fn from(counts: Counts) -> Self {
        Self {
            messages: u64::from(counts.whole) + u64::from(counts.others),
            payload_bytes: counts.payload_bytes,
            frames: u64::from(counts.whole) + u64::from(counts.frames),
            wire_bytes: counts.wire_bytes.into(),
            plain_bytes: counts.plain_bytes.into(),
            compressed_bytes: counts.compressed_bytes.into(),
        }
    }
}

/// The sums of what was received, and of what most connections have none of.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    messages: u64,
    payload_bytes: u64,
    frames: u64,
    wire_bytes: u64,
    rare: Option<Box<Rare>>,
}

/// Boxed, since most connections have neither waited nor received anything compressed.
#[derive(Debug, Default)]
struct Rare {
    plain_bytes: u64,
    compressed_bytes: u64,
    waits: u64,
    waited: Duration,
}

impl Sums {
    #[inline]
    pub(crate) fn add(&mut self, counts: Counts) {
        self.messages += u64::from(counts.whole) + u64::from(counts.others);
        self.frames += u64::from(counts.whole) + u64::from(counts.frames);
        self.payload_bytes += counts.payload_bytes;
        self.wire_bytes += u64::from(counts.wire_bytes);
        if counts.compressed_bytes > 0 {
            let rare = self.rare.get_or_insert_default();
            rare.plain_bytes += u64::from(counts.plain_bytes);
            rare.compressed_bytes += u64::from(counts.compressed_bytes);
        }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let Self { messages, payload_bytes, frames, wire_bytes, .. } = *self;
        let (plain_bytes, compressed_bytes) =
            self.rare.as_ref().map_or((0, 0), |rare| (rare.plain_bytes, rare.compressed_bytes));
        Traffic { messages, payload_bytes, frames, wire_bytes, plain_bytes, compressed_bytes }
    }

    pub(crate) fn add_wait(&mut self, waited: Duration) {
        let rare = self.rare.get_or_insert_default();
        rare.waits += 1;
        rare.waited = rare.waited.saturating_add(waited);
    }

    /// Returns how often, and for how long, senders have waited.
    pub(crate) fn waits(&self) -> (u64, Duration) {
        self.rare.as_ref().map_or((0, Duration::ZERO), |rare| (rare.waits, rare.waited))
    }
}

/// The lengths of the compressed messages that were sent. Boxed, since most connections have none.
#[derive(Debug, Default)]
pub(crate) struct Compressed(Option<Box<(u64, u64)>>);

impl Compressed {
    pub(crate) fn add(&mut self, plain: u64, compressed: u64) {
        let bytes = self.0.get_or_insert_default();
        bytes.0 += plain;
        bytes.1 += compressed;
    }

    /// Returns the bytes before and after compression.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.0.as_deref().copied().unwrap_or_default()
    }
}
