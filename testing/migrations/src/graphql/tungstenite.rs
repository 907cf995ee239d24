//! The server in tokio-tungstenite. Operations send through a channel.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::graphql::{PROTOCOL, Session, Step, complete, next};

/// How many messages of operations wait to be sent.
const QUEUE: usize = 16;

/// How long the client may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// Serves GraphQL. Clients have this long to send `connection_init`.
///
/// # Errors
///
/// If it can't listen.
pub async fn serve(init: Duration) -> Result<SocketAddr> {
    crate::serve(move |stream| converse(stream, init)).await
}

async fn converse(stream: TcpStream, init: Duration) -> Result<()> {
    let mut agreed = false;
    #[allow(clippy::result_large_err)]
    let choose = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let lines = request.headers().get_all("sec-websocket-protocol").into_iter();
        let mut offered =
            lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        agreed = offered.any(|name| name.trim() == PROTOCOL);
        if agreed {
            let value = HeaderValue::from_static(PROTOCOL);
            response.headers_mut().insert("sec-websocket-protocol", value);
        }
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, choose).await?;
    if !agreed {
        return close(socket, 4406, "Subprotocol not acceptable").await;
    }
    let (sender, mut queue) = mpsc::channel(QUEUE);
    let mut session = Session::default();
    let mut init = std::pin::pin!(sleep(init));
    let (code, reason) = loop {
        let message = tokio::select! {
            message = socket.next() => message,
            Some(text) = queue.recv() => {
                socket.send(Message::text::<String>(text)).await?;
                continue;
            }
            () = &mut init, if !session.is_acknowledged => {
                break (4408, "Connection initialisation timeout".to_owned());
            }
        };
        let step = match message {
            Some(Ok(Message::Text(text))) => session.handle(&text),
            Some(Ok(Message::Binary(_))) => session.handle(""),
            Some(Ok(Message::Close(_))) | None => return Ok(()),
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(error.into()),
        };
        match step {
            Ok(Step::Nothing) => {}
            Ok(Step::Send(answer)) => socket.send(Message::text(answer.to_string())).await?,
            Ok(Step::Run(id, numbers)) => {
                let (sender, operations) = (sender.clone(), session.operations.clone());
                session.operations.start(id.clone(), async move {
                    for number in numbers {
                        if sender.send(next(&id, number)).await.is_err() {
                            return;
                        }
                    }
                    operations.end(&id);
                    let _ = sender.send(complete(&id)).await;
                });
            }
            Err(close) => break close,
        }
    };
    close(socket, code, &reason).await
}

/// Closes, and waits for the client to do so.
async fn close(mut socket: WebSocketStream<TcpStream>, code: u16, reason: &str) -> Result<()> {
    socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await?;
    let _ = timeout(CLOSE, async { while let Some(Ok(_)) = socket.next().await {} }).await;
    Ok(())
}
