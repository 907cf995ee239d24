//! The list of connections in the console.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::Value;
use towline::{Client, CloseCode};

use crate::support::{Program, Serve, ask, ask_with_token, header, join, next, until, within};

fn list(server: &Serve, query: &str) -> Value {
    let (head, body) = ask_with_token(server, &format!("GET /console/live.json{query}"));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(header(&head, "cache-control"), "no-store");
    serde_json::from_slice(&body).unwrap()
}

/// A list is good for half a second.
async fn list_with(server: &Serve, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(what, || is_it(&list(server, ""))).await;
    list(server, "")
}

#[tokio::test]
async fn connections_are_listed_and_how_they_ended() {
    let server = Serve::start(&["--threads=2", "--compress", "--protocol=chat.v1"]);
    let client = Client::new().protocols(["chat.v1"]);
    let mut ada =
        client.connect(&format!("ws://{}/room?token=hush", server.address)).await.unwrap();
    let mut bob = join(&server, "/").await;
    for connection in [&mut ada, &mut bob] {
        connection.send("ahoy").await.unwrap();
        next(connection).await;
    }
    // What is received and what is sent are not read at one instant.
    let are_two = |now: &Value| ["received", "sent"].iter().all(|way| now[way]["messages"] == 2);
    let now = list_with(&server, "two", are_two).await;
    assert_eq!(
        (&now["mode"], &now["connections"], &now["total"]),
        (&"echo".into(), &2.into(), &2.into())
    );
    assert_eq!(now["received"], serde_json::json!({ "messages": 2, "bytes": 8 }));
    let of = |path: &str| {
        let rows = now["list"].as_array().unwrap();
        rows.iter().find(|row| row["path"] == path).unwrap().clone()
    };
    let row = of("/room");
    assert_eq!(row["protocol"], "chat.v1");
    assert_eq!(row["sent"], serde_json::json!({ "messages": 1, "bytes": 4 }));
    assert!(row["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{row}");
    // The query can have secrets.
    assert!(!now.to_string().contains("hush"), "{now}");

    ada.close(CloseCode::new(4001), "bye").await.unwrap();
    let now = list_with(&server, "ended", |now| now["ends"][0].is_object()).await;
    let end = &now["ends"][0];
    assert_eq!(
        (&end["code"], &end["reason"], &end["by"]),
        (&4001.into(), &"bye".into(), &"client".into())
    );
    assert_eq!(now["closed"], serde_json::json!({ "4000": 1 }));
    assert_eq!((&end["path"], &end["clean"]), (&"/room".into(), &true.into()));
    assert_eq!(now["connections"], 1);
}

/// Those of all threads, which have different counts.
#[tokio::test]
async fn handshakes_that_failed_are_counted_by_kind() {
    let server = Serve::start(&["--threads=2"]);
    let mut all = Vec::new();
    for said in ["\x16\x03\x01\x02\0\x01", "hello there\r\n\r\n"].repeat(3) {
        let mut client = TcpStream::connect(server.address).unwrap();
        client.write_all(said.as_bytes()).unwrap();
        all.push(client);
    }
    let expected = serde_json::json!({ "ERR_IS_TLS": 3, "ERR_NOT_HTTP": 3 });
    list_with(&server, "failed", |now| now["failed"] == expected).await;
}

#[tokio::test]
async fn the_list_is_sorted_by_what_is_asked_for() {
    let server = Serve::start(&[]);
    let mut all = Vec::new();
    for number in 0..3 {
        let mut connection = join(&server, &format!("/{number}")).await;
        for _ in 0..=number {
            connection.send("x").await.unwrap();
            next(&mut connection).await;
        }
        all.push(connection);
    }
    for (sort, first) in [
        ("path", "/0"),
        ("-path", "/2"),
        ("-messages_in", "/2"),
        ("bytes_out", "/0"),
        ("age", "/2"),
        ("-age", "/0"),
    ] {
        let now = list(&server, &format!("?sort={sort}"));
        assert_eq!(now["list"][0]["path"], first, "{sort}: {now}");
    }
    let (head, _) = ask_with_token(&server, "GET /console/live.json?sort=nonsense");
    assert!(head.starts_with("http/1.1 400"), "{head}");
    drop(all);
}

#[tokio::test]
async fn the_console_closes_a_connection() {
    let server = Serve::start(&[]);
    let mut connection = join(&server, "/").await;
    connection.send("x").await.unwrap();
    next(&mut connection).await;
    let id = list(&server, "")["list"][0]["id"].as_u64().unwrap();
    // Pages of other origins can't send the header.
    let plain = format!("POST /console/close?id={id}\nContent-Length: 0");
    assert!(ask(&server, &plain).0.starts_with("http/1.1 401"));
    for more in ["Host: evil.example", "X-Forwarded-For: 192.0.2.1"] {
        let (head, _) = ask_with_token(&server, &format!("POST /console/close?id={id}\n{more}"));
        assert!(head.starts_with("http/1.1 403"), "{more}: {head}");
    }
    assert!(ask(&server, &format!("GET /console/close?id={id}")).0.starts_with("http/1.1 405"));
    for (wrong, status) in [("?id=x", 400), ("", 400), ("?id=18446744073709551615", 404)] {
        let (head, _) = ask_with_token(&server, &format!("POST /console/close{wrong}"));
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{wrong}: {head}");
    }
    let preflight = "OPTIONS /console/close\nOrigin: https://evil.example\r\n\
                     Access-Control-Request-Method: POST";
    let (head, _) = ask(&server, preflight);
    assert!(head.starts_with("http/1.1 405") && !head.contains("access-control"), "{head}");
    assert!(connection.is_open());

    let (head, _) = ask_with_token(&server, &format!("POST /console/close?id={id}"));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(within(connection.recv()).await.unwrap().is_none());
    let closed = within(connection.wait_closed()).await;
    assert_eq!((closed.code(), closed.reason()), (CloseCode::NORMAL, "closed in the console"));
}

/// The addresses of clients are not for everybody: a page whose name leads here, or the public behind a
/// proxy on this machine.
#[test]
fn the_list_is_for_this_machine_unless_said_otherwise() {
    let foreign = ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1"];
    for (option, local, others) in
        [(&[][..], 200, 403), (&["--console=any"], 200, 200), (&["--console=off"], 403, 403)]
    {
        let server = Serve::start(option);
        let status = |headers: &str| {
            let (head, _) = ask_with_token(&server, &format!("GET /console/live.json{headers}"));
            head[9..12].parse::<u16>().unwrap()
        };
        assert_eq!(status(""), local, "{option:?}");
        for header in foreign {
            assert_eq!(status(&format!("\n{header}")), others, "{option:?} {header}");
        }
        // A page of another site can have its name lead here.
        assert_eq!(status("\nHost: evil.example:9001"), 403, "{option:?}");
        // Closing is for this machine in any case.
        let far = "POST /console/close?id=1\nX-Forwarded-For: 192.0.2.1";
        let (head, _) = ask_with_token(&server, far);
        assert!(head.starts_with("http/1.1 403"), "{head}");
    }
    let ended = Program::start(&["serve", "--console=everybody"]).end();
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

/// The list is bounded, and the sums are not.
#[tokio::test]
async fn the_list_has_two_hundred_of_many() {
    let server = Serve::start(&["--threads=2"]);
    let mut all = Vec::new();
    for _ in 0..205 {
        all.push(join(&server, "/").await);
    }
    let now = list_with(&server, "all", |now| now["connections"] == 205).await;
    assert_eq!(now["list"].as_array().unwrap().len(), 200);
    drop(all);
    let ends = |now: &Value| now["ends"].as_array().unwrap().len();
    let is_over = |now: &Value| now["connections"] == 0 && ends(now) == 50;
    let now = list_with(&server, "none", is_over).await;
    assert_eq!(now["closed"]["1001"], 205, "{now}");
}
