//! The close handshake: what is said, in which order, and what becomes of the transport.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use towline_kit::event::close_frame;
use towline_kit::{Pair, Peer, event, frame};
use towline_proto::{
    CloseCode, CloseFrame, Config, Frame, MalformedClose, Message, Opcode, Refused, Role,
    TransportFate, Violation,
};

const BYE: CloseCode = CloseCode::GOING_AWAY;

fn closes(peer: &mut Peer, frame: CloseFrame) {
    let now = peer.now();
    peer.session().close(now, frame).unwrap();
}

#[test]
fn a_close_frame_is_echoed_with_its_code() {
    for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
        let mut peer = Peer::of_server();
        peer.says(frame().close(code, "why not"));
        assert_eq!(peer.events(), [event::close(code.into(), "why not")]);
        assert_eq!(peer.hears_close(), close_frame(code.into(), ""));
    }
}

#[test]
fn a_close_frame_that_says_nothing_is_answered_with_nothing() {
    let mut peer = Peer::of_client();
    peer.says(frame().close_with(""));
    assert_eq!(peer.events(), [event::Event::Close(CloseFrame::EMPTY)]);
    let heard = peer.hears();
    assert_eq!(heard[0].opcode(), Opcode::Close);
    assert_eq!(heard[0].payload, []);
}

#[test]
fn the_longest_reason_is_taken() {
    let reason = "é".repeat(61) + "!";
    let mut peer = Peer::of_server();
    peer.says(frame().close(1000, &reason));
    assert_eq!(peer.events(), [event::close(CloseCode::NORMAL, &reason)]);
}

#[test]
fn close_codes_that_must_not_be_sent_are_refused() {
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
        let mut peer = Peer::of_server();
        peer.says_all([frame().text("before"), frame().close(code, "")]);
        assert_eq!(peer.events(), [event::text("before")]);
        let malformed = MalformedClose::Code(code.into());
        assert_eq!(peer.fault(), Some(Violation::MalformedClose(malformed).into()));
        let close = peer.hears_close();
        assert_eq!(close.code(), CloseCode::PROTOCOL_ERROR);
        assert!(close.reason().contains(&code.to_string()), "{close}");
    }
}

#[test]
fn a_close_payload_of_one_byte_is_refused() {
    let mut peer = Peer::of_server();
    peer.says_all([frame().text("before"), frame().close_with([3])]);
    assert_eq!(peer.events(), [event::text("before")]);
    let malformed = MalformedClose::OneByte;
    assert_eq!(peer.fault(), Some(Violation::MalformedClose(malformed).into()));
    let close = peer.hears_close();
    assert_eq!(close.code(), CloseCode::PROTOCOL_ERROR);
    assert!(close.reason().contains("one byte"), "{close}");
}

#[test]
fn a_close_reason_that_is_not_utf8_is_refused_with_1007() {
    for reason in [&b"\xFF"[..], b"caf\xC3", b"\xED\xA0\x80"] {
        let mut peer = Peer::of_client();
        peer.says_bytewise(&frame().close(1000, reason).bytes());
        assert_eq!(peer.events(), []);
        assert_eq!(peer.hears_close().code(), CloseCode::INVALID_DATA);
    }
}

#[test]
fn nothing_is_heard_after_the_peers_close_frame() {
    let mut peer = Peer::of_server();
    peer.says_all([
        frame().text("last words"),
        frame().close(1000, ""),
        frame().text("more"),
        frame().ping("?"),
        frame().opcode(3),
        frame().close(1001, "again"),
    ]);
    peer.says_bytes(&[0xFF; 50]);
    let close = event::close(CloseCode::NORMAL, "");
    assert_eq!(peer.events(), [event::text("last words"), close]);
    assert_eq!(peer.hears_close().code(), CloseCode::NORMAL);
    assert!(peer.session().outcome().unwrap().is_clean());
}

#[test]
fn nothing_is_said_after_our_close_frame() {
    let mut peer = Peer::of_client();
    closes(&mut peer, close_frame(BYE, "bye"));
    let now = peer.now();
    let session = peer.session();
    let again = session.close(now, close_frame(CloseCode::NORMAL, "once more"));
    assert_eq!(again, Err(Refused::Closing));
    assert!(!session.is_open());
    let error = session.send(Message::text("late")).unwrap_err();
    assert_eq!(error.why(), Refused::Closing);
    assert_eq!(error.into_inner().into_message(), Message::text("late"), "it is given back");
    assert_eq!(session.ping("late".into()).unwrap_err().why(), Refused::Closing);
    assert_eq!(session.pong("late".into()).unwrap_err().why(), Refused::Closing);
    assert!(session.send_frame(now, Frame::text("late")).is_err());
    assert!(session.send_frame(now, Frame::new(Opcode::Close, "")).is_err());
    assert_eq!(peer.hears_close(), close_frame(BYE, "bye"));
}

#[test]
fn everything_queued_leaves_before_the_close_frame() {
    let mut peer = Peer::of_client();
    let long = "long ".repeat(100_000);
    for text in ["short", &long, "after"] {
        peer.session().send(Message::text(text)).unwrap();
    }
    closes(&mut peer, close_frame(BYE, ""));
    let heard = peer.hears();
    let (close, data) = heard.split_last().unwrap();
    assert_eq!(close.close().code(), BYE);
    let said: Vec<u8> = data.iter().flat_map(|frame| frame.payload.clone()).collect();
    assert_eq!(said, format!("short{long}after").into_bytes());
}

#[test]
fn what_is_queued_leaves_before_the_answer_to_a_close_frame_too() {
    let mut peer = Peer::of_server();
    peer.session().send(Message::binary(vec![1; 500_000])).unwrap();
    peer.says(frame().close(1000, ""));
    assert_eq!(peer.transport(), TransportFate::Open, "there is more to write");
    let heard = peer.hears();
    assert_eq!(heard.iter().map(|frame| frame.payload.len()).sum::<usize>(), 500_002);
    assert_eq!(heard.last().unwrap().opcode(), Opcode::Close);
    assert_eq!(peer.transport(), TransportFate::Close);
}

#[test]
fn messages_are_still_received_while_the_peers_close_frame_is_awaited() {
    let mut peer = Peer::of_server();
    closes(&mut peer, close_frame(BYE, ""));
    peer.says_all([frame().text("in flight"), frame().ping("me too"), frame().close(1001, "")]);
    let close = event::close(BYE, "");
    assert_eq!(peer.events(), [event::text("in flight"), event::ping("me too"), close]);
}

#[test]
fn a_fault_while_closing_ends_it_and_is_the_cause() {
    let mut peer = Peer::of_server();
    closes(&mut peer, close_frame(BYE, "bye"));
    peer.says(frame().opcode(3));
    assert_eq!(peer.hears_close(), close_frame(BYE, "bye"), "one close frame, and that is said");
    assert_eq!(peer.fault(), Some(Violation::ReservedOpcode(3).into()));
    peer.says(frame().close(1001, ""));
    assert_eq!(peer.events(), []);
    peer.ends();
    let closed = peer.closed();
    assert_eq!(closed.sent(), Some(&close_frame(BYE, "bye")));
    assert_eq!(closed.received(), None);
    assert!(!closed.is_clean());
}

#[test]
fn the_server_closes_the_transport_and_the_client_awaits_that() {
    for mut peer in [Peer::of_server(), Peer::of_client()] {
        closes(&mut peer, close_frame(BYE, ""));
        peer.hears_close();
        assert_eq!(peer.transport(), TransportFate::Open, "the peer has not answered");
        peer.says(frame().close(1001, ""));
        let is_server = peer.role() == Role::Client;
        let expected = if is_server { TransportFate::Close } else { TransportFate::ShutDown };
        assert_eq!(peer.transport(), expected);
        assert_eq!(peer.session().closed(), None);
        peer.ends();
        assert!(peer.closed().is_clean());
        assert_eq!(peer.transport(), TransportFate::Close);
        assert_eq!(peer.session().poll_timeout(), None);
    }
}

#[test]
fn a_peer_that_never_answers_a_close_is_given_up_after_the_close_timeout() {
    let config = Config::server().close_timeout(Duration::from_secs(7));
    let mut peer = Peer::new(Role::Server, &config);
    peer.pass(Duration::from_secs(3));
    closes(&mut peer, close_frame(BYE, ""));
    // It is alive and talks: that is no answer.
    for _ in 0..6 {
        peer.pass(Duration::from_secs(1));
        peer.says_all([frame().pong(""), frame().text("chatter")]);
        assert_eq!(peer.session().closed(), None);
    }
    assert_eq!(peer.pass_to_deadline(), Some(Duration::from_secs(1)));
    assert_eq!(peer.transport(), TransportFate::Close);
    assert_eq!(
        peer.closed().to_string(),
        "the peer did not answer the close frame (close_timeout)"
    );
    assert_eq!(peer.hears(), [], "what was not written is forgotten");
}

#[test]
fn a_peer_that_answers_a_close_and_keeps_the_transport_is_given_up_too() {
    let mut peer = Peer::of_client();
    peer.says(frame().close(1000, ""));
    peer.hears_close();
    assert_eq!(peer.transport(), TransportFate::ShutDown);
    assert_eq!(peer.pass_to_deadline(), Some(Duration::from_secs(5)));
    assert_eq!(peer.transport(), TransportFate::Close);
    assert!(peer.closed().is_clean(), "both ends sent a close frame");
}

#[test]
fn a_peer_that_is_told_of_its_fault_and_keeps_the_transport_is_given_up_too() {
    let mut peer = Peer::of_server();
    peer.says_bytes(&[0x8F]);
    peer.hears_close();
    assert_eq!(peer.transport(), TransportFate::ShutDown);
    peer.pass(Duration::from_secs(4));
    peer.says_bytes(&[0; 1000]);
    assert_eq!(peer.pass_to_deadline(), Some(Duration::from_secs(1)), "bytes put nothing off");
    assert_eq!(peer.transport(), TransportFate::Close);
}

#[test]
fn a_peer_that_does_not_read_the_close_frame_is_given_up_too() {
    let mut pair = Pair::default();
    pair.stop_reading(Role::Client);
    let server = pair.session(Role::Server);
    server.send(Message::binary(vec![0; 1 << 20])).unwrap();
    let now = pair.now();
    pair.session(Role::Server).close(now, close_frame(BYE, "")).unwrap();
    pair.run();
    assert!(!pair.session(Role::Server).outbound().is_empty());
    pair.pass(Duration::from_secs(5));
    assert!(!pair.closed(Role::Server).is_clean());
    assert!(pair.session(Role::Server).outbound().is_empty(), "the memory is free");
}

#[test]
fn both_ends_close_whoever_begins_and_however_it_is_split() {
    for beginner in [Role::Client, Role::Server] {
        for chunks in [vec![1], vec![2, 3], vec![usize::MAX]] {
            let mut pair = Pair::default().in_chunks(chunks);
            let now = pair.now();
            pair.session(Role::Client).send(Message::text("c")).unwrap();
            pair.session(Role::Server).send(Message::text("s")).unwrap();
            pair.session(beginner).close(now, close_frame(BYE, "bye")).unwrap();
            pair.run();
            assert!(pair.is_over());
            let other = if beginner == Role::Client { Role::Server } else { Role::Client };
            assert_eq!(pair.events(other)[1], event::close(BYE, "bye"));
            assert_eq!(pair.events(beginner)[1], event::close(BYE, ""));
        }
    }
}

#[test]
fn ends_that_close_at_the_same_time_both_close_cleanly() {
    let mut pair = Pair::default();
    let now = pair.now();
    pair.session(Role::Client).close(now, close_frame(BYE, "client")).unwrap();
    pair.session(Role::Server).close(now, close_frame(CloseCode::NORMAL, "server")).unwrap();
    pair.run();
    for role in [Role::Client, Role::Server] {
        let closed = pair.closed(role);
        assert!(closed.is_clean());
        assert_ne!(closed.sent(), closed.received());
    }
}

#[test]
fn an_abort_says_why_and_waits_for_nothing() {
    let mut peer = Peer::of_server();
    peer.session().send(Message::text("a frame already")).unwrap();
    peer.session().send(Message::binary(vec![0; 1 << 20])).unwrap();
    peer.session().abort(close_frame(CloseCode::POLICY, "spam"));
    assert_eq!(peer.transport(), TransportFate::Close);
    assert_eq!(peer.session().poll_timeout(), None);
    let heard = peer.hears();
    assert_eq!(heard[0].text(), "a frame already");
    assert_eq!(heard.last().unwrap().close(), close_frame(CloseCode::POLICY, "spam"));
    assert!(heard.len() < 5, "the long message is not waited for");
    peer.says(frame().text("late"));
    assert_eq!(peer.events(), []);
}

#[test]
fn a_close_frame_made_by_hand_closes() {
    let mut pair = Pair::default();
    let now = pair.now();
    let payload = close_frame(BYE, "by hand").encode();
    pair.session(Role::Client).send_frame(now, Frame::new(Opcode::Close, payload)).unwrap();
    assert!(!pair.session(Role::Client).is_open());
    pair.run();
    assert_eq!(pair.closed(Role::Server).reason(), "by hand");

    let mut peer = Peer::of_client();
    let bad = Frame::new(Opcode::Close, vec![3]);
    let error = peer.session().send_frame(now, bad).unwrap_err();
    assert_eq!(error.why(), Refused::MalformedClose(MalformedClose::OneByte));
    assert!(peer.session().is_open());
}

#[test]
fn a_fault_may_be_told_in_other_words_as_far_as_they_fit() {
    for (words, told) in
        [("Invalid UTF-8 Data Received", None), (&*"é".repeat(80), Some("é".repeat(61)))]
    {
        let mut peer = Peer::of_server();
        let now = peer.now();
        let fault = Violation::InvalidUtf8.into();
        peer.session().handle_fault_in_words(now, fault, words);
        assert_eq!(peer.fault(), Some(fault));
        let close = peer.hears_close();
        assert_eq!((close.code().get(), close.reason()), (1007, told.as_deref().unwrap_or(words)));
        assert_eq!(peer.transport(), TransportFate::ShutDown);
    }
}
