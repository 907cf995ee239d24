//! Promise 13, as another connection sees it: while one connection does its worst, an echo on
//! another connection of the same thread waits for a bounded amount of its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::task::JoinHandle;
use towline::{Config, Connection, Keepalive, Message, MessageKind, Role};
use towline_kit::{frame, join};

use crate::compressed::{connect, deflated};
use crate::endless::{Count, Endless};

/// How often the greedy connection has its turn during an echo at most: the client, the server, and
/// what wakes them have turns in between.
const TURNS: usize = 4;

/// What it does in one turn at most: tokio's budget of 128 units, which are 64 messages or 16 KiB
/// each, or 2 KiB that were inflated, or 1 KiB that was deflated. A message in progress and what
/// one read takes come on top.
const MESSAGES: usize = 128 * 64 + 300;
const BYTES: usize = ((128 * 16) << 10) + (1 << 20);
const INFLATED: usize = ((128 * 2) << 10) + (1 << 20);
/// Up to the high-water mark is queued before it is deflated.
const DEFLATED: usize = (128 << 10) + (256 << 10);
/// Frames that are no messages are counted by the bytes that are read for them, two each.
const FRAMES: usize = 2 * 128 * 64 + (128 << 10);

fn config() -> Config {
    Config::client().keepalive(None::<Keepalive>).max_received_control_rate(None)
}

/// Another connection, over which messages are echoed one at a time.
struct Beside {
    tasks: [JoinHandle<()>; 2],
    echoes: Count,
    most: Arc<AtomicUsize>,
}

impl Beside {
    /// Measures each echo by this count.
    fn of(count: &Count) -> Self {
        let (near, far) = duplex(1 << 10);
        let mut client = Connection::from_stream(near, Role::Client, &config(), Bytes::new());
        let mut server = Connection::from_stream(far, Role::Server, &config(), Bytes::new());
        let echoing = tokio::spawn(async move {
            while let Some(message) = server.recv().await.unwrap() {
                server.send(message).await.unwrap();
            }
        });
        let (echoes, most) = (Count::default(), Arc::<AtomicUsize>::default());
        let asking = tokio::spawn({
            let (count, echoes, most) = (count.clone(), echoes.clone(), most.clone());
            async move {
                loop {
                    let before = count.get();
                    client.send("are you there?").await.unwrap();
                    client.recv().await.unwrap().unwrap();
                    most.fetch_max(count.get() - before, Ordering::Relaxed);
                    echoes.add(1);
                }
            }
        });
        Self { tasks: [echoing, asking], echoes, most }
    }

    /// Checks that each echo waited for so much in one turn at most, and in [`TURNS`] of them.
    async fn check(self, done: &Count, in_one_turn: usize, what: &str) {
        // An echo in progress is one that counts as well.
        let before = self.echoes.get();
        while self.echoes.get() < before + 2 {
            tokio::task::yield_now().await;
        }
        self.tasks.iter().for_each(JoinHandle::abort);
        let (most, echoes) = (self.most.load(Ordering::Relaxed), self.echoes.get());
        let bound = TURNS * in_one_turn;
        assert!(done.get() > 2 * bound, "{what}: only {} were done", done.get());
        assert!(most > 0, "{what}: nothing was done during an echo");
        assert!(most <= bound, "{what}: an echo waited for {most}, {bound} at most ({echoes})");
    }
}

/// Runs a greedy task beside an echo.
async fn beside(count: &Count, task: impl Future<Output = ()> + Send + 'static) -> Beside {
    let beside = Beside::of(count);
    tokio::spawn(task).await.unwrap();
    beside
}

fn endless(says: Vec<u8>) -> (Connection, Count) {
    let stream = Endless::new([], says);
    let read = stream.read.clone();
    (Connection::from_stream(stream, Role::Client, &config(), Bytes::new()), read)
}

/// The program never yields between two messages, whatever it does with them.
#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_some_of_the_messages_of_a_flood() {
    let tiny = join([frame().text("a")]);
    let long = join([frame().binary(vec![7; 1 << 20])]);
    for (says, unit, bound) in [(tiny, 1, MESSAGES), (long, 1 << 20, BYTES)] {
        let (mut connection, _) = endless(says);
        let count = Count::default();
        let done = count.clone();
        let greedy = async move {
            while done.get() <= 3 * TURNS * bound {
                connection.recv().await.unwrap();
                done.add(unit);
            }
        };
        let beside = beside(&count, greedy).await;
        beside.check(&count, bound, &format!("messages of {unit}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_some_of_a_flood_that_is_no_message() {
    let mut fragments = vec![frame().binary([]).fin(false)];
    fragments.extend((0..60_000).map(|_| frame().continuation([]).fin(false)));
    fragments.push(frame().continuation([]));
    for says in [join(fragments), join(vec![frame().ping(""); 1000])] {
        let (mut connection, read) = endless(says);
        let done = read.clone();
        let greedy = async move {
            let receiving = tokio::spawn(async move { while connection.recv().await.is_ok() {} });
            while done.get() <= 3 * TURNS * FRAMES {
                tokio::task::yield_now().await;
            }
            receiving.abort();
        };
        let beside = beside(&read, greedy).await;
        beside.check(&read, FRAMES, "frames").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_some_of_what_is_inflated() {
    const LEN: usize = 1 << 20;
    let says = deflated(Message::binary(vec![0; LEN])).await;
    assert!(says.len() < 1200, "{} bytes", says.len());
    for in_pieces in [false, true] {
        let (mut connection, _) = connect(says.clone(), usize::MAX).await;
        let count = Count::default();
        let done = count.clone();
        let greedy = async move {
            let mut piece = vec![0; 4 << 10];
            while done.get() <= 3 * TURNS * INFLATED {
                if !in_pieces {
                    done.add(connection.recv().await.unwrap().unwrap().len());
                    continue;
                }
                let mut reader = connection.recv_reader().await.unwrap().unwrap();
                loop {
                    match reader.read(&mut piece).await.unwrap() {
                        0 => break,
                        len => done.add(len),
                    }
                }
            }
        };
        let beside = beside(&count, greedy).await;
        beside.check(&count, INFLATED, &format!("inflated, in pieces: {in_pieces}")).await;
    }
}

/// A message that is skipped is inflated, since the next one may refer to it.
#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_some_of_what_is_skipped() {
    const LEN: usize = 1 << 20;
    let says = deflated(Message::binary(vec![0; LEN])).await;
    let (mut connection, _) = connect(says, usize::MAX).await;
    let count = Count::default();
    let done = count.clone();
    let greedy = async move {
        while done.get() <= 3 * TURNS * INFLATED {
            drop(connection.recv_reader().await.unwrap().unwrap());
            done.add(LEN);
        }
    };
    let beside = beside(&count, greedy).await;
    beside.check(&count, INFLATED, "skipped").await;
}

#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_some_of_what_is_sent() {
    for (len, unit, bound) in [(100, 1, MESSAGES), (1 << 20, 1 << 20, BYTES)] {
        let stream = Endless::mute();
        let connection = Connection::from_stream(stream, Role::Server, &config(), Bytes::new());
        let count = Count::default();
        let done = count.clone();
        let greedy = async move {
            let message = Message::binary(vec![1; len]);
            while done.get() <= 3 * TURNS * bound {
                connection.send(message.clone()).await.unwrap();
                done.add(unit);
            }
        };
        let beside = beside(&count, greedy).await;
        beside.check(&count, bound, &format!("sends of {len} bytes")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_some_of_what_is_deflated() {
    const LEN: usize = 32 << 10;
    for by_writer in [false, true] {
        let (connection, _) = connect(Vec::new(), usize::MAX).await;
        let count = Count::default();
        let done = count.clone();
        let greedy = async move {
            let text = "ship ahoy, ".repeat(LEN / 11);
            let mut writer = connection.message_writer(MessageKind::Text);
            while done.get() <= 3 * TURNS * DEFLATED {
                if by_writer {
                    writer.write_all(text.as_bytes()).await.unwrap();
                } else {
                    connection.send(text.as_str()).await.unwrap();
                }
                done.add(LEN);
            }
        };
        let beside = beside(&count, greedy).await;
        beside.check(&count, DEFLATED, &format!("deflated, by a writer: {by_writer}")).await;
    }
}
