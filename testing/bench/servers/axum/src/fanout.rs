//! The chat of axum's examples: a broadcast channel for 100 messages, and a task for each direction of each
//! socket. It has a channel for each topic here, and no names.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use towline_bench_serving::fanout::{Channels, JOINED};

/// The number of messages in the example.
const CHANNEL: usize = 100;

type Rooms = Arc<Channels<String>>;

pub(crate) fn chat() -> Router {
    Router::new()
        .route("/join/{topic}", any(answer_member))
        .route("/publish/{topic}", any(answer_publisher))
        .with_state(Rooms::default())
}

async fn answer_member(
    upgrade: WebSocketUpgrade,
    Path(topic): Path<String>,
    State(rooms): State<Rooms>,
) -> Response {
    upgrade.on_upgrade(move |socket| join(socket, topic, rooms))
}

async fn answer_publisher(
    upgrade: WebSocketUpgrade,
    Path(topic): Path<String>,
    State(rooms): State<Rooms>,
) -> Response {
    upgrade.on_upgrade(move |socket| publish(socket, topic, rooms))
}

async fn join(socket: WebSocket, topic: String, rooms: Rooms) {
    let mut published = rooms.topic_of(&topic, CHANNEL).subscribe();
    let (mut sender, mut receiver) = socket.split();
    if sender.send(Message::text(JOINED)).await.is_err() {
        return;
    }
    let mut sending = tokio::spawn(async move {
        while let Ok(message) = published.recv().await {
            if sender.send(Message::text(message)).await.is_err() {
                break;
            }
        }
    });
    let mut receiving =
        tokio::spawn(
            async move { while let Some(Ok(Message::Text(_))) = receiver.next().await {} },
        );
    tokio::select! {
        _ = &mut sending => receiving.abort(),
        _ = &mut receiving => sending.abort(),
    }
}

async fn publish(mut socket: WebSocket, topic: String, rooms: Rooms) {
    let topic = rooms.topic_of(&topic, CHANNEL);
    while let Some(Ok(Message::Text(text))) = socket.recv().await {
        // An error means that there is no member.
        let _ = topic.send(text.to_string());
    }
}
