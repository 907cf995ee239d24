//! What the tests share.

use std::time::Duration;

use tokio::net::TcpListener;
use towline::{Client, Connection, Error, HttpVersion, Message, Proxy};

/// Long enough for anything that happens at all.
const LONG: Duration = Duration::from_secs(60);

/// Whatever happens, within a time in which it must.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("this never happens")
}

/// A client that speaks HTTP/2 alone and looks for no proxy.
pub(crate) fn client() -> Client {
    Client::new().proxy(Proxy::none()).http_version(HttpVersion::Http2)
}

/// A listener, and the URL that leads to it.
pub(crate) async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/chat", listener.local_addr().unwrap());
    (listener, url)
}

/// A connect in the background.
pub(crate) fn connecting(
    client: &Client,
    url: &str,
) -> tokio::task::JoinHandle<Result<Connection, Error>> {
    tokio::spawn(client.connect(url))
}

/// Sends a message and receives it back.
pub(crate) async fn echoes(connection: &mut Connection, message: &str) {
    connection.send(message).await.unwrap();
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text(message)));
}

/// What an error says, and all its sources.
pub(crate) fn texts(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(" <- {error}"));
        source = error.source();
    }
    text
}
