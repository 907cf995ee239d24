//! Waits until a time, more exactly than tokio's timers do, which count milliseconds.

use std::io;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
#[cfg(target_os = "linux")]
use tokio::io::{Interest, unix::AsyncFd};

/// A timer of the system.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct Ticker(AsyncFd<rustix::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl Ticker {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Deprecated since other types can lie about their descriptor. What replaces it is unsafe.
        #[allow(deprecated)]
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Waits for this long.
    pub(crate) async fn wait(&mut self, duration: Duration) -> io::Result<()> {
        // Zero would turn the timer off.
        let duration = duration.max(Duration::from_nanos(1));
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let length = Timespec {
            tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: duration.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: zero, it_value: length };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        // Setting it again forgets that it has rung, so there is nothing to read.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

/// A timer of tokio.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct Ticker;

#[cfg(not(target_os = "linux"))]
impl Ticker {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for this long.
    pub(crate) async fn wait(&mut self, duration: Duration) -> io::Result<()> {
        tokio::time::sleep(duration).await;
        Ok(())
    }
}
