//! A client that comes back when its connection is lost, and subscribes again. It prints what happens.
//!
//! Start a server by `cargo run -- serve --mode topics`, and then `cargo example reconnecting
//! ws://127.0.0.1:9001/ harbour sea`. Publish by `cargo run -- connect ws://127.0.0.1:9001/ --publish
//! harbour --message '"ship ahoy"'`. End the server, start it again, and publish again.

use std::env;
use std::time::Duration;

use serde_json::json;
use towline::http::Request;
use towline::{Backoff, Client, Connection, ReconnectEvent, ReconnectEvents, Result};

/// What a token service would be asked for.
async fn token(attempt: u32) -> std::io::Result<String> {
    Ok(format!("token-{attempt}"))
}

/// One connection. Nothing is replayed: a new connection is set up by the program, as the first one was.
/// What was published in between is missing, unless the program asks for it here.
async fn run(mut connection: Connection, topics: &[String]) -> Result<()> {
    for topic in topics {
        connection.send(json!({ "subscribe": topic }).to_string()).await?;
    }
    while let Some(message) = connection.recv().await? {
        println!("{}", message.as_text().unwrap_or("binary"));
    }
    Ok(())
}

async fn print(mut events: ReconnectEvents) {
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
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:9001/".to_owned());
    let topics: Vec<_> = arguments.collect();
    let client = Client::new().protocols(["towline.topics.v1"]);
    let mut feed = client
        // Called for each attempt: a token that has expired would be refused.
        .reconnecting(move |attempt| {
            let url = url.clone();
            async move {
                let token = token(attempt.number()).await?;
                let request = Request::get(url).header("authorization", format!("Bearer {token}"));
                Ok(request.body(())?)
            }
        })
        // The delay is random, at most 200 ms before the second attempt, and twice as much each time.
        .backoff(Backoff::default().first(Duration::from_millis(200)));

    let printing = tokio::spawn(print(feed.events()));
    let ended = loop {
        match feed.next().await {
            // How the connection ended is in the events, and decides whether there is a next one.
            Ok(Some(connection)) => drop(run(connection, &topics).await),
            // Closed with 1000: the server has no more to say.
            Ok(None) => break Ok(()),
            // Hopeless, such as 404 or a certificate that is not trusted.
            Err(error) => break Err(error),
        }
    };
    let _ = printing.await;
    ended
}
