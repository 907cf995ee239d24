//! Compression between a client and a server, from the handshake on.
//!
//! A binary of its own: it is there with the feature `deflate` only, and counts what is allocated.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use towline::{
    Client, CloseCode, Compress, Config, Connection, Deflate, ErrorKind, Keepalive, Message,
    MessageKind, Outgoing, Server,
};
use towline_proto::handshake::{HeadLimits, Offer, parse_request};

/// All that can be left to the peer is.
fn generous() -> Deflate {
    Deflate::server().threshold(1).send_context_takeover(true).receive_context_takeover(true)
}

fn quiet(config: Config) -> Config {
    config.keepalive(Keepalive::every(Duration::from_secs(1000)))
}

fn client(deflate: impl Into<Option<Deflate>>) -> Client {
    let compression = deflate.into().map(towline::Compression::from);
    Client::new().config(quiet(Config::client()).compression(compression))
}

async fn server(deflate: impl Into<Option<Deflate>>) -> (Server, String) {
    let compression = deflate.into().map(towline::Compression::from);
    let config = quiet(Config::server()).compression(compression);
    let server = Server::builder().config(config).bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", server.local_addr().unwrap());
    (server, url)
}

/// A server's end of a connection, and a client's.
async fn connect(server: &mut Server, client: &Client, url: &str) -> [Connection; 2] {
    let accepting = async { server.next_request().await.unwrap().accept().await.unwrap() };
    let (at_server, at_client) = tokio::join!(accepting, client.connect(url));
    [at_server, at_client.unwrap()]
}

async fn agreed(server_side: Option<Deflate>, client_side: Option<Deflate>) -> [Connection; 2] {
    let (mut server, url) = server(server_side).await;
    connect(&mut server, &client(client_side), &url).await
}

fn extensions(connection: &Connection) -> Vec<String> {
    connection.extensions().iter().map(ToString::to_string).collect()
}

async fn echoes([at_server, at_client]: &mut [Connection; 2], message: impl Into<Message>) {
    let message = message.into();
    at_client.send(message.clone()).await.unwrap();
    let received = at_server.recv().await.unwrap().unwrap();
    assert!(received == message);
    at_server.send(received).await.unwrap();
    assert!(at_client.recv().await.unwrap() == Some(message));
}

#[tokio::test]
async fn both_ends_know_what_was_agreed_on_and_messages_arrive() {
    let small =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover".to_owned();
    for (at_server, at_client, agreed_on) in [
        (Some(Deflate::server()), Some(Deflate::client()), vec![small]),
        (Some(generous()), Some(generous()), vec!["permessage-deflate".to_owned()]),
        (
            Some(generous().send_window_bits(10).receive_window_bits(9)),
            Some(generous()),
            vec![
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"
                    .to_owned(),
            ],
        ),
        (None, Some(Deflate::client()), vec![]),
        (Some(Deflate::server()), None, vec![]),
    ] {
        let mut ends = agreed(at_server, at_client).await;
        assert_eq!(extensions(&ends[0]), agreed_on);
        assert_eq!(extensions(&ends[1]), agreed_on);
        for _ in 0..3 {
            echoes(&mut ends, "ship ahoy, ".repeat(20_000)).await;
            echoes(&mut ends, vec![7; 300]).await;
            echoes(&mut ends, "").await;
        }
        let [mut at_server, at_client] = ends;
        at_client
            .send(Outgoing::from("secret".repeat(100)).compress(Compress::Never))
            .await
            .unwrap();
        assert_eq!(at_server.recv().await.unwrap(), Some("secret".repeat(100).into()));
        at_client.start_close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(at_server.recv().await.unwrap(), None);
    }
}

#[tokio::test]
async fn without_assembling_there_is_no_compression() {
    let (mut server, url) = server(Deflate::server()).await;
    let config = Config::client().compression(Deflate::client()).assemble_fragments(false);
    let ends = connect(&mut server, &Client::new().config(config), &url).await;
    assert!(ends.iter().all(|end| end.extensions().is_empty()));
}

#[tokio::test]
async fn the_halves_of_a_split_connection_work_on_their_own() {
    let [at_server, at_client] = agreed(Some(generous()), Some(generous())).await;
    let (server_sender, mut server_receiver) = at_server.split();
    let (client_sender, mut client_receiver) = at_client.split();
    let text = |end: &str, at: usize| format!("{end} {at} {}", "ahoy, ".repeat(at % 7 * 50));
    let sending = tokio::spawn(async move {
        for at in 0..300 {
            server_sender.send(text("server", at)).await.unwrap();
            client_sender.clone().send(text("client", at)).await.unwrap();
        }
        (server_sender, client_sender)
    });
    let to_client = tokio::spawn(async move {
        for at in 0..300 {
            assert_eq!(client_receiver.recv().await.unwrap(), Some(text("server", at).into()));
        }
        client_receiver
    });
    for at in 0..300 {
        assert_eq!(server_receiver.recv().await.unwrap(), Some(text("client", at).into()));
    }
    to_client.await.unwrap();
    sending.await.unwrap();
}

/// A server's end of a connection, and a client's that is a bare socket and offers this. The answer
/// has been read.
async fn connect_bare(server: &mut Server, url: &str, offer: &str) -> (Connection, TcpStream) {
    let address = url.trim_start_matches("ws://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: {offer}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let connection = server.next_request().await.unwrap().accept().await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(answer.contains("Extensions"), !connection.extensions().is_empty(), "{answer}");
    (connection, stream)
}

#[tokio::test]
async fn a_connection_goes_on_after_a_declined_offer() {
    let (mut server, url) = server(Deflate::server()).await;
    let offer = "permessage-deflate; server_max_window_bits=8, permessage-deflate; constructor";
    let (mut connection, mut stream) = connect_bare(&mut server, &url, offer).await;
    assert!(connection.extensions().is_empty());
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    assert_eq!(connection.recv().await.unwrap(), Some("hi".into()));
    connection.send("x".repeat(1000)).await.unwrap();
    let mut header = [0; 4];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header, [0x81, 126, 3, 232]);
}

#[tokio::test]
async fn what_is_sent_without_waiting_is_compressed_or_not_as_it_is_told() {
    let (mut server, url) = server(Deflate::server()).await;
    let connections = server.connections();
    let (connection, mut stream) = connect_bare(&mut server, &url, "permessage-deflate").await;
    let secret = "x".repeat(1000);
    let sender = connection.sender();
    for (compress, first_byte) in [(Compress::Never, 0x81), (Compress::Auto, 0xC1)] {
        connection.try_send(Outgoing::from(&*secret).compress(compress)).unwrap();
        sender.try_send(Outgoing::from(&*secret).compress(compress)).unwrap();
        let broadcast = Outgoing::from(&*secret).compress(compress);
        assert_eq!(connections.broadcast(broadcast).await.sent, 1);
        for _ in 0..3 {
            let mut header = [0; 2];
            stream.read_exact(&mut header).await.unwrap();
            assert_eq!(header[0], first_byte);
            let len = match header[1] {
                126 => usize::from(stream.read_u16().await.unwrap()),
                len => usize::from(len),
            };
            assert_eq!(len == 1000, compress == Compress::Never);
            stream.read_exact(&mut vec![0; len]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_the_offer_fails_the_handshake_and_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        let request = loop {
            head.push(stream.read_u8().await.unwrap());
            if let Some((request, _)) = parse_request(&head, &HeadLimits::default()).unwrap() {
                break request;
            }
        };
        let accept = Offer::from_request(&request).unwrap().key().unwrap().accept();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=13\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let client = client(Deflate::client().fallback(false));
    let (_stream, connected) = tokio::join!(answering, client.connect(&url));
    let error = connected.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake);
    let reason = "client_max_window_bits is 13, but was offered as 12";
    assert!(error.to_string().ends_with(reason), "{error}");
}

#[tokio::test]
async fn what_inflates_to_more_than_the_limit_is_closed_with_1009() {
    let [mut at_server, mut at_client] = agreed(Some(generous()), Some(generous())).await;
    // A megabyte is the limit.
    at_client.send("x".repeat(8 << 20)).await.unwrap();
    let error = at_server.recv().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(error.close_code(), Some(CloseCode::MESSAGE_TOO_BIG));
    assert!(error.to_string().contains("max_received_message_size"), "{error}");
    let error = at_client.recv().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ClosedByPeer);
    assert_eq!(at_client.closed().unwrap().code(), CloseCode::MESSAGE_TOO_BIG);
}

#[tokio::test]
async fn a_broadcast_reaches_all_whatever_they_agreed_on() {
    let (mut server, url) = server(generous()).await;
    let clients = [
        client(None),
        client(Deflate::server()),
        client(Deflate::server()),
        client(generous()),
        client(generous().receive_window_bits(9)),
    ];
    let mut ends = Vec::new();
    for client in &clients {
        ends.push(connect(&mut server, client, &url).await);
    }
    for compress in [Compress::Auto, Compress::Never, Compress::Auto] {
        let text = "ship ahoy, ".repeat(50_000);
        let connections = server.connections();
        let sent = connections.broadcast(Outgoing::from(&text).compress(compress)).into_future();
        let receiving = async {
            for [_, at_client] in &mut ends {
                assert!(at_client.recv().await.unwrap() == Some(text.clone().into()));
            }
        };
        assert_eq!(tokio::join!(sent, receiving).0.sent, clients.len());
    }
}

/// What each of so many connections of a server has on the heap when it has heard and said
/// something.
fn idle(offer: &str) -> i64 {
    const CONNECTIONS: usize = 40;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let all = async |count: usize| {
        let (mut server, url) = server(Deflate::server()).await;
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            let (mut connection, mut stream) = connect_bare(&mut server, &url, offer).await;
            // "Hello", as RFC 7692 has it, masked with zeros; or plain.
            let frame = if connection.extensions().is_empty() {
                [&[0x81, 0x85, 0, 0, 0, 0][..], b"Hello"].concat()
            } else {
                [&[0xC1, 0x87, 0, 0, 0, 0][..], b"\xf2\x48\xcd\xc9\xc9\x07\x00"].concat()
            };
            stream.write_all(&frame).await.unwrap();
            assert_eq!(connection.recv().await.unwrap(), Some("Hello".into()));
            connection.send("ship ahoy, ".repeat(100)).await.unwrap();
            stream.read_u8().await.unwrap();
            all.push((connection, stream));
        }
        (server, all)
    };
    // What the thread keeps for all connections is there then.
    drop(runtime.block_on(all(3)));
    let mut kept = None;
    let info = allocation_counter::measure(|| kept = Some(runtime.block_on(all(CONNECTIONS))));
    drop(kept);
    info.bytes_current / CONNECTIONS as i64
}

#[test]
fn an_idle_compressed_connection_without_context_takeover_holds_no_more_than_another() {
    let (plain, compressed) = (idle("x-none"), idle("permessage-deflate"));
    println!("{plain} bytes for a connection, {compressed} with compression");
    assert!(compressed * 100 <= plain * 105, "{compressed} bytes, and {plain} without");
}

#[tokio::test]
async fn what_compression_saves_is_counted_at_both_ends() {
    let (mut server, url) = server(Deflate::server()).await;
    let client = client(Deflate::client());
    let [mut at_server, mut at_client] = connect(&mut server, &client, &url).await;
    // In one frame, in several, too short to be compressed, and left as it is.
    let long = "ship ahoy ".repeat(20_000);
    let messages = [&long[..1000], &long, "short", &long[..1000]];
    for (at, message) in messages.into_iter().enumerate() {
        let compress = if at == 3 { Compress::Never } else { Compress::Auto };
        at_client.send(Outgoing::from(message).compress(compress)).await.unwrap();
        let received = at_server.recv().await.unwrap().unwrap();
        assert_eq!(received.len(), message.len());
    }
    let (sent, received) = (at_client.stats().sent, at_server.stats().received);
    assert_eq!(sent, received);
    assert_eq!(sent.payload_bytes, 1000 + 200_000 + 5 + 1000);
    assert_eq!(sent.plain_bytes, 1000 + 200_000);
    assert!((1..20_000).contains(&sent.compressed_bytes), "{sent:?}");
    assert!(sent.wire_bytes > sent.compressed_bytes + 1005);

    server.connections().broadcast(long.clone()).await;
    at_client.recv().await.unwrap().unwrap();
    let (sent, received) = (at_server.stats().sent, at_client.stats().received);
    assert_eq!(sent, received);
    assert_eq!((sent.payload_bytes, sent.plain_bytes), (200_000, 200_000));
    assert!((1..20_000).contains(&sent.compressed_bytes), "{sent:?}");
}

/// Those that are read in pieces, those that are dropped, and those that are sent while they are
/// written, which are not compressed: all leave the windows as they are to be.
#[tokio::test]
async fn streamed_messages_and_whole_ones_take_turns() {
    let text = "ship ahoy, and all that belongs to it; ".repeat(20_000);
    let [mut at_server, at_client] = agreed(Some(generous()), Some(generous())).await;
    let sent = text.clone();
    let sending = tokio::spawn(async move {
        for _ in 0..3 {
            at_client.send(&sent).await.unwrap();
            let mut writer = at_client.message_writer(MessageKind::Text);
            writer.write_all(sent.as_bytes()).await.unwrap();
            writer.finish().await.unwrap();
        }
        at_client
    });
    for round in 0..6 {
        if round == 2 {
            assert!(at_server.recv().await.unwrap() == Some(Message::text(&text)));
            continue;
        }
        let mut reader = at_server.recv_reader().await.unwrap().unwrap();
        if round == 1 || round == 4 {
            // The rest of it is dropped.
            assert!(reader.read(&mut [0; 100]).await.unwrap() > 0);
            continue;
        }
        let mut read = String::new();
        reader.read_to_string(&mut read).await.unwrap();
        assert!(read == text);
    }
    drop(sending.await.unwrap());
    assert!(at_server.recv_reader().await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_of_bytes_is_compressed_unless_that_is_turned_off() {
    for compress in [Compress::Auto, Compress::Never] {
        let ends = agreed(Some(generous()), Some(generous())).await;
        let [mut reading, writing] = ends.map(Connection::into_byte_stream);
        let mut writing = writing.compress(compress);
        let sent: Vec<u8> = "ship ahoy, ".repeat(50_000).into();
        let written = sent.clone();
        let writing = tokio::spawn(async move {
            writing.write_all(&written).await.unwrap();
            writing.shutdown().await.unwrap();
            writing
        });
        let mut read = Vec::new();
        reading.read_to_end(&mut read).await.unwrap();
        assert!(read == sent, "{compress:?}");
        drop(writing.await.unwrap());
    }
}
