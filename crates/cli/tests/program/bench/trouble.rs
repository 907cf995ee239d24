//! Servers that refuse, vanish, stand still, or answer nonsense.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
#[cfg(unix)]
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use towline::CloseCode;

use super::servers::{send, server, sockets};
use super::{bench, number, run};
#[cfg(unix)]
use crate::support::Program;
use crate::support::{accept, read_head, read_to_end};

#[test]
fn a_server_that_is_not_there_is_counted() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = run(&[&format!("ws://{address}/"), "-c", "5", "--json"]);
    ended.failed(3, &["refused"]);
    let results: serde_json::Value = serde_json::from_str(ended.text()).unwrap();
    assert_eq!(number(&results["totals"]["failed"]), 5);
    assert_eq!(number(&results["errors"]["refused"]["count"]), 5, "{results:#}");
    // A storm does not become a busy loop.
    let ended = run(&[&format!("ws://{address}/"), "-c", "5", "--json", "--scenario", "storm"]);
    ended.failed(3, &["refused"]);
}

#[test]
fn a_server_that_refuses_is_counted_by_its_status() {
    let url = sockets(|mut stream| {
        read_head(&mut stream);
        send(&mut stream, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    });
    let ended = run(&[&url, "-c", "4", "--json"]);
    ended.failed(4, &["503"]);
    let results: serde_json::Value = serde_json::from_str(ended.text()).unwrap();
    assert_eq!(number(&results["errors"]["http_503"]["count"]), 4, "{results:#}");
}

#[test]
fn a_server_that_closes_half_of_its_connections_is_counted_by_the_code() {
    let count = Arc::new(AtomicUsize::new(0));
    let url = server(move |mut connection| {
        let is_odd = count.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        async move {
            if is_odd {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let _ = connection.close(CloseCode::INTERNAL_ERROR, "no room").await;
            }
            while let Ok(Some(_)) = connection.recv().await {}
        }
    });
    let results = bench(1, &[&url, "-c", "10", "--scenario", "idle", "-d", "900ms"]);
    assert_eq!(number(&results["totals"]["lost"]), 5, "{results:#}");
    assert_eq!(number(&results["close_codes"]["1011"]), 5, "{results:#}");
    let failures = &results["errors"]["closed_1011"];
    assert_eq!(number(&failures["count"]), 5, "{results:#}");
    assert!(failures["example"].as_str().unwrap().contains("no room"), "{results:#}");
}

#[test]
fn a_server_that_never_answers_does_not_hold_the_run_up() {
    let url =
        server(|mut connection| async move { while let Ok(Some(_)) = connection.recv().await {} });
    let results = bench(1, &[&url, "-c", "4", "-i", "3", "-d", "300ms", "--drain", "100ms"]);
    // All were sent before the measured phase.
    assert_eq!(number(&results["totals"]["messages_received"]), 0, "{results:#}");
    assert_eq!(number(&results["errors"]["unanswered"]["count"]), 12, "{results:#}");
    let paced = ["-c", "4", "--rate", "200", "-d", "500ms", "--drain", "100ms"];
    let results = bench(1, &[&[&url[..]], &paced[..]].concat());
    let unanswered = number(&results["totals"]["unanswered"]);
    assert!(unanswered > 0, "{results:#}");
    assert_eq!(number(&results["totals"]["messages_sent"]), unanswered, "{results:#}");
}

#[test]
fn what_came_before_the_measured_time_is_told_where_nothing_came_in_it() {
    let url = server(|mut connection| async move {
        for _ in 0..5 {
            let Ok(Some(message)) = connection.recv().await else { return };
            let _ = connection.send(message).await;
        }
    });
    let arguments = ["-c", "3", "--warm-up", "10m", "-d", "1s"];
    let results = bench(1, &[&[&*url], &arguments[..]].concat());
    let totals = &results["totals"];
    assert_eq!(number(&totals["messages_received"]), 0, "{results:#}");
    assert_eq!(number(&totals["received_before"]), 15, "{results:#}");
    assert!(number(&totals["sent_before"]) >= 15, "{results:#}");
    let ended = run(&[&[&*url], &arguments[..]].concat());
    assert!(ended.text().contains("that were measured; before, "), "{ended:?}");
    assert!(ended.text().contains(" were sent and 15 received"), "{ended:?}");
}

#[test]
fn connections_that_never_answer_are_no_success_of_the_others() {
    let count = Arc::new(AtomicUsize::new(0));
    let url = server(move |mut connection| {
        let answers = count.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            while let Ok(Some(message)) = connection.recv().await {
                if answers {
                    let _ = connection.send(message).await;
                }
            }
        }
    });
    let results = bench(1, &[&url, "-c", "4", "-d", "300ms", "--drain", "100ms"]);
    assert!(number(&results["totals"]["messages_received"]) > 0, "{results:#}");
    assert_eq!(number(&results["errors"]["unanswered"]["count"]), 3, "{results:#}");
}

#[test]
fn no_more_connections_are_being_opened_than_asked_for_by_all_threads() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let url = sockets(move |mut stream| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(30));
        now.fetch_sub(1, Ordering::SeqCst);
        accept(&mut stream);
        read_to_end(stream);
    });
    let arguments = ["-c", "8", "--connecting", "1", "--scenario", "idle", "-d", "10ms"];
    bench(0, &[&[&*url], &arguments[..], &["--close-timeout", "100ms"]].concat());
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn ids_of_on_open_are_not_those_of_other_messages() {
    let all = Arc::new(Mutex::new(Vec::new()));
    let kept = all.clone();
    let url = server(move |mut connection| {
        let kept = kept.clone();
        async move {
            while let Ok(Some(message)) = connection.recv().await {
                kept.lock().unwrap().push(message.as_text().unwrap().to_owned());
                let _ = connection.send(message).await;
            }
        }
    });
    let arguments = ["-c", "2", "-n", "20", "-m", "{{id}}", "--on-open", "{{id}}", "--skip", "1"];
    bench(0, &[&[&*url], &arguments[..]].concat());
    let mut ids = all.lock().unwrap().clone();
    let count = ids.len();
    assert_eq!(count, 22, "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "{ids:?}");
}

#[test]
fn a_rate_below_the_drain_is_no_silence() {
    let server = crate::support::Serve::start(&[]);
    let results =
        bench(0, &[&server.url(), "-c", "1", "--rate", "0.7", "-n", "3", "--drain", "0s"]);
    assert_eq!(number(&results["totals"]["messages_received"]), 3, "{results:#}");
}

#[test]
fn a_server_that_stops_pushing_leaves_the_run_incomplete() {
    let url = server(|mut connection| async move {
        for _ in 0..5 {
            let _ = connection.send("tick").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        while let Ok(Some(_)) = connection.recv().await {}
    });
    let arguments = ["-c", "1", "--scenario", "push", "-n", "1000", "--drain", "500ms"];
    let results = bench(1, &[&[&url[..]], &arguments[..]].concat());
    let incomplete = &results["errors"]["incomplete"];
    assert_eq!(number(&incomplete["count"]), 1, "{results:#}");
    let example = incomplete["example"].as_str().unwrap();
    assert!(example.contains("nothing was received for at least 1s (--drain)"), "{example}");
}

#[test]
fn a_server_that_reads_nothing_does_not_hold_the_run_up() {
    let url = sockets(|mut stream| {
        accept(&mut stream);
        std::thread::sleep(Duration::from_secs(20));
    });
    for pacing in [&["-i", "50"][..], &["--rate", "2000"]] {
        let arguments = [
            "-c",
            "2",
            "-s",
            "64KiB",
            "-d",
            "500ms",
            "--drain",
            "100ms",
            "--close-timeout",
            "200ms",
        ];
        let results = bench(1, &[&[&url[..]], &arguments[..], pacing].concat());
        assert_eq!(number(&results["totals"]["messages_received"]), 0, "{results:#}");
        assert_eq!(number(&results["totals"]["opened"]), 2, "{results:#}");
    }
}

#[test]
fn nonsense_and_a_cut_connection_are_told_apart() {
    for (bytes, kind) in [
        (&b"\xff\xff\xff\xff"[..], "peer_violation"),
        (&b"\x81\x05hel"[..], "lost"),
        (&b"\x88\x02\x03\xe9"[..], "closed_1001"),
    ] {
        let url = sockets(move |mut stream| {
            accept(&mut stream);
            std::thread::sleep(Duration::from_millis(100));
            send(&mut stream, bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            read_to_end(stream);
        });
        // It ends when all connections are lost, long before its time.
        let results = bench(1, &[&url, "-c", "3", "-d", "10m"]);
        assert_eq!(number(&results["errors"][kind]["count"]), 3, "{kind} in {results:#}");
        assert_eq!(number(&results["totals"]["lost"]), 3, "{results:#}");
        assert!(results["elapsed_s"].as_f64().unwrap() < 300.0, "{results:#}");
    }
}

#[test]
fn another_answer_than_the_message_is_an_error_unless_any_will_do() {
    let url = server(|mut connection| async move {
        connection.send("welcome").await.unwrap();
        while let Ok(Some(message)) = connection.recv().await {
            let _ = connection.send(message.as_text().unwrap().to_uppercase()).await;
        }
    });
    let arguments = ["-c", "2", "-n", "40", "-m", "ahoy", "--skip", "1"];
    let results = bench(1, &[&[&url[..]], &arguments[..]].concat());
    assert_eq!(number(&results["totals"]["mismatched"]), 40, "{results:#}");
    let example = results["errors"]["mismatch"]["example"].as_str().unwrap();
    assert!(example.contains("ahoy") && example.contains("AHOY"), "{example}");
    let results = bench(0, &[&[&url[..]], &arguments[..], &["--any-answer"]].concat());
    assert_eq!(number(&results["latencies"]["count"]), 40, "{results:#}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_run_early_and_reports() {
    let (begun, began) = mpsc::channel();
    let url = server(move |mut connection| {
        begun.send(()).unwrap();
        async move {
            while let Ok(Some(message)) = connection.recv().await {
                let _ = connection.send(message).await;
            }
        }
    });
    let program = Program::start(&["bench", &url, "-c", "2", "-d", "10m"]);
    began.recv().unwrap();
    began.recv().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    program.signal("INT");
    let ended = program.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.text().contains("ended early") && ended.text().contains("p99.9"), "{ended:?}");
}

/// Two different signals, since a second one that is pending is none.
#[cfg(unix)]
#[tokio::test]
async fn a_second_ctrl_c_waits_for_nothing_and_the_report_is_written() {
    let (begun, began) = mpsc::channel();
    // It reads nothing, answers nothing, and does not close.
    let url = sockets(move |mut stream| {
        accept(&mut stream);
        begun.send(()).unwrap();
        std::thread::sleep(Duration::from_secs(600));
    });
    let report = std::env::temp_dir().join(format!("towline-stalled-{}.html", std::process::id()));
    let path = report.to_str().unwrap();
    let patience = ["--warm-up", "10m", "--drain", "10m", "--close-timeout", "10m"];
    let arguments = [&["bench", &url, "-c", "2", "--report", path], &patience[..]].concat();
    let mut program = Program::start(&arguments);
    began.recv().unwrap();
    began.recv().unwrap();
    program.signal("INT");
    program.signal("TERM");
    // The test fails if it goes on for a minute.
    let code = program.code().await;
    let page = std::fs::read_to_string(&report).unwrap();
    std::fs::remove_file(&report).unwrap();
    assert_eq!(code, Some(130));
    assert!(page.ends_with("</html>\n"), "{page}");
    assert!(page.contains("The run was ended early"), "{page}");
    assert!(program.end().text().contains("ended early"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_ramp() {
    let (begun, began) = mpsc::channel();
    let url = server(move |mut connection| {
        let begun = begun.clone();
        async move {
            while let Ok(Some(_)) = connection.recv().await {
                begun.send(()).unwrap();
            }
        }
    });
    let program = Program::start(&["bench", &url, "-c", "1000", "--ramp", "60m", "--drain", "0s"]);
    began.recv().unwrap();
    program.signal("TERM");
    let ended = program.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.text().contains("1 opened, 0 failed"), "{ended:?}");
}

#[test]
fn a_number_of_messages_is_not_waited_for_if_no_answers_come() {
    let url = server(|mut connection| async move {
        // It answers the first ten.
        for _ in 0..10 {
            let Ok(Some(message)) = connection.recv().await else { return };
            let _ = connection.send(message).await;
        }
        while let Ok(Some(_)) = connection.recv().await {}
    });
    let results = bench(1, &[&url, "-c", "2", "-n", "1000", "--drain", "200ms"]);
    assert_eq!(number(&results["totals"]["messages_received"]), 20, "{results:#}");
    assert!(number(&results["totals"]["messages_sent"]) < 1000, "{results:#}");
}

#[test]
fn a_certificate_that_is_not_accepted_is_counted() {
    let server = crate::support::Serve::start_secure(&["--tls-self-signed"]);
    let ended = run(&[&server.secure_url(), "-c", "3", "--json"]);
    ended.failed(6, &["certificate", "--insecure"]);
    let results: serde_json::Value = serde_json::from_str(ended.text()).unwrap();
    assert_eq!(number(&results["errors"]["certificate_untrusted"]["count"]), 3, "{results:#}");
}

#[test]
fn a_server_that_does_not_answer_the_handshake_is_given_up() {
    let url = sockets(read_to_end);
    let ended = run(&[&url, "-c", "3", "--connect-timeout", "300ms", "--json"]);
    ended.failed(124, &["--connect-timeout"]);
    let results: serde_json::Value = serde_json::from_str(ended.text()).unwrap();
    assert_eq!(number(&results["errors"]["handshake_timeout"]["count"]), 3, "{results:#}");
}

#[test]
fn silence_is_told_with_what_was_waited_for_and_a_way_out() {
    let url =
        server(|mut connection| async move { while let Ok(Some(_)) = connection.recv().await {} });
    for (scenario, words) in [
        ("push", &["sends by itself", "--on-open", "--scenario echo"][..]),
        ("echo", &["none of 2 messages", "--scenario push"]),
        ("broadcast", &["--mode broadcast", "--on-open"]),
    ] {
        let arguments =
            [&url[..], "-c", "2", "--scenario", scenario, "-d", "300ms", "--drain", "100ms"];
        let results = bench(1, &arguments);
        let silent = &results["errors"]["silent"];
        let example = silent["example"].as_str().unwrap_or_else(|| panic!("{results:#}"));
        assert!(example.contains(" ms") || example.contains(" s"), "{example}");
        for word in words {
            assert!(example.contains(word), "{word} is not in {example}");
        }
    }
    // What was said before the measured phase is none of it.
    let url = server(|mut connection| async move {
        let _ = connection.send("welcome").await;
        while let Ok(Some(_)) = connection.recv().await {}
    });
    let arguments = [&url[..], "-c", "1", "--scenario", "push", "-d", "300ms", "--skip", "1"];
    let ended = run(&arguments);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text().contains("1 message (--skip) did not count"), "{ended:?}");
}

#[test]
fn a_rate_that_is_due_after_the_end_is_told() {
    let server = crate::support::Serve::start(&[]);
    let arguments = ["-c", "1", "--rate", "0.1", "--warm-up", "300ms", "-d", "300ms"];
    let results = bench(1, &[&[&server.url()[..]], &arguments[..]].concat());
    let example = results["errors"]["nothing_sent"]["example"].as_str().unwrap();
    assert!(example.contains("--duration") && example.contains("--rate above 0.1/s"), "{example}");
}
