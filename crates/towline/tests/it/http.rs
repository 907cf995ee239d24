//! Requests and responses as bytes, for peers that speak no more than that.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use towline::{Connection, Request, Result, Server};
use towline_proto::handshake::Key;

/// A valid request of a client, with these headers in addition.
pub(crate) fn request(target: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!(
        "GET {target} HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
         Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request + "\r\n"
}

/// A valid request, as an HTTP library has it.
pub(crate) fn http_request() -> http::Request<()> {
    http::Request::get("/")
        .header("Host", "h")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .unwrap()
}

/// The answer that accepts this request, with these lines in addition.
pub(crate) fn accepts(request: &str, more: &str) -> Vec<u8> {
    let key = header(request, "sec-websocket-key").unwrap();
    let accept = Key::parse(key).unwrap().accept();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
    .into_bytes()
}

/// A stream to the server on which this has been said.
pub(crate) async fn says(server: &Server, bytes: &[u8]) -> DuplexStream {
    says_from(server, bytes, None).await
}

/// The same, by a client at this address.
pub(crate) async fn says_from(server: &Server, bytes: &[u8], from: Option<&str>) -> DuplexStream {
    let (near, mut far) = tokio::io::duplex(64 << 10);
    server.serve(near, from.map(|address| address.parse().unwrap()));
    far.write_all(bytes).await.unwrap();
    far
}

/// The server's request for what a client with these headers says.
pub(crate) async fn arrives(
    server: &mut Server,
    headers: &[(&str, &str)],
) -> (Request, DuplexStream) {
    let far = says(server, request("/", headers).as_bytes()).await;
    (server.next_request().await.unwrap(), far)
}

/// The same, accepted just so.
pub(crate) async fn accepted(
    server: &mut Server,
    headers: &[(&str, &str)],
) -> (Result<Connection>, String) {
    let (request, mut far) = arrives(server, headers).await;
    let result = request.accept().await;
    (result, head(&mut far).await)
}

/// The head of the answer; what is behind it is left.
pub(crate) async fn head(far: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(far.read_u8().await.expect("an answer"));
    }
    String::from_utf8(head).unwrap()
}

/// The whole answer, after which the stream ends.
pub(crate) async fn answer(mut far: DuplexStream) -> String {
    let mut answer = String::new();
    let reading = far.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("an end").unwrap();
    answer
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The value of a header in an answer.
pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}
