//! Nothing is replayed, and what was not sent comes back.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use towline::{Backoff, Client, Config, Connection, Dial, ErrorKind, Message, Reconnecting};
use towline_kit::hear;

use crate::http::{accepts, head};
use crate::wire::settle;

/// A client whose streams hold little, and their far ends.
fn narrow() -> (Reconnecting, mpsc::UnboundedReceiver<DuplexStream>) {
    let (tell, streams) = mpsc::unbounded_channel();
    let reconnecting = Client::new()
        .reconnecting(move |_| {
            let (near, far) = duplex(256);
            tell.send(far).unwrap();
            async move { Ok(Dial::over(near, "ws://h/")) }
        })
        .backoff(Backoff::default());
    (reconnecting, streams)
}

/// The next connection, and its far end.
async fn next(
    reconnecting: &mut Reconnecting,
    streams: &mut mpsc::UnboundedReceiver<DuplexStream>,
) -> (Connection, DuplexStream) {
    let accepting = async {
        let mut far = streams.recv().await.unwrap();
        let request = head(&mut far).await;
        far.write_all(&accepts(&request, "")).await.unwrap();
        far
    };
    let (connection, far) = tokio::join!(reconnecting.next(), accepting);
    (connection.unwrap().unwrap(), far)
}

fn order(number: usize) -> Message {
    Message::text(format!("order {number}: {}", "x".repeat(100)))
}

/// The orders which the far end gets, until the stream ends or nothing more comes.
async fn gets(far: &mut DuplexStream, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < most {
        let mut piece = vec![0; most - bytes.len()];
        match far.read(&mut piece).await.unwrap() {
            0 => break,
            count => bytes.extend(&piece[..count]),
        }
    }
    bytes
}

/// Marfusios/websocket-client#142: stale orders, sent after a reconnect. ezsockets#78 and #96: messages
/// lost over one.
#[tokio::test(start_paused = true)]
async fn what_was_not_written_comes_back_once_and_none_of_it_is_sent_again() {
    let (mut reconnecting, mut streams) = narrow();
    let (mut connection, mut far) = next(&mut reconnecting, &mut streams).await;
    for number in 0..10 {
        connection.send(order(number)).await.unwrap();
    }
    settle().await;
    // The server gets one and a half, and dies. The pipe holds some that are lost.
    let got = gets(&mut far, 170).await;
    assert_eq!(hear(&got[..115]).len(), 1);
    settle().await;
    drop(far);
    assert_eq!(connection.recv().await.unwrap_err().kind(), ErrorKind::ConnectionLost);
    let (second, mut far) = next(&mut reconnecting, &mut streams).await;
    let unsent = reconnecting.take_unsent();
    // 426 bytes were taken of orders of 115: of 3 whole and the fourth in part.
    assert_eq!(unsent, (4..10).map(order).collect::<Vec<_>>());
    assert_eq!(reconnecting.take_unsent(), []);
    assert_eq!(connection.take_unsent(), []);
    // The program sends what still makes sense, and nobody else sends anything.
    second.send(unsent[5].clone()).await.unwrap();
    second.send("fresh").await.unwrap();
    let got = gets(&mut far, 115 + 11).await;
    let texts: Vec<_> = hear(&got).iter().map(|heard| heard.text().to_owned()).collect();
    assert_eq!(texts, [order(9).as_text().unwrap(), "fresh"]);
    assert_eq!(second.take_unsent(), []);
}

#[tokio::test(start_paused = true)]
async fn the_lost_connection_gives_it_back_as_well() {
    let (mut reconnecting, mut streams) = narrow();
    let (connection, far) = next(&mut reconnecting, &mut streams).await;
    let (sender, mut receiver) = connection.split();
    for number in 0..5 {
        sender.send(order(number)).await.unwrap();
    }
    assert_eq!(sender.take_unsent(), [], "it is being sent");
    settle().await;
    drop(far);
    assert!(receiver.recv().await.is_err());
    assert_eq!(sender.take_unsent(), [order(3), order(4)]);
    let _next = next(&mut reconnecting, &mut streams).await;
    assert_eq!(reconnecting.take_unsent(), []);
}

/// ezsockets#78: a call that hangs over a reconnect. Here it fails at once, with its message.
#[tokio::test(start_paused = true)]
async fn a_send_on_a_lost_connection_fails_and_gives_its_message_back() {
    let (mut reconnecting, mut streams) = narrow();
    let (connection, far) = next(&mut reconnecting, &mut streams).await;
    let (sender, mut receiver) = connection.split();
    let waiting = tokio::spawn({
        let sender = sender.clone();
        async move {
            sender.send(Message::binary(vec![7; 300_000])).await.unwrap();
            sender.send("waits for room").await.unwrap_err().into_message()
        }
    });
    settle().await;
    drop(far);
    assert!(receiver.recv().await.is_err());
    assert_eq!(waiting.await.unwrap(), Some(Message::text("waits for room")));
    let (second, _far) = next(&mut reconnecting, &mut streams).await;
    let error = sender.send("late").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.into_message(), Some(Message::text("late")));
    assert!(second.is_open());
}

/// Others pay nothing for it.
#[tokio::test(start_paused = true)]
async fn without_the_option_nothing_is_kept() {
    for keeps in [false, true] {
        let config = Config::client().keep_unsent(keeps);
        let (near, far) = duplex(64);
        let role = towline::Role::Client;
        let mut connection = Connection::from_stream(near, role, &config, bytes::Bytes::new());
        for number in 0..5 {
            connection.send(order(number)).await.unwrap();
        }
        settle().await;
        drop(far);
        assert!(connection.recv().await.is_err());
        assert_eq!(!connection.take_unsent().is_empty(), keeps);
    }
}
