//! The `token` of HTTP (RFC 7230, section 3.2.6).

/// Returns whether this byte is allowed in a token (`tchar`).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns whether the value is a token: at least one byte, and no separator, space or control
/// character.
pub(crate) fn is_token(value: impl AsRef<[u8]>) -> bool {
    let value = value.as_ref();
    !value.is_empty() && value.iter().copied().all(is_token_byte)
}

/// Removes optional white space (`OWS`: spaces and tabs) at both ends.
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_no_separators() {
        assert!(is_token("chat.v2"));
        assert!(is_token("!#$%&'*+-.^_`|~09azAZ"));
        assert!(!is_token(""));
        for byte in b"()<>@,;:\\\"/[]?={} \t\r\n\0\x7f\x80\xff" {
            assert!(!is_token([b'a', *byte]), "{byte:#x}");
        }
    }

    #[test]
    fn white_space_is_trimmed_at_both_ends_only() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b"\r\n"), b"\r\n");
    }
}
