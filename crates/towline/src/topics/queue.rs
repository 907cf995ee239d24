//! The messages of a topic that are not yet being delivered.

use crate::connection::Prepared;
use crate::connection::sync::{ThreadId, this_thread};

/// What a message counts beside its payload.
const OVERHEAD: usize = 256;

#[derive(Default)]
pub(crate) struct Queue {
    messages: Vec<Prepared>,
    /// What the messages count.
    cost: usize,
    /// The number of the next message.
    next: u64,
    /// Whether there is a task that delivers.
    is_running: bool,
    /// The thread of the last push.
    pushed_on: Option<ThreadId>,
}

/// Messages that are delivered together.
pub(crate) struct Batch {
    pub(crate) messages: Vec<Prepared>,
    /// The number of the first one.
    pub(crate) first: u64,
    pub(crate) cost: usize,
}

/// What a message of this length counts.
pub(crate) fn cost(len: usize) -> usize {
    len.saturating_add(OVERHEAD)
}

impl Queue {
    /// Adds a message. Returns whether a task has to be spawned to deliver it.
    #[must_use]
    pub(crate) fn push(&mut self, message: Prepared, cost: usize) -> bool {
        self.messages.push(message);
        self.cost += cost;
        self.next += 1;
        self.pushed_on = Some(this_thread());
        !std::mem::replace(&mut self.is_running, true)
    }

    /// Takes all messages. If there are none, the task that delivers ends.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        if self.messages.is_empty() {
            self.is_running = false;
            return None;
        }
        let messages = std::mem::take(&mut self.messages);
        let first = self.next - messages.len() as u64;
        Some(Batch { messages, first, cost: std::mem::take(&mut self.cost) })
    }

    /// The task that delivers was dropped, or there is no runtime to spawn it on. The messages stay:
    /// the next push spawns another task. Returns what they count, so that it can be pushed.
    #[must_use]
    pub(crate) fn stop(&mut self) -> usize {
        self.is_running = false;
        std::mem::take(&mut self.cost)
    }

    /// Whether the last message that is queued was pushed on another thread, which can push more
    /// before it yields.
    pub(crate) fn is_of_other_thread(&self) -> bool {
        let is_other = |thread| thread != this_thread();
        !self.messages.is_empty() && self.pushed_on.is_some_and(is_other)
    }

    /// The number of the next message.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }
}
