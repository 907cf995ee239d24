//! Pings, pongs, and what control frames must not be.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::{Buf, Bytes};
use towline_kit::{Peer, event, frame};
use towline_proto::{
    CloseCode, Config, Frame, LimitExceeded, Message, Opcode, Refused, Role, Violation,
};

#[test]
fn a_ping_is_answered_with_its_payload() {
    for payload in ["", "x", &"y".repeat(125)] {
        for mut peer in [Peer::of_server(), Peer::of_client()] {
            peer.says(frame().ping(payload));
            assert_eq!(peer.events(), [event::ping(payload)]);
            let heard = peer.hears();
            assert_eq!((heard.len(), heard[0].opcode()), (1, Opcode::Pong));
            assert_eq!(heard[0].text(), payload);
        }
    }
}

#[test]
fn a_pong_is_an_event_and_is_not_answered() {
    let mut peer = Peer::of_server();
    peer.says(frame().pong("unasked"));
    assert_eq!(peer.events(), [event::pong("unasked")]);
    assert_eq!(peer.hears(), []);
}

#[test]
fn a_fragmented_control_frame_is_refused() {
    for opcode in [Opcode::Close, Opcode::Ping, Opcode::Pong] {
        let mut peer = Peer::of_server();
        peer.says_all([frame().text("before"), frame().opcode(opcode.bits()).fin(false)]);
        assert_eq!(peer.events(), [event::text("before")]);
        assert_eq!(peer.fault(), Some(Violation::FragmentedControl(opcode).into()));
        let close = peer.hears_close();
        assert_eq!(close.code(), CloseCode::PROTOCOL_ERROR);
        assert!(close.reason().contains(&format!("{opcode:?}")), "{close}");
    }
}

#[test]
fn a_control_frame_of_more_than_125_bytes_is_refused_at_its_head() {
    for opcode in [Opcode::Close, Opcode::Ping, Opcode::Pong] {
        for len in [126, 0xFFFF, 0x1_0000, (1 << 63) - 1] {
            let mut peer = Peer::of_client();
            peer.says(frame().text("before"));
            peer.says_bytewise(&frame().opcode(opcode.bits()).announcing(len).head());
            assert_eq!(peer.events(), [event::text("before")]);
            assert_eq!(peer.fault(), Some(Violation::ControlTooLong(opcode, len).into()));
            let close = peer.hears_close();
            assert_eq!(close.code(), CloseCode::PROTOCOL_ERROR);
            for part in [&len.to_string(), "125"] {
                assert!(close.reason().contains(part), "{close}");
            }
        }
    }
}

#[test]
fn a_flood_of_pings_is_answered_by_the_latest_and_not_by_a_queue() {
    let mut peer = Peer::of_server();
    for number in 0..5_000 {
        peer.says(frame().ping(format!("{number}")));
    }
    let heard = peer.hears();
    assert!(heard.len() < 50, "{} pongs", heard.len());
    assert_eq!(heard.last().unwrap().text(), "4999");
    assert_eq!(peer.events().len(), 5_000);
}

#[test]
fn a_flood_of_pings_is_no_queue_either_where_the_host_tries_to_write_between_them() {
    let mut peer = Peer::of_server();
    for number in 0..5_000 {
        peer.says(frame().ping(format!("{number}")));
        // The transport takes nothing.
        assert!(peer.session().poll_transmit().is_some());
    }
    let queued = peer.session().outbound().queued_len();
    assert!(queued < 1_000, "{queued} bytes of pongs wait");
    let heard = peer.hears();
    assert!(heard.len() < 50, "{} pongs", heard.len());
    assert_eq!(heard.last().unwrap().text(), "4999");
}

#[test]
fn pings_are_each_answered_again_once_the_flood_has_been_written() {
    let mut peer = Peer::of_server();
    for _ in 0..100 {
        peer.says(frame().ping("flood"));
    }
    peer.hears();
    for number in 0..5 {
        peer.says(frame().ping([number]));
    }
    assert_eq!(peer.hears().len(), 5);
}

#[test]
fn pings_are_each_answered_though_the_queue_never_runs_empty() {
    let mut peer = Peer::of_server();
    peer.session().send(Message::binary(vec![0; 10_000])).unwrap();
    for number in 0..100u8 {
        peer.says(frame().ping([number]));
        peer.session().send(Message::binary(vec![0; 10_000])).unwrap();
        peer.takes(10_000);
        assert!(peer.session().outbound().queued_len() > 0);
    }
    let heard = peer.hears();
    let pongs = heard.iter().filter(|frame| frame.opcode() == Opcode::Pong);
    assert!(pongs.map(|pong| pong.payload[0]).eq(0..100));
}

#[test]
fn a_pong_never_overtakes_an_earlier_one() {
    let mut peer = Peer::of_server();
    for number in 0..20 {
        peer.says(frame().ping([number]));
    }
    // All that is ready is written, and the next ping read before the next write.
    let out = peer.session().poll_transmit().unwrap();
    out.advance(out.remaining());
    peer.says(frame().ping([20]));
    let numbers: Vec<_> = peer.hears().into_iter().map(|pong| pong.payload[0]).collect();
    assert!(numbers.is_sorted() && numbers.last() == Some(&20), "{numbers:?}");
}

#[test]
fn the_latest_pong_leaves_before_the_close_frame() {
    let mut peer = Peer::of_server();
    for number in 0..100 {
        peer.says(frame().ping(format!("{number}")));
    }
    let now = peer.now();
    peer.session().close(now, event::close_frame(CloseCode::NORMAL, "")).unwrap();
    let heard = peer.hears();
    assert_eq!(heard[heard.len() - 1].opcode(), Opcode::Close);
    assert_eq!(heard[heard.len() - 2].text(), "99");
}

#[test]
fn after_our_close_frame_a_ping_is_not_answered() {
    let mut peer = Peer::of_server();
    let now = peer.now();
    peer.session().close(now, event::close_frame(CloseCode::NORMAL, "")).unwrap();
    peer.hears_close();
    peer.says(frame().ping("late"));
    assert_eq!(peer.events(), [event::ping("late")]);
    assert_eq!(peer.hears(), []);
}

#[test]
fn more_control_frames_in_a_second_than_allowed_close_with_1008() {
    let config = Config::server().max_received_control_rate(NonZeroU32::new(10));
    let mut peer = Peer::new(Role::Server, &config);
    for _ in 0..3 {
        for number in 0..5 {
            peer.says_all([frame().ping([number]), frame().pong("")]);
        }
        peer.pass(Duration::from_secs(1));
    }
    assert_eq!(peer.fault(), None, "ten in each second");
    assert_eq!(peer.events().len(), 30);
    peer.hears();
    for number in 0..11 {
        peer.says(frame().ping([number]));
    }
    peer.says(frame().text("not heard"));
    assert_eq!(peer.events().len(), 10);
    assert_eq!(peer.fault(), Some(LimitExceeded::ControlRate { limit: 10 }.into()));
    let close = peer.hears().pop().unwrap().close();
    assert_eq!(close.code(), CloseCode::POLICY);
    for part in ["10", "max_received_control_rate"] {
        assert!(close.reason().contains(part), "{close}");
    }
}

#[test]
fn a_ping_that_the_program_answers_itself_is_counted_and_gets_no_pong() {
    let config = Config::server().max_received_control_rate(NonZeroU32::new(10));
    let mut peer = Peer::new(Role::Server, &config);
    let now = peer.now();
    for _ in 0..10 {
        assert_eq!(peer.session().handle_unanswered_ping(now), Ok(()));
    }
    assert_eq!(peer.hears(), []);
    let fault = LimitExceeded::ControlRate { limit: 10 }.into();
    assert_eq!(peer.session().handle_unanswered_ping(now), Err(fault));
    assert_eq!(peer.fault(), Some(fault));
    assert_eq!(peer.hears_close().code(), CloseCode::POLICY);
}

#[test]
fn a_ping_of_the_program_takes_125_bytes_and_gives_more_back() {
    let mut peer = Peer::of_client();
    peer.session().ping(Bytes::from(vec![1; 125])).unwrap();
    peer.session().pong(Bytes::from(vec![2; 125])).unwrap();
    let heard = peer.hears();
    assert_eq!([heard[0].opcode(), heard[1].opcode()], [Opcode::Ping, Opcode::Pong]);

    let error = peer.session().ping(Bytes::from(vec![1; 126])).unwrap_err();
    assert_eq!(error.why(), Refused::ControlTooLong(126));
    assert!(error.to_string().contains("126"), "{error}");
    assert_eq!(error.into_inner().len(), 126);
    assert_eq!(peer.hears(), []);
}

#[test]
fn control_frames_made_by_hand_that_must_not_be_are_given_back() {
    let mut peer = Peer::of_client();
    let now = peer.now();
    let long = || Bytes::from(vec![b'r'; 126]);
    let close = |len: usize| [&1000u16.to_be_bytes(), &vec![b'r'; len][..]].concat();
    for (bad, why) in [
        (Frame::new(Opcode::Ping, long()), Refused::ControlTooLong(126)),
        (Frame::new(Opcode::Pong, "").fin(false), Refused::FragmentedControl),
        (Frame::new(Opcode::Close, close(124)), Refused::ControlTooLong(126)),
        (Frame::new(Opcode::Close, close(0)).fin(false), Refused::FragmentedControl),
    ] {
        let error = peer.session().send_frame(now, bad.clone()).unwrap_err();
        assert_eq!(error.why(), why);
        assert_eq!(error.into_inner(), bad);
    }
    assert!(peer.session().is_open());
    assert_eq!(peer.hears(), []);
    peer.session().send_frame(now, Frame::new(Opcode::Close, close(123))).unwrap();
    assert_eq!(peer.hears_close().reason().len(), 123);
}
