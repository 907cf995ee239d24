//! Quotas that several servers share, each on a runtime and a thread of its own.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;
use towline::{
    Client, CloseCause, CloseCode, Config, Connection, Quota, Quotas, Rate, Server, ServerBuilder,
    ServerHandle,
};

use crate::http::{answer, head, header, request, says_from, status};
use crate::loopback::direct;
use crate::wire::settle;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Far more than anything takes.
const LONG: Duration = Duration::from_secs(30);

const HERE: &str = "192.0.2.1:1000";

async fn connected(server: &mut Server, from: &str) -> (Connection, DuplexStream) {
    let mut far = says_from(server, request("/", &[]).as_bytes(), Some(from)).await;
    let connection = server.next_request().await.unwrap().accept().await.unwrap();
    assert_eq!(status(&head(&mut far).await), 101);
    (connection, far)
}

async fn refused(server: &Server, from: &str) -> String {
    let far = says_from(server, request("/", &[]).as_bytes(), Some(from)).await;
    let answer = answer(far).await;
    header(&answer, "x-websocket-reject-reason").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_client_has_one_quota_on_all_servers() {
    let builder = Server::builder()
        .quotas(Quotas::new())
        .max_connections(3)
        .max_connections_per_address(2)
        .max_handshake_rate(Rate::per_minute(5));
    let mut servers = [builder.clone().build(), builder.build()];
    let mut apart = Server::builder().max_connections_per_address(1).build();
    let [first, second] = &mut servers;
    let here = connected(first, HERE).await;
    let _also_here = connected(second, HERE).await;
    assert!(refused(first, HERE).await.contains("(max_connections_per_address)"));
    assert!(refused(second, HERE).await.contains("(max_connections_per_address)"));
    let _other = connected(second, "192.0.2.2:1").await;
    assert!(refused(first, "192.0.2.3:1").await.contains("(max_connections)"));
    let _apart = connected(&mut apart, HERE).await;
    // What is free on one server is free on the other.
    drop(here);
    settle().await;
    let _again = connected(second, HERE).await;
    assert!(refused(first, HERE).await.contains("(max_handshake_rate)"));
    assert!(refused(second, "192.0.2.4:1").await.contains("(max_connections)"));
    for (server, refused) in servers.iter().zip([[1, 1, 1], [1, 1, 0]]) {
        let quotas = server.stats().quotas;
        let of = |quota| (quotas[&quota].limit, quotas[&quota].used, quotas[&quota].refused);
        assert_eq!(of(Quota::Connections), (Some(3), Some(3), refused[0]));
        assert_eq!(of(Quota::ConnectionsPerAddress), (Some(2), Some(2), refused[1]));
        assert_eq!(of(Quota::HandshakeRate), (None, None, refused[2]));
    }
    assert_eq!(apart.stats().quotas[&Quota::ConnectionsPerAddress].used, Some(1));
    // A server that is gone leaves nothing behind.
    let quotas = Quotas::new();
    let mut server = Server::builder().quotas(quotas.clone()).max_connections(5).build();
    let open = connected(&mut server, HERE).await;
    let _unanswered = says_from(&server, request("/", &[]).as_bytes(), None).await;
    settle().await;
    assert_eq!(quotas.connections(), 2);
    drop((server, open));
    settle().await;
    assert_eq!(quotas.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_with_a_rate_alone_counts_no_connections_by_address() {
    let builder = Server::builder().quotas(Quotas::new());
    let mut rate = builder.clone().max_handshake_rate(Rate::per_minute(5)).build();
    let mut limited = builder.max_connections_per_address(1).build();
    let apart = connected(&mut rate, HERE).await;
    let used = |server: &Server| server.stats().quotas[&Quota::ConnectionsPerAddress].used;
    assert_eq!(used(&limited), Some(0));
    let _here = connected(&mut limited, HERE).await;
    // Its end takes nothing from the other server's count.
    drop(apart);
    settle().await;
    assert_eq!(used(&limited), Some(1));
    assert!(refused(&limited, HERE).await.contains("(max_connections_per_address)"));
}

/// A server that accepts everybody and echoes, on a thread and a runtime of its own.
struct OnThread {
    handle: ServerHandle,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl OnThread {
    fn start(builder: ServerBuilder) -> Self {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = builder.bind("127.0.0.1:0").await.unwrap();
                tell.send((server.handle(), server.local_addr().unwrap())).unwrap();
                tokio::spawn(accept(server));
                let _ = stopped.await;
            });
        });
        let (handle, address) = told.recv().unwrap();
        Self { handle, address, stop, thread }
    }
}

async fn accept(mut server: Server) {
    while let Some(request) = server.next_request().await {
        tokio::spawn(async move {
            let mut connection = request.accept().await?;
            while let Some(message) = connection.recv().await? {
                connection.send(message).await?;
            }
            towline::Result::Ok(())
        });
    }
}

/// 120 clients of six addresses connect to three threads at once.
#[tokio::test]
async fn threads_exceed_no_limit_together_and_refuse_nobody_too_many() {
    const CLIENTS: u64 = 120;
    let quotas = Quotas::new();
    let builder =
        Server::builder().quotas(quotas.clone()).max_connections(20).max_connections_per_address(5);
    let threads = [(); 3].map(|()| OnThread::start(builder.clone()));
    let connecting: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let from = format!("203.0.113.{}", number / 3 % 6);
            let address = threads[usize::try_from(number % 3).unwrap()].address;
            tokio::spawn(async move {
                let client = direct().header("x-forwarded-for", &from);
                (from, client.connect(format!("ws://{address}/")).await)
            })
        })
        .collect();
    let mut open = Vec::new();
    for connecting in connecting {
        let (from, connected) = timeout(LONG, connecting).await.unwrap().unwrap();
        open.extend(connected.ok().map(|connection| (from, connection)));
    }
    assert_eq!((open.len(), quotas.connections()), (20, 20));
    for (from, _) in &open {
        assert!(open.iter().filter(|(other, _)| other == from).count() <= 5, "{from}");
    }
    let stats = threads.each_ref().map(|thread| thread.handle.stats());
    let sum = |of: fn(&towline::ServerStats) -> u64| stats.iter().map(of).sum::<u64>();
    assert_eq!(sum(|stats| stats.accepted), 20);
    assert_eq!(sum(|stats| stats.rejected.values().sum()), CLIENTS - 20);
    let refused = sum(|stats| stats.quotas.values().map(|quota| quota.refused).sum());
    assert_eq!(refused, CLIENTS - 20);
    for stats in &stats {
        assert_eq!(stats.quotas[&Quota::Connections].used, Some(20));
        assert!(stats.quotas[&Quota::ConnectionsPerAddress].used <= Some(5));
    }
    // All places are free again, and there are 20 of them.
    drop(open);
    let is_empty = async {
        while quotas.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, is_empty).await.expect("the places are free");
    let mut open = Vec::new();
    for number in 0..21 {
        let address = threads[number % 3].address;
        let client = direct().header("x-forwarded-for", format!("203.0.113.{}", number % 6));
        open.extend(client.connect(format!("ws://{address}/")).await.ok());
    }
    assert_eq!(open.len(), 20);
    for OnThread { stop, thread, .. } in threads {
        drop(stop);
        thread.join().unwrap();
    }
    // What ended with its runtime does not count.
    assert_eq!(quotas.connections(), 0);
}

/// Connections that end with their runtime stay in the sums.
#[tokio::test]
async fn sums_do_not_decrease_when_a_runtime_is_shut_down() {
    let OnThread { handle, address, stop, thread } = OnThread::start(Server::builder());
    let mut open = Vec::new();
    for _ in 0..20 {
        let mut connection = direct().connect(format!("ws://{address}/")).await.unwrap();
        connection.send("ahoy").await.unwrap();
        timeout(LONG, connection.recv()).await.unwrap().unwrap().unwrap();
        open.push(connection);
    }
    let messages = |stats: &towline::ServerStats| (stats.sent.messages, stats.received.messages);
    let all_are_counted = async {
        while messages(&handle.stats()) != (20, 20) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, all_are_counted).await.expect("they are counted");
    let before = handle.stats();
    drop(stop);
    thread.join().unwrap();
    let after = handle.stats();
    assert_eq!((before.connections, after.connections, after.connections_total), (20, 0, 20));
    assert_eq!(messages(&after), (20, 20));
    assert!(after.sent.wire_bytes >= before.sent.wire_bytes, "{after:?}");
    assert!(after.received.wire_bytes >= before.received.wire_bytes, "{after:?}");
}

/// A server on this runtime, with a connection on which so many bytes are queued.
fn holding(runtime: &Runtime, builder: ServerBuilder, bytes: usize) -> (Server, [Connection; 2]) {
    runtime.block_on(async {
        let mut server = builder.build();
        let (near, far) = tokio::io::duplex(4 * KIB);
        server.serve(near, None);
        let connecting = tokio::spawn(Client::new().connect_over(far, "ws://h/"));
        let connection = server.next_request().await.unwrap().accept().await.unwrap();
        let client = connecting.await.unwrap().unwrap();
        connection.send(vec![7; bytes]).await.unwrap();
        (server, [connection, client])
    })
}

#[test]
fn who_holds_most_memory_is_closed_on_whichever_thread() {
    let runtime = || Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtimes = [(); 3].map(|()| runtime());
    let config = Config::server().send_high_water_mark(MIB);
    let builder = Server::builder().config(config).quotas(Quotas::new()).max_buffered_bytes(MIB);
    let (first, [most, _a]) = holding(&runtimes[0], builder.clone(), 500 * KIB);
    let (second, [less, _b]) = holding(&runtimes[1], builder.clone(), 300 * KIB);
    assert!(most.is_open() && less.is_open());
    // The third has less than either, and exceeds the limit.
    let (third, [least, _c]) = holding(&runtimes[2], builder, 250 * KIB);
    let closed = runtimes[0].block_on(async { timeout(LONG, most.sender().wait_closed()).await });
    let closed = closed.expect("an end");
    assert_eq!(closed.cause(), CloseCause::Aborted);
    assert_eq!(closed.sent().unwrap().code(), CloseCode::TRY_AGAIN_LATER);
    assert!(closed.sent().unwrap().reason().contains("(max_buffered_bytes)"));
    assert!(less.is_open() && least.is_open());
    let is_relieved = async {
        while third.stats().quotas[&Quota::BufferedBytes].closed == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    runtimes[2].block_on(async { timeout(LONG, is_relieved).await }).expect("it is counted");
    assert_eq!(first.stats().closed[&CloseCode::TRY_AGAIN_LATER], 1);
    assert_eq!(first.stats().buffered_bytes, Some(0));
    for (server, own) in [(&second, 300), (&third, 250)] {
        let stats = server.stats();
        let own = own * KIB;
        assert!(stats.buffered_bytes.unwrap().abs_diff(own) < 16 * KIB, "{stats:?}");
        let quota = &stats.quotas[&Quota::BufferedBytes];
        assert_eq!(quota.limit, Some(MIB as u64));
        let used = usize::try_from(quota.used.unwrap()).unwrap();
        assert!(used.abs_diff(550 * KIB) < 16 * KIB, "{stats:?}");
    }
    // A server that is gone holds nothing.
    drop((second, less, _b));
    let is_gone = async {
        while third.stats().quotas[&Quota::BufferedBytes].used > Some(270 * KIB as u64) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    runtimes[2].block_on(async { timeout(LONG, is_gone).await }).expect("it holds nothing");
}

#[tokio::test(start_paused = true)]
async fn what_quotas_have_done_is_counted_by_quota() {
    let builder = Server::builder()
        .max_connections(1)
        .max_message_rate(Rate::per_second(10).burst(5))
        .max_handshakes(7);
    let mut server = builder.clone().build();
    let (mut connection, mut far) = connected(&mut server, HERE).await;
    refused(&server, HERE).await;
    refused(&server, HERE).await;
    // The empty texts of a client, of which the last one waits for a tenth of a second.
    far.write_all(&[0x81, 0x80, 0, 0, 0, 0].repeat(6)).await.unwrap();
    for _ in 0..6 {
        connection.recv().await.unwrap().unwrap();
    }
    let quotas = server.stats().quotas;
    assert_eq!(quotas.len(), 3, "{quotas:?}");
    let counts = |quota| {
        let quota = &quotas[&quota];
        (quota.refused, quota.slowed, quota.closed)
    };
    assert_eq!(counts(Quota::Connections), (2, 0, 0));
    assert_eq!(counts(Quota::MessageRate), (0, 1, 0));
    assert_eq!(counts(Quota::Handshakes), (0, 0, 0));
    assert_eq!(quotas[&Quota::Handshakes].limit, Some(7));
    // The next server closes instead.
    let close = towline::WhenTooFast::Close;
    let mut server = builder.max_byte_rate(Rate::per_second(20)).when_too_fast(close).build();
    let (mut connection, mut far) = connected(&mut server, HERE).await;
    far.write_all(&[0x81, 0x80, 0, 0, 0, 0].repeat(4)).await.unwrap();
    assert!(connection.recv().await.is_err());
    drop((connection, far));
    settle().await;
    let quotas = server.stats().quotas;
    assert_eq!(quotas[&Quota::ByteRate].closed, 1);
    assert_eq!((quotas[&Quota::ByteRate].slowed, quotas[&Quota::MessageRate].closed), (0, 0));
    assert_eq!(quotas[&Quota::Connections].used, Some(0));
}
