//! `towline_axum::test`, for tests of routes.

use std::time::Duration;

use axum::Router;
use axum::routing::any;
use towline::{Client, CloseCode, Config, Connection, ErrorKind, Keepalive, Message};
use towline_axum::{Upgrade, test};

use crate::support::{app, echoing, soon};

#[tokio::test(start_paused = true)]
async fn a_whole_conversation() {
    let mut connection = test::connect(app(), "/ws").await.unwrap();
    for message in [Message::text("ahoy"), Message::binary(vec![7; 500_000])] {
        connection.send(message.clone()).await.unwrap();
        assert_eq!(soon(connection.recv()).await.unwrap(), Some(message));
    }
    assert!(soon(connection.close(CloseCode::NORMAL, "bye")).await.unwrap().is_clean());
}

#[tokio::test(start_paused = true)]
async fn hours_pass_at_once() {
    let mut connection = test::connect(app(), "/ws").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    connection.send("still here").await.unwrap();
    assert_eq!(connection.recv().await.unwrap(), Some(Message::text("still here")));
    // A client that does not answer pings is given up by the app.
    let config = Config::client().keepalive(Keepalive::every(Duration::from_secs(3600)));
    let client = Client::new().config(config);
    assert!(test::connect_with(&client, app(), "/ws").await.unwrap().is_open());
}

#[tokio::test]
async fn a_method_router_and_a_host_will_do() {
    let tell = async |upgrade: Upgrade| {
        let host = upgrade.request().host().to_owned();
        upgrade.on_connection(async move |connection: Connection| connection.send(host).await)
    };
    let app = Router::<()>::new().route("/ws", any(tell));
    for (path, host) in [("/ws", "localhost"), ("ws://example.com:81/ws", "example.com:81")] {
        let mut connection = test::connect(app.clone(), path).await.unwrap();
        assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text(host)));
    }
    let route = any(echoing);
    assert!(test::connect(route, "/anywhere").await.is_ok());
}

#[tokio::test]
async fn a_refusal_has_the_whole_response() {
    let error = test::connect(app(), "/nowhere").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
    assert_eq!(error.response().unwrap().status(), 404);
    let error = test::connect(app(), "/").await.unwrap_err();
    let response = error.response().unwrap();
    assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"a page"[..]));
}
