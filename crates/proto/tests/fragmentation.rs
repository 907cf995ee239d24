//! Messages in several frames, received and sent.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use proptest::prelude::*;
use towline_kit::{Pair, Peer, event, frame};
use towline_proto::{Config, Frame, Message, Opcode, Role, Violation};

fn fragments_of(threshold: usize) -> Config {
    Config::server().fragmentation_threshold(NonZeroUsize::new(threshold).unwrap())
}

#[test]
fn fragments_become_one_message() {
    let mut peer = Peer::of_server();
    peer.says(frame().text("Hel").fin(false));
    peer.says(frame().continuation("l").fin(false));
    assert_eq!(peer.events(), []);
    peer.says(frame().continuation("o"));
    peer.says_all([frame().binary([1]).fin(false), frame().continuation([2])]);
    assert_eq!(peer.events(), [event::text("Hello"), event::binary([1, 2])]);
}

#[test]
fn empty_frames_count_for_nothing_at_any_place() {
    let mut peer = Peer::of_server();
    peer.says(frame().text(""));
    peer.says(frame().binary(""));
    peer.says_all([frame().text("").fin(false), frame().continuation("")]);
    peer.says_all([
        frame().text("").fin(false),
        frame().continuation("a").fin(false),
        frame().continuation("").fin(false),
        frame().continuation("b").fin(false),
        frame().continuation(""),
    ]);
    let empty = || event::text("");
    assert_eq!(peer.events(), [empty(), event::binary(""), empty(), event::text("ab")]);
}

#[test]
fn a_new_message_before_the_last_one_ended_is_refused() {
    for (first, second) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let mut peer = Peer::of_server();
        peer.says(frame().text("whole"));
        peer.says(frame().opcode(first).fin(false));
        peer.says(frame().opcode(second));
        assert_eq!(peer.events(), [event::text("whole")]);
        let opcode = Opcode::from_bits(second).unwrap();
        assert_eq!(peer.fault(), Some(Violation::ExpectedContinuation(opcode).into()));
        let close = peer.hears_close();
        assert_eq!(close.code().get(), 1002);
        assert!(close.reason().contains(&format!("{opcode:?} frame before")), "{close}");
    }
}

#[test]
fn a_continuation_of_nothing_is_refused() {
    let bad = [
        vec![frame().continuation("x")],
        vec![frame().continuation("x").fin(false)],
        vec![frame().text("whole"), frame().continuation("x")],
        vec![frame().text("a").fin(false), frame().continuation("b"), frame().continuation("c")],
    ];
    for said in bad {
        let mut peer = Peer::of_server();
        let is_preceded = said.len() > 1;
        peer.says_all(said);
        assert_eq!(peer.events().len(), usize::from(is_preceded));
        assert_eq!(peer.fault(), Some(Violation::UnexpectedContinuation.into()));
        assert_eq!(peer.hears_close().code().get(), 1002);
    }
}

#[test]
fn control_frames_between_fragments_are_answered_at_once() {
    let mut peer = Peer::of_server();
    peer.says_all([
        frame().text("be").fin(false),
        frame().ping("now"),
        frame().continuation("").fin(false),
        frame().pong("unasked"),
    ]);
    assert_eq!(peer.events(), [event::ping("now"), event::pong("unasked")]);
    assert_eq!(peer.hears()[0].text(), "now");
    peer.says(frame().continuation("fore"));
    assert_eq!(peer.events(), [event::text("before")]);
}

#[test]
fn a_control_frame_that_comes_in_pieces_leaves_the_message_around_it_whole() {
    for (first, rest) in [("a", "b"), ("", ""), ("é", "é")] {
        let mut peer = Peer::of_client();
        peer.says_bytewise(&frame().text(first).fin(false).bytes());
        peer.says_bytewise(&frame().ping([b'p'; 125]).bytes());
        peer.says_bytewise(&frame().pong("").bytes());
        peer.says_bytewise(&frame().continuation(rest).bytes());
        let text = event::text(format!("{first}{rest}"));
        assert_eq!(peer.events(), [event::ping([b'p'; 125]), event::pong(""), text]);
    }
}

#[test]
fn a_close_frame_between_fragments_closes_and_the_rest_of_the_message_is_not_missed() {
    let mut peer = Peer::of_server();
    peer.says(frame().text("half").fin(false));
    peer.says(frame().close(1001, ""));
    peer.says(frame().continuation("other half"));
    assert_eq!(peer.events(), [event::close(1001.into(), "")]);
    assert_eq!(peer.hears_close().code().get(), 1001);
    assert!(peer.session().outcome().unwrap().is_clean());
}

#[test]
fn without_assembly_every_frame_is_an_event_and_a_message_of_one_frame_is_too() {
    let config = Config::client().assemble_fragments(false);
    let mut peer = Peer::new(Role::Client, &config);
    peer.says_all([
        frame().text("one"),
        frame().text("t").fin(false),
        frame().ping(""),
        frame().continuation("").fin(false),
        frame().continuation("wo"),
        frame().binary([3]),
        frame().text(""),
    ]);
    let expected = [
        event::frame(Frame::text("one")),
        event::text("one"),
        event::frame(Frame::text("t").fin(false)),
        event::ping(""),
        event::frame(Frame::continuation("").fin(false)),
        event::frame(Frame::continuation("wo")),
        event::frame(Frame::binary(&[3][..])),
        event::binary([3]),
        event::frame(Frame::text("")),
        event::text(""),
    ];
    assert_eq!(peer.events(), expected);
}

#[test]
fn without_assembly_a_frame_of_a_client_says_that_it_was_masked() {
    let mut peer = Peer::new(Role::Server, &Config::server().assemble_fragments(false));
    peer.says(frame().text("x").fin(false));
    let events = peer.events();
    let [event::Event::Frame(frame)] = events.as_slice() else { panic!("{events:?}") };
    assert!(frame.is_masked() && !frame.is_fin() && frame.payload() == "x");
}

#[test]
fn without_assembly_the_rules_of_fragmentation_hold_all_the_same() {
    let config = Config::server().assemble_fragments(false);
    let mut peer = Peer::new(Role::Server, &config);
    peer.says_all([frame().text("a").fin(false), frame().text("b")]);
    assert_eq!(peer.events().len(), 1);
    assert_eq!(peer.fault(), Some(Violation::ExpectedContinuation(Opcode::Text).into()));

    let mut peer = Peer::new(Role::Server, &config);
    peer.says_all([frame().text("a"), frame().continuation("b")]);
    assert_eq!(peer.events().len(), 2);
    assert_eq!(peer.fault(), Some(Violation::UnexpectedContinuation.into()));
}

#[test]
fn a_message_leaves_in_frames_no_longer_than_the_threshold() {
    for (len, lens) in [
        (0, vec![0]),
        (1, vec![1]),
        (10, vec![10]),
        (11, vec![10, 1]),
        (20, vec![10, 10]),
        (25, vec![10, 10, 5]),
    ] {
        let mut peer = Peer::new(Role::Server, &fragments_of(10));
        peer.session().send(Message::binary(vec![7; len])).unwrap();
        let heard = peer.hears();
        assert_eq!(heard.iter().map(|frame| frame.payload.len()).collect::<Vec<_>>(), lens);
        assert_eq!(heard[0].opcode(), Opcode::Binary);
        assert!(heard[1..].iter().all(|frame| frame.opcode() == Opcode::Continuation));
        let ends: Vec<_> = heard.iter().map(towline_kit::Heard::is_fin).collect();
        assert_eq!(ends.iter().position(|fin| *fin), Some(lens.len() - 1));
    }
}

#[test]
fn a_message_leaves_whole_where_fragmentation_is_off() {
    let config = fragments_of(10).fragment_outgoing_messages(false);
    for role in [Role::Server, Role::Client] {
        let mut peer = Peer::new(role, &config);
        peer.session().send(Message::binary(vec![7; 300_000])).unwrap();
        let heard = peer.hears();
        assert_eq!((heard.len(), heard[0].payload.len()), (1, 300_000));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_one_end_sends_the_other_receives_in_frames_of_any_size_and_pieces_of_any_size(
        threshold in prop_oneof![1usize..20, 1usize..40_000],
        sender in prop::sample::select(vec![Role::Client, Role::Server]),
        texts in prop::collection::vec(prop_oneof![".{0,40}", "[é€😀]{0,3000}"], 0..8),
        chunks in prop::collection::vec(prop_oneof![1usize..30, 1usize..100_000], 1..6),
    ) {
        let config = fragments_of(threshold);
        let receiver = if sender == Role::Client { Role::Server } else { Role::Client };
        let mut pair = Pair::new(&config, &config).in_chunks(chunks);
        for text in &texts {
            pair.session(sender).send(Message::text(text.as_str())).unwrap();
            pair.session(sender).send(Message::binary(text.clone().into_bytes())).unwrap();
        }
        pair.run();
        let expected: Vec<_> = texts
            .into_iter()
            .flat_map(|text| [event::text(text.as_str()), event::binary(text)])
            .collect();
        prop_assert_eq!(pair.events(receiver), expected);
        prop_assert!(pair.session(receiver).is_open());
    }
}
