//! Promise 1: after the handshake a server's connection and a client's have one type and one
//! behaviour. The same scenarios, told of either role, come out the same.

use std::time::Duration;

use towline::{CloseCode, Config, ErrorKind, Event, Frame, Keepalive, Message, Role};
use towline_kit::frame;

use crate::wire::{Far, connect, settle};

/// What came of a scenario: what was received, what was said, how it ended.
#[derive(Debug, PartialEq)]
struct Outcome {
    received: Vec<String>,
    error: Option<&'static str>,
    heard: Vec<(u8, bool, usize)>,
    closed: String,
}

/// The same configuration for both: the limits are what the two constructors differ in.
fn config() -> Config {
    Config::server().keepalive(Keepalive::every(Duration::from_secs(20)))
}

async fn play(role: Role, config: &Config, says: fn(&Far)) -> Outcome {
    let (mut connection, far) = connect(role, config);
    let sender = connection.sender();
    for message in [Message::text("one"), Message::binary(vec![2; 40_000])] {
        sender.send(message).await.unwrap();
    }
    sender.send_frame(Frame::text("th").fin(false)).await.unwrap();
    sender.ping("?").await.unwrap();
    sender.send_frame(Frame::continuation("ree")).await.unwrap();
    says(&far);
    let mut received = Vec::new();
    let error = loop {
        match connection.next_event().await {
            // A frame knows whether it was masked, which the role decides.
            Ok(Some(Event::Frame(frame))) => {
                received.push(format!("{:?} {:?}", frame.opcode(), frame.payload()));
            }
            Ok(Some(event)) => received.push(format!("{event:?}")),
            Ok(None) => break None,
            Err(error) => break Some(error.code()),
        }
    };
    settle().await;
    far.ends();
    let closed = sender.wait_closed().await;
    let heard = far.hears().into_iter();
    Outcome {
        received,
        error,
        heard: heard
            .map(|heard| (heard.opcode().bits(), heard.is_fin(), heard.payload.len()))
            .collect(),
        closed: format!("{closed:?}"),
    }
}

/// What it is, and what the peer says.
type Scenario = (&'static str, fn(&Far));

const SCENARIOS: [Scenario; 8] = [
    ("messages, and a close", |far| {
        far.says_all([frame().text("hi"), frame().binary([1, 2]), frame().close(4001, "bye")]);
    }),
    ("fragments with a ping between", |far| {
        far.says(frame().text("Hel").fin(false));
        far.says(frame().ping("are you there"));
        far.says(frame().continuation("lo"));
        far.says(frame().close(1000, ""));
    }),
    ("a close without a code", |far| far.says(frame().close_with([]))),
    ("text that is none", |far| far.says(frame().text([0xC3, 0x28]))),
    ("a reserved bit", |far| far.says(frame().text("hi").rsv(0b100))),
    ("a frame that is too large", |far| far.says(frame().binary(vec![0; 70_000]))),
    ("silence", |_| {}),
    ("the end of the transport", |far| {
        far.says(frame().text("last words"));
        far.ends();
    }),
];

#[tokio::test(start_paused = true)]
async fn every_scenario_comes_out_the_same_with_the_roles_swapped() {
    for (name, says) in SCENARIOS {
        for config in [config(), config().assemble_fragments(false)] {
            let at_server = play(Role::Server, &config, says).await;
            let at_client = play(Role::Client, &config, says).await;
            assert_eq!(at_server, at_client, "{name}");
            assert!(at_server.heard.len() >= 5, "{name}: {:?}", at_server.heard);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn either_end_closes_and_either_end_hears_of_it() {
    let config = config();
    for swap in [false, true] {
        let (server, client) = crate::support::pair(&config, &config);
        let (mut one, mut other) = if swap { (server, client) } else { (client, server) };
        let listening = tokio::spawn(async move {
            assert_eq!(other.recv().await.unwrap(), Some(Message::text("hi")));
            assert_eq!(other.recv().await.unwrap_err().kind(), ErrorKind::ClosedByPeer);
            other.sender().wait_closed().await
        });
        one.send("hi").await.unwrap();
        let here = one.close(CloseCode::new(4000), "enough").await.unwrap();
        let there = listening.await.unwrap();
        assert!(here.is_clean() && there.is_clean());
        assert_eq!((here.code(), here.reason()), (there.code(), there.reason()));
        assert_ne!(here.initiator(), there.initiator());
    }
}
