//! fastwebsockets: with hyper, as in its examples; on the bare socket; and on that with writes batched by
//! hand, since it writes every message separately.

mod fanout;

use std::sync::Arc;

use anyhow::Result;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use towline_bench_serving::corked::Corked;
use towline_bench_serving::listening::Serve;
use towline_bench_serving::options::Options;
use towline_bench_serving::stream::Stream;
use towline_bench_serving::{handshake, listening};

const MODES: &[&str] = &["plain", "direct", "corked"];

struct Echo;

fn main() -> Result<()> {
    let options = listening::parse(MODES)?;
    if options.fanout { fanout::run(&options) } else { listening::run::<Echo>(MODES) }
}

impl Serve for Echo {
    async fn serve<S: Stream>(mut stream: S, options: Arc<Options>) -> Result<()> {
        if options.mode == "plain" {
            let service = service_fn(answer);
            let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            return Ok(http.with_upgrades().await?);
        }
        handshake::upgrade(&mut stream).await?;
        // Its examples set this, and it helps.
        if options.mode == "direct" {
            tokio::task::unconstrained(echo(WebSocket::after_handshake(stream, Role::Server)))
                .await?;
        } else {
            let stream = Corked::new(stream);
            tokio::task::unconstrained(echo(WebSocket::after_handshake(stream, Role::Server)))
                .await?;
        }
        Ok(())
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade(&mut request)?;
    tokio::spawn(tokio::task::unconstrained(echo_upgraded(upgraded)));
    Ok(response)
}

async fn echo_upgraded(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    echo(upgraded.await?).await
}

async fn echo<S>(mut socket: WebSocket<S>) -> Result<(), WebSocketError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.set_max_message_size(Options::LARGEST);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}
