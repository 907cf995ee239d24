//! Ctrl-Z: suspends the program, and notices when it goes on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts how often the program went on after it had been suspended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Continued(Arc<AtomicUsize>);

impl Continued {
    /// Counts from now on.
    #[cfg(unix)]
    pub(crate) fn listen() -> io::Result<Self> {
        use rustix::process::Signal;
        use tokio::signal::unix::{SignalKind, signal};
        let mut signals = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        let continued = Self::default();
        let count = Arc::clone(&continued.0);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(continued)
    }

    /// Programs are not suspended here.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self::default())
    }

    /// How often the program went on so far.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Suspends the program, and what it shares a pipe with, as the terminal would do. This may return before
/// the program is suspended.
#[cfg(unix)]
pub(crate) fn suspend() -> io::Result<()> {
    use rustix::process::{Signal, kill_current_process_group};
    Ok(kill_current_process_group(Signal::TSTP)?)
}

/// Whether programs can be suspended.
pub(crate) const IS_POSSIBLE: bool = cfg!(unix);

/// Programs are not suspended here.
#[cfg(not(unix))]
pub(crate) fn suspend() -> io::Result<()> {
    Ok(())
}
