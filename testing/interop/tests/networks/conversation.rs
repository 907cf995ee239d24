//! Our client, and its conversation with the server that it has reached.

use bytes::Bytes;
use towline::{Client, CloseCode, Config, Connection, Error, Event, Message, Proxy, Tls};

use crate::bounded::soon;
use crate::echo::roomy;

/// Returns a client without a proxy, whatever the environment says.
pub(crate) fn direct(tls: Tls) -> Client {
    Client::new().config(roomy(Config::client())).tls(tls).proxy(Proxy::none())
}

pub(crate) async fn connect(client: &Client, url: &str) -> Connection {
    let connected = soon(url, client.connect(url)).await;
    connected.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Connects there, and returns the error, which must have one line.
pub(crate) async fn refused(client: &Client, url: &str) -> Error {
    let error = soon(url, client.connect(url)).await.expect_err(url);
    println!("{url}: {error}");
    assert!(!error.to_string().contains(['\n', '\r']), "{error}");
    error
}

/// Sends a message, and checks that the echo equals it.
pub(crate) async fn echo(connection: &mut Connection, message: impl Into<Message>) {
    let message = message.into();
    connection.send(message.clone()).await.unwrap();
    let reply = soon("an echo", connection.recv()).await.unwrap().unwrap();
    assert!(reply == message, "{} bytes were sent, {} came back", message.len(), reply.len());
}

/// Exchanges short and long messages of both kinds, and a ping.
pub(crate) async fn converse(connection: &mut Connection) {
    echo(connection, "Grüße, Ἑλλάς, 世界, 👩‍🚀🚢").await;
    echo(connection, Bytes::from_static(&[0, 255, 13, 10, 13, 10])).await;
    let long: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    echo(connection, Bytes::from(long)).await;
    echo(connection, "aé世🚢".repeat((1 << 20) / 10)).await;
    connection.ping("towline").await.unwrap();
    // Keepalive pings are answered by other pongs.
    while let Some(Event::Pong(payload)) = soon("a pong", connection.next_event()).await.unwrap() {
        if payload == "towline" {
            return;
        }
    }
    panic!("no pong: {:?}", connection.closed());
}

/// Closes, and checks that the server answers.
pub(crate) async fn closes_well(mut connection: Connection) {
    let closed = soon("a close", connection.close(CloseCode::new(4002), "done ✓")).await.unwrap();
    assert!(closed.is_clean(), "{closed:?}");
    assert_eq!((closed.code().get(), closed.reason()), (4002, "done ✓"));
}

/// Has the server close, with the code 4001.
pub(crate) async fn is_closed_well(mut connection: Connection) {
    connection.send("close").await.unwrap();
    soon("the server's close", connection.recv()).await.unwrap_err();
    let closed = soon("the end", connection.wait_closed()).await;
    assert!(closed.is_clean(), "{closed:?}");
    assert_eq!((closed.code().get(), closed.reason()), (4001, "as you like"));
}
