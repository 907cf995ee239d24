//! The report of a run: `towline bench --report FILE.html`. One page that loads nothing, for a screen, a
//! phone and paper.

pub(crate) mod markup;

pub(crate) mod axis;

pub(crate) mod plot;

pub(crate) mod series;

mod over_time;

pub(crate) mod distribution;

mod words;

pub(crate) mod tables;

pub(crate) mod frame;

use std::fmt::Write as _;

use crate::bench::report::frame::page;
use crate::bench::report::markup::escaped;
use crate::bench::report::series::Series;
use crate::bench::results::{Results, Scenario};

/// The page.
pub(crate) fn html(results: &Results) -> String {
    let series = Series::of(results);
    let mut body = String::new();
    for (title, text) in words::warnings(results) {
        let (title, text) = (escaped(title), escaped(&text));
        let _ = writeln!(body, "<p class=\"card warn\"><strong>{title}.</strong> {text}</p>");
    }
    body.push_str(&tables::tiles(results));
    let _ = writeln!(
        body,
        "<section class=\"card said\"><p>{}</p></section>",
        escaped(&words::sentences(results))
    );
    body.push_str(&over_time::plots(results, &series));
    body.push_str(&distributions(results));
    // "There were none" needs no line of its own.
    let errors = tables::errors(results);
    let (above, beside) =
        if results.errors.is_empty() { ("", errors.as_str()) } else { (&*errors, "") };
    body.push_str(above);
    body.push_str("<div class=\"pair loose\">\n");
    body.push_str(&tables::percentiles(results));
    body.push_str(beside);
    body.push_str(&tables::close_codes(results));
    body.push_str("</div>\n");
    body.push_str(&tables::options(results));
    let title = format!("Load test of {}", results.url);
    let subtitle = format!("{}, {}", words::started(results), results.program);
    page(&title, &subtitle, Some(&over_time::times(&series)), &body)
}

fn distributions(results: &Results) -> String {
    let (title, noun) = match results.load.scenario {
        Scenario::Push => ("Distribution of gaps", "gaps"),
        Scenario::Storm | Scenario::Idle => ("Distribution of handshakes", "handshakes"),
        _ => ("Distribution of latencies", "messages"),
    };
    let latencies = tables::headline(results);
    let Some(histogram) = distribution::histogram(latencies, title, noun) else {
        return String::new();
    };
    let percentiles = distribution::percentiles(latencies, noun).unwrap_or_default();
    format!("<div class=\"pair\">\n{histogram}{percentiles}</div>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample;

    #[test]
    fn a_report_has_its_figures_plots_and_options() {
        let results = sample::echo(30);
        let html = html(&results);
        for text in [
            "Load test of ws://127.0.0.1:9001/",
            "2026-03-01 12:00:00 UTC, towline 0.2.0",
            "60 connections sent messages for 30 s",
            "<h2>Throughput</h2>",
            "<h2>Latency over time</h2>",
            "<h2>Connections</h2>",
            "<h2>Distribution of latencies</h2>",
            "<h2>Latency by percentile</h2>",
            "There were none.",
            "<th>p99.99</th>",
            "closed loop: 1 message in flight on each connection",
        ] {
            assert!(html.contains(text), "{text:?} is missing");
        }
    }

    #[test]
    fn what_went_wrong_is_shown_with_its_examples() {
        let html = html(&sample::troubled(30));
        for text in [
            "The generator may have been the bottleneck.",
            "The generator used 97 % of 2 processor cores.",
            "The server does not echo.",
            "<b>http_503</b><span>3, 1.2 %</span>",
            "please come back later&quot;",
            "1011 (",
            "249 lost",
            "asked for",
            "Sent late by the generator",
            "4,211, by 48.0 ms at most",
        ] {
            assert!(html.contains(text), "{text:?} is missing");
        }
    }

    #[test]
    fn what_came_before_the_measured_time_is_no_silence() {
        let mut results = sample::silent();
        results.totals.messages_sent = 0;
        (results.totals.sent_before, results.totals.received_before) = (500, 499);
        results.totals.mismatched = 1;
        let failures = crate::bench::results::Failures { count: 4, example: String::new() };
        results.errors.insert("mismatch".to_owned(), failures);
        let html = html(&results);
        for text in [
            "<strong>No message was received in the measured time.</strong> Measured: 10 s, in which 0 \
             messages were sent. Before the measured time, 500 messages were sent and 499 received.",
            "1 differ from their message; 4 in the whole run.",
            "of 1 kind, in the whole run",
            "<dt>Before the measured time</dt><dd>500 sent, 499 received</dd>",
        ] {
            assert!(html.contains(text), "{text:?} is missing");
        }
    }

    #[test]
    fn texts_of_the_server_are_never_markup() {
        let html = html(&sample::hostile());
        assert_eq!(html.matches("<script").count(), 1);
        for markup in ["<img", "alert(1)</script", "\u{202e}", "\u{1b}", "&amp;amp;amp;", "\"'>"] {
            assert!(!html.contains(markup), "{markup:?}");
        }
        assert!(html.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count() >= 7);
        // The policy names the script that is there, by its hash, and allows no other.
        assert!(html.contains("script-src 'sha256-") && html.contains("default-src 'none'"));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let html = html(&sample::troubled(10));
        for source in ["http://", "https://", "src=", "href=", "url(", "@import", "fetch("] {
            assert!(!html.contains(source), "{source}");
        }
    }

    #[test]
    fn a_run_with_little_or_nothing_has_a_report_without_nan() {
        for results in [
            sample::silent(),
            sample::empty(),
            sample::echo(0),
            sample::echo(1),
            sample::storm(),
            sample::idle(),
            one_interval(),
        ] {
            let html = html(&results);
            let scenario = results.load.scenario;
            // The script has neither word.
            for word in ["NaN", "inf\"", "inf ", "inf%", ">inf"] {
                assert!(!html.contains(word), "{word} in the report of {scenario:?}");
            }
            assert!(html.ends_with("</html>\n"));
        }
        assert!(html(&sample::silent()).contains("No message was received."));
        assert!(html(&sample::empty()).contains("None of 60 connections could be opened."));
    }

    fn one_interval() -> Results {
        let mut results = sample::echo(1);
        let measured = results.intervals[3].clone();
        results.intervals = vec![crate::bench::results::Interval { start_s: 0.0, ..measured }];
        results
    }

    #[test]
    fn the_names_of_equal_latencies_stand_in_their_order() {
        let mut results = sample::echo(5);
        for interval in &mut results.intervals {
            (interval.p50_ns, interval.p90_ns) = (interval.max_ns, interval.max_ns);
            interval.p99_ns = interval.max_ns;
        }
        let html = html(&results);
        let (_, plot) = html.split_once("<h2>Latency over time</h2>").unwrap();
        let names = plot.split("<b class=\"end ").skip(1).take(4).map(|part| &part[..3]);
        // From the top, which is how `apart` places them.
        assert_eq!(names.collect::<Vec<_>>(), ["max", "p99", "p90", "p50"]);
    }

    #[test]
    fn a_single_interval_is_a_line() {
        let html = html(&one_interval());
        assert!(html.contains("<path class=\"line one\" d=\"M0 "), "{html}");
    }

    #[test]
    fn each_scenario_has_the_plots_that_say_something() {
        let titles = |results: &Results| -> Vec<String> {
            let html = html(results);
            let parts = html.split("<figcaption><h2>").skip(1);
            parts.filter_map(|part| Some(part.split_once("</h2>")?.0.to_owned())).collect()
        };
        let storm = ["Handshakes", "Latency over time", "Distribution of handshakes"];
        assert_eq!(titles(&sample::storm())[..3], storm);
        assert_eq!(titles(&sample::idle())[..2], ["Connections", "Distribution of handshakes"]);
        assert_eq!(titles(&sample::silent()), ["Throughput", "Connections"]);
        let mut failing = sample::echo(10);
        failing.intervals[5].errors = 3;
        assert!(titles(&failing).contains(&"Errors over time".to_owned()));
    }

    #[test]
    fn the_script_finds_a_time_and_a_value_for_each_column() {
        let results = sample::troubled(3600);
        let html = html(&results);
        let list = |name: &str| -> Vec<serde_json::Value> {
            let attribute = format!(" {name}=\"");
            let parts = html.split(&attribute).skip(1);
            let text = parts.map(|part| part.split('"').next().unwrap().replace("&quot;", "\""));
            text.map(|text| serde_json::from_str(&text).unwrap()).collect()
        };
        let columns = Series::of(&results).columns.len();
        let times = &list("data-times")[0];
        assert_eq!(times[0].as_array().unwrap().len(), columns);
        assert_eq!(times[1].as_array().unwrap().len(), columns);
        let plots = list("data-values");
        assert_eq!(plots.len(), 3);
        for line in plots.iter().flat_map(|plot| plot.as_array().unwrap()) {
            assert_eq!(line[2].as_array().unwrap().len(), columns, "{}", line[0]);
        }
    }

    #[test]
    fn the_report_of_an_hour_is_small() {
        let size = html(&sample::troubled(3600)).len();
        assert!(size < 200_000, "{size}");
    }

    #[test]
    fn figures_of_a_file_can_be_anything() {
        let mut results = sample::troubled(5);
        results.totals.messages_sent = u64::MAX;
        results.totals.failed = u64::MAX;
        results.load.connections = u64::MAX;
        results.measured_s = 1e-300;
        results.generator.machine_percent = Some(-1e300);
        results.generator.measured_cpu_s = Some(f64::MAX);
        results.latencies.stddev_ns = f64::MAX;
        results.latencies.histogram = vec![(0, u64::MAX), (u64::MAX, u64::MAX)];
        for interval in &mut results.intervals {
            (interval.messages_sent, interval.max_ns, interval.length_s) =
                (u64::MAX, u64::MAX, 1e-300);
        }
        assert!(!html(&results).contains("NaN"));
    }
}
