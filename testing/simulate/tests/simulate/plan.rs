//! What a run is like, drawn from its seed.

use std::num::NonZeroUsize;
use std::time::Duration;

use towline::{CloseCode, Config, Deflate, Keepalive};

use crate::dice::Dice;
use crate::link::Shape;

/// The largest message, in bytes.
pub(crate) const LARGEST: usize = 60_000;

/// How a program ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Closes, and receives to the end.
    Close,
    /// Closes, and drops what still comes.
    CloseAndDrop,
    /// Drops the connection.
    Drop,
    Abort,
    /// Leaves it to the peer.
    Wait,
}

/// What the program on one end of a connection does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The tasks that send, on their own senders. One without any uses the whole connection.
    pub(crate) senders: usize,
    pub(crate) messages: u64,
    pub(crate) len: usize,
    /// The longest pause between two messages that are sent, in milliseconds.
    pub(crate) pause: u64,
    /// Receiving stops for up to this long, in milliseconds, now and then.
    pub(crate) slowness: u64,
    /// One future in so many is dropped before it is done.
    pub(crate) cancels: u64,
    pub(crate) ending: Ending,
    pub(crate) code: CloseCode,
}

impl Plan {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        use Ending::{Abort, Close, CloseAndDrop, Drop, Wait};
        let len = dice.choose(&[40, 40, 300, 3_000, LARGEST]);
        let messages = dice.choose(&[0, 1, 5, 20, 60]);
        Self {
            senders: dice.choose(&[0, 0, 1, 1, 2, 4]),
            // A run should take a moment, also where each read is a few bytes.
            messages: if len < LARGEST { messages } else { messages.min(5) },
            len,
            pause: dice.choose(&[0, 0, 20, 1_000, 8_000]),
            slowness: dice.choose(&[0, 0, 0, 500, 20_000]),
            cancels: dice.choose(&[2, 5, 1_000]),
            ending: dice.choose(&[Close, Close, Close, CloseAndDrop, Drop, Abort, Wait, Wait]),
            code: dice.choose(&[
                CloseCode::NORMAL,
                CloseCode::GOING_AWAY,
                CloseCode::NO_STATUS,
                CloseCode::new(4321),
            ]),
        }
    }
}

pub(crate) fn shape(dice: &mut Dice) -> Shape {
    Shape {
        // Not zero: the order of tasks within a moment depends on more than the seed.
        latency: dice.choose(&[(1, 1), (1, 5), (20, 60), (100, 400)]),
        buffer: dice.choose(&[200, 4_000, 64_000, 400_000]),
        most: dice.choose(&[7, 500, 70_000, 70_000]),
    }
}

pub(crate) fn config(dice: &mut Dice) -> Config {
    let interval = Duration::from_secs(dice.choose(&[1, 5, 20]));
    let grace = Duration::from_secs(dice.choose(&[2, 10]));
    let keepalive = (!dice.once_in(5)).then(|| Keepalive::every(interval).grace(grace));
    let send_timeout = dice.choose(&[None, Some(5), Some(60)]).map(Duration::from_secs);
    let threshold = dice.choose(&[10, 1_000, 16 << 10]);
    let config = Config::client()
        .keepalive(keepalive)
        .send_timeout(send_timeout)
        .close_timeout(dice.millis(500, 8_000))
        .send_high_water_mark(dice.choose(&[0, 1 << 10, 64 << 10, 256 << 10]))
        .fragment_outgoing_messages(!dice.once_in(4))
        .fragmentation_threshold(NonZeroUsize::new(threshold).unwrap_or(NonZeroUsize::MIN))
        .keep_unsent(dice.once_in(2));
    if dice.once_in(2) {
        let takeover = !dice.once_in(3);
        let deflate = Deflate::client().threshold(0).send_context_takeover(takeover);
        return config.compression(deflate);
    }
    config
}
