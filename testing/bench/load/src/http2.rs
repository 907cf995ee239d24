//! Keeps messages in flight on WebSockets over HTTP/2 (RFC 8441): each is a stream of one connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Ping, RecvStream, SendStream};
use http::{Method, Request, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connecting::PATIENCE;
use crate::echo::{Plan, Report, Totals};
use crate::frames::{Expected, Traffic};
use crate::process::Watched;
use crate::replies::Replies;

/// The receive window of a stream in bytes: all messages in flight fit.
const STREAM_WINDOW: u32 = 4 << 20;

/// The receive window of the connection in bytes. h2's limit of unread small frames is proportional to it,
/// and a server may send a frame for each message.
const CONNECTION_WINDOW: u32 = 64 << 20;

/// What all WebSockets share.
struct Load {
    traffic: Traffic,
    /// The frames to send, which h2 takes without a copy.
    wire: Bytes,
    expected: Expected,
    complete: AtomicU64,
    bytes: AtomicU64,
    compared: AtomicU64,
}

/// # Errors
///
/// If the server fails, has no WebSockets over HTTP/2, answers with anything other than an echo, or does not
/// answer in time.
pub(crate) fn run(
    plan: &Plan,
    traffic: Traffic,
    expected: Expected,
    server: &Watched,
) -> Result<Report> {
    let wire = Bytes::copy_from_slice(&traffic.wire);
    let load = Arc::new(Load {
        traffic,
        wire,
        expected,
        complete: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        compared: AtomicU64::new(0),
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(plan, &load, server))
}

async fn measure(plan: &Plan, load: &Arc<Load>, server: &Watched) -> Result<Report> {
    let sockets = timeout(PATIENCE, connect(plan.address, plan.connections));
    let sockets = sockets.await.context("no answer to the handshakes")??;
    let mut tasks = JoinSet::new();
    for mut socket in sockets {
        socket.send(plan.in_flight as u64, load)?;
        tasks.spawn(socket.converse(load.clone()));
    }
    run_for(plan.warm_up, &mut tasks, load).await?;

    let own = Watched::new(process::id());
    let (first, first_own, began) = (server.usage()?, own.usage()?, Instant::now());
    let before = load.complete.load(Relaxed);
    run_for(plan.measured, &mut tasks, load).await?;
    let messages = load.complete.load(Relaxed) - before;
    let (last, last_own, seconds) = (server.usage()?, own.usage()?, began.elapsed());
    let totals = Totals {
        complete: load.complete.load(Relaxed),
        bytes: load.bytes.load(Relaxed),
        compared: load.compared.load(Relaxed),
    };
    let usage = (last.since(&first), last_own.since(&first_own));
    Report::new(messages, load.traffic.shape.size, seconds, usage, &totals)
}

/// Waits, unless one of the tasks fails or no reply comes.
async fn run_for(
    time: Duration,
    tasks: &mut JoinSet<Result<Infallible>>,
    load: &Load,
) -> Result<()> {
    let end = Instant::now() + time;
    let (mut complete, mut last) = (load.complete.load(Relaxed), Instant::now());
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(());
        }
        let count = load.complete.load(Relaxed);
        if count > complete {
            (complete, last) = (count, now);
        }
        ensure!(now - last < PATIENCE, "no reply for {} s", PATIENCE.as_secs());
        tokio::select! {
            () = sleep((end - now).min(Duration::from_millis(50))) => {}
            Some(ended) = tasks.join_next() => match ended? {
                Err(error) => return Err(error),
            },
        }
    }
}

/// Opens one HTTP/2 connection with this many WebSockets.
async fn connect(address: SocketAddr, count: usize) -> Result<Vec<Socket>> {
    let stream = TcpStream::connect(address).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    let (mut requests, mut connection) = client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .enable_push(false)
        .handshake::<_, Bytes>(stream)
        .await
        .context("no HTTP/2")?;
    let pings = connection.ping_pong();
    // Its error is that of every stream too.
    tokio::spawn(connection);
    // A server's settings come before its pong.
    let mut pings = pings.context("no pings")?;
    pings.ping(Ping::opaque()).await.context("no HTTP/2")?;
    ensure!(
        requests.is_extended_connect_protocol_enabled(),
        "the server has no WebSockets over HTTP/2 (SETTINGS_ENABLE_CONNECT_PROTOCOL)"
    );
    let most = requests.current_max_send_streams();
    ensure!(count <= most, "the server allows {most} streams, fewer than {count}");

    let mut asked = Vec::with_capacity(count);
    for _ in 0..count {
        let request;
        (requests, request) = ask(requests, address).await?;
        asked.push(request);
    }
    let mut sockets = Vec::with_capacity(count);
    for (response, sending) in asked {
        let receiving = check(response.await.context("no answer to a request")?)?;
        sockets.push(Socket { sending, receiving, replies: Replies::default(), asked: 0, next: 0 });
    }
    Ok(sockets)
}

async fn ask(
    requests: SendRequest<Bytes>,
    address: SocketAddr,
) -> Result<(SendRequest<Bytes>, (ResponseFuture, SendStream<Bytes>))> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://{address}/"))
        .header("sec-websocket-version", "13")
        .body(())?;
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let mut requests = requests.ready().await.context("cannot send a request")?;
    let request = requests.send_request(request, false).context("cannot send a request")?;
    Ok((requests, request))
}

fn check(response: Response<RecvStream>) -> Result<RecvStream> {
    let (status, headers) = (response.status(), response.headers());
    ensure!(status == StatusCode::OK, "the server answered {status}");
    ensure!(!headers.contains_key("sec-websocket-extensions"), "an extension nobody asked for");
    Ok(response.into_body())
}

/// One WebSocket.
struct Socket {
    sending: SendStream<Bytes>,
    receiving: RecvStream,
    replies: Replies,
    /// The number of messages sent.
    asked: u64,
    /// The position in the traffic.
    next: usize,
}

impl Socket {
    /// Sends this many messages, adjacent ones together. h2 keeps them until there is room.
    fn send(&mut self, messages: u64, load: &Load) -> Result<()> {
        let mut left = usize::try_from(load.traffic.length(self.asked, messages))?;
        self.asked += messages;
        while left > 0 {
            let end = load.wire.len().min(self.next + left);
            let bytes = load.wire.slice(self.next..end);
            left -= bytes.len();
            self.next = end % load.wire.len();
            self.sending.send_data(bytes, false).context("cannot write")?;
        }
        Ok(())
    }

    /// Answers each reply with the next message.
    async fn converse(mut self, load: Arc<Load>) -> Result<Infallible> {
        loop {
            let (bytes, compared) = (self.replies.bytes, self.replies.compared);
            let complete = poll_fn(|cx| self.poll_replies(cx, &load.expected)).await?;
            load.complete.fetch_add(complete, Relaxed);
            load.bytes.fetch_add(self.replies.bytes - bytes, Relaxed);
            load.compared.fetch_add(self.replies.compared - compared, Relaxed);
            self.send(complete, &load)?;
        }
    }

    /// Takes everything that has arrived, until there is a reply.
    fn poll_replies(
        &mut self,
        cx: &mut std::task::Context<'_>,
        expected: &Expected,
    ) -> Poll<Result<u64>> {
        let mut complete = 0;
        loop {
            let data = match self.receiving.poll_data(cx) {
                Poll::Pending if complete > 0 => return Poll::Ready(Ok(complete)),
                polled => ready!(polled),
            };
            match self.take(data, expected) {
                Ok(replies) => complete += replies,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn take(&mut self, data: Option<Result<Bytes, h2::Error>>, expected: &Expected) -> Result<u64> {
        let Some(data) = data else { bail!("the server ended a stream") };
        let data = data.context("a stream is lost")?;
        self.receiving.flow_control().release_capacity(data.len())?;
        self.replies.take(&data, expected)
    }
}

#[cfg(test)]
mod tests {
    use h2::server;
    use tokio::net::TcpListener;

    use super::*;
    use crate::frames::{Compression, Kind, Shape};

    /// How the server of a test differs from an echo of raw bytes.
    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        /// It has no extended CONNECT.
        NoSetting,
        FewStreams,
        Refuses,
        /// It changes a byte.
        Corrupts,
        Ends,
    }

    /// Serves one connection.
    async fn serve(listener: TcpListener, fault: Fault) -> Result<()> {
        let (stream, _) = listener.accept().await?;
        let mut builder = server::Builder::new();
        if fault != Fault::NoSetting {
            builder.enable_connect_protocol();
        }
        if fault == Fault::FewStreams {
            builder.max_concurrent_streams(2);
        }
        let mut connection = builder.handshake::<_, Bytes>(stream).await?;
        while let Some(accepted) = connection.accept().await {
            let (request, mut respond) = accepted?;
            let protocol = request.extensions().get::<Protocol>().map(Protocol::as_str);
            let is_websocket = request.method() == Method::CONNECT && protocol == Some("websocket");
            let is_accepted = is_websocket && fault != Fault::Refuses;
            let status = if is_accepted { StatusCode::OK } else { StatusCode::FORBIDDEN };
            let response = Response::builder().status(status).body(())?;
            let sending = respond.send_response(response, !is_accepted)?;
            if is_accepted {
                tokio::spawn(echo(request.into_body(), sending, fault));
            }
        }
        Ok(())
    }

    async fn echo(
        mut receiving: RecvStream,
        mut sending: SendStream<Bytes>,
        fault: Fault,
    ) -> Result<()> {
        while let Some(data) = receiving.data().await {
            let mut data = data?.to_vec();
            receiving.flow_control().release_capacity(data.len())?;
            if fault == Fault::Corrupts {
                *data.last_mut().context("an empty frame")? ^= 1;
            }
            sending.send_data(data.into(), fault == Fault::Ends)?;
        }
        Ok(())
    }

    /// Loads a server with raw echoes, of three messages in flight on each of four WebSockets.
    fn run_against(fault: Fault, size: usize) -> Result<Report> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        runtime.spawn(serve(listener, fault));
        let shape = Shape { kind: Kind::Binary, size, compression: Compression::Off };
        let traffic = Traffic::new(shape, 3);
        let expected = Expected::new(&traffic, true, 1);
        let measured = Duration::from_millis(200);
        let plan =
            Plan { address, connections: 4, in_flight: 3, warm_up: measured, measured, tls: None };
        run(&plan, traffic, expected, &Watched::new(process::id()))
    }

    #[test]
    fn messages_go_round_and_are_compared() {
        // Several frames of HTTP/2 to a message, and several messages to a frame.
        for size in [0, 32, 100_000] {
            let report = run_against(Fault::None, size).expect("an echo");
            let report = serde_json::to_value(report).expect("numbers");
            let messages = report["messages"].as_u64().expect("a number");
            let compared = report["compared"].as_u64().expect("a number");
            assert!(messages > 0 && compared >= messages, "{report}");
            assert_eq!(report["bytes"], messages * size as u64);
            assert_eq!(report["reply_bytes"].as_f64(), u32::try_from(size).ok().map(f64::from));
        }
    }

    #[test]
    fn a_server_that_is_no_echo_is_refused() {
        for (fault, said) in [
            (Fault::NoSetting, "SETTINGS_ENABLE_CONNECT_PROTOCOL"),
            (Fault::FewStreams, "allows 2 streams, fewer than 4"),
            (Fault::Refuses, "answered 403"),
            (Fault::Corrupts, "a reply differs"),
            (Fault::Ends, "the server ended a stream"),
        ] {
            let error = run_against(fault, 32).err().expect("an error");
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }
}
