//! The options of a connection, as JavaScript has them.

use std::num::NonZeroUsize;
use std::time::Duration;

use napi_derive::napi;
use towline_proto::{Config, Keepalive};

/// What a connection is told to do. Sizes are in bytes, times in milliseconds.
#[napi(object, object_to_js = false)]
pub struct Options {
    /// The largest frame that is received.
    pub max_received_frame_size: f64,
    /// The largest message that is received.
    pub max_received_message_size: f64,
    /// The most frames that a received message may come in.
    pub max_received_fragments: f64,
    /// Whether long messages are sent in several frames.
    pub fragment_outgoing_messages: bool,
    /// The most payload that a sent frame carries.
    pub fragmentation_threshold: f64,
    /// Whether fragments are put together.
    pub assemble_fragments: bool,
    /// After how much silence the peer is sent a ping; never, if absent.
    pub keepalive_interval: Option<f64>,
    /// How long the peer has to answer it; for ever, if absent.
    pub keepalive_grace_period: Option<f64>,
    /// How long the peer has to answer a close frame.
    pub close_timeout: f64,
}

impl Options {
    pub(crate) fn to_config(&self) -> Config {
        let grace = self.keepalive_grace_period.map(duration);
        let keepalive =
            self.keepalive_interval.map(|every| Keepalive::every(duration(every)).grace(grace));
        Config::server()
            .max_received_frame_size(size(self.max_received_frame_size))
            .max_received_message_size(size(self.max_received_message_size))
            .max_received_fragments(at_least_one(self.max_received_fragments))
            .fragment_outgoing_messages(self.fragment_outgoing_messages)
            .fragmentation_threshold(at_least_one(self.fragmentation_threshold))
            .assemble_fragments(self.assemble_fragments)
            .keepalive(keepalive)
            .close_timeout(duration(self.close_timeout))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and makes 0 of NaN")]
fn size(value: f64) -> usize {
    value as usize
}

fn at_least_one(value: f64) -> NonZeroUsize {
    NonZeroUsize::new(size(value)).unwrap_or(NonZeroUsize::MIN)
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and makes 0 of NaN")]
fn duration(milliseconds: f64) -> Duration {
    Duration::from_millis(milliseconds as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_do_no_harm() {
        assert_eq!(size(f64::INFINITY), usize::MAX);
        assert_eq!((size(-1.0), size(f64::NAN)), (0, 0));
        assert_eq!(at_least_one(0.0).get(), 1);
        assert_eq!(duration(f64::NAN), Duration::ZERO);
    }
}
