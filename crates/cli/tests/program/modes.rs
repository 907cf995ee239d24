//! `towline serve --mode broadcast` and `--mode chat`.

use serde_json::Value;
use towline::{Client, Connection, Message};

use crate::support::{Program, Serve, ask, ask_with_token, header, join, next, within};

const CHAT: &str = "towline.chat.v1";

async fn enter(server: &Serve, path: &str) -> (Connection, Value) {
    let client = Client::new().protocols([CHAT]);
    let mut connection = client.connect(&format!("ws://{}{path}", server.address)).await.unwrap();
    assert_eq!(connection.protocol(), Some(CHAT));
    let welcome = json(&mut connection).await;
    (connection, welcome)
}

async fn json(connection: &mut Connection) -> Value {
    serde_json::from_str(&next(connection).await).unwrap()
}

#[tokio::test]
async fn a_broadcast_reaches_all_others_of_the_path() {
    let server = Serve::start(&["--mode=broadcast", "--threads=2"]);
    let mut all = Vec::new();
    for path in ["/a", "/a", "/a", "/b"] {
        all.push(join(&server, path).await);
    }
    // A member has joined when it gets what another sends: that is repeated until then.
    let [one, two, three, other] = &mut all[..] else { unreachable!() };
    other.send("not for you").await.unwrap();
    for receiver in [&mut *two, &mut *three] {
        loop {
            one.send("knock").await.unwrap();
            let waiting =
                tokio::time::timeout(std::time::Duration::from_millis(50), receiver.recv());
            if waiting.await.is_ok() {
                break;
            }
        }
    }
    one.send("text").await.unwrap();
    one.send(&b"\0\xff"[..]).await.unwrap();
    for receiver in [&mut *two, &mut *three] {
        let mut message = within(receiver.recv()).await.unwrap().unwrap();
        while message.as_text() == Some("knock") {
            message = within(receiver.recv()).await.unwrap().unwrap();
        }
        assert_eq!(message, Message::text("text"));
        let message = within(receiver.recv()).await.unwrap().unwrap();
        assert_eq!(message, Message::binary(&b"\0\xff"[..]));
    }
    // The sender gets nothing of its own, and the other path nothing at all.
    two.send("last").await.unwrap();
    assert_eq!(next(one).await, "last");
    drop(all);
    server.program.signal("INT");
    let ended = server.program.end();
    assert!(ended.text().contains(" broadcast, "), "{ended:?}");
}

/// A member that reads nothing misses messages; the others get all.
#[tokio::test]
async fn a_slow_member_of_a_broadcast_stops_nobody() {
    const MESSAGES: usize = 400;
    let server = Serve::start(&["--mode=broadcast", "--high-water-mark=64KiB"]);
    let slow = join(&server, "/").await;
    let (mut fast, one) = (join(&server, "/").await, join(&server, "/").await);
    // Both have joined when they get something, which the slow one has before.
    loop {
        one.send("knock").await.unwrap();
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(50), fast.recv());
        if waiting.await.is_ok() {
            break;
        }
    }
    let text = "x".repeat(1 << 16);
    for number in 0..MESSAGES {
        one.send(format!("{number} {text}")).await.unwrap();
        loop {
            let received = next(&mut fast).await;
            if received != "knock" {
                assert!(received.starts_with(&format!("{number} ")), "{}", &received[..20]);
                break;
            }
        }
    }
    // More than the operating system holds for it was not kept.
    drop((slow, fast, one));
    server.program.signal("INT");
    let ended = server.program.end();
    assert!(ended.text().contains(" skipped"), "{ended:?}");
}

#[tokio::test]
async fn people_in_a_room_hear_each_other() {
    let server = Serve::start(&["--mode=chat", "--threads=2"]);
    let (mut ada, welcome) = enter(&server, "/harbour?name=Ada+L.").await;
    let expected = r#"{"room":"harbour","you":"Ada L.","people":1,"names":["Ada L."],"said":[]}"#;
    assert_eq!(welcome.to_string(), expected);
    let (mut other, welcome) = enter(&server, "/?name=Eve").await;
    assert_eq!((welcome["room"].as_str(), welcome["people"].as_u64()), (Some("lobby"), Some(1)));

    ada.send(r#"{"say":"ship ahoy"}"#).await.unwrap();
    let said = json(&mut ada).await;
    assert_eq!(
        (&said["number"], &said["from"], &said["say"]),
        (&1.into(), &"Ada L.".into(), &"ship ahoy".into())
    );
    assert!(said["at"].as_u64().unwrap() > 1_700_000_000_000);

    // Who comes later learns what was said, and gets a name that is free.
    let (mut bob, welcome) = enter(&server, "/harbour/?name=ada%20l.").await;
    assert_eq!(welcome["you"], "ada l.-2");
    assert_eq!(welcome["said"][0]["say"], "ship ahoy");
    assert_eq!(next(&mut ada).await, r#"{"joined":"ada l.-2","people":2}"#);
    bob.send(r#"{"name":"Bob"}"#).await.unwrap();
    for one in [&mut ada, &mut bob] {
        assert_eq!(next(one).await, r#"{"renamed":"ada l.-2","to":"Bob"}"#);
    }
    bob.send(r#"{"name":"ADA L."}"#).await.unwrap();
    assert_eq!(next(&mut bob).await, r#"{"error":"the name ADA L. is taken"}"#);

    // A client that knows no JSON has lines.
    let mut carl = join(&server, "/harbour?name=carl").await;
    let welcome = next(&mut carl).await;
    assert!(welcome.starts_with("* you are carl in harbour, with 2 others; "), "{welcome}");
    assert!(welcome.ends_with("\nAda L.: ship ahoy"), "{welcome}");
    assert_eq!(next(&mut ada).await, r#"{"joined":"carl","people":3}"#);
    carl.send("hello").await.unwrap();
    assert_eq!(json(&mut ada).await["say"], "hello");
    ada.send(r#"{"say":"two\nlines"}"#).await.unwrap();
    assert_eq!(next(&mut carl).await, "Ada L.: two\\nlines");
    carl.send("/who").await.unwrap();
    let here = next(&mut carl).await;
    assert!(here.starts_with("* here: ") && here.contains("Bob"), "{here}");
    carl.send("/sink").await.unwrap();
    assert!(next(&mut carl).await.starts_with("* there is no command /sink"));

    bob.close(towline::CloseCode::NORMAL, "").await.unwrap();
    assert_eq!(next(&mut carl).await, "* Bob has left");
    // Nothing of this has been heard in the other room.
    other.send(r#"{"say":"alone"}"#).await.unwrap();
    assert_eq!(json(&mut other).await["say"], "alone");
}

#[tokio::test]
async fn a_room_is_forgotten_with_its_last_person() {
    let server = Serve::start(&["--mode=chat"]);
    let (mut ada, _) = enter(&server, "/quay?name=ada").await;
    ada.send(r#"{"say":"a secret"}"#).await.unwrap();
    json(&mut ada).await;
    let (head, body) = ask_with_token(&server, "GET /console/topics.json");
    assert_eq!(header(&head, "content-type"), "application/json");
    assert_eq!(body, br#"{"mode":"chat","rooms":1,"list":[{"name":"quay","people":1}]}"#);
    ada.close(towline::CloseCode::NORMAL, "").await.unwrap();
    // The server has noted that once it answers to another name.
    loop {
        let (mut ada, welcome) = enter(&server, "/quay?name=ada").await;
        if welcome["you"] == "ada" {
            assert_eq!(welcome["said"].as_array().unwrap().len(), 0);
            break;
        }
        ada.close(towline::CloseCode::NORMAL, "").await.unwrap();
    }
}

#[tokio::test]
async fn what_a_chat_refuses_has_a_reason() {
    let server = Serve::start(&["--mode=chat"]);
    for (path, words) in [
        ("/%ff", "not UTF-8"),
        ("/a%0Ab", "control or invisible character"),
        ("/?name=ada:", "no colon"),
        ("/?name=*", "asterisk"),
        (&format!("/{}", "x".repeat(65)), "65 characters; the limit is 64"),
    ] {
        let url = format!("ws://{}{path}", server.address);
        let error = Client::new().connect(&url).await.unwrap_err().to_string();
        assert!(error.contains("400") && error.contains(words), "{path}: {error}");
    }
    let (mut ada, _) = enter(&server, "/").await;
    let long = format!(r#"{{"say":"{}"}}"#, "x".repeat(8193));
    for (message, words) in [
        (Message::text("ahoy"), "not JSON"),
        (Message::text("{}"), "send {"),
        (Message::text(r#"{"say":""}"#), "an empty message"),
        (Message::text(long), "the text has 8193 bytes; the limit is 8192"),
        (Message::text(r#"{"name":""}"#), "at least one character"),
        (Message::binary(&b"ahoy"[..]), "a binary message"),
    ] {
        ada.send(message).await.unwrap();
        let error = json(&mut ada).await["error"].as_str().unwrap().to_owned();
        assert!(error.contains(words), "{error}");
    }
    let ended = Program::start(&["serve", "--mode=chat", "--protocol=any"]).end();
    ended.failed(2, &["--protocol", "--mode chat"]);
}

/// Nobody is lost, and all see the same order.
#[tokio::test]
async fn a_crowd_comes_talks_and_goes() {
    const PEOPLE: usize = 200;
    let server = Serve::start(&["--mode=chat", "--threads=2"]);
    let (mut host, _) = enter(&server, "/?name=host").await;
    let mut crowd = Vec::new();
    for number in 0..PEOPLE {
        let (connection, welcome) = enter(&server, &format!("/?name=p{number}")).await;
        assert_eq!(welcome["people"].as_u64(), Some(number as u64 + 2));
        crowd.push(connection);
    }
    for (number, one) in crowd.iter().enumerate() {
        one.send(format!(r#"{{"say":"{number}"}}"#)).await.unwrap();
    }
    let (mut joined, mut said) = (0, 0);
    while joined < PEOPLE || said < PEOPLE {
        let news = json(&mut host).await;
        match news["say"].is_string() {
            true => {
                said += 1;
                assert_eq!(news["number"], said);
            }
            false => joined += usize::from(news["joined"].is_string()),
        }
    }
    drop(crowd);
    let mut left = 0;
    while left < PEOPLE {
        left += usize::from(json(&mut host).await["left"].is_string());
    }
    let (head, _) = ask(&server, "GET /");
    assert!(head.starts_with("http/1.1 307"), "{head}");
    assert!(ask(&server, "HEAD /").0.starts_with("http/1.1 307"));
    for page in ["topics.json", "live.json"] {
        let (head, _) = ask(&server, &format!("POST /console/{page}\nContent-Length: 0"));
        assert!(head.starts_with("http/1.1 405"), "{page}: {head}");
    }
    assert_eq!(header(&head, "location"), "console/chat");
}
