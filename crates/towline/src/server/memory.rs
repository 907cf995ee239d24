//! The memory that all connections of a server hold together, or of several servers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::server::connections::{Connections, WeakConnections};

/// A server tells others what its connections hold when this part of the limit has changed, so that
/// its threads rarely write to what others read.
const STEPS: usize = 1024;

/// No step is larger, in bytes.
const LARGEST_STEP: usize = 64 << 10;

/// The memory of all servers that share a limit.
#[derive(Default)]
pub(crate) struct Common {
    /// What the servers have told.
    total: AtomicUsize,
    is_relieving: AtomicBool,
    /// The connections of the servers that there are.
    servers: Mutex<Vec<WeakConnections>>,
}

/// The sum of what a server's connections hold, and the limit.
pub(crate) struct Memory {
    most: usize,
    held: AtomicUsize,
    /// The part of it that is in the total.
    told: AtomicUsize,
    step: usize,
    common: Arc<Common>,
}

/// The right to relieve the memory, which one task has at a time. Dropping it frees the right.
pub(crate) struct Relieving(Arc<Memory>);

impl Memory {
    /// Returns the memory of a server with these connections, which shares its limit or does not.
    pub(crate) fn new(
        most: usize,
        connections: &Connections,
        shared: Option<Arc<Common>>,
    ) -> Arc<Self> {
        // Nobody else asks for a total that is not shared.
        let step = if shared.is_some() { (most / STEPS).min(LARGEST_STEP) } else { usize::MAX };
        let common = shared.unwrap_or_default();
        common.join(connections);
        let (held, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { most, held, told, step, common })
    }

    /// The limit.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// What this server's connections hold.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// What all connections hold, those of other servers to a step each.
    pub(crate) fn held_by_all(&self) -> usize {
        let told = self.told.load(Ordering::Relaxed);
        let others = self.common.total.load(Ordering::Relaxed).wrapping_sub(told);
        let all = others.wrapping_add(self.held());
        // Below zero for a moment, if a thread has noted in `told` what is not in the total yet.
        if isize::try_from(all).is_ok() { all } else { 0 }
    }

    /// A connection holds `after` bytes now.
    pub(crate) fn change(&self, before: usize, after: usize) {
        // The counters wrap around, so that a difference can be negative.
        let change = after.wrapping_sub(before);
        let held = self.held.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
        let told = self.told.load(Ordering::Relaxed);
        if held.abs_diff(told) > self.step {
            self.tell(told, held);
        }
    }

    #[cold]
    fn tell(&self, told: usize, held: usize) {
        // Otherwise another thread of this server is telling.
        let is_mine =
            self.told.compare_exchange(told, held, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_mine {
            self.common.total.fetch_add(held.wrapping_sub(told), Ordering::Relaxed);
        }
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.held_by_all() > self.most
    }

    /// How much to free. Then an eighth is left, so that the next message does not exceed the limit
    /// again.
    pub(crate) fn excess(&self) -> usize {
        self.held_by_all().saturating_sub(self.most - self.most / 8)
    }

    /// The connections of all servers that share the limit.
    pub(crate) fn connections(&self) -> Vec<Connections> {
        self.common.servers().iter().filter_map(WeakConnections::upgrade).collect()
    }

    /// Returns `None` if the memory is within the limit, or another task is relieving it.
    pub(crate) fn begin_to_relieve(self: &Arc<Self>) -> Option<Relieving> {
        let is_mine = self.is_exceeded() && !self.common.is_relieving.swap(true, Ordering::AcqRel);
        is_mine.then(|| Relieving(self.clone()))
    }
}

/// What is left of a server that is gone counts no more.
impl Drop for Memory {
    fn drop(&mut self) {
        self.common.total.fetch_sub(*self.told.get_mut(), Ordering::Relaxed);
    }
}

impl Common {
    fn join(&self, connections: &Connections) {
        let mut servers = self.servers();
        servers.retain(|server| server.upgrade().is_some());
        servers.push(connections.downgrade());
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Vec<WeakConnections>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relieving {
    /// Ends a pass. Connections that exceeded the limit meanwhile have left it to this task: returns
    /// `Some` if another pass is due. Without holders, it would find nothing to close.
    pub(crate) fn end(self, had_holders: bool) -> Option<Self> {
        let memory = self.0.clone();
        drop(self);
        if had_holders { memory.begin_to_relieve() } else { None }
    }
}

impl Drop for Relieving {
    fn drop(&mut self) {
        // Acquires what a task has added before it found the right taken: whoever asks after this
        // whether the limit is exceeded counts it, to a step of another server.
        self.0.common.is_relieving.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_excess_that_was_left_to_a_pass_is_followed_by_another() {
        let memory = Memory::new(100, &Connections::of_server(), None);
        assert!(memory.begin_to_relieve().is_none(), "it is within the limit");
        memory.change(0, 101);
        let first = memory.begin_to_relieve().unwrap();
        // The pass has found it within the limit, and then it is exceeded again.
        memory.change(101, 50);
        memory.change(0, 51);
        assert!(memory.begin_to_relieve().is_none(), "one is at it");
        let second = first.end(true).expect("another pass");
        // Nobody to close: the next excess asks again.
        assert!(second.end(false).is_none());
        let third = memory.begin_to_relieve().unwrap();
        memory.change(101, 80);
        assert!(third.end(true).is_none(), "it is within the limit");
        assert!(!memory.common.is_relieving.load(Ordering::Relaxed));
    }

    #[test]
    fn servers_know_what_others_hold_to_a_step() {
        const MOST: usize = 1 << 20;
        let common = Arc::<Common>::default();
        let connections = [(); 3].map(|()| Connections::of_server());
        let new = |connections| Memory::new(MOST, connections, Some(common.clone()));
        let [first, second, third] = connections.each_ref().map(new);
        // Two threads of one server.
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..1000).for_each(|_| first.change(0, 500)));
            }
        });
        (0..100).for_each(|_| second.change(0, 4096));
        let all = 1_000_000 + 409_600;
        for memory in [&first, &second, &third] {
            let held = memory.held_by_all();
            assert!(held.abs_diff(all) <= 2 * (MOST / STEPS), "{held}");
            assert!(memory.is_exceeded());
        }
        assert_eq!((second.held(), third.held()), (409_600, 0));
        assert_eq!(third.connections().len(), 3);
        // A server that is gone takes its part along.
        drop(first);
        assert!(third.held_by_all().abs_diff(409_600) <= MOST / STEPS);
        (0..100).for_each(|_| second.change(4096, 0));
        drop(second);
        assert_eq!(third.held_by_all(), 0);
        drop(connections);
        assert!(third.connections().is_empty());
    }

    #[test]
    fn a_limit_that_is_not_shared_holds_to_the_byte() {
        let connections = Connections::of_server();
        let memory = Memory::new(1 << 30, &connections, None);
        memory.change(0, 1 << 30);
        assert!(!memory.is_exceeded());
        memory.change(0, 1);
        assert!(memory.is_exceeded());
    }
}
