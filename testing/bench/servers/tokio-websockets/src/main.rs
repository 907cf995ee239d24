//! tokio-websockets: by `send`; or in batches, flushed at 64 KiB. A batch is collected before the first
//! message is fed, since the library writes before it reads.

use std::sync::Arc;

use anyhow::Result;
use tokio_websockets::{Config, Error, Limits, Message, ServerBuilder};
use towline_bench_serving::batching::{self, Step};
use towline_bench_serving::listening;
use towline_bench_serving::listening::Serve;
use towline_bench_serving::options::Options;
use towline_bench_serving::stream::Stream;

struct Echo;

fn main() -> Result<()> {
    listening::run::<Echo>(&["plain", "batched"])
}

impl Serve for Echo {
    async fn serve<S: Stream>(stream: S, options: Arc<Options>) -> Result<()> {
        let config = Config::default().frame_size(Options::LARGEST);
        let limits = Limits::default().max_payload_len(Some(Options::LARGEST));
        if options.mode == "plain" {
            let builder = ServerBuilder::new().config(config).limits(limits);
            let (_, socket) = builder.accept(stream).await?;
            batching::echo(socket, step).await
        } else {
            let config = config.flush_threshold(64 << 10);
            let builder = ServerBuilder::new().config(config).limits(limits);
            let (_, socket) = builder.accept(stream).await?;
            batching::echo_after_gathering(socket, step).await
        }
    }
}

fn step(received: Result<Message, Error>) -> Result<Step<Message>> {
    Ok(match received? {
        message if message.is_text() || message.is_binary() => Step::Reply(message),
        message if message.is_close() => Step::End,
        _ => Step::Skip,
    })
}
