//! What leaves, in which order, and when a sender is to wait.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use bytes::Buf as _;
use proptest::prelude::*;
use towline_kit::event::close_frame;
use towline_kit::{Heard, Pair, Peer, event, frame};
use towline_proto::{CloseCode, Config, Frame, Message, Opcode, Refused, Role, Rsv};

const LONG: usize = 1 << 20;

fn long() -> Message {
    Message::binary(vec![7; LONG])
}

/// Payloads of data frames, as text, and control frames as such.
fn texts(heard: &[Heard]) -> Vec<String> {
    heard
        .iter()
        .map(|frame| match frame.opcode() {
            Opcode::Close => "(close)".to_owned(),
            Opcode::Ping => format!("(ping {})", frame.text()),
            Opcode::Pong => format!("(pong {})", frame.text()),
            _ => frame.text().to_owned(),
        })
        .collect()
}

fn sends(peer: &mut Peer, text: &str) {
    peer.session().send(Message::text(text)).unwrap();
}

fn sends_frame(peer: &mut Peer, frame: Frame) {
    let now = peer.now();
    peer.session().send_frame(now, frame).unwrap();
}

#[test]
fn control_frames_slip_in_between_the_fragments_of_a_long_message() {
    for role in [Role::Server, Role::Client] {
        let mut peer = Peer::new(role, &Config::server());
        peer.session().send(long()).unwrap();
        peer.takes(20_000);
        peer.says(frame().ping("theirs"));
        peer.session().ping("ours".into()).unwrap();
        let heard = peer.hears();
        let ours = heard.iter().position(|frame| frame.payload == b"ours").unwrap();
        let theirs = heard.iter().position(|frame| frame.payload == b"theirs").unwrap();
        assert!(theirs < ours && ours < 12, "{theirs}, {ours} of {}", heard.len());
        let sum: usize = heard.iter().map(|frame| frame.payload.len()).sum();
        assert_eq!(sum, LONG + "theirs".len() + "ours".len());
    }
}

#[test]
fn messages_leave_in_the_order_in_which_they_were_sent() {
    let mut peer = Peer::of_server();
    let sizes = [3, 40_000, 0, 5_000, 300_000, 1, 16_384, 16_385, 2];
    for (number, size) in (0..).zip(sizes) {
        peer.session().send(Message::binary(vec![number; size])).unwrap();
        peer.takes(1000);
    }
    let heard = peer.hears();
    let begun = heard.iter().filter(|frame| frame.opcode() == Opcode::Binary);
    assert_eq!(begun.count(), sizes.len());
    let said: Vec<u8> = heard.iter().flat_map(|frame| frame.payload.clone()).collect();
    let sent: Vec<u8> = (0..).zip(sizes).flat_map(|(number, size)| vec![number; size]).collect();
    assert!(said == sent);
}

#[test]
fn frames_made_by_hand_leave_as_they_are() {
    let mut peer = Peer::of_server();
    sends_frame(&mut peer, Frame::text("Hel").fin(false).rsv(Rsv::RSV1));
    sends_frame(&mut peer, Frame::continuation(vec![b'l'; 100_000]).fin(false));
    sends_frame(&mut peer, Frame::continuation("o").rsv(Rsv::RSV3));
    let heard = peer.hears();
    let heads: Vec<_> = heard
        .iter()
        .map(|frame| (frame.opcode(), frame.is_fin(), frame.header.rsv, frame.payload.len()))
        .collect();
    let expected = [
        (Opcode::Text, false, Rsv::RSV1, 3),
        (Opcode::Continuation, false, Rsv::NONE, 100_000),
        (Opcode::Continuation, true, Rsv::RSV3, 1),
    ];
    assert_eq!(heads, expected, "one frame is one frame, however long");
}

#[test]
fn messages_are_held_until_the_message_made_by_hand_is_finished() {
    let mut peer = Peer::of_server();
    sends(&mut peer, "before");
    sends_frame(&mut peer, Frame::text("a").fin(false));
    sends(&mut peer, "held");
    sends_frame(&mut peer, Frame::continuation("b").fin(false));
    sends(&mut peer, "held too");
    peer.says(frame().ping("!"));
    peer.session().ping("?".into()).unwrap();
    assert_eq!(texts(&peer.hears()), ["before", "a", "b", "(pong !)", "(ping ?)"]);
    sends_frame(&mut peer, Frame::continuation("c"));
    sends(&mut peer, "after");
    assert_eq!(texts(&peer.hears()), ["c", "held", "held too", "after"]);
}

#[test]
fn frames_made_by_hand_wait_behind_a_long_message() {
    let mut peer = Peer::of_server();
    peer.session().send(long()).unwrap();
    sends_frame(&mut peer, Frame::text("a").fin(false));
    sends(&mut peer, "held");
    sends_frame(&mut peer, Frame::continuation("b"));
    let heard = peer.hears();
    let data = heard.iter().position(Heard::is_fin).unwrap();
    assert_eq!(texts(&heard[data + 1..]), ["a", "b", "held"]);
}

#[test]
fn several_messages_made_by_hand_each_hold_what_was_sent_meanwhile() {
    let mut peer = Peer::of_client();
    for number in ["1", "2"] {
        sends_frame(&mut peer, Frame::text(number).fin(false));
        sends(&mut peer, &format!("held by {number}"));
        sends_frame(&mut peer, Frame::continuation(number));
    }
    assert_eq!(texts(&peer.hears()), ["1", "1", "held by 1", "2", "2", "held by 2"]);
}

#[test]
fn frames_that_can_not_stand_here_are_given_back() {
    let mut peer = Peer::of_server();
    let now = peer.now();
    let mut refused = |frame: Frame| {
        let (why, given_back) = peer.session().send_frame(now, frame.clone()).unwrap_err().split();
        assert_eq!(given_back, frame);
        why
    };
    assert_eq!(refused(Frame::continuation("x")), Refused::NothingToContinue);
    sends_frame(&mut peer, Frame::text("a").fin(false));
    let mut refused = |frame: Frame| peer.session().send_frame(now, frame).unwrap_err().why();
    assert_eq!(refused(Frame::text("b")), Refused::MessageUnfinished);
    assert_eq!(refused(Frame::binary("b").fin(false)), Refused::MessageUnfinished);
    sends_frame(&mut peer, Frame::continuation("b"));
    let mut refused = |frame: Frame| peer.session().send_frame(now, frame).unwrap_err().why();
    assert_eq!(refused(Frame::continuation("c")), Refused::NothingToContinue);
    assert_eq!(texts(&peer.hears()), ["a", "b"]);
}

#[test]
fn a_close_leaves_an_unfinished_message_and_what_it_holds() {
    let mut peer = Peer::of_server();
    sends_frame(&mut peer, Frame::text("a").fin(false));
    sends(&mut peer, "held");
    let now = peer.now();
    peer.session().close(now, close_frame(CloseCode::NORMAL, "")).unwrap();
    assert_eq!(texts(&peer.hears()), ["a", "(close)"]);
    assert_eq!(peer.session().outbound().queued_len(), 0);
}

#[test]
fn a_fault_gives_up_what_waits_but_not_what_is_half_said() {
    let mut peer = Peer::of_server();
    peer.session().send(long()).unwrap();
    peer.takes(20_000);
    sends(&mut peer, "waits");
    peer.says(frame().opcode(3));
    let heard = peer.hears();
    assert_eq!(heard.last().unwrap().close().code(), CloseCode::PROTOCOL_ERROR);
    assert!(heard.len() < 12, "{} frames", heard.len());
    assert_eq!(heard[0].opcode(), Opcode::Binary);
    assert!(!heard.iter().any(|frame| frame.payload == b"waits"));
}

#[test]
fn a_sender_is_to_wait_while_the_queue_is_above_its_mark() {
    for role in [Role::Server, Role::Client] {
        let config = Config::server().send_high_water_mark(10_000);
        let mut peer = Peer::new(role, &config);
        assert!(!peer.session().is_full());
        peer.session().send(Message::binary(vec![0; 9_000])).unwrap();
        assert!(!peer.session().is_full());
        peer.session().send(Message::binary(vec![0; 9_000])).unwrap();
        assert!(peer.session().is_full());
        peer.session().send(Message::binary(vec![0; LONG])).unwrap();
        assert!(peer.session().outbound().queued_len() > LONG, "taken all the same");
        peer.takes(18_000);
        assert!(peer.session().is_full());
        peer.hears();
        assert!(!peer.session().is_full());
        assert_eq!(peer.session().outbound().queued_len(), 0);
    }
}

#[test]
fn a_mark_of_zero_makes_each_message_wait_for_the_one_before_it() {
    let mut peer = Peer::new(Role::Server, &Config::server().send_high_water_mark(0));
    assert!(!peer.session().is_full());
    sends(&mut peer, "one");
    assert!(peer.session().is_full());
    peer.takes(4);
    assert!(peer.session().is_full());
    peer.hears();
    assert!(!peer.session().is_full());
}

#[test]
fn the_frame_that_finishes_a_message_does_not_wait_for_what_that_message_holds() {
    let mut peer = Peer::new(Role::Server, &Config::server().send_high_water_mark(1000));
    sends_frame(&mut peer, Frame::text("a").fin(false));
    peer.session().send(long()).unwrap();
    peer.hears();
    assert!(peer.session().is_full(), "the held message counts");
    assert!(!peer.session().is_full_to_continue(), "or nothing would ever move");
    sends_frame(&mut peer, Frame::continuation("b"));
    assert!(peer.session().is_full_to_continue());
    peer.hears();
    assert!(!peer.session().is_full());
}

#[test]
fn a_peer_that_stops_reading_fills_the_queue_and_reading_again_empties_it() {
    let mut pair = Pair::default();
    pair.stop_reading(Role::Client);
    let mut sent = 0;
    while !pair.session(Role::Server).is_full() {
        pair.session(Role::Server).send(Message::binary(vec![1; 10_000])).unwrap();
        sent += 1;
        pair.run();
    }
    // The mark, and what the transport holds.
    assert!((30..=33).contains(&sent), "{sent} messages");
    pair.resume_reading(Role::Client);
    pair.run();
    assert!(!pair.session(Role::Server).is_full());
    assert_eq!(pair.events(Role::Client), vec![event::binary(vec![1; 10_000]); sent]);
}

#[derive(Debug, Clone)]
enum Act {
    Send(usize),
    Begin,
    Go,
    Finish,
    Ping,
    Asked,
    Take(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => prop_oneof![0usize..20, 0usize..50_000].prop_map(Act::Send),
        2 => Just(Act::Begin),
        2 => Just(Act::Go),
        2 => Just(Act::Finish),
        1 => Just(Act::Ping),
        1 => Just(Act::Asked),
        4 => prop_oneof![0usize..20, 0usize..50_000].prop_map(Act::Take),
    ];
    prop::collection::vec(act, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sent_in_whatever_turn_it_is_messages_in_order_to_the_peer(
        acts in acts(),
        threshold in prop_oneof![1usize..50, 1000usize..40_000],
        role in prop::sample::select(vec![Role::Server, Role::Client]),
    ) {
        let config = Config::server()
            .max_received_frame_size(1 << 20)
            .fragmentation_threshold(NonZeroUsize::new(threshold).unwrap());
        let mut peer = Peer::new(role, &config);
        let (mut sent, mut held, mut open) = (Vec::new(), Vec::new(), None::<Vec<u8>>);
        let (mut pings, mut heard) = (0, Vec::new());
        for (number, act) in (0u8..).zip(acts) {
            let now = peer.now();
            match act {
                Act::Send(size) => {
                    let message = vec![number; size];
                    peer.session().send(Message::binary(message.clone())).unwrap();
                    if open.is_some() { held.push(message) } else { sent.push(message) }
                }
                Act::Begin => {
                    let done = peer.session().send_frame(now, Frame::binary(vec![number]).fin(false));
                    prop_assert_eq!(done.is_ok(), open.is_none());
                    open.get_or_insert_with(|| vec![number]);
                }
                Act::Go | Act::Finish => {
                    let is_last = matches!(act, Act::Finish);
                    let frame = Frame::continuation(vec![number; 5000]).fin(is_last);
                    let done = peer.session().send_frame(now, frame);
                    prop_assert_eq!(done.is_ok(), open.is_some());
                    if let Some(message) = &mut open {
                        message.extend([number; 5000]);
                    }
                    if is_last && let Some(message) = open.take() {
                        sent.push(message);
                        sent.append(&mut held);
                    }
                }
                Act::Ping => {
                    peer.session().ping(vec![number].into()).unwrap();
                    pings += 1;
                }
                Act::Asked => peer.says(frame().ping([number])),
                Act::Take(size) => {
                    peer.takes(size);
                    heard.extend(peer.heard());
                }
            }
        }
        heard.extend(peer.hears());

        // The other end makes the same messages of it, whole ones and nothing else.
        let mut other = Peer::new(role, &config.max_received_control_rate(None));
        let bytes: Vec<u8> = heard
            .iter()
            .map(|heard| {
                frame().opcode(heard.opcode().bits()).fin(heard.is_fin()).payload(&heard.payload)
            })
            .flat_map(|frame| frame.by(other.role()).bytes())
            .collect();
        other.says_bytes(&bytes);
        prop_assert_eq!(other.fault(), None);
        let events = other.events();
        let expected: Vec<_> = sent.into_iter().map(event::binary).collect();
        let messages = events.iter().filter(|event| matches!(event, event::Event::Binary(_)));
        prop_assert!(messages.eq(&expected));
        let asked = events.iter().filter(|event| matches!(event, event::Event::Ping(_)));
        prop_assert_eq!(asked.count(), pings);
    }
}

#[test]
fn a_mark_is_reached_when_what_stands_before_it_is_written_whatever_comes_after_it() {
    let mut peer = Peer::of_server();
    assert!(peer.session().outbound().is_empty());
    let nothing = peer.session().outbound().mark();
    assert!(peer.session().outbound().has_reached(nothing), "nothing stands before it");
    for size in [10, 300_000] {
        peer.session().send(vec![1; size]).unwrap();
        let mark = peer.session().outbound().mark();
        // More than all of it, so that there is always something queued.
        let mut taken = 0;
        while !peer.session().outbound().has_reached(mark) {
            assert!(taken <= size + 1000, "{taken} bytes were taken");
            peer.session().send(vec![2; 2000]).unwrap();
            taken += peer.takes(1000);
        }
        assert!(taken >= size, "{taken} bytes were taken");
        peer.takes(usize::MAX);
    }
}

#[test]
fn a_mark_behind_what_is_held_back_is_reached_when_that_is_written() {
    let mut peer = Peer::of_server();
    let now = peer.now();
    peer.session().send_frame(now, Frame::text("Hel").fin(false)).unwrap();
    peer.session().send("held back").unwrap();
    let mark = peer.session().outbound().mark();
    peer.takes(usize::MAX);
    assert!(!peer.session().outbound().has_reached(mark));
    peer.session().send_frame(now, Frame::continuation("lo")).unwrap();
    assert!(!peer.session().outbound().has_reached(mark));
    peer.takes(usize::MAX);
    assert!(peer.session().outbound().has_reached(mark));
    assert!(peer.session().outbound().is_empty());
}

#[test]
fn a_mark_within_a_message_made_of_frames_does_not_wait_for_what_that_holds_back() {
    for is_queued in [false, true] {
        let mut peer = Peer::of_server();
        let now = peer.now();
        peer.session().send_frame(now, Frame::text("Hel").fin(false)).unwrap();
        if !is_queued {
            peer.takes(usize::MAX);
        }
        peer.session().send("held back").unwrap();
        let mark = peer.session().outbound().mark_before_frame();
        assert_eq!(peer.session().outbound().has_reached(mark), !is_queued);
        peer.takes(usize::MAX);
        assert!(peer.session().outbound().has_reached(mark));
        peer.session().send_frame(now, Frame::continuation("lo")).unwrap();
        let mark = peer.session().outbound().mark_before_frame();
        assert!(!peer.session().outbound().has_reached(mark));
        peer.takes(usize::MAX);
        assert!(peer.session().outbound().has_reached(mark));
        assert!(peer.session().outbound().is_empty());
    }
    // Frames that wait behind a long message.
    let mut peer = Peer::of_server();
    let now = peer.now();
    peer.session().send(vec![1; 300_000]).unwrap();
    peer.session().send_frame(now, Frame::text("Hel").fin(false)).unwrap();
    peer.session().send("held back").unwrap();
    let mark = peer.session().outbound().mark_before_frame();
    peer.takes(100_000);
    assert!(!peer.session().outbound().has_reached(mark));
    peer.takes(usize::MAX);
    assert!(peer.session().outbound().has_reached(mark));
}

#[test]
fn a_mark_behind_what_is_given_up_is_reached() {
    let mut peer = Peer::of_server();
    peer.session().send(vec![1; 300_000]).unwrap();
    let mark = peer.session().outbound().mark();
    peer.session().abort(close_frame(CloseCode::NORMAL, ""));
    assert!(peer.session().outbound().has_reached(mark));
}

#[test]
fn a_mark_behind_what_a_close_drops_is_never_written() {
    let mut peer = Peer::of_server();
    let now = peer.now();
    peer.session().send(vec![1; 300_000]).unwrap();
    let before = peer.session().outbound().mark();
    peer.session().send_frame(now, Frame::text("Hel").fin(false)).unwrap();
    let within = peer.session().outbound().mark_before_frame();
    peer.session().send("held back").unwrap();
    let behind = peer.session().outbound().mark();
    peer.session().close(now, close_frame(CloseCode::NORMAL, "")).unwrap();
    let late = peer.session().outbound().mark();
    let is_written = |peer: &mut Peer| {
        [before, within, behind, late].map(|it| peer.session().outbound().is_written(it))
    };
    assert_eq!(is_written(&mut peer), [false; 4]);
    assert!(peer.session().outbound().has_reached(behind), "nothing more happens to it");
    peer.takes(usize::MAX);
    assert_eq!(is_written(&mut peer), [true, true, false, false]);
    assert!(peer.session().outbound().has_reached(late));
    peer.ends();
    assert_eq!(is_written(&mut peer), [true, true, false, false], "that is past");
}

#[test]
fn a_mark_behind_what_is_lost_with_the_transport_is_never_written() {
    for is_taken in [false, true] {
        let mut peer = Peer::of_server();
        peer.session().send(vec![1; 10]).unwrap();
        let byte = peer.session().outbound().mark();
        peer.session().send(vec![1; 300_000]).unwrap();
        let waiting = peer.session().outbound().mark();
        if is_taken {
            peer.takes(1000);
        }
        peer.ends();
        let late = peer.session().outbound().mark();
        let mut is_written = |mark| peer.session().outbound().is_written(mark);
        assert_eq!((is_written(byte), is_written(waiting)), (is_taken, false));
        assert!(!is_written(late));
    }
}

/// What waits behind as much as is encoded at once, and has no length, is lost as well.
#[test]
fn a_close_frame_that_is_lost_behind_an_empty_message_is_never_written() {
    let mut peer = Peer::of_server();
    let now = peer.now();
    peer.session().send(vec![1; 128 << 10]).unwrap();
    peer.session().send("").unwrap();
    peer.session().close(now, close_frame(CloseCode::NORMAL, "")).unwrap();
    let mark = peer.session().outbound().mark();
    let out = peer.session().poll_transmit().unwrap();
    let ready = out.remaining();
    out.advance(ready);
    out.handle_flushed();
    assert!(!out.is_written(mark) && !out.is_empty());
    peer.ends();
    assert!(!peer.session().outbound().is_written(mark));
}
