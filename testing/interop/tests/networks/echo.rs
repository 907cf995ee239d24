//! Our server, which echoes messages, and reports requests and closes to the test.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use towline::{CloseCode, Closed, Config, OriginPolicy, Request, Server, TlsInfo, TlsServer};

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
        let mut builder = Server::builder().config(roomy(Config::server()));
        builder = builder.origins(OriginPolicy::Any);
        if let Some(tls) = tls {
            builder = builder.tls(tls);
        }
        let mut server = builder.bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let (requested, requests) = mpsc::unbounded_channel();
        let (ended, ends) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            while let Some(request) = server.next_request().await {
                let seen = Seen {
                    remote_address: request.remote_address(),
                    headers: request.headers().clone(),
                    tls: request.tls().cloned(),
                };
                // Sending fails if the test does not read the reports.
                let _ = requested.send(seen);
                let ended = ended.clone();
                tokio::spawn(async move {
                    if let Some(closed) = echo(request).await {
                        let _ = ended.send(closed);
                    }
                });
            }
        });
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

async fn echo(request: Request) -> Option<Closed> {
    let mut connection = request.accept().await.ok()?;
    while let Ok(Some(message)) = connection.recv().await {
        if message.as_text() == Some("close") {
            connection.start_close(CloseCode::new(4001), "as you like").unwrap();
        } else if connection.send(message).await.is_err() {
            break;
        }
    }
    Some(connection.wait_closed().await)
}

/// Returns `config` with limits for the messages of these tests.
pub(crate) fn roomy(config: Config) -> Config {
    config.max_received_message_size(16 << 20).max_received_frame_size(16 << 20)
}
