//! The receiving half.

use crate::compression::{Inflating, NotInflatable, Sink};
use crate::deflate::pool::{InflateEngine, with_chunk};
use crate::deflate::window::{MAX_BITS, MIN_BITS, Window};

/// The bytes that the sender removed: "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of
/// the payload of the message" (RFC 7692, section 7.2.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// An empty block that ends a deflate stream. It is valid only where a block may begin, so it
/// proves that the message does not end within one.
const END: [u8; 2] = [0x03, 0x00];

/// Inflates the messages of one direction.
#[derive(Debug)]
pub(super) struct Inflater {
    /// The peer's window if it uses context takeover.
    takeover: Option<u8>,
    /// The data that the next message may refer to.
    window: Window,
    /// Set from the first byte of a message to its end.
    engine: Option<Box<InflateEngine>>,
}

impl Inflater {
    pub(super) fn new(takeover: bool, window_bits: Option<u8>) -> Self {
        // A peer that negotiated 8 may deflate with 9: most engines do not support less.
        let bits = window_bits.unwrap_or(MAX_BITS).max(MIN_BITS);
        Self { takeover: takeover.then_some(bits), window: Window::default(), engine: None }
    }

    fn run(&mut self, piece: &[u8], sink: Sink<'_>) -> Result<(), NotInflatable> {
        let window = self.takeover.map(|_| &mut self.window);
        let engine =
            self.engine.get_or_insert_with(|| InflateEngine::take(window.map(std::mem::take)));
        let bits = self.takeover.unwrap_or(MAX_BITS);
        with_chunk(|chunk| engine.inflate(piece, bits, chunk, sink))
    }
}

impl Inflating for Inflater {
    fn inflate(&mut self, piece: &[u8], sink: Sink<'_>) -> Result<(), NotInflatable> {
        if piece.is_empty() { Ok(()) } else { self.run(piece, sink) }
    }

    fn finish(&mut self, sink: Sink<'_>) -> Result<(), NotInflatable> {
        // A message without bytes is empty: some peers send that, although it should be 00.
        if self.engine.is_none() {
            return Ok(());
        }
        let mut has_enough = false;
        self.run(&TAIL, &mut |inflated| {
            has_enough = !sink(inflated);
            !has_enough
        })?;
        if has_enough {
            return Ok(());
        }
        let mut is_more = false;
        self.run(&END, &mut |_| {
            is_more = true;
            false
        })?;
        let Some(mut engine) = self.engine.take() else { return Ok(()) };
        if is_more || !engine.is_at_end() {
            return Err(NotInflatable);
        }
        if self.takeover.is_some() {
            self.window = std::mem::take(&mut engine.window);
        }
        engine.give();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::deflate::pool::{CHUNK, DeflateEngine, Make};

    /// What these messages inflate to, with context takeover, each cut into pieces of this length.
    fn inflated(messages: &[&[u8]], piece: usize) -> Result<Vec<Vec<u8>>, NotInflatable> {
        let mut inflater = Inflater::new(true, None);
        let mut all = Vec::new();
        for message in messages {
            let mut inflated = Vec::new();
            let mut sink = |chunk: &[u8]| {
                inflated.extend_from_slice(chunk);
                true
            };
            for piece in message.chunks(piece) {
                inflater.inflate(piece, &mut sink)?;
            }
            inflater.finish(&mut sink)?;
            all.push(inflated);
        }
        Ok(all)
    }

    #[test]
    fn the_examples_of_rfc_7692_section_7_2_3() {
        let one_block = &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..];
        for (what, messages) in [
            ("one block", &[one_block][..]),
            ("sharing a window", &[one_block, b"\xf2\x00\x11\x00\x00"]),
            ("no compression", &[b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"]),
            ("BFINAL", &[b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"]),
            ("two blocks", &[b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"]),
            (
                "BFINAL, and a window shared over it",
                &[b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"\xf2\x00\x11\x00\x00"],
            ),
        ] {
            for piece in 1..14 {
                let hello = vec![b"Hello".to_vec(); messages.len()];
                assert_eq!(inflated(messages, piece), Ok(hello), "{what}, {piece} bytes at once");
            }
        }
    }

    #[test]
    fn a_window_reaches_over_the_end_of_a_stream_within_a_message() {
        // "Hello" in a stream that ends, then five bytes from five bytes back.
        let message = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x02\x13\x00\x00";
        for piece in 1..12 {
            assert_eq!(inflated(&[message], piece), Ok(vec![b"HelloHello".to_vec()]));
        }
    }

    #[test]
    fn as_many_streams_may_end_within_a_message_as_what_it_inflates_to_is_worth() {
        // "Hello" as a stream that ends, and empty ones behind it.
        let hello = &b"\xf3\x48\xcd\xc9\xc9\x07\x00"[..];
        let ends = |count| [hello, &END.repeat(count), b"\x00"].concat();
        assert_eq!(inflated(&[&ends(3), &ends(3)], 9), Ok(vec![b"Hello".to_vec(); 2]));
        for piece in [1, 9, 99_999] {
            assert_eq!(inflated(&[&ends(4)], piece), Err(NotInflatable));
            assert_eq!(inflated(&[&ends(30_000)], piece), Err(NotInflatable));
        }
        // A kilobyte in a stored block that ends its stream, many times over.
        let kilobyte = [&[1, 0, 4, 0xFF, 0xFB][..], &[b'x'; 1 << 10]].concat();
        let message = [&kilobyte.repeat(50)[..], b"\x00"].concat();
        assert_eq!(inflated(&[&message], 999), Ok(vec![vec![b'x'; 50 << 10]]));
    }

    #[test]
    fn an_empty_message_has_an_empty_block_or_nothing() {
        for message in
            [&b""[..], b"\x00", b"\x02\x00", b"\x00\x00\x00\xff\xff\x00", b"\x03\x00\x00"]
        {
            assert_eq!(inflated(&[message], 9), Ok(vec![Vec::new()]), "{message:02x?}");
        }
    }

    /// What an engine of the widest window makes of a message.
    fn deflated(message: &[u8]) -> Vec<u8> {
        let mut deflated = Vec::new();
        DeflateEngine::new(Make { level: 1, window_bits: 15 }).deflate(
            message,
            true,
            &mut deflated,
        );
        deflated.truncate(deflated.len() - TAIL.len());
        deflated
    }

    fn inflate(inflater: &mut Inflater, message: &[u8]) -> Result<Vec<u8>, NotInflatable> {
        let mut inflated = Vec::new();
        let mut sink = |chunk: &[u8]| {
            inflated.extend_from_slice(chunk);
            true
        };
        inflater.inflate(message, &mut sink)?;
        inflater.finish(&mut sink)?;
        Ok(inflated)
    }

    #[test]
    fn nothing_of_another_connection_can_be_referred_to() {
        let five_back = b"\xf2\x00\x11\x00\x00";
        let mut seed = 0u32;
        let next = || {
            seed = seed.wrapping_add(0x9E37_79B1);
            seed.to_be_bytes()[0]
        };
        // The long one fills the window.
        let secrets = [b"Hello".to_vec(), std::iter::repeat_with(next).take(200_000).collect()];
        for secret in secrets {
            for [takeover, spies] in [[false, false], [false, true], [true, false], [true, true]] {
                let told = inflate(&mut Inflater::new(takeover, None), &deflated(&secret));
                assert!(told.as_ref() == Ok(&secret));
                let mut spy = Inflater::new(spies, None);
                assert_eq!(inflate(&mut spy, five_back), Err(NotInflatable));
            }
        }
    }

    #[test]
    fn what_deflate_does_not_make_is_refused() {
        for message in [
            &b"\x06\x00"[..],
            b"Hello",
            // Referring to what is before the beginning.
            b"\xf2\x00\x11\x00\x00",
            // Broken off: in a block, in a stored one, before its length.
            b"\xf2\x48\xcd",
            b"\x00\x05\x00\xfa\xff\x48\x65",
            b"\xf2\x48\xcd\xc9\xc9\x07",
            // Not cut off.
            b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff",
        ] {
            for piece in [1, 2, 20] {
                assert_eq!(inflated(&[message], piece), Err(NotInflatable), "{message:02x?}");
            }
        }
    }

    #[test]
    fn a_sink_that_has_had_enough_gets_no_more() {
        let mut deflated = Vec::new();
        let make = crate::deflate::pool::Make { level: 9, window_bits: 15 };
        let mut engine = crate::deflate::pool::DeflateEngine::new(make);
        engine.deflate(&vec![0; 10 << 20], true, &mut deflated);
        let mut chunks = 0;
        let mut inflater = Inflater::new(false, None);
        inflater
            .inflate(&deflated, &mut |chunk| {
                chunks += 1;
                assert!(chunk.len() <= CHUNK);
                chunks < 3
            })
            .unwrap();
        assert_eq!(chunks, 3);
    }
}
