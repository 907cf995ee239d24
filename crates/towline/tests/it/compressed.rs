//! With compression, a few bytes are a lot of work, and a lot of work few bytes: others have their
//! turn all the same.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use towline::{
    Client, CloseCode, Compression, Config, Connection, Deflate, Event, Keepalive, Message, Role,
    Server, WhenFull,
};
use towline_kit::frame;

use crate::endless::{Bystander, Count, Endless};
use crate::http::{accepts, head, request};
use crate::wire::settle;

/// So many bytes are inflated or deflated at the most before others have their turn.
const BYTES: usize = 4 << 20;
const NEWEST: WhenFull = WhenFull::KeepNewest(NonZeroUsize::MIN);

const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

fn quiet(config: Config, deflate: Deflate) -> Config {
    config.keepalive(None::<Keepalive>).compression(Compression::from(deflate))
}

/// What a client writes for this message.
pub(crate) async fn deflated(message: Message) -> Vec<u8> {
    let (near, mut far) = duplex(1 << 20);
    let client = Client::new().config(quiet(Config::client(), Deflate::client().threshold(1)));
    let connecting = tokio::spawn(async move { client.connect_over(near, "ws://h/").await });
    let request = head(&mut far).await;
    let answer = accepts(&request, &format!("Sec-WebSocket-Extensions: {OFFER}\r\n"));
    far.write_all(&answer).await.unwrap();
    let connection = connecting.await.unwrap().unwrap();
    assert!(connection.info().compression.is_some());
    connection.send(message).await.unwrap();
    connection.flushed().await;
    connection.abort(CloseCode::GOING_AWAY, "");
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).await.unwrap();
    // Without the close frame, which is masked and has a code.
    bytes.truncate(bytes.len() - 8);
    bytes
}

/// A server's connection to a client that says this for ever, and takes all.
pub(crate) async fn connect(again: Vec<u8>, chunk: usize) -> (Connection, Count) {
    let config = quiet(Config::server(), Deflate::server().threshold(1));
    let mut server = Server::builder().config(config).build();
    let first = request("/", &[("Sec-WebSocket-Extensions", OFFER)]);
    let mut stream = Endless::new(first, again);
    stream.chunk = chunk;
    let read = stream.read.clone();
    server.serve(stream, None);
    let connection = server.next_request().await.unwrap().accept().await.unwrap();
    assert!(connection.info().compression.is_some());
    (connection, read)
}

#[tokio::test(start_paused = true)]
async fn who_receives_what_inflates_a_lot_lets_others_run() {
    for len in [1 << 20, 1 << 12] {
        let says = deflated(Message::binary(vec![0; len])).await;
        assert!(says.len() < len / 50, "{} bytes", says.len());
        for by in 0..3 {
            let (mut connection, _read) = connect(says.clone(), usize::MAX).await;
            let count = Count::default();
            let bystander = Bystander::of(&count);
            let counted = count.clone();
            let receiving = tokio::spawn(async move {
                while counted.get() < 6 << 20 {
                    counted.add(match by {
                        0 => connection.recv().await.unwrap().unwrap().len(),
                        1 => {
                            connection.next_event().await.unwrap().unwrap();
                            len
                        }
                        _ => connection.next().await.unwrap().unwrap().len(),
                    });
                }
            });
            receiving.await.unwrap();
            let most = bystander.most().await;
            assert!(most <= BYTES, "by {by}: {most} bytes");
        }
        let (connection, _read) = connect(says, usize::MAX).await;
        let (_sender, mut receiver) = connection.split();
        let count = Count::default();
        let bystander = Bystander::of(&count);
        let receiving = tokio::spawn(async move {
            while count.get() < 6 << 20 {
                count.add(receiver.recv_ref().await.unwrap().unwrap().len());
            }
        });
        receiving.await.unwrap();
        let most = bystander.most().await;
        assert!(most <= BYTES, "lent: {most} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn what_inflates_a_lot_and_nobody_receives_is_dropped_in_pieces() {
    let says = deflated(Message::binary(vec![0; 1 << 20])).await;
    let (connection, read) = connect(says.clone(), 256).await;
    let bystander = Bystander::of(&read);
    let (sender, receiver) = connection.split();
    drop(receiver);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let most = bystander.most().await;
    assert!(most > 0 && most <= BYTES / (1 << 20) * says.len(), "{most} bytes of them");
    sender.abort(CloseCode::NORMAL, "");
}

/// A program that has read some of a message and drops the rest of it. Paying for the work after it
/// was done would not do, so that what is inflated in one poll is counted.
#[tokio::test(start_paused = true)]
async fn what_inflates_a_lot_and_is_skipped_lets_others_run() {
    const LEN: usize = 64 << 20;
    let mut first = request("/", &[("Sec-WebSocket-Extensions", OFFER)]).into_bytes();
    first.extend(deflated(Message::binary(vec![0; LEN])).await);
    first.extend(frame().text("after it").by(Role::Client).bytes());
    for by in 0..4 {
        let config = quiet(Config::server(), Deflate::server().threshold(1));
        let mut server = Server::builder().config(config).build();
        server.serve(Endless::new(first.clone(), []), None);
        let connection = server.next_request().await.unwrap().accept().await.unwrap();
        let (_sender, mut receiver) = connection.split();
        let mut reader = receiver.recv_reader().await.unwrap().unwrap();
        assert_eq!(reader.read_u8().await.unwrap(), 0);
        drop(reader);
        let (mut most, mut inflated) = (0, receiver.stats().received.plain_bytes);
        loop {
            let len = match by {
                0 => receiver.recv().now_or_never().map(|next| next.unwrap().unwrap().len()),
                1 => match receiver.next_event().now_or_never() {
                    Some(Ok(Some(Event::Message(message)))) => Some(message.len()),
                    Some(other) => panic!("{other:?}"),
                    None => None,
                },
                2 => receiver.recv_ref().now_or_never().map(|next| next.unwrap().unwrap().len()),
                _ => match receiver.recv_reader().now_or_never() {
                    Some(next) => {
                        let mut text = String::new();
                        Some(next.unwrap().unwrap().read_to_string(&mut text).await.unwrap())
                    }
                    None => None,
                },
            };
            let now = receiver.stats().received.plain_bytes;
            most = most.max(now - std::mem::replace(&mut inflated, now));
            if let Some(len) = len {
                assert_eq!(len, 8);
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(inflated == LEN as u64 && most <= BYTES as u64, "{most} of {inflated}, by {by}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_what_is_to_be_deflated_lets_others_run() {
    for len in [1 << 20, 1 << 12] {
        for by_sink in [false, true] {
            let (mut connection, _read) = connect(Vec::new(), usize::MAX).await;
            let count = Count::default();
            let bystander = Bystander::of(&count);
            let sending = tokio::spawn(async move {
                while count.get() < 6 << 20 {
                    let message = Message::binary(vec![0; len]);
                    count.add(len);
                    match by_sink {
                        true => SinkExt::feed(&mut connection, message).await.unwrap(),
                        false => connection.send(message).await.unwrap(),
                    }
                }
            });
            sending.await.unwrap();
            let most = bystander.most().await;
            assert!(most <= BYTES, "{len}, {by_sink}: {most} bytes");
        }
    }
}

/// Whoever writes it: it is done in pieces.
#[tokio::test(start_paused = true)]
async fn a_long_message_that_deflates_to_little_lets_others_run() {
    const LEN: usize = 16 << 20;
    for flushes in [true, false] {
        let (connection, _read) = connect(Vec::new(), usize::MAX).await;
        let bystander = Bystander::of(&Count::default());
        settle().await;
        let before = bystander.turns();
        let sending = tokio::spawn(async move {
            connection.send(vec![0; LEN]).await.unwrap();
            match flushes {
                true => connection.flushed().await,
                false => {
                    while connection.queued_bytes() > 0 {
                        tokio::task::yield_now().await;
                    }
                }
            }
        });
        sending.await.unwrap();
        let turns = bystander.turns() - before;
        assert!(turns >= LEN / (1 << 20), "{turns} turns, flushes: {flushes}");
    }
}

/// Bytes that deflate to no less.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// With context takeover each connection's messages are compressed by themselves, and what is kept
/// must be, when it is its turn.
#[tokio::test(start_paused = true)]
async fn broadcasts_are_read_by_all_whatever_becomes_of_those_that_are_full() {
    for takeover in [false, true] {
        for when_full in [WhenFull::Skip, NEWEST, WhenFull::Close] {
            let deflate = |deflate: Deflate| {
                deflate
                    .threshold(1)
                    .send_context_takeover(takeover)
                    .receive_context_takeover(takeover)
            };
            let config = quiet(Config::server(), deflate(Deflate::server()));
            let config = config.send_high_water_mark(1000);
            let mut server = Server::builder().config(config).auto_accept(true).build();
            let client = Client::new().config(quiet(Config::client(), deflate(Deflate::client())));
            let (mut connections, mut clients) = (Vec::new(), Vec::new());
            for _ in 0..6 {
                let (near, far) = duplex(4096);
                server.serve(far, None);
                let (at_client, at_server) =
                    tokio::join!(client.connect_over(near, "ws://h/"), server.next_connection());
                clients.push(at_client.unwrap());
                connections.push(at_server.unwrap());
            }
            let noise = noise(20_000);
            let all = server.connections();
            for round in 0..4 {
                for connection in connections[..3].iter().filter(|it| it.is_open()) {
                    let _ = connection.try_send(noise.clone());
                }
                settle().await;
                let message = Message::text(format!("round {round}, and round again"));
                let delivery = all.broadcast(message.clone()).when_full(when_full).await;
                let closed = when_full == WhenFull::Close && round > 0;
                assert_eq!((delivery.sent, delivery.full.len()), (3, if closed { 0 } else { 3 }));
                for client in &mut clients[3..] {
                    assert_eq!(client.recv().await.unwrap(), Some(message.clone()));
                }
            }
            for client in &mut clients[..3] {
                if when_full == WhenFull::Close {
                    while let Ok(Some(_)) = client.recv().await {}
                    continue;
                }
                assert_eq!(client.recv().await.unwrap(), Some(noise.clone().into()));
                let next = tokio::time::timeout(Duration::from_secs(1), client.recv()).await;
                match when_full {
                    WhenFull::Skip => assert!(next.is_err()),
                    _ => {
                        let newest = Message::text("round 3, and round again");
                        assert_eq!(next.unwrap().unwrap(), Some(newest));
                    }
                }
            }
            for (connection, client) in connections.iter().zip(&mut clients).skip(3) {
                connection.send("the end").await.unwrap();
                assert_eq!(client.recv().await.unwrap(), Some("the end".into()));
            }
        }
    }
}
