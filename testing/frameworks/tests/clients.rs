//! Handshakes by HTTP clients of the program's.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message as TheirMessage;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use towline::{CloseCode, HandshakeError, Message};
use towline_frameworks::kube::PROTOCOL;
use towline_frameworks::{chat, kube, reqwest as by_reqwest, warp};

/// Whatever happens, within a time in which it must.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("this never happens")
}

#[tokio::test]
async fn a_connection_of_reqwest_goes_on_as_a_websocket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/chat", listener.local_addr().unwrap());
    let server = chat::server();
    tokio::spawn(warp::serve(listener, server.clone(), std::future::pending()));

    let client = reqwest::Client::new();
    let mut connection =
        soon(by_reqwest::connect(&client, &format!("{base}/harbour"))).await.unwrap();
    assert_eq!(connection.protocol(), Some("chat.v1"));
    assert_eq!(connection.extensions().len(), 1);
    let hello = soon(connection.recv()).await.unwrap();
    assert_eq!(hello, Some(Message::text("/chat/harbour bare")));
    // The echo is compressed: without the agreement it could not be read.
    for message in [Message::text("ship ahoy ".repeat(1000)), Message::binary(vec![7; 200_000])] {
        connection.send(message.clone()).await.unwrap();
        assert_eq!(soon(connection.recv()).await.unwrap(), Some(message));
    }
    assert!(soon(connection.close(CloseCode::NORMAL, "bye")).await.unwrap().is_clean());

    let error = soon(by_reqwest::connect(&client, &format!("{base}/closed"))).await.unwrap_err();
    let error = error.downcast::<HandshakeError>().unwrap();
    let expected = "the server's handshake: the status is 404 Not Found, \"no such room\"";
    assert_eq!(error.to_string(), expected);
}

/// An API server with one pod, `web`, which runs `cat`.
async fn api_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(run(stream));
        }
    });
    address
}

// The type of the error is tungstenite's.
#[allow(clippy::result_large_err)]
fn admit(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let target = "/api/v1/namespaces/default/pods/web/exec?";
    let is_known = request.uri().to_string().starts_with(target)
        && request.uri().query().is_some_and(|query| query.contains("command=cat"));
    let refusal = match (header("authorization"), header("sec-websocket-protocol")) {
        _ if !is_known => Some(404),
        (Some("Bearer s3cret"), Some(PROTOCOL)) => None,
        (Some("Bearer s3cret"), _) => Some(400),
        _ => Some(401),
    };
    if let Some(status) = refusal {
        let mut response = ErrorResponse::new(None);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        return Err(response);
    }
    // A client that sets a host of its own would break virtual hosts.
    assert!(header("host").unwrap().starts_with("127.0.0.1:"));
    response.headers_mut().insert("sec-websocket-protocol", PROTOCOL.parse().unwrap());
    Ok(response)
}

async fn run(stream: TcpStream) {
    // Refused.
    let Ok(mut socket) = accept_hdr_async(stream, admit).await else { return };
    let on = |channel: u8, bytes: &[u8]| TheirMessage::binary([&[channel], bytes].concat());
    socket.send(on(2, b"ready\n")).await.unwrap();
    let Some(Ok(TheirMessage::Binary(input))) = socket.next().await else { panic!("no input") };
    let (0, input) = input.split_first().map(|(channel, input)| (*channel, input)).unwrap() else {
        panic!("not for standard input")
    };
    socket.send(on(1, input)).await.unwrap();
    let status = br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}"#;
    socket.send(on(3, status)).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
}

/// kube's client, with its own authentication.
fn kube_client(address: SocketAddr, token: &str) -> kube_client::Client {
    let mut config = kube_client::Config::new(format!("http://{address}").parse().unwrap());
    config.auth_info.token = Some(token.to_owned().into());
    kube_client::Client::try_from(config).unwrap()
}

#[tokio::test]
async fn a_command_runs_on_a_connection_of_kube() {
    let address = api_server().await;
    let client = kube_client(address, "s3cret");
    let output = soon(kube::exec(&client, "web", &["cat"], "ship ahoy\n")).await.unwrap();
    assert_eq!((&output.stderr[..], &output.stdout[..]), (&b"ready\n"[..], &b"ship ahoy\n"[..]));
    assert_eq!(output.status.status.as_deref(), Some("Success"));

    for (token, pod, status) in
        [("other", "web", "401 Unauthorized"), ("s3cret", "db", "404 Not Found")]
    {
        let client = kube_client(address, token);
        let error = soon(kube::attach(&client, pod, &["cat"])).await.unwrap_err();
        let error = error.downcast::<HandshakeError>().unwrap();
        assert_eq!(error.to_string(), format!("the server's handshake: the status is {status}"));
    }
}
