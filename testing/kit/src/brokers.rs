//! Brokers of messages on loopback, which can be killed, suspended and started again.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::programs::{find, free_ports};

/// A limit that no start reaches, even on a slow machine.
const TIME: Duration = Duration::from_secs(30);

/// The interval of polling for an event.
const LOOK: Duration = Duration::from_millis(5);

/// How a broker is started: on a port of loopback, with a directory.
pub type Start = fn(u16, &Path) -> Command;

/// A broker's process, which is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    start: Start,
    /// Where it listens, each time it is started.
    pub address: SocketAddr,
    directory: TempDir,
    child: Child,
}

impl Server {
    /// Starts a broker on a free port, and waits until it listens.
    ///
    /// # Panics
    ///
    /// Panics if it does not start, as [`start_again`](Self::start_again) does.
    pub fn new(start: Start) -> Self {
        let [address] = free_ports();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let child = spawn(start, address, directory.path());
        Self { start, address, directory, child }
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    ///
    /// Panics if that is impossible.
    pub fn kill(&mut self) {
        self.child.kill().expect("the right to kill a child");
        self.child.wait().expect("the end of a child");
    }

    /// Starts it again on the same port.
    ///
    /// # Panics
    ///
    /// Panics if it does not listen there.
    pub fn start_again(&mut self) {
        self.child = spawn(self.start, self.address, self.directory.path());
    }

    /// Stops it: it keeps its connections, and takes nothing.
    ///
    /// # Panics
    ///
    /// Panics if it is not running.
    pub fn suspend(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`suspend`](Self::suspend).
    ///
    /// # Panics
    ///
    /// Panics if it is not running.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().expect("the program kill");
        assert!(status.success(), "kill {signal}: {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `nats-server`.
pub fn nats(port: u16, directory: &Path) -> Command {
    let mut command = program("nats-server");
    command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]).current_dir(directory);
    command
}

/// Starts `redis-server`, which writes nothing to files.
pub fn redis(port: u16, directory: &Path) -> Command {
    let mut command = program("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "no"]).current_dir(directory);
    command
}

fn program(name: &str) -> Command {
    Command::new(find(name).unwrap_or_else(|| name.into()))
}

fn spawn(start: Start, address: SocketAddr, directory: &Path) -> Child {
    let mut command = start(address.port(), directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let deadline = Instant::now() + TIME;
    while TcpStream::connect(address).is_err() {
        let ended = child.try_wait().expect("the status of a child");
        assert!(ended.is_none(), "{command:?} has ended");
        assert!(Instant::now() < deadline, "{command:?} does not listen on {address}");
        thread::sleep(LOOK);
    }
    child
}
