//! Compression is negotiated, whichever way the handshake came.

use towline::{Client, Config, Deflate, Message, Server};

use crate::http2;
use crate::support::{FRONTS, Front, echo, serve, soon};

fn server() -> Server {
    let deflate = Deflate::server().send_context_takeover(true);
    Server::builder().config(Config::server().compression(deflate)).build()
}

#[tokio::test]
async fn over_http_1_1() {
    for front in FRONTS {
        let server = server();
        let address = serve(&server, front).await;
        echo(server);
        let client = Client::new().config(Config::client().compression(Deflate::client()));
        let mut client = client.connect(format!("ws://{address}/chat")).await.unwrap();
        let agreed = client.extensions();
        assert_eq!(agreed[0].to_string(), "permessage-deflate; client_no_context_takeover");
        for message in [Message::text("ship ahoy, ".repeat(20_000)), Message::binary(vec![7; 300])]
        {
            client.send(message.clone()).await.unwrap();
            assert_eq!(soon(client.recv()).await.unwrap(), Some(message), "{front:?}");
        }
    }
}

#[tokio::test]
async fn over_http_2() {
    let mut server = server();
    let address = serve(&server, Front::HttpServer).await;
    let mut requests = http2::connect(address).await;
    let (response, _send) = http2::extended(&mut requests, "websocket");
    let connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    let response = soon(response).await.unwrap();
    let agreed = "permessage-deflate; client_no_context_takeover";
    assert_eq!(response.headers()["sec-websocket-extensions"], agreed);
    assert_eq!(connection.extensions()[0].to_string(), agreed);
    connection.send("ship ahoy, ".repeat(100)).await.unwrap();
    let data = soon(response.into_body().data()).await.unwrap().unwrap();
    // A text in one frame, with RSV1.
    assert_eq!(data[0], 0xC1);
    assert!(data.len() < 40, "{} bytes", data.len());
}
