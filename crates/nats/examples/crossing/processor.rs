//! The processor time of this process, and of others.

use std::fs::read_to_string;

use crate::Result;

/// Measures the time of this thread, which is all of the process, between two messages.
#[derive(Default)]
pub(crate) struct Meter {
    start: u64,
    first: u64,
}

impl Meter {
    /// Begins after the message with this number.
    pub(crate) fn begin(&mut self, message: u64) -> Result<()> {
        (self.start, self.first) = (own_ns()?, message);
        Ok(())
    }

    /// Prints the time per message.
    pub(crate) fn print(&self, last: u64) -> Result<()> {
        println!("{}", (own_ns()? - self.start) as f64 / (last - self.first) as f64);
        Ok(())
    }
}

fn own_ns() -> Result<u64> {
    let schedstat = read_to_string("/proc/thread-self/schedstat")?;
    Ok(schedstat.split(' ').next().ok_or("no time in schedstat")?.parse()?)
}

/// Returns the time of another process and all of its threads.
pub(crate) fn of_process(id: u32) -> Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{id}/task"))? {
        // A thread can end meanwhile.
        let schedstat = read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        sum += schedstat.split(' ').next().unwrap_or_default().parse().unwrap_or(0);
    }
    Ok(sum)
}
