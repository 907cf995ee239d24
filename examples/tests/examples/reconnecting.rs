use towline::http::StatusCode;
use towline::{Accept, CloseCode, Connection, Message, Server};

use crate::program::{Program, example, soon};

async fn accept(server: &mut Server) -> (Connection, String) {
    let request = soon(server.next_request()).await.unwrap();
    let token = request.headers()["authorization"].to_str().unwrap().to_owned();
    let accept = Accept::new().protocol("towline.topics.v1");
    (soon(request.accept_with(accept)).await.unwrap(), token)
}

async fn is_subscribed_to(connection: &mut Connection, topics: &[&str]) {
    for topic in topics {
        let wanted = Message::text(format!("{{\"subscribe\":\"{topic}\"}}"));
        assert_eq!(soon(connection.recv()).await.unwrap(), Some(wanted));
    }
}

/// A server that is overloaded, goes away, and ends.
#[tokio::test]
async fn the_reconnecting_client_comes_back_with_a_fresh_token() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", server.local_addr().unwrap());
    let mut client = Program::client(example!("reconnecting"), &[&url, "harbour"]);
    let request = soon(server.next_request()).await.unwrap();
    assert_eq!(request.headers()["authorization"], "Bearer token-1");
    request.reject(StatusCode::SERVICE_UNAVAILABLE, "busy").await.unwrap();
    assert!(client.line_with("waiting: ").await.contains("503"));
    for (code, wanted) in [(1012, "Bearer token-2"), (1000, "Bearer token-3")] {
        let (mut connection, token) = accept(&mut server).await;
        assert_eq!(token, wanted);
        is_subscribed_to(&mut connection, &["harbour"]).await;
        connection.send(format!("news {code}")).await.unwrap();
        soon(connection.close(CloseCode::new(code), "")).await.unwrap();
        client.line_with(&format!("news {code}")).await;
    }
    client.line_with("ended").await;
    assert!(soon(client.process.wait()).await.unwrap().success());
}

#[tokio::test]
async fn the_reconnecting_client_subscribes_again_after_a_restart_of_the_server() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let url = format!("ws://{address}/");
    let mut client = Program::client(example!("reconnecting"), &[&url, "harbour", "sea"]);
    let (mut connection, _) = accept(&mut server).await;
    is_subscribed_to(&mut connection, &["harbour", "sea"]).await;
    // It is killed: no close frame, and nobody listens.
    drop(server);
    connection.abort(CloseCode::NO_STATUS, "");
    drop(connection);
    client.line_with("lost: ").await;
    client.line_with("attempt 2").await;
    let mut server = Server::bind(address).await.unwrap();
    let (mut connection, _) = accept(&mut server).await;
    is_subscribed_to(&mut connection, &["harbour", "sea"]).await;
    connection.send("news").await.unwrap();
    client.line_with("news").await;
}
