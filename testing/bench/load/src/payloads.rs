//! The payloads of messages.

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};

/// Returns arbitrary bytes.
pub(crate) fn binary(size: usize, random: &mut Random) -> Vec<u8> {
    (0..size).map(|_| random.next().to_le_bytes()[3]).collect()
}

/// Returns ASCII text that differs little from one number to the next.
pub(crate) fn text(size: usize, number: usize) -> Vec<u8> {
    let entry = format!(r#"{{"number":{number},"name":"towline","values":[1,2.5,null]}},"#);
    entry.bytes().cycle().take(size).collect()
}

/// Returns an array of records with repeated names, varying numbers, and some text, truncated to the
/// length.
pub(crate) fn json(size: usize, random: &mut Random) -> Vec<u8> {
    const SHIPS: [&str; 6] = ["Anna", "Bounty", "Cutty Sark", "Endurance", "Preußen", "Vasa"];
    const STATES: [&str; 4] = ["at anchor", "in tow", "under way", "aground"];
    let mut json = String::from("[");
    while json.len() < size {
        let mut pick = |most: u64| random.next() % most;
        let (id, ship, state) = (pick(1 << 32), pick(6), pick(4));
        let (minute, second) = (pick(60), pick(60));
        let (latitude, longitude) = (pick(9_000_000), pick(18_000_000));
        let (speed, course) = (pick(250), pick(3600));
        json += &format!(
            "{{\"id\":\"{id:08x}\",\"ship\":\"{}\",\"state\":\"{}\",\
             \"at\":\"2026-05-04T12:{minute:02}:{second:02}Z\",\
             \"position\":{{\"latitude\":{}.{:05},\"longitude\":{}.{:05}}},\
             \"speed\":{}.{},\"course\":{}.{},\"crew\":null,\"signals\":[\"U\",\"W\"]}},",
            SHIPS[usize::try_from(ship).unwrap_or_default()],
            STATES[usize::try_from(state).unwrap_or_default()],
            latitude / 100_000,
            latitude % 100_000,
            longitude / 100_000,
            longitude % 100_000,
            speed / 10,
            speed % 10,
            course / 10,
            course % 10,
        );
    }
    let mut end = size;
    while !json.is_char_boundary(end) {
        end -= 1;
    }
    json.truncate(end);
    let mut bytes = json.into_bytes();
    bytes.resize(size, b' ');
    bytes
}

/// Creates a deflater for a connection's messages.
pub(crate) fn deflater() -> Compress {
    Compress::new(Level::default(), false)
}

/// Creates an inflater for them.
pub(crate) fn inflater() -> Decompress {
    Decompress::new(false)
}

/// Compresses a message (RFC 7692, section 7.2.1). It refers to the earlier messages of the deflater.
pub(crate) fn compressed(message: &[u8], deflater: &mut Compress) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 64 + 64);
    // It cannot stop early, since the buffer has room for the whole output.
    let _ = deflater.compress_vec(message, &mut out, FlushCompress::Sync);
    debug_assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len().saturating_sub(4));
    out
}

/// Inflates a message, if it is not longer than a limit in bytes.
pub(crate) fn inflated(
    mut payload: Vec<u8>,
    most: usize,
    inflater: &mut Decompress,
) -> Option<Vec<u8>> {
    payload.extend_from_slice(&[0, 0, 0xff, 0xff]);
    let start = inflater.total_in();
    let mut out = Vec::with_capacity(most + 1);
    loop {
        let before = (inflater.total_in(), out.len());
        let rest = &payload[usize::try_from(before.0 - start).ok()?..];
        let status = inflater.decompress_vec(rest, &mut out, FlushDecompress::Sync).ok()?;
        let is_stuck = before == (inflater.total_in(), out.len());
        if status == Status::StreamEnd || rest.is_empty() || is_stuck {
            return (out.len() <= most).then_some(out);
        }
    }
}

/// A generator of numbers that are the same in every run.
pub(crate) struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
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
    fn json_is_as_long_as_it_shall_be_and_utf8() {
        for size in [0, 1, 100, 1 << 10, 5000] {
            let json = json(size, &mut Random::default());
            assert_eq!(json.len(), size);
            assert!(std::str::from_utf8(&json).is_ok());
        }
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let mut random = Random::default();
        for size in [0, 1, 100, 70_000] {
            let messages = [json(size, &mut random), binary(size, &mut random)];
            for message in messages {
                let payload = compressed(&message, &mut deflater());
                let came = inflated(payload.clone(), size, &mut inflater());
                assert_eq!(came.as_ref(), Some(&message), "{size}");
                if size > 0 {
                    assert_eq!(inflated(payload, size - 1, &mut inflater()), None);
                }
            }
        }
        assert_eq!(inflated(vec![0xff; 20], 100, &mut inflater()), None);
    }
}
