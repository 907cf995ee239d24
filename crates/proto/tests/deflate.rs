//! permessage-deflate (RFC 7692) on a connection.

#![allow(clippy::unwrap_used)]

use bytes::{Buf as _, Bytes};
use proptest::prelude::*;
use towline_kit::{Event, FrameBytes, Heard, Pair, Peer, event, frame, join, negotiate};
use towline_proto::handshake::{HandshakeError, parse_extension_list};
use towline_proto::{
    Broadcast, Burst, Compress, Compression, Config, Deflate, Fault, Frame, Inbound, Incoming,
    Input, LimitExceeded, Message, Opcode, Outgoing, Refused, Role, Rsv, Session, Violation,
};
use zlib_rs::{DeflateConfig, DeflateFlush};

/// All that can be left to the peer is.
fn deflate() -> Deflate {
    Deflate::server().threshold(1).send_context_takeover(true).receive_context_takeover(true)
}

fn server() -> Config {
    Config::server().compression(deflate())
}

fn client() -> Config {
    Config::client().compression(deflate())
}

/// A client that speaks frames to a server which has agreed to compress.
fn peer_of(config: &Config) -> Peer {
    let [_, at_server] = negotiate(&client(), config);
    Peer::new(Role::Server, config).with_compression(at_server.as_ref())
}

/// What a message becomes, by another way than the library's.
fn deflated(message: impl AsRef<[u8]>) -> Vec<u8> {
    let config = DeflateConfig { window_bits: -15, level: 6, ..DeflateConfig::default() };
    let mut engine = zlib_rs::Deflate::new_with_config(config);
    let mut out = vec![0; message.as_ref().len() + 100];
    engine.compress(message.as_ref(), &mut out, DeflateFlush::SyncFlush).unwrap();
    out.truncate(engine.total_out().try_into().unwrap());
    assert_eq!(out.split_off(out.len() - 4), [0, 0, 0xFF, 0xFF]);
    out
}

/// What does not become shorter.
fn noise(len: usize) -> Vec<u8> {
    let mut seed = 1u64;
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

const RSV1: u8 = 0b100;

#[test]
fn a_compressed_message_comes_in_one_frame_or_in_many_with_control_frames_in_between() {
    let ahoy = "ship ahoy, ship ahoy";
    let bytes = deflated(ahoy);
    let mut peer = peer_of(&server());
    peer.says(frame().text(&bytes).rsv(RSV1));
    assert_eq!(peer.events(), [event::text(ahoy)]);
    let mut frames: Vec<_> = bytes
        .iter()
        .flat_map(|byte| [frame().continuation([*byte]).fin(false), frame().ping("?")])
        .collect();
    frames[0] = frame().binary([bytes[0]]).fin(false).rsv(RSV1);
    frames.push(frame().continuation(""));
    peer.says_all(frames);
    let mut events = peer.events();
    assert_eq!(events.pop(), Some(event::binary(ahoy)));
    assert_eq!(events, vec![event::ping("?"); bytes.len()]);
    // A message that is not compressed may come any time.
    peer.says(frame().text("plain"));
    assert_eq!(peer.events(), [event::text("plain")]);
}

#[test]
fn rsv1_stands_in_the_first_frame_of_a_message_only() {
    let bad = |mut peer: Peer, frames: Vec<FrameBytes>, rsv: Rsv| {
        peer.says_all(frames);
        assert_eq!(peer.fault(), Some(Violation::ReservedBits(rsv).into()));
        assert_eq!(peer.hears_close().code().get(), 1002);
    };
    let bytes = deflated("ahoy");
    let agreed = || peer_of(&server());
    bad(agreed(), vec![frame().ping("").rsv(RSV1)], Rsv::RSV1);
    bad(agreed(), vec![frame().close_with("").rsv(RSV1)], Rsv::RSV1);
    bad(agreed(), vec![frame().text(&bytes).rsv(0b110)], Rsv::RSV1.union(Rsv::RSV2));
    bad(agreed(), vec![frame().text(&bytes).rsv(0b010)], Rsv::RSV2);
    for rsv in [0, RSV1] {
        let first = frame().binary(&bytes).fin(false).rsv(rsv);
        bad(agreed(), vec![first, frame().continuation("").rsv(RSV1)], Rsv::RSV1);
    }
    bad(Peer::of_server(), vec![frame().text(&bytes).rsv(RSV1)], Rsv::RSV1);
    // Frames are handed out as they come where they are not assembled, so nothing is agreed on.
    let frames = server().assemble_fragments(false);
    assert_eq!(negotiate(&client(), &frames), [None, None]);
    bad(peer_of(&frames), vec![frame().text(&bytes).rsv(RSV1)], Rsv::RSV1);
}

#[test]
fn what_does_not_inflate_is_closed_with_1007() {
    for bad in [&b"\xFF\xFF"[..], &deflated("ship ahoy")[..5]] {
        let mut peer = peer_of(&server());
        peer.says(frame().binary(bad).rsv(RSV1));
        assert_eq!(peer.fault(), Some(Violation::NotInflatable.into()));
        assert_eq!(peer.hears_close().code().get(), 1007);
    }
}

/// Python's zlib ends at a block with BFINAL set, takes a message that ends within a block for whole,
/// and one without bytes for incomplete. RFC 7692, sections 7.2.3.4, 7.2.2 and 7.2.3.6 decide;
/// `testing/interop/differential` has the list.
#[test]
fn messages_of_which_others_make_something_else() {
    let ahoy = |peer: &mut Peer| {
        peer.says(frame().text(b"\xf2\x48\xcd\xc9\xc9\x07\x00").rsv(RSV1));
        assert_eq!(peer.events(), [event::text("Hello")]);
    };
    let mut peer = peer_of(&server());
    // A block that is the last, twice, then a message that refers to it.
    for _ in 0..2 {
        peer.says(frame().text(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00").rsv(RSV1));
        assert_eq!(peer.events(), [event::text("Hello")]);
    }
    peer.says(frame().text(b"\xf2\x00\x11\x00\x00").rsv(RSV1));
    assert_eq!(peer.events(), [event::text("Hello")]);
    // No bytes at all, in one frame and in three.
    peer.says(frame().text("").rsv(RSV1));
    peer.says_all([
        frame().binary("").rsv(RSV1).fin(false),
        frame().continuation("").fin(false),
        frame().continuation(""),
    ]);
    assert_eq!(peer.events(), [event::text(""), event::binary("")]);
    ahoy(&mut peer);
    // A stored block of five bytes of which three are there.
    peer.says(frame().binary(b"\x00\x05\x00\xfa\xff\x48\x65\x6c").rsv(RSV1));
    assert_eq!(peer.fault(), Some(Violation::NotInflatable.into()));
    assert_eq!(peer.events(), []);
}

#[test]
fn bad_text_is_found_as_it_inflates() {
    let mut peer = peer_of(&server());
    let mut text = b"ahoy \xC0\xAF".to_vec();
    text.extend((0..5000u32).flat_map(u32::to_be_bytes));
    let bytes = deflated(text);
    peer.says(frame().text(&bytes[..bytes.len() / 2]).rsv(RSV1).fin(false));
    assert_eq!(peer.fault(), Some(Violation::InvalidUtf8.into()));
    assert_eq!(peer.hears_close().code().get(), 1007);
    let mut peer = peer_of(&server());
    peer.says(frame().text(deflated(b"ahoy \xE2\x82")).rsv(RSV1));
    assert_eq!(peer.fault(), Some(Violation::InvalidUtf8.into()));
}

#[test]
fn a_message_may_inflate_to_the_limit_and_not_to_more() {
    let config = server().max_received_message_size(5000);
    let over = Some(Fault::from(LimitExceeded::Inflated { limit: 5000 }));
    for (len, fault) in [(4999, None), (5000, None), (5001, over), (500_000, over)] {
        let bytes = deflated("x".repeat(len));
        for piece in [bytes.len(), 3, 1] {
            let mut peer = peer_of(&config);
            // In the middle of a fragment, or in one of many.
            let mut frames: Vec<_> =
                bytes.chunks(piece).map(|piece| frame().continuation(piece).fin(false)).collect();
            frames[0] = frame().text(&bytes[..piece]).fin(false).rsv(RSV1);
            frames.push(frame().continuation(""));
            peer.says_all(frames);
            assert_eq!(peer.fault(), fault, "{len} bytes in pieces of {piece}");
            assert_eq!(peer.events().len(), usize::from(fault.is_none()));
            if fault.is_some() {
                assert_eq!(peer.hears_close().code().get(), 1009);
            }
        }
    }
}

#[test]
fn the_limit_of_a_message_is_for_what_it_inflates_to() {
    let noise = noise(1000);
    // A stored block for each byte takes six times as much.
    let mut blocks = Vec::new();
    for byte in &noise {
        blocks.extend([0, 1, 0, 0xFE, 0xFF, *byte]);
    }
    blocks.push(0);
    let mut peer = peer_of(&server().max_received_message_size(1000));
    peer.says(frame().binary(blocks).rsv(RSV1));
    assert_eq!(peer.events(), [event::binary(noise)]);
}

#[test]
fn what_a_host_negotiates_itself_is_what_a_handshake_agrees_on() {
    let wanted = [Deflate::client(), deflate()].map(Compression::from);
    for (client, server) in [(wanted[0], wanted[1]), (wanted[1], wanted[0])] {
        let offered = parse_extension_list(client.offers()[0].to_string()).unwrap();
        let at_server = server.answer(&offered).unwrap();
        let answered = parse_extension_list(at_server.extension().to_string()).unwrap();
        let at_client = client.verify(&answered).unwrap();
        let [client, server] = [client, server].map(|wanted| Config::client().compression(wanted));
        assert_eq!([at_client, Some(at_server)], negotiate(&client, &server));
    }
    let others = parse_extension_list("x-other, permessage-deflate; unheard_of").unwrap();
    assert_eq!(wanted[0].answer(&others), None);
    assert_eq!(wanted[0].verify(&[]), Ok(None), "declined");
    let refused = wanted[0].verify(&others).unwrap_err();
    assert!(matches!(refused, HandshakeError::ExtensionNotOffered { .. }), "{refused}");
}

#[test]
fn what_was_inflated_is_counted_over_messages_whole_open_and_refused() {
    let config = Config::server().compression(deflate()).max_received_message_size(1000);
    let [_, negotiated] = negotiate(&client(), &config);
    let mut inbound = Inbound::new(Role::Server, &config).with_compression(negotiated.as_ref());
    let mut receives = |frame: FrameBytes| {
        let mut bytes = frame.by(Role::Client).bytes();
        let mut input = Input::new(&mut bytes);
        while !matches!(inbound.poll(&mut input), Incoming::More | Incoming::Fault(_)) {}
        inbound.take_inflated()
    };
    assert_eq!(receives(frame().binary("as it is")), 0);
    let whole = deflated([b'a'; 700]);
    let work = 700 + 6 * whole.len() as u64;
    assert_eq!(receives(frame().binary(whole).rsv(RSV1)), work);
    let open = deflated([b'b'; 500]);
    let work = 500 + 6 * open.len() as u64;
    assert_eq!(receives(frame().binary(open).rsv(RSV1).fin(false)), work);
    assert_eq!(receives(frame().ping("")), 0);
    assert_eq!(receives(frame().continuation("")), 0);
    // The work was done, though it was for nothing.
    assert!(receives(frame().binary(deflated([b'c'; 2000])).rsv(RSV1)) >= 2000);
}

#[test]
fn a_compressed_message_that_inflates_to_nothing_is_refused_in_the_end() {
    let config = server().max_received_message_size(1000);
    let limit = 2 * 1000 + (64 << 10);
    let empty_blocks = [0, 0, 0, 0xFF, 0xFF].repeat(limit / 5 + 1);
    for piece in [limit + 1, 1000] {
        let frames: Vec<_> = empty_blocks[..=limit]
            .chunks(piece)
            .enumerate()
            .map(|(at, piece)| match at {
                0 => frame().binary(piece).fin(false).rsv(RSV1),
                _ => frame().continuation(piece).fin(false),
            })
            .collect();
        let mut peer = peer_of(&config.clone().max_received_frame_size(limit + 1));
        peer.says_all(frames);
        let fault = LimitExceeded::Compressed { size: limit as u64 + 1, limit };
        assert_eq!(peer.fault(), Some(fault.into()));
        assert_eq!(peer.hears_close().code().get(), 1009);
    }
}

fn sends(config: &Config, what: impl FnOnce(&mut Session)) -> Vec<Heard> {
    let mut peer = peer_of(config);
    what(peer.session());
    peer.hears()
}

fn is_compressed(heard: &Heard) -> bool {
    heard.header.rsv == Rsv::RSV1
}

#[test]
fn messages_are_compressed_from_the_threshold_on_unless_told_not_to() {
    let config = Config::server().compression(Deflate::server().threshold(100));
    let (short, long) = (Message::text("x".repeat(99)), Message::text("x".repeat(100)));
    let heard = sends(&config, |session| {
        session.send(short.clone()).unwrap();
        session.send(long.clone()).unwrap();
        session.send(Outgoing::from(long.clone()).compress(Compress::Never)).unwrap();
        session.send(&short).unwrap();
        session.send(&long).unwrap();
    });
    assert_eq!(
        heard.iter().map(is_compressed).collect::<Vec<_>>(),
        [false, true, false, false, true]
    );
    assert!(heard[1].payload.len() < 20);
    assert_eq!(heard[2].text(), long.as_text().unwrap());
}

#[test]
fn a_burst_is_refused_if_a_message_is_to_be_compressed() {
    let config = Config::server().compression(Deflate::server().threshold(100));
    let (short, long) = (Message::text("x".repeat(99)), Message::text("x".repeat(100)));
    let [mut plain, mut forbidden, mut wanted] = [0; 3].map(|_| Burst::new());
    plain.push(&short, Compress::Auto);
    forbidden.push(&short, Compress::Auto);
    forbidden.push(&long, Compress::Never);
    wanted.push(&short, Compress::Auto);
    wanted.push(&long, Compress::Auto);
    let heard = sends(&config, |session| {
        assert!(session.can_pass(&forbidden) && !session.can_pass(&wanted));
        assert!(session.send_burst(&plain) && session.send_burst(&forbidden));
        assert!(!session.send_burst(&wanted));
    });
    assert_eq!(heard.len(), 3);
    assert!(!heard.iter().any(is_compressed));
}

#[test]
fn a_long_message_is_one_stream_over_its_fragments_and_pongs_come_in_between() {
    let config = server().fragmentation_threshold(1000.try_into().unwrap());
    let text: String = (0..200_000u32).map(|at| format!("{at:x},")).collect();
    let mut peer = peer_of(&config);
    peer.session().send(Message::text(&text)).unwrap();
    // As much as is ready for writing; the rest waits.
    peer.takes(1);
    peer.says(frame().ping("?"));
    let heard = peer.hears();
    let pong = heard.iter().position(|heard| heard.opcode() == Opcode::Pong).unwrap();
    assert!(pong > 0 && pong < heard.len() - 10, "{pong} of {}", heard.len());
    let data: Vec<_> = heard.iter().filter(|heard| heard.opcode() != Opcode::Pong).collect();
    let (first, others) = data.split_first().unwrap();
    assert!(is_compressed(first) && !others.iter().any(|heard| is_compressed(heard)));
    assert!(data.iter().all(|heard| heard.payload.len() <= 1000));
    assert!(others.iter().rev().skip(1).all(|heard| !heard.is_fin()));
    let whole = data.iter().map(|heard| heard.payload.len()).sum::<usize>();
    assert!(whole < text.len() / 2, "{whole} of {}", text.len());
}

#[test]
fn what_becomes_very_short_is_deflated_no_faster_than_it_is_written() {
    let [_, at_server] = negotiate(&client(), &server());
    let now = towline_kit::start();
    let mut session =
        Session::new(Role::Server, &server(), now).with_compression(at_server.as_ref());
    session.send(Message::binary(vec![0; 5 << 20])).unwrap();
    let (mut bytes, mut before, mut rounds) = (Vec::new(), session.outbound().queued_len(), 0);
    while let Some(out) = session.poll_transmit() {
        assert!(before - out.queued_len() <= 3 << 17, "{before}, then {}", out.queued_len());
        assert!(out.has_remaining());
        while out.has_remaining() {
            bytes.extend_from_slice(out.chunk());
            out.advance(out.chunk().len());
        }
        (before, rounds) = (out.queued_len(), rounds + 1);
    }
    assert!((14..=80).contains(&rounds), "{rounds}");
    let config = client().max_received_message_size(5 << 20);
    let (events, fault) = heard_in_pieces(&config, &bytes, &[usize::MAX]);
    assert_eq!(fault, None);
    assert!(events == [event::binary(vec![0; 5 << 20])]);
}

#[test]
fn a_message_that_would_become_longer_is_sent_as_it_is() {
    let noise = noise(40_000);
    let config = Config::server().compression(Deflate::server().threshold(1));
    let heard = sends(&config, |session| {
        session.send(Message::binary(noise.clone())).unwrap();
        session.send(Message::from(&noise[..300])).unwrap();
        session.send(Message::text("x".repeat(300))).unwrap();
    });
    let whole: Vec<_> = heard[..3].iter().flat_map(|heard| heard.payload.clone()).collect();
    assert!(whole == noise);
    assert!(heard[..4].iter().all(|heard| !is_compressed(heard)));
    assert!(is_compressed(&heard[4]));
}

#[test]
fn a_frame_made_by_hand_is_sent_as_it_is_and_can_not_pass_for_compressed() {
    let heard = sends(&server(), |session| {
        let now = towline_kit::start();
        let error = session.send_frame(now, Frame::text("x").rsv(Rsv::RSV1)).unwrap_err();
        assert_eq!(error.why(), Refused::CompressedByHand);
        session.send_frame(now, Frame::text("x".repeat(50)).fin(false)).unwrap();
        session.send(Message::text("y".repeat(50))).unwrap();
        session.send_frame(now, Frame::continuation("")).unwrap();
    });
    assert_eq!(heard.iter().map(is_compressed).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(heard[0].payload.len(), 50);
}

#[test]
fn a_broadcast_is_compressed_once_for_all_that_make_the_same_of_it() {
    let text = "ship ahoy, ".repeat(20_000);
    let plain = Config::server();
    let small = Config::server().compression(Deflate::server());
    let narrow = Config::server().compression(Deflate::server().send_window_bits(9));
    let with_takeover = server();
    let configs = [&plain, &small, &small, &narrow, &with_takeover, &small];
    let mut peers = configs.map(peer_of);
    // One has said something before: that makes no difference without takeover.
    peers[2].session().send(Message::text(&text)).unwrap();
    peers[2].hears();
    let mut broadcast = Broadcast::new(Message::text(&text));
    for peer in &mut peers {
        peer.session().send(&mut broadcast).unwrap();
    }
    let heard = peers.map(|mut peer| peer.hears());
    assert_eq!(heard[0].iter().map(|heard| heard.payload.len()).sum::<usize>(), text.len());
    assert_eq!((&heard[1], &heard[1]), (&heard[2], &heard[5]));
    for heard in &heard[1..] {
        assert!(is_compressed(&heard[0]), "{:?}", heard[0].header);
        let payload: Vec<_> = heard.iter().flat_map(|heard| heard.payload.clone()).collect();
        let mut listener = Peer::new(Role::Client, &client())
            .with_compression(negotiate(&client(), &server())[0].as_ref());
        listener.says(frame().text(payload).rsv(RSV1));
        assert_eq!(listener.events(), [event::text(&text)]);
    }
    let mut never = Broadcast::new(Message::text(&text));
    let heard = sends(&small, |session| {
        session.send(Outgoing::from(&mut never).compress(Compress::Never)).unwrap()
    });
    assert!(!heard.iter().any(is_compressed));
}

/// What one end does.
#[derive(Debug, Clone)]
enum Does {
    Sends(Message, Compress),
    Frames(Bytes),
    Pings,
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        3 => "[a-c]{0,200}".prop_map(Message::from),
        2 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Message::from),
        1 => (1usize..100_000, 1usize..50).prop_map(|(len, step)| {
            let letters = (b'a'..=b'z').cycle().flat_map(|letter| vec![char::from(letter); step]);
            Message::text(letters.take(len).collect::<String>())
        }),
    ]
}

fn does() -> impl Strategy<Value = Does> {
    let compress = prop::sample::select(vec![Compress::Auto, Compress::Auto, Compress::Never]);
    prop_oneof![
        8 => (message(), compress).prop_map(|(message, compress)| Does::Sends(message, compress)),
        1 => prop::collection::vec(any::<u8>(), 0..50).prop_map(|bytes| Does::Frames(bytes.into())),
        1 => Just(Does::Pings),
    ]
}

fn settings() -> impl Strategy<Value = Deflate> {
    (1u8..=9, 9u8..=15, 9u8..=15, any::<[bool; 2]>(), 1usize..100).prop_map(
        |(level, send, receive, takeover, threshold)| {
            Deflate::server()
                .level(level)
                .threshold(threshold)
                .send_window_bits(send)
                .receive_window_bits(receive)
                .send_context_takeover(takeover[0])
                .receive_context_takeover(takeover[1])
        },
    )
}

/// Does it, and returns what the other end is to receive of it.
fn perform(session: &mut Session, does: Does) -> Event {
    match does {
        Does::Sends(message, compress) => {
            session.send(Outgoing::from(message.clone()).compress(compress)).unwrap();
            match message {
                Message::Text(text) => event::text(text.as_str()),
                Message::Binary(bytes) => event::binary(bytes),
            }
        }
        Does::Frames(bytes) => {
            let now = towline_kit::start();
            let half = bytes.len() / 2;
            session.send_frame(now, Frame::binary(bytes.slice(..half)).fin(false)).unwrap();
            session.send_frame(now, Frame::continuation(bytes.slice(half..))).unwrap();
            event::binary(bytes)
        }
        Does::Pings => {
            session.ping(Bytes::from_static(b"?")).unwrap();
            event::ping("?")
        }
    }
}

/// All that a server says, as bytes on the wire.
fn wire(config: &Config, all: Vec<Does>) -> Vec<u8> {
    let [_, at_server] = negotiate(&client(), config);
    let now = towline_kit::start();
    let mut session = Session::new(Role::Server, config, now).with_compression(at_server.as_ref());
    for does in all {
        perform(&mut session, does);
    }
    let mut bytes = Vec::new();
    while let Some(out) = session.poll_transmit() {
        bytes.extend_from_slice(out.chunk());
        out.advance(out.chunk().len());
    }
    bytes
}

/// What a client makes of the bytes, in pieces of these lengths.
fn heard_in_pieces(
    config: &Config,
    mut bytes: &[u8],
    pieces: &[usize],
) -> (Vec<Event>, Option<Fault>) {
    let [at_client, _] = negotiate(config, &server());
    let mut peer = Peer::new(Role::Client, config).with_compression(at_client.as_ref());
    for piece in pieces.iter().cycle() {
        let (now, later) = bytes.split_at((*piece).min(bytes.len()));
        peer.says_bytes(now);
        bytes = later;
        if bytes.is_empty() {
            break;
        }
    }
    (peer.events(), peer.fault())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_is_sent_arrives(
        at_client in settings(),
        at_server in settings(),
        fragments in prop_oneof![Just(16 << 10), 1usize..2000],
        all in prop::collection::vec((any::<bool>(), does()), 1..12),
        chunks in prop::collection::vec(1usize..5000, 1..4),
    ) {
        let fragments = fragments.try_into().unwrap();
        let with = |config: Config, deflate| {
            config.compression(deflate).fragmentation_threshold(fragments)
        };
        let mut pair = Pair::new(
            &with(Config::client(), at_client),
            &with(Config::server(), at_server),
        ).in_chunks(chunks);
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        for (by_client, does) in all {
            if by_client {
                to_server.push(perform(pair.session(Role::Client), does));
            } else {
                to_client.push(perform(pair.session(Role::Server), does));
            }
        }
        pair.run();
        for (role, sent) in [(Role::Server, to_server), (Role::Client, to_client)] {
            // Control frames overtake what waits.
            let apart = |events: Vec<Event>| {
                let is_message = |event: &Event| {
                    matches!(event, Event::Text(_) | Event::Binary(_))
                };
                let (messages, others): (Vec<_>, Vec<_>) = events.into_iter().partition(is_message);
                let is_ping = |event: &&Event| matches!(event, Event::Ping(_));
                (messages, others.iter().filter(is_ping).count())
            };
            prop_assert!(apart(pair.events(role)) == apart(sent), "to the {:?}", role);
        }
    }

    #[test]
    fn however_compressed_input_is_split_the_events_and_the_fault_are_the_same(
        settings in settings(),
        fragments in prop_oneof![Just(16 << 10), 1usize..200],
        limit in prop_oneof![Just(1usize << 20), 1usize..3000],
        all in prop::collection::vec(does(), 1..8),
        spoilt in prop::option::weighted(0.4, (any::<prop::sample::Index>(), 0u8..8)),
        pieces in prop::collection::vec(1usize..60, 1..8),
    ) {
        let at_server = server()
            .compression(settings.threshold(1))
            .fragmentation_threshold(fragments.try_into().unwrap());
        let mut bytes = wire(&at_server, all);
        if let Some((at, bit)) = spoilt {
            *at.get_mut(&mut bytes) ^= 1 << bit;
        }
        let config = client().max_received_message_size(limit);
        let at_once = heard_in_pieces(&config, &bytes, &[usize::MAX]);
        prop_assert_eq!(&heard_in_pieces(&config, &bytes, &pieces), &at_once);
        if bytes.len() < 5000 {
            prop_assert_eq!(&heard_in_pieces(&config, &bytes, &[1]), &at_once);
        }
    }

    #[test]
    fn any_bytes_at_all_in_place_of_compressed_ones_do_no_harm(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        text: bool,
        pieces in prop::collection::vec(1usize..20, 1..4),
    ) {
        let first = if text { frame().text(payload) } else { frame().binary(payload) };
        let bytes = join([first.rsv(RSV1), frame().ping("")]);
        let at_once = heard_in_pieces(&client(), &bytes, &[usize::MAX]);
        prop_assert_eq!(heard_in_pieces(&client(), &bytes, &pieces), at_once);
    }
}
