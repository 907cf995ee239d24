//! sockudo-ws: by `send`; or in batches.

use std::sync::Arc;

use anyhow::Result;
use sockudo_ws::handshake::server_handshake;
use sockudo_ws::{Config, Error, Message, Role, WebSocketStream};
use tokio::net::TcpStream;
use towline_bench_serving::batching::{self, Step};
use towline_bench_serving::listening;
use towline_bench_serving::options::Options;

fn main() -> Result<()> {
    listening::run(&["plain", "batched"], serve)
}

async fn serve(mut stream: TcpStream, options: Arc<Options>) -> Result<()> {
    let handshake = server_handshake(&mut stream).await?;
    let config = Config {
        max_message_size: Options::LARGEST,
        max_frame_size: Options::LARGEST,
        ..Config::default()
    };
    let early = handshake.leftover;
    let socket = WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, early);
    if options.mode == "plain" {
        batching::echo(socket, step).await
    } else {
        batching::echo_in_batches(socket, step).await
    }
}

fn step(received: Result<Message, Error>) -> Result<Step<Message>> {
    Ok(match received? {
        message @ (Message::Text(_) | Message::Binary(_)) => Step::Reply(message),
        Message::Close(_) => Step::End,
        _ => Step::Skip,
    })
}
