//! The floor: after the opening handshake, the bytes that came are written back as they are. No
//! frame is parsed, nothing is unmasked. The buffer has 64 KiB, or, if tuned, is as large as is
//! useful, which for messages above it makes a floor that lies deeper.

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towline_bench_serving::{handshake, listening};

fn main() -> Result<()> {
    listening::run(&["plain", "tuned"], |stream, options| {
        let most = if options.mode == "plain" { 64 << 10 } else { 512 << 10 };
        serve(stream, options.receive_buffer(64 << 10, most))
    })
}

async fn serve(mut stream: TcpStream, buffer: usize) -> Result<()> {
    handshake::upgrade(&mut stream).await?;
    // Until then it has been accepted, and no more.
    stream.readable().await?;
    let mut buffer = vec![0; buffer];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}
