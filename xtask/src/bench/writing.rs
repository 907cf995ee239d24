//! Writes the results: the numbers of every turn in a file for each kind of measurement, and a summary as
//! a section of the page in docs/benchmarks.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::bench::machine::Machine;

#[derive(Serialize)]
struct Kept<'a, T> {
    machine: &'a Machine,
    run: &'a Run,
    results: &'a [T],
}

/// How the measurement was made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    pub(crate) rounds: usize,
    /// The seconds measured in each turn, if there is a time.
    pub(crate) seconds: Option<f64>,
    /// The share of the processors that other programs used meanwhile.
    pub(crate) others: Option<f64>,
}

/// Above this share, the numbers are not reliable.
const MUCH: f64 = 0.05;

impl Run {
    /// Returns one line about the run, as for the plot.
    pub(crate) fn about(&self) -> String {
        let rounds = match (self.rounds, self.seconds) {
            (1, None) => "one round".to_owned(),
            (rounds, None) => format!("medians of {rounds} rounds"),
            (1, Some(seconds)) => format!("one round of {seconds} s"),
            (rounds, Some(seconds)) => format!("medians of {rounds} rounds of {seconds} s"),
        };
        match self.others {
            Some(others) => {
                let warning = if others > MUCH { ": too much to rely on this" } else { "" };
                let share = others * 100.0;
                format!("{rounds}; other programs had {share:.0} % of the processors{warning}")
            }
            None => rounds,
        }
    }
}

/// Writes the numbers of one kind of measurement.
pub(crate) fn keep<T: Serialize>(
    out: &Path,
    name: &str,
    machine: &Machine,
    run: &Run,
    results: &[T],
) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {out:?}"))?;
    let path = out.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(&Kept { machine, run, results })? + "\n";
    fs::write(&path, text).with_context(|| format!("cannot write {path:?}"))
}

/// Returns a summary: the table, the run, the machine and the versions.
pub(crate) fn summary(table: &str, machine: &Machine, run: &Run) -> String {
    format!("{}\n\n({}.\n{}.)", table.trim_end(), run.about(), about(machine))
}

/// Replaces the summary in its section of the page.
pub(crate) fn publish(page: &Path, name: &str, summary: &str) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| format!("cannot read {page:?}"))?;
    let text = with_section(&text, name, summary)
        .with_context(|| format!("{page:?} has no section {name}"))?;
    fs::write(page, text).with_context(|| format!("cannot write {page:?}"))
}

/// A section is between `<!-- name -->` and `<!-- end of name -->`.
fn with_section(page: &str, name: &str, section: &str) -> Option<String> {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&start)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{start}\n{section}\n\n{end}{after}"))
}

fn about(machine: &Machine) -> String {
    let Machine { processor, cores, kernel, date, rustc, flags, versions, .. } = machine;
    let versions: Vec<_> =
        versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let flags = if flags.is_empty() { String::new() } else { format!(" with {flags}") };
    format!("{date}: {processor}, {cores} cores, {kernel}, {rustc}{flags}; {}", versions.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_newer_sections() {
        let page = include_str!("../../../docs/benchmarks/README.md");
        for name in ["axum", "axum-memory", "http2", "fanout"] {
            let replaced = with_section(page, name, "the table").expect(name);
            assert!(replaced.contains(&format!("<!-- {name} -->\n\nthe table\n")), "{name}");
        }
    }

    #[test]
    fn a_section_takes_the_place_of_the_earlier_one() {
        let page = "# P\n<!-- a -->\nold\n<!-- end of a -->\n<!-- b -->\n<!-- end of b -->\ntext\n";
        let once = with_section(page, "a", "new").unwrap();
        let expected =
            "# P\n<!-- a -->\n\nnew\n\n<!-- end of a -->\n<!-- b -->\n<!-- end of b -->\ntext\n";
        assert_eq!(once, expected);
        assert_eq!(with_section(&once, "a", "new").unwrap(), expected);
        assert!(with_section(page, "c", "new").is_none());
    }
}
