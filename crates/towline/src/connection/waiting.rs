//! Tasks that wait for something of a connection.
//!
//! Who waits for room stands in a line and is served in the order of coming. Nobody in it can hold
//! up those behind: a future may be dropped, or kept and never polled again, and a `Sink` may lose
//! interest without a word. So a place that had its chance and did not take it is *passed*: the
//! next is woken, and others may go before it. It keeps its number, should it come back.
//!
//! ```text
//!   wait ─▶ Waiting ── woken ─▶ Woken ── had its chance ─▶ Passed
//!              ▲                  │                          │
//!              └── came, no room ─┴──────────────────────────┘
//! ```
//!
//! Nobody waiting costs a pointer.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::task::Waker;

use towline_proto::Mark;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Room to send.
    Room,
    /// Room to go on with a message made of frames, behind which others wait.
    RoomToContinue,
    /// Another sender has finished its message made of frames.
    Finished,
    /// Everything before the mark has been written.
    Flushed(Mark),
    /// How the connection ends is certain, or it has ended.
    End,
}

const QUEUES: usize = 5;

/// The queue of those who wait for a flush.
const FLUSHED: usize = 3;

impl Until {
    fn queue(self) -> usize {
        match self {
            Self::Room => 0,
            Self::RoomToContinue => 1,
            Self::Finished => 2,
            Self::Flushed(_) => FLUSHED,
            Self::End => 4,
        }
    }
}

/// Who waits.
#[derive(Default)]
pub(crate) struct Waiting(Option<Box<Queues>>);

#[derive(Default)]
struct Queues {
    /// How many places there ever were.
    places: u64,
    queues: [Queue; QUEUES],
}

/// Those who wait for one thing, in the order of coming.
#[derive(Default)]
struct Queue {
    waiters: BTreeMap<NonZeroU64, Waiter>,
    /// How many of them are waiting, and how many have been woken.
    waiting: usize,
    woken: usize,
}

struct Waiter {
    until: Until,
    state: State,
}

enum State {
    Waiting(Waker),
    Woken,
    Passed,
}

impl Queue {
    fn count(&mut self, state: &State) -> Option<&mut usize> {
        match state {
            State::Waiting(_) => Some(&mut self.waiting),
            State::Woken => Some(&mut self.woken),
            State::Passed => None,
        }
    }

    fn wait(&mut self, number: NonZeroU64, until: Until, waker: &Waker) {
        if let Some(Waiter { state: State::Waiting(known), .. }) = self.waiters.get_mut(&number) {
            return known.clone_from(waker);
        }
        self.leave(number);
        self.waiters.insert(number, Waiter { until, state: State::Waiting(waker.clone()) });
        self.waiting += 1;
    }

    fn leave(&mut self, number: NonZeroU64) {
        if let Some(waiter) = self.waiters.remove(&number)
            && let Some(count) = self.count(&waiter.state)
        {
            *count -= 1;
        }
    }

    /// Wakes up to `most` of those whose wait has come to its end.
    fn wake(&mut self, most: usize, wake: &mut Vec<Waker>, mut is_due: impl FnMut(Until) -> bool) {
        let waiting = self
            .waiters
            .values_mut()
            .filter(|waiter| matches!(waiter.state, State::Waiting(_)) && is_due(waiter.until));
        let before = wake.len();
        wake.extend(waiting.take(most).filter_map(|waiter| {
            match std::mem::replace(&mut waiter.state, State::Woken) {
                State::Waiting(waker) => Some(waker),
                _ => None,
            }
        }));
        let woken = wake.len() - before;
        self.waiting -= woken;
        self.woken += woken;
    }
}

/// A place in a queue, or none yet. Every sender and every future that sends has one, so it is
/// small: its number tells the queue as well.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<NonZeroU64>);

impl Place {
    fn number(place: u64, queue: usize) -> NonZeroU64 {
        NonZeroU64::MIN.saturating_add(place * QUEUES as u64 + queue as u64)
    }

    fn queue(number: NonZeroU64) -> usize {
        usize::try_from((number.get() - 1) % QUEUES as u64).unwrap_or(0)
    }

    /// Whether there is a place to give up.
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

    /// Takes a place, or keeps it, to be woken with this waker.
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

    /// Gives a place up.
    pub(crate) fn leave(&mut self, place: &mut Place) {
        let Some(number) = place.0.take() else { return };
        let Some(queues) = &mut self.0 else { return };
        queues.queues[Place::queue(number)].leave(number);
        if queues.queues.iter().all(|queue| queue.waiters.is_empty()) {
            self.0 = None;
        }
    }

    /// Whether it is for who has this place to go: nobody stands before it that may still come.
    pub(crate) fn may_go(&self, until: Until, place: &Place) -> bool {
        let Some(queue) = self.queue(until) else { return true };
        let own = place.0.and_then(|number| Some((number, queue.waiters.get(&number)?)));
        if own.is_some_and(|(_, waiter)| !matches!(waiter.state, State::Waiting(_))) {
            return true;
        }
        let mut all = queue.waiters.iter();
        let first = all.find(|(_, waiter)| !matches!(waiter.state, State::Passed));
        first.is_none_or(|(first, _)| own.is_some_and(|(own, _)| own == *first))
    }

    /// Whether who has this place has been woken because this wait has come to its end.
    pub(crate) fn is_over(&self, until: Until, place: &Place) -> bool {
        let waiter = |number| self.queue(until)?.waiters.get(&number);
        let own = place.0.and_then(waiter).filter(|own| own.until == until);
        own.is_some_and(|own| matches!(own.state, State::Woken))
    }

    /// Where the first of those who wait for a flush has its mark.
    pub(crate) fn next_mark(&self) -> Option<Mark> {
        let queue = &self.0.as_ref()?.queues[FLUSHED];
        let first = queue.waiters.values().find(|waiter| matches!(waiter.state, State::Waiting(_)));
        first.and_then(|waiter| match waiter.until {
            Until::Flushed(mark) => Some(mark),
            _ => None,
        })
    }

    /// Whether somebody in the line has not been woken.
    pub(crate) fn is_waiting(&self, until: Until) -> bool {
        self.queue(until).is_some_and(|queue| queue.waiting > 0)
    }

    /// Whether somebody in the line has been woken and may still come.
    pub(crate) fn is_expected(&self, until: Until) -> bool {
        self.queue(until).is_some_and(|queue| queue.woken > 0)
    }

    /// Wakes the next in the line.
    pub(crate) fn wake_next(&mut self, until: Until, wake: &mut Vec<Waker>) {
        if let Some(queues) = &mut self.0 {
            queues.queues[until.queue()].wake(1, wake, |_| true);
        }
    }

    /// Who was woken and has not come had its chance.
    pub(crate) fn pass(&mut self, until: Until) {
        let Some(queues) = &mut self.0 else { return };
        let queue = &mut queues.queues[until.queue()];
        for waiter in queue.waiters.values_mut() {
            if matches!(waiter.state, State::Woken) {
                waiter.state = State::Passed;
            }
        }
        queue.woken = 0;
    }

    /// Wakes all whose wait has come to its end.
    pub(crate) fn wake_if(&mut self, wake: &mut Vec<Waker>, mut is_due: impl FnMut(Until) -> bool) {
        let Some(queues) = &mut self.0 else { return };
        for queue in &mut queues.queues {
            queue.wake(usize::MAX, wake, &mut is_due);
        }
    }

    fn queue(&self, until: Until) -> Option<&Queue> {
        Some(&self.0.as_ref()?.queues[until.queue()])
    }
}
