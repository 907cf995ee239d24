//! Tasks that wait for something of a connection, in the order in which they came.
//!
//! A place in a queue is given up when its owner is dropped, and so nothing is left behind by a
//! future that was cancelled. Nobody waiting costs a pointer.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::task::Waker;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Room to send.
    Room,
    /// Room to go on with a message made of frames, behind which others wait.
    RoomToContinue,
    /// Everything has been written.
    Flushed,
    /// How the connection ends is certain, or it has ended.
    End,
}

const QUEUES: usize = 4;

/// Who waits.
#[derive(Default)]
pub(crate) struct Waiting(Option<Box<Queues>>);

#[derive(Default)]
struct Queues {
    /// How many places there ever were.
    places: u64,
    /// A place without a waker is that of one who was woken and has not come back yet.
    queues: [BTreeMap<NonZeroU64, Option<Waker>>; QUEUES],
}

/// A place in a queue, or none yet. Every sender and every future that sends has one, so it is
/// small: its number tells the queue as well.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<NonZeroU64>);

impl Place {
    fn number(place: u64, until: Until) -> NonZeroU64 {
        NonZeroU64::MIN.saturating_add(place * QUEUES as u64 + until as u64)
    }

    fn queue(number: NonZeroU64) -> usize {
        usize::try_from((number.get() - 1) % QUEUES as u64).unwrap_or(0)
    }

    /// Whether there is a place to give up.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.is_some()
    }
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Takes a place, or keeps it, to be woken with this waker.
    pub(crate) fn wait(&mut self, until: Until, place: &mut Place, waker: &Waker) {
        if place.0.is_some_and(|number| Place::queue(number) != until as usize) {
            self.leave(place);
        }
        let queues = self.0.get_or_insert_default();
        let number = *place.0.get_or_insert_with(|| {
            queues.places += 1;
            Place::number(queues.places, until)
        });
        let known = queues.queues[until as usize].entry(number).or_default();
        match known {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Gives a place up.
    pub(crate) fn leave(&mut self, place: &mut Place) {
        let Some(number) = place.0.take() else { return };
        let Some(queues) = &mut self.0 else { return };
        queues.queues[Place::queue(number)].remove(&number);
        if queues.queues.iter().all(BTreeMap::is_empty) {
            self.0 = None;
        }
    }

    /// The first in the queue, unless it was woken already: whoever comes back hands on what it
    /// leaves over.
    pub(crate) fn wake_first(&mut self, until: Until, wake: &mut Vec<Waker>) {
        let Some(queues) = &mut self.0 else { return };
        if let Some(mut first) = queues.queues[until as usize].first_entry() {
            wake.extend(first.get_mut().take());
        }
    }

    /// All in the queue.
    pub(crate) fn wake_all(&mut self, until: Until, wake: &mut Vec<Waker>) {
        let Some(queues) = &mut self.0 else { return };
        wake.extend(queues.queues[until as usize].values_mut().filter_map(Option::take));
    }
}
