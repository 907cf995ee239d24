//! Short constructors of received events.

use std::borrow::Cow;
use std::time::Instant;

use towline_proto::{CloseCode, CloseFrame, Connection, Frame, Incoming, Input};

/// A received event, independent of the input that contained it.
pub type Event = Incoming<'static>;

/// A text message.
pub fn text(text: impl Into<String>) -> Event {
    Event::Text(Cow::Owned(text.into()))
}

/// A binary message.
pub fn binary(bytes: impl Into<Vec<u8>>) -> Event {
    Event::Binary(Cow::Owned(bytes.into()))
}

/// A ping.
pub fn ping(payload: impl Into<Vec<u8>>) -> Event {
    Event::Ping(payload.into().into())
}

/// A pong.
pub fn pong(payload: impl Into<Vec<u8>>) -> Event {
    Event::Pong(payload.into().into())
}

/// The peer's close frame.
pub fn close(code: CloseCode, reason: &str) -> Event {
    Event::Close(close_frame(code, reason))
}

/// A data frame. It does not equal a frame that was received masked.
pub fn frame(frame: Frame) -> Event {
    Event::Frame(frame)
}

/// A close frame with this code and reason.
///
/// # Panics
///
/// Panics if the code or the reason is invalid in a close frame.
pub fn close_frame(code: CloseCode, reason: &str) -> CloseFrame {
    CloseFrame::new(code, reason.to_owned()).expect("a close frame that can be sent")
}

/// Returns the event of a connection's input. The session reports faults.
pub(crate) fn received(
    connection: &mut Connection,
    now: Instant,
    mut input: Input<'_>,
) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match connection.poll(now, &mut input) {
            Incoming::More | Incoming::Fault(_) | Incoming::End => break,
            incoming => events.push(incoming.into_owned()),
        }
    }
    assert!(input.is_empty(), "{} bytes were not consumed", input.len());
    events
}
