//! `towline serve --metrics`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Program, Serve, read_head};

/// The head and the body of the answer of the page of metrics.
pub(crate) fn ask(address: &str, line: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let head = String::from_utf8(read_head(&mut stream)).unwrap().to_ascii_lowercase();
    let mut body = String::new();
    stream.read_to_string(&mut body).unwrap();
    (head, body)
}

fn start(arguments: &[&str]) -> (Serve, String) {
    let mut server = Serve::start(&[&["--metrics=127.0.0.1:0"], arguments].concat());
    let line = server.program.line();
    let address =
        line.strip_prefix("metrics on http://").and_then(|url| url.strip_suffix("/metrics"));
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    (server, address)
}

#[track_caller]
fn has(body: &str, series: &[&str]) {
    for series in series {
        assert!(body.lines().any(|line| line == *series), "no {series} in {body}");
    }
}

#[test]
fn what_is_echoed_is_in_the_metrics_at_once() {
    for arguments in [&[][..], &["--threads=2"]] {
        let (server, address) = start(arguments);
        for _ in 0..2 {
            let ended = Program::connect(&[&server.url()]).feed(b"ahoy\n".to_vec());
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
        let (head, body) = ask(&address, "GET /metrics");
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        has(
            &body,
            &[
                "# TYPE websocket_messages_total counter",
                "websocket_messages_total{direction=\"received\"} 2",
                "websocket_messages_total{direction=\"sent\"} 2",
                "websocket_bytes_total{direction=\"sent\"} 8",
                "websocket_connections_total 2",
                "websocket_handshakes_total{status=\"accepted\"} 2",
                "# TYPE http_server_request_duration_seconds histogram",
            ],
        );
        drop(server);
    }
}

/// Quotas are those of all threads, and what they refuse is counted.
#[test]
fn threads_have_one_quota_and_say_how_much_of_it_is_used() {
    let (server, address) =
        start(&["--threads=3", "--max-connections=4", "--max-buffered-bytes=1MiB"]);
    let mut open: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Program::connect(&[&server.url(), "--json", "-w", "forever"]);
            assert!(client.line().contains("\"event\":\"open\""));
            client
        })
        .collect();
    for _ in 0..6 {
        let refused = Program::connect(&[&server.url()]).end();
        assert!(refused.stderr.contains("503"), "{refused:?}");
    }
    let (_, body) = ask(&address, "GET /metrics");
    has(
        &body,
        &[
            "websocket_quota_limit{quota=\"max_connections\"} 4",
            "websocket_quota_used{quota=\"max_connections\"} 4",
            "websocket_quota_refused_total{quota=\"max_connections\"} 6",
            "websocket_quota_limit{quota=\"max_buffered_bytes\"} 1048576",
            "websocket_quota_used{quota=\"max_buffered_bytes\"} 0",
            "websocket_quota_closed_total{quota=\"max_buffered_bytes\"} 0",
        ],
    );
    server.program.signal("INT");
    for client in &mut open {
        assert!(client.line().contains("\"code\":1001"));
    }
}

/// Topics are those of all threads, and are counted once.
#[tokio::test]
async fn what_topics_do_is_in_the_metrics() {
    let (server, address) = start(&["--mode=topics", "--threads=2"]);
    let client = towline::Client::new().protocols(["towline.topics.v1"]);
    let mut connection = client.connect(&server.url()).await.unwrap();
    for message in [r#"{"subscribe":"a"}"#, r#"{"publish":"a","data":1}"#] {
        connection.send(message).await.unwrap();
        connection.recv().await.unwrap().unwrap();
    }
    // A message is counted as delivered just after it was queued at its member.
    let is_counted = |body: &str| body.contains("\nwebsocket_topics_delivered_total 1\n");
    let asking = tokio::task::spawn_blocking(move || {
        let mut bodies = (0..1000).map(|_| ask(&address, "GET /metrics").1);
        bodies.find(|body| is_counted(body)).expect("not delivered")
    });
    let body = asking.await.unwrap();
    has(
        &body,
        &[
            "websocket_topics_active 1",
            "websocket_topics_members 1",
            "websocket_topics_published_total 1",
            "websocket_topics_delivered_total 1",
            "websocket_topics_skipped_total 0",
        ],
    );
}

#[test]
fn metrics_are_on_an_address_of_their_own() {
    let (server, address) = start(&[]);
    let (head, _) = ask(&server.address.to_string(), "GET /metrics");
    assert!(head.starts_with("http/1.1 404"), "{head}");
    let (head, _) = ask(&address, "GET /");
    assert!(head.starts_with("http/1.1 404"), "{head}");
    let (head, _) = ask(&address, "POST /metrics");
    assert!(head.starts_with("http/1.1 405") && head.contains("allow: get, head"), "{head}");
    let (head, body) = ask(&address, "HEAD /metrics");
    assert!(head.starts_with("http/1.1 200") && body.is_empty(), "{head}");
}

#[test]
fn the_address_of_the_websockets_is_named_as_such() {
    for (listen, metrics) in [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")] {
        // A port that is free, or else another program has it by then, which is another error.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let (listen, metrics) = (format!("{listen}:{port}"), format!("{metrics}:{port}"));
        let arguments = ["serve", "--listen", &listen, "--metrics", &metrics];
        let ended = Program::start(&arguments).end();
        ended.failed(3, &[&metrics, "(--metrics)", "--listen has the same address"]);
        assert!(!ended.stderr.contains("another program"), "{ended:?}");
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Program::start(&["serve", "--listen=127.0.0.1:0", "--metrics", &address]).end();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("--metrics"), "{ended:?}");
}
