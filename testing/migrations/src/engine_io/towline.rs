//! The server in Towline.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use towline::{CloseCode, Config, Connection, Mechanism, Message, Server, ServerHandle};

use crate::engine_io::{Asked, Engine, MAX_PAYLOAD, Options, Reaction};

/// Serves engine.io.
///
/// # Errors
///
/// If it can't listen.
pub async fn serve(options: Options) -> Result<SocketAddr> {
    let engine = Arc::new(Engine::new(options));
    // engine.io has its own heartbeat.
    let config = Config::server().max_received_message_size(MAX_PAYLOAD).keepalive(None);
    let server = Server::builder().config(config).build_handle();
    crate::serve(move |stream| {
        let (engine, server) = (engine.clone(), server.clone());
        let service = service_fn(move |request| answer(engine.clone(), server.clone(), request));
        async {
            let http = http1::Builder::new();
            Ok(http.serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
        }
    })
    .await
}

async fn answer(
    engine: Arc<Engine>,
    server: ServerHandle,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let sid = match engine.ask(&mut request).await {
        Asked::WebSocket(sid) => sid,
        Asked::Answered(response) => return Ok(response),
    };
    let mechanism = Mechanism::of(&request);
    Ok(match towline_hyper::request(&server, request, None) {
        Ok((request, response)) => {
            tokio::spawn(async move { run(&engine, request.accept().await?, sid).await });
            response.await.map(Full::new)
        }
        Err(rejection) => rejection.response(mechanism).map(Full::new),
    })
}

async fn run(engine: &Engine, mut connection: Connection, sid: Option<String>) -> Result<()> {
    match sid {
        None => connection.send(engine.open(&[]).1).await?,
        Some(sid) => {
            if !upgrade(engine, &mut connection, &sid).await? {
                connection.close(CloseCode::PROTOCOL_ERROR, "not an upgrade").await?;
                return Ok(());
            }
        }
    }
    let mut heart = engine.heart();
    loop {
        tokio::select! {
            message = connection.recv() => match message? {
                None => return Ok(()),
                Some(Message::Binary(bytes)) => connection.send(bytes).await?,
                Some(Message::Text(text)) => match heart.react(&text) {
                    Reaction::Nothing => {}
                    Reaction::Send(packet) => connection.send(packet).await?,
                    Reaction::Close => break,
                },
            },
            is_alive = heart.beat() => match is_alive {
                true => connection.send("2").await?,
                false => break,
            },
        }
    }
    connection.close(CloseCode::NORMAL, "").await?;
    Ok(())
}

/// Returns whether the client has upgraded the session.
async fn upgrade(engine: &Engine, connection: &mut Connection, sid: &str) -> Result<bool> {
    if connection.recv().await? != Some(Message::text("2probe")) {
        return Ok(false);
    }
    connection.send("3probe").await?;
    engine.probe(sid);
    if connection.recv().await? != Some(Message::text("5")) {
        return Ok(false);
    }
    let Some(packets) = engine.upgrade(sid) else { return Ok(false) };
    for packet in packets {
        connection.send(packet).await?;
    }
    Ok(true)
}
