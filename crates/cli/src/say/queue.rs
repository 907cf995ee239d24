//! Standard error, written by a thread of its own: if nobody reads it, lines are left out, and the server
//! goes on.

use std::io::{self, Write as _};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The most bytes of lines that wait.
const ROOM: usize = 256 * 1024;

/// How long the end of the program waits for the lines to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines for a thread that writes them.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    /// Whether there is a thread that writes.
    has_writer: bool,
    is_writing: bool,
    lines: String,
    left_out: u64,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        let waiting =
            Waiting { has_writer: false, is_writing: false, lines: String::new(), left_out: 0 };
        Self { waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    /// Starts the thread. Without one, lines are written where they are said.
    pub(crate) fn start(&'static self) -> io::Result<()> {
        thread::Builder::new().name("towline-log".into()).spawn(|| self.write_all())?;
        self.waiting().has_writer = true;
        Ok(())
    }

    /// Adds a line if there is a writer, and room for it. Returns whether there is a writer.
    pub(crate) fn add(&self, line: &str) -> bool {
        let mut waiting = self.waiting();
        if waiting.has_writer {
            waiting.add(line);
            self.changed.notify_all();
        }
        waiting.has_writer
    }

    /// Waits until all lines are written, but not for long: maybe nobody reads them.
    pub(crate) fn flush(&self) {
        let waiting = self.waiting();
        // A poisoned lock, too, ends the wait.
        let _ = self.changed.wait_timeout_while(waiting, PATIENCE, |waiting| {
            waiting.has_writer && (waiting.is_writing || !waiting.lines.is_empty())
        });
    }

    fn write_all(&self) {
        loop {
            let lines = self.next();
            // There is nobody to tell of an error.
            let _ = io::stderr().write_all(lines.as_bytes());
        }
    }

    /// Waits for lines to write.
    fn next(&self) -> String {
        let mut waiting = self.waiting();
        waiting.is_writing = false;
        self.changed.notify_all();
        while waiting.lines.is_empty() {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.is_writing = true;
        waiting.take()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// After the first line that is left out, so are all others until there is a line that counts them.
    fn add(&mut self, line: &str) {
        if self.left_out > 0 || self.lines.len() + line.len() >= ROOM {
            self.left_out += 1;
            return;
        }
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    fn take(&mut self) -> String {
        let mut lines = mem::take(&mut self.lines);
        match mem::take(&mut self.left_out) {
            0 => {}
            1 => lines.push_str("1 line left out: nobody read standard error\n"),
            count => lines += &format!("{count} lines left out: nobody read standard error\n"),
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_room_are_counted_after_those_before_them() {
        let mut waiting =
            Waiting { has_writer: true, is_writing: false, lines: String::new(), left_out: 0 };
        waiting.add("first");
        waiting.add(&"x".repeat(ROOM));
        waiting.add("short, but later");
        assert_eq!(waiting.take(), "first\n2 lines left out: nobody read standard error\n");
        waiting.add("again");
        assert_eq!(waiting.take(), "again\n");
    }
}
