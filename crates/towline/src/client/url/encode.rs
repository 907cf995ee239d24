//! Percent encoding of the parts of a URL.

/// The bytes below 0x7F to encode, in addition to control characters. All above are encoded.
pub(crate) struct Set(&'static [u8]);

/// The query percent-encode set of the special schemes.
pub(crate) const QUERY: Set = Set(b" \"#<>'");

/// The path percent-encode set.
pub(crate) const PATH: Set = Set(b" \"#<>?^`{}");

/// The userinfo percent-encode set.
pub(crate) const USER_INFO: Set = Set(b" \"#<>?^`{}/:;=@[\\]|");

impl Set {
    fn contains(&self, byte: u8) -> bool {
        !matches!(byte, b' '..=b'~') || self.0.contains(&byte)
    }
}

/// Appends the text with the bytes of the set percent-encoded. Percent signs are left alone.
pub(crate) fn encode(text: &str, set: &Set, out: &mut String) {
    for byte in text.bytes() {
        if set.contains(byte) {
            out.push('%');
            out.extend([byte >> 4, byte & 15].map(digit));
        } else {
            out.push(char::from(byte));
        }
    }
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Decodes percent escapes.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let value = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => value(*high).zip(value(*low)),
            _ => None,
        };
        let (byte, len) = escaped.map_or((*first, 1), |(high, low)| (high * 16 + low, 3));
        out.push(byte);
        rest = rest.get(len..).unwrap_or_default();
    }
    out
}
