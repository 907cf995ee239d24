//! Lines for the user. If the reader of standard output is gone, they are dropped without an error. Any other
//! failure of standard output is remembered for the end of the program.

mod queue;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::OnceLock;

use crate::say::queue::Queue;

/// Why standard output could not be written.
static TROUBLE: OnceLock<String> = OnceLock::new();

/// Remembers why standard output could not be written, unless its reader has just gone, as `head` does.
pub(crate) fn written(result: io::Result<()>) -> io::Result<()> {
    result.inspect_err(|error| {
        if error.kind() != io::ErrorKind::BrokenPipe {
            // The first trouble is the cause of the others.
            let _ = TROUBLE.set(error.to_string());
        }
    })
}

/// Why standard output could not be written, if it could not.
pub(crate) fn trouble() -> Option<&'static str> {
    TROUBLE.get().map(String::as_str)
}

/// Writes a text of this program to standard output, as it is.
pub(crate) fn print(text: &[u8]) {
    let mut stdout = io::stdout().lock();
    // It is told at the end.
    let _ = written(stdout.write_all(text).and_then(|()| stdout.flush()));
}

/// Writes a line to standard output and flushes it. Control characters are escaped.
pub(crate) fn out(line: impl Display) {
    let line = harmless(&line.to_string(), "");
    print(format!("{line}\n").as_bytes());
}

/// Writes a line to standard output and flushes it. The caller has escaped what a peer sent; colours are
/// kept.
pub(crate) fn raw(line: impl Display) {
    print(format!("{line}\n").as_bytes());
}

/// Lines for standard error, once they are not written where they are said.
static QUEUE: Queue = Queue::new();

/// From now on nobody waits for standard error: a thread writes it, and lines without room are left out.
pub(crate) fn without_waiting() -> io::Result<()> {
    QUEUE.start()
}

/// Waits a short time until all of standard error is written.
pub(crate) fn flush() {
    QUEUE.flush();
}

fn to_stderr(line: &str) {
    if !QUEUE.add(line) {
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// Writes a line to standard error. Control characters are escaped.
pub(crate) fn note(line: impl Display) {
    to_stderr(&harmless(&line.to_string(), ""));
}

/// Writes a line of the log to standard error. Clients choose parts of it, so it is one line and has an end.
pub(crate) fn log(line: impl Display) {
    let mut line = on_one_line(&line.to_string());
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    to_stderr(&line);
}

/// The most characters of a line of the log.
const LONGEST: usize = 1000;

/// Writes a line to standard error that says why the program ends.
pub(crate) fn error(line: impl Display) {
    note(format_args!("error: {line}"));
}

/// Whether a terminal interprets this character instead of showing it: control characters, and
/// Unicode characters that reorder text or break a line. A peer could use them to disguise a line.
pub(crate) fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// Text from a peer on one line, without characters that a terminal interprets.
pub(crate) fn on_one_line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            obeyed if is_obeyed(obeyed) => safe.extend(obeyed.escape_default()),
            character => safe.push(character),
        }
    }
    safe
}

/// Text without characters that a terminal interprets, except tabs and line feeds. The lines after
/// the first are indented.
pub(crate) fn harmless(text: &str, indent: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => safe.push('\t'),
            '\n' => {
                safe.push('\n');
                safe.push_str(indent);
            }
            obeyed if is_obeyed(obeyed) => safe.extend(obeyed.escape_default()),
            character => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        let obeyed = ('\0'..=' ').filter(|c| c.is_control()).chain('\u{7f}'..='\u{9f}');
        let obeyed = obeyed.chain(['\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}']);
        let obeyed = obeyed.chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        for character in obeyed {
            let text = format!("a{character}b");
            let escaped = format!("a{}b", character.escape_default());
            assert_eq!(on_one_line(&text), escaped);
            let is_kept = matches!(character, '\t' | '\n');
            assert_eq!(harmless(&text, ""), if is_kept { text } else { escaped });
        }
        for text in ["שלום", "مرحبا", "👩\u{200d}🚀", "e\u{301}", "a\u{a0}b"] {
            assert_eq!((on_one_line(text), harmless(text, "")), (text.into(), text.into()));
        }
        assert_eq!(harmless("a\nb\tc", "  "), "a\n  b\tc");
    }
}
