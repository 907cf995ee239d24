//! What the tests share: servers to ask, and raw clients to ask them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use towline::{Connection, Server};
use towline_hyper::{HttpServer, Mount, PeerAddr, mount};

/// Long enough for anything that happens at all.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Whatever happens, within a time in which it must.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("this never happens")
}

/// Who accepts the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// A loop around hyper's own HTTP/1.1.
    Http1,
    /// A loop around hyper-util's choice of versions.
    Auto,
    /// Towline's.
    HttpServer,
}

pub(crate) const FRONTS: [Front; 3] = [Front::Http1, Front::Auto, Front::HttpServer];

/// A page for every path, which says who asks.
pub(crate) async fn page<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let peer = request.extensions().get::<PeerAddr>();
    let peer = peer.map_or_else(|| "nobody".to_owned(), |peer| peer.0.to_string());
    Ok(Response::new(format!("page {} for {peer}", request.uri().path()).into()))
}

/// A server of pages with this one mounted on it.
pub(crate) async fn serve(server: &Server, front: Front) -> SocketAddr {
    serve_service(mount(server.handle(), service_fn(page::<Incoming>)), front).await
}

pub(crate) async fn serve_service<S>(service: Mount<S>, front: Front) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    match front {
        Front::HttpServer => {
            let http = HttpServer::new(service);
            http.listen(listener);
            // Dropped, it would stop listening.
            std::mem::forget(http);
        }
        Front::Http1 => accept(listener, move |stream, peer| {
            let service = service.clone().peer_addr(peer);
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            async { drop(connection.await) }
        }),
        Front::Auto => accept(listener, move |stream, peer| {
            let service = service.clone().peer_addr(peer);
            let connection = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .into_owned();
            async { drop(connection.await) }
        }),
    }
    address
}

fn accept<F, C>(listener: TcpListener, connection: F)
where
    F: Fn(TcpStream, SocketAddr) -> C + Clone + Send + 'static,
    C: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            tokio::spawn(connection(stream, peer));
        }
    });
}

/// A server whose connections echo; it counts those that had a bare TCP socket.
pub(crate) fn echo(mut server: Server) -> Arc<AtomicUsize> {
    let bare = Arc::new(AtomicUsize::new(0));
    let count = bare.clone();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            let count = count.clone();
            tokio::spawn(async move {
                let Ok(mut connection) = request.accept().await else { return };
                if connection.tcp_stream().is_some() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                echo_messages(&mut connection).await;
            });
        }
    });
    bare
}

pub(crate) async fn echo_messages(connection: &mut Connection) {
    while let Ok(Some(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            return;
        }
    }
}

/// A client that says exactly what it is told to.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The same, where the server may be gone already.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.0.write_all(bytes.as_ref()).await
    }

    /// Ends the half that is written.
    pub(crate) async fn shutdown(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Sends a request with this first line and these headers beside `Host`.
    pub(crate) async fn request(&mut self, line: &str, headers: &[&str]) {
        self.send(request(line, headers)).await;
    }

    /// Reads a response.
    pub(crate) async fn response(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(self.0.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let mut answer = Answer { head, body: String::new() };
        if let Some(length) = answer.header("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            soon(self.0.read_exact(&mut body)).await.unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        answer
    }

    /// Reads so many bytes.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<u8> {
        read(&mut self.0, count).await
    }

    /// Reads to the end of the stream, which must be near.
    pub(crate) async fn end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = soon(self.0.read_to_end(&mut rest)).await;
        rest
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

pub(crate) fn request(line: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{line} HTTP/1.1\r\nHost: example.com\r\n{headers}\r\n")
}

/// The headers of a valid handshake.
pub(crate) const HANDSHAKE: [&str; 4] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A response in lower case, apart from its body.
#[derive(Debug)]
pub(crate) struct Answer {
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head["http/1.1 ".len()..][..3].parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}
