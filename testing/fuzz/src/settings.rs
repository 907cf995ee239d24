//! Configurations made from bytes.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use towline_proto::{Config, Deflate, Keepalive};

/// A limit that inputs of a fuzzer reach, and one that they don't.
const SIZES: [usize; 5] = [0, 100, 400, 3_000, 70_000];

/// Makes a configuration with small limits.
pub fn config(input: &mut Unstructured<'_>) -> Result<Config> {
    let mut config = Config::server()
        .assemble_fragments(input.arbitrary()?)
        .max_received_frame_size(*input.choose(&SIZES)?)
        .max_received_message_size(*input.choose(&SIZES)?)
        .max_received_fragments(non_zero(input.int_in_range(1..=40)?))
        .max_received_control_rate(NonZeroU32::new(input.int_in_range(0..=40)?))
        .fragment_outgoing_messages(input.arbitrary()?)
        .fragmentation_threshold(non_zero(input.int_in_range(1..=5_000)?))
        .send_high_water_mark(*input.choose(&SIZES)?)
        .close_timeout(Duration::from_millis(input.int_in_range(0..=9_000)?));
    config = config.send_timeout(optional(input)?.map(Duration::from_millis));
    let interval = optional(input)?;
    let grace = optional(input)?;
    Ok(config.keepalive(interval.map(|interval| {
        Keepalive::every(Duration::from_millis(interval)).grace(grace.map(Duration::from_millis))
    })))
}

/// A time in milliseconds, or none.
fn optional(input: &mut Unstructured<'_>) -> Result<Option<u64>> {
    Ok(if input.arbitrary()? { Some(input.int_in_range(1..=30_000)?) } else { None })
}

/// Makes settings of permessage-deflate, or none.
pub fn deflate(input: &mut Unstructured<'_>) -> Result<Option<Deflate>> {
    if input.arbitrary()? {
        return Ok(None);
    }
    let settings = if bool::arbitrary(input)? { Deflate::server() } else { Deflate::client() };
    let settings = settings
        .level(input.int_in_range(1..=9)?)
        .threshold(*input.choose(&[0, 20, 1_000])?)
        .send_context_takeover(input.arbitrary()?)
        .send_window_bits(input.int_in_range(9..=15)?)
        .receive_context_takeover(input.arbitrary()?)
        .receive_window_bits(input.int_in_range(9..=15)?)
        .fallback(input.arbitrary()?);
    Ok(Some(settings))
}

/// Sizes of pieces, none of them zero. They are used in turn.
pub fn pieces(input: &mut Unstructured<'_>) -> Result<Vec<usize>> {
    let count = input.int_in_range(1..=6)?;
    (0..count).map(|_| Ok(input.arbitrary::<u8>()? as usize * 3 + 1)).collect()
}

fn non_zero(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}
