//! Compressed messages, held against another inflater.
//!
//! What is inflated is what miniz_oxide makes of the same bytes, and nothing of a message beyond
//! the limit. What either refuses, the other does not take for another message.

use arbitrary::{Result, Unstructured};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use towline_kit::{Peer, event, frame, negotiate};
use towline_proto::{Config, Deflate, Role};

/// What a sender removes from the end of a message (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// A block that is empty and the last.
const END: [u8; 2] = [3, 0];
const LIMIT: usize = 20_000;

pub fn run(data: &[u8]) {
    let _ = check(&mut Unstructured::new(data));
}

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let takeover = input.arbitrary()?;
    let cuts: Vec<u8> = input.arbitrary()?;
    let mut messages = Vec::new();
    while !input.is_empty() && messages.len() < 6 {
        messages.push(input.arbitrary::<&[u8]>()?.to_vec());
    }

    let config = Config::server()
        .max_received_message_size(LIMIT)
        .compression(Deflate::server().receive_context_takeover(takeover));
    let client = Config::client().compression(Deflate::client().send_context_takeover(takeover));
    let [_, compression] = negotiate(&client, &config);
    let mut peer = Peer::new(Role::Server, &config).with_compression(compression.as_ref());

    let mut other = Theirs::default();
    for message in messages {
        if !takeover {
            other = Theirs::default();
        }
        let theirs = other.message(&message);
        peer.says_all(fragments(&message, &cuts));
        let events = peer.events();
        match (&peer.fault(), theirs) {
            (None, Some(theirs)) => assert_eq!(events, [event::binary(theirs)]),
            // Where a final block was sent, the two differ in what may follow it.
            (None, None) => return Ok(()),
            (Some(_), theirs) => {
                assert!(events.is_empty(), "a message and a fault");
                if let Some(theirs) = theirs {
                    assert!(theirs.len() > LIMIT, "{:?} for {theirs:?}", peer.fault());
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The message in fragments, the first of which says that it is compressed.
fn fragments(message: &[u8], cuts: &[u8]) -> Vec<towline_kit::FrameBytes> {
    let mut rest = message;
    let mut frames = Vec::new();
    for cut in cuts.iter().take(5) {
        let (now, later) = rest.split_at(usize::from(*cut).min(rest.len()));
        frames.push(now);
        rest = later;
    }
    frames.push(rest);
    let last = frames.len() - 1;
    frames
        .iter()
        .enumerate()
        .map(|(n, part)| {
            let first = n == 0;
            frame()
                .opcode(if first { 2 } else { 0 })
                .rsv(if first { 4 } else { 0 })
                .fin(n == last)
                .payload(part)
        })
        .collect()
}

/// Another inflater, with all that it has inflated in one direction, as later messages may refer to
/// that.
#[derive(Clone, Default)]
struct Theirs {
    engine: Box<DecompressorOxide>,
    inflated: Vec<u8>,
}

impl Theirs {
    /// Returns what the message is: `None` if that is none, or if a block in it is the last of its
    /// stream.
    fn message(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let before = self.inflated.len();
        self.take(&[message, &TAIL].concat(), TINFLStatus::NeedsMoreInput)?;
        // Another block can begin here, so none is open. A copy takes it, as others may follow.
        let mut at_end = self.clone();
        at_end.take(&END, TINFLStatus::Done)?;
        (at_end.inflated.len() == self.inflated.len()).then(|| self.inflated[before..].to_vec())
    }

    /// Takes the input, after which the status is this one.
    fn take(&mut self, mut input: &[u8], at_end: TINFLStatus) -> Option<()> {
        // One buffer that does not wrap: only so is a reference to what never was an error.
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_HAS_MORE_INPUT;
        loop {
            let at = self.inflated.len();
            self.inflated.resize(at + (8 << 10), 0);
            let (status, read, made) =
                decompress(&mut self.engine, input, &mut self.inflated, at, flags);
            self.inflated.truncate(at + made);
            input = &input[read..];
            match status {
                TINFLStatus::HasMoreOutput if self.inflated.len() < 8 * LIMIT => {}
                status => return (status == at_end && input.is_empty()).then_some(()),
            }
        }
    }
}
