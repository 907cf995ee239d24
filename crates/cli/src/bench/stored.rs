//! Reads the results of earlier runs, which `--json` wrote. A file can be anything.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bench::results::{FORMAT, Latencies, Results};
use crate::exit::{Exit, Failure};

/// Results with the file that they came from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) path: PathBuf,
    pub(crate) results: Results,
}

impl Stored {
    /// The file as it is named in messages.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Reads the results in a file.
///
/// # Errors
///
/// The file can't be read, is not JSON, has another format, or has figures that no run has.
pub(crate) fn read(path: &Path) -> Result<Stored, Failure> {
    let name = path.display();
    let fail = |message: String| Failure::new(Exit::Usage, message);
    let bytes = std::fs::read(path).map_err(|error| fail(format!("can't read {name}: {error}")))?;
    let results = parse(&bytes).map_err(|why| fail(format!("{name}: {why}")))?;
    Ok(Stored { path: path.to_owned(), results })
}

/// Only what says whether the rest can be read.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

fn parse(bytes: &[u8]) -> Result<Results, String> {
    let Version { format } = serde_json::from_slice(bytes)
        .map_err(|error| format!("not results that towline bench --json wrote: {error}"))?;
    if format != FORMAT {
        return Err(format!("the format is version {format}; this program reads version {FORMAT}"));
    }
    let results = serde_json::from_slice(bytes)
        .map_err(|error| format!("not results that towline bench --json wrote: {error}"))?;
    match complaint(&results) {
        Some(complaint) => Err(complaint),
        None => Ok(results),
    }
}

/// A year; nothing that is shown or added up overflows below it.
const MOST_SECONDS: f64 = 8760.0 * 3600.0;

/// What no run can have measured, if there is something.
fn complaint(results: &Results) -> Option<String> {
    let is_time = |seconds: f64| (0.0..=MOST_SECONDS).contains(&seconds);
    for (name, seconds) in [
        ("elapsed_s", results.elapsed_s),
        ("measured_s", results.measured_s),
        ("load.ramp_s", results.load.ramp_s),
        ("load.warm_up_s", results.load.warm_up_s),
        ("load.duration_s", results.load.duration_s.unwrap_or_default()),
        ("generator.wall_s", results.generator.wall_s),
    ] {
        if !is_time(seconds) {
            return Some(format!("{name} is {seconds:?}: the limit is {MOST_SECONDS}"));
        }
    }
    let mut end = 0.0;
    for (index, interval) in results.intervals.iter().enumerate() {
        let (start, length) = (interval.start_s, interval.length_s);
        // Clocks are rounded, so neighbours may overlap a little.
        if !is_time(start) || !is_time(length) || start + 0.01 < end {
            return Some(format!(
                "intervals[{index}] takes {length} s from {start} s on: not in order"
            ));
        }
        end = start + length;
    }
    let latencies = [("handshakes", &results.handshakes), ("latencies", &results.latencies)];
    for (name, latencies) in latencies {
        if !is_ordered(latencies) {
            return Some(format!("the values of {name}.histogram are not in order"));
        }
    }
    None
}

fn is_ordered(latencies: &Latencies) -> bool {
    latencies.histogram.is_sorted_by(|(before, _), (after, _)| before < after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample;

    #[test]
    fn results_are_the_same_after_a_round_trip() {
        for results in [sample::echo(30), sample::silent(), sample::echo(0), sample::storm()] {
            let mut again = parse(&serde_json::to_vec(&results).unwrap()).unwrap();
            // serde_json may be off by the last bit of a number with all digits.
            for (read, written) in [
                (&mut again.latencies, &results.latencies),
                (&mut again.handshakes, &results.handshakes),
            ] {
                assert!((read.mean_ns - written.mean_ns).abs() < 1e-6);
                assert!((read.stddev_ns - written.stddev_ns).abs() < 1e-6);
                (read.mean_ns, read.stddev_ns) = (written.mean_ns, written.stddev_ns);
            }
            assert!(again == results);
        }
    }

    #[test]
    fn what_is_no_result_is_refused_with_the_reason() {
        let results = sample::echo(3);
        let changed = |change: fn(&mut Results)| {
            let mut results = results.clone();
            change(&mut results);
            serde_json::to_string(&results).unwrap()
        };
        for (text, reason) in [
            (String::new(), "not results"),
            ("{}".to_owned(), "missing field `format`"),
            ("[1]".to_owned(), "not results"),
            (changed(|results| results.format = 7), "version 7; this program reads version 1"),
            (changed(|results| results.measured_s = -1.0), "measured_s is -1"),
            (
                changed(|results| results.elapsed_s = 1e300),
                "elapsed_s is 1e300: the limit is 31536000",
            ),
            (changed(|results| results.intervals[1].start_s = 0.2), "intervals[1]"),
            (changed(|results| results.intervals[2].length_s = -1.0), "intervals[2]"),
            (changed(|results| results.latencies.histogram.reverse()), "latencies.histogram"),
            // serde_json writes NaN as null.
            (changed(|results| results.measured_s = f64::NAN), "not results"),
        ] {
            let complaint = parse(text.as_bytes()).unwrap_err();
            assert!(complaint.contains(reason), "{reason:?} is not in {complaint:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = read(Path::new("/nowhere/a.json")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("/nowhere/a.json"), "{}", failure.message);
    }
}
