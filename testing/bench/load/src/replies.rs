//! Counts and checks the replies of one connection as they arrive.

use anyhow::{Result, bail, ensure};
use flate2::Decompress;

use crate::frames::{Compression, Expected};
use crate::payloads::{inflated, inflater};

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const CONTROL: u8 = 0x08;
const CLOSE: u8 = 0x08;

/// The progress of the replies.
#[derive(Default)]
pub(crate) struct Replies {
    /// The complete messages, which is also the number of the current one.
    pub(crate) complete: u64,
    /// The messages whose payload was compared.
    pub(crate) compared: u64,
    /// The payload of all of them in bytes, as received.
    pub(crate) bytes: u64,
    /// The index of the expected frame.
    slot: usize,
    /// The payload of the current message in bytes.
    received: usize,
    /// Whether its first frame has arrived, but not its last.
    fragmented: bool,
    /// Whether the current message is compressed.
    deflated: bool,
    /// Its payload so far, if it will be compared and may be compressed.
    gathered: Vec<u8>,
    /// The inflater, after the first compressed message. With context takeover, it has the earlier replies.
    inflater: Option<Decompress>,
    at: Place,
}

enum Place {
    Header { bytes: [u8; 14], have: usize },
    Payload { first: u8, left: usize },
}

impl Default for Place {
    fn default() -> Self {
        Place::Header { bytes: [0; 14], have: 0 }
    }
}

impl Replies {
    /// Takes the bytes read, and returns the number of messages that they complete.
    ///
    /// # Errors
    ///
    /// If the bytes are not those of an echo.
    pub(crate) fn take(&mut self, mut bytes: &[u8], expected: &Expected) -> Result<u64> {
        let before = self.complete;
        while !bytes.is_empty() {
            if self.is_between() && is_whole(bytes, expected, self.slot) {
                let (frame, rest) = bytes.split_at(expected.frame(self.slot).len());
                if self.is_sampled(expected) {
                    ensure!(frame == expected.frame(self.slot), "a reply differs");
                }
                self.received = expected.payload(self.slot).len();
                self.finish(expected);
                bytes = rest;
            } else {
                bytes = self.take_some(bytes, expected)?;
            }
        }
        Ok(self.complete - before)
    }

    /// Returns how many of the next bytes belong to a payload that is not compared.
    pub(crate) fn unseen(&self, expected: &Expected) -> usize {
        match self.at {
            Place::Payload { first, left } if first & CONTROL == 0 => {
                if self.is_sampled(expected) {
                    0
                } else {
                    left
                }
            }
            _ => 0,
        }
    }

    /// Takes this many of them as read, and returns the number of messages that they complete.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub(crate) fn skip(&mut self, bytes: usize, expected: &Expected) -> Result<u64> {
        let before = self.complete;
        self.advance(bytes, expected)?;
        Ok(self.complete - before)
    }

    fn is_between(&self) -> bool {
        !self.fragmented && matches!(self.at, Place::Header { have: 0, .. })
    }

    fn is_sampled(&self, expected: &Expected) -> bool {
        self.complete.is_multiple_of(expected.compare_every)
    }

    /// Takes a part of a header or of a payload, and returns the rest.
    fn take_some<'a>(&mut self, bytes: &'a [u8], expected: &Expected) -> Result<&'a [u8]> {
        match &mut self.at {
            Place::Header { bytes: header, have } => {
                header[*have] = bytes[0];
                *have += 1;
                if *have >= header_length(header) {
                    let header = *header;
                    self.begin(&header, expected)?;
                }
                Ok(&bytes[1..])
            }
            &mut Place::Payload { first, left } => {
                let (now, rest) = bytes.split_at(left.min(bytes.len()));
                if first & CONTROL == 0 && self.is_sampled(expected) {
                    if expected.may_be_compressed() {
                        self.gathered.extend_from_slice(now);
                    } else {
                        let sent = expected.payload(self.slot);
                        ensure!(sent[self.received..].starts_with(now), "a reply differs");
                    }
                }
                self.advance(now.len(), expected)?;
                Ok(rest)
            }
        }
    }

    fn begin(&mut self, header: &[u8; 14], expected: &Expected) -> Result<()> {
        let (first, second) = (header[0], header[1]);
        let opcode = first & 0x0f;
        let is_first = opcode & CONTROL == 0 && !self.fragmented;
        let may_be_set = match is_first {
            true if expected.may_be_compressed() => RSV1,
            true => expected.frame(self.slot)[0] & RSV1,
            false => 0,
        };
        ensure!(first & 0x70 & !may_be_set == 0, "a reserved bit is set");
        ensure!(opcode != CLOSE, "the server closed the connection");
        ensure!((second & 0x80 != 0) == expected.raw, "a reply is masked, or is not");
        let left = payload_length(header);
        if opcode & CONTROL == 0 {
            let awaited = if self.fragmented { 0 } else { expected.opcode };
            ensure!(opcode == awaited, "opcode {opcode} in place of {awaited}");
            let most = expected.longest(self.slot);
            ensure!(self.received + left <= most, "a reply is too long");
            if is_first {
                self.deflated = first & RSV1 != 0;
            }
            self.fragmented = true;
        }
        self.at = Place::Payload { first, left };
        self.advance(0, expected)
    }

    /// Records that this many bytes of the payload are done.
    fn advance(&mut self, bytes: usize, expected: &Expected) -> Result<()> {
        let Place::Payload { first, left } = &mut self.at else {
            bail!("payload without a header");
        };
        let (first, rest) = (*first, *left - bytes);
        *left = rest;
        if first & CONTROL == 0 {
            self.received += bytes;
        }
        if rest > 0 {
            return Ok(());
        }
        self.at = Place::default();
        if first & CONTROL == 0 && first & FIN != 0 {
            if expected.may_be_compressed() {
                self.compare_gathered(expected)?;
            } else {
                let (came, size) = (self.received, expected.payload(self.slot).len());
                ensure!(came == size, "a reply has {came} bytes in place of {size}");
            }
            self.finish(expected);
        }
        Ok(())
    }

    fn compare_gathered(&mut self, expected: &Expected) -> Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        if self.is_sampled(expected) {
            let sent = expected.payload(self.slot);
            let came = if self.deflated {
                let inflater = self.inflater.get_or_insert_with(inflater);
                if expected.compression != Compression::Takeover {
                    inflater.reset(false);
                }
                inflated(gathered, sent.len(), inflater)
            } else {
                Some(gathered)
            };
            ensure!(came.is_some_and(|came| came == sent), "a reply differs");
        }
        Ok(())
    }

    /// Records that a message is complete, and correct as far as it was checked.
    fn finish(&mut self, expected: &Expected) {
        self.compared += u64::from(self.is_sampled(expected));
        self.complete += 1;
        self.bytes += self.received as u64;
        self.received = 0;
        self.fragmented = false;
        self.slot += 1;
        if self.slot == expected.frames() {
            self.slot = 0;
        }
    }
}

/// Returns whether the bytes begin with a complete and expected reply in one frame.
fn is_whole(bytes: &[u8], expected: &Expected, slot: usize) -> bool {
    !expected.may_be_compressed()
        && bytes.len() >= expected.frame(slot).len()
        && bytes.starts_with(expected.header(slot))
}

/// Returns the length of the header: at least two, and exact with two bytes or more.
fn header_length(header: &[u8; 14]) -> usize {
    let key = if header[1] & 0x80 != 0 { 4 } else { 0 };
    match header[1] & 0x7f {
        127 => 10 + key,
        126 => 4 + key,
        _ => 2 + key,
    }
}

fn payload_length(header: &[u8; 14]) -> usize {
    let long = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    match header[1] & 0x7f {
        127 => long(&header[2..10]),
        126 => long(&header[2..4]),
        length => usize::from(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Kind, Shape, Traffic};
    use crate::payloads::{compressed, deflater};

    fn expected(size: usize, raw: bool) -> Expected {
        let shape = Shape { kind: Kind::Text, size, compression: Compression::Off };
        Expected::new(&Traffic::new(shape, 4), raw, 2)
    }

    fn echoes(expected: &Expected, messages: usize) -> Vec<u8> {
        let frames = (0..messages).map(|number| expected.frame(number % expected.frames()));
        frames.flatten().copied().collect()
    }

    #[test]
    fn replies_are_counted_wherever_they_are_cut() {
        for (size, raw) in [(0, false), (32, false), (32, true), (300, false), (70_000, true)] {
            let expected = expected(size, raw);
            let bytes = echoes(&expected, 7);
            for step in [1, 2, 3, 5, 33, 35, 1000, 1 << 20] {
                let mut replies = Replies::default();
                let mut complete = 0;
                for part in bytes.chunks(step) {
                    complete += replies.take(part, &expected).expect("an echo");
                }
                assert_eq!((complete, replies.compared), (7, 4), "{size} B by {step}");
            }
        }
    }

    #[test]
    fn a_message_may_come_in_fragments_with_a_ping_between() {
        let expected = expected(4, false);
        let payload = expected.payload(0);
        let mut bytes = vec![0x01, 3, payload[0], payload[1], payload[2], 0x89, 1, b'?'];
        bytes.extend([0x80, 1, payload[3]]);
        let mut replies = Replies::default();
        assert_eq!(replies.take(&bytes, &expected).expect("an echo"), 1);
    }

    #[test]
    fn what_is_not_looked_at_can_be_skipped() {
        let expected = expected(70_000, false);
        let bytes = echoes(&expected, 2);
        let mut replies = Replies::default();
        // All of the first message, which is compared, and the header of the second.
        let split = expected.frame(0).len() + 10;
        assert_eq!(replies.take(&bytes[..split], &expected).expect("an echo"), 1);
        assert_eq!(replies.unseen(&expected), 70_000);
        assert_eq!(replies.skip(69_999, &expected).expect("an echo"), 0);
        assert_eq!(replies.take(&bytes[bytes.len() - 1..], &expected).expect("an echo"), 1);
    }

    #[test]
    fn what_is_no_echo_is_refused() {
        let expected = expected(32, false);
        let good = echoes(&expected, 1);
        for (at, value) in [(0, 0x82), (0, 0xc1), (0, 0x88), (1, 31), (1, 33), (1, 0xa0), (9, 0)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes.extend_from_slice(&good);
            assert!(Replies::default().take(&bytes, &expected).is_err(), "{at} {value}");
        }
    }

    #[test]
    fn a_compressed_reply_is_inflated_and_compared() {
        let shape = Shape { kind: Kind::Json, size: 2000, compression: Compression::Alone };
        let traffic = Traffic::new(shape, 4);
        let expected = Expected::new(&traffic, false, 1);
        let payload = compressed(expected.payload(0), &mut deflater());
        let (first, second) = payload.split_at(100);
        let plain = expected.payload(1);
        // In two frames; then one that the server has not compressed.
        let mut bytes = [&[0x41, 100], first, &[0x80, 126]].concat();
        bytes.extend(u16::try_from(second.len()).expect("short").to_be_bytes());
        bytes.extend(second);
        bytes.extend([0x81, 126, 7, 208]);
        bytes.extend(plain);
        let mut replies = Replies::default();
        for byte in &bytes {
            replies.take(&[*byte], &expected).expect("an echo");
        }
        assert_eq!((replies.complete, replies.compared), (2, 2));
        assert_eq!(replies.bytes, (payload.len() + plain.len()) as u64);
        bytes[50] ^= 1;
        assert!(Replies::default().take(&bytes, &expected).is_err());
    }

    #[test]
    fn replies_with_context_takeover_are_all_inflated() {
        let shape = Shape { kind: Kind::Json, size: 100, compression: Compression::Takeover };
        let expected = Expected::new(&Traffic::new(shape, 4), false, 16);
        let (mut bytes, mut deflater) = (Vec::new(), deflater());
        for slot in 0..8 {
            let payload = compressed(expected.payload(slot), &mut deflater);
            bytes.extend([0xc1, u8::try_from(payload.len()).expect("short")]);
            bytes.extend(payload);
        }
        let mut replies = Replies::default();
        assert_eq!(replies.take(&bytes, &expected).expect("echoes"), 8);
        assert_eq!(replies.compared, 8);
        // The second refers to the first, which is missing.
        let second = 2 + usize::from(bytes[1]);
        assert!(Replies::default().take(&bytes[second..], &expected).is_err());
    }
}
