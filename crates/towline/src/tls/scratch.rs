//! Buffers for ciphertext, which belong to the thread: a stream at rest holds none.

use std::cell::RefCell;
use std::mem;

use crate::tls::session::RECORD_MAX;

/// What is read in one go, behind the beginning of a record that is there already.
pub(crate) const CAPACITY: usize = (64 << 10) + RECORD_MAX;

/// So much is kept of what has not come whole: a record, or a handshake message in many.
pub(crate) const KEPT_MAX: usize = CAPACITY - RECORD_MAX;

/// Buffers that a thread keeps: TLS within TLS takes two at once.
const KEPT: usize = 2;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of at least [`CAPACITY`] bytes, with any content. It goes back when it is dropped.
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
        // Where the thread is ending there is no pool any more.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT && buffer.len() <= 2 * CAPACITY {
                pool.push(buffer);
            }
        });
    }
}
