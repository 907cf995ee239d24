//! Code of the program's that panics, in its task, in its stream or in its logging: that is the end
//! of the connection it belongs to, and no matter to any other.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::time::timeout;
use towline::{CloseCause, CloseCode, Config, Connection, Keepalive, Role, Sender, Server};
use towline_kit::frame;

use crate::http::{head, request, says};
use crate::wire::{Far, connect, settle};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Role; 2] = [Role::Server, Role::Client];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Read,
    Write,
    Flush,
    Shutdown,
    Drop,
    Nothing,
}

/// A stream that panics in one of its methods, once that is armed.
struct Panics {
    inner: DuplexStream,
    at: In,
}

impl Panics {
    fn check(&self, here: In) {
        if self.at == here && !std::thread::panicking() {
            panic!("the program's stream, in {here:?}");
        }
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.check(In::Drop);
    }
}

impl AsyncRead for Panics {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(In::Read);
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Panics {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(In::Write);
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(In::Flush);
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(In::Shutdown);
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn config() -> Config {
    Config::server().keepalive(Keepalive::every(20 * SECOND).grace(10 * SECOND))
}

/// Connections of this thread whose peers say nothing: they are found, whatever happens elsewhere.
fn mutes() -> Vec<(Connection, Far)> {
    (0..3).map(|_| connect(Role::Server, &config())).collect()
}

async fn are_found(mutes: Vec<(Connection, Far)>, what: &str) {
    for (connection, _far) in mutes {
        let sender = connection.sender();
        let closed = timeout(100 * SECOND, sender.wait_closed()).await;
        let closed = closed.unwrap_or_else(|_| panic!("{what}: a mute peer is not found"));
        assert_eq!(closed.cause(), CloseCause::PeerUnresponsive, "{what}");
    }
}

async fn ends(sender: Sender, what: &str) {
    let closed = timeout(200 * SECOND, sender.wait_closed()).await;
    assert!(closed.is_ok(), "{what}: it does not end");
    assert!(!sender.is_open());
    assert!(sender.send("late").await.is_err());
}

/// Whoever calls the stream: the program's tasks, the library's, or the timekeeper.
#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_ends_its_own_connection_and_harms_no_other() {
    for role in BOTH {
        for at in [In::Read, In::Write, In::Flush, In::Shutdown, In::Drop] {
            for by in ["nobody", "receiving", "sending", "closing", "flushing", "dropping"] {
                let what = format!("{role:?}, in {at:?}, by {by}");
                let before = mutes();
                let (inner, mut far) = duplex(4096);
                let stream = Panics { inner, at };
                let connection =
                    Connection::from_stream(stream, role, &config(), [].as_slice().into());
                let after = mutes();
                let sender = connection.sender();
                let task = tokio::spawn(async move {
                    let mut connection = connection;
                    match by {
                        "receiving" => drop(connection.recv().await),
                        "sending" => drop(connection.send("hi").await),
                        "closing" => drop(connection.close(CloseCode::NORMAL, "").await),
                        "flushing" => {
                            let _ = connection.send("hi").await;
                            connection.flushed().await;
                        }
                        "dropping" => return,
                        _ => {}
                    }
                    std::future::pending::<()>().await;
                });
                settle().await;
                let _ = tokio::io::AsyncWriteExt::write_all(
                    &mut far,
                    &frame()
                        .text("hi")
                        .by(if role == Role::Server { Role::Client } else { Role::Server })
                        .bytes(),
                )
                .await;
                are_found(before, &what).await;
                are_found(after, &what).await;
                task.abort();
                let _ = task.await;
                if by == "dropping" && sender.is_open() {
                    continue;
                }
                ends_or_is_closed(sender, &what).await;
            }
        }
    }
}

/// One that the panic has not reached is closed as any other.
async fn ends_or_is_closed(sender: Sender, what: &str) {
    let closing = AssertUnwindSafe(async {
        let _ = sender.start_close(CloseCode::NORMAL, "");
    });
    let _ = closing.catch_unwind().await;
    ends(sender, what).await;
}

/// Writing a keepalive ping is the timekeeper's: a stream that panics there must not take it along.
#[tokio::test(start_paused = true)]
async fn many_streams_that_panic_under_the_timekeeper_harm_no_other() {
    let mut panicking = Vec::new();
    let mut mute = Vec::new();
    for at in [In::Write, In::Flush, In::Read, In::Drop, In::Nothing].repeat(20) {
        mute.extend(mutes());
        let (inner, far) = duplex(4096);
        let stream = Panics { inner, at };
        let connection =
            Connection::from_stream(stream, Role::Server, &config(), [].as_slice().into());
        panicking.push((connection, far));
    }
    are_found(mute, "beside panics").await;
    for (connection, _far) in panicking {
        ends(connection.sender(), "it has panicked or is mute").await;
    }
}

/// A subscriber that panics at every event.
#[derive(Clone)]
struct Subscriber;

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        panic!("the program's subscriber");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_panics_harms_no_connection() {
    let mut server = Server::builder().config(config()).build();
    let mut connections = Vec::new();
    for _ in 0..50 {
        let mut far = says(&server, request("/", &[]).as_bytes()).await;
        let connection = server.next_request().await.unwrap().accept().await.unwrap();
        head(&mut far).await;
        connections.push((connection, far));
    }
    let all = server.connections();
    let guard = towline_kit::subscribe(Subscriber);
    let senders: Vec<_> = connections.iter().map(|(connection, _)| connection.sender()).collect();
    // All are found to be mute in the same moment, and each is told to the subscriber.
    for sender in &senders {
        let closed = timeout(100 * SECOND, sender.wait_closed()).await;
        assert_eq!(closed.expect("found").cause(), CloseCause::PeerUnresponsive);
    }
    drop(guard);
    assert!(all.is_empty());
    are_found(mutes(), "after the subscriber").await;
}

/// Nothing would ever be due there: better to say so at once than never.
#[test]
fn a_connection_in_a_runtime_without_time_is_refused_where_it_is_made() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let result = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { drop(connect(Role::Server, &Config::server())) });
    }));
    assert!(result.is_err());
    // Elsewhere on this thread, all is well.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, far) = connect(Role::Server, &Config::server());
        connection.send("hi").await.unwrap();
        settle().await;
        assert_eq!(far.hears().len(), 1);
    });
}

/// What holds the connection, and so is dropped when its task panics.
#[derive(Debug, Clone, Copy)]
enum Held {
    Whole,
    Halves,
    SenderElsewhere,
    SenderGoneBefore,
}

/// Runs a task that holds the connection so and then panics, or only ends.
async fn handled(connection: Connection, held: Held, panics: bool) {
    let elsewhere = connection.sender();
    let ends = move || {
        if panics {
            panic!("the handler");
        }
    };
    let task = match held {
        Held::Whole => tokio::spawn(async move {
            let _connection = connection;
            tokio::task::yield_now().await;
            ends();
        }),
        Held::Halves | Held::SenderElsewhere | Held::SenderGoneBefore => {
            let (sender, mut receiver) = connection.split();
            tokio::spawn(async move {
                // It has waited, as a handler does.
                assert!(receiver.recv().now_or_never().is_none());
                if let Held::SenderGoneBefore = held {
                    drop(sender);
                    ends();
                } else {
                    let _both = (sender, receiver);
                    ends();
                }
            })
        }
    };
    let elsewhere = match held {
        Held::SenderElsewhere => Some(elsewhere),
        _ => {
            drop(elsewhere);
            None
        }
    };
    assert_eq!(task.await.is_err(), panics);
    settle().await;
    // Not by the one that has panicked.
    drop(elsewhere);
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_handler_panics_is_closed_with_1011_and_else_with_1001() {
    for role in BOTH {
        let all = [Held::Whole, Held::Halves, Held::SenderElsewhere, Held::SenderGoneBefore];
        for held in all {
            for panics in [true, false] {
                let (connection, far) = connect(role, &Config::server());
                connection.send("before").await.unwrap();
                handled(connection, held, panics).await;
                let heard = far.hears();
                assert_eq!(heard.len(), 2, "{held:?}, {panics}");
                let code = if panics { 1011 } else { 1001 };
                assert_eq!(heard[1].close().code().get(), code, "{role:?}, {held:?}");
            }
        }
    }
}
