//! Closed and open loops, and loads that several processes share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::servers::server;
use super::{bench, longer_than, number};

/// An echo that stands still for a second after so many messages.
fn stalling(messages: usize) -> String {
    let (count, end) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
    server(move |mut connection| {
        let (count, end) = (count.clone(), end.clone());
        async move {
            while let Ok(Some(message)) = connection.recv().await {
                if count.fetch_add(1, Ordering::SeqCst) == messages {
                    *end.lock().unwrap() = Some(Instant::now() + Duration::from_secs(1));
                }
                let until = *end.lock().unwrap();
                if let Some(until) = until {
                    tokio::time::sleep_until(until.into()).await;
                }
                let _ = connection.send(message).await;
            }
        }
    })
}

const LONG: Duration = Duration::from_millis(700);

#[test]
fn an_open_loop_counts_from_when_a_message_was_due() {
    let results = bench(0, &[&stalling(100), "-c", "4", "--rate", "200/s", "-n", "400"]);
    // 200 messages are due in the second, and those of its first 300 ms wait for more than 700 ms.
    let late = longer_than(&results["latencies"], LONG);
    assert!(late >= 40, "{late} are late in {results:#}");
    assert_eq!(number(&results["totals"]["messages_sent"]), 400, "{results:#}");
    assert_eq!(results["load"]["pacing"]["loop"], "open");
}

#[test]
fn a_closed_loop_waits_with_the_server() {
    let results = bench(0, &[&stalling(5000), "-c", "4", "-n", "8000"]);
    let late = longer_than(&results["latencies"], LONG);
    // However busy the machine is: no connection has time for many.
    let seconds = results["elapsed_s"].as_f64().unwrap();
    let possible = 4.0 * (seconds / LONG.as_secs_f64() + 1.0);
    assert!(late >= 1 && late as f64 <= possible, "{late} are late in {results:#}");
    assert_eq!(results["load"]["pacing"]["loop"], "closed");
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let url = server(|mut connection| async move {
        while let Ok(Some(message)) = connection.recv().await {
            let _ = connection.send(message).await;
        }
    });
    let results = bench(0, &[&url, "-c", "3", "--rate", "1k", "-n", "500"]);
    assert_eq!(number(&results["totals"]["messages_sent"]), 500, "{results:#}");
    // The last is due then, and a busy machine sends it later.
    assert!(results["measured_s"].as_f64().unwrap() > 0.4, "{results:#}");
}

/// The server counts: no message is sent that the results do not have.
#[test]
fn a_number_of_messages_is_sent_and_no_more() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let url = server(move |mut connection| {
        let count = count.clone();
        async move {
            // A greeting begins no loop.
            let _ = connection.send("welcome").await;
            while let Ok(Some(message)) = connection.recv().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = connection.send(message).await;
            }
        }
    });
    for options in [
        &["-c", "10", "-n", "100"][..],
        &["-c", "5", "-n", "403", "-i", "4"],
        &["-c", "5", "-n", "3"],
        &["-c", "20", "-n", "200", "--ramp", "200ms"],
        &["-c", "4", "-n", "50", "--rate", "1000"],
        &["-c", "4", "-n", "50", "-i", "2", "--warm-up", "50ms"],
    ] {
        let results = bench(0, &[&[&*url, "--skip", "1"], options].concat());
        let totals = &results["totals"];
        let asked = number(&results["load"]["messages"]);
        assert_eq!(number(&totals["messages_sent"]), asked, "{results:#}");
        assert_eq!(number(&totals["messages_received"]), asked, "{results:#}");
        let before = number(&totals["sent_before"]);
        assert_eq!(before > 0, options.contains(&"--warm-up"), "{results:#}");
        let all = u64::try_from(seen.swap(0, Ordering::SeqCst)).unwrap();
        assert_eq!(all, asked + before, "{options:?}");
    }
}

#[test]
fn a_number_of_handshakes_is_made_and_no_more() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let url = server(move |mut connection| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { while let Ok(Some(_)) = connection.recv().await {} }
    });
    for pacing in [&[][..], &["--rate", "400"]] {
        let options = [&*url, "--scenario", "storm", "-c", "4", "-n", "50"];
        let results = bench(0, &[&options[..], pacing].concat());
        assert_eq!(number(&results["totals"]["opened"]), 50, "{results:#}");
        assert_eq!(seen.swap(0, Ordering::SeqCst), 50, "{pacing:?}");
    }
}

#[test]
fn shards_add_up_to_the_whole() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let kept = seen.clone();
    let url = server(move |mut connection| {
        let kept = kept.clone();
        async move {
            while let Ok(Some(message)) = connection.recv().await {
                kept.lock().unwrap().insert(message.as_text().unwrap().to_owned());
                let _ = connection.send(message).await;
            }
        }
    });
    let mut sums = [0; 4];
    for shard in ["1/3", "2/3", "3/3"] {
        let arguments = ["-c", "10", "-n", "100", "-m", "{{connection}}", "--shard", shard];
        let results = bench(0, &[&[&url[..]], &arguments[..]].concat());
        let totals = &results["totals"];
        let counts = [&totals["opened"], &results["load"]["connections"], &totals["messages_sent"]];
        for (sum, count) in sums.iter_mut().zip(counts.map(number)) {
            *sum += count;
        }
        sums[3] += number(&results["latencies"]["count"]);
        assert_eq!(results["shard"]["count"], 3);
    }
    assert_eq!(sums, [10, 10, 100, 100]);
    // A fast connection can leave nothing to the others of its shard, but the shards have different ones.
    let numbers: BTreeSet<String> = (0..10).map(|number| number.to_string()).collect();
    let seen = seen.lock().unwrap();
    assert!(seen.is_subset(&numbers) && seen.len() >= 3, "{seen:?}");
}

#[test]
fn a_rate_is_shared_by_the_connections_of_each_shard() {
    let url =
        server(|mut connection| async move { while let Ok(Some(_)) = connection.recv().await {} });
    let mut rates = 0.0;
    for shard in ["1/2", "2/2"] {
        let arguments =
            ["-c", "3", "--rate", "30", "-d", "50ms", "--drain", "0s", "--shard", shard];
        let ended = super::run(&[&[&url[..], "--json"], &arguments[..]].concat());
        let results: serde_json::Value = serde_json::from_str(ended.text()).unwrap();
        rates += results["load"]["pacing"]["messages_per_s"].as_f64().unwrap();
    }
    assert!((rates - 30.0).abs() < 1e-9, "{rates}");
}
