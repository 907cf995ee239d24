//! What a process has, and what it says about that.

use std::fmt;
use std::fs;
use std::str::FromStr;

use anyhow::{Context, Error, Result};

use crate::panics;

/// The figures of the server's process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) connections: usize,
    pub(crate) tasks: usize,
    pub(crate) descriptors: usize,
    /// The resident memory, in KiB.
    pub(crate) memory: usize,
    /// The messages that the server has received.
    pub(crate) messages: u64,
    /// The pings that it has sent.
    pub(crate) pings: u64,
    /// The handshakes that it has accepted and rejected.
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    /// The connections that have ended.
    pub(crate) ended: u64,
    /// The tasks that have panicked.
    pub(crate) panics: u64,
}

impl Figures {
    /// Reads those of this process.
    ///
    /// # Errors
    ///
    /// If there is no `/proc`.
    pub(crate) fn read(server: &towline::ServerHandle) -> Result<Self> {
        let stats = server.stats();
        Ok(Self {
            connections: stats.connections,
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            // One of them is that of the directory.
            descriptors: fs::read_dir("/proc/self/fd")?.count() - 1,
            memory: memory()?,
            messages: stats.received.messages,
            pings: stats.pings_sent,
            accepted: stats.accepted,
            rejected: stats.rejected.values().sum(),
            ended: stats.closed.values().sum(),
            panics: panics::counted(),
        })
    }
}

/// Returns the resident memory of this process, in KiB.
///
/// # Errors
///
/// If there is no `/proc`.
pub(crate) fn memory() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc")?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = memory.and_then(|rest| rest.split_whitespace().next()).context("no VmRSS")?;
    Ok(memory.parse()?)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, tasks, descriptors, memory, messages, .. } = self;
        let Self { pings, accepted, rejected, ended, panics, .. } = self;
        write!(f, "{connections} {tasks} {descriptors} {memory} {messages} ")?;
        write!(f, "{pings} {accepted} {rejected} {ended} {panics}")
    }
}

impl FromStr for Figures {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let mut next = || words.next().with_context(|| format!("{line:?} is too short"));
        Ok(Self {
            connections: next()?.parse()?,
            tasks: next()?.parse()?,
            descriptors: next()?.parse()?,
            memory: next()?.parse()?,
            messages: next()?.parse()?,
            pings: next()?.parse()?,
            accepted: next()?.parse()?,
            rejected: next()?.parse()?,
            ended: next()?.parse()?,
            panics: next()?.parse()?,
        })
    }
}
