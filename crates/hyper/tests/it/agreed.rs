//! A client's handshake by hyper's own client: `from_agreed`, and `Connection::from_agreed`.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use towline::{
    Accept, CloseCode, Config, Connect, Connection, Deflate, HandshakeError, Message, Opening,
    Server,
};
use towline_hyper::from_agreed;

use crate::support::{echo_messages, soon};

/// Sends the request by hyper, and returns what the response agrees to, and the stream.
async fn ask(
    address: SocketAddr,
    opening: &Opening,
) -> Result<(towline::Agreed, hyper::upgrade::Upgraded), HandshakeError> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = opening.request().clone().map(|()| Empty::<Bytes>::new());
    let mut response = soon(requests.send_request(request)).await.unwrap();
    let agreed = opening.verify(&response)?;
    Ok((agreed, soon(hyper::upgrade::on(&mut response)).await.unwrap()))
}

/// A server that echoes with `chat.v2` and compression, and greets at once.
async fn server() -> SocketAddr {
    let config = Config::server().compression(Deflate::server());
    let mut server = Server::builder().config(config).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            if request.path() != "/feed" {
                let _ = request.reject(http::StatusCode::NOT_FOUND, "no such feed").await;
                continue;
            }
            let accept = Accept::new().protocol("chat.v2");
            let Ok(mut connection) = request.accept_with(accept).await else { continue };
            tokio::spawn(async move {
                // In the packet of the response, or behind it.
                connection.send("welcome").await.unwrap();
                echo_messages(&mut connection).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn what_was_agreed_on_holds() {
    let address = server().await;
    let config = Config::client().compression(Deflate::client());
    let opening = Connect::new()
        .protocols(["chat.v1", "chat.v2"])
        .header("Authorization", "Bearer 31d4d96e")
        .compression(config.negotiable_compression())
        .open(&format!("ws://{address}/feed").parse().unwrap())
        .unwrap();
    for unwraps in [false, true] {
        let (agreed, stream) = ask(address, &opening).await.unwrap();
        let mut connection = match unwraps {
            false => Connection::from_agreed(TokioIo::new(stream), agreed, &config, Bytes::new()),
            true => from_agreed(stream, agreed, &config),
        };
        assert_eq!(connection.tcp_stream().is_some(), unwraps);
        assert_eq!(connection.protocol(), Some("chat.v2"));
        assert_eq!(connection.extensions().len(), 1);
        assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text("welcome")));
        // The echo is compressed: without the agreement it could not be read.
        for message in [Message::text("ship ahoy ".repeat(1000)), Message::binary(vec![7; 100_000])]
        {
            connection.send(message.clone()).await.unwrap();
            assert_eq!(soon(connection.recv()).await.unwrap(), Some(message));
        }
        assert!(soon(connection.close(CloseCode::NORMAL, "bye")).await.unwrap().is_clean());
    }
}

#[tokio::test]
async fn without_an_offer_there_is_no_compression() {
    let address = server().await;
    let uri = format!("ws://{address}/feed").parse().unwrap();
    let opening = Connect::new().protocols(["chat.v2"]).open(&uri).unwrap();
    let (agreed, stream) = ask(address, &opening).await.unwrap();
    let config = Config::client();
    let mut connection =
        Connection::from_agreed(TokioIo::new(stream), agreed, &config, Bytes::new());
    assert!(connection.extensions().is_empty());
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text("welcome")));
}

#[tokio::test]
async fn a_response_that_agrees_to_nothing_is_an_error() {
    let address = server().await;
    let uri = format!("ws://{address}/nowhere").parse().unwrap();
    let opening = Connect::new().open(&uri).unwrap();
    let error = ask(address, &opening).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Status { status, .. } if status == 404), "{error}");
}
