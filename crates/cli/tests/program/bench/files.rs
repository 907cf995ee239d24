//! What is made of results: reports, comparisons, and the sum of shards.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use towline::CloseCode;

use super::servers::server;
use super::{bench, counted, number, run};
use crate::support::Serve;

/// A directory that ends with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("towline-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// Runs a load and keeps its results under this name.
    fn bench(&self, name: &str, arguments: &[&str]) -> Value {
        let option = format!("--json={}", self.file(name));
        let ended = run(&[arguments, &[&option]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        self.results(name)
    }

    fn results(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_report_is_one_page_that_loads_nothing() {
    let directory = Directory::new("report");
    let server = Serve::start(&[]);
    let path = directory.file("report.html");
    let ended = run(&[&server.url(), "-c", "2", "-n", "200", "--report", &path]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // The table is there as well.
    assert!(ended.text().contains("200 messages"), "{ended:?}");
    let page = directory.read("report.html");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("200 of 200 messages were answered."), "{page}");
    for source in ["http://", "https://", "src=", "href=", "url("] {
        assert!(!page.contains(source), "{source}");
    }
}

#[test]
fn a_run_that_failed_has_a_report_too_and_it_is_no_markup_of_the_server() {
    let directory = Directory::new("failed");
    let url = server(|mut connection| async move {
        let reason = "<script>alert(1)</script>";
        let _ = connection.close(CloseCode::new(4000), reason).await;
    });
    let path = directory.file("report.html");
    let ended = run(&[&url, "-c", "2", "-n", "10", "--report", &path]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let page = directory.read("report.html");
    assert!(page.contains("closed_4000"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
}

#[test]
fn a_report_that_cant_be_written_is_an_error_before_the_run() {
    let server = Serve::start(&[]);
    let ended = run(&[&server.url(), "-c", "1", "-n", "1", "--report", "/nowhere/at/all.html"]);
    assert!(ended.text().is_empty(), "{ended:?}");
    ended.failed(1, &["--report", "/nowhere/at/all.html"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_neither_the_table_nor_the_other_file() {
    let directory = Directory::new("full");
    let server = Serve::start(&[]);
    let report = directory.file("report.html");
    let files = ["--json=/dev/full", "--report", &report];
    let ended = run(&[&[&*server.url(), "-c", "1", "-n", "10"], &files[..]].concat());
    assert!(ended.text().contains("10 messages"), "{ended:?}");
    assert!(directory.read("report.html").ends_with("</html>\n"));
    ended.failed(1, &["--json", "/dev/full"]);
}

#[test]
fn a_file_has_its_old_contents_until_there_are_new_ones() {
    let directory = Directory::new("old");
    fs::write(directory.file("a.json"), "x".repeat(1 << 20)).unwrap();
    let option = format!("--json={}", directory.file("a.json"));
    assert_eq!(
        run(&["ws://127.0.0.1:1/", "--scenario", "push", "--rate", "5", &option]).code,
        Some(2)
    );
    assert_eq!(directory.read("a.json").len(), 1 << 20);
    let server = Serve::start(&[]);
    directory.bench("a.json", &[&server.url(), "-c", "1", "-n", "1"]);
}

#[test]
fn shards_of_a_run_are_added_up() {
    let directory = Directory::new("merge");
    let server = Serve::start(&[]);
    let mut shards = Vec::new();
    for index in 1..=3 {
        let shard = format!("{index}/3");
        let name = format!("{index}.json");
        let options = ["-c", "10", "-n", "100", "--shard", &shard];
        shards.push(directory.bench(&name, &[&[&server.url()[..]], &options[..]].concat()));
    }
    let paths: Vec<String> =
        (1..=3).map(|index| directory.file(&format!("{index}.json"))).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();

    // They ran one after the other, as shards do not.
    run(&[&["--merge"], &paths[..2]].concat()).failed(2, &["different runs", "1.json"]);
    for shard in &mut shards {
        shard["started"] = "2026-03-01T12:00:00.000Z".into();
        let path = directory.file(&format!("{}.json", shard["shard"]["index"]));
        fs::write(path, shard.to_string()).unwrap();
    }
    run(&[&["--merge"], &paths[..2]].concat()).failed(2, &["shard 3 of 3 is missing"]);
    run(&["--merge", paths[0], paths[0]]).failed(2, &["shard 1 of 3", "twice"]);

    let json = format!("--json={}", directory.file("all.json"));
    let report = directory.file("all.html");
    let ended = run(&[&["--merge"], &paths[..], &[&json[..], "--report", &report]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let whole = directory.results("all.json");
    for (name, sum) in [("opened", 10), ("messages_sent", 100), ("messages_received", 100)] {
        assert_eq!(number(&whole["totals"][name]), sum, "{whole:#}");
    }
    assert_eq!(number(&whole["load"]["connections"]), 10);
    assert_eq!(counted(&whole["latencies"]), 100, "{whole:#}");
    assert_eq!(whole["shard"], Value::Null);
    assert!(directory.read("all.html").contains("10 connections sent messages"));
    // What was added up is a whole run.
    let ended = run(&["--merge", &directory.file("all.json")]);
    assert!(ended.text().contains("100 messages"), "{ended:?}");
}

#[test]
fn the_first_shard_of_a_broadcast_publishes_all_of_it() {
    let server = Serve::start(&["--mode", "topics"]);
    let topic =
        ["--on-open", r#"{"subscribe":"a"}"#, "-m", r#"{"publish":"a","data":"{{stamp}}"}"#];
    let load =
        ["--protocol", "towline.topics.v1", "--scenario", "broadcast", "-c", "6", "-n", "40"];
    let shard = ["--rate", "500", "--shard", "1/2"];
    let results = bench(0, &[&[&server.url()[..]], &topic[..], &load[..], &shard[..]].concat());
    assert_eq!(results["load"]["pacing"]["messages_per_s"], 500.0, "{results:#}");
    assert_eq!(number(&results["totals"]["messages_sent"]), 40, "{results:#}");
    assert_eq!(number(&results["totals"]["messages_received"]), 80, "{results:#}");
}

#[test]
fn two_runs_are_compared_and_other_loads_are_not() {
    let directory = Directory::new("compare");
    let server = Serve::start(&[]);
    directory.bench("a.json", &[&server.url(), "-c", "2", "-n", "100"]);
    directory.bench("b.json", &[&server.url(), "-c", "2", "-n", "100"]);
    directory.bench("c.json", &[&server.url(), "-c", "3", "-n", "100"]);
    let [a, b, c] = ["a.json", "b.json", "c.json"].map(|name| directory.file(name));
    let page = directory.file("compare.html");
    let ended = run(&["--compare", &a, &b, "--report", &page]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // So short a run says nothing about noise, and so not that nothing is worse.
    assert_eq!(run(&["--compare", &a, &b, "--fail-if-worse", "5"]).code, Some(1));
    assert!(ended.text().contains("Nothing can be judged."), "{ended:?}");
    assert!(directory.read("compare.html").contains("b.json compared with"));
    let ended = run(&["--compare", &a, &c]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.text().contains("Not comparable: the loads differ in connections: 2 and 3."));
}

#[test]
fn files_that_are_no_results_are_refused_by_name() {
    let directory = Directory::new("files");
    fs::write(Path::new(&directory.file("a.json")), "{\"format\":99}").unwrap();
    fs::write(Path::new(&directory.file("b.json")), "not JSON").unwrap();
    let [a, b] = ["a.json", "b.json"].map(|name| directory.file(name));
    run(&["--compare", &a, &b]).failed(2, &["a.json", "version 99"]);
    run(&["--merge", &b]).failed(2, &["b.json", "not results"]);
    run(&["--merge", "/nowhere/at/all.json"]).failed(2, &["/nowhere/at/all.json"]);
    for arguments in [&["--compare", &a][..], &["--fail-if-worse", "5", "ws://127.0.0.1:1/"]] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("--compare"), "{ended:?}");
    }
}
