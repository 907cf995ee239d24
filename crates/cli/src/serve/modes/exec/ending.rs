//! The end of a command's process, seen without reaping it.

use std::io;
use std::process::ExitStatus;

use tokio::process::Child;

/// Waits for the end of processes that this program has started.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Endings(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Endings {
    /// Notices processes that end from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        let kind = tokio::signal::unix::SignalKind::child();
        tokio::signal::unix::signal(kind).map(Self)
    }

    /// Waits until a process has ended, and leaves it in the system's table: until it is reaped, no other
    /// process or group gets its id.
    pub(crate) async fn of(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        // Without an id, it has been reaped.
        let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) else {
            return child.wait().await;
        };
        loop {
            if let Some(status) = status_of(id)? {
                return Ok(status);
            }
            // `None` is the end of the runtime.
            self.0.recv().await;
        }
    }
}

/// The status of a child that has ended.
#[cfg(unix)]
fn status_of(id: i32) -> io::Result<Option<ExitStatus>> {
    use std::os::unix::process::ExitStatusExt as _;

    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    let pid = Pid::from_raw(id).ok_or(io::ErrorKind::InvalidInput)?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let Some(status) = waitid(WaitId::Pid(pid), options)? else { return Ok(None) };
    // As `wait` encodes it.
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) => signal | if status.dumped() { 0x80 } else { 0 },
        (None, None) => return Ok(None),
    };
    Ok(Some(ExitStatus::from_raw(raw)))
}

#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Endings;

#[cfg(not(unix))]
impl Endings {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits until a process has ended. There are no groups here that outlive it.
    pub(crate) async fn of(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        child.wait().await
    }
}
