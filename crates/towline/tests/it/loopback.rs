//! Servers and proxies on loopback, which do as they are told and keep what they were told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use towline::{Client, Error, Proxy};

use crate::http::{accepts, head};

/// A client that looks for no proxy.
pub(crate) fn direct() -> Client {
    Client::new().proxy(Proxy::none())
}

/// A client behind this proxy.
pub(crate) fn behind(url: &str) -> Client {
    Client::new().proxy(Proxy::new(url).unwrap())
}

/// What an error says, to people and to developers.
pub(crate) fn texts(error: &Error) -> String {
    format!("{error} {error:?}")
}

/// A listener, and its address.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port of loopback that nobody listens on.
pub(crate) async fn nobody() -> SocketAddr {
    listener().await.1
}

/// A server that answers every request.
pub(crate) struct Loopback {
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<Vec<Vec<u8>>>>,
    ended: mpsc::UnboundedReceiver<()>,
}

impl Loopback {
    /// A server that answers so.
    pub(crate) async fn new(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let (listener, address) = listener().await;
        let (answer, said) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        let kept = said.clone();
        let (tell, ended) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, kept, tell) = (answer.clone(), kept.clone(), tell.clone());
                tokio::spawn(async move {
                    let request = head(&mut stream).await;
                    let index = {
                        let mut kept = kept.lock().unwrap();
                        kept.push(request.clone().into_bytes());
                        kept.len() - 1
                    };
                    stream.write_all(&answer(&request)).await.unwrap();
                    let mut rest = Vec::new();
                    let _ = stream.read_to_end(&mut rest).await;
                    kept.lock().unwrap()[index].extend(rest);
                    let _ = tell.send(());
                });
            }
        });
        Self { address, said, ended }
    }

    /// A server that accepts whoever asks.
    pub(crate) async fn accepting() -> Self {
        Self::new(|request| accepts(request, "")).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// What was said on each connection, from its request on.
    pub(crate) fn said(&self) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// Waits until another connection has ended.
    pub(crate) async fn ended(&mut self) {
        self.ended.recv().await.unwrap();
    }
}

/// Serves the first connection so, in the background; its result is what this task gives.
pub(crate) async fn once<T, F>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, tokio::task::JoinHandle<T>)
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    let (listener, address) = listener().await;
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await
    });
    (address, task)
}

/// What comes until the end, however that comes.
pub(crate) async fn until_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}
