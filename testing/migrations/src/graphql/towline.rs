//! The server in Towline.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;
use towline::{Accept, CloseCode, Request, Server};

use crate::graphql::{PROTOCOL, Session, Step, complete, next};

/// Serves GraphQL. Clients have this long to send `connection_init`.
///
/// # Errors
///
/// If it can't listen.
pub async fn serve(init: Duration) -> Result<SocketAddr> {
    let mut server = Server::bind("127.0.0.1:0").await?;
    let address = server.local_addr()?;
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            tokio::spawn(converse(request, init));
        }
    });
    Ok(address)
}

async fn converse(request: Request, init: Duration) -> Result<()> {
    let mut connection = request.accept_with(Accept::new().protocols([PROTOCOL])).await?;
    if connection.protocol().is_none() {
        connection.close(CloseCode::new(4406), "Subprotocol not acceptable").await?;
        return Ok(());
    }
    let mut session = Session::default();
    let mut init = std::pin::pin!(sleep(init));
    let (code, reason) = loop {
        let message = tokio::select! {
            message = connection.recv() => message?,
            () = &mut init, if !session.is_acknowledged => {
                break (4408, "Connection initialisation timeout".to_owned());
            }
        };
        let Some(message) = message else { return Ok(()) };
        match session.handle(message.as_text().unwrap_or_default()) {
            Ok(Step::Nothing) => {}
            Ok(Step::Send(answer)) => connection.send(answer.to_string()).await?,
            Ok(Step::Run(id, numbers)) => {
                let (sender, operations) = (connection.sender(), session.operations.clone());
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
    connection.close(CloseCode::new(code), reason).await?;
    Ok(())
}
