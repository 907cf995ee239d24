//! The same bytes for many connections.

use crate::burst::Burst;
use crate::outbound::Outbound;

impl Outbound {
    /// Queues all messages of a burst with one copy, if that has the same result as
    /// [`send`](Self::send) for each. Returns `false`, and queues nothing, if a message has to be masked,
    /// compressed or fragmented, is longer than [`COPY_MAX`](Self::COPY_MAX), or has to wait behind
    /// something that is not encoded.
    pub fn send_burst(&mut self, burst: &Burst) -> bool {
        let is_same = self.encodes_as(burst) && self.can_encode();
        if is_same {
            self.encoded.extend_from_slice(burst.wire());
            self.count_burst(burst);
        }
        is_same
    }

    /// Returns whether the frames of a burst can be written from there, without
    /// [`send_burst`](Self::send_burst), since that would take them and nothing is queued.
    pub fn can_pass(&self, burst: &Burst) -> bool {
        // Messages that were not written are to be found in the queue.
        self.encodes_as(burst) && self.backlog.is_none() && self.unsent.is_none() && self.is_empty()
    }

    /// Records that all bytes of a burst were written, of which [`can_pass`](Self::can_pass) is `true`.
    pub fn handle_passed(&mut self, burst: &Burst) {
        debug_assert!(self.can_pass(burst), "the burst overtakes what is queued");
        self.written_ever += burst.wire().len() as u64;
        self.count_burst(burst);
    }

    /// Returns whether the messages' frames are those of the burst.
    #[inline]
    fn encodes_as(&self, burst: &Burst) -> bool {
        let deflates = match (&self.deflating, burst.longest_compressible()) {
            (Some(deflating), Some(len)) => deflating.wants(len),
            _ => false,
        };
        !deflates && !self.masks && burst.longest() <= self.max_small
    }

    fn count_burst(&mut self, burst: &Burst) {
        self.messages += burst.messages();
        self.payload_bytes += burst.payload_bytes();
    }
}
