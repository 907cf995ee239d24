//! The messages that were not written before the transport was lost.
//!
//! A message is *unsent* if the transport has taken no byte of it. Nothing is recorded while messages are
//! sent: the frames that were not written are decoded again when the queue is dropped. Only
//! `Config::keep_unsent` makes a connection that is over keep them.

use std::collections::{VecDeque, vec_deque};
use std::iter::Peekable;

use bytes::Bytes;

#[cfg(doc)]
use crate::config::Config;
use crate::message::Message;
use crate::outbound::Outbound;
use crate::outbound::backlog::Waiting;
use crate::text::Text;
use crate::wire::header::{Header, Rsv};
use crate::wire::mask;
use crate::wire::opcode::Opcode;

/// Exists only if unsent messages are kept.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// Where a frame begins among the encoded bytes. From there on, they are whole frames, but for lent
    /// payloads.
    boundary: usize,
    /// Entries that a close dropped before they were encoded. They follow what is encoded.
    dropped: VecDeque<Waiting>,
    messages: Vec<Message>,
}

impl Outbound {
    /// Takes the messages that were queued and dropped without a byte of them written, in the order in
    /// which they were queued. None while the transport works, and none without
    /// [`keep_unsent`](Config::keep_unsent): see [`discard`](Self::discard).
    ///
    /// A message that was compressed is not among them, nor is one with reserved bits, or one made of
    /// frames that is unfinished.
    pub fn take_unsent(&mut self) -> Vec<Message> {
        self.unsent.as_mut().map(|unsent| std::mem::take(&mut unsent.messages)).unwrap_or_default()
    }

    /// Keeps entries that are dropped before they are encoded. They precede those of earlier calls.
    pub(super) fn keep_dropped(&mut self, mut dropped: VecDeque<Waiting>) {
        if let Some(unsent) = &mut self.unsent {
            dropped.append(&mut unsent.dropped);
            unsent.dropped = dropped;
        }
    }

    /// Collects the unsent messages, before everything is dropped.
    pub(super) fn keep_unsent(&mut self) {
        let Some(mut unsent) = self.unsent.take() else { return };
        let mut assembly = Assembly::default();
        for frame in self.frames(unsent.boundary).filter(|frame| frame.at >= self.written) {
            let Header { fin, rsv, opcode, .. } = frame.header;
            assembly.add(fin, rsv, opcode, frame.payload());
        }
        let waiting = self.backlog.as_mut().map(|backlog| backlog.discard_waiting());
        let dropped = std::mem::take(&mut unsent.dropped);
        let unframed = waiting.into_iter().flatten().chain(dropped);
        for Waiting { fin, rsv, opcode, payload, .. } in unframed.filter(|it| it.mark.is_none()) {
            assembly.add(fin, rsv, opcode, payload);
        }
        unsent.messages.append(&mut assembly.messages);
        unsent.boundary = 0;
        self.unsent = Some(unsent);
    }

    pub(super) fn set_boundary(&mut self, boundary: usize) {
        if let Some(unsent) = &mut self.unsent {
            unsent.boundary = boundary;
        }
    }

    /// Moves the boundary to the first frame of which nothing has been written, before the bytes that have
    /// been are removed.
    pub(super) fn move_boundary(&mut self) {
        let Some(unsent) = &self.unsent else { return };
        let begun = self.frames(unsent.boundary).take_while(|frame| frame.at < self.written);
        let boundary = begun.last().map_or(unsent.boundary, |frame| frame.end);
        self.set_boundary(boundary.saturating_sub(self.written));
    }

    /// Returns the encoded frames from a boundary on.
    fn frames(&self, at: usize) -> Frames<'_> {
        let lent = self.backlog.as_ref().map(|backlog| backlog.lent().peekable());
        Frames { encoded: &self.encoded, lent, at }
    }
}

/// The encoded frames.
struct Frames<'a> {
    encoded: &'a [u8],
    /// Payloads that are not among the encoded bytes.
    lent: Option<Peekable<vec_deque::Iter<'a, (usize, Bytes)>>>,
    at: usize,
}

struct Encoded<'a> {
    /// Where it begins and ends among the encoded bytes.
    at: usize,
    end: usize,
    header: Header,
    payload: Payload<'a>,
}

enum Payload<'a> {
    Lent(&'a Bytes),
    Copied(&'a [u8]),
}

impl<'a> Iterator for Frames<'a> {
    type Item = Encoded<'a>;

    fn next(&mut self) -> Option<Encoded<'a>> {
        let at = self.at;
        let (header, len) = Header::decode(self.encoded.get(at..)?).ok()??;
        let start = at + len;
        let mut lent = None;
        if let Some(all) = &mut self.lent {
            // The rest of one that is partly written belongs to the frame before.
            while all.next_if(|(place, _)| *place <= at).is_some() {}
            lent = all.next_if(|(place, _)| *place == start);
        }
        let (payload, end) = match lent {
            Some((_, payload)) => (Payload::Lent(payload), start),
            None => {
                let end = start.checked_add(usize::try_from(header.payload_len).ok()?)?;
                (Payload::Copied(self.encoded.get(start..end)?), end)
            }
        };
        self.at = end;
        Some(Encoded { at, end, header, payload })
    }
}

impl Encoded<'_> {
    fn payload(&self) -> Bytes {
        match (&self.payload, self.header.mask) {
            (Payload::Lent(payload), _) => Bytes::clone(payload),
            (Payload::Copied(payload), None) => Bytes::copy_from_slice(payload),
            (Payload::Copied(payload), Some(key)) => {
                let mut payload = payload.to_vec();
                mask::apply(key, 0, &mut payload);
                payload.into()
            }
        }
    }
}

/// Frames to messages, for frames of this end.
#[derive(Default)]
struct Assembly {
    messages: Vec<Message>,
    /// The message that is unfinished, unless its beginning is missing or can't be read.
    open: Option<Open>,
}

struct Open {
    is_text: bool,
    parts: Vec<Bytes>,
}

impl Assembly {
    fn add(&mut self, fin: bool, rsv: Rsv, opcode: Opcode, payload: Bytes) {
        match opcode {
            Opcode::Text | Opcode::Binary => {
                let open = Open { is_text: opcode == Opcode::Text, parts: vec![payload] };
                self.open = (rsv == Rsv::NONE).then_some(open);
            }
            Opcode::Continuation => {
                if let Some(open) = &mut self.open {
                    open.parts.push(payload);
                }
            }
            _ => return,
        }
        if fin && let Some(open) = self.open.take() {
            self.messages.extend(open.message());
        }
    }
}

impl Open {
    /// `None` for text that is not UTF-8, which only a program that makes frames can send.
    fn message(mut self) -> Option<Message> {
        let payload = match self.parts.len() {
            1 => self.parts.remove(0),
            _ => self.parts.concat().into(),
        };
        match self.is_text {
            true => Text::try_from(payload).ok().map(Message::Text),
            false => Some(Message::Binary(payload)),
        }
    }
}
