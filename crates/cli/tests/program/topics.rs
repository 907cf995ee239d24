//! `towline serve --mode topics`, by clients that speak its subprotocol.

use std::time::Duration;

use towline::{Client, Connection, Message};

use crate::support::{Program, Serve};

const PROTOCOL: &str = "towline.topics.v1";

async fn connect(server: &Serve) -> Connection {
    Client::new().protocols([PROTOCOL]).connect(&server.url()).await.unwrap()
}

/// The next message. A test that waits in vain fails.
async fn next(connection: &mut Connection) -> String {
    let next = tokio::time::timeout(Duration::from_secs(30), connection.recv()).await;
    next.expect("no message").unwrap().unwrap().as_text().unwrap().to_owned()
}

/// Sends a message, and returns the answer.
async fn ask(connection: &mut Connection, text: &str) -> String {
    connection.send(text).await.unwrap();
    next(connection).await
}

#[tokio::test]
async fn subscribers_get_what_is_published_as_it_was_written() {
    let server = Serve::start(&["--mode=topics"]);
    let (mut ada, mut bob) = (connect(&server).await, connect(&server).await);
    assert_eq!(ada.protocol(), Some(PROTOCOL));
    let answer = ask(&mut ada, r#"{"subscribe":"room/7","id":"a"}"#).await;
    assert_eq!(answer, r#"{"subscribed":"room/7","members":1,"id":"a"}"#);
    let answer = ask(&mut bob, r#"{"subscribe":"room/7"}"#).await;
    assert_eq!(answer, r#"{"subscribed":"room/7","members":2}"#);
    // Twice is once.
    let answer = ask(&mut bob, r#"{"subscribe":"room/7"}"#).await;
    assert_eq!(answer, r#"{"subscribed":"room/7","members":2}"#);

    let data = r#"{ "b": 1.50, "a": 123456789012345678901234567890, "\u00e9": [] }"#;
    ada.send(format!(r#"{{"publish":"room/7","data":{data}}}"#)).await.unwrap();
    let expected = format!(r#"{{"topic":"room/7","data":{data}}}"#);
    assert_eq!(next(&mut ada).await, expected);
    assert_eq!(next(&mut bob).await, expected);

    let answer = ask(&mut bob, r#"{"unsubscribe":"room/7","id":2}"#).await;
    assert_eq!(answer, r#"{"unsubscribed":"room/7","members":1,"id":2}"#);
    // One that is not subscribed can publish, and only an id is answered.
    bob.send(r#"{"publish":"room/7","data":1}"#).await.unwrap();
    let answer = ask(&mut bob, r#"{"publish":"room/7","data":2,"id":3}"#).await;
    assert_eq!(answer, r#"{"published":"room/7","id":3}"#);
    for data in 1..=2 {
        assert_eq!(next(&mut ada).await, format!(r#"{{"topic":"room/7","data":{data}}}"#));
    }
    drop((ada, bob));
    server.program.signal("INT");
    let ended = server.program.end();
    assert!(ended.text().contains("3 messages published, 4 delivered"), "{ended:?}");
}

#[tokio::test]
async fn an_error_answers_and_the_connection_stays() {
    let server = Serve::start(&["--mode=topics", "--max-subscriptions=2", "-v"]);
    let mut ada = connect(&server).await;
    for (message, words) in [
        ("ahoy", "ahoy is no JSON object"),
        (r#"{"subscribe":7,"id":1}"#, "the name of a topic is a string\",\"id\":1}"),
        (r#"{"publish":"a"}"#, "no member \\\"data\\\""),
    ] {
        let answer = ask(&mut ada, message).await;
        assert!(answer.starts_with("{\"error\":") && answer.contains(words), "{answer}");
    }
    let long = format!(r#"{{"publish":"{}","data":1}}"#, "é".repeat(257));
    let answer = ask(&mut ada, &long).await;
    assert!(answer.contains("has 514 bytes; the limit is 512"), "{answer}");
    ada.send(Message::binary("ahoy")).await.unwrap();
    let answer = next(&mut ada).await;
    assert!(answer.contains("a binary message of 4 bytes"), "{answer}");

    for name in ["a", "b"] {
        ask(&mut ada, &format!(r#"{{"subscribe":"{name}"}}"#)).await;
    }
    let answer = ask(&mut ada, r#"{"subscribe":"c"}"#).await;
    assert!(answer.contains("subscribed to 2 topics; the limit is 2"), "{answer}");
    assert!(answer.contains("--max-subscriptions"), "{answer}");
    // Room again.
    ask(&mut ada, r#"{"unsubscribe":"a"}"#).await;
    let answer = ask(&mut ada, r#"{"subscribe":"c"}"#).await;
    assert_eq!(answer, r#"{"subscribed":"c","members":1}"#);
    drop(ada);
    server.program.signal("INT");
    let ended = server.program.end();
    for line in ["connected to / (towline.topics.v1)", "refused: ahoy is no", "subscribed to \"c\""]
    {
        assert!(ended.stderr.contains(line), "{ended:?}");
    }
}

#[tokio::test]
async fn a_client_without_the_subprotocol_is_told_what_to_offer() {
    let server = Serve::start(&["--mode=topics"]);
    let error = Client::new().connect(&server.url()).await.unwrap_err().to_string();
    assert!(error.contains("400") && error.contains("offer the subprotocol"), "{error}");
    assert!(error.contains(PROTOCOL), "{error}");
    let other = Client::new().protocols(["chat.v2"]).connect(&server.url()).await;
    let error = other.unwrap_err().to_string();
    assert!(error.contains("the only subprotocol here is towline.topics.v1"), "{error}");
    // Beside another, it is chosen.
    let both = Client::new().protocols(["chat.v2", PROTOCOL]).connect(&server.url()).await.unwrap();
    assert_eq!(both.protocol(), Some(PROTOCOL));
}

/// Every message that a slow client gets is in order, and what it misses is counted: nothing else is
/// missing.
#[tokio::test]
async fn a_slow_client_is_told_what_it_has_missed() {
    const MESSAGES: u64 = 4000;

    let server = Serve::start(&["--mode=topics", "--high-water-mark=16KiB"]);
    let (mut slow, mut other) = (connect(&server).await, connect(&server).await);
    ask(&mut slow, r#"{"subscribe":"a"}"#).await;
    let padding = "-".repeat(8 << 10);
    for number in 0..MESSAGES {
        let message = format!(r#"{{"publish":"a","data":[{number},"{padding}"]}}"#);
        other.send(message).await.unwrap();
    }
    let answer = ask(&mut other, r#"{"publish":"b","data":0,"id":1}"#).await;
    assert_eq!(answer, r#"{"published":"b","id":1}"#);

    let (mut expected, mut has_skipped) = (0, false);
    loop {
        // The last ones have been skipped, too: more of them let the notice come.
        other.send(r#"{"publish":"a","data":["end"]}"#).await.unwrap();
        let message: serde_json::Value = serde_json::from_str(&next(&mut slow).await).unwrap();
        if let Some(skipped) = message["skipped"].as_u64() {
            assert_eq!(message["topic"], "a");
            expected += skipped;
            has_skipped = true;
            continue;
        }
        match message["data"][0].as_u64() {
            Some(number) => {
                assert_eq!(number, expected);
                expected += 1;
            }
            None => break,
        }
    }
    assert!(has_skipped, "nothing was skipped");
    assert!(expected >= MESSAGES, "{expected} of {MESSAGES} messages are accounted for");
}

/// With a runtime for each thread, the topics are those of all.
#[tokio::test]
async fn members_on_every_thread_get_everything_in_order() {
    const MEMBERS: usize = 24;
    const MESSAGES: usize = 50;

    let server = Serve::start(&["--mode=topics", "--threads=3"]);
    let mut members = Vec::new();
    for number in 1..=MEMBERS {
        let mut member = connect(&server).await;
        let answer = ask(&mut member, r#"{"subscribe":"a"}"#).await;
        // The count is that of all threads.
        assert_eq!(answer, format!(r#"{{"subscribed":"a","members":{number}}}"#));
        members.push(member);
    }
    for (index, member) in members.iter().enumerate() {
        for number in 0..MESSAGES {
            let message = format!(r#"{{"publish":"a","data":[{index},{number}]}}"#);
            member.send(message).await.unwrap();
        }
    }
    let mut seen: Option<Vec<String>> = None;
    for member in &mut members {
        let mut got = Vec::new();
        let mut of_each = [0; MEMBERS];
        while got.len() < MEMBERS * MESSAGES {
            let text = next(member).await;
            let message: serde_json::Value = serde_json::from_str(&text).unwrap();
            let index = usize::try_from(message["data"][0].as_u64().unwrap()).unwrap();
            assert_eq!(message["data"][1], of_each[index], "of {index}");
            of_each[index] += 1;
            got.push(text);
        }
        // All see the same order.
        assert_eq!(*seen.get_or_insert_with(|| got.clone()), got);
    }
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let ended = Program::start(&["serve", "--relay=nats://127.0.0.1:1"]).end();
    ended.failed(2, &["--relay needs --mode topics"]);
    let ended = Program::start(&["serve", "--mode=topics", "--protocol=any"]).end();
    ended.failed(2, &["--protocol", "--mode topics"]);
    let secret = "--relay=amqp://user:secret@broker";
    let ended = Program::start(&["serve", "--mode=topics", secret]).end();
    ended.failed(2, &["--relay", "nats://HOST:PORT"]);
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
    // Nothing listens there; without the feature, that is said.
    let nowhere = ["serve", "--mode=topics", "--relay=nats://user:secret@127.0.0.1:1"];
    let ended = Program::start(&nowhere).end();
    ended.failed(3, &["--relay"]);
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
}

#[test]
fn what_is_published_by_the_program_is_shown_by_it() {
    let server = Serve::start(&["--mode=topics"]);
    let arguments = [&server.url(), "--subscribe=room/7", "--subscribe=b", "--wait=4"];
    let mut lines = Program::connect(&[&arguments[..], &["--verbose"]].concat());
    let mut json = Program::connect(&[&arguments[..], &["--json"]].concat());
    // Their input stays open: they have nothing to publish.
    lines.wait_for_error(|line| line.starts_with("subscribed to b, members: "));
    json.wait_for(|line| line.starts_with(r#"{"event":"subscribed","topic":"b","members":"#));
    let publish = Program::connect(&[&server.url(), "--publish=room/7"]);
    let ended = publish.feed(b"ship \"ahoy\"\n[1, 123456789012345678901234567890]\n\n".to_vec());
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let ended = Program::connect(&[&server.url(), "--publish=b", "--message=true"]).end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));

    let ended = lines.end();
    let expected = "room/7: ship \"ahoy\"\n\
                    room/7: [1, 123456789012345678901234567890]\n\
                    room/7: \n\
                    b: true\n";
    assert_eq!((ended.code, ended.text()), (Some(0), expected), "{ended:?}");
    let ended = json.end();
    let expected = r#"{"event":"message","topic":"room/7","data":"ship \"ahoy\""}
{"event":"message","topic":"room/7","data":[1, 123456789012345678901234567890]}
{"event":"message","topic":"room/7","data":""}
{"event":"message","topic":"b","data":true}
"#;
    assert!(ended.text().starts_with(expected), "{ended:?}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_server_that_speaks_no_topics_and_an_error_of_one_that_does_end_the_program() {
    let server = Serve::start(&[]);
    for option in ["--subscribe=a", "--publish=a"] {
        let ended = Program::connect(&[&server.url(), option]).end();
        ended.failed(4, &["does not speak towline.topics.v1", "its subprotocol is none"]);
    }
    let server = Serve::start(&["--mode=topics", "--max-subscriptions=1"]);
    let ended = Program::connect(&[&server.url(), "--subscribe=a", "--subscribe=b"]).end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("error: the server refuses: this connection"), "{ended:?}");
    let ended = Program::connect(&[&server.url(), "--subscribe", &"x".repeat(513)]).end();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("at most 512 bytes, and this one has 513"), "{ended:?}");
}

/// After each connection it subscribes again.
#[test]
fn a_subscriber_that_reconnects_is_subscribed_again() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let serve = ["serve", "--mode=topics", "--listen", &address];
    let url = format!("ws://{address}/");
    let arguments = [&*url, "--subscribe=a", "--reconnect", "--wait=2", "--verbose"];

    let mut server = Program::start(&serve);
    server.line();
    let mut subscriber = Program::connect(&arguments);
    for data in ["1", "2"] {
        subscriber.wait_for_error(|line| line == "subscribed to a, members: 1");
        let ended = Program::connect(&[&url, "--publish=a", "--message", data]).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(subscriber.line(), format!("a: {data}"));
        if data == "1" {
            server.signal("KILL");
            drop(server);
            server = Program::start(&serve);
            assert_eq!(server.line(), format!("listening on {address}"));
        }
    }
    assert_eq!(subscriber.end().code, Some(0));
}
