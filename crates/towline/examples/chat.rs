//! A chat with rooms: everybody in a room gets its messages. Run `cargo run -p towline --example
//! chat`, and in two terminals `cargo run -- connect ws://127.0.0.1:9001/harbour?ada`, with a name
//! each.

use std::env;

use towline::http::StatusCode;
use towline::{Connection, Request, Result, Server, ServerHandle, WhenFull};

/// The user's name, kept with the connection.
#[derive(Clone)]
struct Name(String);

async fn admit(mut request: Request) -> Result<Option<Connection>> {
    let Some(name) = request.query().map(str::to_owned) else {
        request.reject(StatusCode::UNAUTHORIZED, "your name is missing: /room?name").await?;
        return Ok(None);
    };
    request.data_mut().insert(Name(name));
    request.accept().await.map(Some)
}

async fn talk(request: Request, server: ServerHandle) -> Result<()> {
    let Some(mut connection) = admit(request).await? else { return Ok(()) };
    let room = server.topics().topic(connection.path())?;
    room.join(&connection).await?;
    while let Some(message) = connection.recv().await? {
        let Some(text) = message.as_text() else { continue };
        let name = connection.data().get::<Name>().map_or("somebody", |name| &name.0);
        let line = format!("{name}: {text}");
        // A slow client misses the line and delays nobody.
        room.publish(&line).await;
        if text == "all hands!" {
            // To every room.
            server.connections().broadcast(&line).when_full(WhenFull::Close).await;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut server = Server::bind(&address).await?;
    println!("listening on {}", server.local_addr()?);
    while let Some(request) = server.next_request().await {
        let handle = server.handle();
        tokio::spawn(async move {
            if let Err(error) = talk(request, handle).await {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}
