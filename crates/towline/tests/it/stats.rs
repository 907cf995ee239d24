//! What a program can see of a connection and of a server: every message, frame and byte counts
//! once, whatever way it takes, and for whoever asks.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;
use towline::{
    CloseCode, Config, Frame, Keepalive, Measurement, Message, Opcode, Role, Server, Stats, Traffic,
};
use towline_kit::frame;

use crate::http::{arrives, head, request, says};
use crate::support::pair;
use crate::wire::{Far, connect, connect_with_early, settle};

const SECOND: Duration = Duration::from_secs(1);

fn quiet(config: Config) -> Config {
    config.keepalive(None::<Keepalive>)
}

/// The number of messages, the length of their payloads, frames, and bytes on the wire.
fn all(traffic: Traffic) -> [u64; 4] {
    [traffic.messages, traffic.payload_bytes, traffic.frames, traffic.wire_bytes]
}

/// The bytes and the number of the frames that were written since this was last asked.
fn written(far: &Far) -> (u64, u64) {
    let bytes = far.hears_bytes();
    (bytes.len() as u64, towline_kit::hear(&bytes).len() as u64)
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_counts_once_by_every_way() {
    for role in [Role::Server, Role::Client] {
        let (connection, far) = connect(role, &quiet(Config::server()));
        assert_eq!(connection.stats(), Stats::default());
        let mut expected = [0; 4];
        let mut check = |messages: u64, payload: u64| {
            let (bytes, frames) = written(&far);
            for (sum, more) in expected.iter_mut().zip([messages, payload, frames, bytes]) {
                *sum += more;
            }
            assert_eq!(all(connection.stats().sent), expected, "{role:?}");
            frames
        };
        // One that is written at once, those that join it, and one in fragments.
        for _ in 0..3 {
            connection.send("ahoy").await.unwrap();
        }
        connection.flushed().await;
        assert_eq!(check(3, 12), 3);
        connection.send(vec![7; 100_000]).await.unwrap();
        connection.send(&Message::binary(vec![7; 5000])).await.unwrap();
        connection.try_send(String::new()).unwrap();
        connection.flushed().await;
        assert_eq!(check(3, 105_000), 7 + 2);
        connection.send_frame(Frame::text("in").fin(false)).await.unwrap();
        connection.send("held").await.unwrap();
        connection.ping("hello?").await.unwrap();
        connection.send_frame(Frame::continuation(" two")).await.unwrap();
        connection.send_frame(Frame::new(Opcode::Ping, "")).await.unwrap();
        connection.flushed().await;
        assert_eq!(check(2, 2 + 4 + 4), 5);
        connection.pong("").await.unwrap();
        far.says(frame().ping("answered"));
        let mut connection = connection;
        assert!(futures_util::FutureExt::now_or_never(connection.recv()).is_none());
        let (bytes, frames) = written(&far);
        let sent = connection.stats().sent;
        assert_eq!(sent.frames, expected[2] + frames);
        assert_eq!(sent.wire_bytes, expected[3] + bytes);
        assert_eq!(frames, 2, "both pongs");
        assert_eq!(connection.stats().pings_sent, 2);
        assert_eq!(connection.stats().pings_received, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_received_counts_once_by_every_way() {
    for role in [Role::Server, Role::Client] {
        let peer = match role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let early = frame().text("early").by(peer).bytes();
        let mut wire = early.len() as u64;
        let config = quiet(Config::server()).max_received_frame_size(1 << 20);
        let (mut connection, far) = connect_with_early(role, &config, early.into());
        let mut says = |frames: &[towline_kit::FrameBytes]| {
            for frame in frames {
                wire += frame.clone().by(peer).bytes().len() as u64;
            }
            far.says_all(frames.iter().cloned());
            wire
        };
        assert_eq!(connection.recv().await.unwrap(), Some("early".into()));
        let frames = [
            frame().text("one"),
            frame().binary("two"),
            frame().text("thr").fin(false),
            frame().ping("between"),
            frame().continuation("ee"),
            frame().pong(""),
            frame().binary(vec![7; 300_000]),
        ];
        let wire = says(&frames);
        for _ in 0..4 {
            connection.recv().await.unwrap().unwrap();
        }
        let received = [5, 5 + 3 + 3 + 5 + 300_000, 8, wire];
        assert_eq!(all(connection.stats().received), received, "{role:?}");
        assert_eq!(connection.stats().pings_received, 1);
        // Senders know when the receiver has read again.
        let sender = connection.sender();
        assert!(futures_util::FutureExt::now_or_never(connection.recv()).is_none());
        assert_eq!(all(sender.stats().received), received);
        let (_, mut receiver) = connection.split();
        far.says(frame().text("lent"));
        assert_eq!(receiver.recv_ref().await.unwrap().unwrap().len(), 4);
        assert_eq!(receiver.stats().received.messages, 6);
        drop(receiver);
        far.says(frame().text("to nobody"));
        settle().await;
        assert_eq!(sender.stats().received.messages, 7, "the drain counts as well");
        assert_eq!(sender.stats().received.payload_bytes, received[1] + 4 + 9);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_count_once_where_frames_are_handed_out() {
    let config = quiet(Config::server()).assemble_fragments(false);
    let (mut connection, far) = connect(Role::Server, &config);
    far.says_all([
        frame().text("whole"),
        frame().text("in").fin(false),
        frame().continuation(" two"),
        frame().text("after"),
    ]);
    while connection.stats().received.messages < 3 {
        connection.next_event().await.unwrap().unwrap();
    }
    let received = connection.stats().received;
    assert_eq!((received.messages, received.frames, received.payload_bytes), (3, 4, 16));
}

/// However the program changes between frames, messages and pieces of them.
#[tokio::test(start_paused = true)]
async fn messages_count_once_where_frames_and_pieces_are_handed_out_by_turns() {
    let says = || {
        [
            frame().text("whole"),
            frame().text("in").fin(false),
            frame().continuation(" two"),
            frame().binary(""),
            frame().binary("in").fin(false),
            frame().continuation(" three").fin(false),
            frame().continuation(" fragments"),
            frame().text("after"),
        ]
    };
    let config = quiet(Config::server()).assemble_fragments(false);
    // Each bit chooses one call: an event, or a message in pieces.
    for turns in 0..1 << 9 {
        let (connection, far) = connect(Role::Server, &config);
        far.says_all(says());
        far.ends();
        let (_sender, mut receiver) = connection.split();
        let mut at = 0;
        loop {
            let in_pieces = turns >> at & 1 == 1;
            at += 1;
            let is_end = match in_pieces {
                true => match receiver.recv_reader().await {
                    Ok(Some(mut reader)) => {
                        let mut text = Vec::new();
                        reader.read_to_end(&mut text).await.unwrap();
                        false
                    }
                    _ => true,
                },
                false => !matches!(receiver.next_event().await, Ok(Some(_))),
            };
            if is_end {
                break;
            }
        }
        let received = receiver.stats().received;
        let counted = (received.messages, received.frames, received.payload_bytes);
        assert_eq!(counted, (5, 8, 5 + 6 + 18 + 5), "{turns:b}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_queue_and_the_waits_for_room_are_seen() {
    let config = quiet(Config::server()).send_high_water_mark(1000);
    let (connection, far) = connect(Role::Server, &config);
    far.stalls();
    connection.send(vec![0; 200_000]).await.unwrap();
    let sender = connection.sender();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let sender = sender.clone();
            tokio::spawn(async move { sender.send("after a while").await.unwrap() })
        })
        .collect();
    let impatient = tokio::time::timeout(2 * SECOND, sender.send("never")).await;
    assert!(impatient.is_err());
    let stats = connection.stats();
    assert!(stats.queued_bytes >= 200_000, "{stats:?}");
    assert_eq!(stats.queued_messages, 1, "the rest of the long one");
    assert_eq!((stats.waits, stats.waited), (1, 2 * SECOND));
    assert_eq!(stats.sent.messages, 1);
    sleep(3 * SECOND).await;
    far.flows();
    for waiting in waiting {
        waiting.await.unwrap();
    }
    connection.flushed().await;
    let stats = connection.stats();
    assert_eq!((stats.waits, stats.waited), (3, (2 + 5 + 5) * SECOND));
    assert_eq!((stats.queued_messages, stats.queued_bytes, stats.sent.messages), (0, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn age_and_silence_are_told_apart() {
    let config = Config::server().keepalive(Keepalive::every(20 * SECOND));
    let (mut connection, far) = connect(Role::Server, &config);
    let sender = connection.sender();
    let receiving = tokio::spawn(async move { connection.recv().await });
    sleep(5 * SECOND).await;
    far.says(frame().pong("I live"));
    settle().await;
    // A keepalive ping was sent meanwhile, which does not count as a sign of the peer's.
    sleep(22 * SECOND).await;
    let stats = sender.stats();
    assert_eq!((stats.age, stats.idle), (27 * SECOND, 22 * SECOND));
    assert_eq!((stats.pings_sent, stats.round_trip), (1, None));
    // One that the peer sends anyway: it lives, but that is no answer.
    far.says(frame().pong(""));
    settle().await;
    assert_eq!((sender.stats().idle, sender.stats().round_trip), (Duration::ZERO, None));
    far.says(frame().pong(far.hears().pop().unwrap().payload));
    settle().await;
    let stats = sender.stats();
    let round_trip = stats.round_trip.unwrap();
    assert!(round_trip.last >= SECOND && round_trip.last <= 3 * SECOND, "{round_trip:?}");
    assert_eq!(round_trip.smoothed, round_trip.last);
    drop(receiving);
}

#[tokio::test(start_paused = true)]
async fn what_a_silent_peer_takes_is_not_heard_of_it() {
    for role in [Role::Server, Role::Client] {
        let config = Config::server().keepalive(Keepalive::every(20 * SECOND));
        let (mut connection, far) = connect(role, &config);
        let sender = connection.sender();
        let receiving = tokio::spawn(async move { connection.recv().await });
        far.stalls();
        sender.send(vec![7; 100_000]).await.unwrap();
        for _ in 0..100 {
            sleep(SECOND).await;
            far.takes(500);
        }
        let stats = sender.stats();
        assert!(sender.is_open(), "{stats:?}");
        assert_eq!((stats.age, stats.idle), (100 * SECOND, 100 * SECOND), "{role:?}");
        far.says(frame().pong(""));
        settle().await;
        assert_eq!(sender.stats().idle, Duration::ZERO);
        drop(receiving);
    }
}

#[tokio::test(start_paused = true)]
async fn both_ends_agree_on_what_went_over() {
    let (mut server, mut client) = pair(&quiet(Config::server()), &quiet(Config::client()));
    for round in 0..100_usize {
        client.send(vec![1; round * 100]).await.unwrap();
        let message = server.recv().await.unwrap().unwrap();
        server.send(message).await.unwrap();
        client.recv().await.unwrap().unwrap();
    }
    let (server, client) = (server.stats(), client.stats());
    assert_eq!(server.received, client.sent);
    assert_eq!(server.sent, client.received);
    assert_eq!(server.sent.messages, 100);
}

#[tokio::test(start_paused = true)]
async fn a_server_adds_up_connections_that_live_and_that_have_ended() {
    let mut server = Server::builder().config(quiet(Config::server())).build();
    let mut measurements = server.handle().measurements();
    let (request, _at_first) = arrives(&mut server, &[]).await;
    let first = request.accept().await.unwrap();
    let (request, _at_second) = arrives(&mut server, &[]).await;
    let second = request.accept().await.unwrap();
    first.send("to the first").await.unwrap();
    second.send("and the second").await.unwrap();
    server.connections().broadcast("to all").await;
    settle().await;

    let (refused, mut far) = arrives(&mut server, &[]).await;
    assert_eq!(server.stats().requests, 1);
    sleep(SECOND).await;
    refused.reject(StatusCode::NOT_FOUND, "no such room").await.unwrap();
    head(&mut far).await;
    let mut far = says(&server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    head(&mut far).await;

    let before = server.stats();
    assert_eq!((before.connections, before.connections_total), (2, 2));
    assert_eq!((before.accepted, before.requests, before.broadcasts), (2, 0, 1));
    let rejected: Vec<_> = before.rejected.iter().map(|(code, n)| (code.as_u16(), *n)).collect();
    assert_eq!(rejected, [(404, 1), (426, 1)]);
    assert_eq!((before.sent.messages, before.sent.payload_bytes), (4, 12 + 14 + 6 + 6));
    assert!(before.closed.is_empty());

    first.abort(CloseCode::new(4321), "");
    drop((first, second));
    server.shutdown(CloseCode::GOING_AWAY, SECOND).await.unwrap();
    let after = server.stats();
    assert_eq!((after.connections, after.connections_total), (0, 2));
    assert_eq!(after.sent.messages, before.sent.messages);
    assert_eq!(after.sent.frames, before.sent.frames + 2, "and the close frames");
    assert_eq!(after.closed.values().sum::<u64>(), 2, "{:?}", after.closed);
    assert_eq!(after.closed[&CloseCode::new(4000)], 1, "{:?}", after.closed);

    let mut seen = Vec::new();
    while seen.len() < 6
        && let Some(measurement) = measurements.next().await
    {
        seen.push(match measurement {
            Measurement::Handshake { status, duration, .. } => {
                format!("{} after {duration:?}", status.as_u16())
            }
            Measurement::Ended { stats, .. } => format!("{} sent", stats.sent.messages),
            other => panic!("{other:?}"),
        });
    }
    let expected = ["101 after 0ns", "101 after 0ns", "404 after 1s", "426 after 0ns"];
    assert_eq!(seen[..4], expected);
    assert_eq!(seen[4..], ["2 sent", "2 sent"]);
}

/// Whoever aborts, and whatever the receiver does then.
#[tokio::test(start_paused = true)]
async fn what_was_received_before_an_abort_is_in_the_sums_of_a_server() {
    #[derive(Debug, Clone, Copy)]
    enum By {
        Connection,
        Sender,
        Server,
    }
    for by in [By::Connection, By::Sender, By::Server] {
        for reads_on in [false, true] {
            let mut server = Server::builder().config(quiet(Config::server())).build();
            let (request, mut far) = arrives(&mut server, &[]).await;
            let mut connection = request.accept().await.unwrap();
            head(&mut far).await;
            let frames =
                [frame().text("one"), frame().ping(""), frame().text("two"), frame().text("three")];
            let bytes = towline_kit::join(frames.map(|frame| frame.by(Role::Client)));
            far.write_all(&bytes).await.unwrap();
            assert_eq!(connection.recv().await.unwrap(), Some("one".into()));
            match by {
                By::Connection => connection.abort(CloseCode::POLICY, ""),
                By::Sender => connection.sender().abort(CloseCode::POLICY, ""),
                By::Server => server
                    .handle()
                    .shutdown(CloseCode::POLICY, Duration::ZERO)
                    .await
                    .map_or((), drop),
            }
            settle().await;
            assert_eq!(server.stats().connections, 0, "{by:?}");
            if reads_on {
                assert_eq!(connection.recv().await.unwrap(), Some("two".into()));
                assert_eq!(connection.recv().await.unwrap(), Some("three".into()));
                assert_eq!(connection.recv().await.unwrap(), None);
            }
            let own = connection.stats().received;
            drop(connection);
            settle().await;
            let sums = server.stats().received;
            let messages = if reads_on { 3 } else { 1 };
            assert_eq!((sums, sums.messages), (own, messages), "{by:?}");
            assert_eq!(sums.wire_bytes, bytes.len() as u64, "{by:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sums_of_a_server_never_decrease_while_connections_come_and_go() {
    let mut server = Server::builder().config(quiet(Config::server())).build();
    let mut last = 0;
    for round in 1..50_u64 {
        let far = says(&server, request("/", &[]).as_bytes()).await;
        let connection = server.next_request().await.unwrap().accept().await.unwrap();
        connection.send("ahoy").await.unwrap();
        settle().await;
        let stats = server.stats();
        assert!(stats.sent.messages > last, "{last} and then {stats:?}");
        last = stats.sent.messages;
        assert_eq!((stats.connections_total, stats.sent.messages), (round, round));
        drop((connection, far));
        settle().await;
    }
    assert_eq!(server.stats().closed.values().sum::<u64>(), 49);
}

#[tokio::test]
async fn a_shutdown_of_many_is_counted_over_tcp() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let mut clients = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..20 {
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(request("/", &[]).as_bytes()).await.unwrap();
        connections.push(server.next_request().await.unwrap().accept().await.unwrap());
        clients.push(client);
    }
    drop(clients);
    drop(connections);
    server.shutdown(CloseCode::GOING_AWAY, SECOND).await.unwrap();
    let stats = server.stats();
    assert_eq!((stats.connections, stats.connections_total), (0, 20));
    assert_eq!(stats.closed.values().sum::<u64>(), 20);
}
