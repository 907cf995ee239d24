//! Fan-out as users write it: a broadcast channel for each topic and a task for each socket. By `send`; or
//! in batches, by `feed` while the channel has more.

use std::sync::Arc;

use anyhow::Result;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use towline_bench_serving::fanout::{self, Channels, JOINED, Role};
use towline_bench_serving::options::Options;

struct Shared {
    channels: Channels<Message>,
    is_batched: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let is_batched = options.mode == "batched";
    fanout::run(options, Shared { channels: Channels::default(), is_batched }, serve)
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) -> Result<()> {
    let mut path = String::new();
    #[allow(clippy::result_large_err)]
    let look = |request: &Request, response: Response| {
        request.uri().path().clone_into(&mut path);
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, look).await?;
    match Role::of(&path)? {
        Role::Member(topic) => {
            let published = shared.channels.topic(&topic).subscribe();
            socket.send(Message::text(JOINED)).await?;
            attend(socket, published, shared.is_batched).await
        }
        Role::Publisher(topic) => publish(socket, shared.channels.topic(&topic)).await,
    }
}

async fn attend(
    mut socket: WebSocketStream<TcpStream>,
    mut published: Receiver<Message>,
    is_batched: bool,
) -> Result<()> {
    loop {
        select! {
            message = published.recv() => match message {
                Ok(message) if is_batched => {
                    socket.feed(message).await?;
                    while let Ok(message) = published.try_recv() {
                        socket.feed(message).await?;
                    }
                    socket.flush().await?;
                }
                Ok(message) => socket.send(message).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            received = socket.next() => match received {
                Some(received) => drop(received?),
                None => return Ok(()),
            },
        }
    }
}

async fn publish(mut socket: WebSocketStream<TcpStream>, topic: Sender<Message>) -> Result<()> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            // An error means that there is no member.
            let _ = topic.send(message);
        }
    }
    Ok(())
}
