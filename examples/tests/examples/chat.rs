use serde_json::{Value, json};
use towline::{CloseCode, Connection, Message};

use crate::program::{Program, client, connect, example, hear, refusal, soon};

async fn start() -> Program {
    Program::start(example!("chat"), &["127.0.0.1:0"]).await
}

async fn enter(chat: &Program, room: &str, name: &str) -> Connection {
    let mut connection = connect(&chat.url(&format!("/rooms/{room}?name={name}"))).await;
    assert_eq!(hears(&mut connection).await["joined"]["name"], name);
    connection
}

async fn hears(connection: &mut Connection) -> Value {
    serde_json::from_str(&hear(connection).await).unwrap()
}

#[tokio::test]
async fn the_chat_parts_rooms_and_says_who_speaks_comes_and_goes() {
    let chat = start().await;
    let mut ada = enter(&chat, "harbour", "ada").await;
    let mut bea = enter(&chat, "harbour", "bea").await;
    let mut cat = enter(&chat, "sea", "cat").await;
    assert_eq!(hears(&mut ada).await, json!({ "joined": { "name": "bea", "here": 2 } }));
    let forged = r#"{"said":{"name":"bea","text":"I owe you"}}"#;
    ada.send(forged).await.unwrap();
    for connection in [&mut ada, &mut bea] {
        let heard = hears(connection).await;
        assert_eq!(heard, json!({ "said": { "name": "ada", "text": forged } }));
    }
    cat.send("aye").await.unwrap();
    assert_eq!(hears(&mut cat).await["said"]["text"], "aye");
    // Not by a proper close.
    ada.sender().abort(CloseCode::NORMAL, "");
    drop(ada);
    assert_eq!(hears(&mut bea).await, json!({ "left": { "name": "ada", "here": 1 } }));
}

#[tokio::test]
async fn nobody_takes_the_name_of_another_in_the_room() {
    let chat = start().await;
    let mut ada = enter(&chat, "harbour", "ada").await;
    let url = chat.url("/rooms/harbour?name=ada");
    let refused = (409, "somebody in this room has this name".to_owned());
    assert_eq!(refusal(&client(), &url).await, refused);
    // Another name in this room, or this name in another one.
    let mut bea = enter(&chat, "harbour", "bea").await;
    enter(&chat, "sea", "ada").await;
    assert_eq!(hears(&mut ada).await["joined"]["name"], "bea");
    soon(ada.close(CloseCode::NORMAL, "")).await.unwrap();
    assert_eq!(hears(&mut bea).await["left"]["name"], "ada");
    // The name is free soon after that was said.
    let again = soon(async {
        loop {
            match client().connect(&url).await {
                Ok(connection) => break connection,
                Err(error) => assert_eq!(error.response().unwrap().status(), 409),
            }
        }
    });
    assert_eq!(hears(&mut again.await).await["joined"]["name"], "ada");
}

#[tokio::test]
async fn the_chat_refuses_what_makes_no_sense() {
    let chat = start().await;
    let url = |resource| chat.url(resource);
    assert_eq!(refusal(&client(), &url("/rooms/harbour")).await.0, 400);
    assert_eq!(refusal(&client(), &url("/rooms/harbour?name=a%20b")).await.0, 400);
    assert_eq!(refusal(&client(), &url("/elsewhere?name=ada")).await.0, 404);
    let page = client().origin("https://evil.example");
    assert_eq!(refusal(&page, &url("/rooms/harbour?name=ada")).await.0, 403);

    let mut ada = enter(&chat, "harbour", "ada").await;
    ada.send("x".repeat(5000)).await.unwrap();
    let error = soon(async {
        while ada.recv().await?.is_some() {}
        towline::Result::Ok(())
    })
    .await;
    assert_eq!(error.unwrap_err().close_code(), Some(CloseCode::MESSAGE_TOO_BIG));
    let mut bea = enter(&chat, "harbour", "bea").await;
    bea.send(Message::binary(vec![1, 2])).await.unwrap();
    while soon(bea.recv()).await.is_ok_and(|message| message.is_some()) {}
    assert_eq!(bea.closed().unwrap().code(), CloseCode::UNSUPPORTED_DATA);
}

#[tokio::test]
async fn the_chat_has_a_page() {
    let chat = start().await;
    let page = chat.get("/").await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("text/html"), "{page}");
    assert!(page.contains("new WebSocket("), "{page}");
    assert!(chat.get("/favicon.ico").await.starts_with("HTTP/1.1 404 "));
}

#[cfg(unix)]
#[tokio::test]
async fn a_chat_that_restarts_tells_its_clients_to_come_back() {
    let mut chat = start().await;
    let mut ada = enter(&chat, "harbour", "ada").await;
    chat.signal("-INT").await;
    assert!(soon(ada.recv()).await.is_err(), "1012 is a failure");
    assert_eq!(ada.closed().unwrap().code(), CloseCode::SERVICE_RESTART);
    assert!(soon(chat.process.wait()).await.unwrap().success());
}
