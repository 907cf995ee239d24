//! The report: lines as they are found, and the verdict.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use crate::check::finding::{Finding, Level};
use crate::exit::Exit;
use crate::quantity::counted;
use crate::say::{self, on_one_line};
use crate::screen::{When, width};

/// The width of the column with the level, and of that with the check.
const LEVELS: usize = 10;
const CHECKS: usize = 23;

/// The narrowest terminal for columns. On a narrower one, what was seen begins a line.
const NARROW: usize = 72;

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Text {
        in_colour: bool,
        /// The width of the terminal.
        width: usize,
    },
    Json,
}

impl View {
    /// The view for this standard output.
    pub(crate) fn new(is_json: bool) -> Self {
        if is_json {
            return Self::Json;
        }
        let columns = if std::io::stdout().is_terminal() { width() } else { 110 };
        Self::Text { in_colour: When::Auto.is_on(), width: columns.clamp(40, 120) }
    }
}

/// The report so far.
#[derive(Debug)]
pub(crate) struct Report {
    view: View,
    findings: Vec<Finding>,
}

/// What the whole run was, for the last line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    /// The URL, without user, password and query.
    pub(crate) url: &'a str,
    pub(crate) connections: usize,
    pub(crate) took: Duration,
    /// Whether warnings count as well.
    pub(crate) is_strict: bool,
    /// Whether there was no time left for some checks.
    pub(crate) is_late: bool,
    /// Whether the user ended the run.
    pub(crate) is_interrupted: bool,
    /// The exit code if no handshake was accepted.
    pub(crate) no_way: Option<Exit>,
}

impl Report {
    pub(crate) fn new(view: View) -> Self {
        Self { view, findings: Vec::new() }
    }

    /// Adds a line, and shows it unless the report is JSON.
    pub(crate) fn add(&mut self, finding: Finding) {
        if let View::Text { in_colour, width } = self.view {
            // Advice that has been given is not repeated.
            let is_given = self.findings.iter().any(|other| other.advice == finding.advice);
            let shown = match is_given {
                true => Finding { advice: None, ..finding.clone() },
                false => finding.clone(),
            };
            for line in text(&shown, in_colour, width) {
                say::raw(line);
            }
        }
        self.findings.push(finding);
    }

    /// Begins a group of lines.
    pub(crate) fn heading(&self, title: &str) {
        if let View::Text { in_colour, .. } = self.view {
            say::raw(if in_colour {
                format!("\n\u{1b}[1m{title}\u{1b}[0m")
            } else {
                format!("\n{title}")
            });
        }
    }

    /// Whether a line of this check is worse than a note.
    pub(crate) fn is_bad(&self, check: &str) -> bool {
        self.findings.iter().any(|finding| finding.check == check && finding.level > Level::Note)
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    /// Shows the verdict. Returns the exit code.
    pub(crate) fn finish(&self, run: Run<'_>) -> Exit {
        let (faults, warnings) = (self.count(Level::Fault), self.count(Level::Warning));
        let (verdict, exit) = match (run.no_way, faults, warnings) {
            _ if run.is_interrupted => ("interrupted", Exit::Interrupted),
            (Some(exit), ..) if faults > 0 || !run.is_late => ("no connection", exit),
            (_, 1.., _) => ("faulty", Exit::Fault),
            _ if run.is_late => ("incomplete", Exit::TimedOut),
            (_, _, 1..) if run.is_strict => ("warnings", Exit::Unclean),
            (_, _, 1..) => ("warnings", Exit::Success),
            _ => ("fine", Exit::Success),
        };
        let took = run.took.as_secs_f64();
        if self.view == View::Json {
            let lines: Vec<_> = self.findings.iter().map(Finding::json).collect();
            let report = json!({
                "url": run.url, "verdict": verdict, "exit": exit as u8,
                "faults": faults, "warnings": warnings, "notes": self.count(Level::Note),
                "ok": self.count(Level::Ok), "not_seen": self.count(Level::Unseen),
                "connections": run.connections, "seconds": (took * 1000.0).round() / 1000.0,
                "checks": lines,
            });
            say::out(format_args!("{report:#}"));
            return exit;
        }
        say::out(format_args!(
            "\n{verdict}: {}, {}, {}, {} ok, {} not seen; {} in {took:.1} s",
            counted(faults as u64, "fault"),
            counted(warnings as u64, "warning"),
            counted(self.count(Level::Note) as u64, "note"),
            self.count(Level::Ok),
            self.count(Level::Unseen),
            counted(run.connections as u64, "connection"),
        ));
        exit
    }
}

/// The lines of a finding. Text from the peer is harmless in them.
fn text(finding: &Finding, in_colour: bool, width: usize) -> Vec<String> {
    let word = finding.level.word();
    let colour = match finding.level {
        Level::Unseen => "2",
        Level::Ok => "32",
        Level::Note => "36",
        Level::Warning => "33",
        Level::Fault => "1;31",
    };
    let padding = " ".repeat(LEVELS.saturating_sub(word.len()));
    let level = match in_colour {
        true => format!("\u{1b}[{colour}m{word}\u{1b}[0m{padding}"),
        false => format!("{word}{padding}"),
    };
    let mut seen = on_one_line(&finding.seen);
    if let Some(rfc) = finding.rfc {
        let _ = write!(seen, " ({rfc})");
    }
    let is_narrow = width < NARROW;
    let indent = if is_narrow { 2 } else { LEVELS + CHECKS };
    let mut body = wrapped(&seen, width - indent);
    if let Some(advice) = &finding.advice {
        body.extend(wrapped(&format!("-> {}", on_one_line(advice)), width - indent));
    }
    let mut lines = Vec::new();
    let mut head = format!("{level}{:CHECKS$}", finding.check);
    if is_narrow {
        lines.push(head.trim_end().to_owned());
    } else if !body.is_empty() {
        head.push_str(&body.remove(0));
        lines.push(head);
    }
    lines.extend(body.into_iter().map(|line| format!("{:indent$}{line}", "")));
    lines
}

/// The text in lines of at most this width, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_was_seen_the_section_and_the_advice() {
        let finding = Finding::warning("origin", "any page\u{1b}[2J can connect")
            .rfc("RFC 6455, section 10.2")
            .advice("compare the Origin");
        assert_eq!(
            text(&finding, false, 110),
            [
                "warning   origin                 any page\\u{1b}[2J can connect (RFC 6455, section 10.2)",
                "                                 -> compare the Origin",
            ]
        );
        assert_eq!(
            text(&finding, false, 40),
            [
                "warning   origin",
                "  any page\\u{1b}[2J can connect (RFC",
                "  6455, section 10.2)",
                "  -> compare the Origin",
            ]
        );
        assert!(text(&finding, true, 110)[0].starts_with("\u{1b}[33mwarning\u{1b}[0m   origin"));
    }

    #[test]
    fn the_worst_line_decides() {
        let run = Run {
            url: "ws://a/",
            connections: 1,
            took: Duration::ZERO,
            is_strict: false,
            is_late: false,
            is_interrupted: false,
            no_way: None,
        };
        let strict = Run { is_strict: true, ..run };
        let mut report = Report::new(View::Json);
        report.add(Finding::ok("a", ""));
        report.add(Finding::note("b", ""));
        report.add(Finding::unseen("c", ""));
        assert_eq!(report.finish(strict), Exit::Success);
        report.add(Finding::warning("d", ""));
        assert_eq!((report.finish(run), report.finish(strict)), (Exit::Success, Exit::Unclean));
        report.add(Finding::fault("e", ""));
        assert_eq!((report.finish(run), report.finish(strict)), (Exit::Fault, Exit::Fault));
        let mut report = Report::new(View::Json);
        report.add(Finding::warning("a", ""));
        assert_eq!(report.finish(Run { is_late: true, ..run }), Exit::TimedOut);
        let lost = Run { no_way: Some(Exit::NoConnection), ..run };
        assert_eq!(report.finish(lost), Exit::NoConnection);
        let late = Run { no_way: Some(Exit::TimedOut), is_late: true, ..run };
        assert_eq!(report.finish(late), Exit::TimedOut);
        report.add(Finding::fault("b", ""));
        assert_eq!(report.finish(Run { is_interrupted: true, ..run }), Exit::Interrupted);
    }
}
