//! A client that comes back when its connection is lost, with a fresh token for each attempt. It prints
//! what happens: `cargo run -p towline --example reconnecting ws://127.0.0.1:9001/`.

use std::time::Duration;

use towline::http::Request;
use towline::{Backoff, Client, Connection, ReconnectEvent, Result};

/// What a token service would be asked for.
async fn token(attempt: u32) -> std::io::Result<String> {
    Ok(format!("token-{attempt}"))
}

async fn run(mut connection: Connection) -> Result<()> {
    // Set up again on each connection: nothing is replayed.
    connection.send("subscribe").await?;
    while let Some(message) = connection.recv().await? {
        println!("{message:?}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".to_owned());
    let mut feed = Client::new()
        .reconnecting(move |attempt| {
            let url = url.clone();
            async move {
                let token = token(attempt.number()).await?;
                let request = Request::get(url).header("authorization", format!("Bearer {token}"));
                Ok(request.body(())?)
            }
        })
        .backoff(Backoff::default().first(Duration::from_millis(200)));

    let mut events = feed.events();
    let printing = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                ReconnectEvent::Connecting { attempt } => println!("attempt {attempt}"),
                ReconnectEvent::Connected => println!("connected"),
                ReconnectEvent::Lost { why } => println!("lost: {why}"),
                ReconnectEvent::Waiting { why, .. } => println!("waiting: {why}"),
                ReconnectEvent::GaveUp { why } => println!("gave up: {why}"),
                ReconnectEvent::Ended { .. } => println!("ended"),
                _ => {}
            }
        }
    });

    let ended = loop {
        match feed.next().await {
            // How it ended is in the events, and decides whether there is a next one.
            Ok(Some(connection)) => drop(run(connection).await),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let _ = printing.await;
    ended
}
