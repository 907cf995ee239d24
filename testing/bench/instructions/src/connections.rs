//! Whole connections, on a current-thread runtime and over a pipe in memory, so that neither a socket nor
//! another thread is involved. The peer is hand-written and costs little.

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;
use towline::{Connection, Server};

use crate::frames::{self, BINARY, put};
use crate::handshakes::REQUEST;

const PIPE: usize = 64 << 10;
const SIZE: usize = 32;

fn block_on(future: impl Future<Output = Result<()>>) -> Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// Both ends of a connection: the server, and the hand-written peer.
async fn connect(server: &mut Server) -> Result<(Connection, DuplexStream)> {
    let (mut client, stream) = duplex(PIPE);
    server.serve(stream, None);
    client.write_all(REQUEST.as_bytes()).await?;
    let Some(request) = server.next_request().await else {
        anyhow::bail!("there is no request");
    };
    let connection = request.accept().await?;
    let mut response = [0; 1024];
    let mut length = 0;
    while !response[..length].ends_with(b"\r\n\r\n") {
        let read = client.read(&mut response[length..]).await?;
        ensure!(read > 0, "no response");
        length += read;
    }
    Ok((connection, client))
}

/// Runs a connection from its request to its end, without a close frame.
pub(crate) fn accept(times: usize) -> Result<()> {
    block_on(async {
        let mut server = Server::builder().build();
        for _ in 0..times {
            let (mut connection, client) = connect(&mut server).await?;
            drop(client);
            ensure!(connection.recv().await.is_err(), "the end is no clean one");
        }
        Ok(())
    })
}

pub(crate) fn echo(in_flight: usize, times: usize) -> Result<()> {
    block_on(async {
        let (mut connection, client) = connect(&mut Server::builder().build()).await?;
        let server = tokio::spawn(async move {
            while let Some(message) = connection.recv().await? {
                connection.send(message).await?;
            }
            towline::Result::Ok(())
        });
        converse(client, in_flight, times).await?;
        server.abort();
        Ok(())
    })
}

pub(crate) fn echo_borrowed(in_flight: usize, times: usize) -> Result<()> {
    block_on(async {
        let (connection, client) = connect(&mut Server::builder().build()).await?;
        let (sender, mut receiver) = connection.split();
        let server = tokio::spawn(async move {
            while let Some(message) = receiver.recv_ref().await? {
                sender.send(message).await?;
            }
            towline::Result::Ok(())
        });
        converse(client, in_flight, times).await?;
        server.abort();
        Ok(())
    })
}

/// Sends this many messages at once, and waits for as many replies.
async fn converse(mut client: DuplexStream, in_flight: usize, times: usize) -> Result<()> {
    let mut wire = Vec::new();
    for _ in 0..in_flight {
        put(&mut wire, BINARY, &frames::bytes(SIZE));
    }
    // The replies are not masked.
    let mut replies = vec![0; in_flight * (2 + SIZE)];
    for _ in 0..times.div_ceil(in_flight) {
        client.write_all(&wire).await?;
        client.read_exact(&mut replies).await?;
        ensure!(replies.starts_with(&[BINARY, 32, 0, 1]), "a reply is no echo");
    }
    Ok(())
}
