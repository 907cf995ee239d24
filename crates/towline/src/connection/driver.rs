//! The only file that reads, writes or sleeps for a connection.
//!
//! There is no task that owns the socket. Whoever polls does the work:
//!
//! - **Receiving** reads, decodes, and answers pings. Before it waits for more, it writes all
//!   that was queued in the meantime: the replies to messages that came together leave together.
//! - **Sending** encodes into the queue. It writes at once if this is the first thing sent in its
//!   turn and nothing more has come that might be answered; else it leaves that to the receiver's
//!   next wait, or to the flusher, whichever comes first.
//! - **The flusher** is a task that exists while something is queued that nobody has written. It
//!   runs when the task that queued it yields, and goes on where the transport is full.
//! - **The drain** is a task that reads for a connection whose receiver is gone, until its end.
//! - **The timekeeper** calls at deadlines; one for many connections.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf as _;
use tokio::io::AsyncWrite as _;
use tokio::time::Instant;
use towline_proto::{
    CloseCode, CloseFrame, Closed, Fault, Frame, Inbound, Incoming, Input, Message, Outbound,
    Refused, SendError, Session, Transport,
};

use crate::connection::buffers::{self, Received};
use crate::connection::event::Event;
use crate::connection::shared::{Flusher, Shared, State, register};
use crate::transport::{ReadHalf, WriteHalf};

/// So much is queued at the most before it is written, whatever else there is to do.
const WRITE_AT: usize = 64 << 10;

/// So many pieces are written by one call: headers and lent payloads in turn.
const SLICES: usize = 64;

/// Sending.
impl Shared {
    /// Queues a message once there is room, and has it written.
    #[inline]
    pub(crate) fn poll_send(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<(), SendError<Message>>> {
        self.update(|shared, state| {
            if !shared.has_room(state, Session::is_full) {
                register(&mut state.senders, cx.waker());
                return Poll::Pending;
            }
            let Some(message) = message.take() else { return Poll::Ready(Ok(())) };
            Poll::Ready(shared.queue(state, |session| session.send(message)))
        })
    }

    /// Waits until there is room.
    pub(crate) fn poll_room(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.update(|shared, state| {
            if shared.has_room(state, Session::is_full) {
                return Poll::Ready(());
            }
            register(&mut state.senders, cx.waker());
            Poll::Pending
        })
    }

    /// Queues a message if there is room; else gives it back, without a reason.
    pub(crate) fn try_send(
        self: &Arc<Self>,
        message: Message,
    ) -> Result<(), (Option<Refused>, Message)> {
        self.update(|shared, state| {
            if !shared.has_room(state, Session::is_full) {
                return Err((None, message));
            }
            shared.queue(state, |session| session.send(message)).map_err(|error| {
                let (why, message) = error.split();
                (Some(why), message)
            })
        })
    }

    /// Queues a frame made by hand once there is room, and has it written.
    pub(crate) fn poll_send_frame(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        frame: &mut Option<Frame>,
    ) -> Poll<Result<(), SendError<Frame>>> {
        let Some(next) = frame.take() else { return Poll::Ready(Ok(())) };
        self.update(|shared, state| {
            if !shared.has_room(state, |session| session.is_full_for(&next)) {
                register(&mut state.senders, cx.waker());
                *frame = Some(next);
                return Poll::Pending;
            }
            let now = Instant::now().into_std();
            Poll::Ready(shared.queue(state, |session| session.send_frame(now, next)))
        })
    }

    /// Queues what `what` queues once there is room, and has it written.
    pub(crate) fn poll_queue<R>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        what: impl FnOnce(&mut Session) -> R,
    ) -> Poll<R> {
        self.update(|shared, state| {
            if !shared.has_room(state, Session::is_full) {
                register(&mut state.senders, cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(shared.queue(state, what))
        })
    }

    /// Waits until everything queued has been written.
    pub(crate) fn poll_flush(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.update(|shared, state| {
            shared.flush(state);
            if state.is_flushed() {
                return Poll::Ready(());
            }
            register(&mut state.flushing, cx.waker());
            Poll::Pending
        })
    }

    /// Whether there is room to send, possibly made by writing. A connection that is closing has
    /// it: sending fails at once.
    #[inline]
    fn has_room(self: &Arc<Self>, state: &mut State, is_full: impl Fn(&Session) -> bool) -> bool {
        let has_room = |state: &State| !state.session.is_open() || !is_full(&state.session);
        if has_room(state) {
            return true;
        }
        self.flush(state);
        has_room(state)
    }

    #[inline]
    fn queue<R>(self: &Arc<Self>, state: &mut State, what: impl FnOnce(&mut Session) -> R) -> R {
        let is_first = state.session.outbound().is_empty();
        if !state.session.outbound().has_buffer() {
            state.session.outbound().lend_buffer(buffers::take_send());
        }
        let result = what(&mut state.session);
        let may_go_on = state.wrote_this_turn || self.has_input.load(Ordering::Relaxed);
        if (is_first && !may_go_on) || state.session.outbound().queued_len() >= WRITE_AT {
            state.wrote_this_turn = true;
            self.flush(state);
        } else {
            self.schedule_flusher(state);
        }
        result
    }
}

/// Closing.
impl Shared {
    /// Begins to close, if that has not begun.
    pub(crate) fn close(self: &Arc<Self>, frame: CloseFrame) {
        self.update(|shared, state| {
            state.session.close(Instant::now().into_std(), frame);
            shared.flush(state);
        });
    }

    /// Ends the connection at once. What can be written without waiting is.
    pub(crate) fn abort(self: &Arc<Self>, frame: CloseFrame) {
        self.update(|shared, state| {
            state.session.abort(frame);
            let _ = shared.poll_write(state, &mut Context::from_waker(Waker::noop()));
        });
    }

    /// Closes a connection that the program holds no handle of any more.
    pub(crate) fn close_if_abandoned(self: &Arc<Self>) {
        self.update(|shared, state| {
            if state.receiver_is_gone && shared.senders.load(Ordering::Acquire) == 0 {
                if let Ok(going_away) = CloseFrame::new(CloseCode::GOING_AWAY, "") {
                    state.session.close(Instant::now().into_std(), going_away);
                }
                shared.flush(state);
            }
        });
    }

    /// Waits for the end.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<Closed> {
        let mut state = self.lock();
        if let Some(closed) = state.session.closed() {
            return Poll::Ready(closed.clone());
        }
        register(&mut state.watchers, cx.waker());
        Poll::Pending
    }

    /// Called by the timekeeper at the deadline.
    pub(crate) fn handle_deadline(self: &Arc<Self>, now: Instant) {
        self.update(|shared, state| {
            state.deadline = None;
            let session = &mut state.session;
            session.handle_received(shared.received_at().into_std());
            if session.is_peer_overdue(now.into_std()) {
                let has_unread = shared.has_input.load(Ordering::Relaxed)
                    || state.writer.as_ref().is_some_and(WriteHalf::has_unread);
                if has_unread {
                    session.handle_received(now.into_std());
                }
            }
            session.handle_timeout(now.into_std());
            shared.flush(state);
            shared.reschedule(state);
        });
    }
}

/// The receiving side: what it reads from, what it makes of it, what is left of the last read.
pub(crate) struct Reader {
    pub(crate) half: ReadHalf,
    pub(crate) inbound: Inbound,
    pub(crate) received: Received,
}

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
    ) -> Poll<Option<Event>> {
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
                Ok(Some(Owned::Event(event))) => return self.hand_out(shared, event),
                Ok(Some(Owned::Control(incoming))) => {
                    if let Some(event) = shared.handle_control(incoming) {
                        return self.hand_out(shared, event);
                    }
                }
                Ok(None) => match ready!(self.poll_read(shared, cx)) {
                    Some(Ok(Some(event))) => return self.hand_out(shared, event),
                    Some(Ok(None)) => {}
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

    /// Reads and drops whatever comes, until the end.
    fn poll_discard(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let _ = shared.end_turn(cx);
            if shared.lock().session.closed().is_some() {
                return Poll::Ready(());
            }
            let result = ready!(self.poll_read_shared(cx));
            if shared.handle_read(result).is_none() {
                return Poll::Ready(());
            }
            self.received.release();
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
            if !state.session.is_open() {
                shared.flush(state);
            } else if !state.session.outbound().is_empty() {
                shared.schedule_flusher(state);
            }
            result.ok()
        })?;
        match incoming {
            Incoming::Ping(payload) => Some(Event::Ping(payload)),
            Incoming::Pong(payload) => Some(Event::Pong(payload)),
            _ => None,
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
                while ready!(reader.poll_next(&shared, cx)).is_some() {}
                Poll::Ready(())
            })
            .await;
            poll_fn(|cx| reader.poll_discard(&shared, cx)).await;
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
            std::borrow::Cow::Borrowed(bytes) => bytes.into(),
            std::borrow::Cow::Owned(bytes) => bytes.into(),
        })),
    }
}

/// Writing.
impl Shared {
    /// Changes the state, and sees to what follows from it.
    #[inline]
    pub(crate) fn update<R>(
        self: &Arc<Self>,
        change: impl FnOnce(&Arc<Self>, &mut State) -> R,
    ) -> R {
        let mut state = self.lock();
        let result = change(self, &mut state);
        let after = self.settle(&mut state);
        drop(state);
        after.run(self);
        result
    }

    /// Writes without waiting; what does not go is left to the flusher.
    fn flush(self: &Arc<Self>, state: &mut State) {
        if matches!(state.flusher, Flusher::Blocked(_)) {
            return;
        }
        if self.poll_write(state, &mut Context::from_waker(Waker::noop())).is_pending() {
            self.schedule_flusher(state);
        }
    }

    fn schedule_flusher(self: &Arc<Self>, state: &mut State) {
        if matches!(state.flusher, Flusher::None) {
            state.flusher = Flusher::Scheduled;
            self.runtime.spawn(flush(self.clone()));
        }
    }

    /// Writes all that is queued, then does with the transport what is due.
    fn poll_write(&self, state: &mut State, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let State { session, writer: Some(writer), unflushed, is_shut_down, .. } = &mut *state
            else {
                break;
            };
            let result = if let Some(out) = session.poll_transmit() {
                *unflushed = true;
                ready!(poll_write_some(writer, cx, out))
            } else if *unflushed {
                let result = ready!(Pin::new(writer).poll_flush(cx));
                *unflushed = false;
                result
            } else {
                match session.poll_transport() {
                    Transport::ShutDown | Transport::Close if !*is_shut_down => {
                        let result = ready!(Pin::new(writer).poll_shutdown(cx));
                        *is_shut_down = true;
                        result
                    }
                    Transport::Close => {
                        session.handle_transport_end();
                        break;
                    }
                    Transport::Open | Transport::ShutDown => break,
                }
            };
            if let Err(error) = result {
                state.writer = None;
                state.session.handle_write_error(Instant::now().into_std(), error.kind());
            }
        }
        if let Some(buffer) = state.session.outbound().reclaim_buffer() {
            buffers::give_send(buffer);
        }
        Poll::Ready(())
    }
}

/// Writes some of `out`, as one or as several pieces.
fn poll_write_some(
    writer: &mut WriteHalf,
    cx: &mut Context<'_>,
    out: &mut Outbound,
) -> Poll<io::Result<()>> {
    let mut writer = Pin::new(writer);
    let first = out.chunk();
    let count = if first.len() == out.remaining() || !writer.is_write_vectored() {
        ready!(writer.as_mut().poll_write(cx, first))?
    } else {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = out.chunks_vectored(&mut slices);
        ready!(writer.as_mut().poll_write_vectored(cx, &slices[..used]))?
    };
    if count == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    out.advance(count);
    Poll::Ready(Ok(()))
}

/// The flusher.
async fn flush(shared: Arc<Shared>) {
    poll_fn(|cx| {
        shared.update(|shared, state| {
            let result = shared.poll_write(state, cx);
            state.flusher = match result {
                Poll::Pending => Flusher::Blocked(cx.waker().clone()),
                Poll::Ready(()) => {
                    state.wrote_this_turn = false;
                    Flusher::None
                }
            };
            result
        })
    })
    .await;
}
