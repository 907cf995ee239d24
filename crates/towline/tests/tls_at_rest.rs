//! Promise 11, over TLS: an idle connection keeps no buffer; and one whose peer does not read costs no
//! more than was agreed on.
//!
//! A binary of its own, since it counts what is allocated: by the thread of the server, which the
//! clients are not on.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use futures_util::FutureExt as _;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use towline::{Client, Config, Connection, Message, Server, Tls, TlsServer};

/// What an idle server's connection may have on the heap, tokio's part of its socket included.
const BUDGET: i64 = 5_250;

const COUNT: usize = 50;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A server, and clients on another thread that do this and keep what comes of it, one after the other
/// as they are called.
struct Harbour {
    runtime: Runtime,
    server: Server,
    calls: mpsc::UnboundedSender<()>,
    _over: oneshot::Sender<()>,
}

impl Harbour {
    fn new<F>(
        config: Config,
        is_secure: bool,
        does: impl Fn(Client, String) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Connection>,
    {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (chain, key) = (cert.pem(), signing_key.serialize_pem());
        let tls = TlsServer::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let runtime = runtime();
        let server = Server::builder().config(config).auto_accept(true);
        let (server, scheme) = if is_secure { (server.tls(tls), "wss") } else { (server, "ws") };
        let server = runtime.block_on(server.bind("127.0.0.1:0")).unwrap();
        let url = format!("{scheme}://{}/", server.local_addr().unwrap());
        let tls = Tls::new().only_added_roots().add_roots_pem(chain.as_bytes()).unwrap();
        let client = Client::new().tls(tls);
        let (calls, mut called) = mpsc::unbounded_channel();
        let (over, is_over) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            self::runtime().block_on(async {
                let mut kept = Vec::new();
                while called.recv().await.is_some() {
                    kept.push(does(client.clone(), url.clone()).await);
                }
                let _ = is_over.await;
            });
        });
        Self { runtime, server, calls, _over: over }
    }

    /// So many connections, to each of which this is done.
    fn connections(&mut self, does: impl AsyncFn(&mut Connection)) -> Vec<Connection> {
        let Self { runtime, server, calls, .. } = self;
        runtime.block_on(async {
            let mut all = Vec::with_capacity(COUNT);
            for _ in 0..COUNT {
                calls.send(()).unwrap();
                let mut connection = server.next_connection().await.unwrap();
                does(&mut connection).await;
                all.push(connection);
            }
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            all
        })
    }
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    for len in [32, 16 << 10, 1 << 20] {
        let mut harbour = Harbour::new(Config::server(), true, move |client, url| async move {
            let mut connection = client.connect(url).await.unwrap();
            connection.send(vec![7; len]).await.unwrap();
            assert_eq!(connection.recv().await.unwrap().unwrap().len(), len);
            assert_eq!(connection.tls().unwrap().version, "TLS 1.3");
            connection
        });
        let echo = async |connection: &mut Connection| {
            let message = connection.recv().await.unwrap().unwrap();
            connection.send(message).await.unwrap();
            connection.flushed().await;
            // And it waits for more.
            assert!(connection.recv().now_or_never().is_none());
        };
        // What the thread keeps for all connections is there then.
        drop(harbour.connections(echo));
        let mut idle = Vec::new();
        let used = allocation_counter::measure(|| idle = harbour.connections(echo));
        let each = used.bytes_current / COUNT as i64;
        println!("{each} bytes each, after {len} bytes there and back");
        assert!(each <= BUDGET, "{each} bytes each, after {len} bytes there and back");
    }
}

#[test]
fn a_peer_that_does_not_read_costs_what_was_agreed_on() {
    const MARK: usize = 64 << 10;
    /// What the documentation of `ServerBuilder::tls` says.
    const BESIDE: i64 = 80 << 10;
    let fill = async |connection: &mut Connection| {
        let mut refused = 0;
        while refused < 10 {
            match connection.try_send(Message::binary(vec![1; 1000])) {
                Ok(()) => refused = 0,
                Err(_) => {
                    refused += 1;
                    sleep(Duration::from_millis(2)).await;
                }
            }
        }
    };
    let [plain, secure] = [false, true].map(|is_secure| {
        let config = Config::server().send_high_water_mark(MARK);
        // It does not even answer pings.
        let connects =
            |client: Client, url: String| async move { client.connect(url).await.unwrap() };
        let mut harbour = Harbour::new(config, is_secure, connects);
        drop(harbour.connections(fill));
        let mut full = Vec::new();
        let used = allocation_counter::measure(|| full = harbour.connections(fill));
        used.bytes_current / COUNT as i64
    });
    println!("{plain} bytes each of a peer that does not read, and {secure} over TLS");
    assert!(secure - plain <= BUDGET + BESIDE, "{plain} bytes each, and {secure} over TLS");
}
