//! `towline serve` while nobody reads its standard error.

use std::net::TcpStream;

use tokio::task::spawn_blocking;

use crate::metrics::ask;
use crate::serve::silent_client;
use crate::support::{Serve, join, next, until, within};

/// Writes more lines than a pipe and the queue hold.
async fn fill_the_log(server: &Serve) {
    let path = format!("/{}", "p".repeat(930));
    for _ in 0..800 {
        drop(within(join(server, &path)).await);
    }
}

#[tokio::test]
async fn connections_metrics_and_signals_go_on() {
    for threads in [&[][..], &["--threads=2"]] {
        let arguments = [&["-v", "--metrics=127.0.0.1:0"], threads].concat();
        let mut server = Serve::start(&arguments);
        let line = server.program.line();
        let metrics = line.strip_prefix("metrics on http://").unwrap();
        let metrics = metrics.strip_suffix("/metrics").unwrap().to_owned();
        let mut old = within(join(&server, "/")).await;
        fill_the_log(&server).await;

        old.send("still there?").await.unwrap();
        assert_eq!(next(&mut old).await, "still there?");
        let mut new = within(join(&server, "/")).await;
        new.send("new").await.unwrap();
        assert_eq!(next(&mut new).await, "new");
        let asking = spawn_blocking(move || ask(&metrics, "GET /metrics").0);
        assert!(within(asking).await.unwrap().starts_with("http/1.1 200"));

        server.program.signal("INT");
        // They are closed in an orderly way.
        assert!(within(old.recv()).await.unwrap().is_none());
        assert!(within(new.recv()).await.unwrap().is_none());
        assert_eq!(server.program.code().await, Some(0));
    }
}

#[tokio::test]
async fn a_second_interrupt_ends_at_once() {
    let mut server = Serve::start(&["-v", "--close-timeout=1h"]);
    fill_the_log(&server).await;
    // Later, so that keepalive does not end it.
    let _silent = silent_client(&server);
    server.program.signal("INT");
    until("closing", || TcpStream::connect(server.address).is_err()).await;
    server.program.signal("INT");
    assert_eq!(server.program.code().await, Some(130));
}

#[tokio::test]
async fn lines_without_room_are_counted_and_later_ones_come() {
    let mut server = Serve::start(&["-v"]);
    fill_the_log(&server).await;
    let reading = spawn_blocking(move || {
        while !server.program.error_line().ends_with("lines left out: nobody read standard error") {
        }
        server
    });
    let mut server = within(reading).await.unwrap();
    drop(within(join(&server, "/later")).await);
    let reading = spawn_blocking(move || while !server.program.error_line().contains("/later") {});
    within(reading).await.unwrap();
}
