//! What the process uses: processor time and descriptors.

use std::time::Duration;

/// Processor time of this process, user and system, if the system tells.
#[cfg(unix)]
pub(crate) fn cpu() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).ok()?;
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, nanoseconds))
}

#[cfg(not(unix))]
pub(crate) fn cpu() -> Option<Duration> {
    None
}

/// Time that the processors of the machine were busy and idle, in units of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    busy: u64,
    idle: u64,
}

/// A unit is a hundredth of a second, so these are known to a few percent.
const LEAST_TICKS: u64 = 50;

impl Machine {
    /// What they were until now. Only Linux tells.
    pub(crate) fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let fields = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let fields: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are in user and nice.
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = fields[..] else {
            return None;
        };
        Some(Self { busy: user + nice + system + irq + softirq + steal, idle: idle + iowait })
    }

    /// How busy they were since then, in percent. A time that is too short says nothing.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn percent_since(self, then: Self) -> Option<f64> {
        let busy = self.busy.checked_sub(then.busy)?;
        let all = busy.checked_add(self.idle.checked_sub(then.idle)?)?;
        (all >= LEAST_TICKS).then(|| busy as f64 * 100.0 / all as f64)
    }
}

/// Bytes of memory that programs can have without taking them from others. Only Linux tells.
pub(crate) fn free_memory() -> Option<u64> {
    free_of(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn free_of(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_busy_in_percent_of_what_it_has() {
        let then = Machine::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2").unwrap();
        let now = Machine::parse("cpu  160 0 60 810 70 3 2 0 0 0\n").unwrap();
        assert_eq!(now.percent_since(then), Some(75.0 / 105.0 * 100.0));
        assert_eq!(then.percent_since(then), None);
        let soon = Machine::parse("cpu  140 0 50 809 50 0 0 0 0 0\n").unwrap();
        assert_eq!(soon.percent_since(then), None);
        assert_eq!(then.percent_since(now), None);
        assert_eq!(Machine::parse("intr 1 2 3"), None);
    }

    #[test]
    fn free_memory_is_what_is_available() {
        let text = "MemTotal:  4194304 kB\nMemFree:  1024 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(free_of(text), Some(2 << 20));
        assert_eq!(free_of("MemTotal: 1 kB"), None);
    }
}
