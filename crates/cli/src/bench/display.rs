//! What is shown on a terminal while a load runs: a few lines that are drawn over and over.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::bench::figures::{count, rate, time, time_of};
use crate::bench::results::Interval;
use crate::bench::run::Stage;
use crate::say::on_one_line;
use crate::screen::{is_dumb, width};

/// How often it is drawn.
const PERIOD: Duration = Duration::from_millis(200);

/// The width of the bar.
const BAR: usize = 24;

/// The live display, if there is a terminal to show it on.
#[derive(Debug)]
pub(crate) struct Display {
    is_on: bool,
    drawn: Option<Instant>,
    /// The lines above the cursor that belong to it.
    lines: usize,
}

/// How far a run has come.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) stage: Stage,
    /// Nanoseconds since the stage began, and when it ends at the latest.
    pub(crate) elapsed: u64,
    pub(crate) end: Option<u64>,
    /// Connections that were opened or failed, that are open, and all.
    pub(crate) settled: u64,
    pub(crate) open: u64,
    pub(crate) connections: u64,
    /// Messages that were received, and those that are to be, if there is a number.
    pub(crate) done: u64,
    pub(crate) messages: Option<u64>,
    pub(crate) last: Option<Interval>,
    pub(crate) is_handshakes: bool,
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Display {
    /// A display, if it is wanted and standard error is a terminal that can draw over a line.
    pub(crate) fn new(is_wanted: bool) -> Self {
        let is_on = is_wanted && std::io::stderr().is_terminal() && !is_dumb();
        Self { is_on, drawn: None, lines: 0 }
    }

    /// Whether it is time to draw it.
    pub(crate) fn is_due(&self) -> bool {
        self.is_on && self.drawn.is_none_or(|drawn| drawn.elapsed() >= PERIOD)
    }

    /// Draws the progress.
    pub(crate) fn draw(&mut self, progress: &Progress) {
        self.drawn = Some(Instant::now());
        let width = width();
        let lines = lines(progress);
        let mut text = self.erasure();
        for line in &lines {
            // A line that wraps could not be erased.
            text.extend(line.chars().take(width.saturating_sub(1)));
            text.push('\n');
        }
        self.lines = lines.len();
        write(&text);
    }

    /// Removes it.
    pub(crate) fn clear(&mut self) {
        if self.lines > 0 {
            write(&self.erasure());
            self.lines = 0;
        }
    }

    /// Moves to its first line and erases all below.
    fn erasure(&self) -> String {
        match self.lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }
}

/// A terminal that is gone is no reason to end.
fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[allow(clippy::cast_precision_loss)]
fn lines(progress: &Progress) -> Vec<String> {
    let stage = match progress.stage {
        Stage::Ramp => "connecting",
        Stage::WarmUp => "warming up",
        Stage::Measured => "measuring",
        Stage::Drain => "waiting for the last answers",
        Stage::Close => "closing",
    };
    let (done, all) = match (progress.stage, progress.end, progress.messages) {
        (Stage::Ramp, ..) => (progress.settled, progress.connections),
        (Stage::Measured, None, Some(messages)) => (progress.done, messages),
        (_, Some(end), _) => (progress.elapsed, end),
        _ => (0, 1),
    };
    let filled = u128::from(done.min(all)) * BAR as u128 / u128::from(all.max(1));
    let filled = usize::try_from(filled).unwrap_or_default();
    let bar = format!("{}{}", "#".repeat(filled), "-".repeat(BAR.saturating_sub(filled)));
    let elapsed = progress.elapsed as f64 / 1e9;
    let clock = match progress.end {
        Some(end) => format!("{elapsed:.1} of {:.1} s", end as f64 / 1e9),
        None => format!("{elapsed:.1} s"),
    };
    let connections =
        format!("{} of {} connections", count(progress.open), count(progress.connections));
    let mut lines = vec![format!("[{bar}] {stage}, {clock}, {connections}")];
    if let Some(last) = progress
        .last
        .as_ref()
        .filter(|last| last.length_s > 0.0 && last.phase == progress.stage.phase())
    {
        let per_s = |number: u64| rate(number as f64 / last.length_s);
        lines.push(match progress.is_handshakes {
            true => format!("  {}/s opened", per_s(last.opened)),
            false => {
                format!(
                    "  {}/s sent, {}/s received",
                    per_s(last.messages_sent),
                    per_s(last.messages_received)
                )
            }
        });
        if last.max_ns > 0 {
            let [p50, p90, p99] = [last.p50_ns, last.p90_ns, last.p99_ns].map(time_of);
            let max = time(last.max_ns as f64);
            lines.push(format!("  p50 {p50}, p90 {p90}, p99 {p99}, max {max}"));
        }
    }
    if !progress.errors.is_empty() {
        let errors =
            progress.errors.iter().map(|(kind, number)| format!("{kind} {}", count(*number)));
        lines.push(on_one_line(&format!("  errors: {}", errors.collect::<Vec<_>>().join(", "))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(stage: Stage) -> Progress {
        Progress {
            stage,
            elapsed: 2_500_000_000,
            end: Some(10_000_000_000),
            settled: 500,
            open: 499,
            connections: 1000,
            done: 7,
            messages: None,
            last: None,
            is_handshakes: false,
            errors: BTreeMap::new(),
        }
    }

    #[test]
    fn the_bar_shows_how_much_of_the_stage_is_over() {
        let line = &lines(&progress(Stage::Measured))[0];
        assert_eq!(
            line,
            "[######------------------] measuring, 2.5 of 10.0 s, 499 of 1,000 connections"
        );
        let line = &lines(&progress(Stage::Ramp))[0];
        assert!(line.starts_with("[############------------] connecting"), "{line}");
        let over = Progress { elapsed: 99_000_000_000, ..progress(Stage::Drain) };
        assert!(lines(&over)[0].starts_with("[########################] waiting"));
        let counted = Progress { end: None, messages: Some(0), ..progress(Stage::Measured) };
        assert!(lines(&counted)[0].starts_with("[----"), "{:?}", lines(&counted));
    }

    #[test]
    fn errors_of_a_server_do_not_reach_the_terminal_as_they_are() {
        let errors = BTreeMap::from([("evil\u{1b}[2J".to_owned(), 3)]);
        let shown = lines(&Progress { errors, ..progress(Stage::Measured) }).pop().unwrap();
        assert_eq!(shown, r"  errors: evil\u{1b}[2J 3");
    }
}
