//! Messages that are handed out in pieces, as they arrive.

use crate::fault::Fault;
use crate::inbound::Inbound;
use crate::inbound::open::Progress;
use crate::incoming::{Incoming, Input};
use crate::piece::Piece;

impl Inbound {
    /// Returns the next item like [`poll`](Self::poll), but a message in pieces as they arrive:
    /// [`Incoming::Piece`] takes the place of a message or a frame.
    ///
    /// The decoder holds none of the message, so the limits for the size of frames and messages and
    /// for the number of fragments do not apply. What a compressed message inflates to is returned
    /// in pieces of at most 288 KiB, usually 16 KiB. Text is validated as it arrives.
    ///
    /// The first piece is returned as soon as the header of the first frame is complete, with the
    /// bytes that are there. It has all that was assembled so far if `poll` has received the
    /// beginning of the message.
    ///
    /// Change to `poll` at any time: it drops the rest of a message whose first piece was returned,
    /// with [`Incoming::Skipped`] for each piece, and returns the next message.
    ///
    /// ```
    /// use towline_proto::{Config, Inbound, Incoming, Input, Role};
    ///
    /// let mut inbound = Inbound::new(Role::Client, &Config::client());
    /// // The header of four gigabytes, and the first bytes of them.
    /// let mut bytes = *b"\x82\x7f\0\0\0\x01\0\0\0\0ship ahoy";
    /// match inbound.poll_piece(&mut Input::new(&mut bytes)) {
    ///     Incoming::Piece(piece) => assert!(*piece.payload == *b"ship ahoy" && !piece.is_last),
    ///     other => panic!("{other:?}"),
    /// }
    /// ```
    pub fn poll_piece<'b>(&mut self, input: &mut Input<'b>) -> Incoming<'b> {
        match self.poll_whole(input) {
            Some(message) => Incoming::Piece(Piece::whole(message)),
            None => self.poll_any_piece(input),
        }
    }

    /// Drops the rest of a message whose first piece was returned, if there is any: the next call
    /// of [`poll_piece`](Self::poll_piece) returns the next message. The rest is validated and
    /// inflated, since later messages may refer to it: [`Incoming::Skipped`] takes the place of its
    /// pieces.
    pub fn skip_message(&mut self) {
        if let Some(open) = &mut self.open {
            open.skip();
        }
    }

    #[inline(never)]
    fn poll_any_piece<'b>(&mut self, input: &mut Input<'b>) -> Incoming<'b> {
        if let Some(incoming) = self.poll_end(input) {
            return incoming;
        }
        if self.is_skipping()
            && let Some(incoming) = self.poll_skipped(input)
        {
            return incoming;
        }
        if let Some(message) = self.take_message_of_frame().and_then(Incoming::into_message) {
            let piece = Piece::new(message.kind(), message.as_bytes().to_vec(), true);
            return Incoming::Piece(piece);
        }
        let result = self.decode_piece(input);
        self.conclude(input, result)
    }

    /// Drops a piece of a message whose first piece was returned. Returns `None` if there is no such
    /// message.
    ///
    /// Only one piece, although nothing is handed out: the host counts the work, and lets others run.
    pub(super) fn poll_skipped<'b>(&mut self, input: &mut Input<'b>) -> Option<Incoming<'b>> {
        self.skip_message();
        if !self.is_skipping() {
            return None;
        }
        let result = self.decode_piece(input);
        Some(match self.conclude(input, result) {
            Incoming::Piece(_) => Incoming::Skipped,
            other => other,
        })
    }

    fn is_skipping(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_skipped())
    }

    fn decode_piece<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Incoming<'b>>, Fault> {
        loop {
            if let Some(open) = &mut self.open {
                match open.go_on_in_pieces(input)? {
                    Some(Progress::Control(opcode, payload)) => {
                        return self.control(opcode, &payload).map(Some);
                    }
                    Some(Progress::Incoming(incoming)) => return Ok(Some(incoming)),
                    None if open.is_at_work() => return Ok(None),
                    None => {}
                }
            }
            let Some(header) = self.started.complete(input)? else { return Ok(None) };
            self.check(&header)?;
            self.frames = self.frames.saturating_add(1);
            self.counts.frames = self.counts.frames.wrapping_add(1);
            self.open_for(&header).begin_in_pieces(header);
        }
    }
}
