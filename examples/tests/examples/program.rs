//! An example in a process of its own, as a user starts it.

use std::ffi::OsStr;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use towline::{Client, Connection, Message, Proxy};

/// The path of an example's program. Cargo builds it before the tests.
macro_rules! example {
    ($name:literal) => {
        env!(concat!("CARGO_BIN_EXE_", $name))
    };
}
pub(crate) use example;

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this never happens")
}

/// A client that goes straight to the server, whatever the environment says.
pub(crate) fn client() -> Client {
    Client::new().proxy(Proxy::none())
}

pub(crate) async fn connect(url: &str) -> Connection {
    soon(client().connect(url)).await.unwrap()
}

/// The next message, as text.
pub(crate) async fn hear(connection: &mut Connection) -> String {
    let message = soon(connection.recv()).await.unwrap().expect("a message, not the end");
    message.as_text().unwrap().to_owned()
}

/// Receives until this comes.
pub(crate) async fn hear_until(connection: &mut Connection, text: &str) {
    while soon(connection.recv()).await.unwrap().expect(text) != Message::text(text) {}
}

/// The status and the reason of a refusal.
pub(crate) async fn refusal(client: &Client, url: &str) -> (u16, String) {
    let error = soon(client.connect(url)).await.unwrap_err();
    let response = error.response().unwrap_or_else(|| panic!("{error}"));
    let reason = String::from_utf8_lossy(response.body()).trim().to_owned();
    (response.status().as_u16(), reason)
}

fn command(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments).env("no_proxy", "*").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs an example until its end.
pub(crate) async fn run(path: &str, arguments: &[&str]) -> Output {
    soon(command(path, arguments).output()).await.unwrap()
}

/// Runs an example until its end, with a variable in its environment.
pub(crate) async fn run_with(
    path: &str,
    arguments: &[&str],
    variable: (&str, impl AsRef<OsStr>),
) -> Output {
    let mut command = command(path, arguments);
    soon(command.env(variable.0, variable.1).output()).await.unwrap()
}

/// Runs an example that succeeds, and returns what it printed.
pub(crate) async fn printed(path: &str, arguments: &[&str]) -> String {
    let output = run(path, arguments).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// An example that runs.
pub(crate) struct Program {
    pub(crate) process: Child,
    pub(crate) address: String,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts an example that listens, on a port that is free.
    pub(crate) async fn start(path: &str, arguments: &[&str]) -> Self {
        Self::serve(command(path, arguments)).await
    }

    /// Starts an example with a variable in its environment.
    pub(crate) async fn start_with(path: &str, arguments: &[&str], variable: (&str, &str)) -> Self {
        let mut command = command(path, arguments);
        command.env(variable.0, variable.1);
        Self::serve(command).await
    }

    async fn serve(command: Command) -> Self {
        let mut program = Self::spawn(command);
        let line = program.line().await;
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}"));
        let address = address.strip_prefix("http://").unwrap_or(address);
        // The example `cores` says more on that line.
        let address = address.split(',').next().unwrap_or_default();
        program.address = address.trim_end_matches('/').to_owned();
        program
    }

    /// Starts an example that does not listen.
    pub(crate) fn client(path: &str, arguments: &[&str]) -> Self {
        Self::spawn(command(path, arguments))
    }

    fn spawn(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, address: String::new(), lines }
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        match soon(self.lines.next_line()).await.unwrap() {
            Some(line) => line,
            None => panic!("it has ended: {}", self.errors().await),
        }
    }

    /// Reads lines until this one.
    pub(crate) async fn line_with(&mut self, words: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(words) {
                return line;
            }
        }
    }

    /// What it has printed on standard error, once it has ended.
    pub(crate) async fn errors(&mut self) -> String {
        let mut text = String::new();
        let mut errors = self.process.stderr.take().unwrap();
        soon(errors.read_to_string(&mut text)).await.unwrap();
        text
    }

    pub(crate) fn url(&self, resource: &str) -> String {
        format!("ws://{}{resource}", self.address)
    }

    /// What an HTTP client gets, head and body.
    pub(crate) async fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        self.exchange(&request).await
    }

    /// Sends these bytes, and returns all that comes until the end.
    pub(crate) async fn exchange(&self, bytes: &str) -> String {
        let mut stream = soon(TcpStream::connect(&self.address)).await.unwrap();
        soon(stream.write_all(bytes.as_bytes())).await.unwrap();
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Ctrl-C, or SIGTERM.
    #[cfg(unix)]
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.process.id().unwrap().to_string();
        let status = Command::new("kill").args([signal, &id]).status().await.unwrap();
        assert!(status.success());
    }

    /// The most memory that it has had, in bytes, where the system tells.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?));
        let status = status.ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kilobytes << 10)
    }
}
