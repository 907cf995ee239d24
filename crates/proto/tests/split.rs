//! The one property above all: however the input is split, the events are the same.

#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::num::{NonZeroU32, NonZeroUsize};

use bytes::{Buf, BufMut};
use proptest::prelude::*;
use towline_kit::{Event, FrameBytes, Heard, Peer, event, frame, join};
use towline_proto::{Config, Fault, Inbound, Incoming, Input, ReadBuffer, Role, Violation};

/// What a peer might say next. `obeys` makes it, by far more often than not, a frame that may
/// stand here, so that what is said gets somewhere before it goes wrong.
#[derive(Debug, Clone)]
struct Said {
    obeys: bool,
    opcode: u8,
    fin: bool,
    rsv: u8,
    right_mask: bool,
    payload: Vec<u8>,
    length_as: Option<u8>,
}

fn rarely<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    rare: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![40 => Just(usual), 1 => rare]
}

fn payload(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => ".{0,12}".prop_map(String::into_bytes),
        2 => "[é€😀]{0,60}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..6),
        2 => (0..longest, any::<u8>()).prop_map(|(len, first)| {
            (0..len).map(|at| first % 64 + b"abcdefghijklmnopqrstuvw"[at % 23] % 32).collect()
        }),
    ]
}

fn said(longest: usize) -> impl Strategy<Value = Said> {
    (
        rarely(true, Just(false)),
        prop_oneof![
            20 => prop::sample::select(vec![1u8, 1, 2, 2, 9, 10]),
            1 => 0u8..16,
        ],
        prop::bool::weighted(0.6),
        rarely(0, 0u8..8),
        rarely(true, Just(false)),
        payload(longest),
        rarely(None, prop::sample::select(vec![Some(126), Some(127)])),
    )
        .prop_map(|(obeys, opcode, fin, rsv, right_mask, payload, length_as)| Said {
            obeys,
            opcode,
            fin,
            rsv,
            right_mask,
            payload,
            length_as,
        })
}

fn frames(sender: Role, all: Vec<Said>) -> Vec<FrameBytes> {
    let mut is_open = false;
    all.into_iter()
        .map(|mut said| {
            let is_control = said.opcode & 8 != 0;
            if said.obeys && is_control {
                said.fin = true;
                said.payload.truncate(125);
            } else if said.obeys && is_open {
                said.opcode = 0;
            }
            if !is_control {
                is_open = !said.fin;
            }
            let mut made =
                frame().opcode(said.opcode).fin(said.fin).rsv(said.rsv).payload(said.payload);
            if let Some(form) = said.length_as {
                made = made.length_as(form);
            }
            if sender.masks() == said.right_mask { made.masked([7, 0xC3, 0, 0x99]) } else { made }
        })
        .collect()
}

fn configs() -> impl Strategy<Value = Config> {
    let sizes = prop::sample::select(vec![100usize, 400, 70_000]);
    (any::<bool>(), sizes.clone(), sizes, 1usize..12, prop::option::of(3u32..9)).prop_map(
        |(assemble, frame, message, fragments, rate)| {
            Config::server()
                .assemble_fragments(assemble)
                .max_received_frame_size(frame)
                .max_received_message_size(message)
                .max_received_fragments(NonZeroUsize::new(fragments).unwrap())
                .max_received_control_rate(rate.and_then(NonZeroU32::new))
        },
    )
}

fn roles() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Server, Role::Client])
}

fn bytes_of(role: Role, all: Vec<Said>) -> Vec<u8> {
    let sender = if role == Role::Server { Role::Client } else { Role::Server };
    join(frames(sender, all))
}

/// All that a connection makes of these pieces.
fn whole(
    role: Role,
    config: &Config,
    mut bytes: &[u8],
    pieces: &[usize],
) -> impl PartialEq + std::fmt::Debug {
    let mut peer = Peer::new(role, config);
    for piece in pieces.iter().cycle() {
        let (now, later) = bytes.split_at((*piece).min(bytes.len()));
        peer.says_bytes(now);
        bytes = later;
        if bytes.is_empty() {
            break;
        }
    }
    let fault = peer.fault();
    let said = |heard: Heard| (heard.opcode(), heard.payload);
    (peer.events(), fault, peer.hears().into_iter().map(said).collect::<Vec<_>>())
}

/// What a decoder makes of the pieces, when it is given long payloads where it wants them.
fn decoded(
    role: Role,
    config: &Config,
    mut bytes: &[u8],
    pieces: &[usize],
    direct: bool,
) -> (Vec<Event>, Result<(), Fault>, bool) {
    let mut inbound = Inbound::new(role, config);
    let mut events = Vec::new();
    let mut was_direct = false;
    let mut step = |events: &mut Vec<Event>, piece: usize, bytes: &mut &[u8]| {
        let piece = piece.min(bytes.len());
        let mut input = Vec::new();
        if direct && let Some(mut room) = inbound.payload_room() {
            was_direct = true;
            let piece = piece.min(room.remaining_mut());
            room.put_slice(&bytes[..piece]);
            bytes.advance(piece);
        } else {
            input.extend_from_slice(&bytes[..piece]);
            bytes.advance(piece);
        }
        let mut input = Input::new(&mut input);
        loop {
            match inbound.poll(&mut input) {
                Incoming::More | Incoming::End => return Ok(()),
                Incoming::Fault(fault) => return Err(fault),
                incoming => events.push(incoming.into_owned()),
            }
        }
    };
    for piece in pieces.iter().cycle() {
        // Once more at the end, for the message that follows a frame.
        let is_end = bytes.is_empty();
        if let Err(fault) = step(&mut events, *piece, &mut bytes) {
            return (events, Err(fault), was_direct);
        }
        if is_end {
            break;
        }
    }
    (events, Ok(()), was_direct)
}

/// The same of what is read into a buffer, where the beginning of a frame may stay, or may not if
/// there is nothing more to read for now.
fn buffered(
    role: Role,
    config: &Config,
    mut bytes: &[u8],
    pieces: &[usize],
) -> (Vec<Event>, Result<(), Fault>) {
    let mut inbound = Inbound::new(role, config);
    let mut buffer = ReadBuffer::new();
    let mut events = Vec::new();
    for (number, piece) in pieces.iter().cycle().enumerate() {
        let is_end = bytes.is_empty();
        let put = |room: &mut dyn BufMut| {
            let piece = (*piece).min(bytes.len()).min(room.remaining_mut());
            room.put_slice(&bytes[..piece]);
            piece
        };
        let put = match inbound.payload_room() {
            Some(mut room) => put(&mut room),
            None => put(&mut buffer.room()),
        };
        bytes.advance(put);
        if is_end || number % 3 == 1 {
            buffer.settle();
        }
        loop {
            let has_whole = inbound.has_whole(buffer.unread());
            if has_whole
                && number % 2 == 0
                && let Some(message) = inbound.poll_whole(&mut buffer.input())
            {
                events.push(Incoming::from(message).into_owned());
                continue;
            }
            match inbound.poll(&mut buffer.input()) {
                Incoming::More | Incoming::End => break,
                Incoming::Fault(fault) => return (events, Err(fault)),
                incoming => {
                    let is_borrowed = matches!(
                        incoming,
                        Incoming::Text(Cow::Borrowed(_)) | Incoming::Binary(Cow::Borrowed(_))
                    );
                    assert!(is_borrowed || !has_whole, "{incoming:?}");
                    events.push(incoming.into_owned());
                }
            }
        }
        assert!(buffer.is_empty() || !is_end, "what is settled is left");
        if is_end {
            break;
        }
    }
    (events, Ok(()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn however_the_input_is_split_the_events_the_answers_and_the_fault_are_the_same(
        role in roles(),
        config in configs(),
        all in prop::collection::vec(said(300), 0..24),
        pieces in prop::collection::vec(1usize..40, 1..8),
    ) {
        let bytes = bytes_of(role, all);
        let at_once = whole(role, &config, &bytes, &[usize::MAX]);
        prop_assert_eq!(&whole(role, &config, &bytes, &pieces), &at_once);
        prop_assert_eq!(&whole(role, &config, &bytes, &[1]), &at_once);
    }

    #[test]
    fn any_bytes_at_all_do_no_harm_and_a_fault_repeats_for_ever(
        role in roles(),
        config in configs(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        pieces in prop::collection::vec(1usize..40, 1..8),
        more in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let at_once = decoded(role, &config, &bytes, &[usize::MAX], false);
        prop_assert_eq!(&decoded(role, &config, &bytes, &pieces, true), &at_once);
        prop_assert_eq!(
            &buffered(role, &config, &bytes, &pieces),
            &(at_once.0.clone(), at_once.1)
        );
        if let Err(fault) = at_once.1 {
            let mut inbound = Inbound::new(role, &config);
            let mut bytes = bytes;
            let mut input = Input::new(&mut bytes);
            loop {
                match inbound.poll(&mut input) {
                    Incoming::Fault(found) => break prop_assert_eq!(found, fault),
                    incoming => prop_assert!(incoming != Incoming::More, "the fault is gone"),
                }
            }
            for mut more in [more.clone(), more, Vec::new()] {
                let again = inbound.poll(&mut Input::new(&mut more));
                prop_assert_eq!(again, Incoming::Fault(fault));
                prop_assert!(inbound.payload_room().is_none());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn long_payloads_read_straight_to_their_place_are_the_same_messages(
        role in roles(),
        assemble: bool,
        all in prop::collection::vec(said(300_000), 0..6),
        pieces in prop::collection::vec(prop_oneof![1usize..40, 1usize..200_000], 1..8),
    ) {
        let config = Config::client().assemble_fragments(assemble);
        let bytes = bytes_of(role, all);
        let at_once = decoded(role, &config, &bytes, &[usize::MAX], false);
        let direct = decoded(role, &config, &bytes, &pieces, true);
        let at_once = (at_once.0, at_once.1);
        prop_assert_eq!(&(direct.0, direct.1), &at_once);
        prop_assert_eq!(&buffered(role, &config, &bytes, &pieces), &at_once);
    }
}

#[test]
fn a_long_payload_is_asked_for_unless_it_is_text_that_is_to_be_validated() {
    let config = Config::client();
    let ascii = vec![b'x'; 200_000];
    let wide = "ü".repeat(100_000).into_bytes();
    for (opcode, payload, is_message_direct, is_frame_direct) in
        [(1, &ascii, true, false), (1, &wide, false, false), (2, &wide, true, true)]
    {
        for (fin, assemble) in [(true, true), (true, false), (false, false)] {
            let bytes = frame().opcode(opcode).fin(fin).payload(payload).bytes();
            let config = config.clone().assemble_fragments(assemble);
            let (events, fault, was_direct) = decoded(Role::Client, &config, &bytes, &[1000], true);
            assert_eq!(fault, Ok(()));
            assert_eq!(events.len(), if fin && !assemble { 2 } else { 1 });
            let is_direct = if assemble { is_message_direct } else { is_frame_direct };
            assert_eq!(was_direct, is_direct, "opcode {opcode}");
        }
    }
}

#[test]
fn the_beginning_of_a_frame_stays_in_the_buffer_while_its_rest_may_be_there() {
    let mut inbound = Inbound::new(Role::Client, &Config::client());
    let mut buffer = ReadBuffer::new();
    for (payload_len, head) in [(1000, 1), (1000, 3), (1000, 500), (60_000, 30_000)] {
        let bytes = frame().binary(vec![b'x'; payload_len]).bytes();
        let (beginning, rest) = bytes.split_at(head);
        buffer.room().put_slice(beginning);
        assert_eq!(inbound.poll(&mut buffer.input()), Incoming::More);
        assert_eq!(buffer.unread(), beginning);
        buffer.room().put_slice(rest);
        assert!(inbound.has_whole(buffer.unread()));
        let incoming = inbound.poll(&mut buffer.input());
        assert!(matches!(incoming, Incoming::Binary(Cow::Borrowed(_))), "in one piece");
    }
    // One that is too long, or whose rest is not there, is the decoder's.
    for (payload_len, is_settled) in [(70_000, false), (1000, true)] {
        let bytes = frame().binary(vec![b'x'; payload_len]).bytes();
        buffer.room().put_slice(&bytes[..500]);
        if is_settled {
            buffer.settle();
        }
        assert_eq!(inbound.poll(&mut buffer.input()), Incoming::More);
        assert!(buffer.is_empty());
        let incoming = inbound.poll(&mut Input::new(&mut bytes[500..].to_vec())).into_owned();
        assert_eq!(incoming, event::binary(vec![b'x'; payload_len]));
    }
}

#[test]
fn text_that_is_ascii_at_first_may_go_on_as_any_text_and_be_wrong_in_the_end() {
    let config = Config::client();
    for at in [70_000, 131_072, 150_000, 199_000] {
        for (rest, is_text) in [("näivé ⚓ 🚢", true), ("ends here", true), ("bad", false)] {
            let mut payload = vec![b'x'; at];
            payload.extend_from_slice(rest.as_bytes());
            payload.resize(200_000, b'y');
            if !is_text {
                payload[at] = 0xFF;
            }
            let bytes = frame().opcode(1).payload(&payload).bytes();
            for pieces in [&[usize::MAX][..], &[1000, 70_000], &[65_537], &[3, 99_999, 1]] {
                let (events, fault, _) = decoded(Role::Client, &config, &bytes, pieces, true);
                if is_text {
                    let text = String::from_utf8(payload.clone()).unwrap();
                    assert_eq!((events, fault), (vec![event::text(text)], Ok(())));
                } else {
                    assert_eq!((events.len(), fault), (0, Err(Violation::InvalidUtf8.into())));
                }
            }
        }
    }
}
