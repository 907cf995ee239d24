//! Loads that can't be, and what is not shown.

#[cfg(unix)]
use std::process::Command;

use super::run;
use crate::support::Serve;

#[test]
fn options_that_make_no_sense_are_refused_before_anything_is_opened() {
    for (arguments, words) in [
        (&["--scenario", "broadcast", "-c", "1"][..], &["--connections", "2 or more"][..]),
        (&["--scenario", "broadcast", "-m", "a"], &["{{stamp}}"]),
        (&["--scenario", "broadcast", "-s", "10"], &["--size", "64", "10"]),
        (&["--scenario", "idle", "-n", "5"], &["--messages", "idle"]),
        (&["--scenario", "push", "--rate", "5"], &["--rate", "push"]),
        (&["-m", "{{number}}"], &["--message", "{{number}}", "{{seq}}", "--literal"]),
        (&["--on-open", "{{x}}"], &["--on-open", "{{x}}"]),
        (&["--file", "/nowhere/at/all"], &["--file", "/nowhere/at/all"]),
        (&["--shard", "3/20"], &["--shard", "10 connections"]),
        (&["-H", "no colon"], &["--header", "colon"]),
        (&["-s", "100GiB"], &["--size", "the limit is 1 GiB"]),
        (&["-s", "99999999999999GiB"], &["--size", "the limit is 1 GiB"]),
        (&["--scenario", "broadcast", "--skip", "1"], &["--skip", "broadcast"]),
        #[cfg(target_os = "linux")]
        (&["-c", "1000000", "-i", "100000", "-m", "{{seq}}"], &["memory", "--in-flight"]),
        // Before its messages are made.
        #[cfg(target_os = "linux")]
        (&["-c", "1000000", "-s", "1GiB"], &["memory", "--size"]),
    ] {
        let ended = run(&[&["ws://127.0.0.1:1/"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "{word} is not in {ended:?}");
        }
    }
    run(&["ws://a:b:c/", "-c", "2"]).failed(2, &["URL"]);
}

#[cfg(unix)]
#[test]
fn more_connections_than_descriptors_are_refused_with_the_limit() {
    let program = env!("CARGO_BIN_EXE_towline");
    let command = format!("ulimit -n 200 && exec {program} bench ws://127.0.0.1:1/ -c 500");
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    for words in ["--connections 500", "ulimit -n", "200", "136 connections"] {
        assert!(error.contains(words), "{words} is not in {error}");
    }
}

#[test]
fn no_secret_of_a_url_is_in_the_results() {
    let server = Serve::start(&[]);
    let url = server.url().replace("ws://", "ws://deckhand:s3cret@") + "?token=s3cret";
    for options in [&["--json"][..], &[]] {
        let secret = ["--protocol", "access_token", "--protocol", "s3cret"];
        let ended = run(&[&[&url[..], "-c", "1", "-n", "1"], &secret[..], options].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(
            !ended.text().contains("s3cret") && !ended.text().contains("deckhand"),
            "{ended:?}"
        );
    }
}

#[test]
fn results_go_to_a_file_beside_the_table() {
    let path = std::env::temp_dir().join(format!("towline-bench-{}.json", std::process::id()));
    let server = Serve::start(&[]);
    let option = format!("--json={}", path.display());
    let ended = run(&[&server.url(), "-c", "1", "-n", "10", &option]);
    let results = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(ended.text().contains("10 messages"), "{ended:?}");
    let results: serde_json::Value = serde_json::from_slice(&results).unwrap();
    super::adds_up(&results);
    let ended = run(&[&server.url(), "-c", "1", "-n", "10", "--json=/nowhere/at/all"]);
    ended.failed(1, &["--json", "/nowhere/at/all"]);
    // It is tried before the run.
    assert!(ended.text().is_empty(), "{ended:?}");
}
