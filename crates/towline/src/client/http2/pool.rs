//! The connections of HTTP/2 that a client has open, by what they lead to.

use std::collections::HashMap;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::http2::line::{Home, Lease, Line};
use crate::error::Error;

/// How long a server that can't do WebSockets over HTTP/2 is remembered, and how many are.
const REMEMBERED_FOR: Duration = Duration::from_secs(10 * 60);
const REMEMBERED_MOST: usize = 256;

/// Where a connection leads to, and by which way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) is_secure: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether the server gets this end's certificate.
    pub(crate) is_named: bool,
    pub(crate) proxy: Option<String>,
}

/// The connections of a client and its clones.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<Key, Arc<Slot>>>);

/// The connections that lead to one server.
#[derive(Default)]
pub(crate) struct Slot {
    lines: Mutex<Lines>,
    /// Held while a connection is made, so that others wait for it in place of making their own.
    pub(crate) opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Lines {
    open: Vec<Arc<Line>>,
    /// How many attempts to make a connection have failed, and the error of the last one.
    failures: u64,
    last_failure: Option<Error>,
    /// Until when the server is taken to need HTTP/1.1.
    http_1_until: Option<Instant>,
}

impl Pool {
    /// Returns the connections that lead there.
    pub(crate) fn slot(&self, key: &Key) -> Arc<Slot> {
        let mut slots = lock(&self.0);
        if let Some(slot) = slots.get(key) {
            return slot.clone();
        }
        let mut remembered = 0;
        slots.retain(|_, slot| {
            let is_remembered = slot.needs_http_1() && remembered < REMEMBERED_MOST;
            remembered += usize::from(is_remembered);
            is_remembered || slot.is_in_use()
        });
        slots.entry(key.clone()).or_default().clone()
    }
}

impl Slot {
    /// Returns a lease of a connection that has room.
    pub(crate) fn lease(&self) -> Option<Lease> {
        // A lease that is dropped locks the lines.
        let open = lock(&self.lines).open.clone();
        open.iter().find_map(Line::lease)
    }

    /// Adds a connection.
    pub(crate) fn add(self: &Arc<Self>, line: &Arc<Line>) {
        let slot: Weak<Self> = Arc::downgrade(self);
        line.set_home(slot);
        lock(&self.lines).open.push(line.clone());
        if line.is_retired() {
            self.forget(line);
        }
    }

    /// Returns how many attempts to make a connection have failed.
    pub(crate) fn failures(&self) -> u64 {
        lock(&self.lines).failures
    }

    /// Returns the last failure, if it is later than those.
    pub(crate) fn failure_after(&self, failures: u64) -> Option<Error> {
        let lines = lock(&self.lines);
        let last = lines.last_failure.as_ref().filter(|_| lines.failures > failures);
        last.map(Error::repeat)
    }

    /// Notes that an attempt has failed, for those that wait for it.
    pub(crate) fn note_failure(&self, error: &Error) {
        let mut lines = lock(&self.lines);
        lines.failures += 1;
        lines.last_failure = Some(error.repeat());
    }

    /// Notes that the server needs HTTP/1.1.
    pub(crate) fn remember_http_1(&self) {
        lock(&self.lines).http_1_until = Some(Instant::now() + REMEMBERED_FOR);
    }

    pub(crate) fn needs_http_1(&self) -> bool {
        lock(&self.lines).http_1_until.is_some_and(|until| until > Instant::now())
    }

    /// Whether there is a connection, or an attempt to make one.
    fn is_in_use(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1 || !lock(&self.lines).open.is_empty()
    }
}

impl Home for Slot {
    fn forget(&self, line: &Line) {
        let mut lines = lock(&self.lines);
        let position = lines.open.iter().position(|open| ptr::eq(&**open, line));
        let forgotten = position.map(|position| lines.open.swap_remove(position));
        // Dropped without the lock.
        drop(lines);
        drop(forgotten);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
