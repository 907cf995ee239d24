//! Each server does the same in both libraries, to clients in tokio-tungstenite.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use towline_migrations::engine_io::Options;
use towline_migrations::{chat, engine_io};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Whatever happens, within a time in which it must.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("this never happens")
}

/// The next text, or the code of the close frame.
async fn hear(socket: &mut Socket) -> String {
    loop {
        match soon(socket.next()).await.unwrap().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Close(frame) => return u16::from(frame.unwrap().code).to_string(),
            _ => {}
        }
    }
}

async fn refused(url: &str) -> u16 {
    match soon(connect_async(url)).await.unwrap_err() {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("{other}"),
    }
}

macro_rules! chat {
    ($name:ident, $program:ident) => {
        #[tokio::test]
        async fn $name() {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let rooms = format!("ws://{}/rooms", listener.local_addr().unwrap());
            let (stop, stopped) = oneshot::channel::<()>();
            let stopped = async { drop(stopped.await) };
            let server = tokio::spawn(chat::$program::serve(listener, stopped));
            let join =
                async |path: &str| soon(connect_async(format!("{rooms}/{path}"))).await.unwrap().0;

            let mut ada = join("harbour/ada").await;
            assert_eq!(hear(&mut ada).await, "ada joins");
            let mut bo = join("harbour/bo").await;
            let mut far = join("sea/ada").await;
            assert_eq!(hear(&mut far).await, "ada joins");
            for member in [&mut ada, &mut bo] {
                assert_eq!(hear(member).await, "bo joins");
            }
            assert_eq!(refused(&format!("{rooms}/nowhere/ada")).await, 404);
            assert_eq!(refused(&format!("{rooms}/harbour/bo")).await, 409);

            let long = "o".repeat(100_000);
            for text in ["ship ahoy", &long] {
                bo.send(text.into()).await.unwrap();
                for member in [&mut ada, &mut bo] {
                    assert!(hear(member).await == format!("bo: {text}"), "{} bytes", text.len());
                }
            }
            // A member that closes, and one that is just gone.
            bo.close(None).await.unwrap();
            assert_eq!(hear(&mut ada).await, "bo leaves");
            let mut cy = join("harbour/cy").await;
            assert_eq!(hear(&mut ada).await, "cy joins");
            assert_eq!(hear(&mut cy).await, "cy joins");
            drop(cy);
            assert_eq!(hear(&mut ada).await, "cy leaves");

            stop.send(()).unwrap();
            // The room at sea has heard nothing of the harbour.
            for member in [&mut ada, &mut far] {
                assert_eq!(hear(member).await, "1001");
            }
            assert!(!server.is_finished(), "it waits for the connections");
            for mut member in [ada, far] {
                while let Some(Ok(_)) = soon(member.next()).await {}
            }
            soon(server).await.unwrap().unwrap();
        }
    };
}

chat!(chat_in_tungstenite, tungstenite);
chat!(chat_in_towline, towline);

/// Answers of HTTP: the status and the body.
async fn http(address: SocketAddr, method: &str, query: &str, body: &str) -> (u16, String) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::builder().method(method).uri(format!("/engine.io/?{query}"));
    let request = request.header("host", "localhost").body(Full::new(Bytes::from(body.to_owned())));
    let response = soon(sender.send_request(request.unwrap())).await.unwrap();
    let status = response.status().as_u16();
    let body = soon(response.into_body().collect()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn opened(packet: &str) -> serde_json::Value {
    serde_json::from_str(packet.strip_prefix('0').unwrap()).unwrap()
}

macro_rules! engine_io {
    ($name:ident, $program:ident) => {
        #[tokio::test]
        async fn $name() {
            let (short, long) = (Duration::from_millis(20), Duration::from_secs(100));
            let options = |ping_interval, ping_timeout| Options { ping_interval, ping_timeout };
            let address = engine_io::$program::serve(options(long, long)).await.unwrap();
            let url =
                |more: &str| format!("ws://{address}/engine.io/?EIO=4&transport=websocket{more}");
            let connect = async |more: &str| soon(connect_async(url(more))).await.unwrap().0;

            // The handshake packet, text, binary, ping, noop, close.
            let mut socket = connect("").await;
            let first = opened(&hear(&mut socket).await);
            assert_eq!(first["sid"].as_str().unwrap().len(), 16);
            assert_eq!(first["pingInterval"], 100_000);
            assert_eq!(first["pingTimeout"], 100_000);
            assert_eq!(first["maxPayload"], 100_000);
            socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
            let binary = soon(socket.next()).await.unwrap().unwrap();
            assert_eq!(binary, Message::binary(vec![1, 2, 3]));
            for (sent, expected) in [("4ahoy €", "4ahoy €"), ("2x", "3x"), ("1", "1000")] {
                socket.send("6".into()).await.unwrap();
                socket.send(sent.into()).await.unwrap();
                assert_eq!(hear(&mut socket).await, expected);
            }
            // A packet of no type, and one that is too long.
            let mut socket = connect("").await;
            hear(&mut socket).await;
            socket.send("ahoy".into()).await.unwrap();
            assert_eq!(hear(&mut socket).await, "1000");
            let mut socket = connect("").await;
            hear(&mut socket).await;
            let _ = socket.send(Message::text(format!("4{}", "o".repeat(100_000)))).await;
            while let Some(Ok(message)) = soon(socket.next()).await {
                assert!(message.is_close());
            }

            for (query, code) in [
                ("EIO=4&transport=websocket&sid=none", 1),
                ("EIO=4&transport=pigeon", 0),
                ("EIO=3&transport=websocket", 5),
            ] {
                assert_eq!(refused(&format!("ws://{address}/engine.io/?{query}")).await, 400);
                let (status, body) = http(address, "GET", query, "").await;
                assert!(status == 400 && body.contains(&format!("\"code\":{code}")), "{body}");
            }

            // The upgrade of a session: what was sent in between is not lost.
            let poll = "EIO=4&transport=polling";
            let first = opened(&http(address, "GET", poll, "").await.1);
            assert_eq!(first["upgrades"], serde_json::json!(["websocket"]));
            let sid = format!("&sid={}", first["sid"].as_str().unwrap());
            let poll = format!("{poll}{sid}");
            http(address, "POST", &poll, "4a\x1e4b").await;
            assert_eq!(http(address, "GET", &poll, "").await.1, "4a\x1e4b");
            let mut socket = connect(&sid).await;
            let mut late = connect(&sid).await;
            let pending = tokio::spawn({
                let poll = poll.clone();
                async move { http(address, "GET", &poll, "").await.1 }
            });
            for socket in [&mut socket, &mut late] {
                socket.send("2probe".into()).await.unwrap();
                assert_eq!(hear(socket).await, "3probe");
            }
            assert_eq!(soon(pending).await.unwrap(), "6");
            http(address, "POST", &poll, "4c").await;
            socket.send("5".into()).await.unwrap();
            assert_eq!(hear(&mut socket).await, "4c");
            late.send("5".into()).await.unwrap();
            assert_eq!(hear(&mut late).await, "1002");
            assert_eq!(http(address, "GET", &poll, "").await.0, 400);
            socket.send("4d".into()).await.unwrap();
            assert_eq!(hear(&mut socket).await, "4d");

            // Heartbeats that are answered, and one that is not.
            let address = engine_io::$program::serve(options(short, long)).await.unwrap();
            let url = format!("ws://{address}/engine.io/?EIO=4&transport=websocket");
            let (mut socket, _) = soon(connect_async(&url)).await.unwrap();
            hear(&mut socket).await;
            for _ in 0..3 {
                assert_eq!(hear(&mut socket).await, "2");
                socket.send("3".into()).await.unwrap();
            }
            let address = engine_io::$program::serve(options(short, short)).await.unwrap();
            let url = format!("ws://{address}/engine.io/?EIO=4&transport=websocket");
            let (mut socket, _) = soon(connect_async(&url)).await.unwrap();
            hear(&mut socket).await;
            assert_eq!(hear(&mut socket).await, "2");
            assert_eq!(hear(&mut socket).await, "1000");
        }
    };
}

engine_io!(engine_io_in_tungstenite, tungstenite);
engine_io!(engine_io_in_towline, towline);
