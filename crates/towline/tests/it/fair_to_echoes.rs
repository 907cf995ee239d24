//! Promise 13, as another connection sees it: while one connection does its worst, an echo on
//! another connection of the same thread waits for a bounded amount of its work.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::task::JoinHandle;
use towline::{CloseCode, Config, Connection, Keepalive, Message, MessageKind, Role};
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
/// The task that sends deflates 128 KiB, and so does the task that writes what is queued.
const DEFLATED: usize = 2 * (128 << 10);
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
    fn of(count: impl Fn() -> usize + Send + 'static) -> Self {
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
            let (echoes, most) = (echoes.clone(), most.clone());
            async move {
                loop {
                    let before = count();
                    client.send("are you there?").await.unwrap();
                    client.recv().await.unwrap().unwrap();
                    most.fetch_max(count() - before, Ordering::Relaxed);
                    echoes.add(1);
                }
            }
        });
        Self { tasks: [echoing, asking], echoes, most }
    }

    /// Checks that each echo waited for so much in one turn at most, and in [`TURNS`] of them.
    async fn check(self, done: usize, in_one_turn: usize, what: &str) {
        // An echo in progress is one that counts as well.
        let before = self.echoes.get();
        while self.echoes.get() < before + 2 {
            tokio::task::yield_now().await;
        }
        self.tasks.iter().for_each(JoinHandle::abort);
        let (most, echoes) = (self.most.load(Ordering::Relaxed), self.echoes.get());
        let bound = TURNS * in_one_turn;
        assert!(done > 2 * bound, "{what}: only {done} were done");
        assert!(most > 0, "{what}: nothing was done during an echo");
        assert!(most <= bound, "{what}: an echo waited for {most}, {bound} at most ({echoes})");
    }
}

/// Runs a greedy task beside an echo.
async fn beside(count: &Count, task: impl Future<Output = ()> + Send + 'static) -> Beside {
    let count = count.clone();
    let beside = Beside::of(move || count.get());
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
        beside.check(count.get(), bound, &format!("messages of {unit}")).await;
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
        beside.check(read.get(), FRAMES, "frames").await;
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
        beside.check(count.get(), INFLATED, &format!("inflated, in pieces: {in_pieces}")).await;
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
    beside.check(count.get(), INFLATED, "skipped").await;
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
        beside.check(count.get(), bound, &format!("sends of {len} bytes")).await;
    }
}

/// The ways to send much that is deflated.
#[derive(Debug, Clone, Copy)]
enum By {
    Send,
    TrySend,
    Sink,
}

/// The program's messages have 32 KiB. With `TrySend` they answer tiny ones, so nothing waits but the
/// receiver.
#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_some_of_what_is_deflated() {
    let says = deflated(Message::text("a")).await;
    for by in [By::Send, By::TrySend, By::Sink] {
        let (mut connection, _) = connect(says.clone(), usize::MAX).await;
        let sender = connection.sender();
        let deflated = move || usize::try_from(sender.stats().sent.plain_bytes).unwrap();
        let beside = Beside::of(deflated.clone());
        let done = deflated.clone();
        let greedy = async move {
            let text = "ship ahoy, ".repeat((32 << 10) / 11);
            while done() <= 3 * TURNS * DEFLATED {
                match by {
                    By::Send => connection.send(text.as_str()).await.unwrap(),
                    By::Sink => connection.feed(Message::text(text.as_str())).await.unwrap(),
                    By::TrySend => {
                        connection.recv().await.unwrap().unwrap();
                        // It is full until the queue is written.
                        let _ = connection.try_send(text.as_str());
                    }
                }
            }
            connection
        };
        let _connection = tokio::spawn(greedy).await.unwrap();
        beside.check(deflated(), DEFLATED, &format!("deflated, by {by:?}")).await;
    }
}

/// What is written to a message's writer is never compressed.
#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_some_of_what_is_written() {
    const LEN: usize = 32 << 10;
    let (connection, _) = connect(Vec::new(), usize::MAX).await;
    let count = Count::default();
    let done = count.clone();
    let greedy = async move {
        let text = "ship ahoy, ".repeat(LEN / 11);
        let mut writer = connection.message_writer(MessageKind::Text);
        while done.get() <= 3 * TURNS * BYTES {
            writer.write_all(text.as_bytes()).await.unwrap();
            done.add(text.len());
        }
        assert_eq!(connection.stats().sent.plain_bytes, 0);
    };
    let beside = beside(&count, greedy).await;
    beside.check(count.get(), BYTES, "written").await;
}

/// Lets the clock go on, as while a program computes: no other task runs.
fn compute(time: Duration) {
    let advancing = pin!(tokio::time::advance(time));
    // The first poll moves the clock, and waits for other tasks to run.
    let _ = advancing.poll(&mut Context::from_waker(Waker::noop()));
}

/// The work on a message is small, and the program's is not.
#[tokio::test(start_paused = true)]
async fn an_echo_waits_for_some_of_the_time_of_a_costly_handler() {
    for (micros, is_lent) in [20, 100, 5_000].into_iter().flat_map(|m| [(m, false), (m, true)]) {
        // At first, the clock is read once in 64 messages.
        let at_first = 64 * micros + 1_000;
        let after_a_while = 4 * micros.max(1_000);
        for (skipped, bound) in [(0, at_first), (1_000, after_a_while)] {
            let (connection, _) = endless(join([frame().text("a")]));
            let count = Count::default();
            let done = count.clone();
            let greedy = async move {
                let (sender, mut receiver) = connection.split();
                let mut received = 0;
                while done.get() <= 3 * TURNS * bound {
                    if is_lent {
                        receiver.recv_ref().await.unwrap().unwrap();
                    } else {
                        receiver.recv().await.unwrap().unwrap();
                    }
                    compute(Duration::from_micros(micros as u64));
                    received += 1;
                    done.add(if received > skipped { micros } else { 0 });
                }
                // Dropping what never ends takes turns of its own.
                sender.abort(CloseCode::GOING_AWAY, "");
            };
            let beside = beside(&count, greedy).await;
            let what = format!("handlers of {micros} µs, after {skipped}, lent: {is_lent}");
            beside.check(count.get(), bound, &what).await;
        }
    }
}
