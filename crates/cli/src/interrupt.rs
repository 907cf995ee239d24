//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second for an immediate one.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

/// Counts how often the user has asked to end. Clones share the count.
#[derive(Debug, Clone)]
pub(crate) struct Interrupts {
    count: Arc<watch::Sender<usize>>,
    counted: watch::Receiver<usize>,
}

impl Interrupts {
    /// Listens from now on. The signals no longer end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        let (count, counted) = watch::channel(0);
        let interrupts = Self { count: Arc::new(count), counted };
        let mut signals = Signals::new()?;
        let count = interrupts.count.clone();
        tokio::spawn(async move {
            while signals.next().await.is_some() {
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(interrupts)
    }

    /// Asks to end, as a signal does.
    pub(crate) fn ask(&self) {
        self.count.send_modify(|count| *count += 1);
    }

    /// Whether the user has asked to end.
    pub(crate) fn is_asked(&self) -> bool {
        *self.count.borrow() > 0
    }

    /// Asks to end at once, as two signals do.
    pub(crate) fn insist(&self) {
        self.count.send_modify(|count| *count += 2);
    }

    /// Waits until the user has asked to end.
    pub(crate) async fn first(&mut self) {
        self.at_least(1).await;
    }

    /// Waits until the user has asked to end twice.
    pub(crate) async fn second(&mut self) {
        self.at_least(2).await;
    }

    async fn at_least(&mut self, times: usize) {
        // The sender lives as long as `self`.
        let _ = self.counted.wait_for(|count| *count >= times).await;
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Option<()> {
        tokio::select! {
            signal = self.interrupt.recv() => signal,
            signal = self.terminate.recv() => signal,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Option<()> {
        tokio::signal::ctrl_c().await.ok()
    }
}
