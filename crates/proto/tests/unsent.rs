//! What comes back of a queue when the transport is lost: each message that no byte was written of.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use proptest::prelude::*;
use towline_kit::event::close_frame;
use towline_kit::{Heard, Peer, frame};
use towline_proto::{CloseCode, Config, Frame, Message, Opcode, Role};

const ROLES: [Role; 2] = [Role::Server, Role::Client];

fn config() -> Config {
    Config::server().keep_unsent(true)
}

fn unsent(peer: &mut Peer) -> Vec<Message> {
    peer.session().outbound().take_unsent()
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.as_text().unwrap()).collect()
}

fn sends(peer: &mut Peer, messages: &[&str]) {
    for message in messages {
        peer.session().send(*message).unwrap();
    }
}

#[test]
fn nothing_comes_back_while_the_transport_works_and_everything_only_once_afterwards() {
    for role in ROLES {
        let mut peer = Peer::new(role, &config());
        sends(&mut peer, &["one", "two"]);
        assert_eq!(unsent(&mut peer), []);
        peer.ends();
        assert_eq!(texts(&unsent(&mut peer)), ["one", "two"]);
        assert_eq!(unsent(&mut peer), []);
    }
}

#[test]
fn a_message_of_which_one_byte_was_written_does_not_come_back() {
    for role in ROLES {
        let mut peer = Peer::new(role, &config());
        sends(&mut peer, &["one", "two", "three"]);
        let header = if role == Role::Client { 6 } else { 2 };
        assert_eq!(peer.takes(header + "one".len() + 1), header + "one".len() + 1);
        peer.ends();
        assert_eq!(texts(&unsent(&mut peer)), ["three"]);
    }
}

#[test]
fn what_was_written_whole_does_not_come_back() {
    for role in ROLES {
        let mut peer = Peer::new(role, &config());
        sends(&mut peer, &["one"]);
        peer.hears();
        peer.ends();
        assert_eq!(unsent(&mut peer), []);
    }
}

#[test]
fn nothing_is_kept_unless_asked_for() {
    for role in ROLES {
        let mut peer = Peer::new(role, &Config::server());
        sends(&mut peer, &["one", "two"]);
        peer.session().send(vec![7; 300_000]).unwrap();
        peer.session().abort(close_frame(CloseCode::NORMAL, ""));
        peer.ends();
        assert_eq!(unsent(&mut peer), []);
    }
}

#[test]
fn an_abort_and_a_fault_of_the_peer_give_back_what_they_drop() {
    let long = || Message::binary(vec![7; 300_000]);
    for role in ROLES {
        for is_fault in [false, true] {
            let mut peer = Peer::new(role, &config());
            sends(&mut peer, &["short"]);
            peer.session().send(long()).unwrap();
            peer.session().send(Message::binary(vec![8; 200_000])).unwrap();
            match is_fault {
                true => peer.says(frame().opcode(3)),
                false => peer.session().abort(close_frame(CloseCode::NORMAL, "")),
            }
            peer.ends();
            let unsent = unsent(&mut peer);
            assert_eq!(unsent[0], Message::text("short"));
            assert_eq!(unsent[1], long());
            assert_eq!(unsent[2], Message::binary(vec![8; 200_000]));
            assert_eq!(unsent.len(), 3);
        }
    }
}

#[test]
fn a_long_message_that_was_begun_is_not_returned_in_part() {
    for role in ROLES {
        let mut peer = Peer::new(role, &config());
        peer.session().send(vec![7; 300_000]).unwrap();
        peer.session().send("behind").unwrap();
        peer.takes(200_000);
        peer.ends();
        assert_eq!(texts(&unsent(&mut peer)), ["behind"]);
    }
}

#[test]
fn messages_behind_one_made_of_frames_come_back_and_the_unfinished_one_does_not() {
    for role in ROLES {
        for closes in [false, true] {
            let mut peer = Peer::new(role, &config());
            let now = peer.now();
            for frame in [Frame::text("who").fin(false), Frame::continuation("le")] {
                peer.session().send_frame(now, frame).unwrap();
            }
            peer.session().ping("?".into()).unwrap();
            peer.session().send_frame(now, Frame::text("un").fin(false)).unwrap();
            sends(&mut peer, &["held", "back"]);
            if closes {
                peer.session().close(now, close_frame(CloseCode::NORMAL, "")).unwrap();
            }
            peer.ends();
            assert_eq!(texts(&unsent(&mut peer)), ["whole", "held", "back"]);
        }
    }
}

#[test]
fn a_frame_of_text_that_is_not_utf_8_makes_no_message() {
    let mut peer = Peer::new(Role::Client, &config());
    let now = peer.now();
    peer.session().send_frame(now, Frame::text(vec![0xff])).unwrap();
    sends(&mut peer, &["sound"]);
    peer.ends();
    assert_eq!(texts(&unsent(&mut peer)), ["sound"]);
}

#[cfg(feature = "deflate")]
#[test]
fn a_compressed_message_does_not_come_back_and_one_that_waits_to_be_does() {
    use towline_kit::negotiate;
    use towline_proto::Deflate;
    let client = Config::client().compression(Deflate::client());
    let server = Config::server().compression(Deflate::server());
    let [negotiated, _] = negotiate(&client, &server);
    assert!(negotiated.is_some());
    let mut peer = Peer::new(Role::Client, &config()).with_compression(negotiated.as_ref());
    let long = || Message::binary(vec![7; 300_000]);
    peer.session().send("compressible ".repeat(100)).unwrap();
    peer.session().send(long()).unwrap();
    peer.session().send(long()).unwrap();
    peer.ends();
    assert_eq!(unsent(&mut peer), [long(), long()]);
}

/// So much is written that the encoder moves what is left to the front, again and again.
#[test]
fn where_a_frame_begins_is_known_after_many_megabytes() {
    for role in ROLES {
        for size in [100, 1000, 5000] {
            let mut peer = Peer::new(role, &config());
            let message = |number: usize| {
                Message::binary([&number.to_be_bytes()[..], &vec![7; size - 8]].concat())
            };
            let header = if role == Role::Client { 6 } else { 2 } + if size > 125 { 2 } else { 0 };
            let each = header + size;
            let (mut sent, mut taken) = (0, 0);
            while taken < 4 << 20 {
                while sent * each < taken + (300 << 10) {
                    peer.session().send(message(sent)).unwrap();
                    sent += 1;
                }
                taken += peer.takes(77_777);
            }
            peer.ends();
            let expected: Vec<_> = (taken.div_ceil(each)..sent).map(message).collect();
            assert!(expected.len() > 20);
            assert!(unsent(&mut peer) == expected, "{role:?}, {size}");
        }
    }
}

/// The number of bytes of a frame on the wire.
fn wire_len(heard: &Heard) -> usize {
    let length = match heard.payload.len() {
        0..=125 => 0,
        126..=0xFFFF => 2,
        _ => 8,
    };
    2 + length + heard.header.mask.map_or(0, |_| 4) + heard.payload.len()
}

#[derive(Debug, Clone)]
enum Act {
    Send(usize),
    Take(usize),
    Lend(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let size = || prop_oneof![0usize..20, 0usize..9_000, 0usize..60_000];
    let act = prop_oneof![
        3 => size().prop_map(Act::Send),
        1 => size().prop_map(Act::Lend),
        3 => size().prop_map(Act::Take),
    ];
    prop::collection::vec(act, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whenever_the_transport_is_lost_exactly_the_messages_not_begun_come_back(
        acts in acts(),
        threshold in prop_oneof![1usize..50, 1000usize..40_000],
        role in prop::sample::select(vec![Role::Server, Role::Client]),
    ) {
        let config = config()
            .fragmentation_threshold(NonZeroUsize::new(threshold).unwrap());
        let mut peer = Peer::new(role, &config);
        let (mut sent, mut taken) = (Vec::new(), 0);
        for (number, act) in (0u8..).zip(acts) {
            match act {
                Act::Send(size) => {
                    let message = Message::binary(vec![number; size]);
                    peer.session().send(message.clone()).unwrap();
                    sent.push(message);
                }
                Act::Lend(size) => {
                    let message = Message::binary(vec![number; size]);
                    peer.session().send(&message).unwrap();
                    sent.push(message);
                }
                Act::Take(size) => taken += peer.takes(size),
            }
        }
        let heard = peer.heard();
        prop_assert!(heard.iter().all(|frame| frame.opcode() != Opcode::Close));
        let whole = heard.iter().filter(|frame| frame.is_fin()).count();
        let is_within = heard.last().is_some_and(|frame| !frame.is_fin());
        let is_begun = taken > heard.iter().map(wire_len).sum();
        peer.ends();
        let begun = whole + usize::from(is_within || is_begun);
        prop_assert_eq!(unsent(&mut peer), &sent[begun..]);
    }
}
