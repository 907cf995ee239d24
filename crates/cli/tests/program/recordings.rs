//! `towline connect --record` and `--replay`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::certificates::file;
use crate::support::{Program, Serve, accept, peer, read_to_end};

/// The lines of a recording.
fn lines(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A recording of these lines.
fn recording(name: &str, lines: &[&str]) -> String {
    file(name, &format!("{}\n", lines.join("\n")))
}

#[test]
fn a_recording_has_both_sides_and_the_times() {
    let url = peer(|mut stream| {
        accept(&mut stream);
        let mut byte = [0; 8];
        std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
        stream.write_all(b"\x81\x02ok\x82\x02\x00\xff\x89\x02hi\x88\x06\x03\xe8done").unwrap();
        read_to_end(stream);
    });
    let path = file("both.jsonl", "");
    let with_token = format!("{url}?token=s3cret");
    let arguments = [&with_token, "--wait", "forever", "--record", &path];
    let ended = Program::connect(&arguments).feed(b"a\n\n".to_vec());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = lines(&path);
    // Recordings are given to others.
    let shown = format!("{url}?(hidden)");
    assert_eq!((&lines[0]["kind"], &lines[0]["url"]), (&"open".into(), &shown.into()));
    assert_eq!((&lines[0]["at"], &lines[0]["extensions"]), (&0.0.into(), &Value::Array(vec![])));
    let all: Vec<_> = lines[1..]
        .iter()
        .map(|line| {
            let text = ["from", "kind", "text", "base64", "code", "reason"].map(|name| {
                line[name].as_str().map_or_else(|| line[name].to_string(), str::to_owned)
            });
            text.join(" ").replace("null", "").trim_end().to_owned()
        })
        .collect();
    for expected in ["client text a", "client text", "server text ok", "server binary  AP8="] {
        assert!(all.iter().any(|line| line == expected), "{expected}: {all:?}");
    }
    assert_eq!(all.last().unwrap(), "server close   1000 done");
    let times: Vec<_> = lines.iter().map(|line| line["at"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && *times.last().unwrap() < 60.0, "{times:?}");
}

#[test]
fn what_was_recorded_can_be_replayed_and_compared() {
    let server = Serve::start(&[]);
    let path = file("echo.jsonl", "");
    let init = file("first.txt", "first\n\n/hex 00 ff\n");
    let input = b"one\n{\"a\":1}\n".to_vec();
    let arguments = [&server.url(), "--record", &path, "--init", &init, "--wait", "4"];
    let recorded = Program::connect(&arguments).feed(input);
    assert_eq!((recorded.code, &recorded.stderr[..]), (Some(0), ""));
    assert_eq!(recorded.stdout, b"first\n\0\xff\none\n{\"a\":1}\n");

    // Another recording is made at the same time.
    let again = file("again.jsonl", "");
    let arguments =
        [&server.url(), "--replay", &path, "--speed=max", "--compare", "--record", &again];
    let replayed = Program::connect(&arguments).end();
    assert_eq!((replayed.code, &replayed.stdout), (Some(0), &recorded.stdout), "{replayed:?}");
    let word = "the server's messages are those of the recording: 4\n";
    assert!(replayed.stderr.ends_with(word), "{replayed:?}");
    let kinds = |path| {
        let mut kinds: Vec<_> = lines(path).iter().map(|line| line["kind"].to_string()).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&path), kinds(&again));
}

#[test]
fn what_differs_is_shown_and_is_code_1() {
    let server = Serve::start(&[]);
    let path = recording(
        "other.jsonl",
        &[
            r#"{"at":0,"kind":"text","from":"client","text":"same"}"#,
            r#"{"at":0,"kind":"text","from":"client","text":"{\"a\": 1}"}"#,
            r#"{"at":0,"kind":"text","from":"client","text":"new"}"#,
            r#"{"at":1,"kind":"text","from":"server","text":"same"}"#,
            r#"{"at":1,"kind":"text","from":"server","text":"{\"a\":1}"}"#,
            r#"{"at":1,"kind":"text","from":"server","text":"old"}"#,
            r#"{"at":1,"kind":"binary","from":"server","base64":"AA=="}"#,
        ],
    );
    let arguments = [&server.url(), "--replay", &path, "--speed=max", "--compare"];
    let idle = ["--until-idle", "300ms"];
    let ended = Program::connect(&[&arguments[..], &idle].concat()).end();
    assert_eq!((ended.code, ended.text()), (Some(1), "same\n{\"a\": 1}\nnew\n"), "{ended:?}");
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines[0], "message 3 is different in the recording: old");
    assert_eq!(lines[1], "error: 1 of 4 messages differ, and 1 are missing (--compare)");
    assert_eq!(lines.len(), 2, "{ended:?}");

    let ended = Program::connect(&[&arguments[..], &idle, &["--json"]].concat()).end();
    let difference = r#"{"event":"difference","number":3,"text":"old"}"#;
    assert!(ended.text().lines().any(|line| line == difference), "{ended:?}");
}

#[test]
fn a_replay_waits_as_long_as_the_client_did() {
    let server = Serve::start(&[]);
    let path = recording(
        "slow.jsonl",
        &[
            r#"{"at":0.6,"kind":"text","from":"client","text":"late"}"#,
            r#"{"at":0.7,"kind":"text","from":"server","text":"late"}"#,
        ],
    );
    for (speed, least) in [("1", 600), ("2", 300)] {
        let start = Instant::now();
        let arguments = [&server.url(), "--replay", &path, "--speed", speed, "--compare"];
        let ended = Program::connect(&arguments).end();
        assert_eq!((ended.code, ended.text()), (Some(0), "late\n"), "{ended:?}");
        assert!(start.elapsed() >= Duration::from_millis(least), "{speed}");
    }
}

#[test]
fn a_file_that_can_not_be_used_is_code_2() {
    let server = Serve::start(&[]);
    let url = server.url();
    let wrong = recording("wrong.jsonl", &["{}"]);
    Program::connect(&[&url, "--replay", &wrong]).end().failed(2, &["--replay", "line 1"]);
    Program::connect(&[&url, "--replay", "/nowhere"]).end().failed(2, &["--replay", "/nowhere"]);
    let empty = file("empty.jsonl", "");
    let ended = Program::connect(&[&url, "--replay", &empty, "--compare"]).end();
    ended.failed(2, &["--compare", "is empty"]);
    Program::connect(&[&url, "--record", "/nowhere/a"]).end().failed(2, &["--record", "/nowhere"]);
    let wrong = file("wrong.txt", "a\n/ping\n");
    Program::connect(&[&url, "--init", &wrong]).end().failed(2, &["--init", "line 2"]);
    for options in [&["--speed", "2"][..], &["--compare"], &["--replay", "a", "--speed", "0"]] {
        let ended = Program::connect(&[&[&url[..]], options].concat()).end();
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let server = Serve::start(&[]);
    let arguments = [&server.url(), "--record", "/dev/full", "-m", "a", "--wait", "1"];
    let ended = Program::connect(&arguments).end();
    assert_eq!((ended.code, ended.text()), (Some(1), "a\n"), "{ended:?}");
    assert!(ended.stderr.starts_with("error: --record: can't write"), "{ended:?}");
}

#[test]
fn a_recording_is_not_lost() {
    let line = r#"{"at":0,"kind":"text","from":"client","text":"a"}"#;
    let path = recording("kept.jsonl", &[line]);
    let kept = || assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{line}\n"));
    let server = Serve::start(&[]);
    // The same file by other names.
    let (directory, name) = path.rsplit_once('/').unwrap();
    let mut names = vec![path.clone(), format!("{directory}/./{name}")];
    if cfg!(unix) {
        let links = tempfile_names(directory);
        let _ = links.iter().map(std::fs::remove_file).count();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&path, &links[0]).unwrap();
        std::fs::hard_link(&path, &links[1]).unwrap();
        names.extend(links);
    }
    for name in &names {
        let ended = Program::connect(&[&server.url(), "--replay", &path, "--record", name]).end();
        ended.failed(2, &["--record", name, "overwrite", "--replay"]);
        kept();
    }
    let ended = Program::connect(&[&server.url(), "--init", &path, "--record", &path]).end();
    ended.failed(2, &["--init"]);
    kept();
    // Without a connection there is nothing to record.
    let ended = Program::connect(&["ws://127.0.0.1:1", "--record", &path]).end();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    kept();
    let ended = Program::connect(&[&server.url(), "--record", &path]).end();
    assert_eq!((ended.code, &lines(&path)[0]["kind"]), (Some(0), &"open".into()));
    assert_eq!(lines(&path).last().unwrap()["kind"], "close");
}

/// Names for links to a file.
fn tempfile_names(directory: &str) -> [String; 2] {
    ["soft", "hard"].map(|kind| format!("{directory}/{kind}-{}.jsonl", std::process::id()))
}
