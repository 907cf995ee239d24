//! Does what the tutorial says: in an empty directory, as printed.
//!
//! The libraries come from this checkout, and the ports are free ones. A command that goes on after it
//! has printed what the page shows keeps running, as in a terminal of its own, until the page runs the
//! same command again.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::book::plan::{Action, Command};
use crate::book::process::Process;
use crate::workspace::{Workspace, cargo};

/// The programs that the page runs, besides cargo and towline.
const PROGRAMS: [&str; 3] = ["curl", "nginx", "openssl"];

/// The ports on the page.
const PORTS: [&str; 2] = ["9001", "8443"];

/// How long a command may take, with what cargo builds for it.
const LONGEST: Duration = Duration::from_secs(900);

/// How long a command that has printed everything may take to end, before it counts as one that goes on.
const SOON: Duration = Duration::from_secs(2);

/// Returns a program that the page runs and this machine lacks.
pub(crate) fn lacks() -> Option<&'static str> {
    let directories: Vec<_> = std::env::split_paths(&path(&[])).collect();
    let has = |name: &&str| directories.iter().any(|directory| directory.join(name).is_file());
    PROGRAMS.into_iter().find(|name| !has(name))
}

/// Follows the page.
pub(crate) fn run(workspace: &Workspace, actions: &[Action]) -> Result<()> {
    build_program(workspace)?;
    let directory = Directory::new()?;
    let mut reader = Reader {
        workspace,
        ports: free_ports()?,
        directory: directory.0.clone(),
        running: Vec::new(),
    };
    reader.use_this_checkout()?;
    for action in actions {
        match action {
            Action::Write { file, text } => reader.write(file, text)?,
            Action::Run(command) => reader
                .run(command)
                .with_context(|| format!("line {}: {}", command.line, command.text))?,
        }
    }
    reader.end()
}

/// The client on the page.
fn build_program(workspace: &Workspace) -> Result<()> {
    let mut command = Program::new(cargo());
    command.current_dir(&workspace.root);
    command.args(["build", "--package", "towline-cli", "--all-features"]);
    if !command.status().context("cannot run cargo")?.success() {
        bail!("the program does not build");
    }
    Ok(())
}

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self> {
        // Not in the workspace, since cargo would look for the package there.
        let path = std::env::temp_dir().join(format!("towline-tutorial-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {path:?}"))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A reader who types what the page says.
struct Reader<'w> {
    workspace: &'w Workspace,
    /// The port in place of each of [`PORTS`].
    ports: [String; 2],
    directory: PathBuf,
    running: Vec<(Command, Process)>,
}

impl Reader<'_> {
    /// Makes cargo take Towline from here, and everything else in the versions of the lock file.
    fn use_this_checkout(&self) -> Result<()> {
        let mut config = String::from("[patch.crates-io]\n");
        for member in self.workspace.members().filter(|member| member.is_published()) {
            let path = member.directory().display();
            config += &format!("{} = {{ path = '{path}' }}\n", member.name);
        }
        let directory = self.directory.join(".cargo");
        fs::create_dir(&directory)?;
        fs::write(directory.join("config.toml"), config)?;
        Ok(())
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.directory.join(file);
        println!("-- {file}");
        fs::write(&path, self.with_ports(text))
            .with_context(|| format!("cannot write {path:?}"))?;
        let lock = path.with_file_name("Cargo.lock");
        if path.ends_with("Cargo.toml") && !lock.exists() {
            fs::copy(self.workspace.root.join("Cargo.lock"), lock)?;
        }
        Ok(())
    }

    fn run(&mut self, command: &Command) -> Result<()> {
        println!("$ {}", command.text);
        if let Some(directory) = command.text.strip_prefix("cd ") {
            self.directory.push(directory);
            return Ok(());
        }
        // As in the same terminal: Ctrl-C first.
        let same = self.running.iter().position(|(other, _)| other.text == command.text);
        if let Some((_, mut earlier)) = same.map(|place| self.running.remove(place)) {
            earlier.stop()?;
        }
        let mut process = Process::start(&mut self.shell(&command.text))?;
        if command.is_background {
            let status = process.wait(SOON, |_| false)?;
            return self.judge(command, process, status);
        }
        let shown = Command {
            expected: command.expected.iter().map(|line| self.with_ports(line)).collect(),
            ..command.clone()
        };
        let has_printed = |process: &Process| {
            !shown.expected.is_empty() && shown.missing(&process.printed()).is_empty()
        };
        let mut status = process.wait(LONGEST, has_printed)?;
        if status.is_none() && has_printed(&process) {
            status = process.wait(SOON, |_| false)?;
        }
        let missing = shown.missing(&process.printed()).join("\n    ");
        if !missing.is_empty() {
            bail!("it has not printed\n    {missing}");
        }
        if status.is_none() && shown.expected.is_empty() {
            bail!("it has not ended within {LONGEST:?}");
        }
        self.judge(command, process, status)
    }

    /// Keeps a command that goes on, and checks the status of one that has ended.
    fn judge(
        &mut self,
        command: &Command,
        process: Process,
        status: Option<ExitStatus>,
    ) -> Result<()> {
        match status {
            None => self.running.push((command.clone(), process)),
            Some(status) if command.is_background => bail!("it has ended: {status}"),
            Some(status) if status.success() == command.fails() => {
                bail!("it has ended with {status}")
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Stops what still runs, which nothing else may have ended.
    fn end(mut self) -> Result<()> {
        for (command, mut process) in self.running.drain(..) {
            if let Some(status) = process.ended()? {
                bail!("line {}: {} has ended: {status}", command.line, command.text);
            }
            process.stop()?;
        }
        Ok(())
    }

    fn shell(&self, text: &str) -> Program {
        let target = &self.workspace.target_directory;
        let mut shell = Program::new("sh");
        shell.arg("-c").arg(self.with_ports(text)).current_dir(&self.directory);
        shell.env("PATH", path(&[&target.join("debug")]));
        shell.env("CARGO_TARGET_DIR", target.join("tutorial"));
        shell.env("CARGO_NET_OFFLINE", "true").env("CARGO_TERM_COLOR", "never");
        shell.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        shell
    }

    fn with_ports(&self, text: &str) -> String {
        let ports = PORTS.iter().zip(&self.ports);
        ports.fold(text.to_owned(), |text, (port, free)| text.replace(port, free))
    }
}

/// `PATH`, with these directories in front, and with those of servers, which Debian shows to root only.
fn path(first: &[&Path]) -> std::ffi::OsString {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let first = first.iter().map(|path| path.to_path_buf());
    let all = first.chain(std::env::split_paths(&usual)).chain(["/usr/sbin".into()]);
    std::env::join_paths(all).unwrap_or(usual)
}

fn free_ports() -> Result<[String; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [first, second] = listeners.map(|listener| listener.local_addr());
    Ok([first?.port().to_string(), second?.port().to_string()])
}
