//! However much comes to a connection, and whatever it is: its task lets others run.

use futures_util::StreamExt as _;
use towline::{Config, Connection, Event, Keepalive, Message, Role};
use towline_kit::{FrameBytes, frame, join};

use crate::endless::{Bystander, Count, Endless};
use crate::wire::connect;

const BOTH: [Role; 2] = [Role::Server, Role::Client];

/// So much is done at the most before others have their turn: of messages, of frames that are none,
/// and of bytes.
const MESSAGES: usize = 8_500;
const FRAMES: usize = 35_000;
const BYTES: usize = 8 << 20;

fn config() -> Config {
    Config::client().keepalive(None::<Keepalive>).max_received_control_rate(None)
}

/// The ways to receive.
#[derive(Debug, Clone, Copy)]
enum By {
    Recv,
    Lent,
    Event,
    Stream,
    Half,
}

const ALL: [By; 5] = [By::Recv, By::Lent, By::Event, By::Stream, By::Half];

/// Receives so many messages, and counts what `of` says for each.
async fn receives(mut connection: Connection, by: By, most: usize, count: Count, of: Of) {
    let step = |len: usize| count.add(if of == Of::Messages { 1 } else { len });
    if let By::Lent | By::Half = by {
        let (_sender, mut receiver) = connection.split();
        for _ in 0..most {
            step(match by {
                By::Lent => receiver.recv_ref().await.unwrap().unwrap().len(),
                _ => receiver.recv().await.unwrap().unwrap().len(),
            });
        }
        return;
    }
    for _ in 0..most {
        step(match by {
            By::Event => match connection.next_event().await.unwrap().unwrap() {
                Event::Message(message) => message.len(),
                _ => 0,
            },
            By::Stream => connection.next().await.unwrap().unwrap().len(),
            _ => connection.recv().await.unwrap().unwrap().len(),
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Messages,
    Bytes,
}

/// The most that is done between two turns of another task while so many of these are received,
/// which the peer says without a pause.
async fn most(role: Role, says: &[FrameBytes], by: By, messages: usize, of: Of) -> usize {
    let says = join(says.iter().cloned().map(|frame| frame.by(role.peer())));
    let stream = Endless::new([], says);
    let connection = Connection::from_stream(stream, role, &config(), [].as_slice().into());
    let count = Count::default();
    let bystander = Bystander::of(&count);
    let receiving = tokio::spawn(receives(connection, by, messages, count, of));
    receiving.await.unwrap();
    bystander.most().await
}

trait Peer {
    fn peer(self) -> Role;
}

impl Peer for Role {
    fn peer(self) -> Role {
        match self {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_receives_tiny_messages_without_end_lets_others_run() {
    for says in [frame().text("a"), frame().binary([])] {
        for role in BOTH {
            for by in ALL {
                let most = most(role, std::slice::from_ref(&says), by, 12_000, Of::Messages).await;
                assert!(most <= MESSAGES, "{role:?} by {by:?}: {most} messages");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_receives_long_messages_without_end_lets_others_run() {
    let whole = vec![frame().binary(vec![7; 1 << 20])];
    let text = vec![frame().text(vec![b'x'; 1 << 20])];
    let mut parts = vec![frame().binary(vec![7; 64 << 10]).fin(false)];
    parts.extend((0..14).map(|_| frame().continuation(vec![7; 64 << 10]).fin(false)));
    parts.push(frame().continuation(vec![7; 64 << 10]));
    for says in [whole, text, parts] {
        for by in [By::Recv, By::Lent, By::Stream] {
            let most = most(Role::Client, &says, by, 12, Of::Bytes).await;
            assert!(most <= BYTES, "by {by:?}: {most} bytes");
        }
        let most = most(Role::Server, &says, By::Recv, 12, Of::Bytes).await;
        assert!(most <= BYTES, "on a server: {most} bytes");
    }
}

/// What is passed over, or makes a message only in the end, is counted by what is read for it.
async fn most_read(says: &[FrameBytes], by: By, messages: usize) -> usize {
    let stream = Endless::new([], join(says.iter().cloned()));
    let read = stream.read.clone();
    let connection = Connection::from_stream(stream, Role::Client, &config(), [].as_slice().into());
    let bystander = Bystander::of(&read);
    let receiving =
        tokio::spawn(receives(connection, by, messages, Count::default(), Of::Messages));
    receiving.await.unwrap();
    bystander.most().await
}

#[tokio::test(start_paused = true)]
async fn who_receives_empty_fragments_lets_others_run() {
    let mut says = vec![frame().binary([]).fin(false)];
    says.extend((0..60_000).map(|_| frame().continuation([]).fin(false)));
    says.push(frame().continuation([]));
    for by in ALL {
        let most = most_read(&says, by, 2).await;
        // Two bytes each, and what a read takes at once.
        assert!(most <= 2 * FRAMES + (256 << 10), "by {by:?}: {most} bytes of them");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_pinged_without_end_lets_others_run() {
    for (control, by) in [(frame().ping("?"), By::Recv), (frame().pong("!"), By::Lent)] {
        let mut says = vec![control; 100_000];
        says.push(frame().text("at last"));
        let most = most_read(&says, by, 1).await;
        assert!(most <= 3 * FRAMES + (256 << 10), "by {by:?}: {most} bytes of them");
    }
}

/// The pings behind a message are answered before the program has it, but not all of a flood.
#[tokio::test(start_paused = true)]
async fn a_message_does_not_wait_for_the_answers_to_a_flood_of_pings_behind_it() {
    for role in BOTH {
        let (connection, far) = connect(role, &config());
        let (sender, mut receiver) = connection.split();
        let mut says = vec![frame().text("first")];
        says.extend(vec![frame().ping("?"); 10_000]);
        says.push(frame().text("last"));
        far.says_all(says);
        assert_eq!(receiver.recv().await.unwrap(), Some("first".into()));
        let answered = sender.stats().pings_received;
        assert!((1..=1000).contains(&answered), "{answered} pings");
        assert_eq!(receiver.recv().await.unwrap(), Some("last".into()));
        assert_eq!(sender.stats().pings_received, 10_000);
    }
}

/// The program holds a sender only, or nothing at all: it is the drain that receives.
#[tokio::test(start_paused = true)]
async fn what_nobody_receives_is_dropped_in_pieces() {
    let tiny = vec![frame().text("a")];
    let mut fragments = vec![frame().binary([]).fin(false)];
    fragments.extend((0..1000).map(|_| frame().continuation([]).fin(false)));
    fragments.push(frame().continuation([]));
    let pings = vec![frame().ping("")];
    let long = vec![frame().binary(vec![7; 1 << 20])];
    for (says, bytes) in
        [(tiny, 3 * MESSAGES), (fragments, 2 * FRAMES), (pings, 2 * FRAMES), (long, BYTES)]
    {
        for keeps_sender in [true, false] {
            let stream = Endless::new([], join(says.clone()));
            let read = stream.read.clone();
            let connection =
                Connection::from_stream(stream, Role::Client, &config(), [].as_slice().into());
            let bystander = Bystander::of(&read);
            let (sender, receiver) = connection.split();
            let sender = keeps_sender.then_some(sender);
            drop(receiver);
            for _ in 0..6 {
                tokio::task::yield_now().await;
            }
            assert!(read.get() > 0, "nobody reads");
            if let Some(sender) = sender {
                sender.abort(towline::CloseCode::NORMAL, "");
            }
            let most = bystander.most().await;
            assert!(most <= bytes + (256 << 10), "{most} bytes, sender: {keeps_sender}");
        }
    }
}

/// An echo both receives and sends; its peer takes all.
#[tokio::test(start_paused = true)]
async fn an_echo_to_a_peer_that_never_stops_lets_others_run() {
    for (says, of, bound, messages) in [
        (frame().text("a"), Of::Messages, MESSAGES, 50_000),
        (frame().binary(vec![0; 60_000]), Of::Bytes, BYTES, 500),
    ] {
        let says = join([says.by(Role::Client)]);
        let stream = Endless::new([], says);
        let mut connection =
            Connection::from_stream(stream, Role::Server, &config(), [].as_slice().into());
        let count = Count::default();
        let bystander = Bystander::of(&count);
        let echoing = tokio::spawn(async move {
            for _ in 0..messages {
                let message: Message = connection.recv().await.unwrap().unwrap();
                count.add(if of == Of::Messages { 1 } else { message.len() });
                connection.send(message).await.unwrap();
            }
        });
        echoing.await.unwrap();
        let most = bystander.most().await;
        assert!(most <= bound, "{most} {of:?}");
    }
}
