//! Each server does the same in both libraries, to clients in tokio-tungstenite.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use towline_migrations::chat;

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
