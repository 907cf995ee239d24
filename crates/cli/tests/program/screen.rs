//! Programs on a terminal, and what a user sees there.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

/// The most time that a program may take to show what is awaited.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a program on it, which ends with the test.
pub(crate) struct Screen {
    pty: Arc<Pty>,
    child: Child,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

/// What the program has written.
pub(crate) struct Seen {
    parser: vt100::Parser,
    pub(crate) bytes: Vec<u8>,
    is_over: bool,
}

impl Seen {
    /// The rows of the screen, without blanks at their ends.
    pub(crate) fn rows(&self) -> Vec<String> {
        let (_, columns) = self.parser.screen().size();
        let rows = self.parser.screen().rows(0, columns.get());
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    /// The rows that are not blank.
    pub(crate) fn text(&self) -> Vec<String> {
        self.rows().into_iter().filter(|row| !row.is_empty()).collect()
    }

    /// Whether a row is this.
    pub(crate) fn has(&self, row: &str) -> bool {
        self.rows().iter().any(|seen| seen == row)
    }

    /// Whether a row begins like this.
    pub(crate) fn begins(&self, row: &str) -> bool {
        self.rows().iter().any(|seen| seen.starts_with(row))
    }

    /// Where the cursor is: the row and the column.
    pub(crate) fn cursor(&self) -> (u16, u16) {
        self.parser.screen().cursor_position()
    }

    pub(crate) fn is_pasting_told(&self) -> bool {
        self.parser.screen().bracketed_paste()
    }

    /// Whether anything on the screen has a colour.
    pub(crate) fn has_colour(&self) -> bool {
        let screen = self.parser.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |at| (row, at)));
        cells
            .filter_map(|(row, at)| screen.cell(row, at))
            .any(|cell| cell.fgcolor() != vt100::Color::Default || cell.dim())
    }
}

impl Screen {
    /// `towline` with these arguments on a terminal of this width, or on one that does not tell it: 0.
    pub(crate) fn start(columns: u16, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::program(env!("CARGO_BIN_EXE_towline"), columns, variables, arguments)
    }

    /// Another program.
    pub(crate) fn program(
        program: &str,
        columns: u16,
        variables: &[(&str, &str)],
        arguments: &[&str],
    ) -> Self {
        const ROWS: u16 = 24;
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(ROWS, columns)).unwrap();
        let mut command = Command::new(program).args(arguments).env("TERM", "xterm-256color");
        for name in ["NO_COLOR", "all_proxy", "ALL_PROXY", "ws_proxy", "WS_PROXY"] {
            command = command.env_remove(name);
        }
        let child = command.envs(variables.iter().copied()).spawn(pts).unwrap();
        let shown = if columns == 0 { 80 } else { columns };
        let parser = vt100::Parser::new(size(ROWS), size(shown), 0);
        let seen = Seen { parser, bytes: Vec::new(), is_over: false };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        let pty = Arc::new(pty);
        thread::spawn({
            let (pty, seen) = (pty.clone(), seen.clone());
            move || watch(&pty, &seen)
        });
        Self { pty, child, seen }
    }

    /// Presses these keys.
    pub(crate) fn keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Makes the terminal this wide.
    pub(crate) fn resize(&self, columns: u16) {
        let mut seen = self.seen.0.lock().unwrap();
        let (rows, _) = seen.parser.screen().size();
        seen.parser.set_size(rows, size(columns));
        self.pty.resize(Size::new(rows.get(), columns)).unwrap();
    }

    /// Waits until this holds. Returns what `get` finds then.
    #[track_caller]
    pub(crate) fn wait<T>(&self, get: impl Fn(&Seen) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut seen = self.seen.0.lock().unwrap();
        loop {
            if let Some(found) = get(&seen) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !seen.is_over, "not on the screen: {:#?}", seen.text());
            seen = self.seen.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits until a row is this.
    #[track_caller]
    pub(crate) fn wait_for(&self, row: &str) {
        self.wait(|seen| seen.has(row).then_some(()));
    }

    /// Waits until a row begins like this.
    #[track_caller]
    pub(crate) fn wait_for_start(&self, row: &str) {
        self.wait(|seen| seen.begins(row).then_some(()));
    }

    /// Waits until the program has ended. Returns its exit code, and what is on the screen.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>, bool) {
        let code = self.child.wait().unwrap().code();
        let end = Instant::now() + PATIENCE;
        let mut seen = self.seen.0.lock().unwrap();
        while !seen.is_over && Instant::now() < end {
            seen = self.seen.1.wait_timeout(seen, Duration::from_millis(100)).unwrap().0;
        }
        (code, seen.text(), seen.is_pasting_told())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the program has closed the terminal.
fn watch(mut pty: &Pty, seen: &(Mutex<Seen>, Condvar)) {
    let mut bytes = [0; 4096];
    loop {
        let length = pty.read(&mut bytes).unwrap_or(0);
        let mut state = seen.0.lock().unwrap();
        state.parser.process(&bytes[..length]);
        state.bytes.extend_from_slice(&bytes[..length]);
        state.is_over = length == 0;
        seen.1.notify_all();
        if length == 0 {
            return;
        }
    }
}

fn size(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}
