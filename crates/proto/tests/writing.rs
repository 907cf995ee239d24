//! The bytes to write: the same by whichever method they are read off, in whatever portions.

#![allow(clippy::unwrap_used)]

use std::io::IoSlice;

use bytes::Buf;
use proptest::prelude::*;
use towline_kit::event::close_frame;
use towline_kit::{Peer, frame, hear};
use towline_proto::{CloseCode, Config, Connection, Message, MessageRef, Outbound, Role};

/// How a host takes bytes to write.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// From the first chunk, at most so many.
    Chunk(usize),
    /// From so many slices, at most so many bytes over all of them.
    Vectored(usize, usize),
    /// As an owned copy.
    Copied(usize),
}

fn ways() -> impl Strategy<Value = Vec<Way>> {
    let size = || prop_oneof![0usize..20, 0usize..200_000];
    let way = prop_oneof![
        size().prop_map(Way::Chunk),
        (1usize..9, size()).prop_map(|(slices, size)| Way::Vectored(slices, size)),
        size().prop_map(Way::Copied),
    ];
    prop::collection::vec(way, 1..12)
}

/// Takes bytes once, with all that must hold of a `Buf` on the way.
fn take(out: &mut Outbound, way: Way, written: &mut Vec<u8>) {
    let before = out.remaining();
    assert_eq!(out.has_remaining(), before > 0);
    assert_eq!(out.chunk().is_empty(), before == 0, "a chunk is empty only at the end");
    let taken = match way {
        Way::Chunk(most) => {
            let part = out.chunk().len().min(most);
            written.extend_from_slice(&out.chunk()[..part]);
            out.advance(part);
            part
        }
        Way::Vectored(slices, most) => {
            let mut buffers = vec![IoSlice::new(&[]); slices];
            let count = out.chunks_vectored(&mut buffers);
            assert!(count <= slices && (count > 0 || before == 0));
            assert!(buffers[..count].iter().all(|buffer| !buffer.is_empty()));
            assert!(buffers[..count].first().is_none_or(|first| out.chunk().starts_with(first)));
            let bytes: Vec<u8> =
                buffers[..count].iter().flat_map(|buffer| buffer.iter().copied()).collect();
            assert!(count == slices || bytes.len() == before, "room was left, and so were bytes");
            let part = bytes.len().min(most);
            written.extend_from_slice(&bytes[..part]);
            out.advance(part);
            part
        }
        Way::Copied(most) => {
            let part = before.min(most);
            written.extend_from_slice(&out.copy_to_bytes(part));
            part
        }
    };
    assert_eq!(out.remaining(), before - taken);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bytes_read_off_in_any_way_and_in_any_portions_are_the_same(
        role in prop::sample::select(vec![Role::Server, Role::Client]),
        fragments: bool,
        rounds in prop::collection::vec(
            (prop::collection::vec(prop_oneof![0usize..5_000, 4_000usize..200_000], 0..4), ways()),
            1..6,
        ),
    ) {
        let config = Config::server().fragment_outgoing_messages(fragments);
        let mut connection = Connection::new(role, &config, towline_kit::start());
        let (mut sent, mut written) = (Vec::new(), Vec::new());
        let mut last_ways = vec![Way::Chunk(1000)];
        for (number, (sizes, ways)) in (0u8..).zip(rounds) {
            for size in sizes {
                let message: Vec<u8> = (0..=250).cycle().map(|byte: u8| byte ^ number).take(size).collect();
                sent.extend_from_slice(&message);
                connection.session().send(Message::binary(message)).unwrap();
            }
            for way in &ways {
                if let Some(out) = connection.session().poll_transmit() {
                    take(out, *way, &mut written);
                }
            }
            last_ways = ways;
        }
        // The rest, in a way that gets on.
        last_ways.push(Way::Vectored(3, 70_000));
        for way in last_ways.into_iter().cycle() {
            let Some(out) = connection.session().poll_transmit() else { break };
            take(out, way, &mut written);
        }
        let said: Vec<u8> = hear(&written).into_iter().flat_map(|frame| frame.payload).collect();
        prop_assert!(said == sent);
        prop_assert_eq!(connection.session().outbound().queued_len(), 0);
    }
}

#[test]
fn a_large_payload_is_lent_and_its_head_stands_beside_it() {
    let config = Config::server().fragment_outgoing_messages(false);
    let mut peer = Peer::new(Role::Server, &config);
    let payload = bytes::Bytes::from(vec![7; 100_000]);
    for _ in 0..3 {
        peer.session().send(Message::binary(payload.clone())).unwrap();
    }
    let out = peer.session().poll_transmit().unwrap();
    let mut slices = [IoSlice::new(&[]); 16];
    assert_eq!(out.chunks_vectored(&mut slices), 6);
    for (head, body) in [(0, 1), (2, 3), (4, 5)] {
        assert_eq!(slices[head].len(), 10);
        assert_eq!(slices[body].as_ptr(), payload.as_ptr(), "not a copy");
    }
}

#[test]
fn a_large_message_that_is_lent_is_shared_if_it_can_be_and_copied_if_not() {
    let config = Config::server().fragment_outgoing_messages(false);
    let message = Message::binary(vec![7; 5000]);
    for (lent, is_shared) in
        [(MessageRef::from(&message), true), (MessageRef::binary(message.as_bytes()), false)]
    {
        let mut server = Connection::new(Role::Server, &config, towline_kit::start());
        server.session().send(lent).unwrap();
        let out = server.session().poll_transmit().unwrap();
        let mut slices = [IoSlice::new(&[]); 4];
        let count = out.chunks_vectored(&mut slices);
        let last = &slices[count - 1];
        assert_eq!(last.as_ptr() == message.as_bytes().as_ptr(), is_shared);
    }
}

#[test]
fn small_messages_leave_in_one_piece() {
    let mut peer = Peer::of_server();
    for _ in 0..64 {
        peer.session().send(Message::text("a small one")).unwrap();
    }
    let out = peer.session().poll_transmit().unwrap();
    assert_eq!(out.chunk().len(), out.remaining());
    assert_eq!(out.remaining(), 64 * 13);
}

#[test]
fn no_more_is_made_ready_than_keeps_the_socket_busy() {
    for role in [Role::Server, Role::Client] {
        let mut peer = Peer::new(role, &Config::server());
        for _ in 0..10 {
            peer.session().send(Message::binary(vec![0; 1 << 20])).unwrap();
        }
        while let Some(out) = peer.session().poll_transmit() {
            assert!(out.remaining() < 160 << 10, "{}", out.remaining());
            let part = out.remaining().min(50_000);
            out.advance(part);
        }
    }
}

#[test]
#[should_panic(expected = "advanced past the end")]
fn to_advance_past_the_end_is_a_mistake_of_the_host() {
    let mut peer = Peer::of_server();
    peer.session().send(Message::text("x")).unwrap();
    peer.session().poll_transmit().unwrap().advance(4);
}

#[test]
fn the_close_frame_is_written_when_all_before_it_is() {
    let mut peer = Peer::of_server();
    let now = peer.now();
    peer.session().send(Message::binary(vec![0; 300_000])).unwrap();
    peer.session().close(now, close_frame(CloseCode::NORMAL, "")).unwrap();
    while peer.session().poll_transmit().is_some() {
        assert!(!peer.session().outbound().is_close_written());
        peer.takes(10_000);
    }
    assert!(peer.session().outbound().is_close_written());
}

#[test]
fn a_close_frame_that_the_transport_never_took_was_not_written() {
    let mut peer = Peer::of_server();
    peer.says(frame().close(1000, ""));
    assert!(!peer.session().outbound().is_close_written());
    peer.ends();
    assert!(!peer.session().outbound().is_close_written());
    assert!(peer.session().outbound().is_empty());
}

#[test]
fn a_buffer_is_lent_for_as_long_as_there_is_something_in_it() {
    let mut peer = Peer::of_client();
    assert!(!peer.session().outbound().has_buffer());
    assert_eq!(peer.session().outbound().reclaim_buffer(), None);
    peer.session().outbound().lend_buffer(Vec::with_capacity(1000));
    peer.session().send(Message::text("x")).unwrap();
    assert_eq!(peer.session().outbound().reclaim_buffer(), None, "something is in it");
    peer.takes(3);
    assert_eq!(peer.session().outbound().reclaim_buffer(), None, "something is left in it");
    assert_eq!(peer.hears()[0].text(), "x");
    let buffer = peer.session().outbound().reclaim_buffer().unwrap();
    assert!(buffer.is_empty() && buffer.capacity() >= 1000);
    assert!(!peer.session().outbound().has_buffer());
    peer.session().send(Message::text("without one")).unwrap();
    assert_eq!(peer.hears()[0].text(), "without one");
}
