//! How commands end, and what holds them up.

use std::io::Read as _;
use std::time::Duration;

use towline::{CloseCode, Message};

use crate::exec::{end, is_running, start};
use crate::support::{join, next, until, within};

/// A command may ignore the end of its input, SIGTERM, or both, and have children.
#[tokio::test]
async fn the_command_ends_with_the_connection() {
    for script in [
        "echo $$; cat > /dev/null",
        "echo $$; exec sleep 1000",
        "trap '' TERM; echo $$; while :; do sleep 0.05; done",
        "trap '' TERM HUP; sh -c 'echo $$; while :; do sleep 0.05; done'; true",
        "trap '' PIPE TERM; echo $$; while :; do echo more 2>/dev/null; done",
    ] {
        let server = start(&["--exec-grace=100ms"], script);
        let mut connection = join(&server, "/").await;
        let id = next(&mut connection).await;
        assert!(is_running(&id), "{script}");
        // With a close frame, or without.
        match script.len() % 2 {
            0 => drop(connection),
            _ => connection.abort(CloseCode::NORMAL, ""),
        }
        until(&format!("ended: {script}"), || !is_running(&id)).await;
    }
}

#[tokio::test]
async fn commands_end_with_the_server() {
    for interrupts in [1, 2] {
        let script = "trap '' TERM; echo $$; while :; do sleep 0.05; done";
        let grace = if interrupts == 1 { "--exec-grace=100ms" } else { "--exec-grace=1h" };
        let server = start(&[grace], script);
        let mut connection = join(&server, "/").await;
        let id = next(&mut connection).await;
        server.program.signal("INT");
        let closing = end(&mut connection).await;
        assert_eq!(closing.code(), CloseCode::GOING_AWAY);
        if interrupts == 2 {
            server.program.signal("INT");
        }
        let ended = server.program.end();
        assert_eq!(ended.code, Some(if interrupts == 1 { 0 } else { 130 }), "{ended:?}");
        until("ended", || !is_running(&id)).await;
        if interrupts == 1 {
            assert!(ended.text().contains("1 process, 0 messages received"), "{ended:?}");
        }
    }
}

/// What a command has left behind, with the pipe in its hands, keeps nothing open.
#[tokio::test]
async fn a_child_that_is_left_behind_ends_too() {
    let server = start(&["--exec-grace=100ms"], "trap '' TERM; sleep 1000 & echo $!; exit 0");
    let mut connection = join(&server, "/").await;
    let id = next(&mut connection).await;
    assert_eq!(end(&mut connection).await.code(), CloseCode::NORMAL);
    until("ended", || !is_running(&id)).await;
}

#[tokio::test]
async fn what_was_sent_before_the_close_is_the_commands() {
    let file = std::env::temp_dir().join(format!("towline-exec-{}", std::process::id()));
    let script =
        format!("echo ready; sleep 0.3; cat > '{0}.part'; mv '{0}.part' '{0}'", file.display());
    let server = start(&[], &script);
    let mut connection = join(&server, "/").await;
    assert_eq!(next(&mut connection).await, "ready");
    let line = "x".repeat(9_999);
    // More than a pipe holds.
    for _ in 0..30 {
        connection.send(line.as_str()).await.unwrap();
    }
    within(connection.close(CloseCode::NORMAL, "")).await.unwrap();
    until("written", || file.exists()).await;
    let written = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(written.len(), 300_000);
}

/// A client that reads nothing stops the command, and costs no memory.
#[tokio::test]
async fn a_flood_waits_for_a_slow_client() {
    let server =
        start(&["--exec-grace=100ms"], "echo $$; exec yes 'a line that is written for ever'");
    let mut slow = join(&server, "/").await;
    let id = next(&mut slow).await;
    // A second connection is served meanwhile.
    let mut other = join(&server, "/").await;
    for _ in 0..10_000 {
        within(other.recv()).await.unwrap().unwrap();
    }
    let written = |id: &str| {
        let mut text = String::new();
        let file = std::fs::File::open(format!("/proc/{id}/io"));
        file.and_then(|mut file| file.read_to_string(&mut text)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse::<u64>().ok())
    };
    // Where the system can tell: once the buffers are full, nothing more is written.
    if written(&id).is_some() {
        let mut before = written(&id);
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = written(&id);
            if now == before {
                break;
            }
            before = now;
        }
        assert!(before.unwrap() < 64 << 20, "{before:?}");
    }
    drop((slow, other));
    until("ended", || !is_running(&id)).await;
}

/// A command that reads nothing stops the client, and ends with it.
#[tokio::test]
async fn a_command_that_reads_nothing_stops_its_client() {
    let server = start(&["--exec-grace=100ms"], "echo $$; exec sleep 1000");
    let mut connection = join(&server, "/").await;
    let id = next(&mut connection).await;
    let text = Message::text("x".repeat(1 << 20));
    let mut sent = 0;
    // A message that is taken is taken at once.
    let patience = Duration::from_millis(500);
    while let Ok(taken) = tokio::time::timeout(patience, connection.send(text.clone())).await {
        taken.unwrap();
        sent += 1;
        assert!(sent < 64, "64 MiB were taken by nobody");
    }
    connection.abort(CloseCode::NORMAL, "");
    drop(connection);
    until("ended", || !is_running(&id)).await;
}
