//! What comes in the same packet as the handshake, or before it is answered, is delivered.

use towline::{Message, Server};

use crate::support::{FRONTS, HANDSHAKE, Raw, echo_messages, request, serve, soon};

/// A masked frame of the key zero.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[tokio::test]
async fn frames_in_the_same_packet_as_the_handshake_are_delivered() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let mut client = Raw::connect(serve(&server, front).await).await;
        let handshake = request("GET /", &HANDSHAKE).into_bytes();
        // The last one is cut in two.
        let last = frame("three");
        let bytes = [&handshake, &frame("one"), &frame("two"), &last[..4]].concat();
        client.send(bytes).await;
        let mut connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
        assert!(connection.tcp_stream().is_some(), "{front:?}");
        for text in ["one", "two"] {
            let message = soon(connection.recv()).await.unwrap();
            assert_eq!(message, Some(Message::text(text)), "{front:?}");
        }
        client.send(&last[4..]).await;
        let message = soon(connection.recv()).await.unwrap();
        assert_eq!(message, Some(Message::text("three")), "{front:?}");
    }
}

#[tokio::test]
async fn frames_that_come_before_the_answer_are_delivered() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let mut client = Raw::connect(serve(&server, front).await).await;
        client.request("GET /", &HANDSHAKE).await;
        let request = soon(server.next_request()).await.unwrap();
        client.send(frame("one")).await;
        // More than hyper reads ahead at once.
        let text = "not much, but there is a lot of it";
        for _ in 0..2000 {
            client.send(frame(text)).await;
        }
        tokio::task::yield_now().await;
        let mut connection = request.accept().await.unwrap();
        tokio::spawn(async move { echo_messages(&mut connection).await });
        assert_eq!(client.response().await.status(), 101, "{front:?}");
        assert_eq!(client.read(5).await, b"\x81\x03one", "{front:?}");
        let echoed = client.read(2000 * (2 + text.len())).await;
        assert!(echoed.ends_with(text.as_bytes()), "{front:?}");
    }
}
