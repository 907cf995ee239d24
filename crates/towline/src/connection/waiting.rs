//! Queues of the tasks that wait for a connection.
//!
//! Waiters for room are served in the order in which they came. None can block those behind it: a
//! future can be dropped, or kept and never polled again, and a `Sink` can be left without notice.
//! So a waiter that was woken and did not use its turn is *passed*: the next one is woken, and
//! others are allowed to go before it. It keeps its number in case it is polled again.
//!
//! ```text
//!   wait ─▶ Waiting ── woken ─▶ Woken ── had its chance ─▶ Passed
//!              ▲                  │                          │
//!              └── came, no room ─┴──────────────────────────┘
//! ```
//!
//! Without waiters, this is a null pointer.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::task::Waker;

use tokio::time::Instant;
use towline_proto::Mark;

/// The event that a waiter waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Room to send.
    Room,
    /// Room for frames that do not wait for an unfinished message made of frames: the rest of that
    /// message, and control frames.
    RoomAhead,
    /// Another sender has finished its message made of frames.
    Finished,
    /// Everything before the mark has been written.
    Flushed(Mark),
    /// The pong of the round trip with this number.
    Answered(u32),
    /// The outcome of the connection is known, or it has ended.
    End,
}

const QUEUES: usize = 6;

/// The queue of the waiters for a flush.
const FLUSHED: usize = 3;

/// The queue of the waiters for a pong.
const ANSWERED: usize = 4;

impl Until {
    fn queue(self) -> usize {
        match self {
            Self::Room => 0,
            Self::RoomAhead => 1,
            Self::Finished => 2,
            Self::Flushed(_) => FLUSHED,
            Self::Answered(_) => ANSWERED,
            Self::End => 5,
        }
    }

    fn is_room(self) -> bool {
        matches!(self, Self::Room | Self::RoomAhead)
    }
}

/// All waiters of a connection.
#[derive(Default)]
pub(crate) struct Waiting(Option<Box<Queues>>);

#[derive(Default)]
struct Queues {
    /// The number of places handed out so far.
    places: u64,
    queues: [Queue; QUEUES],
}

/// The waiters for one event, in the order in which they came.
#[derive(Default)]
struct Queue {
    waiters: BTreeMap<NonZeroU64, Waiter>,
    /// The number that have not been woken, and the places of those that have.
    waiting: usize,
    woken: Vec<NonZeroU64>,
}

struct Waiter {
    until: Until,
    turn: Turn,
    /// When it began to wait for room.
    since: Option<Instant>,
}

enum Turn {
    Waiting(Waker),
    Woken,
    Passed,
}

impl Queue {
    fn wait(&mut self, number: NonZeroU64, until: Until, waker: &Waker) {
        if let Some(Waiter { turn: Turn::Waiting(known), .. }) = self.waiters.get_mut(&number) {
            return known.clone_from(waker);
        }
        let before = self.leave(number);
        let since = before.or_else(|| until.is_room().then(Instant::now));
        self.waiters.insert(number, Waiter { until, turn: Turn::Waiting(waker.clone()), since });
        self.waiting += 1;
    }

    /// Returns since when the waiter has waited for room, if for that.
    fn leave(&mut self, number: NonZeroU64) -> Option<Instant> {
        let waiter = self.waiters.remove(&number)?;
        match waiter.turn {
            Turn::Waiting(_) => self.waiting -= 1,
            Turn::Woken => self.woken.retain(|woken| *woken != number),
            Turn::Passed => {}
        }
        waiter.since
    }

    /// Wakes at most `most` waiters for which `is_due`.
    fn wake(&mut self, most: usize, wake: &mut Vec<Waker>, mut is_due: impl FnMut(Until) -> bool) {
        let Self { waiters, waiting, woken } = self;
        if *waiting == 0 {
            return;
        }
        let due = waiters
            .iter_mut()
            .filter(|(_, waiter)| matches!(waiter.turn, Turn::Waiting(_)) && is_due(waiter.until));
        for (number, waiter) in due.take(most) {
            if let Turn::Waiting(waker) = std::mem::replace(&mut waiter.turn, Turn::Woken) {
                wake.push(waker);
                woken.push(*number);
                *waiting -= 1;
            }
        }
    }

    fn pass(&mut self) {
        for number in self.woken.drain(..) {
            if let Some(waiter) = self.waiters.get_mut(&number) {
                waiter.turn = Turn::Passed;
            }
        }
    }
}

/// A place in a queue, or none yet. Every sender and every future that sends has one, so it is
/// small: the number also encodes the queue.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<NonZeroU64>);

impl Place {
    fn number(place: u64, queue: usize) -> NonZeroU64 {
        NonZeroU64::MIN.saturating_add(place * QUEUES as u64 + queue as u64)
    }

    fn queue(number: NonZeroU64) -> usize {
        usize::try_from((number.get() - 1) % QUEUES as u64).unwrap_or(0)
    }

    /// Whether this is a place in a queue.
    #[inline]
    pub(crate) fn is_taken(&self) -> bool {
        self.0.is_some()
    }
}

impl Waiting {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether all waiters wait for the end.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        self.0.as_ref().is_none_or(|queues| {
            let end = Until::End.queue();
            queues.queues[..end].iter().all(|queue| queue.waiters.is_empty())
        })
    }

    /// Takes a place, or keeps it, and stores the waker.
    pub(crate) fn wait(&mut self, until: Until, place: &mut Place, waker: &Waker) {
        let queue = until.queue();
        if place.0.is_some_and(|number| Place::queue(number) != queue) {
            self.leave(place);
        }
        let queues = self.0.get_or_insert_default();
        let number = *place.0.get_or_insert_with(|| {
            queues.places += 1;
            Place::number(queues.places, queue)
        });
        queues.queues[queue].wait(number, until, waker);
    }

    /// Leaves the queue. Returns since when the waiter has waited for room, if for that.
    pub(crate) fn leave(&mut self, place: &mut Place) -> Option<Instant> {
        let number = place.0.take()?;
        let queues = self.0.as_mut()?;
        let since = queues.queues[Place::queue(number)].leave(number);
        if queues.queues.iter().all(|queue| queue.waiters.is_empty()) {
            self.0 = None;
        }
        since
    }

    /// Whether it is this waiter's turn: no waiter before it is still expected.
    pub(crate) fn may_go(&self, until: Until, place: &Place) -> bool {
        let Some(queue) = self.queue(until) else { return true };
        let own = place.0.and_then(|number| Some((number, queue.waiters.get(&number)?)));
        if own.is_some_and(|(_, waiter)| !matches!(waiter.turn, Turn::Waiting(_))) {
            return true;
        }
        let mut all = queue.waiters.iter();
        let first = all.find(|(_, waiter)| !matches!(waiter.turn, Turn::Passed));
        first.is_none_or(|(first, _)| own.is_some_and(|(own, _)| own == *first))
    }

    /// Whether a waiter in the queue has not been woken.
    pub(crate) fn is_waiting(&self, until: Until) -> bool {
        self.queue(until).is_some_and(|queue| queue.waiting > 0)
    }

    /// Whether a waiter in the queue has been woken and has not used its turn yet.
    pub(crate) fn is_expected(&self, until: Until) -> bool {
        self.queue(until).is_some_and(|queue| !queue.woken.is_empty())
    }

    /// Whether a waiter in the queue goes before others.
    pub(crate) fn has_first(&self, until: Until) -> bool {
        self.is_waiting(until) || self.is_expected(until)
    }

    /// Wakes the next waiter in the queue.
    pub(crate) fn wake_next(&mut self, until: Until, wake: &mut Vec<Waker>) {
        if let Some(queues) = &mut self.0 {
            queues.queues[until.queue()].wake(1, wake, |_| true);
        }
    }

    /// Passes over the waiters that were woken and have not used their turn.
    pub(crate) fn pass(&mut self, until: Until) {
        if let Some(queues) = &mut self.0 {
            queues.queues[until.queue()].pass();
        }
    }

    /// Wakes all waiters for this event.
    pub(crate) fn wake_all(&mut self, until: Until, wake: &mut Vec<Waker>) {
        if let Some(queues) = &mut self.0 {
            queues.queues[until.queue()].wake(usize::MAX, wake, |_| true);
        }
    }

    /// Wakes all waiters.
    pub(crate) fn wake_everybody(&mut self, wake: &mut Vec<Waker>) {
        for queue in self.0.iter_mut().flat_map(|queues| &mut queues.queues) {
            queue.wake(usize::MAX, wake, |_| true);
        }
    }

    /// Wakes the waiters whose mark `is_flushed`. Returns whether others still wait for a flush.
    pub(crate) fn wake_flushed(
        &mut self,
        wake: &mut Vec<Waker>,
        mut is_flushed: impl FnMut(Mark) -> bool,
    ) -> bool {
        let Some(queues) = &mut self.0 else { return false };
        let queue = &mut queues.queues[FLUSHED];
        queue.wake(usize::MAX, wake, |until| match until {
            Until::Flushed(mark) => is_flushed(mark),
            _ => false,
        });
        queue.waiting > 0
    }

    /// Wakes the waiters whose round trip `is_over`.
    pub(crate) fn wake_answered(
        &mut self,
        wake: &mut Vec<Waker>,
        mut is_over: impl FnMut(u32) -> bool,
    ) {
        let Some(queues) = &mut self.0 else { return };
        queues.queues[ANSWERED].wake(usize::MAX, wake, |until| match until {
            Until::Answered(number) => is_over(number),
            _ => false,
        });
    }

    fn queue(&self, until: Until) -> Option<&Queue> {
        Some(&self.0.as_ref()?.queues[until.queue()])
    }
}
