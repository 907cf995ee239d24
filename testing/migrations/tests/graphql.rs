//! The GraphQL server does the same in both libraries, to a client in tokio-tungstenite.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use towline_migrations::graphql;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const INIT: &str = r#"{"type":"connection_init","payload":{"token":"secret"}}"#;

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("this never happens")
}

async fn connect(address: SocketAddr) -> Socket {
    let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
    let protocols = "other, graphql-transport-ws".parse().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocols);
    let (socket, response) = soon(connect_async(request)).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], graphql::PROTOCOL);
    socket
}

/// The next message, or the code of the close frame.
async fn hear(socket: &mut Socket) -> serde_json::Value {
    loop {
        match soon(socket.next()).await.unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(frame) => return u16::from(frame.unwrap().code).into(),
            _ => {}
        }
    }
}

fn subscribe(id: &str, query: &str) -> Message {
    let payload = serde_json::json!({ "query": query });
    let message = serde_json::json!({ "type": "subscribe", "id": id, "payload": payload });
    Message::text(message.to_string())
}

macro_rules! server {
    ($name:ident, $program:ident) => {
        #[tokio::test]
        async fn $name() {
            let address = graphql::$program::serve(Duration::from_secs(100)).await.unwrap();
            let mut socket = connect(address).await;
            socket.send(r#"{"type":"ping","payload":{"n":1}}"#.into()).await.unwrap();
            let pong = hear(&mut socket).await;
            assert_eq!((&pong["type"], &pong["payload"]["n"]), (&"pong".into(), &1.into()));
            socket.send(INIT.into()).await.unwrap();
            assert_eq!(hear(&mut socket).await["type"], "connection_ack");
            // A name is free once its operation is complete.
            for _ in 0..2 {
                socket.send(subscribe("a", "count 3")).await.unwrap();
                for number in 1..=3 {
                    assert_eq!(hear(&mut socket).await["payload"]["data"], number);
                }
                let end = hear(&mut socket).await;
                assert_eq!((&end["type"], &end["id"]), (&"complete".into(), &"a".into()));
            }
            socket.send(subscribe("b", "nonsense")).await.unwrap();
            assert_eq!(hear(&mut socket).await["type"], "error");
            // An operation that the client completes: another one then gets all to itself.
            socket.send(subscribe("c", "forever")).await.unwrap();
            for number in 1..=1000 {
                assert_eq!(hear(&mut socket).await["payload"]["data"], number);
            }
            socket.send(r#"{"type":"complete","id":"c"}"#.into()).await.unwrap();
            socket.send(subscribe("d", "count 1000")).await.unwrap();
            while hear(&mut socket).await["id"] == "c" {}
            for number in 2..=1000 {
                assert_eq!(hear(&mut socket).await["payload"]["data"], number);
            }
            assert_eq!(hear(&mut socket).await["type"], "complete");

            let forever = subscribe("a", "forever");
            let wrong = r#"{"type":"connection_init","payload":{"token":"wrong"}}"#;
            for (messages, code) in [
                (vec!["nonsense".into()], 4400),
                (vec![Message::binary(vec![1])], 4400),
                (vec![r#"{"type":"other"}"#.into()], 4400),
                (vec![forever.clone()], 4401),
                (vec![wrong.into()], 4403),
                (vec![INIT.into(), INIT.into()], 4429),
                (vec![INIT.into(), forever.clone(), forever], 4409),
            ] {
                let mut socket = connect(address).await;
                for message in messages {
                    socket.send(message).await.unwrap();
                }
                let closed = async {
                    loop {
                        let said = hear(&mut socket).await;
                        if said.is_number() {
                            break said;
                        }
                    }
                };
                assert_eq!(soon(closed).await, code);
            }
            let (mut socket, _) = soon(connect_async(format!("ws://{address}/"))).await.unwrap();
            assert_eq!(hear(&mut socket).await, 4406);
            let address = graphql::$program::serve(Duration::from_millis(20)).await.unwrap();
            assert_eq!(hear(&mut connect(address).await).await, 4408);
        }
    };
}

server!(server_in_tungstenite, tungstenite);
server!(server_in_towline, towline);
