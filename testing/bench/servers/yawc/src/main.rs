//! yawc: with hyper and by `send`, as its examples; or on the bare socket in batches, with the
//! buffers that its own benchmark has. Text is checked, which it does on request only.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use towline_bench_serving::batching::{self, Step};
use towline_bench_serving::options::Options;
use towline_bench_serving::{handshake, listening};
use yawc::{Frame, OpCode, Role, UpgradeFut, WebSocket};

fn main() -> Result<()> {
    listening::run(&["plain", "batched"], serve)
}

async fn serve(mut stream: TcpStream, options: Arc<Options>) -> Result<()> {
    if options.mode == "plain" {
        let http = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .with_upgrades();
        return Ok(http.await?);
    }
    handshake::upgrade(&mut stream).await?;
    let tuned = limits().with_read_buffer_capacity(128 << 10).with_backpressure_boundary(64 << 10);
    let socket = WebSocket::from_stream(stream, Role::Server, tuned)?;
    batching::echo_in_batches(socket, step).await
}

fn limits() -> yawc::Options {
    // The first of them is exclusive.
    yawc::Options::default()
        .with_limits(Options::LARGEST + 1, 2 * Options::LARGEST)
        .with_utf8()
        .with_no_delay()
        .without_compression()
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let Ok((response, upgraded)) = WebSocket::upgrade_with_options(&mut request, limits()) else {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    tokio::spawn(echo_upgraded(upgraded));
    Ok(response)
}

async fn echo_upgraded(upgraded: UpgradeFut) -> Result<()> {
    batching::echo(upgraded.await?, step).await
}

fn step(frame: Frame) -> Result<Step<Frame>> {
    Ok(match frame.opcode() {
        OpCode::Text | OpCode::Binary => Step::Reply(frame),
        OpCode::Close => Step::End,
        _ => Step::Skip,
    })
}
