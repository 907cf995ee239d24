//! A node: the program to copy. Every node runs the same, and they know nothing of each other.

use std::error::Error;

use towline::topics::{Topics, TopicsEvent, TopicsEvents};
use towline::{Request, Server, ServerHandle};
use towline_nats::NatsRelay;

/// Serves the chat, and prints the address: each path is a room.
pub(crate) async fn run(name: &str, broker: &str) -> Result<(), Box<dyn Error>> {
    let relay = NatsRelay::connect(broker).await?;
    let topics = Topics::builder().relay(relay).build();
    tokio::spawn(report(topics.events()));
    let mut server = Server::builder().topics(topics).bind("127.0.0.1:0").await?;
    println!("{}", server.local_addr()?);
    while let Some(request) = server.next_request().await {
        let (handle, name) = (server.handle(), name.to_owned());
        tokio::spawn(async move {
            if let Err(error) = talk(request, handle, &name).await {
                eprintln!("{name}: {error}");
            }
        });
    }
    Ok(())
}

/// A connection: what it says reaches everybody in the room, on all nodes.
async fn talk(request: Request, server: ServerHandle, name: &str) -> towline::Result<()> {
    let mut connection = request.accept().await?;
    let room = server.topics().topic(connection.path())?;
    // The broker knows of this node's interest when this has returned.
    room.join(&connection).await?;
    connection.send(format!("* this is {name}, {} are here", room.len())).await?;
    while let Some(message) = connection.recv().await? {
        room.publish(message).await;
    }
    Ok(())
}

async fn report(mut events: TopicsEvents) {
    while let Some(event) = events.next().await {
        match event {
            TopicsEvent::RelayLost { reason } => eprintln!("no messages between nodes: {reason}"),
            TopicsEvent::RelayBack => eprintln!("messages between nodes again"),
            TopicsEvent::MessagesLost { messages } => eprintln!("{messages} messages were lost"),
            _ => {}
        }
    }
}
