//! The example app runs, and does what it says.

#![allow(clippy::unwrap_used, missing_docs)]

use std::env;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use towline::{Client, CloseCode, Connection, Error, Proxy};

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this never happens")
}

/// The app, in a process of its own.
struct Rooms {
    process: Child,
    address: String,
}

impl Rooms {
    async fn start() -> Self {
        // This is target/debug/deps/examples-….
        let target = env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
        let program = target.join("examples").join(format!("rooms{}", env::consts::EXE_SUFFIX));
        assert!(
            program.exists(),
            "`cargo test` builds it, and where only this is to run, `cargo build --examples`"
        );
        let mut command = Command::new(program);
        command.arg("127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        soon(output.read_line(&mut line)).await.unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap();
        Self { process, address: address.trim_end_matches('/').to_owned() }
    }

    async fn try_enter(&self, room: &str, name: &str) -> Result<Connection, Error> {
        let mut client = Client::new().proxy(Proxy::none());
        if !name.is_empty() {
            client = client.header("cookie", format!("theme=dark; name={name}"));
        }
        soon(client.connect(format!("ws://{}/rooms/{room}", self.address))).await
    }

    async fn enter(&self, room: &str, name: &str) -> Connection {
        let mut connection = self.try_enter(room, name).await.unwrap();
        hears(&mut connection, &format!("{name} joins")).await;
        connection
    }

    async fn refusal(&self, room: &str, name: &str) -> u16 {
        let error = self.try_enter(room, name).await.unwrap_err();
        error.response().unwrap().status().as_u16()
    }
}

/// The next message is this one.
async fn hears(connection: &mut Connection, text: &str) {
    let message = soon(connection.recv()).await.unwrap().unwrap();
    assert_eq!(message.as_text(), Some(text));
}

#[cfg(unix)]
#[tokio::test]
async fn rooms_are_parted_guarded_and_closed_at_the_end() {
    let mut rooms = Rooms::start().await;
    assert_eq!(rooms.refusal("harbour", "").await, 401);
    assert_eq!(rooms.refusal("desert", "ada").await, 404);

    let mut ada = rooms.enter("harbour", "ada").await;
    let mut bea = rooms.enter("harbour", "bea").await;
    let mut cat = rooms.enter("sea", "cat").await;
    hears(&mut ada, "bea joins").await;
    ada.send("hi").await.unwrap();
    hears(&mut bea, "ada: hi").await;
    hears(&mut ada, "ada: hi").await;
    cat.send("aye").await.unwrap();
    hears(&mut cat, "cat: aye").await;
    soon(ada.close(CloseCode::NORMAL, "")).await.unwrap();
    hears(&mut bea, "ada leaves").await;

    let id = rooms.process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    for connection in [&mut bea, &mut cat] {
        while soon(connection.recv()).await.unwrap().is_some() {}
        assert_eq!(connection.closed().unwrap().code(), CloseCode::GOING_AWAY);
    }
    assert!(soon(rooms.process.wait()).await.unwrap().success());
    let mut log = String::new();
    soon(rooms.process.stderr.take().unwrap().read_to_string(&mut log)).await.unwrap();
    for says in ["joined", "127.0.0.1", "cat", "left", "stopping", "stopped"] {
        assert!(log.contains(says), "{says}: {log}");
    }
}
