//! The usage of a process, from /proc.

use std::fs;

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;
use serde::Serialize;

/// An observed process.
pub(crate) struct Watched {
    pid: u32,
}

/// The usage of a process, in total or between two readings.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// The processor time of all its threads in nanoseconds, as the scheduler counts it.
    pub(crate) cpu_ns: u64,
    /// The same in user code and in the kernel, with the resolution of the clock's tick.
    pub(crate) user_ms: u64,
    pub(crate) system_ms: u64,
    /// The number of voluntary and of involuntary context switches.
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
}

impl Watched {
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// # Errors
    ///
    /// If there is no such process.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let (user_ms, system_ms) = self.times()?;
        let mut usage = Usage { user_ms, system_ms, ..Usage::default() };
        let mut scheduled = true;
        let tasks = format!("/proc/{}/task", self.pid);
        for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
            let task = task?.path();
            // A thread can end at any time.
            let Ok(status) = fs::read_to_string(task.join("status")) else { continue };
            usage.voluntary_switches += field(&status, "voluntary_ctxt_switches:");
            usage.involuntary_switches += field(&status, "nonvoluntary_ctxt_switches:");
            match fs::read_to_string(task.join("schedstat")) {
                Ok(line) => usage.cpu_ns += number(line.split(' ').next()),
                Err(_) => scheduled = false,
            }
        }
        if !scheduled || usage.cpu_ns == 0 {
            usage.cpu_ns = (user_ms + system_ms) * 1_000_000;
        }
        Ok(usage)
    }

    /// Returns the resident memory, in bytes.
    ///
    /// # Errors
    ///
    /// If there is no such process.
    pub(crate) fn resident(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid);
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Ok(field(&status, "VmRSS:") * 1024)
    }

    fn times(&self) -> Result<(u64, u64)> {
        let path = format!("/proc/{}/stat", self.pid);
        let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        // The name is in parentheses, and can contain any character.
        let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
        let mut fields = fields.split_whitespace().skip(11);
        let tick = 1000 / clock_ticks_per_second().max(1);
        Ok((number(fields.next()) * tick, number(fields.next()) * tick))
    }
}

impl Usage {
    pub(crate) fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            user_ms: self.user_ms.saturating_sub(earlier.user_ms),
            system_ms: self.system_ms.saturating_sub(earlier.system_ms),
            voluntary_switches: self.voluntary_switches.saturating_sub(earlier.voluntary_switches),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(earlier.involuntary_switches),
        }
    }
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    number(value.and_then(|value| value.split_whitespace().next()))
}

fn number(text: Option<&str>) -> u64 {
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn this_process_has_memory_and_used_time() {
        let own = Watched::new(process::id());
        assert!(own.resident().expect("it runs") > 100_000);
        let before = own.usage().expect("it runs");
        let mut sum = 0_u64;
        while own.usage().expect("it runs").since(&before).cpu_ns == 0 {
            sum = std::hint::black_box(sum + 1);
        }
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status =
            "VmRSS:\t  1234 kB\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!(field(status, "VmRSS:"), 1234);
        assert_eq!(field(status, "voluntary_ctxt_switches:"), 5);
        assert_eq!(field(status, "absent:"), 0);
    }
}
