//! `towline bench`, against servers that do well and servers that do not.

mod servers;

mod scenarios;

mod trouble;

mod loops;

mod usage;

mod files;

#[cfg(unix)]
mod terminal;

use std::time::Duration;

use serde_json::Value;

use crate::support::{Ended, Program};

/// Runs a load test which ends by itself, and returns its results.
#[track_caller]
fn bench(code: i32, arguments: &[&str]) -> Value {
    let ended = run(&[arguments, &["--json"]].concat());
    assert_eq!(ended.code, Some(code), "{ended:?}");
    // Nothing is shown where there is no terminal.
    assert!(ended.stderr.is_empty(), "{ended:?}");
    let results: Value = serde_json::from_str(ended.text()).unwrap();
    adds_up(&results);
    results
}

fn run(arguments: &[&str]) -> Ended {
    Program::start(&[&["bench", "--threads", "2"], arguments].concat()).end()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

fn counted(latencies: &Value) -> u64 {
    latencies["histogram"].as_array().unwrap().iter().map(|pair| number(&pair[1])).sum()
}

/// How many values of a histogram are longer than this.
fn longer_than(latencies: &Value, limit: Duration) -> u64 {
    let limit = u64::try_from(limit.as_nanos()).unwrap();
    let pairs = latencies["histogram"].as_array().unwrap();
    pairs.iter().filter(|pair| number(&pair[0]) > limit).map(|pair| number(&pair[1])).sum()
}

/// What holds for all results.
#[track_caller]
fn adds_up(results: &Value) {
    let totals = &results["totals"];
    assert_eq!(results["format"], 1);
    assert!(results["program"].as_str().unwrap().starts_with("towline "));
    let intervals = results["intervals"].as_array().unwrap();
    let sum = |name: &str, is_measured: bool| -> u64 {
        let is_wanted = |interval: &&Value| {
            is_measured == matches!(interval["phase"].as_str(), Some("measured" | "drain"))
        };
        intervals.iter().filter(is_wanted).map(|interval| number(&interval[name])).sum()
    };
    for name in ["messages_sent", "messages_received", "bytes_sent", "bytes_received"] {
        assert_eq!(sum(name, true), number(&totals[name]), "{name} in {results:#}");
    }
    for (name, before) in
        [("messages_sent", "sent_before"), ("messages_received", "received_before")]
    {
        assert_eq!(sum(name, false), number(&totals[before]), "{before} in {results:#}");
    }
    for latencies in [&results["latencies"], &results["handshakes"]] {
        assert_eq!(counted(latencies), number(&latencies["count"]), "{results:#}");
    }
    if results["load"]["scenario"] == "echo" {
        let answered = number(&totals["messages_received"]);
        assert_eq!(answered + number(&totals["unanswered"]), number(&totals["messages_sent"]));
        let compared = answered - number(&totals["mismatched"]);
        assert_eq!(compared, number(&results["latencies"]["count"]), "{results:#}");
    }
    for pair in intervals.windows(2) {
        let end = pair[0]["start_s"].as_f64().unwrap() + pair[0]["length_s"].as_f64().unwrap();
        assert!(pair[1]["start_s"].as_f64().unwrap() >= end - 0.001, "{results:#}");
    }
}
