//! Connections that are silent, but for the server's pings and their answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use towline::{Client, CloseCode, Config, Connection, Message, Proxy};

use crate::descriptors::{in_processes, shares};
use crate::figures::memory;
use crate::server::{Server, check};
use crate::serving::Options;
use crate::tally::{Tally, count};

/// How many connections are opened at a time. A storm is another run.
const AT_ONCE: usize = 200;

/// Far longer than an answer takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(120);

/// The server's pings to each connection while they are silent.
const PINGS: u64 = 4;

/// The pings that there have to be, since a busy server is late.
const PINGS_LEAST: u64 = 2;

/// Opens the connections, and holds them for this long: each is pinged several times, none is given
/// up, and each answers in the end. Returns whether that is so.
///
/// # Errors
///
/// If the server does not start or answer.
pub(crate) async fn run(connections: usize, hold: Duration) -> Result<bool> {
    let shares = shares(connections)?;
    if shares.len() > 1 {
        let hold = format!("--hold={}", hold.as_secs());
        return in_processes("--idle", &shares, &[hold]).await;
    }
    let keepalive = (hold.as_secs() / PINGS).max(1);
    let mut server = Server::start(&Options { keepalive, ..Options::default() }).await?;
    let tally = Arc::new(Tally::default());
    let url = format!("ws://127.0.0.1:{}/", server.plain);
    // Without pings of its own.
    let config = Config::client().keepalive(None).close_timeout(Duration::from_secs(10));
    let client =
        Client::new().config(config).proxy(Proxy::none()).connect_timeout(Duration::from_secs(60));
    // What is made with the first connection, and stays.
    client.connect(&url).await?.close(CloseCode::NORMAL, "").await?;
    let before = server.settled(None).await?;
    let (own_before, ended_before) = (memory()?, before.ended);
    println!("before: {before:?}");

    let (stop, stopped) = watch::channel(());
    let mut connecting = JoinSet::new();
    let mut idle = JoinSet::new();
    for _ in 0..connections {
        let (client, url) = (client.clone(), url.clone());
        connecting.spawn(async move { client.connect(&url).await });
        if connecting.len() >= AT_ONCE {
            let connected = connecting.join_next().await;
            hold_one(connected, &mut idle, &stopped, &tally);
        }
    }
    while let Some(connected) = connecting.join_next().await {
        hold_one(Some(connected), &mut idle, &stopped, &tally);
    }
    let open = server.look().await?;
    println!("open:   {open:?}");
    let ran = server.processor();
    sleep(hold).await;
    let held = server.look().await?;
    println!("held:   {held:?}");
    if let Some((before, after)) = ran.zip(server.processor()) {
        println!("processor: the server {} in {} s", after.since(before), hold.as_secs());
    }
    let pings = held.pings - before.pings;
    if pings < connections as u64 * PINGS_LEAST {
        tally.fault(format!("{pings} pings for {connections} connections"));
    }
    for (what, is, expected) in [
        ("connections", held.connections as u64, connections as u64),
        ("ends", held.ended - ended_before, 0),
        ("rejections", held.rejected, 0),
    ] {
        if is != expected {
            tally.fault(format!("{is} {what}, and not {expected}"));
        }
    }
    let per = |now: usize, before: usize| now.saturating_sub(before) * 1024 / connections.max(1);
    println!(
        "memory of a connection: {} bytes when open, {} held; of a client {}",
        per(open.memory, before.memory),
        per(held.memory, before.memory),
        per(memory()?, own_before),
    );
    println!("{pings} pings to {connections} connections");
    drop(stop);
    while let Some(ended) = idle.join_next().await {
        if let Err(error) = ended {
            tally.broken(&error);
        }
    }
    let after = server.settled(Some(&before)).await?;
    println!("after:  {after:?}");
    check(&before, &after, &tally);
    Ok(tally.report())
}

type Connected = Result<towline::Result<Connection>, tokio::task::JoinError>;

/// Holds a connection in a task.
fn hold_one(
    connected: Option<Connected>,
    idle: &mut JoinSet<()>,
    stopped: &watch::Receiver<()>,
    tally: &Arc<Tally>,
) {
    match connected {
        Some(Ok(Ok(connection))) => {
            count(&tally.connections);
            let (stopped, tally) = (stopped.clone(), tally.clone());
            idle.spawn(async move {
                if let Err(fault) = until_stopped(connection, stopped, &tally).await {
                    tally.fault(fault);
                }
            });
        }
        Some(Ok(Err(error))) => tally.fault(format!("cannot connect: {error}")),
        Some(Err(error)) => tally.broken(&error),
        None => {}
    }
}

/// Receives, which answers pings, until told to end: then the connection has to be as good as new.
async fn until_stopped(
    mut connection: Connection,
    mut stopped: watch::Receiver<()>,
    tally: &Tally,
) -> Result<(), String> {
    tokio::select! {
        received = connection.recv() => return Err(format!("not silent: {received:?}")),
        // An error: the sender is dropped.
        _ = stopped.changed() => {}
    }
    timeout(LONG, answers(connection, tally))
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {LONG:?}")))
}

/// Has one echo, and closes the connection.
async fn answers(mut connection: Connection, tally: &Tally) -> Result<(), String> {
    let failed = |error: towline::Error| format!("does not answer: {error}");
    connection.send("still here?").await.map_err(failed)?;
    count(&tally.sent);
    match connection.recv().await.map_err(failed)? {
        Some(Message::Text(text)) if text == *"still here?" => count(&tally.received),
        other => return Err(format!("not the echo: {other:?}")),
    }
    let closed = connection.close(CloseCode::NORMAL, "").await.map_err(failed)?;
    if closed.is_clean() { Ok(()) } else { Err(format!("not closed cleanly: {closed}")) }
}
