//! `towline_hyper::request`: a handler takes its request itself, without a queue.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use towline::{Accept, Client, CloseCode, Mechanism, Message, Server, ServerHandle};

use crate::http2;
use crate::support::{HANDSHAKE, LONG, Raw, echo_messages, soon};

async fn handle(
    server: ServerHandle,
    request: Request<Incoming>,
    peer: SocketAddr,
    bare: Arc<AtomicUsize>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mechanism = Mechanism::of(&request);
    let (request, response) = match towline_hyper::request(&server, request, Some(peer)) {
        Ok(taken) => taken,
        Err(rejection) => return Ok(rejection.response(mechanism).map(Full::new)),
    };
    assert_eq!(request.peer_addr(), Some(peer));
    tokio::spawn(async move {
        let mut connection = request.accept().await.unwrap();
        if connection.tcp_stream().is_some() {
            bare.fetch_add(1, Ordering::Relaxed);
        }
        echo_messages(&mut connection).await;
    });
    Ok(response.await.map(Full::new))
}

/// Serves it with hyper-util. Counts the connections on a bare socket.
async fn serve(server: &ServerHandle) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (server, bare) = (server.clone(), Arc::new(AtomicUsize::new(0)));
    let count = bare.clone();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let (server, bare) = (server.clone(), bare.clone());
            let service =
                service_fn(move |request| handle(server.clone(), request, peer, bare.clone()));
            tokio::spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http2().enable_connect_protocol();
                let io = TokioIo::new(stream);
                builder.serve_connection_with_upgrades(io, service).await.map_err(drop)
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn it_becomes_a_connection_on_the_bare_socket() {
    let server = Server::builder().build_handle();
    let (address, bare) = serve(&server).await;
    let mut client = Client::new().connect(format!("ws://{address}/")).await.unwrap();
    for message in [Message::text("ship ahoy"), Message::binary(vec![7; 200_000])] {
        client.send(message.clone()).await.unwrap();
        assert_eq!(soon(client.recv()).await.unwrap(), Some(message));
    }
    assert_eq!((server.connections().len(), bare.load(Ordering::Relaxed)), (1, 1));
    let shutdown = server.shutdown(CloseCode::GOING_AWAY, LONG);
    let (shutdown, received) = soon(async { tokio::join!(shutdown, client.recv()) }).await;
    assert_eq!((shutdown.unwrap().connections, received.unwrap()), (1, None));
    let error = Client::new().connect(format!("ws://{address}/")).await.unwrap_err();
    assert_eq!(error.response().unwrap().status(), 503);
}

#[tokio::test]
async fn an_extended_connect_is_taken_as_well() {
    let server = Server::builder().build_handle();
    let (address, bare) = serve(&server).await;
    let mut requests = http2::connect(address).await;
    let mut client = http2::open(&mut requests).await;
    client.send("ship ahoy").await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("ship ahoy")));
    assert_eq!((server.connections().len(), bare.load(Ordering::Relaxed)), (1, 0));
}

#[tokio::test]
async fn what_is_no_handshake_is_the_handler_s_to_answer() {
    let server = Server::builder().build_handle();
    let (address, _) = serve(&server).await;
    let mut client = Raw::connect(address).await;
    client.request("GET /", &[]).await;
    let answer = client.response().await;
    assert_eq!((answer.status(), answer.header("upgrade")), (426, Some("websocket")));
    let mut client = Raw::connect(address).await;
    client.request("POST /", &HANDSHAKE).await;
    assert_eq!(client.response().await.status(), 405);
}

/// Serves `respond` with hyper. The handler echoes at `/echo`, refuses `/refused`, forgets `/forgotten`.
async fn serve_responding(server: &ServerHandle) -> SocketAddr {
    async fn talk(request: towline::Request) -> towline::Result<()> {
        match request.path() {
            "/echo" => {
                assert!(request.peer_addr().is_some());
                let accept = Accept::new().protocols(["chat.v2", "chat.v1"]);
                let mut connection = request.accept_with(accept).await?;
                assert!(connection.tcp_stream().is_some());
                echo_messages(&mut connection).await;
                Ok(())
            }
            "/refused" => request.reject(http::StatusCode::IM_A_TEAPOT, "no coffee").await,
            _ => Ok(()),
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server.clone();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let server = server.clone();
            let service = service_fn(move |request| {
                let answer = towline_hyper::respond(&server, request, Some(peer), talk);
                async { Ok::<_, Infallible>(answer.await.map(Full::new)) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        }
    });
    address
}

#[tokio::test]
async fn a_handler_of_requests_serves_the_connection() {
    let server = Server::builder().build_handle();
    let address = serve_responding(&server).await;
    let connect = async |client: Client, path: &str| {
        soon(client.connect(format!("ws://{address}{path}"))).await
    };
    let mut client = connect(Client::new().protocols(["chat.v1"]), "/echo").await.unwrap();
    assert_eq!(client.protocol(), Some("chat.v1"));
    client.send("ship ahoy").await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("ship ahoy")));

    let refusal = |error: towline::Error| error.response().unwrap().status();
    for (path, status) in [("/refused", 418), ("/forgotten", 500)] {
        let error = connect(Client::new(), path).await.unwrap_err();
        assert_eq!(refusal(error), status, "{path}");
    }
    let foreign = Client::new().origin("https://other.example");
    assert_eq!(refusal(connect(foreign, "/echo").await.unwrap_err()), 403);
    let mut plain = Raw::connect(address).await;
    plain.request("GET /echo", &[]).await;
    assert_eq!(plain.response().await.status(), 426);

    let shutdown = server.shutdown(CloseCode::GOING_AWAY, LONG);
    let (shutdown, received) = soon(async { tokio::join!(shutdown, client.recv()) }).await;
    let shutdown = shutdown.unwrap();
    assert_eq!((shutdown.connections, shutdown.aborted, received.unwrap()), (1, 0, None));
    assert_eq!(client.closed().unwrap().code(), CloseCode::GOING_AWAY);
    assert_eq!(refusal(connect(Client::new(), "/echo").await.unwrap_err()), 503);
}
