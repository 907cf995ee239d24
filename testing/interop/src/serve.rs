//! The server of the contract.

use std::io::{Write as _, stdout};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use towline::{
    Accept, CloseCode, Config, Connection, Event, OriginPolicy, Request, Server, TlsServer,
};

use crate::closes::Closes;
use crate::compression::{self, Settings};
use crate::query::Query;
use crate::{fragments, limits};

const PROTOCOLS: [&str; 2] = ["chat.v1", "chat.v2"];

pub(crate) async fn run(
    listen: &str,
    compress: Option<Settings>,
    tls: Option<TlsServer>,
) -> Result<()> {
    let config = compression::with(limits::raise(Config::server()), compress);
    let mut builder = Server::builder().config(config).origins(OriginPolicy::Any);
    if let Some(tls) = tls {
        builder = builder.tls(tls);
    }
    let mut server = builder.bind(listen).await?;
    let mut out = stdout();
    writeln!(out, "listening on {}", server.local_addr()?)?;
    out.flush()?;

    let closes = Arc::new(Closes::default());
    while let Some(request) = server.next_request().await {
        let closes = closes.clone();
        tokio::spawn(async move {
            let resource = request.resource().to_owned();
            if let Err(error) = answer(request, &closes).await {
                eprintln!("{resource}: {error:#}");
            }
        });
    }
    Ok(())
}

async fn answer(request: Request, closes: &Closes) -> Result<()> {
    let path = request.path().to_owned();
    if path == "/reject" {
        return Ok(request.reject(StatusCode::FORBIDDEN, "not here").await?);
    }
    let (query, headers) =
        (request.query().unwrap_or_default().to_owned(), request.headers().clone());
    let mut accept = Accept::new();
    let known = |name: &str| PROTOCOLS.iter().any(|known| name.eq_ignore_ascii_case(known));
    if let Some(protocol) = request.protocols().iter().find(|offered| known(offered.as_str())) {
        accept = accept.protocol(protocol.as_str());
    }
    let connection = request.accept_with(accept).await?;
    converse(connection, &path, &query, &headers, closes).await
}

/// Does what the contract says for a connection, until it has ended.
pub(crate) async fn converse(
    mut connection: Connection,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    closes: &Closes,
) -> Result<()> {
    let query = Query::parse(query);
    let id = query.get("id");
    let entry = (!id.is_empty() && path != "/last-close").then(|| closes.enter(id));
    let result = match path {
        "/close" => start_close(&connection, &query),
        "/headers" => Ok(connection.send(as_json(headers).to_string()).await?),
        "/ping" => Ok(connection.ping(query.get("payload").to_owned()).await?),
        "/last-close" => Ok(connection.send(closes.received(id).await.to_string()).await?),
        _ => Ok(()),
    };
    let result = match result {
        Ok(()) => echo(&mut connection, path, &query).await,
        error => error,
    };
    // The connection has ended, or ends now.
    let closed = connection.close(CloseCode::NORMAL, "").await?;
    if let Some(entry) = entry {
        entry.closed(&closed);
    }
    result
}

async fn echo(connection: &mut Connection, path: &str, query: &Query) -> Result<()> {
    let mut awaited = (path == "/ping").then(|| query.get("payload"));
    while let Some(event) = connection.next_event().await? {
        match event {
            Event::Message(message) if path == "/fragmented" => {
                fragments::send(connection, message).await?;
            }
            Event::Message(message) => connection.send(message).await?,
            Event::Pong(payload) => {
                if let Some(text) = awaited.take_if(|text| text.as_bytes() == payload) {
                    connection.send(format!("pong {text}")).await?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn start_close(connection: &Connection, query: &Query) -> Result<()> {
    let code = query.get("code").parse().context("code")?;
    Ok(connection.start_close(CloseCode::new(code), query.get("reason"))?)
}

fn as_json(headers: &HeaderMap) -> Value {
    let value = |name| {
        let values = headers.get_all(name).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        Value::from(values.join(", "))
    };
    headers.keys().map(|name| (name.to_string(), value(name))).collect()
}
