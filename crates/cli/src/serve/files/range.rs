//! The part of a file that is asked for (RFC 9110, section 14.1.2).

/// What to send of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// From the first byte to the last, both included.
    Part(u64, u64),
    /// A part that the file does not have.
    Nothing,
}

impl Wanted {
    /// Reads the header `Range` for a file of this length. Anything but one range of bytes asks for
    /// all: a server may ignore it (section 14.2).
    pub(crate) fn read(header: &str, length: u64) -> Self {
        let Some((first, last)) =
            header.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
        else {
            return Self::All;
        };
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that is too large is larger than any file.
        let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        let end = length.saturating_sub(1);
        let (first, last) = match (first, last) {
            (first, "") if is_number(first) => (number(first), end),
            ("", last) if is_number(last) && number(last) == 0 => return Self::Nothing,
            ("", last) if is_number(last) => (length.saturating_sub(number(last)), end),
            (first, last) if is_number(first) && is_number(last) => (number(first), number(last)),
            _ => return Self::All,
        };
        match first {
            _ if first > last && first < length => Self::All,
            first if first >= length => Self::Nothing,
            first => Self::Part(first, last.min(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served() {
        for (header, wanted) in [
            ("bytes=0-0", Wanted::Part(0, 0)),
            ("bytes=0-9", Wanted::Part(0, 9)),
            ("bytes=10-", Wanted::Part(10, 99)),
            ("bytes=10-1000", Wanted::Part(10, 99)),
            ("bytes=-10", Wanted::Part(90, 99)),
            ("bytes=-1000", Wanted::Part(0, 99)),
            ("bytes=99-99999999999999999999999", Wanted::Part(99, 99)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=9-0", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("lines=1-2", Wanted::All),
        ] {
            assert_eq!(Wanted::read(header, 100), wanted, "{header}");
        }
        assert_eq!(Wanted::read("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(Wanted::read("bytes=-1", 0), Wanted::Nothing);
    }
}
