//! Handing out the open message in pieces.

use std::borrow::Cow;

use crate::body::Body;
use crate::compression::NotInflatable;
use crate::fault::{Fault, Violation};
use crate::inbound::open::{Delivery, Open, OpenFrame, Progress};
use crate::incoming::{Incoming, Input};
use crate::message::MessageKind;
use crate::piece::Piece;
use crate::wire::header::Header;

/// A piece of a compressed message is returned when it has inflated to this much …
const INFLATED_ENOUGH: usize = 16 << 10;

/// … which is checked after each of these compressed bytes. They inflate to at most 1,032 times
/// their number.
const INFLATED_AT_ONCE: usize = 256;

impl Open {
    /// Drops the rest of a message that was handed out in pieces.
    pub(in crate::inbound) fn skip(&mut self) {
        if self.delivery == Delivery::Pieces {
            self.delivery = Delivery::Skipped;
        }
    }

    pub(in crate::inbound) fn is_skipped(&self) -> bool {
        self.delivery == Delivery::Skipped
    }

    /// Begins a frame. Unlike [`begin`](Self::begin), reserves no memory for its payload.
    pub(in crate::inbound) fn begin_in_pieces(&mut self, header: Header) {
        self.frame = Some(OpenFrame::new(header));
    }

    /// Continues the open frame with the input, and returns its payload.
    pub(in crate::inbound) fn go_on_in_pieces<'b>(
        &mut self,
        input: &mut Input<'b>,
    ) -> Result<Option<Progress<'b>>, Fault> {
        if let Some(piece) = self.take_over()? {
            return Ok(Some(Progress::Incoming(Incoming::Piece(piece))));
        }
        let Some(frame) = &mut self.frame else { return Ok(None) };
        let header = frame.header;
        if header.opcode.is_control() {
            return Ok(self.go_on_with_control(input, header));
        }
        let kind = MessageKind::of(self.is_text());
        let is_first = self.delivery == Delivery::Whole;
        if is_first {
            self.delivery = Delivery::Pieces;
        }
        let payload = match self.inflating {
            Some(_) => Cow::Owned(self.inflate_some(input)?),
            None => self.take_plain(input)?,
        };
        let is_whole = self.frame.as_ref().is_some_and(OpenFrame::is_whole);
        if is_whole {
            self.frame = None;
        }
        let is_last = is_whole && header.fin;
        if is_last {
            self.message = None;
        }
        if payload.is_empty() && !is_first && !is_last {
            return Ok(None);
        }
        let piece = Piece::new(kind, payload, is_last);
        Ok(Some(Progress::Incoming(Incoming::Piece(piece))))
    }

    /// Returns what was assembled of a message that is to be handed out in pieces from now on.
    fn take_over(&mut self) -> Result<Option<Piece<'static>>, Fault> {
        if self.delivery != Delivery::Whole || self.message.is_none() {
            return Ok(None);
        }
        if let Some(frame) = &mut self.frame
            && let Some(from) = frame.placed_from.take()
        {
            self.account_for_placed(from)?;
        }
        let is_held_back = matches!(self.body, Body::Text(_));
        let mut payload = self.body.take();
        if is_held_back {
            payload.extend_from_slice(self.utf8.pending());
        }
        if payload.is_empty() {
            return Ok(None);
        }
        self.delivery = Delivery::Pieces;
        Ok(Some(Piece::new(MessageKind::of(self.is_text()), payload, false)))
    }

    /// Takes payload that is not compressed out of the input.
    fn take_plain<'b>(&mut self, input: &mut Input<'b>) -> Result<Cow<'b, [u8]>, Fault> {
        let Some(frame) = &mut self.frame else { return Ok(Cow::Borrowed(&[])) };
        let payload = &*frame.take(input, usize::MAX);
        let ends = frame.header.fin && frame.is_whole();
        if self.is_text() {
            self.utf8.push(payload, |_| {})?;
            if ends {
                self.utf8.finish()?;
            }
        }
        Ok(Cow::Borrowed(payload))
    }

    /// Inflates some of the input.
    fn inflate_some(&mut self, input: &mut Input<'_>) -> Result<Vec<u8>, Fault> {
        let mut inflated = Vec::new();
        while let Some(frame) = &mut self.frame
            && inflated.len() < INFLATED_ENOUGH
        {
            let deflated = &*frame.take(input, INFLATED_AT_ONCE);
            let ends = frame.header.fin && frame.is_whole();
            let is_done = deflated.is_empty() || frame.is_whole();
            self.inflate_into(&mut inflated, Some(deflated))?;
            if ends {
                self.inflate_into(&mut inflated, None)?;
                if self.is_text() {
                    self.utf8.finish()?;
                }
            }
            if is_done {
                break;
            }
        }
        Ok(inflated)
    }

    /// Inflates a piece of a compressed message. Without a piece, ends the message.
    fn inflate_into(&mut self, out: &mut Vec<u8>, piece: Option<&[u8]>) -> Result<(), Fault> {
        let is_text = self.is_text();
        let before = out.len();
        let Some(inflating) = &mut self.inflating else { return Ok(()) };
        let mut valid = Ok(());
        let mut sink = |chunk: &[u8]| {
            out.extend_from_slice(chunk);
            if is_text {
                valid = self.utf8.push(chunk, |_| {});
            }
            valid.is_ok()
        };
        let result = match piece {
            Some(piece) => inflating.inflate(piece, &mut sink),
            None => inflating.finish(&mut sink),
        };
        self.compressed += piece.map_or(0, |piece| piece.len() as u64);
        self.inflated += (out.len() - before) as u64;
        valid?;
        result.map_err(|NotInflatable| Violation::NotInflatable.into())
    }
}
