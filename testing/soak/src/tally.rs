//! What the clients count.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinError;

use crate::panics;

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) connections: AtomicU64,
    /// Those of all connections that went through nginx.
    pub(crate) through_nginx: AtomicU64,
    pub(crate) rude: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    faults: AtomicU64,
    first: Mutex<Vec<String>>,
}

impl Tally {
    /// Counts something that must not happen, and keeps the first of them.
    pub(crate) fn fault(&self, fault: impl Into<String>) {
        self.faults.fetch_add(1, Relaxed);
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.len() < 10 {
            first.push(fault.into());
        }
    }

    /// Counts a client that has panicked.
    pub(crate) fn broken(&self, error: &JoinError) {
        self.fault(format!("a client is broken: {error}"));
    }

    /// Prints the counts. Returns whether there was no fault.
    pub(crate) fn report(&self) -> bool {
        let panics = panics::counted();
        if panics > 0 {
            self.fault(format!("{panics} panics among the clients"));
        }
        let faults = self.faults.load(Relaxed);
        println!(
            "{} connections, {} of them through nginx, {} rude ones, {} messages sent, {} of them \
             back, {faults} faults",
            self.connections.load(Relaxed),
            self.through_nginx.load(Relaxed),
            self.rude.load(Relaxed),
            self.sent.load(Relaxed),
            self.received.load(Relaxed),
        );
        for fault in self.first.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            println!("    {fault}");
        }
        faults == 0
    }
}

pub(crate) fn count(of: &AtomicU64) {
    of.fetch_add(1, Relaxed);
}
