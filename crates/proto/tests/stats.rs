//! What a connection counts: both ends agree about what went from one to the other.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use bytes::Buf as _;
use towline_kit::start;
use towline_proto::{Config, Connection, Frame, Incoming, Input, Message, Outgoing, Role, Traffic};

/// Writes all that one end has queued, and has the other receive it in pieces of this length.
fn transfer(from: &mut Connection, to: &mut Connection, now: Instant, piece: usize) -> usize {
    let mut bytes = Vec::new();
    while let Some(out) = from.session().poll_transmit() {
        bytes.extend_from_slice(out.chunk());
        out.advance(out.chunk().len());
        out.handle_flushed();
    }
    for piece in bytes.chunks_mut(piece) {
        to.handle_read(piece.len());
        let mut input = Input::new(piece);
        while !matches!(to.poll(now, &mut input), Incoming::More | Incoming::End) {}
    }
    bytes.len()
}

#[test]
fn both_ends_count_the_same_however_it_arrives() {
    for piece in [1, 5, 4_000, usize::MAX] {
        let now = start();
        let config = Config::client().fragmentation_threshold(1_000.try_into().unwrap());
        let mut client = Connection::new(Role::Client, &config, now);
        let mut server = Connection::new(Role::Server, &Config::server(), now);
        client.session().send("ship ahoy").unwrap();
        client.session().send(&[7; 3_500][..]).unwrap();
        client.session().send_frame(now, Frame::text("a").fin(false)).unwrap();
        client.session().send_frame(now, Frame::continuation("b")).unwrap();
        client.session().ping("?".into()).unwrap();
        let queued = client.stats(now);
        assert_eq!((queued.sent.messages, queued.sent.wire_bytes), (3, 0));
        assert!(queued.queued_bytes > 3_500, "{queued:?}");

        let wire_bytes = transfer(&mut client, &mut server, now, piece);
        let sent = client.stats(now);
        assert_eq!((sent.queued_messages, sent.queued_bytes, sent.pings_sent), (0, 0, 1));
        assert_eq!((sent.sent.messages, sent.sent.payload_bytes), (3, 9 + 3_500 + 2));
        // One, four, two, and the ping.
        assert_eq!((sent.sent.frames, sent.sent.wire_bytes), (8, wire_bytes as u64));
        let received = server.stats(now);
        assert_eq!(received.received, sent.sent, "in pieces of {piece}");
        assert_eq!(received.pings_received, 1);

        // The pong.
        let wire_bytes = transfer(&mut server, &mut client, now, piece) as u64;
        let received = client.stats(now).received;
        assert_eq!(received, server.stats(now).sent);
        assert_eq!((received.messages, received.frames, received.wire_bytes), (0, 1, wire_bytes));
    }
}

#[test]
fn times_and_waits_are_counted_from_the_handshake_on() {
    let start = start();
    let mut connection = Connection::new(Role::Server, &Config::server(), start);
    let at = |seconds| start + Duration::from_secs(seconds);
    connection.session().handle_received(at(3));
    for waited in [2, 5] {
        connection.session().handle_waited(Duration::from_secs(waited));
    }
    let stats = connection.stats(at(10));
    assert_eq!((stats.age, stats.idle), (Duration::from_secs(10), Duration::from_secs(7)));
    assert_eq!((stats.waits, stats.waited), (2, Duration::from_secs(7)));
    assert_eq!(stats.round_trip, None);
}

#[test]
fn the_counts_of_connections_are_added_up() {
    let now = start();
    let mut client = Connection::new(Role::Client, &Config::client(), now);
    let mut server = Connection::new(Role::Server, &Config::server(), now);
    client.session().send("ship ahoy").unwrap();
    transfer(&mut client, &mut server, now, usize::MAX);
    let one = server.stats(now).received;
    let mut sum = Traffic::default();
    for _ in 0..3 {
        sum.add(&one);
    }
    assert_eq!((sum.messages, sum.payload_bytes, sum.frames), (3, 27, 3));
    assert_eq!((sum.wire_bytes, sum.plain_bytes), (3 * one.wire_bytes, 0));
}

/// A message joins others that are ready to be written, and nothing else does.
#[test]
fn a_message_joins_only_what_is_ready() {
    let now = start();
    let mut connection = Connection::new(Role::Server, &Config::server(), now);
    let session = connection.session();
    let joins = Outgoing::from("ahoy");
    assert_eq!(session.join(&joins, 1_000), None, "nothing is ready");
    let mut first = Outgoing::from(Message::text("first"));
    session.send_from(&mut first).unwrap();
    assert_eq!(session.join(&joins, 1_000), Some(4));
    assert_eq!(session.join(&joins, 1), None, "more than a byte is ready");
    assert_eq!(session.join(&Outgoing::from(&[0; 5_000][..]), 1_000), None, "it is long");
    assert_eq!(session.stats(now).sent.messages, 2);
    let out = session.poll_transmit().unwrap();
    assert_eq!(out.chunk(), b"\x81\x05first\x81\x04ahoy");
    session.send_frame(now, Frame::text("half").fin(false)).unwrap();
    assert_eq!(session.join(&joins, 1_000), None, "a message is unfinished");
    session.close(now, towline_proto::CloseFrame::EMPTY).unwrap();
    assert_eq!(session.join(&joins, 1_000), None, "it closes");
    assert!(session.send_from(&mut Outgoing::from("late")).is_err());
}

/// What is received becomes a message, owned or borrowed, and nothing else does.
#[test]
fn received_items_become_messages() {
    let text = Incoming::Text("ahoy".into());
    assert_eq!(text.as_message().unwrap().as_text(), Some("ahoy"));
    assert_eq!(text.clone().into_owned(), text);
    assert_eq!(text.into_message(), Some(Message::text("ahoy")));
    for bytes in [Incoming::Binary((&[1, 2][..]).into()), Incoming::Binary(vec![1, 2].into())] {
        assert_eq!(bytes.as_message().unwrap().as_bytes(), [1, 2]);
        assert_eq!(bytes.into_message(), Some(Message::binary(vec![1, 2])));
    }
    for other in [Incoming::More, Incoming::End, Incoming::Pong("x".into())] {
        assert!(other.as_message().is_none());
        assert_eq!(other.clone().into_owned(), other);
        assert_eq!(other.into_message(), None);
    }
}
