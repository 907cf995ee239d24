//! web-socket, on a buffered reader, since it reads headers in small pieces; or also with writes batched by
//! hand. It has no handshake, and does not validate text.

use std::sync::Arc;

use anyhow::{Result, bail};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use towline_bench_serving::corked::Corked;
use towline_bench_serving::listening::Serve;
use towline_bench_serving::options::Options;
use towline_bench_serving::stream::Stream;
use towline_bench_serving::{handshake, listening};
use web_socket::{DataType, Event, MessageType, WebSocket};

struct Echo;

fn main() -> Result<()> {
    listening::run::<Echo>(&["plain", "corked"])
}

impl Serve for Echo {
    async fn serve<S: Stream>(mut stream: S, options: Arc<Options>) -> Result<()> {
        handshake::upgrade(&mut stream).await?;
        if options.mode == "plain" {
            echo(WebSocket::server(BufReader::new(stream))).await
        } else {
            let buffer = options.receive_buffer(8 << 10, 128 << 10);
            echo(WebSocket::server(BufReader::with_capacity(buffer, Corked::new(stream)))).await
        }
    }
}

async fn echo<S>(mut socket: WebSocket<S>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.max_payload_len = Options::LARGEST;
    loop {
        match socket.recv().await? {
            Event::Data { ty: DataType::Complete(MessageType::Text), data } => {
                socket.send(std::str::from_utf8(&data)?).await?;
            }
            Event::Data { ty: DataType::Complete(MessageType::Binary), data } => {
                socket.send(&*data).await?;
            }
            Event::Ping(data) => socket.send_pong(data).await?,
            Event::Pong(_) => {}
            Event::Close { .. } => return Ok(socket.close(()).await?),
            Event::Data { .. } | Event::Error(_) => bail!("a fragment or a violation"),
        }
    }
}
