//! The floor: after the opening handshake, the bytes that came are written back as they are. No
//! frame is parsed, nothing is unmasked.

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towline_bench_serving::{handshake, listening};

fn main() -> Result<()> {
    listening::run(&["plain"], |stream, _| serve(stream))
}

async fn serve(mut stream: TcpStream) -> Result<()> {
    handshake::upgrade(&mut stream).await?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}
