//! The lines of a command's output.

use bytes::{Bytes, BytesMut};

/// Cuts bytes into lines, of which it holds at most one and what was read with it.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) buffer: BytesMut,
    /// How much of the buffer is known to have no line feed.
    searched: usize,
    /// The most bytes of a line.
    limit: usize,
}

/// A line that is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Lines {
    pub(crate) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, limit }
    }

    /// The next line that is complete, without its end: a line feed, or a carriage return and a line
    /// feed.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(found) = found.map(|offset| self.searched + offset) else {
            self.searched = self.buffer.len();
            // One more, for a carriage return.
            return if self.searched > self.limit + 1 { Err(TooLong) } else { Ok(None) };
        };
        let mut line = self.buffer.split_to(found + 1);
        self.searched = 0;
        line.truncate(found);
        if line.last() == Some(&b'\r') {
            line.truncate(found - 1);
        }
        if line.len() > self.limit { Err(TooLong) } else { Ok(Some(line.freeze())) }
    }

    /// What is left at the end of the output: a line without an end.
    pub(crate) fn rest(&mut self) -> Result<Option<Bytes>, TooLong> {
        let rest = self.buffer.split().freeze();
        self.searched = 0;
        match rest.len() {
            0 => Ok(None),
            length if length > self.limit => Err(TooLong),
            _ => Ok(Some(rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(parts: &[&str], limit: usize) -> (Vec<String>, bool) {
        let mut lines = Lines::new(limit);
        let mut cut = Vec::new();
        let mut keep = |line: Bytes| cut.push(String::from_utf8(line.to_vec()).unwrap());
        for part in parts {
            lines.buffer.extend_from_slice(part.as_bytes());
            loop {
                match lines.next() {
                    Ok(Some(line)) => keep(line),
                    Ok(None) => break,
                    Err(TooLong) => return (cut, true),
                }
            }
        }
        match lines.rest() {
            Ok(rest) => {
                rest.map(keep);
                (cut, false)
            }
            Err(TooLong) => (cut, true),
        }
    }

    #[test]
    fn lines_are_the_same_however_they_are_read() {
        let expected = ["one", "", "three\rx", "four"].map(str::to_owned).to_vec();
        let text = "one\n\nthree\rx\r\nfour";
        assert_eq!(cut(&[text], 10), (expected.clone(), false));
        for at in 0..text.len() {
            assert_eq!(cut(&[&text[..at], &text[at..]], 10), (expected.clone(), false), "{at}");
        }
        let bytes: Vec<_> = text.split("").collect();
        assert_eq!(cut(&bytes, 10), (expected, false));
        assert_eq!(cut(&[], 10), (vec![], false));
    }

    #[test]
    fn a_line_up_to_the_limit_is_taken() {
        for ending in ["\n", "\r\n", ""] {
            let line = format!("12345{ending}");
            assert_eq!(cut(&[&line], 5), (vec!["12345".to_owned()], false), "{ending:?}");
            assert_eq!(cut(&[&line], 4), (vec![], true), "{ending:?}");
        }
        // Without an end, it is too long before there is one.
        let mut lines = Lines::new(4);
        lines.buffer.extend_from_slice(b"123456");
        assert_eq!(lines.next(), Err(TooLong));
    }
}
