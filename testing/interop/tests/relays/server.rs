//! A broker's process.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A limit that nothing reaches, even on a slow machine.
pub(crate) const TIME: Duration = Duration::from_secs(30);

/// The interval of polling for an event.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// Returns the output of a future, or panics with the name of what did not happen in time.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(TIME, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {TIME:?}"),
    }
}

/// How a broker is started: on a port, with a directory.
pub(crate) type Start = fn(u16, &Path) -> Command;

/// A broker's process, which is killed when this is dropped.
pub(crate) struct Server {
    start: Start,
    pub(crate) address: SocketAddr,
    directory: TempDir,
    child: Child,
}

impl Server {
    /// Starts a broker on a free port, and waits until it listens.
    pub(crate) fn new(start: Start) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let directory = tempfile::tempdir().unwrap();
        let child = spawn(start, address, directory.path());
        Self { start, address, directory, child }
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.start, self.address, self.directory.path());
    }

    /// Stops it: it keeps its connections, and takes nothing.
    pub(crate) fn suspend(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(start: Start, address: SocketAddr, directory: &Path) -> Child {
    let mut command = start(address.port(), directory);
    // Debian shows servers to root alone.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + TIME;
    while TcpStream::connect(address).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "{command:?} has ended");
        assert!(Instant::now() < deadline, "{command:?} does not listen on {address}");
        thread::sleep(LOOK);
    }
    child
}
