//! axum's own extractor, over HTTP/1.1 and HTTP/2: `recv` and `send`, as its documentation shows.

mod fanout;

use anyhow::{Result, ensure};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use towline_bench_serving::listening;
use towline_bench_serving::options::Options;

fn main() -> Result<()> {
    let options = listening::parse(&["plain"])?;
    ensure!(options.tls.is_none(), "no TLS here");
    ensure!(!options.compress, "axum has no compression");
    if options.fanout {
        return listening::run_on(&options, |listener| serve(listener, fanout::chat()));
    }
    listening::run_on(&options, |listener| serve(listener, Router::new().route("/", any(answer))))
}

async fn serve(listener: TcpListener, app: Router) -> Result<()> {
    // An error here means that the client has gone, which the connection reports.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, app).await?)
}

async fn answer(upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_frame_size(Options::LARGEST).max_message_size(Options::LARGEST).on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // The library answers pings, and returns pongs and close frames as messages too.
        if matches!(message, Message::Text(_) | Message::Binary(_))
            && socket.send(message).await.is_err()
        {
            return;
        }
    }
}
