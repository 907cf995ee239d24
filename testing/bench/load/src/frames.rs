//! What is sent, built once; and what must come back.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Binary,
    Text,
}

impl Kind {
    pub(crate) fn opcode(self) -> u8 {
        match self {
            Kind::Text => 1,
            Kind::Binary => 2,
        }
    }
}

/// Masked frames of one size, one behind the other. A connection sends them round and round.
pub(crate) struct Traffic {
    pub(crate) kind: Kind,
    pub(crate) size: usize,
    pub(crate) wire: Vec<u8>,
    pub(crate) frame: usize,
    pub(crate) frames: usize,
}

impl Traffic {
    /// Enough different frames for what is in flight, and so many more that one reply in the place
    /// of another is noticed.
    pub(crate) fn new(kind: Kind, size: usize, in_flight: usize) -> Self {
        let frames = in_flight.max(8.min((4 << 20) / (size + 14))).max(1);
        let mut wire = Vec::new();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for number in 0..frames {
            let key = random.next().to_le_bytes();
            let key = [key[0], key[1], key[2], key[3]];
            put_header(&mut wire, kind.opcode(), size, 0x80);
            wire.extend_from_slice(&key);
            let payload = payload(kind, size, number, &mut random);
            wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
        let frame = wire.len() / frames;
        Self { kind, size, wire, frame, frames }
    }
}

/// The replies to a [`Traffic`], when each comes in one frame.
pub(crate) struct Expected {
    pub(crate) size: usize,
    pub(crate) opcode: u8,
    /// Whether they are masked: the very bytes that were sent.
    pub(crate) raw: bool,
    pub(crate) compare_every: u64,
    pub(crate) frame: usize,
    frames: usize,
    header: usize,
    wire: Vec<u8>,
}

impl Expected {
    pub(crate) fn new(traffic: &Traffic, raw: bool, compare_every: u64) -> Self {
        let &Traffic { kind, size, frame, frames, .. } = traffic;
        let head = frame - size;
        let mut wire = Vec::new();
        if raw {
            wire.clone_from(&traffic.wire);
        } else {
            for sent in traffic.wire.chunks_exact(frame) {
                put_header(&mut wire, kind.opcode(), size, 0);
                let key = &sent[head - 4..head];
                let payload = sent[head..].iter().zip(key.iter().cycle());
                wire.extend(payload.map(|(byte, key)| byte ^ key));
            }
        }
        Self {
            size,
            opcode: kind.opcode(),
            raw,
            compare_every: compare_every.max(1),
            frame: wire.len() / frames,
            frames,
            // Up to the masking key, which each frame has its own of.
            header: head - 4,
            wire,
        }
    }

    /// The frame that answers the message of this number.
    pub(crate) fn frame_of(&self, number: u64) -> &[u8] {
        let slot = usize::try_from(number % self.frames as u64).unwrap_or_default();
        &self.wire[slot * self.frame..][..self.frame]
    }

    /// The payload of that frame.
    pub(crate) fn payload_of(&self, number: u64) -> &[u8] {
        &self.frame_of(number)[self.frame - self.size..]
    }

    /// What every frame starts with.
    pub(crate) fn header(&self) -> &[u8] {
        &self.wire[..self.header]
    }
}

fn put_header(wire: &mut Vec<u8>, opcode: u8, size: usize, mask: u8) {
    wire.push(0x80 | opcode);
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

/// Any bytes, or ASCII that looks like what programs send to each other.
fn payload(kind: Kind, size: usize, number: usize, random: &mut Random) -> Vec<u8> {
    match kind {
        Kind::Binary => (0..size).map(|_| random.next().to_le_bytes()[3]).collect(),
        Kind::Text => {
            let entry = format!(r#"{{"number":{number},"name":"towline","values":[1,2.5,null]}},"#);
            entry.bytes().cycle().take(size).collect()
        }
    }
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_shortest_form() {
        for (size, header) in [
            (125, vec![0x82, 0x80 | 125]),
            (126, vec![0x82, 0xfe, 0, 126]),
            (65535, vec![0x82, 0xfe, 0xff, 0xff]),
            (65536, vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let traffic = Traffic::new(Kind::Binary, size, 1);
            assert!(traffic.wire.starts_with(&header), "{size}");
            assert_eq!(traffic.frame, header.len() + 4 + size);
        }
    }

    #[test]
    fn what_is_expected_is_what_was_sent_unmasked() {
        let traffic = Traffic::new(Kind::Text, 60, 3);
        let expected = Expected::new(&traffic, false, 1);
        assert_eq!(expected.frame, 62);
        assert!(expected.payload_of(2).starts_with(br#"{"number":2,"name":"towline""#));
        assert_eq!(expected.payload_of(2), expected.payload_of(2 + traffic.frames as u64));
        assert_eq!(Expected::new(&traffic, true, 1).frame_of(1), &traffic.wire[66..132]);
    }
}
