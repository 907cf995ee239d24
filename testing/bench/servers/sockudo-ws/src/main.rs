//! sockudo-ws: by `send`; or in batches. Its handshake does not negotiate compression, so with compression
//! the handshake is done by hand.

use std::sync::Arc;

use anyhow::Result;
use futures_util::{Sink, Stream};
use sockudo_ws::handshake::server_handshake;
use sockudo_ws::{
    CompressedWebSocketStream, Config, DeflateConfig, Error, Message, Role, WebSocketStream,
};
use towline_bench_serving::batching::{self, Step};
use towline_bench_serving::listening::Serve;
use towline_bench_serving::options::Options;
use towline_bench_serving::{handshake, listening, stream};

struct Echo;

fn main() -> Result<()> {
    listening::run::<Echo>(&["plain", "batched"])
}

impl Serve for Echo {
    async fn serve<S: stream::Stream>(mut stream: S, options: Arc<Options>) -> Result<()> {
        let config = Config {
            max_message_size: Options::LARGEST,
            max_frame_size: Options::LARGEST,
            ..Config::default()
        };
        let is_plain = options.mode == "plain";
        if options.compress {
            handshake::upgrade_with(&mut stream, Some(handshake::compression(options.takeover)))
                .await?;
            let deflate = DeflateConfig {
                server_no_context_takeover: !options.takeover,
                client_no_context_takeover: !options.takeover,
                compression_threshold: 0,
                ..DeflateConfig::default()
            };
            let socket = CompressedWebSocketStream::server(stream, config, deflate);
            return echo(socket, is_plain).await;
        }
        let early = server_handshake(&mut stream).await?.leftover;
        let socket = WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, early);
        echo(socket, is_plain).await
    }
}

async fn echo<S>(socket: S, is_plain: bool) -> Result<()>
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    if is_plain {
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
