//! A server of HTTP/2 that behaves: its WebSockets echo, or flood.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use tokio::net::TcpListener;
use towline::{Config, Connection, Io, Role};
use towline_kit::http2_io::Tunnel;

/// How many messages of one byte a flood has.
pub(crate) const FLOOD: usize = 60_000;

/// The server.
pub(crate) struct Hub {
    pub(crate) url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl Hub {
    /// A server that allows so many streams on a connection.
    pub(crate) async fn new(streams: u32) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), streams).await
    }

    /// The same at this address.
    pub(crate) async fn at(address: SocketAddr, streams: u32) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let kept = counts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                kept.accepted.fetch_add(1, Ordering::Relaxed);
                kept.open.fetch_add(1, Ordering::Relaxed);
                let kept = kept.clone();
                tokio::spawn(async move {
                    serve(stream, streams).await;
                    kept.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { url, counts }
    }

    /// How many TCP connections there were, and how many there are.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let Counts { accepted, open } = &*self.counts;
        (accepted.load(Ordering::Relaxed), open.load(Ordering::Relaxed))
    }

    /// Waits until all TCP connections have ended.
    pub(crate) async fn is_empty(&self) {
        while self.connections().1 > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(stream: impl Io, streams: u32) {
    let mut builder = h2::server::Builder::new();
    builder.enable_connect_protocol().max_concurrent_streams(streams);
    builder.initial_connection_window_size(16 << 20);
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond));
    }
    let _ = poll_fn(|cx| connection.poll_closed(cx)).await;
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let path = request.uri().path().to_owned();
    let mut response = Response::new(());
    for name in ["authorization", "cookie", "origin", "x-berth", "sec-websocket-protocol"] {
        if let Some(value) = request.headers().get(name) {
            let echo = http::HeaderName::try_from(format!("echo-{name}")).unwrap();
            response.headers_mut().insert(echo, value.clone());
        }
    }
    let authority = request.uri().authority().unwrap().as_str();
    response.headers_mut().insert("echo-authority", authority.try_into().unwrap());
    if let Some(to) = path.strip_prefix("/to/") {
        *response.status_mut() = http::StatusCode::FOUND;
        response.headers_mut().insert("location", format!("/{to}").try_into().unwrap());
        respond.send_response(response, true).unwrap();
        return;
    }
    let send = respond.send_response(response, false).unwrap();
    let tunnel = Tunnel::new(send, request.into_body());
    match &*path {
        "/flood" => flood(tunnel).await,
        "/torrent" => torrent(tunnel).await,
        _ => echo(tunnel).await,
    }
}

async fn echo(tunnel: Tunnel) {
    let mut connection =
        Connection::from_stream(tunnel, Role::Server, &Config::server(), Bytes::new());
    while let Ok(Some(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            break;
        }
    }
    connection.wait_closed().await;
}

/// Each message is a DATA frame.
async fn flood(mut tunnel: Tunnel) {
    for number in 0..FLOOD {
        let frame = [0x82, 1, number.to_le_bytes()[0]];
        if tokio::io::AsyncWriteExt::write_all(&mut tunnel, &frame).await.is_err() {
            return;
        }
    }
    let _ = tokio::io::AsyncWriteExt::write_all(&mut tunnel, &[0x88, 2, 3, 0xe8]).await;
    let _ = tokio::io::copy(&mut tunnel, &mut tokio::io::sink()).await;
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut tunnel).await;
}

/// A message without an end, as fast as the windows allow.
async fn torrent(mut tunnel: Tunnel) {
    let head = [&[0x82, 127][..], &(1u64 << 40).to_be_bytes()].concat();
    let mut bytes = head;
    while tokio::io::AsyncWriteExt::write_all(&mut tunnel, &bytes).await.is_ok() {
        bytes = vec![7; 16 << 10];
    }
}
