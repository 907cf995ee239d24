//! Whatever happens, in whatever order: what holds of a connection at all times.

#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::time::Duration;

use proptest::prelude::*;
use towline_kit::event::close_frame;
use towline_kit::{Heard, Peer, frame};
use towline_proto::{
    CloseCode, Config, Frame, Inbound, Incoming, Input, Keepalive, Message, Opcode, Role,
    TransportFate,
};

/// Something that the program, the peer, the transport or time can do.
#[derive(Debug, Clone)]
enum Act {
    Send(usize),
    SendFrame(u8, bool),
    Ping,
    Close,
    Abort,
    PeerSays(u8, bool, usize),
    PeerSaysRaw(Vec<u8>),
    PeerCloses,
    Take(usize),
    Pass(u64),
    PassToDeadline,
    WriteFails,
    ReadFails,
    Ends,
}

fn act() -> impl Strategy<Value = Act> {
    let opcode = || prop::sample::select(vec![0u8, 1, 2, 8, 9, 10]);
    prop_oneof![
        6 => (0usize..40_000).prop_map(Act::Send),
        4 => (opcode(), any::<bool>()).prop_map(|(opcode, fin)| Act::SendFrame(opcode, fin)),
        2 => Just(Act::Ping),
        2 => Just(Act::Close),
        1 => Just(Act::Abort),
        6 => (opcode(), prop::bool::weighted(0.8), 0usize..200)
            .prop_map(|(opcode, fin, len)| Act::PeerSays(opcode, fin, len)),
        1 => prop::collection::vec(any::<u8>(), 1..4).prop_map(Act::PeerSaysRaw),
        2 => Just(Act::PeerCloses),
        8 => (0usize..40_000).prop_map(Act::Take),
        3 => (0u64..8).prop_map(Act::Pass),
        2 => Just(Act::PassToDeadline),
        1 => Just(Act::WriteFails),
        1 => Just(Act::ReadFails),
        1 => Just(Act::Ends),
    ]
}

fn does(peer: &mut Peer, act: Act) {
    let now = peer.now();
    match act {
        Act::Send(size) => drop(peer.session().send(Message::binary(vec![1; size]))),
        Act::SendFrame(opcode, fin) => {
            let opcode = Opcode::from_bits(opcode).unwrap();
            drop(peer.session().send_frame(now, Frame::new(opcode, "").fin(fin)));
        }
        Act::Ping => drop(peer.session().ping("?".into())),
        Act::Close => drop(peer.session().close(now, close_frame(CloseCode::NORMAL, "done"))),
        Act::Abort => peer.session().abort(close_frame(CloseCode::POLICY, "enough")),
        Act::PeerSays(opcode, fin, len) => {
            peer.says(frame().opcode(opcode).fin(fin).payload(vec![b'x'; len]));
        }
        Act::PeerSaysRaw(bytes) => peer.says_bytes(&bytes),
        Act::PeerCloses => peer.says(frame().close(1001, "bye")),
        Act::Take(size) => drop(peer.takes(size)),
        Act::Pass(seconds) => peer.pass(Duration::from_secs(seconds)),
        Act::PassToDeadline => drop(peer.pass_to_deadline()),
        Act::WriteFails => peer.session().handle_write_error(now, ErrorKind::BrokenPipe),
        Act::ReadFails => peer.session().handle_transport_error(ErrorKind::ConnectionReset),
        Act::Ends => peer.ends(),
    }
}

/// What was said is a sequence that a peer can't object to, with a close frame at its end if at
/// all.
fn is_well_said(heard: &[Heard]) {
    let mut said: Vec<u8> = heard
        .iter()
        .map(|heard| {
            frame().opcode(heard.opcode().bits()).fin(heard.is_fin()).payload(&heard.payload)
        })
        .flat_map(|frame| frame.bytes())
        .collect();
    let config = Config::client().max_received_message_size(usize::MAX);
    let mut inbound = Inbound::new(Role::Client, &config);
    let mut input = Input::new(&mut said);
    loop {
        match inbound.poll(&mut input) {
            Incoming::Fault(fault) => panic!("what is sent is right, and not {fault}"),
            Incoming::More | Incoming::End => break,
            _ => {}
        }
    }
    let close = heard.iter().position(|frame| frame.opcode() == Opcode::Close);
    assert!(close.is_none_or(|at| at + 1 == heard.len()), "nothing after a close frame");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn an_end_is_an_end_what_is_said_is_right_and_no_state_is_for_ever(
        role in prop::sample::select(vec![Role::Server, Role::Client]),
        grace in prop::option::of(1u64..10),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let keepalive = Keepalive::every(Duration::from_secs(20)).grace(grace.map(Duration::from_secs));
        let mut peer = Peer::new(role, &Config::server().keepalive(keepalive));
        let mut heard = Vec::new();
        let (mut was_open, mut outcome) = (true, None);
        for act in acts {
            does(&mut peer, act);
            heard.extend(peer.heard());
            let session = peer.session();
            prop_assert!(was_open || !session.is_open(), "open again");
            was_open = session.is_open();
            prop_assert!(outcome.is_none() || session.outcome().cloned() == outcome);
            outcome = session.outcome().cloned();
            prop_assert!(outcome.is_none() || !was_open);
            if session.closed().is_some() {
                prop_assert_eq!(session.closed().cloned(), outcome.clone());
                prop_assert_eq!(session.poll_timeout(), None);
                prop_assert_eq!(session.poll_transport(), TransportFate::Close);
            } else {
                prop_assert!(session.poll_timeout().is_some(), "nothing would ever end this");
            }
        }
        does(&mut peer, Act::Close);
        // From there nothing but time, and it is over.
        peer.pass_to_deadline();
        prop_assert!(peer.session().closed().is_some());
        heard.extend(peer.hears());
        is_well_said(&heard);
        prop_assert!(peer.session().outbound().is_empty());
    }
}

#[test]
fn a_decoder_by_itself_reads_past_what_follows_a_close_frame() {
    let mut inbound = Inbound::new(Role::Client, &Config::client());
    let mut bytes = towline_kit::join([
        frame().binary("half").fin(false),
        frame().close(1000, ""),
        frame().continuation("other half"),
        frame().text("more"),
        frame().opcode(3),
    ]);
    let mut input = Input::new(&mut bytes);
    let close = inbound.poll(&mut input);
    assert_eq!(close, towline_kit::event::close(CloseCode::NORMAL, ""));
    assert!(inbound.is_ended() && !input.is_empty());
    assert_eq!(inbound.poll(&mut input), Incoming::End);
    assert!(input.is_empty());
    assert!(inbound.payload_room().is_none());
}
