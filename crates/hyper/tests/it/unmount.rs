use futures_util::FutureExt as _;
use towline::{Client, CloseCode, ErrorKind, Message, Server};

use crate::support::{FRONTS, Front, HANDSHAKE, LONG, Raw, echo_messages, serve, soon};

#[tokio::test]
async fn unmount_leaves_open_connections_alone() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let address = serve(&server, front).await;
        let url = format!("ws://{address}/");
        let client = tokio::spawn({
            let url = url.clone();
            async move { Client::new().connect(&url).await.unwrap() }
        });
        let mut connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
        tokio::spawn(async move { echo_messages(&mut connection).await });
        let mut client = soon(client).await.unwrap();

        server.unmount();
        client.send("still here").await.unwrap();
        let message = soon(client.recv()).await.unwrap();
        assert_eq!(message, Some(Message::text("still here")), "{front:?}");

        // A page is no WebSocket, and the client says so.
        let error = soon(Client::new().connect(&url)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HttpResponse, "{front:?}");
        assert_eq!(error.response().unwrap().status(), 200);
        drop(server);
        assert!(soon(client.close(CloseCode::NORMAL, "")).await.unwrap().is_clean());
    }
}

#[tokio::test]
async fn after_unmount_handshakes_reach_the_service() {
    for front in FRONTS {
        let server = Server::builder().build();
        let mut client = Raw::connect(serve(&server, front).await).await;
        drop(server);
        client.request("GET /chat", &HANDSHAKE).await;
        let answer = client.response().await;
        assert_eq!(answer.status(), 200, "{front:?}");
        assert!(answer.body.starts_with("page /chat "), "{front:?}");
    }
}

#[tokio::test]
async fn after_a_shutdown_handshakes_reach_the_service_and_nobody_waits_for_them() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let address = serve(&server, front).await;
        let mut half = Raw::connect(address).await;
        half.send("GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n").await;
        let mut unanswered = Raw::connect(address).await;
        unanswered.request("GET /chat", &HANDSHAKE).await;
        let request = soon(server.next_request()).await.unwrap();
        let handle = server.handle();
        let shutdown = handle.shutdown(CloseCode::GOING_AWAY, LONG);
        let (none, shutdown) = tokio::join!(soon(server.next_request()), soon(shutdown));
        assert_eq!((none.is_none(), shutdown.unwrap().connections), (true, 0), "{front:?}");
        let rest = HANDSHAKE[1..].iter().map(|line| format!("{line}\r\n")).collect::<String>();
        half.send(rest + "\r\n").await;
        assert_eq!(half.response().await.status(), 200, "{front:?}");
        // What came before can be answered as ever.
        request.reject(http::StatusCode::GONE, "").await.unwrap();
        assert_eq!(unanswered.response().await.status(), 410, "{front:?}");
    }
}

/// The shutdown waits for the answer, and for the end of what it makes.
#[tokio::test]
async fn a_handshake_that_is_being_accepted_is_closed_by_the_shutdown() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let mut client = Raw::connect(serve(&server, front).await).await;
        client.request("GET /chat", &HANDSHAKE).await;
        let request = soon(server.next_request()).await.unwrap();
        let handle = server.handle();
        // Begun, but for the stream, which hyper gives when the answer is out.
        let mut accepting = Box::pin(request.accept());
        assert!(accepting.as_mut().now_or_never().is_none());
        let shutdown =
            tokio::spawn(
                async move { handle.shutdown(CloseCode::GOING_AWAY, LONG).await.unwrap() },
            );
        let mut connection = soon(accepting).await.unwrap();
        assert_eq!(client.response().await.status(), 101, "{front:?}");
        assert_eq!(client.read(4).await, [0x88, 2, 0x03, 0xE9]);
        client.send([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE9]).await;
        assert_eq!(soon(connection.recv()).await.unwrap(), None);
        assert_eq!(soon(shutdown).await.unwrap().aborted, 0);
        assert!(soon(server.next_request()).await.is_none());
    }
}

#[tokio::test]
async fn a_request_that_came_before_unmount_can_be_accepted() {
    let mut server = Server::builder().build();
    let mut client = Raw::connect(serve(&server, Front::HttpServer).await).await;
    client.request("GET /chat", &HANDSHAKE).await;
    let request = soon(server.next_request()).await.unwrap();
    server.unmount();
    let connection = request.accept().await.unwrap();
    assert_eq!(client.response().await.status(), 101);
    assert!(connection.is_open());
}
