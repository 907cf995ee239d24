//! Limits that no suite exceeds.

use std::num::NonZeroUsize;

use towline::Config;

/// The largest frame and the largest message, in bytes.
const SIZE: usize = 64 << 20;

/// The most frames of a message.
const FRAGMENTS: NonZeroUsize = NonZeroUsize::new(131_072).expect("not zero");

/// Returns `config` with limits that no suite exceeds.
pub(crate) fn raise(config: Config) -> Config {
    config
        .max_received_frame_size(SIZE)
        .max_received_message_size(SIZE)
        .max_received_fragments(FRAGMENTS)
}
