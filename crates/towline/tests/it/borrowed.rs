//! Messages that are lent where they were received, and payloads that share the buffer.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use towline::{
    CloseCode, Config, Connection, Event, Message, MessageKind, MessageReader, MessageRef, Result,
    Role,
};

/// A client and a server on a pipe that takes so many bytes at once.
fn pair(capacity: usize) -> (Connection, Connection) {
    let (near, far) = duplex(capacity);
    let config = Config::client().fragment_outgoing_messages(false);
    (Connection::from_stream(near, Role::Client, &config, Bytes::new()), server(far))
}

fn server(stream: DuplexStream) -> Connection {
    let config = Config::server().max_received_frame_size(1 << 20);
    Connection::from_stream(stream, Role::Server, &config, Bytes::new())
}

/// Messages of many lengths, of which no two are alike.
fn messages() -> Vec<Message> {
    let lengths = [0, 1, 125, 126, 4000, 9000, 16_384, 40_000, 65_530, 65_536, 200_000];
    let message = |(number, length): (usize, usize)| {
        let byte = b'a' + u8::try_from(number % 26).unwrap();
        let payload = vec![byte; length];
        match number % 3 {
            0 => Message::text(String::from_utf8(payload).unwrap()),
            _ => Message::binary(payload),
        }
    };
    lengths.into_iter().cycle().take(44).enumerate().map(message).collect()
}

/// Has `sender` send all messages, in the background.
fn send_all(sender: Connection) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        for message in messages() {
            sender.send(message).await.unwrap();
        }
        let mut sender = sender;
        sender.close(CloseCode::NORMAL, "").await.unwrap();
    })
}

#[tokio::test]
async fn messages_that_are_kept_stay_what_they_were() {
    for capacity in [100, 5000, 70_000, 4 << 20] {
        let (client, mut server) = pair(capacity);
        let sending = send_all(client);
        let mut kept = Vec::new();
        while let Some(message) = server.recv().await.unwrap() {
            kept.push(message);
        }
        assert!(kept == messages(), "over a pipe of {capacity} bytes");
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn messages_are_lent_in_order_and_whole() {
    for capacity in [100, 5000, 70_000, 4 << 20] {
        let (client, server) = pair(capacity);
        let sending = send_all(client);
        let (_sender, mut receiver) = server.split();
        for expected in messages() {
            let lent = receiver.recv_ref().await.unwrap().unwrap();
            assert!(lent == MessageRef::from(&expected), "over a pipe of {capacity} bytes");
        }
        assert_eq!(receiver.recv_ref().await.unwrap(), None);
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn a_borrowed_message_is_sent_as_an_owned_one_is() {
    let (client, server) = pair(70_000);
    let (sender, mut receiver) = server.split();
    tokio::spawn(async move {
        while let Some(message) = receiver.recv_ref().await.unwrap() {
            sender.send(message).await.unwrap();
        }
    });
    let (sender, mut receiver) = client.split();
    tokio::spawn(async move {
        for message in messages() {
            sender.send(message).await.unwrap();
        }
    });
    for expected in messages() {
        assert!(receiver.recv().await.unwrap() == Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_borrowing_receive_that_is_dropped_loses_nothing() {
    let (client, server) = pair(300);
    let sending = send_all(client);
    let (_sender, mut receiver) = server.split();
    for expected in messages() {
        loop {
            let receiving = tokio::time::timeout(Duration::ZERO, receiver.recv_ref());
            if let Ok(received) = receiving.await {
                assert!(received.unwrap() == Some(MessageRef::from(&expected)));
                break;
            }
        }
    }
    drop(receiver);
    sending.await.unwrap();
}

#[tokio::test]
async fn text_that_is_none_is_not_lent() {
    let (mut peer, stream) = duplex(1000);
    peer.write_all(b"\x81\x81\0\0\0\0a\x81\x81\0\0\0\0\xFF").await.unwrap();
    let (sender, mut receiver) = server(stream).split();
    assert_eq!(receiver.recv_ref().await.unwrap(), Some(MessageRef::text("a")));
    for _ in 0..2 {
        let error = receiver.recv_ref().await.unwrap_err();
        assert_eq!(error.close_code(), Some(CloseCode::INVALID_DATA), "{error}");
    }
    assert!(!sender.is_open());
}

#[tokio::test]
async fn the_end_of_the_stream_does_not_hide_what_was_wrong_before_it() {
    let (mut peer, stream) = duplex(1000);
    // The beginning of a frame that is no text already, and nothing after it.
    peer.write_all(b"\x81\x85\0\0\0\0\xFF").await.unwrap();
    drop(peer);
    let mut server = server(stream);
    let error = server.recv().await.unwrap_err();
    assert_eq!(error.close_code(), Some(CloseCode::INVALID_DATA), "{error}");
}

/// Whatever becomes of their futures.
#[tokio::test(start_paused = true)]
async fn calls_that_receive_take_turns_and_lose_nothing() {
    const WAYS: [usize; 10] = [0, 1, 2, 3, 0, 2, 1, 3, 3, 1];
    for capacity in [100, 5000, 70_000] {
        let (client, server) = pair(capacity);
        let sending = send_all(client);
        let (_sender, mut receiver) = server.split();
        let mut ways = WAYS.into_iter().cycle();
        for expected in messages() {
            let received = loop {
                let received = match ways.next().unwrap() {
                    0 => at_once(receiver.recv()).await,
                    1 => at_once(receiver.recv_ref()).await.map(MessageRef::to_message),
                    2 => at_once(receiver.next_event()).await.map(|event| match event {
                        Event::Message(message) => message,
                        other => panic!("{other:?}"),
                    }),
                    _ => match at_once(receiver.recv_reader()).await {
                        Some(reader) => Some(read(reader).await),
                        None => None,
                    },
                };
                if let Some(received) = received {
                    break received;
                }
            };
            assert!(received == expected, "over a pipe of {capacity} bytes");
        }
        drop(receiver);
        sending.await.unwrap();
    }
}

/// What is received now, if anything is.
async fn at_once<T>(receiving: impl Future<Output = Result<Option<T>>>) -> Option<T> {
    let received = tokio::time::timeout(Duration::ZERO, receiving).await.ok()?;
    Some(received.unwrap().expect("a message"))
}

/// The whole of a message.
async fn read(mut reader: MessageReader<'_>) -> Message {
    let mut payload = Vec::new();
    reader.read_to_end(&mut payload).await.unwrap();
    match reader.kind() {
        MessageKind::Text => Message::text(String::from_utf8(payload).unwrap()),
        MessageKind::Binary => Message::binary(payload),
    }
}
