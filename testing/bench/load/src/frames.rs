//! The frames to send, built once, and the expected replies.

use clap::ValueEnum;

use crate::payloads::{Random, binary, compressed, deflater, text};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Binary,
    /// Text that is almost the same in every message.
    Text,
    /// Realistic JSON, with varying values.
    Json,
    /// Text of spaces only, which compresses to a thousandth.
    Blank,
}

impl Kind {
    pub(crate) fn opcode(self) -> u8 {
        match self {
            Kind::Text | Kind::Json | Kind::Blank => 1,
            Kind::Binary => 2,
        }
    }
}

/// Whether and how permessage-deflate compresses messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Off,
    /// No context takeover in either direction.
    Alone,
    /// Context takeover in both directions.
    Takeover,
}

/// The messages to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// The payload of a message in bytes, before compression.
    pub(crate) size: usize,
    pub(crate) compression: Compression,
}

/// The minimum length of all messages together with context takeover: twice the largest window, so that
/// no message is in the window when it is sent again.
const BEYOND_WINDOWS: usize = 64 << 10;

/// Masked frames, one after the other. A connection sends them cyclically.
pub(crate) struct Traffic {
    pub(crate) shape: Shape,
    pub(crate) wire: Vec<u8>,
    /// The offset of each frame, and the end of the last one.
    starts: Vec<usize>,
    /// The length of the header, including the masking key.
    heads: Vec<usize>,
    /// The payload of each.
    messages: Vec<Vec<u8>>,
}

impl Traffic {
    /// Builds enough different frames for the messages in flight, and some more, so that replies in the wrong
    /// order are detected.
    pub(crate) fn new(shape: Shape, in_flight: usize) -> Self {
        let Shape { kind, size, compression } = shape;
        let mut frames = in_flight.max(8.min((4 << 20) / (size + 14))).max(1);
        if compression == Compression::Takeover {
            frames = frames.max(BEYOND_WINDOWS / size.max(1) + 1);
        }
        let mut deflater = deflater();
        let mut random = Random::default();
        let mut traffic =
            Self { shape, wire: Vec::new(), starts: vec![0], heads: vec![], messages: vec![] };
        for number in 0..frames {
            let key = random.next().to_le_bytes();
            let key = [key[0], key[1], key[2], key[3]];
            let message = match kind {
                Kind::Binary => binary(size, &mut random),
                Kind::Text => text(size, number),
                Kind::Json => crate::payloads::json(size, &mut random),
                Kind::Blank => vec![b' '; size],
            };
            // The first frame refers to none, so the frames can be sent cyclically.
            let deflated = match compression {
                Compression::Off => None,
                Compression::Alone => {
                    deflater.reset();
                    Some(compressed(&message, &mut deflater))
                }
                Compression::Takeover => Some(compressed(&message, &mut deflater)),
            };
            traffic.put(message, deflated, key);
        }
        traffic
    }

    fn put(&mut self, message: Vec<u8>, deflated: Option<Vec<u8>>, key: [u8; 4]) {
        let rsv1 = if deflated.is_some() { 0x40 } else { 0 };
        let start = self.wire.len();
        let payload = deflated.as_deref().unwrap_or(&message);
        put_header(&mut self.wire, rsv1 | self.shape.kind.opcode(), payload.len(), 0x80);
        self.wire.extend_from_slice(&key);
        self.heads.push(self.wire.len() - start);
        self.wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        self.starts.push(self.wire.len());
        self.messages.push(message);
    }

    /// Returns the length in bytes of this many messages, from this number on.
    pub(crate) fn length(&self, first: u64, messages: u64) -> u64 {
        self.position(first + messages) - self.position(first)
    }

    /// Returns the length in bytes of all messages before this number.
    fn position(&self, number: u64) -> u64 {
        let frames = self.messages.len() as u64;
        let slot = usize::try_from(number % frames).unwrap_or_default();
        number / frames * self.wire.len() as u64 + self.starts[slot] as u64
    }
}

/// The replies to a [`Traffic`].
pub(crate) struct Expected {
    pub(crate) opcode: u8,
    /// Whether the replies have exactly the bytes that were sent.
    pub(crate) raw: bool,
    /// Returns whether they may be compressed. The server chooses how, and so their length.
    pub(crate) compression: Compression,
    pub(crate) compare_every: u64,
    /// The frames, or the messages if they may be compressed.
    wire: Vec<u8>,
    starts: Vec<usize>,
    heads: Vec<usize>,
}

impl Expected {
    pub(crate) fn new(traffic: &Traffic, raw: bool, compare_every: u64) -> Self {
        let Shape { kind, compression, .. } = traffic.shape;
        let compression = if raw { Compression::Off } else { compression };
        let (mut wire, mut starts, mut heads) = (Vec::new(), vec![0], Vec::new());
        if raw {
            wire.clone_from(&traffic.wire);
            starts.clone_from(&traffic.starts);
            heads.clone_from(&traffic.heads);
        } else {
            for message in &traffic.messages {
                let start = wire.len();
                if compression == Compression::Off {
                    put_header(&mut wire, kind.opcode(), message.len(), 0);
                }
                heads.push(wire.len() - start);
                wire.extend_from_slice(message);
                starts.push(wire.len());
            }
        }
        Self {
            opcode: kind.opcode(),
            raw,
            compression,
            // With context takeover, all messages must be inflated to inflate one.
            compare_every: match compression {
                Compression::Takeover => 1,
                Compression::Off | Compression::Alone => compare_every.max(1),
            },
            wire,
            starts,
            heads,
        }
    }

    /// Returns whether they may be compressed.
    pub(crate) fn may_be_compressed(&self) -> bool {
        self.compression != Compression::Off
    }

    /// Returns the number of frames in a cycle.
    pub(crate) fn frames(&self) -> usize {
        self.heads.len()
    }

    /// Returns the frame at this position.
    pub(crate) fn frame(&self, slot: usize) -> &[u8] {
        &self.wire[self.starts[slot]..self.starts[slot + 1]]
    }

    /// Returns the expected header.
    pub(crate) fn header(&self, slot: usize) -> &[u8] {
        &self.frame(slot)[..self.heads[slot]]
    }

    /// Returns the payload, before compression.
    pub(crate) fn payload(&self, slot: usize) -> &[u8] {
        &self.frame(slot)[self.heads[slot]..]
    }

    /// Returns the maximum payload in bytes of the reply at this position.
    pub(crate) fn longest(&self, slot: usize) -> usize {
        let length = self.payload(slot).len();
        // Incompressible data grows by a few bytes in every stored block.
        if self.may_be_compressed() { length + length / 64 + 64 } else { length }
    }
}

fn put_header(wire: &mut Vec<u8>, first: u8, size: usize, mask: u8) {
    wire.push(0x80 | first);
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(size @ ..126), _) => wire.push(mask | size),
        (_, Ok(size)) => {
            wire.push(mask | 126);
            wire.extend_from_slice(&size.to_be_bytes());
        }
        _ => {
            wire.push(mask | 127);
            wire.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payloads::{inflated, inflater};

    fn shape(kind: Kind, size: usize) -> Shape {
        Shape { kind, size, compression: Compression::Off }
    }

    #[test]
    fn a_header_has_the_shortest_form() {
        for (size, header) in [
            (125, vec![0x82, 0x80 | 125]),
            (126, vec![0x82, 0xfe, 0, 126]),
            (65535, vec![0x82, 0xfe, 0xff, 0xff]),
            (65536, vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let traffic = Traffic::new(shape(Kind::Binary, size), 1);
            assert!(traffic.wire.starts_with(&header), "{size}");
            assert_eq!(traffic.length(0, 1), (header.len() + 4 + size) as u64);
        }
    }

    #[test]
    fn what_is_expected_is_what_was_sent_unmasked() {
        let traffic = Traffic::new(shape(Kind::Text, 60), 3);
        let expected = Expected::new(&traffic, false, 1);
        assert_eq!(expected.frame(1).len(), 62);
        assert!(expected.payload(2).starts_with(br#"{"number":2,"name":"towline""#));
        assert_eq!(Expected::new(&traffic, true, 1).frame(1), &traffic.wire[66..132]);
    }

    #[test]
    fn compressed_frames_differ_in_length_and_say_the_same() {
        let shape = Shape { kind: Kind::Json, size: 1000, compression: Compression::Alone };
        let traffic = Traffic::new(shape, 9);
        assert_eq!(traffic.wire[0], 0xc1);
        assert_eq!(traffic.length(7, 9 * 4), 4 * traffic.wire.len() as u64);
        assert!(traffic.wire.len() < 9 * 800, "it is hardly compressed");
        let expected = Expected::new(&traffic, false, 1);
        assert_eq!((expected.frames(), expected.payload(8).len()), (9, 1000));
        assert_eq!(expected.payload(8), expected.frame(8));
    }

    #[test]
    fn blank_messages_are_packed_a_thousandfold() {
        for (size, most) in [(64 << 10, 100), (1 << 20, 1100)] {
            let shape = Shape { kind: Kind::Blank, size, compression: Compression::Alone };
            let length = Traffic::new(shape, 1).length(0, 1);
            assert!(length < most, "{size} B of blanks take {length}");
        }
    }

    #[test]
    fn frames_with_context_takeover_can_be_inflated_round_and_round() {
        let shape = Shape { kind: Kind::Json, size: 1000, compression: Compression::Takeover };
        let (traffic, alone) = (
            Traffic::new(shape, 4),
            Traffic::new(Shape { compression: Compression::Alone, ..shape }, 66),
        );
        assert!(traffic.wire.len() * 4 < alone.wire.len() * 3, "they refer to nothing");
        let (frames, mut inflater) = (Expected::new(&traffic, true, 1), inflater());
        assert_eq!(frames.frames(), 66);
        for slot in (0..66).chain(0..66) {
            let frame = frames.frame(slot);
            let (key, payload) = (&frame[frames.heads[slot] - 4..], frames.payload(slot));
            let payload = payload.iter().zip(key[..4].iter().cycle());
            let payload = payload.map(|(byte, key)| byte ^ key).collect();
            let came = inflated(payload, 1000, &mut inflater);
            assert_eq!(came.as_ref(), Some(&traffic.messages[slot]), "{slot}");
        }
    }
}
