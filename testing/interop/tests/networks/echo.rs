//! Our server, which echoes messages, and reports requests and closes to the test.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::routing::any;
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use towline::{
    CloseCode, Closed, Config, Connection, OriginPolicy, Request, Server, ServerBuilder, TlsInfo,
    TlsServer,
};
use towline_axum::{Upgrade, layer};

use crate::bounded::soon;

pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Seen>,
    ends: mpsc::UnboundedReceiver<Closed>,
    accepting: JoinHandle<()>,
}

/// A request, as the server received it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) remote_address: Option<IpAddr>,
    pub(crate) headers: HeaderMap,
    pub(crate) tls: Option<TlsInfo>,
}

impl Echo {
    pub(crate) async fn plain() -> Self {
        Self::start(None).await
    }

    pub(crate) async fn secure(tls: TlsServer) -> Self {
        Self::start(Some(tls)).await
    }

    async fn start(tls: Option<TlsServer>) -> Self {
        let mut builder = builder();
        if let Some(tls) = tls {
            builder = builder.tls(tls);
        }
        let mut server = builder.bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let (requested, requests) = mpsc::unbounded_channel();
        let (ended, ends) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            while let Some(request) = server.next_request().await {
                // Sending fails if the test does not read the reports.
                let _ = requested.send(Seen::new(&request));
                let ended = ended.clone();
                tokio::spawn(async move {
                    if let Ok(connection) = request.accept().await {
                        let _ = ended.send(echo(connection).await);
                    }
                });
            }
        });
        Self { address, requests, ends, accepting }
    }

    /// The same as an axum app.
    pub(crate) async fn under_axum() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requested, requests) = mpsc::unbounded_channel();
        let (ended, ends) = mpsc::unbounded_channel();
        let handle = async move |upgrade: Upgrade| {
            let _ = requested.send(Seen::new(upgrade.request()));
            upgrade.on_connection(async move |connection| {
                let _ = ended.send(echo(connection).await);
            })
        };
        let app = Router::new().route("/", any(handle)).layer(layer(builder().build_handle()));
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let accepting = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, requests, ends, accepting }
    }

    /// Returns its URL with this scheme.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/", self.address)
    }

    /// Returns the next request.
    pub(crate) async fn request(&mut self) -> Seen {
        soon("a request at the server", self.requests.recv()).await.unwrap()
    }

    /// Returns how the next connection to end has ended.
    pub(crate) async fn end(&mut self) -> Closed {
        soon("the end of a connection at the server", self.ends.recv()).await.unwrap()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn builder() -> ServerBuilder {
    Server::builder().config(roomy(Config::server())).origins(OriginPolicy::Any)
}

impl Seen {
    fn new(request: &Request) -> Self {
        Self {
            remote_address: request.remote_address(),
            headers: request.headers().clone(),
            tls: request.tls().cloned(),
        }
    }
}

async fn echo(mut connection: Connection) -> Closed {
    while let Ok(Some(message)) = connection.recv().await {
        if message.as_text() == Some("close") {
            connection.start_close(CloseCode::new(4001), "as you like").unwrap();
        } else if connection.send(message).await.is_err() {
            break;
        }
    }
    connection.wait_closed().await
}

/// Returns `config` with limits for the messages of these tests.
pub(crate) fn roomy(config: Config) -> Config {
    config.max_received_message_size(16 << 20).max_received_frame_size(16 << 20)
}
