//! Encoding of frames, no more than are written soon.

use bytes::{Buf as _, Bytes};

use crate::outbound::Outbound;
use crate::outbound::backlog::Waiting;
use crate::outgoing::Parts;
use crate::wire::header::{Header, Rsv};
use crate::wire::mask;
use crate::wire::opcode::Opcode;

/// Long messages are encoded until this many bytes are ready: enough to keep the socket busy, and
/// few enough for control frames to get between.
pub(super) const AHEAD: usize = 128 << 10;

/// After deflating this many bytes, the output is written first, however short it is: this bounds
/// the time of a call.
const DEFLATED_AT_ONCE: usize = 64 << 10;

impl Outbound {
    /// Encodes waiting messages, up to the number of bytes to have ready.
    #[inline]
    pub fn fill(&mut self) {
        if self.backlog.is_some() {
            self.fill_from_backlog();
        }
    }

    fn fill_from_backlog(&mut self) {
        let most = self.max_frame;
        let mut deflated = 0;
        loop {
            if let Some(pong) = self.backlog().next_pong() {
                self.encode_pong(pong);
            }
            self.pass_marks();
            if self.remaining() >= AHEAD {
                return;
            }
            if self.deflating.is_some() {
                // A writer that found nothing to write would not come back.
                if deflated >= DEFLATED_AT_ONCE && self.has_remaining() {
                    return;
                }
                if let Some(taken) = self.fill_deflated() {
                    deflated += taken;
                    continue;
                }
            }
            let backlog = self.backlog();
            if let Some(Waiting { fin, rsv, opcode, payload, .. }) = backlog.next_frame(most) {
                self.encode(fin, rsv, opcode, payload);
            } else if let Some(close) = backlog.close.take() {
                // Nothing may follow the close frame, so a pending pong goes first.
                if let Some(pong) = backlog.take_pong() {
                    self.encode_pong(pong);
                }
                self.close_is_encoded = true;
                self.encode(true, Rsv::NONE, Opcode::Close, close.encode().into());
            } else {
                return self.drop_idle_backlog();
            }
        }
    }

    pub(super) fn encode_pong(&mut self, payload: Bytes) {
        self.encode(true, Rsv::NONE, Opcode::Pong, payload);
        let remaining = self.remaining();
        self.backlog().note_pong(remaining);
    }

    #[inline]
    pub(super) fn encode(&mut self, fin: bool, rsv: Rsv, opcode: Opcode, payload: Bytes) {
        self.other_frames = self.other_frames.wrapping_add(1);
        let mask = self.encode_header(fin, rsv, opcode, payload.len());
        if mask.is_some() || payload.len() <= Self::COPY_MAX {
            self.encode_payload(mask, &payload);
        } else {
            let at = self.encoded.len();
            self.backlog().lend(at, payload);
        }
    }

    /// Encodes a short message. Inlined, because every short message takes this path.
    #[inline(always)]
    pub(super) fn encode_small(&mut self, Parts { is_text, payload }: Parts<'_>) {
        let opcode = Opcode::of_message(is_text);
        let mask = self.encode_header(true, Rsv::NONE, opcode, payload.len());
        self.encode_payload(mask, payload);
    }

    pub(super) fn encode_copy(&mut self, fin: bool, rsv: Rsv, opcode: Opcode, payload: &[u8]) {
        self.other_frames = self.other_frames.wrapping_add(1);
        let mask = self.encode_header(fin, rsv, opcode, payload.len());
        self.encode_payload(mask, payload);
    }

    /// Returns the key to mask the payload with, if any.
    #[inline(always)]
    pub(super) fn encode_header(
        &mut self,
        fin: bool,
        rsv: Rsv,
        opcode: Opcode,
        payload_len: usize,
    ) -> Option<[u8; 4]> {
        let mask = self.masks.then(mask::random_key);
        let header = Header { fin, rsv, opcode, mask, payload_len: payload_len as u64 };
        header.encode(&mut self.encoded);
        mask
    }

    #[inline(always)]
    pub(super) fn encode_payload(&mut self, mask: Option<[u8; 4]>, payload: &[u8]) {
        match mask {
            Some(key) => mask::extend(key, payload, &mut self.encoded),
            None => self.encoded.extend_from_slice(payload),
        }
    }
}
