//! What is received is limited: in a frame, in a message, in the number of frames.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use towline_kit::{Peer, event, frame};
use towline_proto::{CloseCode, Config, Fault, LimitExceeded, Role};

fn config() -> Config {
    Config::server().max_received_frame_size(100).max_received_message_size(250)
}

fn fragments(config: Config, limit: usize) -> Config {
    config.max_received_fragments(NonZeroUsize::new(limit).unwrap())
}

/// Expects a close frame with 1009 and a reason in which all of this stands.
fn is_refused(peer: &mut Peer, limit: LimitExceeded, parts: &[&str]) {
    assert_eq!(peer.fault(), Some(Fault::LimitExceeded(limit)));
    let close = peer.hears_close();
    assert_eq!(close.code(), CloseCode::MESSAGE_TOO_BIG);
    for part in parts {
        assert!(close.reason().contains(part), "{part} in {close}");
    }
}

#[test]
fn a_frame_of_the_limit_is_taken_and_one_byte_more_is_not() {
    for assemble in [true, false] {
        let config = config().assemble_fragments(assemble);
        let mut peer = Peer::new(Role::Server, &config);
        peer.says(frame().binary([1; 100]));
        assert_eq!(peer.events().pop(), Some(event::binary([1; 100])));
        peer.says(frame().binary([1; 101]));
        assert_eq!(peer.events(), []);
        let limit = LimitExceeded::Frame { size: 101, limit: 100 };
        is_refused(&mut peer, limit, &["101", "100", "max_received_frame_size"]);
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_at_its_head() {
    for opcode in [1, 2] {
        let mut peer = Peer::new(Role::Client, &config());
        peer.says_bytes(&frame().opcode(opcode).announcing(1 << 40).head());
        let limit = LimitExceeded::Frame { size: 1 << 40, limit: 100 };
        is_refused(&mut peer, limit, &["1099511627776", "100", "max_received_frame_size"]);
    }
}

#[test]
fn a_continuation_is_bound_by_the_limit_of_a_frame_too() {
    let mut peer = Peer::new(Role::Server, &config());
    peer.says(frame().text("x").fin(false));
    peer.says(frame().continuation([b'x'; 101]));
    let limit = LimitExceeded::Frame { size: 101, limit: 100 };
    is_refused(&mut peer, limit, &["max_received_frame_size"]);
}

#[test]
fn a_message_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let said = |last: usize| {
        [
            frame().text([b'x'; 100]).fin(false),
            frame().ping("not counted"),
            frame().continuation([b'x'; 100]).fin(false),
            frame().continuation(vec![b'x'; last]),
        ]
    };
    let mut peer = Peer::new(Role::Server, &config());
    peer.says_all(said(50));
    assert_eq!(peer.events().pop(), Some(event::text("x".repeat(250))));
    peer.hears();
    peer.says_all(said(51));
    assert_eq!(peer.events(), [event::ping("not counted")]);
    peer.takes(2 + "not counted".len());
    peer.heard();
    let limit = LimitExceeded::Message { size: 251, limit: 250 };
    is_refused(&mut peer, limit, &["251", "250", "max_received_message_size"]);
}

#[test]
fn a_message_over_the_limit_is_refused_at_the_head_of_the_frame_that_goes_over() {
    let mut peer = Peer::new(Role::Client, &config());
    peer.says(frame().binary([0; 100]).fin(false));
    peer.says(frame().continuation([0; 100]).fin(false));
    assert_eq!(peer.fault(), None);
    peer.says_bytes(&frame().continuation("").announcing(51).head());
    let limit = LimitExceeded::Message { size: 251, limit: 250 };
    is_refused(&mut peer, limit, &["max_received_message_size"]);
}

#[test]
fn a_message_of_one_frame_is_bound_by_the_limit_of_a_message_too() {
    let config = Config::server().max_received_message_size(10);
    let mut peer = Peer::new(Role::Server, &config);
    peer.says(frame().text("0123456789"));
    assert_eq!(peer.events(), [event::text("0123456789")]);
    peer.says(frame().text("0123456789a"));
    let limit = LimitExceeded::Message { size: 11, limit: 10 };
    is_refused(&mut peer, limit, &["11", "10", "max_received_message_size"]);
}

/// Raising the option that the reason names is what lets the frame in.
#[test]
fn the_reason_names_the_option_that_would_let_the_frame_in() {
    let large = || frame().binary(vec![0; 300_000]);
    for raised in [100_000, 300_000] {
        let mut peer = Peer::new(Role::Server, &Config::server().max_received_message_size(raised));
        peer.says(large());
        if raised == 300_000 {
            assert_eq!(peer.events(), [event::binary(vec![0; 300_000])]);
        } else {
            let limit = LimitExceeded::Message { size: 300_000, limit: raised };
            is_refused(&mut peer, limit, &["300000", "100000", "max_received_message_size"]);
        }
    }
    // By default it is the frame which is too large.
    let mut peer = Peer::of_server();
    peer.says(large());
    let limit = LimitExceeded::Frame { size: 300_000, limit: 65_536 };
    is_refused(&mut peer, limit, &["max_received_frame_size"]);
    // Without assembly there is no limit for messages that could be raised.
    let config = Config::server().assemble_fragments(false).max_received_message_size(100_000);
    let mut peer = Peer::new(Role::Server, &config);
    peer.says(large());
    let limit = LimitExceeded::Frame { size: 300_000, limit: 100_000 };
    is_refused(&mut peer, limit, &["max_received_frame_size"]);
}

#[test]
fn each_message_is_measured_by_itself() {
    let mut peer = Peer::new(Role::Server, &config());
    for _ in 0..10 {
        peer.says(frame().text([b'x'; 100]).fin(false));
        peer.says(frame().continuation([b'x'; 100]));
        peer.says(frame().text([b'x'; 100]));
    }
    assert_eq!(peer.fault(), None);
    assert_eq!(peer.events().len(), 20);
}

#[test]
fn limits_of_zero_leave_empty_messages() {
    let config = Config::server().max_received_frame_size(0).max_received_message_size(0);
    let mut peer = Peer::new(Role::Server, &config);
    peer.says(frame().text(""));
    peer.says_all([frame().binary("").fin(false), frame().continuation("")]);
    assert_eq!(peer.events(), [event::text(""), event::binary("")]);
    peer.says(frame().text("x"));
    let limit = LimitExceeded::Message { size: 1, limit: 0 };
    is_refused(&mut peer, limit, &["max_received_message_size"]);
}

#[test]
fn as_many_frames_as_the_limit_are_taken_and_one_more_is_not() {
    let mut peer = Peer::new(Role::Server, &fragments(config(), 3));
    let (first, next) = (|| frame().text("a").fin(false), || frame().continuation("b").fin(false));
    peer.says_all([first(), next(), frame().ping(""), frame().continuation("c")]);
    assert_eq!(peer.events(), [event::ping(""), event::text("abc")]);
    peer.hears();
    peer.says_all([first(), next(), next()]);
    assert_eq!(peer.fault(), None);
    peer.says(frame().continuation("c"));
    let limit = LimitExceeded::Fragments { limit: 3 };
    is_refused(&mut peer, limit, &["3", "max_received_fragments"]);
    assert_eq!(peer.events(), []);
}

#[test]
fn one_frame_as_the_limit_allows_no_fragments() {
    let mut peer = Peer::new(Role::Server, &fragments(config(), 1));
    peer.says(frame().text("whole"));
    assert_eq!(peer.events(), [event::text("whole")]);
    peer.says_all([frame().text("a").fin(false), frame().continuation("")]);
    let limit = LimitExceeded::Fragments { limit: 1 };
    is_refused(&mut peer, limit, &["1 frames"]);
}

#[test]
fn a_million_empty_or_tiny_fragments_are_refused_at_the_65537th() {
    for payload in ["", "x"] {
        let mut peer = Peer::of_server();
        peer.says(frame().text("before"));
        peer.says(frame().text(payload).fin(false));
        let fragment = frame().continuation(payload).fin(false).masked([0; 4]).bytes();
        let mut said = 1;
        while peer.fault().is_none() && said < 1_000_000 {
            peer.says_bytes(&fragment);
            said += 1;
        }
        assert_eq!(said, 65_537);
        assert_eq!(peer.events(), [event::text("before")]);
        let limit = LimitExceeded::Fragments { limit: 65_536 };
        is_refused(&mut peer, limit, &["65536", "max_received_fragments"]);
        // The rest of the million is read past.
        peer.says_bytes(&fragment.repeat(1000));
        assert_eq!(peer.events(), []);
    }
}

#[test]
fn without_assembly_only_the_limit_of_a_frame_holds() {
    let config = fragments(config(), 2).assemble_fragments(false);
    let mut peer = Peer::new(Role::Server, &config);
    peer.says(frame().binary([0; 100]).fin(false));
    for _ in 0..10 {
        peer.says(frame().continuation([0; 100]).fin(false));
    }
    assert_eq!(peer.events().len(), 11);
    assert_eq!(peer.fault(), None);
    peer.says(frame().continuation([0; 101]));
    let limit = LimitExceeded::Frame { size: 101, limit: 100 };
    is_refused(&mut peer, limit, &["max_received_frame_size"]);
}

#[test]
fn control_frames_are_not_bound_by_the_limits_of_data() {
    let config = Config::server().max_received_frame_size(0).max_received_message_size(0);
    let mut peer = Peer::new(Role::Server, &config);
    peer.says_bytewise(&frame().ping([7; 125]).masked([1, 2, 3, 4]).bytes());
    assert_eq!(peer.events(), [event::ping([7; 125])]);
    peer.says(frame().close(1000, "r".repeat(123)));
    assert_eq!(peer.events(), [event::close(CloseCode::NORMAL, &"r".repeat(123))]);
}

#[test]
fn the_words_for_a_limit_name_the_value_the_limit_and_the_option() {
    let limits = [
        (LimitExceeded::Frame { size: 70_001, limit: 70_000 }, "max_received_frame_size"),
        (LimitExceeded::Message { size: 70_001, limit: 70_000 }, "max_received_message_size"),
        (LimitExceeded::Compressed { size: 70_001, limit: 70_000 }, "max_received_message_size"),
        (LimitExceeded::Inflated { limit: 70_000 }, "max_received_message_size"),
        (LimitExceeded::Fragments { limit: 70_000 }, "max_received_fragments"),
        (LimitExceeded::ControlRate { limit: 70_000 }, "max_received_control_rate"),
    ];
    for (limit, option) in limits {
        let words = limit.to_string();
        assert!(words.contains("70000") && words.contains(option), "{words}");
    }
}
