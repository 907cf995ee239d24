//! `towline_hyper::request` in a handler of salvo.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use salvo_core::conn::TcpListener;
use salvo_core::http::ReqBody;
use salvo_core::prelude::*;
use towline::{Client, CloseCode, Mechanism, Message, ServerHandle};

struct Echo(ServerHandle);

#[async_trait]
impl Handler for Echo {
    async fn handle(
        &self,
        request: &mut Request,
        _: &mut Depot,
        response: &mut Response,
        _: &mut FlowCtrl,
    ) {
        let peer = request.remote_addr().clone().into_std();
        let request = request.strip_to_hyper::<ReqBody>().unwrap();
        let mechanism = Mechanism::of(&request);
        let answer = match towline_hyper::request(&self.0, request, peer) {
            Ok((request, answer)) => {
                tokio::spawn(async move {
                    let mut connection = request.accept().await?;
                    connection.send(connection.path().to_owned()).await?;
                    while let Some(message) = connection.recv().await? {
                        connection.send(message).await?;
                    }
                    towline::Result::Ok(())
                });
                answer.await
            }
            Err(rejection) => rejection.response(mechanism),
        };
        let (parts, body) = answer.into_parts();
        response.status_code(parts.status);
        *response.headers_mut() = parts.headers;
        if !body.is_empty() {
            response.body(body);
        }
    }
}

#[tokio::test]
async fn a_handler_of_salvo_takes_requests() {
    let acceptor = TcpListener::new("127.0.0.1:0").bind().await;
    let address = acceptor.inner().local_addr().unwrap();
    let handle = towline::Server::builder().build_handle();
    let router = Router::with_path("ws/{room}").goal(Echo(handle.clone()));
    tokio::spawn(Server::new(acceptor).serve(router));

    let test = async {
        let mut connection = Client::new().connect(&format!("ws://{address}/ws/7")).await.unwrap();
        assert_eq!(connection.recv().await.unwrap(), Some(Message::text("/ws/7")));
        connection.send("ship ahoy").await.unwrap();
        assert_eq!(connection.recv().await.unwrap(), Some(Message::text("ship ahoy")));
        let [server] = &handle.connections().senders()[..] else { panic!("not one connection") };
        assert!(server.info().peer_addr.is_some());
        let url = format!("ws://{address}/ws/8");
        let other = Client::new().origin("https://other.example").connect(&url).await.unwrap_err();
        assert_eq!(other.response().unwrap().status(), 403);

        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut http, driver) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(driver);
        let plain = hyper::Request::get("/ws/7").header("host", "localhost");
        let response = http.send_request(plain.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 426);

        let shutdown = handle.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(60));
        let (shutdown, closed) = tokio::join!(shutdown, connection.wait_closed());
        assert_eq!((shutdown.unwrap().aborted, closed.code()), (0, CloseCode::GOING_AWAY));
    };
    tokio::time::timeout(Duration::from_secs(120), test).await.expect("this never happens");
}
