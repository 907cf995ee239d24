//! The floor: after the opening handshake, the bytes that came are written back as they are. No
//! frame is parsed, nothing is unmasked. The buffer has 64 KiB, or, if tuned, is as large as is
//! useful, which for messages above it makes a floor that lies deeper.

use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use towline_bench_serving::listening::Serve;
use towline_bench_serving::options::Options;
use towline_bench_serving::stream::Stream;
use towline_bench_serving::{handshake, listening};

struct Bare;

fn main() -> Result<()> {
    listening::run::<Bare>(&["plain", "tuned"])
}

impl Serve for Bare {
    async fn serve<S: Stream>(mut stream: S, options: Arc<Options>) -> Result<()> {
        let most = if options.mode == "plain" { 64 << 10 } else { 512 << 10 };
        let buffer = options.receive_buffer(64 << 10, most);
        handshake::upgrade(&mut stream).await?;
        // Until then it has been accepted, and no more.
        stream.socket().readable().await?;
        let mut buffer = vec![0; buffer];
        loop {
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                read => stream.write_all(&buffer[..read]).await?,
            }
            // TLS may have kept some of it; a socket keeps nothing.
            stream.flush().await?;
        }
    }
}
