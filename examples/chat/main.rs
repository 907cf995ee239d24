//! A chat with rooms, and the page to use it: `cargo example chat`, then open the address it prints in
//! two windows.
//!
//! Each path below `/rooms/` is a room, and `?name=` is who speaks. Messages are JSON, made by the server, and
//! a name belongs to one client of a room as long as that is there. So nobody can speak in another's name.

mod names;

mod page;

use std::env;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use towline::http::StatusCode;
use towline::topics::{Topic, TopicOptions, Topics};
use towline::{
    CloseCode, Config, Connection, Message, Rate, Request, Result, Server, ServerHandle,
};
use towline_hyper::{HttpServer, mount};

use crate::names::{Claim, Names};

/// What the server says to a room.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Say<'a> {
    Joined {
        name: &'a str,
        here: usize,
    },
    Left {
        name: &'a str,
        here: usize,
    },
    Said {
        name: &'a str,
        text: &'a str,
    },
    /// This client was too slow, and has missed so many messages.
    Missed {
        messages: u64,
    },
}

impl Say<'_> {
    fn message(&self) -> Message {
        Message::text(serde_json::to_string(self).unwrap_or_default())
    }
}

/// Accepts the request if it names a room and a user who is not there yet. A real chat asks a session for the
/// name: the examples `rooms` and `jwt` do.
async fn admit(request: Request, names: &Names) -> Result<Option<(Connection, Claim)>> {
    let room = request.path().strip_prefix("/rooms/").filter(|room| is_word(room));
    let Some(room) = room.map(str::to_owned) else {
        let reason = "rooms are /rooms/NAME, with 1 to 32 letters, digits and hyphens";
        request.reject(StatusCode::NOT_FOUND, reason).await?;
        return Ok(None);
    };
    let query = request.query().unwrap_or_default();
    let name = query.split('&').find_map(|pair| pair.strip_prefix("name="));
    let Some(name) = name.filter(|name| is_word(name)).map(str::to_owned) else {
        let reason = "?name= is missing: 1 to 32 letters, digits and hyphens";
        request.reject(StatusCode::BAD_REQUEST, reason).await?;
        return Ok(None);
    };
    let Some(claim) = names.claim(room, name) else {
        request.reject(StatusCode::CONFLICT, "somebody in this room has this name").await?;
        return Ok(None);
    };
    Ok(Some((request.accept().await?, claim)))
}

fn is_word(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=32).contains(&word.len()) && word.bytes().all(allowed)
}

async fn talk(request: Request, server: ServerHandle, names: Names) -> Result<()> {
    let Some((connection, claim)) = admit(request, &names).await? else { return Ok(()) };
    let name = claim.name();
    let room = server.topics().topic(claim.room())?;
    room.join(&connection).await?;
    room.publish(Say::Joined { name, here: room.len() }.message()).await;

    let ended = pass_on(connection, &room, name).await;
    // However the connection ended, it has left the topic by itself. Now the others learn of it.
    room.publish(Say::Left { name, here: room.len() }.message()).await;
    ended
}

/// Tells the room what this connection says.
async fn pass_on(mut connection: Connection, room: &Topic, name: &str) -> Result<()> {
    while let Some(message) = connection.recv().await? {
        let Some(text) = message.as_text() else {
            connection.close(CloseCode::UNSUPPORTED_DATA, "send text").await?;
            break;
        };
        // Waits for no member: one whose queue is full misses the message, and is told so later.
        room.publish(Say::Said { name, text }.message()).await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let topics = Topics::builder()
        .options(|_| TopicOptions::default().notice(|messages| Say::Missed { messages }.message()))
        .build();
    // Limits, since anybody can connect: long messages close the connection with 1009, and a client that
    // sends too fast is read more slowly.
    let mut server = Server::builder()
        .config(Config::server().max_received_message_size(4 << 10))
        .max_message_rate(Rate::per_second(5).burst(20))
        .max_connections_per_address(100)
        .topics(topics)
        .build();

    // One port for the page and the WebSockets, so the page is of the same origin. Requests of pages from
    // elsewhere are refused with 403.
    let http = HttpServer::new(mount(server.handle(), hyper::service::service_fn(page::page)));
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    http.listen(listener);

    let handle = server.handle();
    tokio::spawn(async move {
        let names = Names::default();
        while let Some(request) = server.next_request().await {
            let (handle, names) = (server.handle(), names.clone());
            tokio::spawn(async move {
                if let Err(error) = talk(request, handle, names).await {
                    eprintln!("{error}");
                }
            });
        }
    });

    tokio::signal::ctrl_c().await?;
    let deadline = Duration::from_secs(5);
    tokio::join!(http.shutdown(deadline), handle.shutdown(CloseCode::SERVICE_RESTART, deadline))
        .1?;
    Ok(())
}
