//! Small programs of the kinds that use tokio-tungstenite most, each in that library and in Towline.
//!
//! Each module has the two programs, `tungstenite` and `towline`, with the same functions, and the
//! server that both talk to. The servers are written with tokio-tungstenite, so that the programs in
//! Towline talk to another library. `tests/` runs both.

pub mod json_rpc;

pub mod exec;

pub mod gateway;

pub mod mqtt;

pub mod feed;

pub mod chat;

pub mod engine_io;

pub mod graphql;

pub mod graphql_client;

#[cfg(doctest)]
mod pages;

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// Serves each connection with this function.
async fn serve<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> anyhow::Result<SocketAddr>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    Ok(address)
}
