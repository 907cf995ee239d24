//! Tests of the app. In between is all that is in between in production, except for the socket.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use towline::{Client, CloseCode, Connection, Message, Result, Server, ServerHandle};
use towline_axum::test;

fn server() -> ServerHandle {
    Server::builder().build_handle()
}

async fn try_enter(server: &ServerHandle, room: &str, cookie: &str) -> Result<Connection> {
    let client = Client::new().header("cookie", cookie);
    test::connect_with(&client, crate::app(server.clone()), &format!("/rooms/{room}")).await
}

async fn enter(server: &ServerHandle, room: &str, name: &str) -> Connection {
    let mut connection = try_enter(server, room, &format!("name={name}")).await.unwrap();
    assert_eq!(hear(&mut connection).await, format!("{name} joins"));
    connection
}

async fn hear(connection: &mut Connection) -> String {
    connection.recv().await.unwrap().unwrap().as_text().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn only_users_enter_and_only_rooms_that_exist() {
    let server = server();
    for (room, cookie, status, reason) in [
        ("harbour", "theme=dark", 401, "log in"),
        ("desert", "name=ada", 404, "there is no room desert"),
    ] {
        let error = try_enter(&server, room, cookie).await.unwrap_err();
        let response = error.response().unwrap();
        assert_eq!(response.status(), status);
        assert!(String::from_utf8_lossy(response.body()).contains(reason));
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_hears_what_is_said_in_it() {
    let server = server();
    let mut ada = enter(&server, "harbour", "ada").await;
    let mut bea = enter(&server, "harbour", "bea").await;
    let mut cat = enter(&server, "sea", "cat").await;
    assert_eq!(hear(&mut ada).await, "bea joins");
    ada.send("hi").await.unwrap();
    assert_eq!(hear(&mut bea).await, "ada: hi");
    cat.send("aye").await.unwrap();
    assert_eq!(hear(&mut cat).await, "cat: aye");
    ada.close(CloseCode::NORMAL, "").await.unwrap();
    assert_eq!(hear(&mut bea).await, "ada leaves");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_read_holds_up_nobody() {
    let server = server();
    let _silent = enter(&server, "harbour", "bea").await;
    let mut ada = enter(&server, "harbour", "ada").await;
    let long = "ahoy ".repeat(1000);
    for _ in 0..200 {
        ada.send(Message::text(long.as_str())).await.unwrap();
        assert_eq!(hear(&mut ada).await, format!("ada: {long}"));
    }
    let room = server.topics().topic("harbour").unwrap();
    assert!(room.stats().skipped > 0, "bea misses what her queue has no room for");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_with_1001() {
    let server = server();
    let mut ada = enter(&server, "harbour", "ada").await;
    // Time is paused, so a deadline of a minute costs none.
    let shutdown = server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(60));
    let listening = async { while ada.recv().await.unwrap().is_some() {} };
    tokio::join!(shutdown, listening).0.unwrap();
    assert_eq!(ada.closed().unwrap().code(), CloseCode::GOING_AWAY);
}
