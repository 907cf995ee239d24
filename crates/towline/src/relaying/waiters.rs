//! The publishers that wait for room, in the order in which they came.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

/// Publishers that wait, by number.
///
/// One that was woken keeps its place until it [leaves](Self::leave), so those behind it can count on
/// being woken by that. One that finds no room after all waits again, before all that came later.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// The last number that was given.
    last: u64,
    waiting: BTreeMap<u64, Waker>,
    /// Those that were woken and have not left.
    woken: BTreeSet<u64>,
}

impl Waiters {
    /// Whether a publisher overtakes nobody if it goes on. A new one has no number yet.
    pub(super) fn is_next(&self, number: Option<u64>) -> bool {
        let Some((first, _)) = self.waiting.first_key_value() else { return true };
        number.is_some_and(|number| number == *first || self.woken.contains(&number))
    }

    /// Adds a publisher, or has one that is here wait again.
    pub(super) fn wait(&mut self, number: &mut Option<u64>, waker: &Waker) {
        let number = *number.get_or_insert_with(|| {
            self.last += 1;
            self.last
        });
        self.woken.remove(&number);
        self.waiting
            .entry(number)
            .and_modify(|known| known.clone_from(waker))
            .or_insert_with(|| waker.clone());
    }

    /// Removes a publisher that goes on, or that is dropped.
    pub(super) fn leave(&mut self, number: u64) {
        if !self.woken.remove(&number) {
            self.waiting.remove(&number);
        }
    }

    /// How many were woken and have not left.
    pub(super) fn woken(&self) -> usize {
        self.woken.len()
    }

    /// Returns the wakers of the next ones, so that `most` are woken. Wake them without a lock.
    #[must_use]
    pub(super) fn wake_until(&mut self, most: usize) -> Vec<Waker> {
        let mut wake = Vec::new();
        while self.woken.len() < most
            && let Some((number, waker)) = self.waiting.pop_first()
        {
            self.woken.insert(number);
            wake.push(waker);
        }
        wake
    }
}
