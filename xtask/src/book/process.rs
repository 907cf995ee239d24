//! A command of the tutorial while it runs, with what it has printed.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context, Result};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::guard::Guard;

/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// How long it may take to end after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Process {
    child: Child,
    /// Until the child has ended.
    guard: Option<Guard>,
    /// Once it is reaped. Then its id and that of its group can be another's.
    status: Option<ExitStatus>,
    printed: Arc<Mutex<Vec<String>>>,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Process {
    /// Starts it in a process group of its own, as a terminal does.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot run sh")?;
        let printed = Arc::default();
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|from| collect(from, &printed)));
        readers.extend(child.stderr.take().map(|from| collect(from, &printed)));
        let mut process = Self { child, guard: None, status: None, printed, readers };
        process.guard = Some(Guard::of_group(&process.child).context("cannot run sh")?);
        Ok(process)
    }

    pub(crate) fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the status if it has ended. Then everything that it has printed is known, and what it has left
    /// behind in its group has ended, too: it would keep the output and its ports.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_some() || !self.is_over()? {
            return Ok(self.status);
        }
        drop(self.guard.take());
        self.signal("-KILL")?;
        self.status = Some(self.child.wait()?);
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        Ok(self.status)
    }

    /// Returns whether it has ended, and leaves it in the system's table.
    fn is_over(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(Pid::from_child(&self.child)), options)?.is_some())
    }

    /// Waits until it has ended, or this holds, or the time is over.
    pub(crate) fn wait(
        &mut self,
        most: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> io::Result<Option<ExitStatus>> {
        let start = Instant::now();
        loop {
            let status = self.ended()?;
            if status.is_some() || holds(self) || start.elapsed() >= most {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Ends it with Ctrl-C, or by force if that takes too long.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        self.signal("-INT")?;
        if self.wait(PATIENCE, |_| false)?.is_none() {
            self.signal("-KILL")?;
            self.wait(PATIENCE, |_| false)?;
        }
        Ok(())
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let group = format!("-{}", self.child.id());
        Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn collect(
    from: impl Read + Send + 'static,
    printed: &Arc<Mutex<Vec<String>>>,
) -> thread::JoinHandle<()> {
    let printed = printed.clone();
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(io::Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            println!("    {line}");
            printed.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(text: &str) -> Process {
        Process::start(Command::new("sh").args(["-c", text])).unwrap()
    }

    #[test]
    fn what_it_prints_is_known_when_it_has_ended() {
        let mut process = sh("echo a; echo b >&2; exit 3");
        let status = process.wait(PATIENCE, |_| false).unwrap().unwrap();
        let mut printed = process.printed();
        printed.sort();
        assert_eq!((status.code(), printed), (Some(3), vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn what_it_has_left_behind_ends_with_it() {
        let mut process = sh("sleep 600 & echo $!");
        assert!(process.wait(PATIENCE, |_| false).unwrap().unwrap().success());
        assert_eq!(process.printed().len(), 1);
    }

    #[test]
    fn it_ends_with_its_children() {
        let mut process = sh("echo a; sleep 600; true");
        let is_begun = |process: &Process| !process.printed().is_empty();
        assert!(process.wait(PATIENCE, is_begun).unwrap().is_none());
        process.stop().unwrap();
        assert!(process.ended().unwrap().is_some());
    }
}
