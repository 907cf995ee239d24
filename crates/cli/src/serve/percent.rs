//! Percent-encoding (RFC 3986, section 2.1).

/// Decodes a text. Returns `None` for a percent sign without two hexadecimal digits.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = digit(*high)? * 16 + digit(*low)?;
        decoded.push(u8::try_from(byte).ok()?);
        rest = after;
    }
    Some(decoded)
}

/// Decodes a text that is UTF-8 when it is decoded.
pub(crate) fn decode_text(text: &str) -> Option<String> {
    String::from_utf8(decode(text)?).ok()
}

/// The value of a parameter in a query, with a plus sign for a space, as forms are encoded.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    decode_text(&value.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_decoded_once() {
        for (encoded, expected) in [
            ("", Some("")),
            ("caf%C3%a9", Some("café")),
            ("%252e", Some("%2e")),
            ("a%00b", Some("a\0b")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
            ("%ff", None),
        ] {
            assert_eq!(decode_text(encoded).as_deref(), expected, "{encoded}");
        }
        assert_eq!(decode("%ff"), Some(vec![0xff]));
    }

    #[test]
    fn a_query_has_parameters() {
        let query = Some("room=7&name=Ada+L%2E&name=Bob&empty=");
        assert_eq!(parameter(query, "name").as_deref(), Some("Ada L."));
        assert_eq!(parameter(query, "empty").as_deref(), Some(""));
        assert_eq!(parameter(query, "nam"), None);
        assert_eq!(parameter(None, "name"), None);
    }
}
