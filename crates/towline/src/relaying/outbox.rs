//! The queue of messages on their way to a broker.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::connection::sync::{Mutex, MutexGuard};
use crate::relaying::waiters::Waiters;
use crate::topics::RelayFuture;

/// What a message counts beside its payload and its topic's name.
const OVERHEAD: usize = 64;

/// The longest wait for room, while the broker takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The bounded queue of messages on their way to a broker.
///
/// [`Relay::publish`](crate::topics::Relay::publish) [pushes](Self::push), and a task of the relay
/// takes the [next](Self::next) message and writes it. When the queue is half full,
/// [`room`](Self::room) makes publishers wait, at most a second each. If nothing was taken for that
/// long, they do not wait any more, and what has no room is refused, until the task takes a message
/// again. So a broker that takes nothing costs a bounded amount of memory, and stops nobody.
///
/// ```
/// # use towline::bytes::Bytes;
/// # use towline::relaying::{Outbox, PushError};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let outbox = Outbox::new(1 << 20);
/// outbox.push("room/7".to_owned(), Bytes::from("ship ahoy")).unwrap();
/// let (topic, payload) = outbox.next().await.unwrap();
/// assert_eq!((&*topic, &*payload), ("room/7", &b"ship ahoy"[..]));
///
/// outbox.shut();
/// assert_eq!(outbox.push(topic, payload), Err(PushError::Shut));
/// # }
/// ```
#[derive(Debug)]
pub struct Outbox {
    max_bytes: usize,
    state: Mutex<State>,
    /// For the task that takes.
    pushed: Notify,
}

#[derive(Debug)]
struct State {
    /// Topics or what a relay made of them, and payloads.
    messages: VecDeque<(String, Bytes)>,
    bytes: usize,
    /// Publishers wait while there are more bytes.
    half: usize,
    is_open: bool,
    is_ended: bool,
    /// How many messages were taken.
    taken: u64,
    /// What the last of them counted.
    last_cost: usize,
    /// Nothing was taken for too long.
    is_stuck: bool,
    waiters: Waiters,
}

impl State {
    /// Whether messages leave, so that room comes to those who wait for it.
    fn is_taken_from(&self) -> bool {
        self.is_open && !self.is_ended && !self.is_stuck
    }

    /// Whether a publisher has to wait. A new one has no number.
    fn must_wait(&self, number: Option<u64>) -> bool {
        let may_go = || self.bytes <= self.half && self.waiters.is_next(number);
        self.is_taken_from() && !may_go()
    }

    /// Returns the wakers of publishers that there is room for, in the order in which they came. There
    /// is room for as many messages like the last one as fit in the half, less those that were woken
    /// already; and for `more` than those, which a publisher that does not come cannot prevent.
    ///
    /// Whenever there is room and somebody waits, somebody is woken and has not left. So call this when
    /// room comes and when a publisher leaves.
    fn wake(&mut self, more: usize) -> Vec<Waker> {
        if !self.is_taken_from() {
            return self.waiters.wake_until(usize::MAX);
        }
        let Some(room) = self.half.checked_sub(self.bytes) else { return Vec::new() };
        let fitting = 1 + room / self.last_cost.max(OVERHEAD);
        self.waiters.wake_until(fitting.max(self.waiters.woken() + more))
    }
}

/// The error for a message that an [`Outbox`] does not take.
///
/// [`Outbox`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// There is no broker.
    Shut,
    /// The queue has no room.
    Full,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shut => "there is no connection to the broker",
            Self::Full => "the queue to the broker is full",
        })
    }
}

impl std::error::Error for PushError {}

impl Outbox {
    /// Returns an empty queue of at most this many bytes, which is open. Each message counts as its
    /// payload, its topic's name, and 64 bytes more.
    pub fn new(max_bytes: usize) -> Self {
        let state = State {
            messages: VecDeque::new(),
            bytes: 0,
            half: max_bytes / 2,
            is_open: true,
            is_ended: false,
            taken: 0,
            last_cost: 0,
            is_stuck: false,
            waiters: Waiters::default(),
        };
        Self { max_bytes, state: Mutex::new(state), pushed: Notify::new() }
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] if it has no room, and [`PushError::Shut`] if the queue is
    /// [shut](Self::shut). An empty queue has room for any message.
    pub fn push(&self, topic: String, payload: Bytes) -> Result<(), PushError> {
        let cost = cost(&topic, &payload);
        {
            let mut state = self.lock();
            if !state.is_open || state.is_ended {
                return Err(PushError::Shut);
            }
            if !state.messages.is_empty() && state.bytes.saturating_add(cost) > self.max_bytes {
                return Err(PushError::Full);
            }
            state.bytes = state.bytes.saturating_add(cost);
            state.messages.push_back((topic, payload));
        }
        self.pushed.notify_one();
        Ok(())
    }

    /// Returns a future to wait for room with, or `None` if there is no reason to wait.
    ///
    /// Publishers go on in the order in which they came, and as many are woken as there is room for: one
    /// for each message that was taken, and more if there is room for more messages of that length.
    ///
    /// # Cancel safety
    ///
    /// The future is cancel safe: if it is dropped after it was woken, the next publisher is woken.
    pub fn room(&self) -> Option<RelayFuture<'_, ()>> {
        let must_wait = self.lock().must_wait(None);
        must_wait.then(|| -> RelayFuture<'_, ()> { Box::pin(self.wait_for_room()) })
    }

    async fn wait_for_room(&self) {
        let deadline = Instant::now() + PATIENCE;
        let before = self.lock().taken;
        let mut publisher = Publisher { outbox: self, number: None };
        let going = timeout_at(deadline, poll_fn(|cx| publisher.poll(cx))).await;
        if going.is_err() {
            let mut state = self.lock();
            state.is_stuck |= state.taken == before;
        }
    }

    /// Waits for the next message and takes it. Returns `None` when the queue has [ended](Self::end)
    /// and is empty. One task should take messages.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no message is lost.
    pub async fn next(&self) -> Option<(String, Bytes)> {
        loop {
            if let Some(message) = self.try_next() {
                return Some(message);
            }
            if self.lock().is_ended {
                // What was queued before the end.
                return self.try_next();
            }
            self.pushed.notified().await;
        }
    }

    /// Takes the next message, if there is one.
    pub fn try_next(&self) -> Option<(String, Bytes)> {
        self.change(|state| {
            let (topic, payload) = state.messages.pop_front()?;
            state.last_cost = cost(&topic, &payload);
            state.bytes = state.bytes.saturating_sub(state.last_cost);
            state.taken += 1;
            state.is_stuck = false;
            Some((topic, payload))
        })
    }

    /// Shuts the queue, since the broker is lost: it refuses messages, nobody waits for room, and
    /// what is queued is dropped. Returns how many messages were dropped.
    pub fn shut(&self) -> u64 {
        let dropped = self.change(|state| {
            (state.is_open, state.bytes, state.is_stuck) = (false, 0, false);
            std::mem::take(&mut state.messages)
        });
        dropped.len() as u64
    }

    /// Opens the queue, since the broker is back.
    pub fn open(&self) {
        self.lock().is_open = true;
    }

    /// Ends the queue, since the relay is dropped: [`next`](Self::next) returns what is queued, and
    /// then `None`.
    pub fn end(&self) {
        self.change(|state| state.is_ended = true);
        self.pushed.notify_one();
    }

    /// Returns whether the relay is dropped.
    pub(super) fn is_ended(&self) -> bool {
        self.lock().is_ended
    }

    /// Changes the state so that room can come, and wakes publishers.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, wake) = {
            let mut state = self.lock();
            (change(&mut state), state.wake(1))
        };
        wake.into_iter().for_each(Waker::wake);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A publisher that waits for room. When it is dropped, it leaves its turn to the next one.
struct Publisher<'o> {
    outbox: &'o Outbox,
    /// Its place, once it waits.
    number: Option<u64>,
}

impl Publisher<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.outbox.lock();
        if !state.must_wait(self.number) {
            return Poll::Ready(());
        }
        state.waiters.wait(&mut self.number, cx.waker());
        Poll::Pending
    }
}

impl Drop for Publisher<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let wake = {
            let mut state = self.outbox.lock();
            state.waiters.leave(number);
            state.wake(0)
        };
        wake.into_iter().for_each(Waker::wake);
    }
}

fn cost(topic: &str, payload: &Bytes) -> usize {
    payload.len().saturating_add(topic.len()).saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these messages counts 100 bytes.
    fn push(outbox: &Outbox) -> Result<(), PushError> {
        outbox.push("a".into(), Bytes::from_static(&[0; 35]))
    }

    #[tokio::test(start_paused = true)]
    async fn messages_leave_in_order_and_the_last_one_is_followed_by_the_end() {
        let outbox = Outbox::new(1000);
        for number in 0..3 {
            outbox.push(number.to_string(), Bytes::new()).unwrap();
        }
        outbox.end();
        assert_eq!(outbox.push("late".into(), Bytes::new()), Err(PushError::Shut));
        for number in 0..3 {
            assert_eq!(outbox.next().await.unwrap().0, number.to_string());
        }
        assert_eq!(outbox.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_and_an_empty_one_takes_any_message() {
        let outbox = Outbox::new(1000);
        for _ in 0..10 {
            push(&outbox).unwrap();
        }
        assert_eq!(push(&outbox), Err(PushError::Full));
        outbox.next().await.unwrap();
        push(&outbox).unwrap();

        let outbox = Outbox::new(10);
        push(&outbox).unwrap();
        assert_eq!(push(&outbox), Err(PushError::Full));
    }

    #[tokio::test(start_paused = true)]
    async fn publishers_wait_while_the_queue_is_more_than_half_full() {
        let outbox = Outbox::new(1000);
        for _ in 0..5 {
            push(&outbox).unwrap();
            assert!(outbox.room().is_none());
        }
        push(&outbox).unwrap();
        let mut room = Polled(outbox.room().unwrap());
        assert!(room.is_pending());
        outbox.next().await.unwrap();
        assert!(room.is_ready());
        assert!(outbox.room().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_broker_that_takes_nothing() {
        let outbox = Outbox::new(1000);
        for _ in 0..10 {
            push(&outbox).unwrap();
        }
        let start = Instant::now();
        outbox.room().unwrap().await;
        assert_eq!(start.elapsed(), PATIENCE);
        assert!(outbox.room().is_none(), "the next publisher waits, too");
        assert_eq!(push(&outbox), Err(PushError::Full));
        outbox.next().await.unwrap();
        assert!(outbox.room().is_some(), "the broker takes messages again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_shut_queue_is_empty_and_lets_waiters_go() {
        let outbox = Outbox::new(1000);
        for _ in 0..10 {
            push(&outbox).unwrap();
        }
        let mut room = Polled(outbox.room().unwrap());
        assert!(room.is_pending());
        assert_eq!(outbox.shut(), 10);
        assert!(room.is_ready());
        assert_eq!(push(&outbox), Err(PushError::Shut));
        outbox.open();
        push(&outbox).unwrap();
    }

    /// A future that is polled by hand.
    struct Polled<'f>(RelayFuture<'f, ()>);

    impl Polled<'_> {
        fn is_ready(&mut self) -> bool {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            self.0.as_mut().poll(&mut context).is_ready()
        }

        fn is_pending(&mut self) -> bool {
            !self.is_ready()
        }
    }
}
