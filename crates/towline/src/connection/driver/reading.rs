//! Reading, decoding, and the drain.

mod memory;

mod pieces;

mod throttled;

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut as _;
use tokio::time::Instant;
use towline_proto::{
    Counts, Inbound, Incoming, Input, Message, MessageRef, Opcode, ends_with_frame,
};

use crate::connection::buffers::Received;
use crate::connection::event::Event;
use crate::connection::shared::Shared;
use crate::connection::throttle::Throttle;
use crate::connection::work::{Pace, Work};
use crate::connection::writer::Receiving;
use crate::transport::ReadHalf;

pub(crate) use pieces::{Arrived, Held};

/// How many bytes are read and dropped at most for a peer that keeps sending after a failure. The
/// bytes in flight when the peer learns of it are fewer.
const DISCARD_MAX: usize = 8 << 20;

/// How many frames are examined to find out whether the bytes left of a read end with a frame.
const FRAMES_LEFT: usize = 4;

/// How many pings are answered right after a message, before the program has it.
const PINGS_AT_ONCE: usize = 64;

/// The first byte of a ping.
const PING: u8 = 0x80 | Opcode::Ping as u8;

/// The receiving side: the read half, the decoder, and the bytes left of the last read.
pub(crate) struct Reader {
    pub(crate) half: ReadHalf,
    inbound: Inbound,
    received: Received,
    /// A lent message that is not in the buffer.
    lent: Option<Box<Message>>,
    /// Whether the last read took all bytes: the next read takes no buffer before the stream is
    /// readable.
    is_drained: bool,
    /// Whether receiving is over; the session knows why.
    is_over: bool,
    /// Whether the session has possibly queued an answer that nothing is scheduled to write.
    has_answered: bool,
    /// Work that is not charged to the task's budget yet.
    work: Work,
    pace: Pace,
    /// When bytes last arrived that the session does not know of yet.
    heard_at: Option<Instant>,
    /// Whether the position is set for the bytes left of the last read.
    is_position_known: bool,
    /// Whether the buffer counts as memory that is held for the connection.
    is_counted: bool,
    /// Whether pieces of a message were handed out that is not counted by the throttle yet.
    is_piecewise: bool,
    /// Limits how fast the peer can send.
    pub(crate) throttle: Option<Box<Throttle>>,
}

/// The item type of a receiving call.
pub(crate) trait Wanted: Sized {
    /// Whether it includes more than messages.
    const IS_MORE: bool;

    fn of_message(message: Message) -> Self;

    /// Returns `None` for an event that is skipped.
    fn of_event(event: Event) -> Option<Self>;

    /// The length of the payload.
    fn len(&self) -> usize;

    /// Whether a message ends with it.
    fn ends_message(&self) -> bool;
}

impl Wanted for Message {
    const IS_MORE: bool = false;

    fn of_message(message: Message) -> Self {
        message
    }

    fn of_event(event: Event) -> Option<Self> {
        match event {
            Event::Message(message) => Some(message),
            _ => None,
        }
    }

    #[inline]
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn ends_message(&self) -> bool {
        true
    }
}

impl Wanted for Event {
    const IS_MORE: bool = true;

    fn of_message(message: Message) -> Self {
        Self::Message(message)
    }

    fn of_event(event: Event) -> Option<Self> {
        Some(event)
    }

    fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Frame(frame) => frame.len(),
            Self::Ping(payload) | Self::Pong(payload) => payload.len(),
        }
    }

    fn ends_message(&self) -> bool {
        match self {
            Self::Message(_) => true,
            // The event of an unfragmented message follows that of its frame.
            Self::Frame(frame) => frame.is_fin() && frame.opcode() == Opcode::Continuation,
            Self::Ping(_) | Self::Pong(_) => false,
        }
    }
}

impl Reader {
    pub(crate) fn new(half: ReadHalf, mut inbound: Inbound, early: &[u8]) -> Self {
        inbound.handle_read(early.len());
        Self {
            half,
            inbound,
            received: Received::early(early),
            lent: None,
            is_drained: false,
            is_over: false,
            has_answered: false,
            work: Work::default(),
            pace: Pace::default(),
            heard_at: None,
            is_position_known: false,
            is_counted: false,
            is_piecewise: false,
            throttle: None,
        }
    }

    /// Receives the next item, or `None` when receiving is over; the session knows why.
    ///
    /// All bytes are decoded before the next read. Before that, the turn ends and the queue is
    /// written.
    #[inline(always)]
    pub(crate) fn poll_next<W: Wanted>(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<W>> {
        loop {
            ready!(self.poll_budget(shared, cx));
            if let Some(message) = self.take_message() {
                return self.hand_out(shared, W::of_message(message));
            }
            let event = ready!(self.poll_other(shared, cx, W::IS_MORE));
            if let Some(item) = event.and_then(W::of_event) {
                return self.hand_out(shared, item);
            }
            if self.is_over {
                return Poll::Ready(None);
            }
        }
    }

    /// Waits until there is a message to [lend](Self::lend). Returns `false` at the end.
    #[inline]
    pub(crate) fn poll_lendable(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        ready!(self.poll_budget(shared, cx));
        self.lent = None;
        while !self.inbound.has_whole(self.received.unread()) {
            ready!(self.poll_budget(shared, cx));
            if let Some(Event::Message(message)) = ready!(self.poll_other(shared, cx, false)) {
                self.lent = Some(Box::new(message));
                break;
            }
            if self.is_over {
                return Poll::Ready(false);
            }
        }
        if self.throttle.is_some() && !self.admit_message(shared) {
            return Poll::Ready(false);
        }
        if !self.received.is_empty() {
            self.count_buffer(shared);
        }
        self.look_after_answers(shared);
        Poll::Ready(true)
    }

    /// Returns the message in place, or `None` if it is a fault, which ends receiving.
    #[inline]
    pub(crate) fn lend(&mut self, shared: &Arc<Shared>) -> Option<MessageRef<'_>> {
        let Self { inbound, received, lent, work, .. } = self;
        if let Some(message) = lent {
            let position = position_of(received.unread());
            shared.heard.set_position(position);
            work.add_message(message.len());
            return Some(MessageRef::from(&**message));
        }
        let mut input = received.input();
        let message = inbound.poll_whole(&mut input);
        shared.heard.set_position(position_of(input.as_slice()));
        match message {
            Some(message) => work.add_message(message.len()),
            None => {
                let fault = inbound.poll(&mut Input::new(&mut []));
                drop(shared.handle_incoming(fault, inbound.take_counts()));
            }
        }
        message
    }

    /// What was received and is not in the shared counts yet.
    pub(crate) fn counts(&self) -> Counts {
        self.inbound.counts()
    }

    #[inline]
    fn poll_budget(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        if self.work.is_due() || shared.heard.is_used_up() {
            ready!(self.poll_pay(shared, cx));
        }
        if self.throttle.is_some() { self.poll_throttle(shared, cx) } else { Poll::Ready(()) }
    }

    fn poll_pay(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        if shared.heard.is_used_up() {
            shared.heard.has_asked();
            self.work.make_due();
        }
        let paid = self.pace.poll_pay(&mut self.work, cx);
        if paid.is_pending() {
            self.look_after_answers(shared);
            self.note_position(shared);
        }
        paid
    }

    /// Takes a message that is complete in the buffer.
    #[inline(always)]
    fn take_message(&mut self) -> Option<Message> {
        let message = self.inbound.poll_whole(&mut self.received.input())?;
        if message.is_text() {
            return Some(message.to_message());
        }
        let payload_len = message.len();
        Some(Message::Binary(self.received.payload(payload_len)))
    }

    #[inline(always)]
    fn hand_out<W: Wanted>(&mut self, shared: &Arc<Shared>, item: W) -> Poll<Option<W>> {
        self.work.add_message(item.len());
        if self.throttle.is_some() && item.ends_message() && !self.admit_message(shared) {
            return Poll::Ready(None);
        }
        if !W::IS_MORE && self.received.unread().first() == Some(&PING) {
            self.answer_pings(shared);
        }
        self.look_after_answers(shared);
        // The program possibly does not receive for long.
        if self.received.is_empty() {
            self.received.release();
        }
        self.note_handed_out(shared);
        Poll::Ready(Some(item))
    }

    /// Notes that the program has got an item, and which bytes are left.
    #[inline]
    fn note_handed_out(&mut self, shared: &Arc<Shared>) {
        if self.received.is_empty() {
            shared.heard.set_position(Receiving::HandedOut);
            if std::mem::take(&mut self.is_counted) {
                self.note_memory(shared);
            }
        } else if !std::mem::replace(&mut self.is_position_known, true) {
            self.note_what_is_left(shared);
        }
    }

    /// Called once for a read. If few bytes are left and they end with a whole frame, the
    /// timekeeper can find pings after them.
    #[cold]
    fn note_what_is_left(&mut self, shared: &Arc<Shared>) {
        self.count_buffer(shared);
        let ends_whole = ends_with_frame(self.received.unread(), FRAMES_LEFT);
        let position = if ends_whole { Receiving::HasWhole } else { Receiving::HasMore };
        shared.heard.set_position(position);
    }

    /// Answers pings right after the message that is handed out: the program possibly does not
    /// receive for long. A flood of them waits until it does.
    #[cold]
    fn answer_pings(&mut self, shared: &Arc<Shared>) {
        for _ in 0..PINGS_AT_ONCE {
            if !self.inbound.has_ping(self.received.unread()) {
                break;
            }
            let ping = self.inbound.poll(&mut self.received.input()).into_owned();
            shared.handle_incoming(ping, self.inbound.take_counts());
            self.has_answered = true;
        }
        self.count_work();
    }

    /// Schedules writing of the session's answers, since the program possibly does not receive
    /// again.
    #[inline]
    fn look_after_answers(&mut self, shared: &Arc<Shared>) {
        if self.has_answered {
            self.has_answered = false;
            shared.see_to_answers();
        }
    }

    /// Counts the decoder's work on anything but complete messages in the buffer.
    fn count_work(&mut self) {
        if self.inbound.has_worked() {
            self.work.add_frames(self.inbound.take_frames());
            self.work.add_inflated(self.inbound.take_inflated());
        }
    }

    /// Takes the next item that is not a complete message in the buffer, or reads. After `None`,
    /// the caller tries again unless receiving is over.
    #[inline(never)]
    fn poll_other(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
        wants_more: bool,
    ) -> Poll<Option<Event>> {
        let incoming = self.inbound.poll(&mut self.received.input());
        let event = match incoming {
            Incoming::More => return self.poll_read(shared, cx).map(|()| None),
            Incoming::Frame(frame) => Some(Event::Frame(frame)),
            Incoming::Text(text) => Some(Event::Message(text.into())),
            Incoming::Binary(Cow::Borrowed(bytes)) => Some(Event::Message(bytes.into())),
            Incoming::Binary(Cow::Owned(bytes)) => Some(Event::Message(bytes.into())),
            Incoming::Skipped => {
                self.admit_skipped(shared);
                None
            }
            other => {
                self.has_answered = true;
                let other = other.into_owned();
                let event = shared.handle_incoming(other, self.inbound.take_counts());
                event.filter(|_| wants_more)
            }
        };
        self.count_work();
        if event.is_none() {
            self.end_if_over(shared);
        }
        Poll::Ready(event)
    }

    /// Reads once. The turn ends if there is nothing to read.
    fn poll_read(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        let read = self.poll_read_once(shared, cx);
        if read.is_pending() {
            self.pace.end();
        }
        read
    }

    /// Reads into the payload of a message or into the shared buffer.
    fn poll_read_once(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        // It may be long until there is another message.
        self.lent = None;
        if self.received.is_empty() {
            self.received.release();
        }
        self.has_answered = false;
        self.count_work();
        let result = if !self.end_turn(shared, cx) {
            None
        } else if let Some(mut room) = self.inbound.payload_room() {
            let result = ready!(self.half.poll_read_buf(cx, &mut room));
            self.handle_read(shared, result)
        } else {
            let result = self.poll_read_shared(cx);
            if !matches!(result, Poll::Ready(Ok(1..) | Err(_))) && !self.received.is_empty() {
                self.received.settle();
                return Poll::Ready(());
            }
            self.handle_read(shared, ready!(result))
        };
        if result.is_none() {
            self.is_over = true;
        }
        Poll::Ready(())
    }

    fn poll_read_shared(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.is_drained {
            ready!(self.half.poll_readable(cx));
        }
        let mut room = self.received.room();
        let most = room.remaining_mut();
        let result = self.half.poll_read_buf(cx, &mut room);
        self.is_drained = !matches!(result, Poll::Ready(Ok(count)) if count == most);
        if self.received.is_empty() {
            self.received.release();
        }
        result
    }

    /// Handles the result of a read. Returns the number of bytes, or `None` at the end.
    fn handle_read(&mut self, shared: &Arc<Shared>, result: io::Result<usize>) -> Option<usize> {
        match result {
            Ok(0) => shared.update(|core| core.session.handle_transport_end()),
            Ok(count) => {
                self.inbound.handle_read(count);
                let now = Instant::now();
                self.heard_at = Some(now);
                self.pace.begin(now);
                self.is_position_known = false;
                shared.heard.note();
                return self.admit_bytes(shared, count).then_some(count);
            }
            Err(error) => {
                shared.update(|core| {
                    core.session.handle_transport_error(error.kind());
                    if error.get_ref().is_some() {
                        core.receiver.set_failure(error);
                    }
                });
            }
        }
        None
    }

    /// Ends the turn: writes the queue, and registers the receiver as waiting. Returns `false` if
    /// receiving is over.
    fn end_turn(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> bool {
        let heard_at = self.heard_at.take();
        let is_mid_frame = !self.inbound.is_between_frames();
        // The buffer is back in the pool, or has bytes left of a frame, before the receiver waits.
        self.is_counted = false;
        let held = self.inbound.held() + self.received.unread().len();
        let counts = self.inbound.take_counts();
        shared.heard.set_position(Receiving::Waits);
        shared.update_with_counts(counts, |core| {
            core.receiver.held = u32::try_from(held).unwrap_or(u32::MAX);
            core.receiver.is_mid_frame = is_mid_frame;
            core.end_turn(&shared.heard, heard_at, cx.waker());
            core.session.is_receiving()
        })
    }

    /// Ends receiving after an item that is the last one.
    fn end_if_over(&mut self, shared: &Shared) {
        if !self.inbound.is_ended() && shared.is_receiving() {
            return;
        }
        self.received.release();
        shared.heard.set_position(Receiving::Waits);
        self.is_over = true;
    }

    /// Reads and drops bytes until the end.
    fn poll_discard(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
        discarded: &mut usize,
    ) -> Poll<()> {
        loop {
            let _ = self.end_turn(shared, cx);
            if shared.lock().session.closed().is_some() {
                return Poll::Ready(());
            }
            let result = ready!(self.poll_read_shared(cx));
            let Some(count) = self.handle_read(shared, result) else { return Poll::Ready(()) };
            self.received.release();
            *discarded += count;
            if *discarded > DISCARD_MAX {
                shared.update(|core| core.session.handle_transport_end());
                return Poll::Ready(());
            }
        }
    }
}

/// The receiver's position after it has lent a message and these bytes are left.
#[inline]
fn position_of(left: &[u8]) -> Receiving {
    if left.is_empty() { Receiving::HandedOut } else { Receiving::HasMore }
}

/// Receiving.
impl Shared {
    fn is_receiving(&self) -> bool {
        self.lock().session.is_receiving()
    }

    /// Passes a control frame or a fault to the session. Returns an event for a ping or a pong.
    pub(crate) fn handle_incoming(
        self: &Arc<Self>,
        incoming: Incoming<'static>,
        counts: Counts,
    ) -> Option<Event> {
        self.update_with_counts(counts, |core| {
            let result = core.session.handle_incoming(Instant::now().into_std(), &incoming);
            #[cfg(shuttle)]
            (core.receiver.is_answering = true);
            // Nothing follows a close frame, so there is no end of a turn to wait for.
            if !core.session.is_open() {
                core.writer.write_now(&mut core.session);
            }
            result.ok()
        })?;
        match incoming {
            Incoming::Ping(payload) => Some(Event::Ping(payload)),
            Incoming::Pong(payload) => Some(Event::Pong(payload)),
            _ => None,
        }
    }

    /// Makes sure that answers are written, even if the program does not receive again.
    #[cold]
    fn see_to_answers(self: &Arc<Self>) {
        self.update(|core| {
            core.writer.see_to(&mut core.session);
            #[cfg(shuttle)]
            (core.receiver.is_answering = false);
        });
    }

    /// Spawns a task that reads on in place of the program: it answers pings and closes and drops
    /// messages, and then drops bytes until the end of the transport.
    pub(crate) fn spawn_drain(self: &Arc<Self>, mut reader: Box<Reader>) {
        if self.lock().session.closed().is_some() {
            return self.update_with_counts(reader.inbound.take_counts(), |_| ());
        }
        let shared = self.clone();
        self.timekeeper.runtime().spawn(async move {
            poll_fn(|cx| {
                while ready!(reader.poll_next::<Message>(&shared, cx)).is_some() {}
                Poll::Ready(())
            })
            .await;
            let mut discarded = 0;
            poll_fn(|cx| reader.poll_discard(&shared, cx, &mut discarded)).await;
            shared.update_with_counts(reader.inbound.take_counts(), |_| ());
        });
    }
}
