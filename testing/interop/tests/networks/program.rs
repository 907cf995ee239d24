//! Starts, awaits and ends other programs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use tempfile::TempDir;

use crate::bounded::TIME;

/// Runs a command until its standard input is closed. That happens on request of the test, and when the
/// test's process dies.
const UNTIL_LET_GO: &str = r#"
    exec 3<&0
    "$@" </dev/null & child=$!
    (read -r _ <&3; kill "$child") 2>/dev/null & watch=$!
    wait "$child"; status=$?
    kill "$watch" 2>/dev/null
    exit "$status"
"#;

/// The interval of polling for an event.
const LOOK: Duration = Duration::from_millis(20);

/// Another program's server, which ends when this is dropped. Its output is in the file `log`.
pub(crate) struct Program {
    name: String,
    child: Child,
    directory: TempDir,
}

impl Program {
    /// Starts a program with a new directory and `N` free ports, and waits until it listens on all of
    /// them. Retries if another program takes one of the ports.
    pub(crate) fn listening<const N: usize>(
        command: impl Fn(&Path, [SocketAddr; N]) -> Vec<String>,
    ) -> (Self, [SocketAddr; N]) {
        for attempt in 1.. {
            let directory = tempfile::tempdir().unwrap();
            let addresses = free_ports();
            let command = command(directory.path(), addresses);
            let mut program = Self::start(directory, &command);
            match program.wait_until_it_listens(&addresses) {
                Ok(()) => return (program, addresses),
                Err(why) if attempt == 3 => panic!("{why}\n{}", program.log()),
                Err(_) => {}
            }
        }
        unreachable!("the last attempt panics")
    }

    fn start(directory: TempDir, command: &[String]) -> Self {
        let log = File::create(directory.path().join("log")).unwrap();
        let child = Command::new("sh")
            .args(["-c", UNTIL_LET_GO, "sh"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { name: command[0].clone(), child, directory }
    }

    fn wait_until_it_listens(&mut self, addresses: &[SocketAddr]) -> Result<(), String> {
        let deadline = Instant::now() + TIME;
        for address in addresses {
            while let Err(error) = TcpStream::connect(address) {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return Err(format!("{} ended with {status}", self.name));
                }
                if Instant::now() > deadline {
                    return Err(format!("{} does not listen on {address}: {error}", self.name));
                }
                thread::sleep(LOOK);
            }
        }
        // Another program may have answered.
        thread::sleep(LOOK);
        match self.child.try_wait().unwrap() {
            Some(status) => Err(format!("{} ended with {status}", self.name)),
            None => Ok(()),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns its output so far.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.directory().join("log")).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Waits until its output contains this.
    pub(crate) fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + TIME;
        while !self.log().contains(text) {
            assert!(
                Instant::now() < deadline,
                "{} does not say {text:?}:\n{}",
                self.name,
                self.log()
            );
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + TIME;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                eprintln!("{} does not end", self.name);
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

/// Runs a command, which must succeed, and returns its output.
pub(crate) fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "{program} ended with {}:\n{printed}", output.status);
    printed
}

fn free_ports<const N: usize>() -> [SocketAddr; N] {
    // All sockets stay open until all ports are known, so that the ports differ.
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.each_ref().map(|listener| listener.local_addr().unwrap())
}

/// Returns an address on loopback on which nothing listens.
pub(crate) fn nobody() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
