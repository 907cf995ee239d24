//! What a connection carries for the program, and what it was asked for by.

use http::Request;
use towline::{Accept, Info, Server, ServerEvent};

use crate::loopback::{Loopback, direct};

#[derive(Debug, Clone, PartialEq)]
struct User(&'static str);

#[tokio::test]
async fn what_the_server_puts_into_a_request_is_with_each_part_of_its_connection() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let mut events = server.handle().events();
    let url = format!("ws://{}/chat/a b?room=7?#x", server.local_addr().unwrap());
    let accepting = async {
        let mut request = server.next_request().await.unwrap();
        assert!(request.data().is_empty());
        request.data_mut().insert(User("deckhand"));
        request.accept_with(Accept::new()).await.unwrap()
    };
    let (client, connection) = tokio::join!(direct().connect(&url), accepting);
    let client = client.unwrap();
    let is_so = |info: &Info, user: Option<&User>| {
        assert_eq!(info.data().get(), user, "{info:?}");
        assert_eq!(info.resource(), "/chat/a%20b?room=7?");
        assert_eq!((info.path(), info.query()), ("/chat/a%20b", Some("room=7?")));
    };
    let user = Some(&User("deckhand"));
    is_so(connection.info(), user);
    assert_eq!(connection.data().get(), user);
    assert_eq!((connection.resource(), connection.path()), ("/chat/a%20b?room=7?", "/chat/a%20b"));
    is_so(client.info(), None);
    assert_eq!((client.resource(), client.query()), ("/chat/a%20b?room=7?", Some("room=7?")));
    is_so(server.handle().connections().get(connection.id()).unwrap().info(), user);
    let (sender, receiver) = connection.split();
    is_so(sender.info(), user);
    is_so(receiver.info(), user);
    drop((sender, receiver, client));
    let mut kinds = 0;
    while let Some(event) = events.next().await {
        let (info, is_last) = match &event {
            ServerEvent::Accepted(info) | ServerEvent::Connected(info) => (info, false),
            ServerEvent::Closed(info, _) => (info, true),
            other => panic!("{other:?}"),
        };
        is_so(info, user);
        kinds += 1;
        if is_last {
            break;
        }
    }
    assert_eq!(kinds, 3);
}

#[tokio::test]
async fn what_a_client_puts_into_its_request_is_with_the_connection_wherever_that_leads() {
    let server = Loopback::accepting().await;
    let to = server.url("/b");
    let first = Loopback::new(move |_| {
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n").into_bytes()
    })
    .await;
    for (url, path) in [(server.url("/a"), "/a"), (first.url("/a"), "/b")] {
        let request = Request::get(&url).extension(User("deckhand")).body(()).unwrap();
        let client = direct().follow_redirects(1);
        let connection = client.connect_request(request).await.unwrap();
        assert_eq!(connection.data().get(), Some(&User("deckhand")));
        assert_eq!((connection.resource(), connection.query()), (path, None));
    }
    assert!(direct().connect(server.url("/")).await.unwrap().data().is_empty());
}
