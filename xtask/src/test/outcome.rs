//! How a step ended, and the summary of all steps.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    /// The machine lacks something, which the text names.
    Skipped(String),
}

impl Outcome {
    /// Returns the outcome on CI, where a skipped step is a failure.
    pub(crate) fn on_ci(self, ci: bool) -> Self {
        match self {
            Self::Skipped(reason) if ci => {
                Self::Failed(format!("{reason} (with CI=true a skipped step is a failure)"))
            }
            other => other,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "FAILED",
            Self::Skipped(_) => "skipped",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Failed(reason) | Self::Skipped(reason) => reason,
        }
    }
}

/// A step that has run.
pub(crate) struct Record {
    pub(crate) step: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

impl Record {
    /// Returns one line with the step, its outcome, its duration, and the reason.
    pub(crate) fn line(&self) -> String {
        let (step, word, seconds) = (self.step, self.outcome.word(), self.took.as_secs_f64());
        let line = format!("{word:<7} {seconds:>7.1} s  {step:<16} {}", self.outcome.reason());
        line.trim_end().to_owned()
    }
}

pub(crate) fn passed(records: &[Record]) -> bool {
    !records.iter().any(|record| matches!(record.outcome, Outcome::Failed(_)))
}

/// Returns a line for each step, and the counts on the last line.
pub(crate) fn summary(records: &[Record]) -> String {
    let mut lines: Vec<_> = records.iter().map(Record::line).collect();
    let count = |word| records.iter().filter(|record| record.outcome.word() == word).count();
    let (passed, failed, skipped) = (count("passed"), count("FAILED"), count("skipped"));
    lines.push(format!("{passed} passed, {failed} failed, {skipped} skipped"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(step: &'static str, outcome: Outcome) -> Record {
        Record { step, outcome, took: Duration::from_millis(1500) }
    }

    #[test]
    fn a_skipped_step_fails_on_ci_only() {
        let skipped = Outcome::Skipped("no node".into());
        assert_eq!(skipped.clone().on_ci(false), skipped);
        assert!(
            matches!(skipped.on_ci(true), Outcome::Failed(reason) if reason.contains("no node"))
        );
        assert_eq!(Outcome::Passed.on_ci(true), Outcome::Passed);
    }

    #[test]
    fn a_failure_fails_the_run_and_a_skipped_step_does_not() {
        let skipped = record("b", Outcome::Skipped("no node".into()));
        let mut records = vec![record("a", Outcome::Passed), skipped];
        assert!(passed(&records));
        records.push(record("c", Outcome::Failed("bad".into())));
        assert!(!passed(&records));
    }

    #[test]
    fn the_counts_stand_alone_on_the_last_line() {
        let skipped = Outcome::Skipped("no node".into());
        let records = [record("format", Outcome::Passed), record("peers", skipped)];
        assert_eq!(
            summary(&records).lines().map(str::trim_end).collect::<Vec<_>>(),
            [
                "passed      1.5 s  format",
                "skipped     1.5 s  peers            no node",
                "1 passed, 0 failed, 1 skipped"
            ]
        );
    }
}
