use towline::{CloseCode, Connection};

use crate::program::{Program, client, example, hear, refusal, soon};

async fn enter(rooms: &Program, room: &str, name: &str) -> Connection {
    let client = client().header("cookie", format!("theme=dark; name={name}"));
    let connecting = client.connect(rooms.url(&format!("/rooms/{room}")));
    let mut connection = soon(connecting).await.unwrap();
    assert_eq!(hear(&mut connection).await, format!("{name} joins"));
    connection
}

/// As a process, with axum's own server and its shutdown. Everything else is in the tests of the example.
#[cfg(unix)]
#[tokio::test]
async fn sigterm_closes_all_rooms_before_the_app_ends() {
    let mut rooms = Program::start(example!("rooms"), &["127.0.0.1:0"]).await;
    assert_eq!(refusal(&client(), &rooms.url("/rooms/harbour")).await.0, 401);
    let mut ada = enter(&rooms, "harbour", "ada").await;
    let mut bea = enter(&rooms, "harbour", "bea").await;
    let mut cat = enter(&rooms, "sea", "cat").await;
    assert_eq!(hear(&mut ada).await, "bea joins");
    ada.send("hi").await.unwrap();
    assert_eq!(hear(&mut bea).await, "ada: hi");
    soon(ada.close(CloseCode::NORMAL, "")).await.unwrap();

    rooms.signal("-TERM").await;
    for connection in [&mut bea, &mut cat] {
        while soon(connection.recv()).await.unwrap().is_some() {}
        assert_eq!(connection.closed().unwrap().code(), CloseCode::GOING_AWAY);
    }
    assert!(soon(rooms.process.wait()).await.unwrap().success());
    let log = rooms.errors().await;
    for says in ["joined", "127.0.0.1", "cat", "left", "stopping", "stopped"] {
        assert!(log.contains(says), "{says}: {log}");
    }
}
