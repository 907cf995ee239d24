//! What a client had sent before it reset its stream or its connection, while the server writes.

use std::time::Duration;

use towline::{CloseCause, CloseCode, ErrorKind, Message, Receiver, Sender, Server};

use crate::http2_endings::opened;
use crate::raw_http2::{CANCEL, DATA, frame, reset};
use crate::support::soon;

const MANY: u32 = 1000;

/// Messages, each in a DATA frame, and possibly a close frame with 1001.
fn said(is_told: bool) -> Vec<u8> {
    let mut said = Vec::new();
    for number in 0..MANY {
        let text = number.to_string();
        let head = [0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
        said.extend(frame(DATA, 0, 1, &[&head, text.as_bytes()].concat()));
    }
    if is_told {
        said.extend(frame(DATA, 0, 1, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE9]));
    }
    said
}

/// Sends until that fails.
async fn send_on(sender: &Sender) {
    while sender.send("into the void").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// All that was said is received, and then how it ended.
async fn is_received(receiver: &mut Receiver, is_told: bool, how: &str) {
    for number in 0..MANY {
        let received = soon(receiver.recv()).await.unwrap();
        assert_eq!(received, Some(Message::text(number.to_string())));
    }
    let end = soon(receiver.recv()).await;
    let closed = receiver.closed().unwrap();
    assert!(matches!(closed.cause(), CloseCause::TransportFailed(_)), "{closed}");
    if is_told {
        assert_eq!(end.unwrap(), None);
        assert_eq!(closed.code(), CloseCode::GOING_AWAY);
    } else {
        let error = end.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);
        assert!(error.to_string().contains(how), "{error}");
    }
}

/// The kernel of Linux keeps what has arrived after a reset. Others drop it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_had_arrived_is_received_if_the_connection_breaks() {
    for is_told in [true, false] {
        let mut server = Server::builder().build();
        let (mut client, connection) = opened(&mut server).await;
        client.sync().await;
        // The tasks of the server are on this thread, and write before they see any of this.
        client.send(&said(is_told)).await;
        let socket = client.into_inner();
        socket.set_zero_linger().unwrap();
        drop(socket);
        let (sender, mut receiver) = connection.split();
        sender.send("into the void").await.unwrap();
        let sending = tokio::spawn(async move { send_on(&sender).await });
        is_received(&mut receiver, is_told, "the HTTP/2 connection failed: ").await;
        soon(sending).await.unwrap();
    }
}

#[tokio::test]
async fn what_had_arrived_is_received_if_the_stream_is_reset() {
    for is_told in [true, false] {
        // Whether there is window to write.
        for is_full in [true, false] {
            let mut server = Server::builder().build();
            let (mut client, connection) = opened(&mut server).await;
            let (sender, mut receiver) = connection.split();
            if is_full {
                sender.send(vec![7; 70_000]).await.unwrap();
                let mut got = 0;
                while got < 65_535 {
                    got += client.until(DATA).await.payload.len();
                }
            }
            client.send(&[said(is_told), reset(1, CANCEL)].concat()).await;
            soon(send_on(&sender)).await;
            let how = "the peer reset the HTTP/2 stream: CANCEL";
            is_received(&mut receiver, is_told, how).await;
        }
    }
}
