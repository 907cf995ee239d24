use towline::{Client, CloseCause, CloseCode, Config, Initiator, Message, Server};

use crate::support::pair;

#[tokio::test(start_paused = true)]
async fn a_message_is_echoed_and_the_connection_closed_from_the_client() {
    let (mut server, mut client) = pair(&Config::server(), &Config::client());
    let echo = tokio::spawn(async move {
        while let Some(message) = server.recv().await.unwrap() {
            server.send(message).await.unwrap();
        }
        server.closed().unwrap()
    });
    for message in
        [Message::text("ship ahoy"), Message::binary(vec![7; 100_000]), Message::text("")]
    {
        client.send(message.clone()).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(message));
    }
    let at_client = client.close(CloseCode::GOING_AWAY, "bye").await.unwrap();
    let at_server = echo.await.unwrap();
    assert_eq!(at_client.cause(), CloseCause::Handshake);
    assert_eq!(at_client.initiator(), Initiator::Local);
    assert_eq!(at_server.initiator(), Initiator::Remote);
    assert_eq!((at_server.code(), at_server.reason()), (CloseCode::GOING_AWAY, "bye"));
}

#[tokio::test]
async fn a_server_and_a_client_talk_over_tcp() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/chat?room=7", server.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let request = server.next_request().await.unwrap();
        assert_eq!((request.path(), request.query()), ("/chat", Some("room=7")));
        let mut connection = request.accept().await.unwrap();
        let message = connection.recv().await.unwrap().unwrap();
        connection.send(message).await.unwrap();
        assert_eq!(connection.recv().await.unwrap(), None);
        let shutdown = server.shutdown(CloseCode::GOING_AWAY, std::time::Duration::from_secs(5));
        shutdown.await.unwrap()
    });
    let mut client = Client::new().connect(&url).await.unwrap();
    client.send("hi").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::text("hi")));
    let closed = client.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(closed.is_clean());
    assert_eq!(serving.await.unwrap().aborted, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn the_socket_below_is_at_hand_while_there_is_something_to_receive() {
    use bytes::Bytes;
    use towline::{Connection, Role};

    let (near, _far) = tokio::net::UnixStream::pair().unwrap();
    let early = Bytes::new();
    let connection = Connection::from_stream(near, Role::Server, &Config::server(), early);
    assert!(connection.tcp_stream().is_none());
    assert!(connection.unix_stream().unwrap().peer_cred().is_ok());
    let (_sender, receiver) = connection.split();
    assert!(receiver.unix_stream().is_some());
}
