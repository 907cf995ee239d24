//! Reading, decoding, and the drain.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut as _;
use tokio::time::Instant;
use towline_proto::{Fault, Frame, Inbound, Incoming, Message, MessageRef, WholeMessage};

use crate::connection::buffers::Received;
use crate::connection::event::Event;
use crate::connection::shared::Shared;
use crate::connection::work::Work;
use crate::transport::ReadHalf;

/// So much is read and dropped at the most for a peer that goes on sending after it did wrong.
/// What is in flight when it learns of that is less.
const DISCARD_MAX: usize = 8 << 20;

/// The receiving side: what it reads from, what it makes of it, what is left of the last read.
pub(crate) struct Reader {
    pub(crate) half: ReadHalf,
    inbound: Inbound,
    received: Received,
    /// A message that is lent and does not lie in the buffer.
    lent: Option<Box<Message>>,
    /// Whether the last read took all that there was: no buffer is taken for the next one before
    /// there is more.
    is_drained: bool,
    /// Whether the beginning of a frame may stay in the buffer, since the rest may be there.
    gathers: bool,
    /// Whether control frames were dealt with that may have been answered, and nothing was done yet
    /// to have that written.
    has_answered: bool,
    /// What was done since it was last paid for.
    work: Work,
}

/// What whoever receives wants to have.
pub(crate) trait Wanted: Sized {
    fn of_message(message: Message) -> Self;

    /// `None` where such a thing is passed over.
    fn of_other(event: Event) -> Option<Self>;

    /// How long its payload is.
    fn len(&self) -> usize;
}

impl Wanted for Message {
    fn of_message(message: Message) -> Self {
        message
    }

    fn of_other(_: Event) -> Option<Self> {
        None
    }

    #[inline]
    fn len(&self) -> usize {
        Message::len(self)
    }
}

impl Wanted for Event {
    fn of_message(message: Message) -> Self {
        Self::Message(message)
    }

    fn of_other(event: Event) -> Option<Self> {
        Some(event)
    }

    fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Frame(frame) => frame.len(),
            Self::Ping(payload) | Self::Pong(payload) => payload.len(),
        }
    }
}

/// What there is to hand out.
enum Arrival<W> {
    /// A message lies whole in the buffer.
    Whole(WholeMessage),
    Other(W),
}

/// Something decoded that is independent of the input.
enum Decoded {
    Message(Message),
    Frame(Frame),
    Control(Incoming<'static>),
}

impl Reader {
    pub(crate) fn new(half: ReadHalf, inbound: Inbound, early: &[u8]) -> Self {
        let received = Received::early(early);
        let (lent, is_drained, gathers, has_answered) = (None, false, true, false);
        let work = Work::default();
        Self { half, inbound, received, lent, is_drained, gathers, has_answered, work }
    }

    /// What comes next. `None` is the end of what can be received; the session knows why.
    ///
    /// Everything that has been read is handed out before more is; when nothing is left, what the
    /// turn has led to is written.
    #[inline(always)]
    pub(crate) fn poll_next<W: Wanted>(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<W>> {
        ready!(self.poll_budget(cx));
        loop {
            let whole = match self.inbound.find_whole(self.received.unread()) {
                Some(whole) => whole,
                None => match ready!(self.poll_arrival(shared, cx)) {
                    Some(Arrival::Whole(whole)) => whole,
                    Some(Arrival::Other(item)) => return self.hand_out(shared, item),
                    None => return Poll::Ready(None),
                },
            };
            // A fault is met again above, by who looks for what comes next.
            if let Ok(message) = self.take_whole(whole) {
                return self.hand_out(shared, W::of_message(message));
            }
        }
    }

    /// Waits until there is a message to [lend](Self::lend). `false` is the end.
    #[inline]
    pub(crate) fn poll_lendable(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        ready!(self.poll_budget(cx));
        self.lent = None;
        if self.inbound.find_whole(self.received.unread()).is_none() {
            match ready!(self.poll_arrival(shared, cx)) {
                Some(Arrival::Whole(_)) => {}
                Some(Arrival::Other(message)) => self.lent = Some(Box::new(message)),
                None => return Poll::Ready(false),
            }
        }
        if self.has_answered {
            self.see_to_answers(shared);
        }
        Poll::Ready(true)
    }

    /// The message that there is, where it lies.
    #[inline]
    pub(crate) fn lend(&mut self, shared: &Shared) -> Result<Option<MessageRef<'_>>, Fault> {
        let Self { inbound, received, lent, work, .. } = self;
        if let Some(message) = lent {
            work.add_message(message.len());
            return Ok(Some(MessageRef::from(&**message)));
        }
        // To find it again is less than to remember it.
        let Some(whole) = inbound.find_whole(received.unread()) else { return Ok(None) };
        received.decode(|input| {
            let message = inbound.take_whole(whole, input)?;
            work.add_message(message.len());
            shared.heard.set_has_input(!input.is_empty());
            Ok(Some(message))
        })
    }

    #[inline]
    fn poll_budget(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.work.is_due() { self.work.poll_pay(cx) } else { Poll::Ready(()) }
    }

    /// Takes a message that lies whole in the buffer.
    #[inline]
    fn take_whole(&mut self, whole: WholeMessage) -> Result<Message, Fault> {
        let Self { inbound, received, .. } = self;
        let shared_from = received.shared_from();
        let message = received.decode(|input| inbound.take_whole(whole, input))?;
        let payload_len = message.len();
        if payload_len < shared_from || message.is_text() {
            return Ok(message.to_message());
        }
        Ok(Message::Binary(received.share(payload_len)))
    }

    /// Waits until there is something to hand out. `None` is the end.
    #[inline(never)]
    fn poll_arrival<W: Wanted>(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Arrival<W>>> {
        loop {
            if let Some(whole) = self.inbound.find_whole(self.received.unread()) {
                return Poll::Ready(Some(Arrival::Whole(whole)));
            }
            let decoded = match self.decode() {
                Ok(None) => match ready!(self.poll_read(shared, cx)) {
                    Some(decoded) => decoded,
                    None => return Poll::Ready(None),
                },
                decoded => decoded,
            };
            let item = match decoded {
                Ok(Some(Decoded::Message(message))) => Some(W::of_message(message)),
                Ok(Some(Decoded::Frame(frame))) => W::of_other(Event::Frame(frame)),
                Ok(Some(Decoded::Control(incoming))) => {
                    self.has_answered = true;
                    shared.handle_control(incoming).and_then(W::of_other)
                }
                Ok(None) => continue,
                Err(fault) => {
                    shared.handle_fault(fault);
                    None
                }
            };
            if item.is_some() {
                return Poll::Ready(item.map(Arrival::Other));
            }
            if !shared.is_receiving() {
                self.received.release();
                shared.heard.set_has_input(false);
                return Poll::Ready(None);
            }
        }
    }

    #[inline(always)]
    fn hand_out<W: Wanted>(&mut self, shared: &Arc<Shared>, item: W) -> Poll<Option<W>> {
        self.work.add_message(item.len());
        if self.has_answered {
            self.see_to_answers(shared);
        }
        // The program may be long in coming back.
        if self.received.is_empty() {
            self.received.release();
        }
        shared.heard.set_has_input(!self.received.is_empty());
        Poll::Ready(Some(item))
    }

    /// Has answers written though the program may not come back to receive.
    #[cold]
    fn see_to_answers(&mut self, shared: &Arc<Shared>) {
        self.has_answered = false;
        shared.see_to_answers();
    }

    /// Decodes what has been read. `None` asks for more.
    fn decode(&mut self) -> Result<Option<Decoded>, Fault> {
        let Self { inbound, received, gathers, .. } = self;
        if received.is_empty() && inbound.is_between_messages() {
            received.release();
            return Ok(None);
        }
        let unfinished = if *gathers { inbound.unfinished(received.unread()) } else { None };
        if unfinished.is_some_and(Received::can_gather) {
            return Ok(None);
        }
        let decoded = received.decode(|input| inbound.decode(input).map(|it| it.map(own)));
        if let Ok(None) = decoded {
            received.release();
        }
        decoded
    }

    /// Reads once. `None` is the end.
    fn poll_read(
        &mut self,
        shared: &Arc<Shared>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Option<Decoded>, Fault>>> {
        if !shared.end_turn(cx, !self.inbound.is_between_messages()) {
            return Poll::Ready(None);
        }
        self.has_answered = false;
        if let Some(mut payload) = self.inbound.payload_buffer() {
            let result = ready!(self.half.poll_read_buf(cx, &mut payload));
            let Some(count) = shared.handle_read(result) else { return Poll::Ready(None) };
            let incoming = self.inbound.payload_received(count);
            return Poll::Ready(Some(incoming.map(|incoming| incoming.map(own))));
        }
        let result = self.poll_read_shared(cx);
        if !matches!(result, Poll::Ready(Ok(1..) | Err(_))) && !self.received.is_empty() {
            // Nothing more for now: the beginning of a frame is the decoder's to keep.
            self.gathers = false;
            return Poll::Ready(Some(Ok(None)));
        }
        let count = shared.handle_read(ready!(result));
        self.gathers = true;
        Poll::Ready(count.map(|_| Ok(None)))
    }

    fn poll_read_shared(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.is_drained {
            ready!(self.half.poll_readable(cx));
        }
        let mut room = self.received.room();
        let most = room.remaining_mut();
        let result = self.half.poll_read_buf(cx, &mut room);
        self.is_drained = !matches!(result, Poll::Ready(Ok(count)) if count == most);
        self.received.note_read();
        if self.received.is_empty() {
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
            let _ = shared.end_turn(cx, true);
            if shared.lock().session.closed().is_some() {
                return Poll::Ready(());
            }
            let result = ready!(self.poll_read_shared(cx));
            let Some(count) = shared.handle_read(result) else { return Poll::Ready(()) };
            self.received.release();
            *discarded += count;
            if *discarded > DISCARD_MAX {
                shared.update(|state| state.session.handle_transport_end());
                return Poll::Ready(());
            }
        }
    }
}

/// Receiving.
impl Shared {
    fn is_receiving(&self) -> bool {
        self.lock().session.is_receiving()
    }

    /// Takes note of a control frame, and has it answered. It is an event of its own if it does
    /// not end anything.
    fn handle_control(self: &Arc<Self>, incoming: Incoming<'static>) -> Option<Event> {
        self.update(|state| {
            let result = state.session.handle_incoming(Instant::now().into_std(), &incoming);
            // Nothing comes after a close frame, so there is no turn to wait for the end of.
            if !state.session.is_open() {
                state.writer.write_now(&mut state.session);
            }
            result.ok()
        })?;
        match incoming {
            Incoming::Ping(payload) => Some(Event::Ping(payload)),
            Incoming::Pong(payload) => Some(Event::Pong(payload)),
            _ => None,
        }
    }

    /// Has answers written though the program may not come back to receive.
    fn see_to_answers(self: &Arc<Self>) {
        self.update(|state| state.writer.see_to(&mut state.session));
    }

    pub(crate) fn handle_fault(self: &Arc<Self>, fault: Fault) {
        self.update(|state| {
            state.session.handle_fault(Instant::now().into_std(), fault);
            state.writer.write_now(&mut state.session);
        });
    }

    /// What a read has come to: how many bytes, or `None` where that was the end.
    fn handle_read(self: &Arc<Self>, result: io::Result<usize>) -> Option<usize> {
        match result {
            Ok(0) => self.update(|state| state.session.handle_transport_end()),
            Ok(count) => {
                self.heard.note();
                return Some(count);
            }
            Err(error) => {
                self.update(|state| state.session.handle_transport_error(error.kind()));
            }
        }
        None
    }

    /// The receiver has nothing more to hand out: what its turn has led to is written, and it is
    /// known to wait. `false` if nothing can be received any more.
    fn end_turn(self: &Arc<Self>, cx: &mut Context<'_>, is_mid_frame: bool) -> bool {
        self.heard.set_has_input(false);
        self.update(|state| {
            state.receiver.is_mid_frame = is_mid_frame;
            state.end_turn(&self.heard, cx.waker());
            state.session.is_receiving()
        })
    }

    /// Has a reader read on where the program does not: what is decoded answers pings and closes
    /// and is dropped, and after that bytes are, until the transport is at its end.
    pub(crate) fn spawn_drain(self: &Arc<Self>, mut reader: Box<Reader>) {
        if self.lock().session.closed().is_some() {
            return;
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
        });
    }
}

fn own(incoming: Incoming<'_>) -> Decoded {
    match incoming {
        Incoming::Frame(frame) => Decoded::Frame(frame),
        Incoming::Text(text) => Decoded::Message(Message::Text(text.into())),
        Incoming::Binary(Cow::Borrowed(bytes)) => Decoded::Message(bytes.into()),
        Incoming::Binary(Cow::Owned(bytes)) => Decoded::Message(bytes.into()),
        control => Decoded::Control(control.into_owned()),
    }
}
