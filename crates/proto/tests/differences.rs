//! Inputs that other implementations judge differently. The differential fuzzer
//! (`testing/fuzz/src/differential.rs`) and the suite `testing/interop/differential` list the
//! differences. Each is decided by the sentence of the RFC that is quoted here.

#![allow(clippy::unwrap_used)]

use towline_kit::{FrameBytes, Peer, event, frame};
use towline_proto::{CloseCode, Config, Fault, MalformedClose, Role, Violation};

/// Both roles refuse the frame with this fault, after they have delivered what came before it.
fn is_refused(said: &FrameBytes, fault: impl Into<Fault>) {
    let fault = fault.into();
    for role in [Role::Client, Role::Server] {
        let mut peer = Peer::new(role, &Config::server());
        peer.says_all([frame().text("before"), said.clone()]);
        assert_eq!(peer.events(), [event::text("before")], "{said:?}");
        assert_eq!(peer.fault(), Some(fault), "{said:?}");
        assert_eq!(peer.hears_close().code(), fault.close_code());
    }
}

/// RFC 6455, section 5.2: "in all cases, the minimal number of bytes MUST be used to encode the
/// length". tungstenite and Python's websockets accept others.
#[test]
fn a_length_in_more_bytes_than_needed_is_refused() {
    for (len, form) in
        [(0, 126), (1, 126), (125, 126), (0, 127), (125, 127), (126, 127), (65_535, 127)]
    {
        let long = frame().binary(vec![7; len]).length_as(form);
        is_refused(&long, Violation::NonMinimalLength(len as u64));
        is_refused(&long.clone().fin(false), Violation::NonMinimalLength(len as u64));
    }
    // That of a control frame as well.
    is_refused(&frame().ping("").length_as(126), Violation::NonMinimalLength(0));
}

/// RFC 6455, section 7.4.1: 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control
/// frame by an endpoint", and 1004 is reserved. Section 7.4.2: codes of 0 to 999 are not used, 1000
/// to 2999 are for this protocol, and nobody has defined codes above 4999. tungstenite reports such a
/// close frame to the program as one with 1002.
#[test]
fn a_close_code_that_must_not_be_sent_is_refused() {
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535] {
        let malformed = MalformedClose::Code(CloseCode::new(code));
        is_refused(&frame().close(code, "why"), Violation::MalformedClose(malformed));
    }
}

/// RFC 6455, section 7.4.2: codes up to 2999 are defined by the protocol and its registry, where
/// IANA has added 1012 to 1014. wsproto refuses 1014.
#[test]
fn a_close_code_that_iana_has_registered_is_accepted() {
    for code in [1012, 1013, 1014] {
        let mut peer = Peer::of_client();
        peer.says(frame().close(code, "why"));
        assert_eq!(peer.events(), [event::close(CloseCode::new(code), "why")]);
    }
}

/// RFC 6455, section 5.4: control frames "MAY be injected in the middle of a fragmented message", and
/// a close frame is one. Python's websockets refuses it.
#[test]
fn a_close_frame_between_two_fragments_is_accepted() {
    let mut peer = Peer::of_client();
    peer.says_all([frame().text("half").fin(false), frame().close(1001, "")]);
    assert_eq!(peer.events(), [event::close(CloseCode::GOING_AWAY, "")]);
}

/// RFC 6455, section 8.1 leaves open when invalid text is noticed. It is noticed with the first byte
/// that no text has there, though others wait for the end of the frame or of the message.
#[test]
fn invalid_text_is_refused_before_its_frame_is_complete() {
    let mut peer = Peer::new(Role::Client, &Config::client());
    peer.says_bytes(&frame().text("").announcing(1_000).head());
    peer.says_bytes(b"ahoy\xC3");
    assert_eq!(peer.fault(), None);
    peer.says_bytes(b"\xC3");
    assert_eq!(peer.fault(), Some(Violation::InvalidUtf8.into()));
}
