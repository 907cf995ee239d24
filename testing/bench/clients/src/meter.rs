//! Counts messages and their processor time.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Counts messages, and ends the measurement.
pub(crate) struct Meter {
    warm_up: Duration,
    measured: Duration,
    count: u64,
    /// The number of messages between two readings of the clock.
    every: u64,
    began: Instant,
    first: Option<Mark>,
    last: Option<Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    cpu: Duration,
    count: u64,
}

/// The results between the warm-up and the end.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    messages: u64,
    seconds: f64,
    /// The processor time of this process, user and kernel.
    cpu_ns: u64,
}

impl Meter {
    pub(crate) fn new(size: usize, warm_up: Duration, measured: Duration) -> Self {
        let every = ((256 << 10) / (size as u64 + 1)).max(1);
        let began = Instant::now();
        Self { warm_up, measured, count: 0, every, began, first: None, last: None }
    }

    /// Counts one message. Returns false at the end of the measurement.
    #[inline]
    pub(crate) fn count(&mut self) -> bool {
        self.count += 1;
        !self.count.is_multiple_of(self.every) || self.look()
    }

    /// Returns whether to compare this message with the one sent.
    #[inline]
    pub(crate) fn is_sampled(&self) -> bool {
        self.count.is_multiple_of(64)
    }

    fn look(&mut self) -> bool {
        let now = Instant::now();
        if now - self.began < self.warm_up {
            return true;
        }
        let mark = Mark { at: now, cpu: cpu(), count: self.count };
        let first = *self.first.get_or_insert(mark);
        self.last = Some(mark);
        now - first.at < self.measured
    }

    /// Returns `None` if the measurement ended before the warm-up did.
    pub(crate) fn report(&self) -> Option<Report> {
        let (first, last) = self.first.zip(self.last)?;
        let messages = last.count - first.count;
        let cpu_ns = u64::try_from((last.cpu - first.cpu).as_nanos()).ok()?;
        let seconds = (last.at - first.at).as_secs_f64();
        (messages > 0).then_some(Report { messages, seconds, cpu_ns })
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // The value is from 0 to 999,999,999.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
