//! The mount among tower's services.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use towline::{Client, CloseCode, Connection, Message, Server};
use towline_hyper::{MountBody, MountLayer, PeerAddr, mount};

use crate::support::{FRONTS, HANDSHAKE, echo, page, serve, soon};

fn handshake() -> Request<Full<Bytes>> {
    let mut request = Request::get("/chat").header("Host", "example.com");
    for header in HANDSHAKE {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn it_composes_with_layers_on_both_sides() {
    let server = Server::builder().build();
    let (outer, inner) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counting = |counter: &Arc<AtomicUsize>| {
        let counter = counter.clone();
        move |request: Request<Incoming>| {
            counter.fetch_add(1, Ordering::Relaxed);
            request
        }
    };
    let service = ServiceBuilder::new()
        .map_request(counting(&outer))
        .map_response(|mut response: Response<_>| {
            response.headers_mut().insert("x-layer", http::HeaderValue::from_static("outer"));
            response
        })
        .layer(MountLayer::new(server.handle()))
        .map_request(counting(&inner))
        .service(service_fn(page::<Incoming>));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let io = TokioIo::new(stream);
            tokio::spawn(http1::Builder::new().serve_connection(io, service).with_upgrades());
        }
    });
    let bare = echo(server);
    let mut client = soon(Client::new().connect(&url)).await.unwrap();
    assert_eq!(client.response().unwrap().headers()["x-layer"], "outer");
    client.send("ship ahoy").await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("ship ahoy")));
    assert!(soon(client.close(CloseCode::NORMAL, "")).await.unwrap().is_clean());
    assert_eq!(bare.load(Ordering::Relaxed), 1);
    assert_eq!((outer.load(Ordering::Relaxed), inner.load(Ordering::Relaxed)), (1, 0));
}

#[tokio::test]
async fn the_address_among_the_extensions_is_believed_over_the_loop_s() {
    let mut server = Server::builder().build();
    let service = mount(server.handle(), service_fn(page::<Full<Bytes>>))
        .peer_addr(([192, 0, 2, 1], 1).into());
    for (told, expected) in [(None, [192, 0, 2, 1]), (Some([192, 0, 2, 2]), [192, 0, 2, 2])] {
        let mut request = handshake();
        if let Some(told) = told {
            request.extensions_mut().insert(PeerAddr((told, 1).into()));
        }
        let answer = tokio::spawn(service.clone().oneshot(request));
        let request = soon(server.next_request()).await.unwrap();
        assert_eq!(request.peer_addr(), Some((expected, 1).into()));
        request.reject(http::StatusCode::GONE, "moved").await.unwrap();
        let response = soon(answer).await.unwrap().unwrap();
        assert_eq!(response.status(), 410);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "moved\n");
    }
    let response = service.oneshot(Request::new(Full::default())).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "page / for 192.0.2.1:1");
}

#[derive(Debug, Clone, PartialEq)]
struct User(&'static str);

/// A server's connection to a client that asks there.
async fn connection(server: &mut Server, address: SocketAddr) -> Connection {
    let url = format!("ws://{address}/a?b");
    let client = async { soon(Client::new().connect(&url)).await.unwrap() };
    let accepting = async {
        let request = soon(server.next_request()).await.unwrap();
        request.accept().await.unwrap()
    };
    tokio::join!(client, accepting).1
}

#[tokio::test]
async fn a_connection_has_what_a_layer_put_into_its_request() {
    let mut server = Server::builder().build();
    let service = ServiceBuilder::new()
        .map_request(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(User("deckhand"));
            request
        })
        .layer(MountLayer::new(server.handle()))
        .service(service_fn(page::<Incoming>));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(service);
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await
    });
    let connection = connection(&mut server, address).await;
    assert_eq!(connection.data().get(), Some(&User("deckhand")));
    assert_eq!((connection.path(), connection.query()), ("/a", Some("b")));
}

/// Else each connection would keep a map for what only led its request here.
#[tokio::test]
async fn a_connection_has_no_data_where_nobody_put_any() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let address = serve(&server, front).await;
        let connection = connection(&mut server, address).await;
        assert!(connection.data().is_empty(), "{front:?}");
        assert!(connection.peer_addr().is_some(), "{front:?}");
    }
}

#[tokio::test]
async fn bodies_know_their_length() {
    let body = MountBody::<Full<Bytes>>::default();
    assert!(body.is_end_stream());
    let server = Server::builder().build();
    let service = mount(server.handle(), service_fn(page::<Full<Bytes>>));
    let response = service.oneshot(Request::new(Full::default())).await.unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(17));
    assert!(!response.body().is_end_stream());
}

#[tokio::test]
async fn errors_of_the_inner_service_pass_through() {
    #[derive(Debug, PartialEq)]
    struct Sunk;
    let server = Server::builder().build();
    let sunk = async |_: Request<()>| Err::<Response<Full<Bytes>>, Sunk>(Sunk);
    let service = mount(server.handle(), service_fn(sunk));
    assert_eq!(service.oneshot(Request::new(())).await.map(drop), Err(Sunk));
}
