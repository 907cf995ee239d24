//! `towline check` on a server that is right and far away, and what it counts.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::check::{lines, word};
use crate::flawed::{Flaw, server};
use crate::support::{Program, accept_head, read_head};

/// The way to a server: all bytes take this long. Returns its URL, and how many clients came.
fn far(url: &str, delay: Duration) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let there = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            let (client, server) = (client.unwrap(), TcpStream::connect(&there).unwrap());
            carry(client.try_clone().unwrap(), server.try_clone().unwrap(), delay);
            carry(server, client, delay);
        }
    });
    (format!("ws://{address}/"), count)
}

/// Carries bytes one way. The end takes as long as they do.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (put, taken) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut chunk = [0; 16 << 10];
        loop {
            let count = from.read(&mut chunk).unwrap_or_default();
            let _ = put.send((Instant::now() + delay, chunk[..count].to_vec()));
            if count == 0 {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (when, bytes) in taken {
            thread::sleep(when.saturating_duration_since(Instant::now()));
            if bytes.is_empty() || to.write_all(&bytes).is_err() {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
        }
    });
}

fn report(arguments: &[&str]) -> Value {
    let fixed = ["check", "--json", "--max-size=4KiB", "--step-timeout=20s"];
    let ended = Program::start(&[&fixed, arguments].concat()).end();
    serde_json::from_str(ended.text()).unwrap_or_else(|_| panic!("{ended:?}"))
}

/// Wherever the deadline cuts a wait short, that is not held against the server.
#[test]
fn a_right_server_that_is_far_away_has_no_fault_at_any_timeout() {
    let url = server(Flaw::None);
    let (url, _) = far(&url, Duration::from_millis(150));
    let examining = (1..=24).map(|tenths: u64| {
        let (url, time) = (url.clone(), format!("{}ms", 100 * tenths));
        thread::spawn(move || (report(&[&url, "--timeout", &time]), time))
    });
    for examining in examining.collect::<Vec<_>>() {
        let (report, time) = examining.join().unwrap();
        for at in lines(&report) {
            let level = word(at, "level");
            assert!(!["fault", "warning"].contains(&level), "{time}: {at} in {report:#}");
        }
        assert_eq!(word(&report, "verdict"), "incomplete", "{time}: {report:#}");
        assert_eq!(report["exit"], 124, "{time}: {report:#}");
    }
}

#[test]
fn all_connections_are_counted() {
    let (url, count) = far(&server(Flaw::None), Duration::ZERO);
    let report = report(&[&url]);
    assert_eq!(report["connections"], count.load(Ordering::Relaxed), "{report:#}");
    assert_eq!(word(&report, "verdict"), "fine", "{report:#}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_checks_and_leaves_what_was_found() {
    let url = server(Flaw::SaysNothing);
    let mut program = Program::start(&["check", "--step-timeout=50s", &url]);
    // Then it waits for the answer.
    program.wait_for(|line| line == "Handshake");
    program.signal("INT");
    let ended = program.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let verdict = ended.text().lines().last().unwrap();
    assert!(verdict.starts_with("interrupted: 0 faults, 0 warnings, 1 note, 2 ok"), "{ended:?}");
}

/// Neither does the library restore them after a redirect back.
#[test]
fn credentials_for_the_first_server_are_not_sent_after_a_detour() {
    let redirect = |to: String| {
        let line = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0";
        format!("{line}\r\nLocation: {to}\r\n\r\n").into_bytes()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    let there = crate::support::peer(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(&redirect(format!("ws://{here}/end"))).unwrap();
    });
    let (tell, heads) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell, there) = (stream.unwrap(), tell.clone(), there.clone());
            thread::spawn(move || {
                // A client that only dials sends nothing.
                if stream.peek(&mut [0]).unwrap_or_default() == 0 {
                    return;
                }
                let head = read_head(&mut stream);
                let text = String::from_utf8(head.clone()).unwrap();
                let (is_end, is_plain) = (text.contains("/end"), !text.contains("Upgrade"));
                tell.send(text).unwrap();
                match (is_end, is_plain) {
                    (true, true) => drop(stream),
                    (true, false) => accept_head(&mut stream, &head),
                    (false, _) => stream.write_all(&redirect(there)).unwrap(),
                }
            });
        }
    });
    let url = format!("ws://{here}/");
    let header = ["-H", "Authorization: Bearer s3cret"];
    let report = report(&[&[&*url, "--follow-redirects", "3"], &header[..]].concat());
    assert_eq!(word(&report, "url"), format!("{url}end"), "{report:#}");
    let heads: Vec<String> = heads.try_iter().collect();
    let (first, rest) = heads.split_first().unwrap();
    assert!(first.contains("s3cret") && rest.len() > 2, "{heads:?}");
    for head in rest {
        assert!(!head.contains("s3cret"), "{head}");
    }
}
