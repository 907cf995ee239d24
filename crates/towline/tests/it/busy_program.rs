//! A program that is busy with something else than its connection is not taken for dead by the
//! peer: pings that lie unread are answered.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use towline::{Config, Connection, Keepalive, Opcode, Role};
use towline_kit::frame;

use crate::support::pair;
use crate::wire::{Far, connect, settle};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Role; 2] = [Role::Server, Role::Client];

/// One end asks, and waits for the answer; the other is busy before it answers. Both are as they are
/// by default.
pub(crate) async fn is_borne_with(
    [mut busy, mut waits]: [Connection; 2],
    unread: usize,
    idle: Duration,
) {
    // The last that was heard of the busy one may be some time ago.
    busy.send("idle so far").await.unwrap();
    waits.recv().await.unwrap().unwrap();
    sleep(idle).await;
    waits.send("how long?").await.unwrap();
    busy.recv().await.unwrap().unwrap();
    for _ in 0..unread {
        waits.send("and this?").await.unwrap();
    }
    let waiting = tokio::spawn(async move {
        for _ in 0..=unread {
            assert_eq!(waits.recv().await.unwrap(), Some("so long".into()));
        }
        waits
    });
    for left in (0..=unread).rev() {
        sleep(70 * SECOND).await;
        assert!(busy.is_open());
        busy.send("so long").await.unwrap();
        if left > 0 {
            busy.recv().await.unwrap().unwrap();
        }
    }
    assert!(waiting.await.unwrap().is_open());
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_busy_between_receiving_and_sending_is_not_dead_to_its_peer() {
    for busy in BOTH {
        for (unread, idle) in (0..4).flat_map(|unread| (0..45).map(move |idle| (unread, idle))) {
            let (server, client) = pair(&Config::server(), &Config::client());
            is_borne_with(order(busy, server, client), unread, idle * SECOND).await;
        }
    }
}

fn order(busy: Role, server: Connection, client: Connection) -> [Connection; 2] {
    match busy {
        Role::Server => [server, client],
        Role::Client => [client, server],
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_busy_over_tcp_is_not_dead_to_its_peer() {
    for busy in BOTH {
        for (unread, idle) in (0..4).flat_map(|unread| (0..45).map(move |idle| (unread, idle))) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
            let (server, client) = (far.unwrap().0, near.unwrap());
            let none = || [].as_slice().into();
            let server = Connection::from_stream(server, Role::Server, &Config::server(), none());
            let client = Connection::from_stream(client, Role::Client, &Config::client(), none());
            is_borne_with(order(busy, server, client), unread, idle * SECOND).await;
        }
    }
}

/// A peer that asks every 20 s, and must have the answer to its own question 10 s later: what else
/// is said is no sign of life to it.
struct Asking {
    asked: VecDeque<String>,
    questions: usize,
}

impl Asking {
    fn new() -> Self {
        Self { asked: VecDeque::new(), questions: 0 }
    }

    /// Asks, waits for so long, and must have been answered then.
    async fn asks(&mut self, far: &Far, what: &str) {
        let question = format!("question {}", self.questions);
        self.questions += 1;
        far.says(frame().ping(&question));
        self.asked.push_back(question);
        sleep(10 * SECOND).await;
        for heard in far.hears() {
            if heard.opcode() == Opcode::Pong {
                // Who has received the question at last may answer it once more.
                if let Some(at) = self.asked.iter().position(|asked| asked == heard.text()) {
                    self.asked.drain(..=at);
                }
            }
        }
        assert!(self.asked.is_empty(), "{what}: no answer to {:?}", self.asked);
        sleep(10 * SECOND).await;
    }
}

fn configs() -> [Config; 2] {
    [Config::server(), Config::server().keepalive(None::<Keepalive>)]
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_its_pongs_though_nobody_receives() {
    for role in BOTH {
        for config in configs() {
            for split in [false, true] {
                let (connection, far) = connect(role, &config);
                let (mut whole, mut halves) = (None, None);
                match split {
                    true => halves = Some(connection.split()),
                    false => whole = Some(connection),
                }
                let mut peer = Asking::new();
                for _ in 0..30 {
                    // It asks at any time.
                    sleep(SECOND).await;
                    let keepalive = config.keepalive.is_some();
                    peer.asks(&far, &format!("{role:?}, {split}, {keepalive}")).await;
                }
                assert!(whole.is_none_or(|whole| whole.is_open()));
                assert!(halves.is_none_or(|halves| halves.0.is_open()));
            }
        }
    }
}

/// The program has received something once, and does not come back for long.
#[tokio::test(start_paused = true)]
async fn a_peer_has_its_pongs_while_the_program_is_busy_with_a_message() {
    for role in BOTH {
        for config in configs() {
            let (mut connection, far) = connect(role, &config);
            let mut peer = Asking::new();
            for round in 0..3 {
                far.says(frame().text("work"));
                assert_eq!(connection.recv().await.unwrap(), Some("work".into()));
                for _ in 0..5 {
                    let keepalive = config.keepalive.is_some();
                    peer.asks(&far, &format!("{role:?}, {keepalive}, round {round}")).await;
                }
                connection.send("done").await.unwrap();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_its_pongs_though_messages_lie_unread_before_its_pings() {
    for role in BOTH {
        for config in configs() {
            let (mut connection, far) = connect(role, &config);
            let mut peer = Asking::new();
            for message in ["one", "two"] {
                far.says(frame().text(message));
            }
            far.says(frame().binary(vec![0; 5000]));
            for round in 0..5 {
                far.says(frame().text("in between"));
                peer.asks(&far, &format!("{role:?}, round {round}")).await;
            }
            assert_eq!(connection.recv().await.unwrap(), Some("one".into()));
            assert_eq!(connection.recv().await.unwrap(), Some("two".into()));
            assert_eq!(connection.recv().await.unwrap().unwrap().len(), 5000);
        }
    }
}

/// However the message has come, and however it was received.
#[tokio::test(start_paused = true)]
async fn a_peer_has_its_pongs_though_the_message_came_in_pieces() {
    for role in BOTH {
        for by in 0..3 {
            let (connection, far) = connect(role, &Config::server());
            let (_sender, mut receiver) = connection.split();
            let receiving = tokio::spawn(async move {
                match by {
                    0 => assert_eq!(receiver.recv().await.unwrap().unwrap().len(), 2000),
                    1 => assert_eq!(receiver.recv_ref().await.unwrap().unwrap().len(), 2000),
                    _ => assert!(receiver.next_event().await.unwrap().is_some()),
                }
                receiver
            });
            let mut bytes = frame().binary(vec![7; 2000]).by(far.role()).bytes();
            let rest = bytes.split_off(999);
            for part in [bytes, rest] {
                settle().await;
                far.says_bytes(part);
            }
            let _receiver = receiving.await.unwrap();
            let mut peer = Asking::new();
            for round in 0..5 {
                peer.asks(&far, &format!("{role:?}, {by}, round {round}")).await;
            }
        }
    }
}

/// One read has brought several messages, and the program is busy with the first.
#[tokio::test(start_paused = true)]
async fn a_peer_has_its_pongs_though_more_was_read_than_the_program_has_received() {
    for role in BOTH {
        for config in configs() {
            let (mut connection, far) = connect(role, &config);
            let mut peer = Asking::new();
            far.says_all([frame().text("one"), frame().text("two")]);
            assert_eq!(connection.recv().await.unwrap(), Some("one".into()));
            for round in 0..5 {
                peer.asks(&far, &format!("{role:?}, round {round}")).await;
            }
            assert_eq!(connection.recv().await.unwrap(), Some("two".into()));
        }
    }
}

/// No ping is answered twice, whether it was seen before it was received or not.
#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_once() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &Config::server().keepalive(None::<Keepalive>));
        far.says_all([frame().ping("?"), frame().text("hi")]);
        sleep(100 * SECOND).await;
        assert_eq!(connection.recv().await.unwrap(), Some("hi".into()));
        sleep(100 * SECOND).await;
        far.says(frame().ping("!"));
        sleep(100 * SECOND).await;
        let pongs: Vec<_> = far.hears().iter().map(|heard| heard.text().to_owned()).collect();
        assert!(pongs.iter().any(|pong| pong == "?") && pongs.iter().any(|pong| pong == "!"));
        // That which was answered ahead may be answered again when it is received; others may not.
        assert!(pongs.len() <= 3, "{pongs:?}");
    }
}
