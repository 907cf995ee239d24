//! How much of a processor a process has had: late answers on a busy machine are no fault.

use std::fmt;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long the threads of a process ran, and how long they were ready to run and had no processor.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Processor {
    ran: Duration,
    waited: Duration,
}

impl Processor {
    /// Reads those of the threads that a process has now.
    ///
    /// # Errors
    ///
    /// If the process has ended, or the kernel does not count it.
    pub(crate) fn read(process: u32) -> Result<Self> {
        let mut sum = Self::default();
        for thread in fs::read_dir(format!("/proc/{process}/task")).context("cannot read /proc")? {
            let line = fs::read_to_string(thread?.path().join("schedstat"))?;
            let mut words = line.split_whitespace();
            let mut next = || -> Result<Duration> {
                Ok(Duration::from_nanos(words.next().context("schedstat is too short")?.parse()?))
            };
            sum.ran += next()?;
            sum.waited += next()?;
        }
        Ok(sum)
    }
}

impl Processor {
    /// What the process has had since then.
    pub(crate) fn since(self, then: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(then.ran),
            waited: self.waited.saturating_sub(then.waited),
        }
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ran, waited } = self;
        write!(f, "ran {:.1} s, waited {:.1} s", ran.as_secs_f64(), waited.as_secs_f64())
    }
}
