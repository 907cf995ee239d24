//! Runs a server on one core, and the load generator on another.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::bench::peer::{Peer, Source};
use crate::bench::scenario::Compression;
use crate::bench::threads::Threads;
use crate::guard::Guard;

/// The program of all clients and of their peers.
pub(crate) const CLIENT: &str = "towline-bench-client";

/// The load generator.
pub(crate) const LOAD: &str = "towline-bench-load";

const STARTING: Duration = Duration::from_secs(15);

/// The locations of the programs.
#[derive(Clone)]
pub(crate) struct Bench {
    programs: PathBuf,
    node: PathBuf,
    uws: Option<PathBuf>,
    /// The directory of the servers' certificate, if they use TLS.
    tls: Option<PathBuf>,
    /// Whether clients use HTTP/2, which the servers recognize by its first bytes.
    is_http2: bool,
    /// Whether programs can be pinned to a core.
    pinned: bool,
}

/// A running server, which ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    _guard: Guard,
    address: String,
    /// The address of its probe, if it was started with one.
    probe: Option<String>,
    raw: bool,
    is_tls: bool,
    is_http2: bool,
    /// The core of the load generator.
    load_cores: &'static str,
}

/// The purpose of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) size: usize,
    pub(crate) in_flight: usize,
    pub(crate) compression: Compression,
    pub(crate) threads: Threads,
}

impl Bench {
    pub(crate) fn new(programs: PathBuf, node: PathBuf, uws: Option<PathBuf>) -> Self {
        let mut taskset = Command::new("taskset");
        taskset.args(["--cpu-list", "0,1", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
        let pinned = taskset.status().is_ok_and(|status| status.success());
        if !pinned {
            println!("warning: no taskset or no two cores; nothing is held to a core");
        }
        Self { programs, node, uws, tls: None, is_http2: false, pinned }
    }

    /// Returns the same with servers that use TLS, with a new certificate.
    pub(crate) fn over_tls(&self) -> Result<Self> {
        let directory = self.programs.with_file_name("certificate");
        let mut command = Command::new(self.programs.join(LOAD));
        command.arg("certificate").arg(&directory);
        output_within(&mut command, STARTING).context("no certificate")?;
        Ok(Self { tls: Some(directory), ..self.clone() })
    }

    /// Returns the same with clients that use HTTP/2, without TLS.
    pub(crate) fn over_http2(&self) -> Self {
        Self { is_http2: true, ..self.clone() }
    }

    /// Starts a server.
    pub(crate) fn serve(&self, peer: &Peer, setup: &Setup) -> Result<Server> {
        self.serve_with(peer, setup, &[])
    }

    /// Starts a server with additional arguments.
    pub(crate) fn serve_with(
        &self,
        peer: &Peer,
        setup: &Setup,
        wishes: &[String],
    ) -> Result<Server> {
        let &Setup { size, in_flight, compression, threads } = setup;
        // With two threads it has both cores, and the load shares them.
        let (cores, load_cores) = if threads == Threads::One { ("0", "1") } else { ("0,1", "0,1") };
        let mut command = match (&peer.source, &self.uws) {
            (Source::Cargo { library, mode }, _) => {
                let program = self.programs.join(format!("bench-{library}"));
                let mut command = self.on_cores(cores, &program);
                let (size, in_flight) = (size.to_string(), in_flight.to_string());
                command.args(["--mode", mode, "--message-size", &size, "--in-flight", &in_flight]);
                command
            }
            (Source::Node { library }, _) => {
                let mut command = self.on_cores(cores, "node".as_ref());
                command.arg(&self.node).arg(library);
                command
            }
            (Source::Given, Some(program)) => self.on_cores(cores, program),
            (Source::Given, None) => bail!("no program was given"),
        };
        match (&self.tls, &peer.source) {
            (Some(directory), Source::Given) => {
                command.arg("--tls-cert").arg(directory.join("chain.pem"));
                command.arg("--tls-key").arg(directory.join("key.pem"));
            }
            (Some(directory), _) => {
                command.arg("--tls").arg(directory);
            }
            (None, _) => {}
        }
        command.args(compression.arguments());
        command.args(threads.arguments()).args(wishes).args(["--listen", "127.0.0.1:0"]);
        let server = Server::start(command, peer.is_floor())?;
        Ok(server.with_load(load_cores, self.tls.is_some(), self.is_http2))
    }

    /// Starts the peer of a client, on core 1.
    pub(crate) fn serve_client(&self, what: &str, size: usize) -> Result<Server> {
        let mut command = self.on_cores("1", &self.programs.join(CLIENT));
        command.args([what, "--size", &size.to_string()]);
        Server::start(command, false)
    }

    /// Runs a client on core 0, with a time limit, and parses its output.
    pub(crate) fn client<T: DeserializeOwned>(
        &self,
        arguments: &[String],
        at_most: Duration,
    ) -> Result<T> {
        let mut command = self.on_cores("0", &self.programs.join(CLIENT));
        let output = output_within(command.args(arguments), at_most)?;
        serde_json::from_str(&output).context("cannot read what the client printed")
    }

    /// Runs the load generator against a server, with a time limit, and parses its output.
    pub(crate) fn load<T: DeserializeOwned>(
        &self,
        server: &Server,
        arguments: &[String],
        at_most: Duration,
    ) -> Result<T> {
        let mut command = self.on_cores(server.load_cores, &self.programs.join(LOAD));
        command.args(arguments).args(["--address", &server.address, "--pid"]);
        command.arg(server.child.id().to_string()).args(server.raw.then_some("--raw"));
        command.args(server.is_tls.then_some("--tls"));
        command.args(server.is_http2.then_some("--http2"));
        let output = output_within(&mut command, at_most)?;
        serde_json::from_str(&output).context("cannot read what the load generator printed")
    }

    /// Returns a command with the highest limit of open files. The spawned process becomes the program, since
    /// each wrapper replaces itself by `exec`.
    fn on_cores(&self, cores: &str, program: &std::path::Path) -> Command {
        let mut command = Command::new("sh");
        // An error has one line.
        command.env("RUST_BACKTRACE", "0");
        command.args(["-c", r#"ulimit -n "$(ulimit -Hn)" && exec "$@""#, "sh"]);
        if self.pinned {
            command.args(["taskset", "--cpu-list", cores]);
        }
        command.arg(program);
        command
    }
}

impl Server {
    fn start(mut command: Command, raw: bool) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot be started")?;
        let guard = Guard::of(&child).inspect_err(|_| drop(child.kill()))?;
        let stdout = child.stdout.take();
        // Ends the process in every case.
        let (address, probe) = (String::new(), None);
        let (is_tls, is_http2) = (false, false);
        let mut server =
            Self { child, _guard: guard, address, probe, raw, is_tls, is_http2, load_cores: "1" };
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            if let Some(stdout) = stdout {
                let _ = BufReader::new(stdout).read_line(&mut line);
            }
            // Sending fails if the receiver has timed out.
            let _ = sender.send(line);
        });
        let line = receiver.recv_timeout(STARTING).unwrap_or_default();
        match line.trim().strip_prefix("listening ") {
            Some(said) => match said.split_once(", probe ") {
                Some((address, probe)) => {
                    address.clone_into(&mut server.address);
                    server.probe = Some(probe.to_owned());
                }
                None => said.clone_into(&mut server.address),
            },
            None => bail!("the server did not print its address"),
        }
        Ok(server)
    }

    fn with_load(mut self, cores: &'static str, is_tls: bool, is_http2: bool) -> Self {
        (self.load_cores, self.is_tls, self.is_http2) = (cores, is_tls, is_http2);
        self
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn probe(&self) -> Option<&str> {
        self.probe.as_deref()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already; its client reports that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the output of a command that succeeds in time.
fn output_within(command: &mut Command, at_most: Duration) -> Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot be started")?;
    let deadline = Instant::now() + at_most;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill()?;
                child.wait()?;
                bail!("took longer than {} s", at_most.as_secs());
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    // The output is short enough for the buffer of a pipe.
    let (mut output, mut complaint) = (String::new(), String::new());
    if let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) {
        stdout.read_to_string(&mut output)?;
        stderr.read_to_string(&mut complaint)?;
    }
    if !status.success() {
        bail!("{}", complaint.trim());
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Result<String> {
        output_within(Command::new("sh").args(["-c", script]), Duration::from_millis(500))
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        assert_eq!(sh("echo fine").unwrap(), "fine\n");
        assert!(sh("exec sleep 60").unwrap_err().to_string().contains("longer"));
        assert_eq!(sh("echo broken >&2; exit 1").unwrap_err().to_string(), "broken");
    }
}
