//! What becomes of a handler's error. A binary of its own, since the log is the process's.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::any;
use towline::{CloseCode, Connection};
use towline_axum::{Upgrade, test};
use tracing_subscriber::fmt::MakeWriter;

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this never happens")
}

async fn echoing(upgrade: Upgrade) -> Response {
    upgrade.on_connection(async |mut connection: Connection| {
        while let Some(message) = connection.recv().await? {
            connection.send(message).await?;
        }
        towline::Result::Ok(())
    })
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    async fn line_with(&self, text: &str) -> String {
        loop {
            if let Some(line) = self.lines().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_logged_by_whose_they_are() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    async fn fails(upgrade: Upgrade) -> Response {
        upgrade.on_connection(async |_: Connection| {
            anyhow::Ok(std::fs::read("/no/such/file").map(drop)?)
        })
    }
    async fn fails_in_words(upgrade: Upgrade) -> Response {
        upgrade.on_connection(async |_: Connection| Err::<(), _>("no words"))
    }
    async fn fails_to_send(upgrade: Upgrade) -> Response {
        upgrade.on_connection(async |connection: Connection| {
            let code = CloseCode::new(5000);
            let mut connection = connection;
            connection.close(code, "").await.map(drop)
        })
    }
    let app = Router::new()
        .route("/echo", any(echoing))
        .route("/fails", any(fails))
        .route("/words", any(fails_in_words))
        .route("/send", any(fails_to_send));
    for (path, level, says) in [
        ("/fails", "WARN", "No such file"),
        ("/words", "WARN", "no words"),
        ("/send", "WARN", "5000"),
    ] {
        let _connection =
            test::connect(app.clone(), &format!("{path}?token=secret")).await.unwrap();
        let line = soon(log.line_with(says)).await;
        assert!(line.contains(level) && line.contains(path), "{line}");
        assert!(!line.contains("secret"), "{line}");
        // Clients can't fill the log.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // However many fail, there is a line a second, with the number of those left out.
    let written = || log.lines().iter().filter(|line| line.contains("no words")).count();
    assert_eq!(written(), 1);
    for _ in 0..20 {
        drop(test::connect(app.clone(), "/words").await.unwrap());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(written(), 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(test::connect(app.clone(), "/words").await.unwrap());
    soon(log.line_with("left_out=19")).await;
    // A peer that breaks the protocol is not worth a warning.
    let connection = test::connect(app, "/echo").await.unwrap();
    connection.abort(CloseCode::POLICY, "spam");
    drop(connection);
    let line = soon(log.line_with("path=\"/echo\"")).await;
    assert!(line.contains("DEBUG"), "{line}");
}
