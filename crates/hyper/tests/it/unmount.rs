use towline::{Client, CloseCode, ErrorKind, Message, Server};

use crate::support::{FRONTS, Front, HANDSHAKE, Raw, echo_messages, serve, soon};

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
        assert!(soon(server.next_request()).await.is_none());
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
