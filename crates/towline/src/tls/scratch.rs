//! Buffers for ciphertext, kept by the thread: an idle stream holds none.

use std::cell::RefCell;
use std::mem;

use crate::tls::session::RECORD_MAX;

/// How many bytes one read takes, after the beginning of a record that was kept.
pub(crate) const CAPACITY: usize = (64 << 10) + RECORD_MAX;

/// How many bytes of an incomplete record or handshake message are kept at most.
pub(crate) const KEPT_MAX: usize = CAPACITY - RECORD_MAX;

/// How many buffers a thread keeps: TLS within TLS takes two at once.
const KEPT: usize = 2;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of at least [`CAPACITY`] bytes, with arbitrary content. Dropping it returns it.
pub(crate) struct Scratch(pub(crate) Vec<u8>);

impl Scratch {
    pub(crate) fn take() -> Self {
        let kept = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        Self(kept.unwrap_or_else(|| vec![0; CAPACITY]))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = mem::take(&mut self.0);
        // A thread that is ending has no pool any more.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT && buffer.len() <= 2 * CAPACITY {
                pool.push(buffer);
            }
        });
    }
}
