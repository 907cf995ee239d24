//! The replies of one connection, counted and checked as they come in.

use anyhow::{Result, bail, ensure};

use crate::frames::Expected;

const FIN: u8 = 0x80;
const CONTROL: u8 = 0x08;
const CLOSE: u8 = 0x08;

/// How far the replies have come.
#[derive(Default)]
pub(crate) struct Replies {
    /// Messages that are complete, and so the number of the one that comes.
    pub(crate) complete: u64,
    /// Those of them whose payload was compared.
    pub(crate) compared: u64,
    /// Bytes of payload of the message that comes.
    received: usize,
    /// Whether a first frame of it came, and its last did not.
    fragmented: bool,
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
    /// Takes what was read, and returns how many messages that completed.
    ///
    /// # Errors
    ///
    /// If the bytes are not those of an echo.
    pub(crate) fn take(&mut self, mut bytes: &[u8], expected: &Expected) -> Result<u64> {
        let before = self.complete;
        while !bytes.is_empty() {
            if self.is_between() && is_whole(bytes, expected) {
                let (frame, rest) = bytes.split_at(expected.frame);
                if self.is_sampled(expected) {
                    ensure!(frame == expected.frame_of(self.complete), "a reply differs");
                    self.compared += 1;
                }
                self.complete += 1;
                bytes = rest;
            } else {
                bytes = self.take_some(bytes, expected)?;
            }
        }
        Ok(self.complete - before)
    }

    /// How many of the bytes to come belong to a payload that won't be compared.
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

    /// Takes so many of them as read, and returns how many messages that completed.
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

    /// Takes a part of a header or of a payload, and returns what is left.
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
                    let sent = expected.payload_of(self.complete);
                    let same = sent[self.received..].starts_with(now);
                    ensure!(same, "a reply differs");
                }
                self.advance(now.len(), expected)?;
                Ok(rest)
            }
        }
    }

    fn begin(&mut self, header: &[u8; 14], expected: &Expected) -> Result<()> {
        let (first, second) = (header[0], header[1]);
        let opcode = first & 0x0f;
        ensure!(first & 0x70 == 0, "a reserved bit is set");
        ensure!(opcode != CLOSE, "the server closed the connection");
        ensure!((second & 0x80 != 0) == expected.raw, "a reply is masked, or is not");
        let left = payload_length(header);
        if opcode & CONTROL == 0 {
            let awaited = if self.fragmented { 0 } else { expected.opcode };
            ensure!(opcode == awaited, "opcode {opcode} in place of {awaited}");
            ensure!(self.received + left <= expected.size, "a reply is too long");
            self.fragmented = true;
        }
        self.at = Place::Payload { first, left };
        self.advance(0, expected)
    }

    /// So many bytes of the payload are done with.
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
            let (came, size) = (self.received, expected.size);
            ensure!(came == size, "a reply has {came} bytes in place of {size}");
            self.compared += u64::from(self.is_sampled(expected));
            self.complete += 1;
            self.received = 0;
            self.fragmented = false;
        }
        Ok(())
    }
}

/// Whether a complete reply comes first, in one frame.
fn is_whole(bytes: &[u8], expected: &Expected) -> bool {
    bytes.len() >= expected.frame && bytes.starts_with(expected.header())
}

/// At least two, and exact once two bytes are there.
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
    use crate::frames::{Kind, Traffic};

    fn expected(size: usize, raw: bool) -> Expected {
        Expected::new(&Traffic::new(Kind::Text, size, 4), raw, 2)
    }

    fn echoes(expected: &Expected, messages: u64) -> Vec<u8> {
        (0..messages).flat_map(|number| expected.frame_of(number).to_vec()).collect()
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
        let payload = expected.payload_of(0);
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
        let split = expected.frame + 10;
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
}
