//! `recv` and `send` as in the documentation, with default settings; and a loop of `send` or `broadcast` if
//! a connection requests it.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use towline::{Config, Connection, Connections, Deflate, Keepalive, Message, Request, Server};
use towline_bench_serving::options::Options;
use towline_bench_serving::{listening, probing};

pub(crate) const MODE: &str = "fair";

/// The limit of messages and frames in bytes, above the default.
const LARGEST: usize = 1 << 20;

const PUSHED: usize = 1 << 10;
const BROADCAST: usize = 100;

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut config = Config::server()
        .max_received_frame_size(LARGEST)
        .max_received_message_size(LARGEST)
        .compression(Deflate::server());
    if let Some(silence) = options.keepalive {
        let silence = Duration::try_from_secs_f64(silence).context("no length of time")?;
        // The clients do not answer pings, and must not be disconnected for that.
        config = config.keepalive(Keepalive::every(silence).grace(None));
    }
    listening::run_on(options, move |listener| serve(listener, config.clone()))
}

async fn serve(listener: TcpListener, config: Config) -> Result<()> {
    let mut server = Server::builder().config(config).listen(listener);
    let connections = server.handle().connections();
    while let Some(request) = server.next_request().await {
        probing::spawn(attend(request, connections.clone()));
    }
    Ok(())
}

async fn attend(request: Request, connections: Connections) -> towline::Result<()> {
    let path = request.path().to_owned();
    let connection = request.accept().await?;
    match path.as_str() {
        "/push" => push(connection).await,
        "/broadcast" => broadcast(connection, connections).await,
        _ => echo(connection).await,
    }
}

async fn echo(mut connection: Connection) -> towline::Result<()> {
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}

/// Sends until the connection ends.
async fn push(connection: Connection) -> towline::Result<()> {
    let message = Message::from("p".repeat(PUSHED));
    loop {
        connection.send(message.clone()).await?;
    }
}

/// Broadcasts until the connection that requested it ends.
async fn broadcast(connection: Connection, connections: Connections) -> towline::Result<()> {
    let message = Message::from("b".repeat(BROADCAST));
    let asked = connection.info().id;
    while connections.get(asked).is_some() {
        let _sent = connections.broadcast(message.clone()).await;
    }
    Ok(())
}
