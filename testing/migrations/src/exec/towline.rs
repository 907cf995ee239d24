//! The client in Towline.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::Empty;
use towline::{CloseCode, Config, Connect};
use towline_hyper::from_agreed;

use crate::exec::{Output, PROTOCOL, STDIN, http, on};

/// Runs a command with this input.
///
/// # Errors
///
/// If the server refuses, or the connection ends before the command.
pub async fn exec(address: SocketAddr, token: &str, input: &[&str]) -> Result<Output> {
    let opening = Connect::new()
        .protocols([PROTOCOL])
        .header("authorization", format!("Bearer {token}"))
        .open(&format!("ws://{address}/api/v1/namespaces/default/pods/web/exec").parse()?)?;
    let request = opening.request().clone().map(|()| Empty::<Bytes>::new());
    let response = http(address).await?.send_request(request).await?;
    let agreed = opening.verify(&response)?;
    let upgraded = hyper::upgrade::on(response).await?;
    let mut connection = from_agreed(upgraded, agreed, &Config::client());
    ensure!(connection.protocol() == Some(PROTOCOL), "the server does not speak {PROTOCOL}");

    for line in input {
        connection.send(on(STDIN, line.as_bytes())).await?;
    }
    let mut output = Output::default();
    while let Some(message) = connection.recv().await? {
        if output.add(message.as_bytes())? {
            break;
        }
    }
    connection.close(CloseCode::NORMAL, "").await?;
    Ok(output)
}
