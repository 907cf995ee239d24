//! The server in tokio-tungstenite.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::engine_io::{Asked, Engine, MAX_PAYLOAD, Options, Reaction};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How long the client may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// Serves engine.io.
///
/// # Errors
///
/// If it can't listen.
pub async fn serve(options: Options) -> Result<SocketAddr> {
    let engine = Arc::new(Engine::new(options));
    crate::serve(move |stream| {
        let engine = engine.clone();
        let service = service_fn(move |request| answer(engine.clone(), request));
        async {
            let http = http1::Builder::new();
            Ok(http.serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
        }
    })
    .await
}

async fn answer(
    engine: Arc<Engine>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let sid = match engine.ask(&mut request).await {
        Asked::WebSocket(sid) => sid,
        Asked::Answered(response) => return Ok(response),
    };
    Ok(match create_response_with_body(&request, Full::default) {
        Ok(response) => {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let config = WebSocketConfig::default().max_message_size(Some(MAX_PAYLOAD));
                let (stream, config) = (TokioIo::new(upgraded.await?), Some(config));
                let socket = WebSocketStream::from_raw_socket(stream, Role::Server, config).await;
                run(&engine, socket, sid).await
            });
            response
        }
        Err(error) => {
            let mut response = Response::new(error.to_string().into());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    })
}

async fn run(engine: &Engine, mut socket: Socket, sid: Option<String>) -> Result<()> {
    match sid {
        None => socket.send(engine.open(&[]).1.into()).await?,
        Some(sid) => {
            if !upgrade(engine, &mut socket, &sid).await? {
                return close(socket, 1002, "not an upgrade").await;
            }
        }
    }
    let mut heart = engine.heart();
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => socket.send(bytes.into()).await?,
                Some(Ok(Message::Text(text))) => match heart.react(&text) {
                    Reaction::Nothing => {}
                    Reaction::Send(packet) => socket.send(packet.into()).await?,
                    Reaction::Close => break,
                },
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            },
            is_alive = heart.beat() => match is_alive {
                true => socket.send("2".into()).await?,
                false => break,
            },
        }
    }
    close(socket, 1000, "").await
}

/// Returns whether the client has upgraded the session.
async fn upgrade(engine: &Engine, socket: &mut Socket, sid: &str) -> Result<bool> {
    if next(socket).await? != Some("2probe".into()) {
        return Ok(false);
    }
    socket.send("3probe".into()).await?;
    engine.probe(sid);
    if next(socket).await? != Some("5".into()) {
        return Ok(false);
    }
    let Some(packets) = engine.upgrade(sid) else { return Ok(false) };
    for packet in packets {
        socket.send(packet.into()).await?;
    }
    Ok(true)
}

/// Returns the next message that is not for the protocol alone.
async fn next(socket: &mut Socket) -> Result<Option<Message>> {
    loop {
        match socket.next().await.transpose()? {
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            Some(Message::Close(_)) => return Ok(None),
            message => return Ok(message),
        }
    }
}

/// Closes, and waits for the client to do so.
async fn close(mut socket: Socket, code: u16, reason: &str) -> Result<()> {
    socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await?;
    let _ = timeout(CLOSE, async { while let Some(Ok(_)) = socket.next().await {} }).await;
    Ok(())
}
