//! `recv` and `send` as the documentation has it, with defaults wherever there are any; and what
//! else a server's program does for one of its connections: sends to it in a loop, or broadcasts
//! in a loop.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use towline::{Config, Connection, Connections, Deflate, Keepalive, Message, Request, Server};
use towline_bench_serving::options::Options;
use towline_bench_serving::{listening, probing};

pub(crate) const MODE: &str = "fair";

/// What a large message may have, in one frame too: more than by default.
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
        // Nobody answers, and nobody is to be ended for it.
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

/// Sends for as long as there is somebody to send to.
async fn push(connection: Connection) -> towline::Result<()> {
    let message = Message::from("p".repeat(PUSHED));
    loop {
        connection.send(message.clone()).await?;
    }
}

/// Broadcasts for as long as the connection is there that asked for it.
async fn broadcast(connection: Connection, connections: Connections) -> towline::Result<()> {
    let message = Message::from("b".repeat(BROADCAST));
    let asked = connection.info().id;
    while connections.get(asked).is_some() {
        let _sent = connections.broadcast(message.clone()).await;
    }
    Ok(())
}
