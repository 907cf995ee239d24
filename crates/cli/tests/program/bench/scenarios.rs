//! Each scenario with a server that does well.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::servers::server;
use super::{bench, counted, number, run};
use crate::support::Serve;

#[test]
fn an_echo_is_measured_and_adds_up() {
    let server = Serve::start(&[]);
    let results =
        bench(0, &[&server.url(), "-c", "8", "-n", "2000", "-i", "4", "--binary", "-s", "1KiB"]);
    let totals = &results["totals"];
    assert_eq!((number(&totals["opened"]), number(&totals["messages_received"])), (8, 2000));
    assert_eq!(number(&totals["bytes_sent"]), 2000 << 10);
    assert_eq!(number(&results["handshakes"]["count"]), 8);
    assert_eq!(number(&results["latencies"]["count"]), 2000);
    let percentiles = results["latencies"]["percentiles"].as_array().unwrap();
    let values: Vec<_> = percentiles.iter().map(|entry| number(&entry["ns"])).collect();
    assert!(values.len() == 7 && values.is_sorted() && values[0] > 0, "{values:?}");
    let load = &results["load"];
    assert_eq!((&load["scenario"], &load["payload"]["kind"]), (&"echo".into(), &"binary".into()));
    assert_eq!(
        (number(&load["payload"]["bytes"]), number(&load["pacing"]["in_flight"])),
        (1024, 4)
    );
    assert_eq!(results["interrupted"], false);
}

#[test]
fn a_table_says_the_same_to_people() {
    let server = Serve::start(&[]);
    let ended = run(&[&server.url(), "-c", "3", "-n", "600", "--compress", "--protocol", "chat"]);
    let text = ended.text();
    assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""), "{text}");
    for words in [
        "echo on ws://127.0.0.1",
        "3 connections, closed loop with 1 in flight, text of 64 B",
        "3 opened, 0 failed, 0 lost",
        "600 messages",
        "p99.99",
        "latency",
        "handshake",
        "generator",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
}

#[test]
fn compression_is_used_where_the_server_agrees() {
    let server = Serve::start(&["--compress"]);
    let results = bench(0, &[&server.url(), "-c", "3", "-n", "30", "--compress=9", "-s", "4KiB"]);
    assert_eq!(number(&results["totals"]["compressed"]), 3);
    let server = Serve::start(&[]);
    let results = bench(0, &[&server.url(), "-c", "3", "-n", "30", "--compress"]);
    assert_eq!(number(&results["totals"]["compressed"]), 0);
}

/// Several of them, so that each message meets its own answer.
#[test]
fn messages_differ_by_their_counters() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let url = server(move |mut connection| {
        let kept = kept.clone();
        async move {
            while let Ok(Some(message)) = connection.recv().await {
                kept.lock().unwrap().push(message.as_text().unwrap().to_owned());
                let _ = connection.send(message).await;
            }
        }
    });
    let template = "{{connection}}/{{seq}}/{{id}}";
    let results =
        bench(0, &[&url, "-c", "5", "-n", "100", "-i", "3", "-m", template, "-m", "plain"]);
    assert_eq!(results["load"]["payload"]["source"], "template");
    let seen = seen.lock().unwrap();
    let own: Vec<_> = seen.iter().filter(|text| *text != "plain").cloned().collect();
    assert_eq!(own.len(), own.iter().collect::<BTreeSet<_>>().len());
    let ids: BTreeSet<u64> =
        own.iter().map(|text| text.rsplit('/').next().unwrap().parse().unwrap()).collect();
    assert_eq!(ids.len(), own.len());
    assert!(own.len() < seen.len());
}

#[test]
fn lines_of_a_file_are_sent_in_turn() {
    let path = std::env::temp_dir().join(format!("towline-bench-{}.txt", std::process::id()));
    std::fs::write(&path, "one\n{{seq}}\nthree three\n").unwrap();
    let server = Serve::start(&[]);
    let file = path.to_str().unwrap();
    let results = bench(0, &[&server.url(), "-c", "1", "-n", "30", "--file", file, "--literal"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(number(&results["totals"]["bytes_sent"]), 10 * (3 + 7 + 11));
    assert_eq!(results["load"]["payload"]["source"], "file");
}

#[test]
fn what_the_server_sends_by_itself_is_counted_with_its_gaps() {
    let url = server(|mut connection| async move {
        // It sends once it has been asked to.
        assert_eq!(connection.recv().await.unwrap().unwrap().as_text(), Some("subscribe 0"));
        while connection.send("tick tock").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let arguments =
        ["-c", "1", "--scenario", "push", "-n", "50", "--on-open", "subscribe {{connection}}"];
    let results = bench(0, &[&[&url[..]], &arguments[..]].concat());
    let totals = &results["totals"];
    assert_eq!((number(&totals["messages_sent"]), number(&totals["messages_received"])), (0, 50));
    assert_eq!(number(&totals["bytes_received"]), 50 * 9);
    assert!(counted(&results["latencies"]) >= 49, "{results:#}");
}

#[test]
fn a_broadcast_reaches_all_others() {
    let server = Serve::start(&["--mode", "topics"]);
    let protocol = ["--protocol", "towline.topics.v1", "--scenario", "broadcast"];
    let messages =
        ["--on-open", r#"{"subscribe":"a"}"#, "-m", r#"{"publish":"a","data":"{{stamp}}"}"#];
    for pacing in [&["-i", "4"][..], &["--rate", "500"]] {
        let arguments =
            [&[&server.url()[..]], &protocol[..], &messages, pacing, &["-c", "5", "-n", "40"]];
        let results = bench(0, &arguments.concat());
        let totals = &results["totals"];
        assert_eq!(number(&totals["messages_sent"]), 40, "{results:#}");
        assert_eq!(number(&totals["messages_received"]), 160, "{results:#}");
        assert_eq!(number(&results["latencies"]["count"]), 160, "{results:#}");
    }
}

#[test]
fn a_storm_measures_handshakes() {
    let server = Serve::start(&[]);
    for pacing in [&[][..], &["--rate", "400"]] {
        let arguments = ["-c", "4", "--scenario", "storm", "-n", "100"];
        let results = bench(0, &[&[&server.url()[..]], &arguments[..], pacing].concat());
        assert_eq!(number(&results["totals"]["opened"]), 100, "{results:#}");
        assert_eq!(number(&results["handshakes"]["count"]), 100, "{results:#}");
        assert_eq!(number(&results["totals"]["lost"]), 0, "{results:#}");
    }
}

#[test]
fn idle_connections_are_held() {
    let server = Serve::start(&[]);
    let results = bench(
        0,
        &[&server.url(), "-c", "30", "--scenario", "idle", "-d", "300ms", "--ramp", "200ms"],
    );
    assert_eq!(number(&results["totals"]["opened"]), 30);
    let intervals = results["intervals"].as_array().unwrap();
    let measured = intervals.iter().find(|interval| interval["phase"] == "measured").unwrap();
    assert_eq!(number(&measured["connections"]), 30);
}

#[test]
fn tls_and_a_warm_up_go_with_it() {
    let server = Serve::start_secure(&["--tls-self-signed"]);
    let arguments = ["--insecure", "-q", "-c", "3", "-n", "30", "--warm-up", "100ms"];
    let results = bench(0, &[&[&server.secure_url()[..]], &arguments[..]].concat());
    assert_eq!(number(&results["totals"]["messages_received"]), 30);
    let intervals = results["intervals"].as_array().unwrap();
    let warm = intervals.iter().find(|interval| interval["phase"] == "warm-up").unwrap();
    assert!(number(&warm["messages_sent"]) > 0, "{results:#}");
}
