//! The examples run, and do what they say.

#![allow(clippy::unwrap_used, missing_docs)]

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use towline::{Client, ErrorKind, Message, Proxy};

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
