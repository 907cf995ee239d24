//! tokio-tungstenite: by `send`; or in batches, with a receive buffer no larger than useful (it is
//! zeroed before each read).

mod fanout;

use std::sync::Arc;

use anyhow::Result;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use towline_bench_serving::batching::{self, Step};
use towline_bench_serving::listening;
use towline_bench_serving::listening::Serve;
use towline_bench_serving::options::Options;
use towline_bench_serving::stream::Stream;

struct Echo;

fn main() -> Result<()> {
    const MODES: &[&str] = &["plain", "batched"];
    let options = listening::parse(MODES)?;
    if options.fanout { fanout::run(&options) } else { listening::run::<Echo>(MODES) }
}

impl Serve for Echo {
    async fn serve<S: Stream>(stream: S, options: Arc<Options>) -> Result<()> {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(Options::LARGEST))
            .max_frame_size(Some(Options::LARGEST));
        if options.mode == "plain" {
            let socket = accept_async_with_config(stream, Some(limits)).await?;
            batching::echo(socket, step).await
        } else {
            let config = limits.read_buffer_size(options.receive_buffer(8 << 10, 128 << 10));
            let socket = accept_async_with_config(stream, Some(config)).await?;
            batching::echo_in_batches(socket, step).await
        }
    }
}

fn step(received: Result<Message, Error>) -> Result<Step<Message>> {
    Ok(match received? {
        message if message.is_text() || message.is_binary() => Step::Reply(message),
        Message::Close(_) => Step::End,
        _ => Step::Skip,
    })
}
