//! Lines for the user. Who has closed standard output or error does not want them: no error.

use std::fmt::Display;
use std::io::Write as _;

/// A line on standard output, at once.
pub(crate) fn out(line: impl Display) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// A line on standard error.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A line on standard error that says why the program ends.
pub(crate) fn error(line: impl Display) {
    note(format_args!("error: {line}"));
}

/// What a stranger has written, without what a terminal would obey.
pub(crate) fn on_one_line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            control if control.is_control() => safe.extend(control.escape_default()),
            character => safe.push(character),
        }
    }
    safe
}
