//! The input.

pub(crate) const BINARY: u8 = 0x82;
pub(crate) const TEXT: u8 = 0x81;

pub(crate) const ASCII: &str = r#"{"number":7,"name":"towline","values":[1,2.5,null]},"#;
pub(crate) const MULTILINGUAL: &str = "Seil, corde, σχοινί, верёвка, 曳航索, कर्षण रस्सी, 🚢⚓; ";

/// Returns how many messages of a size arrive in one read, as with that many in flight.
pub(crate) fn together(size: usize) -> usize {
    ((16 << 10) / size).clamp(1, 64)
}

/// Returns a frame of a client, repeated `count` times.
///
/// The key is zero, so that unmasking changes nothing and can be repeated at the same cost.
pub(crate) fn put(wire: &mut Vec<u8>, first: u8, payload: &[u8]) {
    wire.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(size @ ..126), _) => wire.push(0x80 | size),
        (_, Ok(size)) => {
            wire.push(0x80 | 126);
            wire.extend_from_slice(&size.to_be_bytes());
        }
        _ => {
            wire.push(0x80 | 127);
            wire.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    wire.extend_from_slice(&[0; 4]);
    wire.extend_from_slice(payload);
}

/// Returns repeated characters of `sample` up to `size` bytes, padded with spaces.
pub(crate) fn text(sample: &str, size: usize) -> Vec<u8> {
    let mut text = String::new();
    for char in sample.chars().cycle() {
        if text.len() + char.len_utf8() > size {
            break;
        }
        text.push(char);
    }
    let mut bytes = text.into_bytes();
    bytes.resize(size, b' ');
    bytes
}

/// Returns arbitrary bytes.
pub(crate) fn bytes(size: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(size).collect()
}
