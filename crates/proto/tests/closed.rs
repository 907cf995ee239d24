//! How a connection ended: every outcome, with who began, what was said, and the cause.

#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::time::Duration;

use towline_kit::event::close_frame;
use towline_kit::{Pair, Peer, frame};
use towline_proto::Initiator::{Local, Remote};
use towline_proto::{
    CloseCause, CloseCode, CloseFrame, Closed, Config, Frame, Initiator, LimitExceeded, Message,
    Role, Violation,
};

const BYE: CloseCode = CloseCode::GOING_AWAY;

/// An outcome in one view.
fn view(closed: &Closed) -> (Initiator, Option<u16>, Option<u16>, CloseCause, u16, &str) {
    let code = |frame: Option<&CloseFrame>| frame.map(|frame| frame.code().get());
    (
        closed.initiator(),
        code(closed.sent()),
        code(closed.received()),
        closed.cause(),
        closed.code().get(),
        closed.reason(),
    )
}

fn closes(peer: &mut Peer) {
    let now = peer.now();
    peer.session().close(now, close_frame(BYE, "bye")).unwrap();
}

#[test]
fn closed_by_this_end() {
    let mut peer = Peer::of_server();
    closes(&mut peer);
    peer.hears_close();
    assert_eq!(peer.session().outcome(), None, "the peer has not answered");
    peer.says(frame().close(1000, "as you like"));
    assert_eq!(peer.session().outcome().unwrap().cause(), CloseCause::Handshake);
    peer.ends();
    let closed = peer.closed();
    let handshake = CloseCause::Handshake;
    assert_eq!(view(&closed), (Local, Some(1001), Some(1000), handshake, 1001, "bye"));
    assert!(closed.is_clean());
    assert_eq!(closed.to_string(), r#"closed with 1001 (going away) "bye""#);
    assert_eq!(closed.received().unwrap().reason(), "as you like");
}

#[test]
fn closed_by_the_peer() {
    let mut peer = Peer::of_client();
    peer.says(frame().close(4001, "kicked\nout"));
    peer.hears_close();
    peer.ends();
    let closed = peer.closed();
    let handshake = CloseCause::Handshake;
    assert_eq!(view(&closed), (Remote, Some(4001), Some(4001), handshake, 4001, "kicked\nout"));
    assert!(closed.is_clean());
    assert_eq!(closed.to_string(), r#"closed by the peer with 4001 "kicked\nout""#);
}

#[test]
fn closed_by_the_peer_without_a_word() {
    let mut peer = Peer::of_client();
    peer.says(frame().close_with(""));
    peer.hears_close();
    peer.ends();
    let closed = peer.closed();
    let handshake = CloseCause::Handshake;
    assert_eq!(view(&closed), (Remote, Some(1005), Some(1005), handshake, 1005, ""));
    assert_eq!(closed.to_string(), "closed by the peer with 1005 (no status received)");
}

#[test]
fn closed_for_a_violation() {
    let mut peer = Peer::of_server();
    peer.says_bytes(&frame().text("bare").bytes());
    peer.says(frame().close(1000, "unheard"));
    peer.ends();
    let closed = peer.closed();
    let violation = CloseCause::Violation(Violation::Unmasked);
    let reason = "unmasked frame from a client";
    assert_eq!(view(&closed), (Local, Some(1002), None, violation, 1002, reason));
    assert!(!closed.is_clean());
    assert_eq!(closed.to_string(), format!("the peer broke the protocol: {reason}"));
}

#[test]
fn closed_for_a_limit() {
    let mut peer = Peer::new(Role::Client, &Config::client().max_received_frame_size(10));
    peer.says(frame().binary([0; 11]));
    peer.pass_to_deadline();
    let closed = peer.closed();
    let limit = CloseCause::LimitExceeded(LimitExceeded::Frame { size: 11, limit: 10 });
    let reason = "frame of 11 bytes: the limit is 10 (max_received_frame_size)";
    assert_eq!(view(&closed), (Local, Some(1009), None, limit, 1009, reason));
    assert!(!closed.is_clean());
    assert_eq!(closed.to_string(), format!("the peer exceeded a limit: {reason}"));
}

#[test]
fn closed_for_silence() {
    let mut peer = Peer::of_server();
    peer.pass_to_deadline();
    peer.pass_to_deadline();
    let closed = peer.closed();
    assert_eq!(view(&closed), (Local, None, None, CloseCause::PeerUnresponsive, 1006, ""));
    assert!(!closed.is_clean());
    assert_eq!(closed.to_string(), "the peer does not respond (keepalive)");
}

#[test]
fn closed_without_an_answer() {
    let mut peer = Peer::of_server();
    closes(&mut peer);
    peer.hears_close();
    peer.pass_to_deadline();
    let closed = peer.closed();
    assert_eq!(view(&closed), (Local, Some(1001), None, CloseCause::CloseTimeout, 1006, ""));
    assert!(!closed.is_clean());
}

#[test]
fn aborted() {
    let mut peer = Peer::of_server();
    peer.session().abort(close_frame(CloseCode::POLICY, "spam"));
    let closed = peer.closed();
    assert_eq!(view(&closed), (Local, Some(1008), None, CloseCause::Aborted, 1008, "spam"));
    assert!(!closed.is_clean());
    assert_eq!(closed.to_string(), "aborted by this end");
    peer.ends();
    peer.session().abort(close_frame(BYE, "again"));
    assert_eq!(peer.closed(), closed, "the first outcome stays");
}

#[test]
fn aborted_while_closing() {
    let mut peer = Peer::of_server();
    closes(&mut peer);
    peer.session().abort(close_frame(CloseCode::POLICY, "enough"));
    let closed = peer.closed();
    assert_eq!(view(&closed), (Local, Some(1001), None, CloseCause::Aborted, 1001, "bye"));
    assert_eq!(peer.hears_close(), close_frame(BYE, "bye"));
}

#[test]
fn aborted_when_the_outcome_is_known() {
    let mut peer = Peer::of_client();
    peer.says(frame().close(1000, "done"));
    peer.session().abort(close_frame(CloseCode::POLICY, ""));
    assert_eq!(peer.closed().cause(), CloseCause::Handshake);
    assert_eq!(peer.hears_close().code(), CloseCode::NORMAL);
}

#[test]
fn ended_by_the_transport() {
    let mut peer = Peer::of_server();
    peer.session().send(Message::text("unsent")).unwrap();
    peer.ends();
    let closed = peer.closed();
    assert_eq!(view(&closed), (Remote, None, None, CloseCause::TransportEnded, 1006, ""));
    assert!(!closed.is_clean());
    assert_eq!(closed.to_string(), "the transport ended without a close frame");
    assert_eq!(peer.hears(), []);
    assert!(peer.session().send(Message::text("late")).is_err());
    assert_eq!(peer.session().poll_timeout(), None);
}

#[test]
fn ended_by_the_transport_instead_of_an_answer() {
    let mut peer = Peer::of_server();
    closes(&mut peer);
    peer.hears_close();
    peer.ends();
    let closed = peer.closed();
    let ended = CloseCause::TransportEnded;
    assert_eq!(view(&closed), (Local, Some(1001), None, ended, 1006, ""));
    assert!(!closed.is_clean());
}

#[test]
fn a_close_frame_that_was_not_written_was_not_sent() {
    let mut peer = Peer::of_server();
    peer.says(frame().close(1000, ""));
    assert_eq!(peer.session().outcome(), None, "it depends on whether the answer goes out");
    peer.ends();
    let closed = peer.closed();
    let ended = CloseCause::TransportEnded;
    assert_eq!(view(&closed), (Remote, None, Some(1000), ended, 1000, ""));
    assert!(!closed.is_clean());
}

#[test]
fn failed_with_the_transport() {
    let mut pair = Pair::default();
    pair.session(Role::Client).send(Message::text("lost")).unwrap();
    pair.fail(ErrorKind::ConnectionReset);
    pair.run();
    for role in [Role::Client, Role::Server] {
        let closed = pair.closed(role);
        let failed = CloseCause::TransportFailed(ErrorKind::ConnectionReset);
        assert_eq!(view(&closed), (Remote, None, None, failed, 1006, ""));
        assert!(!closed.is_clean());
        assert_eq!(closed.to_string(), "the transport failed: connection reset");
        assert_eq!(pair.events(role), []);
    }
}

#[test]
fn a_failed_write_still_hears_why() {
    let mut peer = Peer::of_server();
    let now = peer.now();
    peer.session().send(Message::text("unsent")).unwrap();
    peer.session().handle_write_error(now, ErrorKind::BrokenPipe);
    assert!(peer.session().send(Message::text("late")).is_err());
    peer.says_all([frame().text("last words"), frame().ping(""), frame().close(1001, "bye")]);
    assert_eq!(peer.events().len(), 3);
    assert_eq!(peer.hears(), []);
    let closed = peer.closed();
    let failed = CloseCause::TransportFailed(ErrorKind::BrokenPipe);
    assert_eq!(view(&closed), (Remote, None, Some(1001), failed, 1001, "bye"));
    assert!(!closed.is_clean());
}

#[test]
fn a_close_frame_that_was_not_answered_is_named_with_what_happened() {
    for (end, why) in [
        (0, "the transport ended"),
        (1, "the transport failed: connection reset"),
        (2, "the transport failed: broken pipe"),
        (3, "the transport failed: broken pipe"),
        (4, "the peer took no more bytes (close_timeout)"),
    ] {
        let mut peer = Peer::of_server();
        let now = peer.now();
        if end == 3 {
            peer.session().handle_write_error(now, ErrorKind::BrokenPipe);
        }
        peer.says(frame().close(1001, "bye"));
        match end {
            0 => peer.ends(),
            1 => peer.session().handle_transport_error(ErrorKind::ConnectionReset),
            2 => peer.session().handle_write_error(now, ErrorKind::BrokenPipe),
            3 => {}
            _ => assert!(peer.pass_to_deadline().is_some()),
        }
        let closed = peer.closed();
        assert_eq!((closed.initiator(), closed.code(), closed.sent()), (Remote, BYE, None));
        let words = format!(
            "closed by the peer with 1001 (going away) \"bye\", which was not answered: {why}"
        );
        assert_eq!(closed.to_string(), words);
    }
}

#[test]
fn a_failed_write_awaits_the_peer_no_longer_than_a_close_does() {
    for is_closing in [false, true] {
        let mut peer = Peer::of_server();
        let now = peer.now();
        if is_closing {
            closes(&mut peer);
        }
        peer.session().handle_write_error(now, ErrorKind::BrokenPipe);
        assert_eq!(peer.pass_to_deadline(), Some(Duration::from_secs(5)));
        let failed = CloseCause::TransportFailed(ErrorKind::BrokenPipe);
        assert_eq!(peer.closed().cause(), failed);
        let began = if is_closing { Local } else { Remote };
        assert_eq!(peer.closed().initiator(), began);
    }
}

#[test]
fn what_reading_fails_with_says_more_than_a_failed_write_before() {
    let mut peer = Peer::of_server();
    let now = peer.now();
    peer.session().handle_write_error(now, ErrorKind::BrokenPipe);
    peer.session().handle_transport_error(ErrorKind::InvalidData);
    assert_eq!(peer.closed().cause(), CloseCause::TransportFailed(ErrorKind::InvalidData));
}

#[test]
fn a_failed_write_of_a_close_frame_leaves_it_begun_by_this_end() {
    let mut peer = Peer::of_server();
    let now = peer.now();
    closes(&mut peer);
    peer.session().handle_write_error(now, ErrorKind::BrokenPipe);
    peer.says(frame().close(1000, ""));
    assert_eq!(peer.closed().initiator(), Local);
}

#[test]
fn what_the_transport_does_after_the_handshake_changes_nothing() {
    for end in [0, 1, 2] {
        let mut peer = Peer::of_client();
        closes(&mut peer);
        peer.hears_close();
        peer.says(frame().close(1001, ""));
        let now = peer.now();
        match end {
            0 => peer.ends(),
            1 => peer.session().handle_transport_error(ErrorKind::ConnectionReset),
            _ => peer.session().handle_write_error(now, ErrorKind::BrokenPipe),
        }
        assert!(peer.closed().is_clean());
    }
}

#[test]
fn both_ends_tell_the_same_story() {
    let mut pair = Pair::default();
    let now = pair.now();
    pair.session(Role::Client).close(now, close_frame(BYE, "bye")).unwrap();
    pair.run();
    let (client, server) = (pair.closed(Role::Client), pair.closed(Role::Server));
    assert_eq!((client.initiator(), server.initiator()), (Local, Remote));
    assert_eq!((client.code(), client.reason()), (server.code(), server.reason()));
    assert_eq!((client.sent(), client.received()), (server.received(), server.sent()));
}

#[test]
fn a_cut_transport_is_an_end_at_both_ends() {
    let mut pair = Pair::default();
    pair.session(Role::Server).send(Message::text("delivered")).unwrap();
    pair.run();
    pair.cut();
    assert_eq!(pair.events(Role::Client).len(), 1, "what was delivered stays");
    for role in [Role::Client, Role::Server] {
        assert_eq!(pair.closed(role).cause(), CloseCause::TransportEnded);
    }
}

/// The number of messages that are cut off, and what is said of it, by whoever closes.
fn cut(sends: impl Fn(&mut Peer)) -> [(usize, String); 2] {
    [true, false].map(|by_peer| {
        let mut peer = Peer::of_server();
        sends(&mut peer);
        if !by_peer {
            closes(&mut peer);
        }
        peer.says(frame().close(1001, "bye"));
        peer.hears();
        peer.ends();
        let closed = peer.closed();
        assert!(closed.is_clean());
        (closed.cut_messages(), closed.to_string())
    })
}

#[test]
fn a_close_tells_how_many_messages_it_cut_off() {
    let begins = |peer: &mut Peer| {
        let now = peer.now();
        peer.session().send_frame(now, Frame::text("Hel").fin(false)).unwrap();
    };
    let by = [
        "closed by the peer with 1001 (going away) \"bye\"",
        "closed with 1001 (going away) \"bye\"",
    ];
    let alone = cut(begins);
    let expected = by.map(|text| (1, format!("{text}, which cut off a message")));
    assert_eq!(alone, expected);
    let with_others = cut(|peer| {
        begins(peer);
        peer.session().send("held back").unwrap();
        peer.session().outbound().mark();
        peer.session().send("and another").unwrap();
    });
    assert_eq!(with_others, by.map(|text| (3, format!("{text}, which cut off 3 messages"))));
    let finished = cut(|peer| {
        let now = peer.now();
        begins(peer);
        peer.session().send(vec![7; 300_000]).unwrap();
        peer.session().send_frame(now, Frame::continuation("lo")).unwrap();
    });
    assert_eq!(finished, by.map(|text| (0, text.to_owned())));
}

/// Whatever happens to the close after that.
#[test]
fn what_a_close_cut_off_is_told_although_the_peer_does_not_answer() {
    for is_lost in [false, true] {
        let mut peer = Peer::of_server();
        let now = peer.now();
        peer.session().send_frame(now, Frame::text("Hel").fin(false)).unwrap();
        closes(&mut peer);
        match is_lost {
            true => peer.ends(),
            false => assert!(peer.pass_to_deadline().is_some()),
        }
        assert_eq!(peer.closed().cut_messages(), 1);
    }
}
