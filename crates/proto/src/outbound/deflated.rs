//! The parts of sending that compression needs.

use bytes::Bytes;

use crate::broadcast::Broadcast;
use crate::compression::{Compress, Deflated};
use crate::outbound::Outbound;
use crate::outbound::backlog::Waiting;
use crate::wire::header::Rsv;
use crate::wire::opcode::Opcode;

impl Outbound {
    /// Queues a message that other connections share.
    pub(super) fn broadcast(&mut self, broadcast: &mut Broadcast, compress: Compress) {
        if compress == Compress::Auto
            && let Some(deflating) = &mut self.deflating
            && deflating.wants(broadcast.message().len())
            && let Some(kind) = deflating.kind()
        {
            let (deflated, is_first) = broadcast.deflated(kind, deflating.as_mut());
            if is_first {
                self.deflated += broadcast.message().len() as u64;
            }
            if let Some(deflated) = deflated {
                let plain_len = broadcast.message().len() as u64;
                self.compressed.add(plain_len, deflated.len() as u64);
                let opcode = Opcode::of_message(broadcast.message().is_text());
                return self.plain(opcode, Rsv::RSV1, deflated);
            }
            return self.lent(broadcast.message().into(), Compress::Never);
        }
        self.lent(broadcast.message().into(), compress);
    }

    /// Queues a message to deflate, if it is long enough.
    pub(super) fn deflate(&mut self, opcode: Opcode, payload: Bytes) {
        let wants = self.deflating.as_ref().is_some_and(|deflating| deflating.wants(payload.len()));
        if wants && (payload.len() > self.max_frame || !self.can_encode()) {
            let waiting = Waiting::message(opcode, Rsv::NONE, payload);
            self.backlog().wait(Waiting { deflate: true, ..waiting });
        } else if !wants || !self.deflate_whole(opcode, &payload) {
            self.plain(opcode, Rsv::NONE, payload);
        }
    }

    /// Deflates and encodes a message that fits in one frame. Returns `false` if it must be sent
    /// uncompressed.
    pub(super) fn deflate_whole(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        let Some(mut deflating) = self.deflating.take() else { return false };
        if !deflating.wants(payload.len()) {
            self.deflating = Some(deflating);
            return false;
        }
        self.deflated += payload.len() as u64;
        let is_deflated = deflating.whole(payload, &mut |deflated| {
            self.compressed.add(payload.len() as u64, deflated.len() as u64);
            let (mut rest, mut opcode, mut rsv) = (deflated, opcode, Rsv::RSV1);
            // It may have grown by some bytes.
            while let Some((fragment, after)) = rest.split_at_checked(self.max_frame)
                && !after.is_empty()
            {
                self.encode_copy(false, rsv, opcode, fragment);
                (rest, opcode, rsv) = (after, Opcode::Continuation, Rsv::NONE);
            }
            self.encode_copy(true, rsv, opcode, rest);
        });
        self.deflating = Some(deflating);
        is_deflated
    }

    /// Deflates and encodes the next frame of the current message. Returns how many bytes of the
    /// message it took, or `None` if no message is to be deflated.
    pub(super) fn fill_deflated(&mut self) -> Option<usize> {
        let (opcode, mut rest) = self.backlog().next_to_deflate()?;
        let before = rest.len();
        let is_first = opcode != Opcode::Continuation;
        let mut deflated = Deflated::Plain;
        let is_whole = is_first && rest.len() <= self.max_frame;
        if is_whole {
            if self.deflate_whole(opcode, &rest) {
                deflated = Deflated::Fragment { is_last: true };
            }
        } else if let Some(mut deflating) = self.deflating.take() {
            let rsv = if is_first { Rsv::RSV1 } else { Rsv::NONE };
            deflated = deflating.fragment(&mut rest, self.max_frame, &mut |fragment, is_last| {
                self.compressed.add(0, fragment.len() as u64);
                self.encode_copy(is_last, rsv, opcode, fragment);
            });
            self.deflating = Some(deflating);
        }
        let taken = if is_whole { before } else { before - rest.len() };
        if !is_whole {
            self.deflated += taken as u64;
        }
        if !is_whole && deflated != Deflated::Plain {
            self.compressed.add(taken as u64, 0);
        }
        self.backlog().note_deflated(deflated, rest);
        Some(taken)
    }
}
