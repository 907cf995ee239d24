//! The examples run, and do what they say.

#![allow(clippy::unwrap_used, missing_docs)]

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use towline::http::StatusCode;
use towline::{Client, CloseCode, ErrorKind, Message, Proxy, Server};

fn example(name: &str) -> PathBuf {
    // This is target/debug/deps/examples-….
    let target = env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let example = target.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(
        example.exists(),
        "`cargo test` builds it, and where only this is to run, `cargo build --examples`"
    );
    example
}

/// An example that serves.
struct Serving {
    process: Child,
    address: String,
}

impl Serving {
    fn start(name: &str) -> Self {
        let mut command = Command::new(example(name));
        let mut process = command.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, address }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn the_client_talks_to_the_echo() {
    let echo = Serving::start("echo");
    let mut client = Command::new(example("client"));
    let client = client.arg(format!("ws://{}/", echo.address)).env("no_proxy", "*");
    let output = client.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("Some(Text(\"ship ahoy\"))\n"), "{said}");
    assert!(said.contains("1000"), "{said}");
}

#[tokio::test]
async fn the_chat_parts_rooms_and_names_who_speaks() {
    let chat = Serving::start("chat");
    let url = |resource: &str| format!("ws://{}{resource}", chat.address);
    let client = Client::new().proxy(Proxy::none());
    let error = client.connect(url("/harbour")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
    assert_eq!(error.response().unwrap().status(), 401);
    let mut ada = client.connect(url("/harbour?ada")).await.unwrap();
    let mut bea = client.connect(url("/harbour?bea")).await.unwrap();
    let mut cat = client.connect(url("/sea?cat")).await.unwrap();
    // The answer is there before the connection is among all.
    for (connection, name) in [(&mut ada, "ada"), (&mut bea, "bea"), (&mut cat, "cat")] {
        connection.send("here").await.unwrap();
        while connection.recv().await.unwrap() != Some(Message::text(format!("{name}: here"))) {}
    }
    ada.send("hi").await.unwrap();
    while bea.recv().await.unwrap() != Some(Message::from("ada: hi")) {}
    cat.send("aye").await.unwrap();
    assert_eq!(cat.recv().await.unwrap(), Some(Message::from("cat: aye")));
    ada.send("all hands!").await.unwrap();
    assert_eq!(cat.recv().await.unwrap(), Some(Message::from("ada: all hands!")));
}

/// A server that is overloaded, restarts, and ends.
#[tokio::test]
async fn the_reconnecting_client_comes_back_with_a_fresh_token() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", server.local_addr().unwrap());
    let client = tokio::task::spawn_blocking(move || {
        Command::new(example("reconnecting")).arg(url).env("no_proxy", "*").output().unwrap()
    });
    let mut tokens = Vec::new();
    for code in [None, Some(1012), Some(1000)] {
        let request = server.next_request().await.unwrap();
        tokens.push(request.headers()["authorization"].to_str().unwrap().to_owned());
        let Some(code) = code else {
            request.reject(StatusCode::SERVICE_UNAVAILABLE, "busy").await.unwrap();
            continue;
        };
        let mut connection = request.accept().await.unwrap();
        assert_eq!(connection.recv().await.unwrap(), Some(Message::from("subscribe")));
        connection.send(format!("news {code}")).await.unwrap();
        connection.close(CloseCode::new(code), "").await.unwrap();
    }
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-2", "Bearer token-3"]);
    let output = client.await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let lines: Vec<_> = said.lines().collect();
    for line in ["attempt 1", "Text(\"news 1012\")", "attempt 3", "Text(\"news 1000\")", "ended"] {
        assert!(lines.contains(&line), "{line} is missing in {said}");
    }
    assert!(said.contains("waiting: ") && said.contains("503"), "{said}");
    assert!(said.contains("lost: closed by the peer with 1012"), "{said}");
}
