//! Frames that are none: each is refused with 1002, and what came before it is delivered.

#![allow(clippy::unwrap_used)]

use towline_kit::{FrameBytes, Peer, event, frame};
use towline_proto::{
    CloseCause, CloseCode, Config, Fault, LimitExceeded, Message, Opcode, Role, Rsv, TransportFate,
    Violation,
};

/// A peer that says a good message and then `bytes`, all in one read or byte by byte; the message
/// must have been delivered and the fault be this one.
fn is_refused(role: Role, bytes: &[u8], fault: impl Into<Fault>) -> String {
    let fault = fault.into();
    let mut reasons = Vec::new();
    for bytewise in [false, true] {
        let mut peer = Peer::new(role, &Config::server());
        let all = [frame().text("before").by(peer.role()).bytes(), bytes.to_vec()].concat();
        if bytewise {
            peer.says_bytewise(&all);
        } else {
            peer.says_bytes(&all);
        }
        assert_eq!(peer.events(), [event::text("before")]);
        assert_eq!(peer.fault(), Some(fault), "byte by byte: {bytewise}");
        let close = peer.hears_close();
        assert_eq!(close.code(), fault.close_code());
        assert_eq!(close.reason(), fault.to_string());
        reasons.push(close.reason().to_owned());
        // The peer is to read the close frame before the transport goes.
        assert_eq!(peer.transport(), TransportFate::ShutDown);
        peer.says(frame().text("after"));
        peer.says_bytes(&[0xFF; 100]);
        assert_eq!((peer.events(), peer.hears()), (vec![], vec![]), "nothing comes after a fault");
        assert_eq!(peer.fault(), Some(fault), "the first fault is the cause");
        peer.ends();
        assert!(!peer.closed().is_clean());
    }
    reasons.swap_remove(0)
}

fn violation(role: Role, frame: &FrameBytes, violation: Violation) -> String {
    assert_eq!(violation.close_code().get(), 1002);
    is_refused(role, &frame.bytes(), violation)
}

#[test]
fn a_server_refuses_an_unmasked_frame() {
    let reason = violation(Role::Server, &frame().text("x"), Violation::Unmasked);
    assert!(reason.contains("unmasked"), "{reason}");
    violation(Role::Server, &frame().ping(""), Violation::Unmasked);
    violation(Role::Server, &frame().close(1000, ""), Violation::Unmasked);
}

#[test]
fn a_client_refuses_a_masked_frame() {
    let key = [0; 4];
    let reason = violation(Role::Client, &frame().text("x").masked(key), Violation::Masked);
    assert!(reason.contains("masked"), "{reason}");
    violation(Role::Client, &frame().pong("").masked(key), Violation::Masked);
}

#[test]
fn reserved_bits_are_refused_on_every_kind_of_frame() {
    for bits in 1..8 {
        for opcode in [1, 2, 8, 9, 10] {
            let bad = frame().opcode(opcode).rsv(bits);
            let rsv = [(4, Rsv::RSV1), (2, Rsv::RSV2), (1, Rsv::RSV3)]
                .into_iter()
                .filter(|(bit, _)| bits & bit != 0)
                .fold(Rsv::NONE, |all, (_, rsv)| all.union(rsv));
            let reason = violation(Role::Client, &bad, Violation::ReservedBits(rsv));
            assert!(reason.contains(&format!("{bits:03b}")), "{reason}");
        }
    }
}

#[test]
fn reserved_opcodes_are_refused() {
    for bits in (3..=7).chain(11..=15) {
        let reason =
            violation(Role::Client, &frame().opcode(bits), Violation::ReservedOpcode(bits));
        assert!(reason.contains(&bits.to_string()), "{reason}");
    }
}

#[test]
fn a_reserved_opcode_is_refused_when_only_its_byte_has_come() {
    let mut peer = Peer::of_client();
    peer.says_bytes(&[0x83]);
    assert_eq!(peer.hears_close().code(), CloseCode::PROTOCOL_ERROR);
}

#[test]
fn lengths_in_more_bytes_than_needed_are_refused() {
    for (form, len) in [(126, 0), (126, 125), (127, 0), (127, 125), (127, 126), (127, 0xFFFF)] {
        let bad = frame().announcing(len).length_as(form);
        let reason = violation(Role::Client, &bad, Violation::NonMinimalLength(len));
        assert!(reason.contains(&len.to_string()), "{reason}");
    }
}

#[test]
fn lengths_in_as_many_bytes_as_needed_are_taken() {
    for len in [0, 125, 126, 127, 0xFFFF, 0x1_0000] {
        let mut peer = Peer::of_client();
        peer.says(frame().binary(vec![7; len]));
        assert_eq!(peer.events(), [event::binary(vec![7; len])], "{len} bytes");
    }
}

#[test]
fn lengths_of_64_bits_are_refused_in_words_that_name_them() {
    for len in [1 << 63, (1 << 63) + 1, u64::MAX] {
        let bad = frame().announcing(len).masked([1; 4]);
        let reason = violation(Role::Server, &bad, Violation::LengthTooLarge(len));
        assert!(reason.contains(&len.to_string()), "{reason}");
    }
}

#[test]
fn the_longest_length_that_the_protocol_knows_is_over_the_limit_and_no_more() {
    let size = (1 << 63) - 1;
    let fault = LimitExceeded::Frame { size, limit: 64 << 10 };
    let reason = is_refused(Role::Client, &frame().announcing(size).bytes(), fault);
    for part in ["9223372036854775807", "65536", "max_received_frame_size"] {
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn a_key_of_any_kind_unmasks() {
    let mut peer = Peer::of_server();
    for key in [[0; 4], [0xFF; 4], [1, 2, 3, 4]] {
        for len in 0..20 {
            let text: String = ('a'..='z').take(len).collect();
            peer.says_bytewise(&frame().text(&text).masked(key).bytes());
            assert_eq!(peer.events(), [event::text(text)]);
        }
    }
}

#[test]
fn frames_leave_masked_by_a_client_and_bare_by_a_server() {
    // `Peer::hears` checks the mask of every frame.
    let mut peer = Peer::of_client();
    peer.session().send(Message::text("masked")).unwrap();
    peer.session().send(Message::text("masked")).unwrap();
    let heard = peer.hears();
    assert_eq!(heard[0].text(), "masked");
    assert_ne!(heard[0].header.mask, heard[1].header.mask, "a key for each frame");

    let mut peer = Peer::of_server();
    peer.session().send(Message::text("bare")).unwrap();
    assert_eq!(peer.hears()[0].text(), "bare");
}

#[test]
fn what_is_queued_as_frames_still_leaves_before_the_close_frame_of_a_fault() {
    let mut peer = Peer::of_server();
    peer.session().send(Message::text("queued")).unwrap();
    peer.says_bytes(&frame().text("unmasked").bytes());
    let heard = peer.hears();
    assert_eq!(heard[0].text(), "queued");
    assert_eq!(heard[1].opcode(), Opcode::Close);
    assert!(peer.session().send(Message::text("late")).is_err());
    assert!(matches!(peer.session().outcome().unwrap().cause(), CloseCause::Violation(_)));
}
