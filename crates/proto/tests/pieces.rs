//! Messages that are handed out in pieces, as they arrive.

#![allow(clippy::unwrap_used)]

use bytes::BufMut as _;
use proptest::prelude::*;
use towline_kit::{Event, FrameBytes, event, frame, join};
use towline_proto::{Config, Fault, Inbound, Incoming, Input, MessageKind, Piece, Role, Violation};

/// No limit is in the way of what a decoder that assembles receives.
fn config() -> Config {
    Config::client()
}

/// Puts pieces together again.
#[derive(Default)]
struct Assembled {
    events: Vec<Event>,
    open: Option<(MessageKind, Vec<u8>)>,
}

impl Assembled {
    fn add(&mut self, piece: &Piece<'_>) {
        let (kind, bytes) = self.open.get_or_insert_with(|| (piece.kind, Vec::new()));
        assert_eq!(*kind, piece.kind);
        bytes.extend_from_slice(&piece.payload);
        if piece.is_last {
            let (kind, bytes) = self.open.take().unwrap();
            self.events.push(match kind {
                MessageKind::Text => event::text(String::from_utf8(bytes).unwrap()),
                MessageKind::Binary => event::binary(bytes),
            });
        }
    }
}

/// What comes of the bytes, read in such pieces. `asks` chooses how each item is asked for.
fn decoded(
    inbound: &mut Inbound,
    mut bytes: &[u8],
    reads: &[usize],
    mut asks_for_pieces: impl FnMut() -> bool,
) -> (Vec<Event>, Result<(), Fault>) {
    let mut assembled = Assembled::default();
    for read in reads.iter().cycle() {
        let (now, later) = bytes.split_at((*read).min(bytes.len()));
        let mut now = now.to_vec();
        let mut input = Input::new(&mut now);
        loop {
            let item = match asks_for_pieces() {
                true => inbound.poll_piece(&mut input),
                false => inbound.poll(&mut input),
            };
            match item {
                Incoming::More | Incoming::End => break,
                Incoming::Fault(fault) => return (assembled.events, Err(fault)),
                Incoming::Piece(piece) => assembled.add(&piece),
                Incoming::Skipped => {}
                other => assembled.events.push(other.into_owned()),
            }
        }
        assert!(input.is_empty());
        bytes = later;
        if bytes.is_empty() {
            break;
        }
    }
    (assembled.events, Ok(()))
}

fn in_pieces(bytes: &[u8], reads: &[usize]) -> (Vec<Event>, Result<(), Fault>) {
    decoded(&mut Inbound::new(Role::Client, &config()), bytes, reads, || true)
}

/// Frames as a peer sends them, mostly in order.
fn frames() -> impl Strategy<Value = Vec<FrameBytes>> {
    let payload = prop_oneof![
        4 => "[a-zé€😀]{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..6),
        1 => (0usize..90_000).prop_map(|len| vec![b'x'; len]),
    ];
    let opcode = prop::sample::select(vec![1u8, 1, 2, 2, 0, 9, 10]);
    let said = (opcode, any::<bool>(), prop::bool::weighted(0.97), payload);
    prop::collection::vec(said, 0..14).prop_map(|all| {
        let mut is_open = false;
        let frames = all.into_iter().map(|(mut opcode, mut fin, obeys, mut payload)| {
            if opcode & 8 != 0 {
                (fin, _) = (true, payload.truncate(125));
            } else {
                if obeys {
                    opcode = if is_open { 0 } else { opcode.max(1) };
                }
                is_open = !fin;
            }
            frame().opcode(opcode).fin(fin).payload(payload)
        });
        frames.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pieces_make_the_messages_that_are_received_whole_however_the_input_is_split(
        frames in frames(),
        reads in prop::collection::vec(prop_oneof![1usize..40, 1usize..100_000], 1..8),
    ) {
        let bytes = join(frames);
        let mut inbound = Inbound::new(Role::Client, &config());
        let whole = decoded(&mut inbound, &bytes, &[usize::MAX], || false);
        prop_assert!(in_pieces(&bytes, &[usize::MAX]) == whole);
        prop_assert!(in_pieces(&bytes, &reads) == whole);
    }

    /// Each message is whole, or the rest of it is dropped: nothing of it gets into another.
    #[test]
    fn pieces_and_whole_messages_can_be_asked_for_in_turn(
        messages in prop::collection::vec((any::<bool>(), 0usize..300, 1usize..4), 1..12),
        reads in prop::collection::vec(1usize..200, 1..8),
        asks in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let mut frames = Vec::new();
        let mut expected = Vec::new();
        for (number, (is_text, len, count)) in messages.into_iter().enumerate() {
            let number = u8::try_from(number).unwrap() + b'a';
            let payload = vec![number; len];
            for at in 0..count {
                let opcode = match (at, is_text) { (0, true) => 1, (0, false) => 2, _ => 0 };
                let first = payload.len() * at / count;
                let part = &payload[first..payload.len() * (at + 1) / count];
                frames.push(frame().opcode(opcode).fin(at + 1 == count).payload(part));
                frames.push(frame().ping([number]));
            }
            expected.push(match is_text {
                true => event::text(String::from_utf8(payload).unwrap()),
                false => event::binary(payload),
            });
        }
        let pings = frames.len() / 2;
        // Pieces of a message that is dropped must not be put together with those of the next.
        let mut inbound = Inbound::new(Role::Client, &config());
        let bytes = join(frames);
        let mut rest = &bytes[..];
        let mut asks = asks.iter().cycle();
        let mut reads = reads.iter().cycle();
        let (mut whole, mut pinged, mut open) = (Vec::new(), 0, Assembled::default());
        while !rest.is_empty() {
            let (now, later) = rest.split_at((*reads.next().unwrap()).min(rest.len()));
            let mut now = now.to_vec();
            let mut input = Input::new(&mut now);
            loop {
                let wants_pieces = *asks.next().unwrap();
                if !wants_pieces {
                    open = Assembled::default();
                }
                let item = match wants_pieces {
                    true => inbound.poll_piece(&mut input),
                    false => inbound.poll(&mut input),
                };
                match item {
                    Incoming::More => break,
                    Incoming::Skipped => {}
                    Incoming::Ping(_) => pinged += 1,
                    Incoming::Piece(piece) => {
                        open.add(&piece);
                        whole.append(&mut open.events);
                    }
                    Incoming::Fault(fault) => panic!("{fault}"),
                    message => whole.push(message.into_owned()),
                }
            }
            rest = later;
        }
        prop_assert_eq!(pinged, pings);
        let mut expected = expected.into_iter();
        for message in whole {
            prop_assert!(expected.any(|other| other == message), "{:?}", message);
        }
    }
}

#[test]
fn a_piece_is_there_as_soon_as_the_header_is() {
    let mut inbound = Inbound::new(Role::Client, &config());
    let mut head = frame().text("").fin(false).announcing(10).bytes();
    let last = head.pop().unwrap();
    assert_eq!(inbound.poll_piece(&mut Input::new(&mut head)), Incoming::More);
    let mut last = [last];
    let Incoming::Piece(piece) = inbound.poll_piece(&mut Input::new(&mut last)) else { panic!() };
    assert_eq!((piece.kind, piece.payload.len(), piece.is_last), (MessageKind::Text, 0, false));
    assert_eq!(inbound.poll_piece(&mut Input::new(&mut [])), Incoming::More);
    assert!(inbound.payload_room().is_none());
}

/// Sixteen megabytes in one frame, where ten bytes are the limit.
#[test]
fn no_limit_for_frames_and_messages_applies() {
    const LEN: u64 = 16 << 20;

    let config = Config::server().max_received_message_size(10).max_received_frame_size(10);
    let mut inbound = Inbound::new(Role::Server, &config);
    let key = [1, 2, 3, 4];
    let mut head = frame().masked(key).announcing(LEN).bytes();
    let mut read = vec![0; 1 << 20];
    let mut received = 0u64;
    let first = inbound.poll_piece(&mut Input::new(&mut head));
    assert!(matches!(first, Incoming::Piece(_)));
    for _ in 0..2 {
        for (at, byte) in read.iter_mut().enumerate() {
            *byte = key[at % 4] ^ 7;
        }
        let mut input = Input::new(&mut read);
        let Incoming::Piece(piece) = inbound.poll_piece(&mut input) else { panic!() };
        received += piece.payload.len() as u64;
        assert!(!piece.is_last);
        assert!(piece.payload.first() == Some(&7) && piece.payload.last() == Some(&7));
    }
    assert_eq!(received, 2 << 20);
    // The rest of it is dropped, however long it is, and the next message has its limit again.
    inbound.skip_message();
    let mut rest = LEN - received;
    while rest > 0 {
        let len = usize::try_from(rest).unwrap().min(read.len());
        let mut input = Input::new(&mut read[..len]);
        assert_eq!(inbound.poll(&mut input), Incoming::Skipped);
        rest -= len as u64;
        assert!(rest == 0 || inbound.poll(&mut input) == Incoming::More);
    }
    let mut next = frame().binary([9; 10]).masked(key).bytes();
    assert_eq!(inbound.poll(&mut Input::new(&mut next)).into_owned(), event::binary([9; 10]));
    let mut next = frame().binary([9; 11]).masked(key).bytes();
    assert!(matches!(inbound.poll(&mut Input::new(&mut next)), Incoming::Fault(_)));
}

#[test]
fn what_was_assembled_before_is_in_the_first_piece() {
    // It ends within a character.
    let text = "é".repeat(50_001);
    for (fill, cut) in [(false, 70_001), (true, 70_001), (true, 3)] {
        for is_text in [true, false] {
            let opcode = if is_text { 1 } else { 2 };
            let bytes = frame().opcode(opcode).payload(&text).bytes();
            let head = frame().opcode(opcode).payload(&text).head().len();
            let (first, rest) = bytes.split_at(head + cut);
            let mut inbound = Inbound::new(Role::Client, &config());
            let mut first = first.to_vec();
            let (early, late) = first.split_at_mut(head + 2);
            assert_eq!(inbound.poll(&mut Input::new(early)), Incoming::More);
            match inbound.payload_room() {
                Some(mut room) if fill => {
                    let fits = late.len().min(room.remaining_mut());
                    room.put_slice(&late[..fits]);
                    let late = &mut late[fits..];
                    if !late.is_empty() {
                        assert_eq!(inbound.poll(&mut Input::new(late)), Incoming::More);
                    }
                }
                _ => assert_eq!(inbound.poll(&mut Input::new(late)), Incoming::More),
            }
            let (events, result) = decoded(&mut inbound, rest, &[99], || true);
            let expected = match is_text {
                true => event::text(text.clone()),
                false => event::binary(text.clone()),
            };
            assert!(result.is_ok() && events == [expected], "{is_text}, {fill}, {cut}");
        }
    }
}

#[test]
fn a_message_whose_frame_was_returned_is_a_piece() {
    let mut inbound = Inbound::new(Role::Client, &config().assemble_fragments(false));
    let mut bytes = frame().text("ahoy").bytes();
    let mut input = Input::new(&mut bytes);
    assert!(matches!(inbound.poll(&mut input), Incoming::Frame(_)));
    let Incoming::Piece(piece) = inbound.poll_piece(&mut input) else { panic!() };
    assert!(*piece.payload == *b"ahoy" && piece.is_last && piece.kind == MessageKind::Text);
    assert_eq!(inbound.poll_piece(&mut input), Incoming::More);
}

#[test]
fn text_is_validated_as_it_arrives_also_where_it_is_dropped() {
    for skips in [false, true] {
        let mut inbound = Inbound::new(Role::Client, &config());
        let mut start = frame().text(b"ship\xE2\x82").fin(false).bytes();
        assert!(matches!(inbound.poll_piece(&mut Input::new(&mut start)), Incoming::Piece(_)));
        if skips {
            inbound.skip_message();
        }
        // The peer learns of it in the middle of a frame.
        let mut rest = frame().continuation(b"\x82\xFF").announcing(1 << 40).bytes();
        let result = decoded(&mut inbound, &std::mem::take(&mut rest), &[1], || !skips).1;
        assert_eq!(result, Err(Violation::InvalidUtf8.into()));
    }
    let unfinished = join([frame().text(b"\xE2").fin(false), frame().continuation(b"\x82")]);
    assert_eq!(in_pieces(&unfinished, &[usize::MAX]).1, Err(Violation::InvalidUtf8.into()));
}

#[cfg(feature = "deflate")]
mod compressed {
    use bytes::Buf as _;
    use towline_kit::negotiate;
    use towline_proto::{Deflate, Message, Negotiated, Session};

    use super::*;

    fn both() -> [Option<Negotiated>; 2] {
        let deflate = Deflate::server().threshold(1).send_context_takeover(true);
        let deflate = deflate.receive_context_takeover(true);
        negotiate(&Config::client().compression(deflate), &Config::server().compression(deflate))
    }

    /// What a server sends for these messages.
    fn sent(messages: &[Message]) -> Vec<u8> {
        let [_, agreed] = both();
        let now = towline_kit::start();
        let mut session =
            Session::new(Role::Server, &Config::server(), now).with_compression(agreed.as_ref());
        let mut bytes = Vec::new();
        for message in messages {
            session.send(message).unwrap();
            while let Some(out) = session.poll_transmit() {
                bytes.extend_from_slice(out.chunk());
                out.advance(out.chunk().len());
            }
        }
        bytes
    }

    fn inbound() -> Inbound {
        let [agreed, _] = both();
        Inbound::new(Role::Client, &config()).with_compression(agreed.as_ref())
    }

    #[test]
    fn a_compressed_message_is_inflated_on_the_way() {
        let easy = "ship ahoy, ".repeat(50_000);
        let hard: Vec<u8> =
            (0..200_000u32).flat_map(|at| (at.wrapping_mul(at) / 7).to_be_bytes()).collect();
        let messages =
            [Message::text(&easy), Message::binary(hard), Message::text("é"), Message::text(&easy)];
        let bytes = sent(&messages);
        assert!(bytes.len() < messages.iter().map(Message::len).sum());
        let expected: Vec<_> = messages
            .iter()
            .map(|message| match message.as_text() {
                Some(text) => event::text(text),
                None => event::binary(message.as_bytes()),
            })
            .collect();
        for reads in [&[usize::MAX][..], &[1], &[77, 5000]] {
            let (events, result) = decoded(&mut inbound(), &bytes, reads, || true);
            assert!(result.is_ok() && events == expected, "{reads:?}");
            // Half of the first message is assembled, half of it is in pieces.
            let mut asked = 0;
            let by_turns = decoded(&mut inbound(), &bytes, reads, || {
                asked += 1;
                asked > 3
            });
            assert!(by_turns == (expected.clone(), Ok(())), "{reads:?}");
        }
    }

    /// A later message may refer to one that is dropped.
    #[test]
    fn a_message_that_is_dropped_stays_in_the_window() {
        let text = "what a later message refers to, ".repeat(900);
        let bytes = sent(&[Message::text(&text), Message::text(&text)]);
        let mut inbound = inbound();
        let mut bytes = bytes;
        let (start, rest) = bytes.split_at_mut(40);
        let Incoming::Piece(first) = inbound.poll_piece(&mut Input::new(start)) else { panic!() };
        assert!(!first.is_last);
        let (events, result) = decoded(&mut inbound, rest, &[usize::MAX], || false);
        assert_eq!((events, result), (vec![event::text(text)], Ok(())));
    }

    /// A thousand times as much as arrives is handed out bit by bit.
    #[test]
    fn what_inflates_a_lot_comes_in_pieces_of_bounded_length() {
        let bytes = sent(&[Message::binary(vec![0; 32 << 20])]);
        assert!(bytes.len() < 64 << 10);
        let mut inbound = inbound();
        let mut bytes = bytes;
        let mut input = Input::new(&mut bytes);
        let mut len = 0;
        loop {
            let Incoming::Piece(piece) = inbound.poll_piece(&mut input) else { panic!() };
            assert!(piece.payload.len() <= 288 << 10, "{}", piece.payload.len());
            len += piece.payload.len();
            if piece.is_last {
                break;
            }
        }
        assert_eq!(len, 32 << 20);
        assert_eq!(inbound.poll_piece(&mut input), Incoming::More);
    }

    /// What is dropped takes as long to inflate as what is handed out.
    #[test]
    fn what_inflates_a_lot_is_dropped_bit_by_bit() {
        let text = "what comes after it";
        let bytes = sent(&[Message::binary(vec![0; 32 << 20]), Message::text(text)]);
        for asks_for_pieces in [true, false] {
            let mut inbound = inbound();
            let mut bytes = bytes.clone();
            let mut input = Input::new(&mut bytes);
            assert!(matches!(inbound.poll_piece(&mut input), Incoming::Piece(_)));
            inbound.skip_message();
            let mut work = inbound.take_inflated();
            let last = loop {
                let item = match asks_for_pieces {
                    true => inbound.poll_piece(&mut input).into_owned(),
                    false => inbound.poll(&mut input).into_owned(),
                };
                let step = inbound.take_inflated();
                assert!(step <= 300 << 10, "{step} bytes at once");
                work += step;
                if item != Incoming::Skipped {
                    break item;
                }
            };
            assert!(work > 32 << 20, "{work}");
            match last {
                Incoming::Piece(piece) => assert_eq!(*piece.payload, *text.as_bytes()),
                other => assert_eq!(other, event::text(text)),
            }
        }
    }
}
