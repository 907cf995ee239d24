//! What clients can cause to be logged: each kind of line once a second at most, with the number of
//! those left out. A binary of its own, since the log is the process's.

#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt;
use std::fs::File;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use towline::{ErrorKind, Server};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// The messages of events, and how many lines were left out before each.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, u64)>>>);

struct Line<'l>(&'l mut (String, u64));

impl Visit for Line<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        assert_eq!(field.name(), "left_out");
        self.0.1 = value;
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("towline") && metadata.is_event()
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = (String::new(), 0);
        event.record(&mut Line(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Log {
    /// For each line with this message, how many were left out before it.
    fn left_out(&self, message: &str) -> Vec<u64> {
        let log = self.0.lock().unwrap();
        log.iter().filter(|(of_line, _)| of_line == message).map(|(_, count)| *count).collect()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

/// Runs a test in a process with a log of its own.
fn apart(test: &str, shell: &str, body: impl FnOnce(Log)) {
    if std::env::var("APART").is_ok_and(|apart| apart == test) {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.clone()).unwrap();
        return body(log);
    }
    let program = std::env::current_exe().unwrap();
    let command = format!("{shell} exec \"$0\" --exact {test} --nocapture");
    let ended = Command::new("sh").args(["-c", &command]).arg(program).env("APART", test).output();
    let ended = ended.unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    // A name that is not that of a test runs none.
    assert!(String::from_utf8_lossy(&ended.stdout).contains("1 passed"));
}

#[test]
fn clients_that_leave_before_they_are_accepted() {
    apart("clients_that_leave_before_they_are_accepted", "", |log| {
        runtime().block_on(async {
            let server = Server::builder().auto_accept(true).build();
            let flood = async || {
                for _ in 0..300 {
                    let (near, mut far) = tokio::io::duplex(1024);
                    far.write_all(
                        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
                          Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    )
                    .await
                    .unwrap();
                    drop(far);
                    server.serve(near, None);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            flood().await;
            assert_eq!(log.left_out("request not accepted"), [0]);
            tokio::time::sleep(Duration::from_secs(2)).await;
            flood().await;
            assert_eq!(log.left_out("request not accepted"), [0, 299]);
        });
    });
}

#[test]
fn refused_requests_and_failed_tls_handshakes() {
    apart("refused_requests_and_failed_tls_handshakes", "", |log| {
        runtime().block_on(async {
            let server = Server::builder().build();
            let handle = server.handle();
            let flood = async || {
                for _ in 0..300 {
                    let (near, mut far) = tokio::io::duplex(1024);
                    server.serve(near, None);
                    far.write_all(b"nonsense\r\n\r\n").await.unwrap();
                    handle.report_tls_failure(ErrorKind::IsTls, "speaks plain HTTP", None);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            let kinds = ["handshake failed", "TLS handshake failed"];
            flood().await;
            for kind in kinds {
                assert_eq!(log.left_out(kind), [0], "{kind}");
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
            flood().await;
            for kind in kinds {
                assert_eq!(log.left_out(kind), [0, 299], "{kind}");
            }
            // Each is counted, nonetheless.
            assert_eq!(handle.stats().tls_failed, 600);
            let failed = [(ErrorKind::IsTls, 600), (ErrorKind::NotHttp, 600)];
            assert_eq!(handle.stats().failed, failed.into());
            assert_eq!(handle.stats().rejected[&http::StatusCode::BAD_REQUEST], 600);
        });
    });
}

#[test]
#[cfg(target_os = "linux")]
fn running_out_of_sockets() {
    apart("running_out_of_sockets", "ulimit -n 64;", |log| {
        runtime().block_on(async {
            let server = Server::bind("127.0.0.1:0").await.unwrap();
            let address = server.local_addr().unwrap();
            // In the backlog, as nothing has been accepted yet.
            let _client = std::net::TcpStream::connect(address).unwrap();
            let mut files = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                files.push(file);
            }
            // Accepting is tried again every 50 ms.
            tokio::time::sleep(Duration::from_millis(4990)).await;
            let left_out = log.left_out("accepting connections failed; retrying");
            assert_eq!(left_out, [0, 19, 19, 19, 19]);
        });
    });
}
