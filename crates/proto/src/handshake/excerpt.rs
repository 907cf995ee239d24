//! Quoting of values in error messages that may be long, binary or hostile.

/// The most bytes of a value that an error message shows.
const LONGEST: usize = 64;

/// Returns the value in quotes, escaped to printable ASCII and truncated if long.
pub(crate) fn excerpt(value: impl AsRef<[u8]>) -> String {
    excerpt_up_to(LONGEST, value)
}

/// Like [`excerpt`], truncated after `longest` bytes.
pub(crate) fn excerpt_up_to(longest: usize, value: impl AsRef<[u8]>) -> String {
    let value = value.as_ref();
    match value.get(..longest) {
        Some(start) if value.len() > longest => {
            format!("\"{}\" (the first {longest} of {} bytes)", start.escape_ascii(), value.len())
        }
        _ => format!("\"{}\"", value.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_value_is_shown_whole_and_escaped() {
        assert_eq!(excerpt("chat"), "\"chat\"");
        assert_eq!(excerpt(b"a\r\n\"\xff"), "\"a\\r\\n\\\"\\xff\"");
        assert_eq!(excerpt([b'x'; LONGEST]).len(), LONGEST + 2);
    }

    #[test]
    fn a_long_value_is_cut() {
        let shown = excerpt(vec![b'x'; 100_000]);
        assert!(shown.len() < 120, "{shown}");
        assert!(shown.ends_with("(the first 64 of 100000 bytes)"));
    }
}
