use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use towline::{CloseCode, Server};
use towline_hyper::{HttpServer, mount};

use crate::support::{HANDSHAKE, LONG, Raw, echo_messages, page, soon};

async fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn idle_connections_are_closed_and_nothing_is_listened_on() {
    let server = Server::builder().build();
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    let mut clients = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let (listener, address) = listener().await;
        http.listen(listener);
        let mut idle = Raw::connect(address).await;
        idle.request("GET /", &[]).await;
        assert_eq!(idle.response().await.status(), 200);
        clients.extend([idle, Raw::connect(address).await]);
        addresses.push(address);
    }
    assert_eq!(soon(http.shutdown(LONG)).await, 0);
    for mut client in clients {
        assert_eq!(client.end().await, b"");
    }
    for address in addresses {
        assert!(TcpStream::connect(address).await.is_err());
    }
    // There is nothing left to do.
    assert_eq!(soon(http.shutdown(LONG)).await, 0);
}

#[tokio::test]
async fn a_request_in_progress_is_answered() {
    let server = Server::builder().build();
    let (entered, leave) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let gates = (entered.clone(), leave.clone());
    let slow = service_fn(move |request: Request<Incoming>| {
        let (entered, leave) = gates.clone();
        async move {
            entered.add_permits(1);
            leave.acquire().await.unwrap().forget();
            page(request).await
        }
    });
    let (listener, address) = listener().await;
    let http = Arc::new(HttpServer::new(mount(server.handle(), slow)));
    http.listen(listener);
    let mut client = Raw::connect(address).await;
    client.request("GET /slow", &[]).await;
    entered.acquire().await.unwrap().forget();
    let ending = tokio::spawn({
        let http = http.clone();
        async move { http.shutdown(LONG).await }
    });
    // The socket is closed when the shutdown has begun.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    leave.add_permits(1);
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    assert_eq!(soon(ending).await.unwrap(), 0);
}

#[tokio::test]
async fn who_does_not_end_in_time_is_aborted() {
    let server = Server::builder().build();
    let stuck = service_fn(async |_: Request<Incoming>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>().await
    });
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), stuck));
    http.listen(listener);
    let mut client = Raw::connect(address).await;
    client.request("GET /", &[]).await;
    let mut other = Raw::connect(address).await;
    // Its request arrives after the other's: when it is answered, both have been.
    other.request("GET /", &["Upgrade: websocket"]).await;
    assert_eq!(other.response().await.status(), 426);
    assert_eq!(soon(http.shutdown(Duration::from_millis(1))).await, 1);
    assert_eq!(client.end().await, b"");
}

#[tokio::test]
async fn connections_outlive_the_http_server_and_end_with_theirs() {
    let mut server = Server::builder().build();
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    http.listen(listener);
    let mut client = Raw::connect(address).await;
    client.request("GET /", &HANDSHAKE).await;
    let mut connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    assert_eq!(client.response().await.status(), 101);
    assert_eq!(soon(http.shutdown(LONG)).await, 0);
    drop(http);
    client.send([0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await;
    assert!(soon(connection.recv()).await.unwrap().is_some());
    tokio::spawn(async move { connection.recv().await });
    let shutdown = tokio::spawn({
        let handle = server.handle();
        async move { handle.shutdown(CloseCode::GOING_AWAY, LONG).await.unwrap() }
    });
    assert_eq!(client.read(4).await, [0x88, 2, 0x03, 0xE9]);
    client.send([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE9]).await;
    assert_eq!(client.end().await, b"");
    let shutdown = soon(shutdown).await.unwrap();
    assert_eq!((shutdown.connections, shutdown.aborted), (1, 0));
}

#[tokio::test]
async fn a_handshake_in_progress_can_still_be_accepted() {
    let mut server = Server::builder().build();
    let (listener, address) = listener().await;
    let http = Arc::new(HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>))));
    http.listen(listener);
    let mut client = Raw::connect(address).await;
    client.request("GET /", &HANDSHAKE).await;
    let request = soon(server.next_request()).await.unwrap();
    let ending = tokio::spawn({
        let http = http.clone();
        async move { http.shutdown(LONG).await }
    });
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let mut connection = request.accept().await.unwrap();
    assert_eq!(soon(ending).await.unwrap(), 0);
    assert_eq!(client.response().await.status(), 101);
    tokio::spawn(async move { echo_messages(&mut connection).await });
    client.send([0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await;
    assert_eq!(client.read(4).await, b"\x81\x02hi");
}

#[tokio::test]
async fn dropped_it_stops_listening_and_serves_on() {
    let server = Server::builder().build();
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    http.listen(listener);
    let mut client = Raw::connect(address).await;
    client.request("GET /a", &[]).await;
    assert_eq!(client.response().await.status(), 200);
    drop(http);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    client.request("GET /b", &[]).await;
    assert_eq!(client.response().await.status(), 200);
}
