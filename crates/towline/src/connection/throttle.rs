//! Limits how fast a peer can send.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use towline_proto::LimitExceeded;

use crate::connection::rate::{Meter, Rate};

/// The shortest time to stop reading for, so that a fast rate does not cost a timer for each
/// message.
const SHORTEST: Duration = Duration::from_millis(10);

/// What to do about a peer that sends faster than
/// [`max_message_rate`](crate::ServerBuilder::max_message_rate) or
/// [`max_byte_rate`](crate::ServerBuilder::max_byte_rate) allows.
///
/// [`max_message_rate`](crate::ServerBuilder::max_message_rate) has an example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenTooFast {
    /// Stop reading until the peer is within the rate again. Flow control then holds the peer up,
    /// and no message is lost. The default.
    #[default]
    SlowDown,
    /// Close with 1008 (policy violation). [`recv`](crate::Connection::recv) returns an error of the
    /// kind [`LimitExceeded`](crate::ErrorKind::LimitExceeded).
    Close,
}

/// What a peer sends too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TooFast {
    Messages,
    Bytes,
}

/// The options of a throttle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Throttling {
    pub(crate) messages: Option<Rate>,
    pub(crate) bytes: Option<Rate>,
    pub(crate) when_too_fast: WhenTooFast,
}

/// What a peer has sent of late.
pub(crate) struct Throttle {
    options: Arc<Throttling>,
    messages: Meter,
    bytes: Meter,
}

impl Throttle {
    pub(crate) fn new(options: &Arc<Throttling>) -> Box<Self> {
        let full = Meter::full(Instant::now());
        Box::new(Self { options: options.clone(), messages: full, bytes: full })
    }

    /// Counts a message that is handed out.
    pub(crate) fn take_message(&mut self) -> Result<(), LimitExceeded> {
        let Some(rate) = self.options.messages else { return Ok(()) };
        let too_many = LimitExceeded::MessageRate { limit: rate.count(), per: rate.per() };
        Self::take(&mut self.messages, rate, 1, self.options.when_too_fast).map_err(|()| too_many)
    }

    /// Counts bytes that were read.
    pub(crate) fn take_bytes(&mut self, count: usize) -> Result<(), LimitExceeded> {
        let Some(rate) = self.options.bytes else { return Ok(()) };
        let too_many = LimitExceeded::ByteRate { limit: rate.count(), per: rate.per() };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        Self::take(&mut self.bytes, rate, count, self.options.when_too_fast).map_err(|()| too_many)
    }

    fn take(meter: &mut Meter, rate: Rate, count: u64, when: WhenTooFast) -> Result<(), ()> {
        let now = Instant::now();
        match when {
            WhenTooFast::SlowDown => {
                meter.take(rate, now, count);
                Ok(())
            }
            WhenTooFast::Close => meter.try_take(rate, now, count).map_err(drop),
        }
    }

    /// Returns for how long to stop reading and for what, or `None` to go on.
    pub(crate) fn rest(&self) -> Option<(Duration, TooFast)> {
        if self.options.when_too_fast == WhenTooFast::Close {
            return None;
        }
        let now = Instant::now();
        let rest = |rate: Option<Rate>, meter: Meter| {
            let rate = rate?;
            Some(meter.wait(rate, now)?.max(SHORTEST.min(rate.time_of_burst())))
        };
        let messages = rest(self.options.messages, self.messages).map(|it| (it, TooFast::Messages));
        messages.max(rest(self.options.bytes, self.bytes).map(|it| (it, TooFast::Bytes)))
    }
}
