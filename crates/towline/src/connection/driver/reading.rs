//! Reading, decoding, and the drain.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use towline_proto::{Fault, Inbound, Incoming, Input, Message};

use crate::connection::buffers::Received;
use crate::connection::event::Event;
use crate::connection::shared::Shared;
use crate::transport::ReadHalf;

/// So much is read and dropped at the most for a peer that goes on sending after it did wrong.
/// What is in flight when it learns of that is less.
const DISCARD_MAX: usize = 8 << 20;

/// The receiving side: what it reads from, what it makes of it, what is left of the last read.
pub(crate) struct Reader {
    pub(crate) half: ReadHalf,
    pub(crate) inbound: Inbound,
    pub(crate) received: Received,
    /// Events handed out since the task's budget was last asked.
    pub(crate) handed_out: u8,
}

/// What whoever receives wants to have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Messages,
    Everything,
}

/// So many events are handed out for one unit of the task's budget.
const EVENTS_PER_UNIT: u8 = 64;

impl Reader {
    /// What comes next. `None` is the end of what can be received; the session knows why.
    ///
    /// Everything that has been read is handed out before more is; when nothing is left, what the
    /// turn has led to is written.
    #[inline]
    pub(crate) fn poll_next(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
        wanted: Wanted,
    ) -> Poll<Option<Event>> {
        if self.handed_out >= EVENTS_PER_UNIT {
            ready!(tokio::task::coop::poll_proceed(cx)).made_progress();
            self.handed_out = 0;
        }
        loop {
            let mut input = Input::new(self.received.unread());
            let decoded = self.inbound.decode(&mut input);
            let left = input.len();
            // What is handed out is independent of the buffer.
            let decoded = decoded.map(|incoming| incoming.map(own));
            self.received.consumed_to(left);
            if let Ok(None) = decoded {
                self.received.release();
            }
            match decoded {
                Ok(Some(Owned::Event(event))) => {
                    if wanted == Wanted::Everything || matches!(event, Event::Message(_)) {
                        return self.hand_out(shared, event);
                    }
                    continue;
                }
                Ok(Some(Owned::Control(incoming))) => {
                    let event = shared.handle_control(incoming);
                    if wanted == Wanted::Everything
                        && let Some(event) = event
                    {
                        shared.schedule_what_is_queued();
                        return self.hand_out(shared, event);
                    }
                }
                Ok(None) => match ready!(self.poll_read(shared, cx)) {
                    Some(Ok(Some(event))) => return self.hand_out(shared, event),
                    Some(Ok(None)) => continue,
                    Some(Err(fault)) => shared.handle_fault(fault),
                    None => return Poll::Ready(None),
                },
                Err(fault) => shared.handle_fault(fault),
            }
            if !shared.is_receiving() {
                self.received.release();
                shared.set_has_input(false);
                return Poll::Ready(None);
            }
        }
    }

    fn hand_out(&mut self, shared: &Shared, event: Event) -> Poll<Option<Event>> {
        self.handed_out += 1;
        // The program may be long in coming back.
        if self.received.is_empty() {
            self.received.release();
        }
        shared.set_has_input(!self.received.is_empty());
        Poll::Ready(Some(event))
    }

    /// Reads once. `None` is the end.
    fn poll_read(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Option<Event>, Fault>>> {
        if !shared.end_turn(cx) {
            return Poll::Ready(None);
        }
        let (result, is_payload) = match self.inbound.payload_buffer() {
            Some(payload) => (ready!(self.half.poll_read_payload(cx, payload)), true),
            None => (ready!(self.poll_read_shared(cx)), false),
        };
        let Some(count) = shared.handle_read(result) else { return Poll::Ready(None) };
        if !is_payload {
            self.received.filled(count);
            return Poll::Ready(Some(Ok(None)));
        }
        let incoming = self.inbound.payload_received(count);
        Poll::Ready(Some(incoming.map(|incoming| match incoming.map(own) {
            Some(Owned::Event(event)) => Some(event),
            // Only data is read straight to its place.
            Some(Owned::Control(_)) | None => None,
        })))
    }

    fn poll_read_shared(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let result = self.half.poll_read_shared(cx, self.received.room());
        if !matches!(result, Poll::Ready(Ok(1..))) {
            self.received.release();
        }
        result
    }

    /// Reads and drops what comes, until the end.
    fn poll_discard(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
        discarded: &mut usize,
    ) -> Poll<()> {
        loop {
            let _ = shared.end_turn(cx);
            if shared.lock().session.closed().is_some() {
                return Poll::Ready(());
            }
            let result = ready!(self.poll_read_shared(cx));
            let Some(count) = shared.handle_read(result) else { return Poll::Ready(()) };
            self.received.release();
            *discarded += count;
            if *discarded > DISCARD_MAX {
                shared.update(|_, state| state.session.handle_transport_end());
                return Poll::Ready(());
            }
        }
    }
}

/// Receiving.
impl Shared {
    fn set_has_input(&self, has_input: bool) {
        if self.has_input.load(Ordering::Relaxed) != has_input {
            self.has_input.store(has_input, Ordering::Relaxed);
        }
    }

    fn is_receiving(&self) -> bool {
        self.lock().session.is_receiving()
    }

    /// Takes note of a control frame, and has it answered. It is an event of its own if it does
    /// not end anything.
    fn handle_control(self: &Arc<Self>, incoming: Incoming<'static>) -> Option<Event> {
        self.update(|shared, state| {
            let result = state.session.handle_incoming(Instant::now().into_std(), &incoming);
            // Nothing comes after a close frame, so there is no turn to wait for the end of.
            if !state.session.is_open() {
                shared.flush(state);
            }
            result.ok()
        })?;
        match incoming {
            Incoming::Ping(payload) => Some(Event::Ping(payload)),
            Incoming::Pong(payload) => Some(Event::Pong(payload)),
            _ => None,
        }
    }

    /// Has an answer written though the program may not come back to receive.
    fn schedule_what_is_queued(self: &Arc<Self>) {
        let mut state = self.lock();
        if !state.session.outbound().is_empty() {
            self.schedule_flusher(&mut state);
        }
    }

    fn handle_fault(self: &Arc<Self>, fault: Fault) {
        self.update(|shared, state| {
            state.session.handle_fault(Instant::now().into_std(), fault);
            shared.flush(state);
        });
    }

    /// What a read has come to: how many bytes, or `None` where that was the end.
    fn handle_read(self: &Arc<Self>, result: io::Result<usize>) -> Option<usize> {
        match result {
            Ok(0) => self.update(|_, state| state.session.handle_transport_end()),
            Ok(count) => {
                self.note_received();
                return Some(count);
            }
            Err(error) => {
                self.update(|_, state| state.session.handle_transport_error(error.kind()));
            }
        }
        None
    }

    /// The receiver has nothing more to hand out: what its turn has led to is written, and it is
    /// known to wait. `false` if nothing can be received any more.
    fn end_turn(self: &Arc<Self>, cx: &mut Context<'_>) -> bool {
        self.set_has_input(false);
        self.update(|shared, state| {
            shared.flush(state);
            state.wrote_this_turn = false;
            match &mut state.receiver {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            state.session.is_receiving()
        })
    }

    /// Has a reader read on where the program does not: what is decoded answers pings and closes
    /// and is dropped, and after that bytes are, until the transport is at its end.
    pub(crate) fn spawn_drain(self: &Arc<Self>, mut reader: Reader) {
        if self.lock().session.closed().is_some() {
            return;
        }
        let shared = self.clone();
        self.runtime.spawn(async move {
            poll_fn(|cx| {
                while ready!(reader.poll_next(&shared, cx, Wanted::Messages)).is_some() {}
                Poll::Ready(())
            })
            .await;
            let mut discarded = 0;
            poll_fn(|cx| reader.poll_discard(&shared, cx, &mut discarded)).await;
        });
    }
}

/// Something decoded that is independent of the input.
enum Owned {
    Event(Event),
    Control(Incoming<'static>),
}

fn own(incoming: Incoming<'_>) -> Owned {
    match incoming {
        Incoming::Frame(frame) => Owned::Event(Event::Frame(frame)),
        Incoming::Ping(payload) => Owned::Control(Incoming::Ping(payload)),
        Incoming::Pong(payload) => Owned::Control(Incoming::Pong(payload)),
        Incoming::Close(frame) => Owned::Control(Incoming::Close(frame)),
        Incoming::Text(text) => Owned::Event(Event::Message(Message::Text(text.into()))),
        Incoming::Binary(bytes) => Owned::Event(Event::Message(match bytes {
            Cow::Borrowed(bytes) => bytes.into(),
            Cow::Owned(bytes) => bytes.into(),
        })),
    }
}
