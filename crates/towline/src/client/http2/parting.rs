//! Streams that their programs have let go of, until their last bytes are written.
//!
//! `h2` discards what a stream has queued when the stream is dropped before both ends have ended
//! it. So the task of the connection keeps it until it is written: a close frame, at the least.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use h2::{RecvStream, SendStream};
use tokio::time::Instant;

use crate::client::http2::chunk::{Chunk, Unsent};

/// How long they are kept: as long as the connection, if they are its last ones.
pub(crate) const PARTING: Duration = Duration::from_secs(5);

/// A stream that is kept.
pub(crate) struct Parting {
    unsent: Arc<Unsent>,
    until: Instant,
    _stream: (RecvStream, SendStream<Chunk>),
}

/// The streams that are kept, in the order in which their time ends.
#[derive(Default)]
pub(crate) struct Partings(Mutex<Vec<Parting>>);

impl Parting {
    pub(crate) fn new(unsent: Arc<Unsent>, stream: (RecvStream, SendStream<Chunk>)) -> Self {
        Self { unsent, until: Instant::now() + PARTING, _stream: stream }
    }
}

impl Partings {
    pub(crate) fn add(&self, parting: Parting) {
        self.lock().push(parting);
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Drops those whose bytes are written, or whose time is over. `h2` then resets them with
    /// CANCEL unless both ends have ended them. Returns when the time of the next one is over.
    pub(crate) fn drop_over(&self) -> Option<Instant> {
        let mut partings = self.lock();
        if partings.is_empty() {
            return None;
        }
        let now = Instant::now();
        let is_over = |parting: &mut Parting| parting.unsent.is_empty() || parting.until <= now;
        let over: Vec<_> = partings.extract_if(.., is_over).collect();
        let next = partings.first().map(|parting| parting.until);
        drop(partings);
        drop(over);
        next
    }

    pub(crate) fn drop_all(&self) {
        let all = std::mem::take(&mut *self.lock());
        drop(all);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Parting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
