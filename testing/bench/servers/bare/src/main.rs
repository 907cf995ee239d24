//! The floor: after the opening handshake, received bytes are written back as they are, without parsing
//! or unmasking. The buffer has 64 KiB. If tuned, it is as large as useful, which makes long messages
//! cheaper. `fanout` has the floor of fan-out.

mod fanout;

use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use towline_bench_serving::listening::Serve;
use towline_bench_serving::options::Options;
use towline_bench_serving::stream::Stream;
use towline_bench_serving::{handshake, listening};

struct Bare;

fn main() -> Result<()> {
    const MODES: &[&str] = &["plain", "tuned"];
    let options = listening::parse(MODES)?;
    if options.fanout { fanout::run(&options) } else { listening::run::<Bare>(MODES) }
}

impl Serve for Bare {
    async fn serve<S: Stream>(mut stream: S, options: Arc<Options>) -> Result<()> {
        let most = if options.mode == "plain" { 64 << 10 } else { 512 << 10 };
        let buffer = options.receive_buffer(64 << 10, most);
        handshake::upgrade(&mut stream).await?;
        // The connection is accepted, but nothing else has happened.
        stream.socket().readable().await?;
        let mut buffer = vec![0; buffer];
        loop {
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                read => stream.write_all(&buffer[..read]).await?,
            }
            // TLS may have kept some bytes; a socket keeps none.
            stream.flush().await?;
        }
    }
}
