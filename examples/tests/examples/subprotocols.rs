use towline::{CloseCode, Connection};

use crate::program::{Program, client, example, hear, hear_until, refusal, soon};

async fn start() -> Program {
    Program::start(example!("subprotocols"), &["127.0.0.1:0"]).await
}

/// Connects, and speaks until it is heard, so that it is in the room.
async fn enter(server: &Program, protocols: &[&str], say: &str) -> (Connection, String) {
    let client = client().protocols(protocols.iter().copied());
    let mut connection = soon(client.connect(server.url("/"))).await.unwrap();
    connection.send(say).await.unwrap();
    let heard = hear(&mut connection).await;
    (connection, heard)
}

#[tokio::test]
async fn both_versions_understand_each_other() {
    let server = start().await;
    let (mut old, heard) = enter(&server, &["chat.v1"], "ahoy").await;
    assert_eq!(old.protocol(), Some("chat.v1"));
    assert!(heard.starts_with("guest-") && heard.ends_with(": ahoy"), "{heard}");
    // The newest of both is chosen, whatever the client's order. Names have no case.
    let (mut new, heard) = enter(&server, &["chat.v1", "CHAT.v2"], r#"{"text":"aye"}"#).await;
    assert_eq!(new.protocol(), Some("CHAT.v2"));
    let value: serde_json::Value = serde_json::from_str(&heard).unwrap();
    assert_eq!(value["text"], "aye");
    let from = value["from"].as_str().unwrap();
    hear_until(&mut old, &format!("{from}: aye")).await;
    old.send("and \"you\"?").await.unwrap();
    let value: serde_json::Value = serde_json::from_str(&hear(&mut new).await).unwrap();
    assert_eq!(value["text"], "and \"you\"?");
}

#[tokio::test]
async fn a_version_of_the_future_is_passed_over_and_alone_refused() {
    let server = start().await;
    let (old, _) = enter(&server, &["chat.v3", "chat.v1"], "ahoy").await;
    assert_eq!(old.protocol(), Some("chat.v1"));
    for client in [client(), client().protocols(["chat.v3"])] {
        let (status, reason) = refusal(&client, &server.url("/")).await;
        assert_eq!(status, 400);
        assert!(reason.contains("chat.v2"), "{reason}");
    }
}

#[tokio::test]
async fn a_message_of_the_other_version_closes_with_1007() {
    let server = start().await;
    let client = client().protocols(["chat.v2"]);
    for wrong in ["ahoy", r#"{"txt":"ahoy"}"#, "{}", "null"] {
        let mut connection = soon(client.connect(server.url("/"))).await.unwrap();
        connection.send(wrong).await.unwrap();
        assert!(soon(connection.recv()).await.is_err(), "{wrong}");
        let closed = connection.closed().unwrap();
        assert_eq!(
            (closed.code(), closed.reason()),
            (CloseCode::INVALID_DATA, r#"send {"text": …}"#)
        );
    }
}
