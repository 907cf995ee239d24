//! What is sent comes back.

use towline::{Client, CloseCode, Config, ErrorKind, OriginPolicy, Server};

use crate::certificates::Authority;

#[tokio::test]
async fn messages_of_any_length_come_back() {
    let authority = Authority::new("root");
    let tls = authority.server(&["127.0.0.1"]).server();
    let limits =
        Config::server().max_received_message_size(64 << 20).max_received_frame_size(64 << 20);
    let mut server = Server::builder().config(limits).tls(tls).bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", server.local_addr().unwrap());
    tokio::spawn(async move {
        let request = server.next_request().await.unwrap();
        assert!(request.is_secure());
        let mut connection = request.accept().await.unwrap();
        while let Some(message) = connection.recv().await.unwrap() {
            connection.send(message).await.unwrap();
        }
    });
    let limits =
        Config::client().max_received_message_size(64 << 20).max_received_frame_size(64 << 20);
    let client = Client::new().config(limits).tls(authority.trusted());
    let mut connection = client.connect(&url).await.unwrap();
    let info = connection.tls().unwrap();
    assert_eq!((info.version, info.alpn.as_deref()), ("TLS 1.3", Some(&b"http/1.1"[..])));
    assert_eq!(info.peer_certificates.len(), 1);
    for len in [0, 1, 125, 126, 1000, 16_384, 16_385, 65_535, 65_536, 100_000, 1 << 20, 5 << 20] {
        let message: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        connection.send(message.clone()).await.unwrap();
        let back = connection.recv().await.unwrap().unwrap();
        assert!(back.as_bytes() == message, "{len}");
    }
    for number in 0..1000 {
        connection.send(format!("{number}")).await.unwrap();
    }
    for number in 0..1000 {
        assert_eq!(connection.recv().await.unwrap().unwrap(), format!("{number}").into());
    }
    let closed = connection.close(CloseCode::NORMAL, "bye").await.unwrap();
    assert!(closed.is_clean(), "{closed:?}");
}

/// Anybody on the way can change a page of `http`, so it is no page of this server's origin.
#[tokio::test]
async fn the_same_origin_is_one_of_https() {
    let authority = Authority::new("root");
    let list = |host: &str| OriginPolicy::list([format!("http://{host}")]).unwrap();
    for (scheme, is_listed, expected) in
        [("http", false, false), ("https", false, true), ("http", true, true)]
    {
        let tls = authority.server(&["127.0.0.1"]).server();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let builder = Server::builder().tls(tls);
        let builder = if is_listed { builder.origins(list(&host)) } else { builder };
        let mut server = builder.listen(listener);
        let client = Client::new().tls(authority.trusted()).origin(format!("{scheme}://{host}"));
        let url = format!("wss://{host}/");
        let (connection, accepted) = tokio::join!(client.connect(&url), async {
            server.next_request().await.unwrap().accept().await
        });
        assert_eq!(connection.is_ok(), expected, "{scheme}");
        match accepted {
            Ok(_) => assert!(expected, "{scheme}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::OriginRefused, "{scheme}"),
        }
    }
}
