//! The memory that is held for what was received.

use std::sync::Arc;

use crate::connection::driver::reading::Reader;
use crate::connection::shared::Shared;

impl Reader {
    /// Counts the buffer as held, once for a read: the program possibly does not receive for long.
    #[inline]
    pub(super) fn count_buffer(&mut self, shared: &Arc<Shared>) {
        if !std::mem::replace(&mut self.is_counted, true) {
            self.note_memory(shared);
        }
    }

    /// Notes how much memory is held, if the server accounts for it.
    #[cold]
    pub(super) fn note_memory(&self, shared: &Arc<Shared>) {
        if shared.is_accounted() {
            let held = self.held();
            shared.update(|core| core.receiver.held = held);
        }
    }

    /// The memory of an incomplete message, and of the buffer while bytes are left in it.
    pub(super) fn held(&self) -> u32 {
        let buffer = if self.received.is_empty() { 0 } else { self.received.memory() };
        u32::try_from(self.inbound.held() + buffer).unwrap_or(u32::MAX)
    }
}
