//! Servers of other programs on free ports of loopback.
//!
//! They run on Unix.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where Debian installs servers, which is in the search path of root only.
const PLACES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A limit that no start and no end reaches, even on a slow machine.
const TIME: Duration = Duration::from_secs(30);

/// The interval of polling for an event.
const LOOK: Duration = Duration::from_millis(20);

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

/// Returns where a program is, if it is installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(PLACES.map(PathBuf::from));
    places.map(|place| place.join(name)).find(|program| program.is_file())
}

/// Another program's server, which ends when this is dropped. Its output is in the file `log`.
///
/// # Panics
///
/// Dropping it panics if the program does not end.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    directory: TempDir,
}

impl Program {
    /// Starts a program with a new directory and `N` free ports, and waits until it listens on all of
    /// them. Retries if another program takes one of the ports.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn listening<const N: usize>(
        command: impl Fn(&Path, [SocketAddr; N]) -> Vec<String>,
    ) -> (Self, [SocketAddr; N]) {
        for attempt in 1.. {
            let directory = tempfile::tempdir().expect("a temporary directory");
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
        let name = &command[0];
        let log = File::create(directory.path().join("log")).expect("a file for the output");
        let child = Command::new("sh")
            .args(["-c", UNTIL_LET_GO, "sh"])
            .arg(find(name).unwrap_or_else(|| name.into()))
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the same file"))
            .stderr(log)
            .spawn()
            .expect("a shell");
        Self { name: name.clone(), child, directory }
    }

    fn wait_until_it_listens(&mut self, addresses: &[SocketAddr]) -> Result<(), String> {
        let deadline = Instant::now() + TIME;
        for address in addresses {
            while let Err(error) = TcpStream::connect(address) {
                self.check_that_it_runs()?;
                if Instant::now() > deadline {
                    return Err(format!("{} does not listen on {address}: {error}", self.name));
                }
                thread::sleep(LOOK);
            }
        }
        // Another program may have answered.
        thread::sleep(LOOK);
        self.check_that_it_runs()
    }

    fn check_that_it_runs(&mut self) -> Result<(), String> {
        match self.child.try_wait().expect("the status of a child") {
            Some(status) => Err(format!("{} ended with {status}", self.name)),
            None => Ok(()),
        }
    }

    /// Returns the directory that it was started with.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns its output so far.
    pub fn log(&self) -> String {
        let log = fs::read(self.directory().join("log")).expect("the file of the output");
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Waits until its output contains this.
    ///
    /// # Panics
    ///
    /// Panics if it does not.
    pub fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + TIME;
        while !self.log().contains(text) {
            let is_late = Instant::now() > deadline;
            assert!(!is_late, "{} does not say {text:?}:\n{}", self.name, self.log());
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
                // A second panic would end the process, and hide the first.
                assert!(thread::panicking(), "{} does not end", self.name);
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

/// Returns addresses of loopback on which nothing listens.
///
/// # Panics
///
/// Panics if there are none.
pub fn free_ports<const N: usize>() -> [SocketAddr; N] {
    // All sockets stay open until all ports are known, so that the ports differ.
    let listeners =
        [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.each_ref().map(|listener| listener.local_addr().expect("its address"))
}
