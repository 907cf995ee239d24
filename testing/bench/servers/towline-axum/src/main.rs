//! Towline's extractor for axum, over HTTP/1.1 and HTTP/2: `recv` and `send`.

use anyhow::{Result, ensure};
use axum::Router;
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use towline::{Config, Connection, Server};
use towline_axum::Upgrade;
use towline_bench_serving::listening;
use towline_bench_serving::options::Options;

fn main() -> Result<()> {
    let options = listening::parse(&["plain"])?;
    ensure!(options.tls.is_none(), "no TLS here");
    ensure!(!options.compress, "no compression here");
    listening::run_on(&options, serve)
}

async fn serve(listener: TcpListener) -> Result<()> {
    // Keepalive and everything else is at its default.
    let config = Config::server()
        .max_received_frame_size(Options::LARGEST)
        .max_received_message_size(Options::LARGEST)
        .fragment_outgoing_messages(false);
    let server = Server::builder().config(config).build_handle();
    // Over HTTP/2 the extractor cannot do that.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let app = Router::new().route("/", any(answer)).layer(towline_axum::layer(server));
    Ok(axum::serve(listener, app).await?)
}

async fn answer(upgrade: Upgrade) -> Response {
    upgrade.on_connection(echo)
}

async fn echo(mut connection: Connection) -> towline::Result<()> {
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}
