//! A table for each server.

use std::fmt::Write;

use crate::bench::fair::outcome::{FairResult, FairSample, Stretch, Stretches};
use crate::bench::threads::Threads;

pub(crate) fn table(results: &[FairResult]) -> String {
    let mut servers: Vec<(&str, Threads)> = Vec::new();
    for FairResult { peer, threads, .. } in results {
        if !servers.contains(&(peer.as_str(), *threads)) {
            servers.push((peer, *threads));
        }
    }
    let mut text = String::new();
    for (peer, threads) in servers {
        let _ = writeln!(
            text,
            "| {peer}, {}: one connection | its task runs at most | another waits for its turn, \
             p99.9 | at most | others' echo, p50 | p99 | at most |\n|{}",
            threads.about(),
            " --- |".repeat(7)
        );
        let own =
            results.iter().filter(|result| (&*result.peer, result.threads) == (peer, threads));
        for result in own {
            let _ = writeln!(text, "| {} |", row(result).join(" | "));
        }
        text.push('\n');
    }
    text
}

fn row(result: &FairResult) -> [String; 7] {
    let stretch = |of: fn(&Stretches) -> &Stretch, value: fn(&Stretch) -> u64| {
        time(result.median(|sample| sample.stretches.as_ref().map(of).map(value)))
    };
    let echo = |value: fn(&FairSample) -> u64| time(result.median(|sample| Some(value(sample))));
    let is_unanswered = result.samples.iter().any(|sample| sample.latency.unanswered > 0);
    let longest = echo(|sample| sample.latency.max_ns);
    [
        about(result),
        stretch(|stretches| &stretches.polls, |polls| polls.max_ns),
        stretch(|stretches| &stretches.gaps, |gaps| gaps.p999_ns),
        stretch(|stretches| &stretches.gaps, |gaps| gaps.max_ns),
        echo(|sample| sample.latency.p50_ns),
        echo(|sample| sample.latency.p99_ns),
        if is_unanswered { format!("over {longest}") } else { longest },
    ]
}

/// Returns what it did, with how many others, and why it ended early, if it did.
fn about(result: &FairResult) -> String {
    let held = result.samples.iter().map(|sample| sample.held).min().unwrap_or(0);
    let mut about = result.about.replace("{held}", &held.to_string());
    if held < result.wanted {
        let _ = write!(about, " (of {}, by the limit of descriptors)", result.wanted);
    }
    if let Some(why) = result.samples.iter().find_map(|sample| sample.ended.as_ref()) {
        let _ = write!(about, " (ended: {why})");
    }
    about
}

/// Formats a duration with three digits, in a suitable unit.
pub(crate) fn time(nanoseconds: Option<f64>) -> String {
    let Some(time) = nanoseconds else { return "–".to_owned() };
    let (value, unit) = match time {
        time if time >= 1e9 => (time / 1e9, "s"),
        time if time >= 1e6 => (time / 1e6, "ms"),
        time => (time / 1e3, "µs"),
    };
    match value {
        value if value >= 100.0 => format!("{value:.0} {unit}"),
        value if value >= 10.0 => format!("{value:.1} {unit}"),
        value => format!("{value:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::fair::outcome::Latency;

    #[test]
    fn a_time_has_three_digits() {
        assert_eq!(time(Some(2000.0)), "2.00 µs");
        assert_eq!(time(Some(45_600.0)), "45.6 µs");
        assert_eq!(time(Some(123_456_000.0)), "123 ms");
        assert_eq!(time(Some(2.2e9)), "2.20 s");
        assert_eq!(time(None), "–");
    }

    #[test]
    fn what_the_load_prints_becomes_a_row() {
        let printed = r#"{"held":19900,"seconds":1.0,"latency":{"count":9,"p50_ns":41000,
            "p99_ns":120000,"max_ns":2000000,"unanswered":0},"greedy":{"sent":0,"received":7},
            "ended":null,"server":{"cpu_ns":1,"user_ms":0,"system_ms":0,"voluntary_switches":0,
            "involuntary_switches":0},"stretches":{"gaps":{"count":3,"p999_ns":8000,
            "max_ns":9000000},"polls":{"count":0,"p999_ns":0,"max_ns":7000000}}}"#;
        let sample: FairSample = serde_json::from_str(printed).unwrap();
        let stalled = FairSample {
            ended: Some("cannot write: it is gone".into()),
            latency: Latency { unanswered: 1, ..sample.latency.clone() },
            stretches: None,
            ..sample.clone()
        };
        let result = |threads, samples| FairResult {
            peer: "p".into(),
            scenario: "held".into(),
            about: "nothing, but {held} are open".into(),
            threads,
            wanted: 20_000,
            samples,
        };
        let text = table(&[
            result(Threads::One, vec![sample.clone(), sample]),
            result(Threads::Workers, vec![stalled]),
        ]);
        let rows: Vec<_> = text.lines().filter(|line| line.contains("nothing")).collect();
        assert_eq!(
            rows,
            [
                "| nothing, but 19900 are open (of 20000, by the limit of descriptors) | 7.00 ms \
                 | 8.00 µs | 9.00 ms | 41.0 µs | 120 µs | 2.00 ms |",
                "| nothing, but 19900 are open (of 20000, by the limit of descriptors) (ended: \
                 cannot write: it is gone) | – | – | – | 41.0 µs | 120 µs | over 2.00 ms |",
            ]
        );
    }
}
