//! Text is UTF-8, wherever it is split, and what is not is refused at its first bad byte.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use towline_kit::{Peer, event, frame};
use towline_proto::{CloseCode, Config, Role, Violation};

/// Bytes that are not UTF-8, each with the place of the first byte that shows it.
const BAD: [(&[u8], usize); 9] = [
    (b"\x80", 0),
    (b"ok\xFF", 2),
    (b"\xC0\xAF", 0),
    (b"\xE0\x80\xAF", 1),
    (b"\xED\xA0\x80", 1),
    (b"\xF4\x90\x80\x80", 1),
    (b"\xF8\x88\x80\x80\x80", 0),
    (b"caf\xC3(", 4),
    (b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited", 12),
];

fn is_refused(peer: &mut Peer) {
    assert_eq!(peer.fault(), Some(Violation::InvalidUtf8.into()));
    let close = peer.hears_close();
    assert_eq!(close.code(), CloseCode::INVALID_DATA);
    assert!(close.reason().contains("UTF-8"), "{close}");
}

#[test]
fn bad_text_is_refused_in_one_frame() {
    for assemble in [true, false] {
        for (bad, _) in BAD {
            let config = Config::server().assemble_fragments(assemble);
            let mut peer = Peer::new(Role::Server, &config);
            peer.says(frame().text(bad));
            assert_eq!(peer.events(), []);
            is_refused(&mut peer);
        }
    }
}

#[test]
fn bad_text_is_refused_wherever_it_is_cut_into_frames() {
    for (bad, _) in BAD {
        for cut in 0..=bad.len() {
            let mut peer = Peer::of_server();
            let (first, second) = bad.split_at(cut);
            peer.says(frame().text("good"));
            peer.says(frame().text(first).fin(false));
            peer.says(frame().ping("still here"));
            peer.says(frame().continuation(second));
            assert_eq!(peer.events()[0], event::text("good"));
            assert_eq!(peer.fault(), Some(Violation::InvalidUtf8.into()), "{bad:x?} at {cut}");
        }
    }
}

#[test]
fn bad_text_is_refused_at_its_first_bad_byte_in_the_middle_of_a_frame() {
    for assemble in [true, false] {
        for (bad, at) in BAD {
            let config = Config::client().assemble_fragments(assemble);
            let mut peer = Peer::new(Role::Client, &config);
            // The rest of the frame never comes.
            peer.says_bytes(&frame().text("").announcing(100).head());
            peer.says_bytewise(&bad[..at]);
            assert_eq!(peer.fault(), None, "{bad:x?}");
            peer.says_bytes(&bad[at..=at]);
            is_refused(&mut peer);
        }
    }
}

#[test]
fn text_that_ends_in_the_middle_of_a_character_is_refused() {
    for unfinished in [&b"\xC3"[..], b"ok\xE2\x82", b"\xF0\x9F\x98"] {
        for assemble in [true, false] {
            let config = Config::client().assemble_fragments(assemble);
            let mut peer = Peer::new(Role::Client, &config);
            peer.says(frame().text(unfinished));
            assert_eq!(peer.events(), []);
            is_refused(&mut peer);

            let mut peer = Peer::new(Role::Client, &config);
            peer.says(frame().text(unfinished).fin(false));
            assert_eq!(peer.fault(), None, "it may go on in the next frame");
            peer.says(frame().continuation(""));
            is_refused(&mut peer);
        }
    }
}

#[test]
fn the_next_message_starts_afresh() {
    let mut peer = Peer::of_client();
    peer.says_all([frame().text(b"\xC3").fin(false), frame().continuation(b"\xA9")]);
    peer.says_all([frame().text("é").fin(false), frame().continuation("")]);
    peer.says_bytewise(&frame().text("é").bytes());
    assert_eq!(peer.events(), vec![event::text("é"); 3]);
}

#[test]
fn binary_messages_may_hold_anything() {
    let mut peer = Peer::of_client();
    for (bytes, _) in BAD {
        peer.says_all([frame().binary(bytes).fin(false), frame().continuation(bytes)]);
        assert_eq!(peer.events(), [event::binary([bytes, bytes].concat())]);
    }
}

proptest! {
    #[test]
    fn text_is_judged_as_the_standard_library_judges_the_whole_of_it(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x7Fu8..0xC3, 0xE0u8..0xF5], 0..16),
        assemble: bool,
        cuts in prop::collection::vec(0usize..5, 0..6),
        pieces in 1usize..9,
    ) {
        let mut peer = Peer::new(Role::Client, &Config::client().assemble_fragments(assemble));
        let mut rest = &bytes[..];
        let mut said = Vec::new();
        for (at, cut) in cuts.iter().enumerate() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            said.extend(frame().opcode(u8::from(at == 0)).payload(now).fin(false).bytes());
            rest = later;
        }
        said.extend(frame().opcode(u8::from(cuts.is_empty())).payload(rest).bytes());
        for piece in said.chunks(pieces) {
            peer.says_bytes(piece);
        }
        let is_valid = std::str::from_utf8(&bytes).is_ok();
        prop_assert_eq!(peer.fault().is_none(), is_valid);
        if assemble && is_valid {
            prop_assert_eq!(peer.events(), [event::text(String::from_utf8(bytes).unwrap())]);
        }
    }
}
