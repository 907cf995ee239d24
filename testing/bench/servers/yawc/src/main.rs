//! yawc: with hyper and by `send`, as in its examples; or on the bare socket in batches, with the buffers of
//! its own benchmark. Validation of text, which is optional, is on.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use towline_bench_serving::batching::{self, Step};
use towline_bench_serving::listening::Serve;
use towline_bench_serving::options::Options;
use towline_bench_serving::stream::Stream;
use towline_bench_serving::{handshake, listening};
use yawc::{Frame, OpCode, Role, UpgradeFut, WebSocket};

struct Echo;

fn main() -> Result<()> {
    listening::run::<Echo>(&["plain", "batched"])
}

impl Serve for Echo {
    async fn serve<S: Stream>(mut stream: S, options: Arc<Options>) -> Result<()> {
        if options.mode == "plain" {
            let wanted = wanted(&options);
            let service = service_fn(move |request| answer(request, wanted.clone()));
            let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            return Ok(http.with_upgrades().await?);
        }
        let extensions = options.compress.then(|| handshake::compression(options.takeover));
        handshake::upgrade_with(&mut stream, extensions).await?;
        let tuned = wanted(&options)
            .with_read_buffer_capacity(128 << 10)
            .with_backpressure_boundary(64 << 10);
        let socket =
            WebSocket::from_stream_with_extensions(stream, Role::Server, extensions, tuned)?;
        batching::echo_in_batches(socket, step).await
    }
}

fn wanted(options: &Options) -> yawc::Options {
    // The first limit is exclusive.
    let wanted = yawc::Options::default()
        .with_limits(Options::LARGEST + 1, 2 * Options::LARGEST)
        .with_utf8()
        .with_no_delay();
    match (options.compress, options.takeover) {
        (false, _) => wanted.without_compression(),
        (true, true) => wanted.with_balanced_compression(),
        (true, false) => wanted
            .with_balanced_compression()
            .server_no_context_takeover()
            .client_no_context_takeover(),
    }
}

async fn answer(
    mut request: Request<Incoming>,
    wanted: yawc::Options,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let Ok((response, upgraded)) = WebSocket::upgrade_with_options(&mut request, wanted) else {
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
