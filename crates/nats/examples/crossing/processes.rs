//! The broker's process, and those of the nodes.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::{Result, processor};

/// Processor time per message, in nanoseconds.
#[derive(Clone)]
pub(crate) struct Sums {
    pub(crate) publisher: f64,
    pub(crate) receiver: f64,
    pub(crate) broker: f64,
}

/// Has messages cross.
pub(crate) fn round(broker: &Broker, way: &str, members: usize, messages: u64) -> Result<Sums> {
    let before = processor::of_process(broker.process.0.id())?;
    let mut receiver = Node::start(broker, way, "receive", messages, members)?;
    if receiver.line()? != "ready" {
        return Err("the receiver is not ready".into());
    }
    let mut publisher = Node::start(broker, way, "publish", messages, members)?;
    // The publisher waits for the receiver, and would wait for one that has ended.
    let receiver = receiver.line()?.parse()?;
    let publisher = publisher.line()?.parse()?;
    let broker = processor::of_process(broker.process.0.id())? - before;
    Ok(Sums { publisher, receiver, broker: broker as f64 / messages as f64 })
}

pub(crate) struct Broker {
    url: String,
    process: Process,
}

impl Broker {
    pub(crate) fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let path = std::env::var("PATH").unwrap_or_default();
        let process = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", &port.to_string()])
            // Debian shows servers to root alone.
            .env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("nats-server: {error}; apt install nats-server"))?;
        let process = Process(process);
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Self { url: format!("nats://127.0.0.1:{port}"), process });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("nats-server does not listen".into())
    }
}

/// This program again, as a node.
struct Node {
    lines: Lines<BufReader<ChildStdout>>,
    _process: Process,
}

impl Node {
    fn start(
        broker: &Broker,
        way: &str,
        what: &str,
        messages: u64,
        members: usize,
    ) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([way, what, &broker.url, &messages.to_string(), &members.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the node has no output")?;
        Ok(Self { lines: BufReader::new(stdout).lines(), _process: Process(process) })
    }

    fn line(&mut self) -> Result<String> {
        Ok(self.lines.next().ok_or("a node has ended")??)
    }
}

/// Killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
