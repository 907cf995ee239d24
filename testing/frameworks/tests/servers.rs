//! Each server does the same, to clients of Towline and of tokio-tungstenite.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message as TheirMessage};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use towline::{Client, CloseCode, Config, Connection, Deflate, Message, ServerHandle};
use towline_frameworks::{axum, chat, poem, salvo, warp};

type Theirs = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Whatever happens, within a time in which it must.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("this never happens")
}

/// A server of a framework.
struct Served {
    address: SocketAddr,
    handle: ServerHandle,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    /// Whether the framework tells the address of its clients.
    knows_peers: bool,
    /// Whether the socket can be taken out of the framework: "bare" or "wrapped".
    socket: &'static str,
}

macro_rules! serves {
    ($name:ident, $serve:path, knows_peers: $knows_peers:literal, socket: $socket:literal) => {
        #[tokio::test]
        async fn $name() {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = oneshot::channel::<()>();
            let handle = chat::server();
            let serving = $serve(listener, handle.clone(), async { drop(stopped.await) });
            let server = tokio::spawn(async move {
                let _ = serving.await;
            });
            let (knows_peers, socket) = ($knows_peers, $socket);
            check(Served { address, handle, stop, server, knows_peers, socket }).await;
        }
    };
}

serves!(warp_serves_websockets, warp::serve, knows_peers: true, socket: "bare");
serves!(poem_serves_websockets, poem::serve, knows_peers: true, socket: "wrapped");
serves!(salvo_serves_websockets, salvo::serve, knows_peers: true, socket: "wrapped");
serves!(a_router_as_of_loco_serves_websockets, axum::loco, knows_peers: true, socket: "bare");
serves!(a_router_as_of_leptos_serves_websockets, axum::leptos, knows_peers: true, socket: "bare");
serves!(a_router_as_of_dioxus_serves_websockets, axum::dioxus, knows_peers: false, socket: "bare");

async fn check(served: Served) {
    let Served { address, handle, stop, server, knows_peers, socket } = served;
    let base = format!("ws://{address}");
    let client = Client::new()
        .protocols(["chat.v0", "chat.v1"])
        .config(Config::client().compression(Deflate::client()));
    let mut ours = soon(client.connect(format!("{base}/chat/harbour?berth=7"))).await.unwrap();
    assert_eq!((ours.protocol(), ours.extensions().len()), (Some("chat.v1"), 1));
    let mut theirs = connect_theirs(&format!("{base}/chat/harbour?berth=8")).await;
    // The target is the whole one.
    let greeting = |berth: u8| format!("/chat/harbour?berth={berth} {socket}");
    assert_eq!(hear(&mut ours).await, Message::text(greeting(7)));
    assert_eq!(hear_theirs(&mut theirs).await, greeting(8));
    for message in [Message::text("ship ahoy ".repeat(1000)), Message::binary(vec![7; 200_000])] {
        ours.send(message.clone()).await.unwrap();
        assert_eq!(hear(&mut ours).await, message);
    }
    soon(theirs.send(TheirMessage::text("ship ahoy"))).await.unwrap();
    assert_eq!(hear_theirs(&mut theirs).await, "ship ahoy");

    let senders = handle.connections().senders();
    assert_eq!(senders.len(), 2);
    assert!(senders.iter().all(|sender| sender.info().peer_addr.is_some() == knows_peers));

    refuses(&base).await;

    stop.send(()).unwrap();
    assert_eq!(soon(ours.recv()).await.unwrap(), None);
    assert_eq!(ours.closed().unwrap().code(), CloseCode::GOING_AWAY);
    assert_eq!(hear_theirs(&mut theirs).await, "1001");
    while let Some(Ok(_)) = soon(theirs.next()).await {}
    soon(server).await.unwrap();
    assert!(handle.is_over());
    assert_eq!(handle.connections().len(), 0);
}

/// What is no WebSocket of this server's.
async fn refuses(base: &str) {
    let error = soon(Client::new().connect(format!("{base}/chat/closed"))).await.unwrap_err();
    let response = error.response().unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["x-websocket-reject-reason"], "no such room");

    let foreign = Client::new().origin("https://other.example");
    let error = soon(foreign.connect(format!("{base}/chat/harbour"))).await.unwrap_err();
    assert_eq!(error.response().unwrap().status(), 403);
    match soon(connect_async(format!("{base}/chat/closed"))).await.unwrap_err() {
        Error::Http(response) => assert_eq!(response.status(), 404),
        other => panic!("{other}"),
    }

    let pages = reqwest::Client::new();
    let http = base.replace("ws:", "http:");
    let page = soon(pages.get(format!("{http}/")).send()).await.unwrap();
    assert_eq!(soon(page.text()).await.unwrap(), chat::PAGE);
    let plain = soon(pages.get(format!("{http}/chat/harbour")).send()).await.unwrap();
    assert_eq!(plain.status(), 426);
    assert_eq!(plain.headers()["upgrade"], "websocket");
}

async fn hear(connection: &mut Connection) -> Message {
    soon(connection.recv()).await.unwrap().unwrap()
}

async fn connect_theirs(url: &str) -> Theirs {
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "chat.v1, chat.v2".parse().unwrap());
    let (socket, response) = soon(connect_async(request)).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v2");
    socket
}

/// The next text, or the code of the close frame.
async fn hear_theirs(socket: &mut Theirs) -> String {
    loop {
        match soon(socket.next()).await.unwrap().unwrap() {
            TheirMessage::Text(text) => return text.to_string(),
            TheirMessage::Close(frame) => return u16::from(frame.unwrap().code).to_string(),
            _ => {}
        }
    }
}
