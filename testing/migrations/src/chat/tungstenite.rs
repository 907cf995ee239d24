//! The server with `axum::extract::ws`, which is on tokio-tungstenite. Pings, the close and the shutdown
//! are up to the program.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, timeout};

use crate::chat::{Rooms, Seat};

/// How often to ping, and how long the peer may be silent.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(30);

/// How long the peer may take to close, and all of them when the server shuts down.
const CLOSE: Duration = Duration::from_secs(5);
const SHUTDOWN: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct App {
    rooms: Rooms,
    stopping: watch::Receiver<bool>,
    /// Only held: it is dropped with each connection.
    _open: mpsc::Sender<Infallible>,
}

/// Serves the chat until `stop` is ready, and then until the connections have ended.
///
/// # Errors
///
/// If it can't serve.
pub async fn serve(
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopped, stopping) = watch::channel(false);
    let (open, mut ended) = mpsc::channel(1);
    let app = Router::new().route("/rooms/{room}/{user}", any(enter)).with_state(App {
        rooms: Rooms::new(),
        stopping,
        _open: open,
    });
    let stop = async move {
        stop.await;
        stopped.send_replace(true);
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    // axum does not wait for connections that were upgraded.
    let _ = timeout(SHUTDOWN, ended.recv()).await;
    Ok(())
}

async fn enter(
    State(app): State<App>,
    Path((room, user)): Path<(String, String)>,
    upgrade: WebSocketUpgrade,
) -> Response {
    match app.rooms.enter(&room, &user) {
        Ok(seat) => upgrade.on_upgrade(|socket| talk(socket, seat, app)),
        Err(status) => (status, "no such room, or the name is taken").into_response(),
    }
}

async fn talk(mut socket: WebSocket, mut seat: Seat, mut app: App) {
    let mut ping = interval(PING);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            said = seat.next() => {
                let Some(said) = said else { return };
                if socket.send(Message::Text(said.into())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => seat.say(&text),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                }
            }
            _ = app.stopping.changed() => return close(socket).await,
            _ = ping.tick() => {
                let ping = Message::Ping(Bytes::new());
                if heard.elapsed() > SILENCE || socket.send(ping).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Closes with 1001, and waits for the peer to do so.
async fn close(mut socket: WebSocket) {
    let frame = CloseFrame { code: 1001, reason: "".into() };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        let _ = timeout(CLOSE, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    }
}
