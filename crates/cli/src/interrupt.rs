//! Ctrl-C and SIGTERM: the first asks to end in order, the second to end at once.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

/// How often the user has asked for the end. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Interrupts {
    count: Arc<watch::Sender<usize>>,
    counted: watch::Receiver<usize>,
}

impl Interrupts {
    /// Listens from now on; the signals do nothing else any more.
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

    /// Asks for the end, as a signal would.
    pub(crate) fn ask(&self) {
        self.count.send_modify(|count| *count += 1);
    }

    /// Whether the end has been asked for.
    pub(crate) fn is_asked(&self) -> bool {
        *self.count.borrow() > 0
    }

    /// Asks for the end at once, as two signals would.
    pub(crate) fn insist(&self) {
        self.count.send_modify(|count| *count += 2);
    }

    /// Waits until the end has been asked for once.
    pub(crate) async fn first(&mut self) {
        self.at_least(1).await;
    }

    /// Waits until the end has been asked for twice.
    pub(crate) async fn second(&mut self) {
        self.at_least(2).await;
    }

    async fn at_least(&mut self, times: usize) {
        // The sender lives as long as this.
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
