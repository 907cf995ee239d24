//! What other tasks can do with a reconnecting client.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::broadcast;
use towline_proto::{CloseCode, CloseFrame};

use crate::client::reconnecting::event::{ReconnectEvent, ReconnectEvents};
use crate::connection::{Closer, close_frame};
use crate::error::Result;

/// How many events a subscriber can be behind by.
const EVENTS: usize = 64;

/// Controls a [reconnecting client](crate::Reconnecting) from any task. Clones control the same client.
///
/// ```no_run
/// # async fn example(client: towline::Client) -> towline::Result<()> {
/// let mut feed = client.reconnecting(|_| async { Ok("wss://example.com/feed") });
/// let handle = feed.handle();
/// tokio::spawn(async move {
///     let mut events = handle.events();
///     while let Some(event) = events.next().await {
///         println!("{event:?}");
///     }
/// });
/// while let Some(connection) = feed.next().await? {
///     // …
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReconnectHandle(pub(crate) Arc<Control>);

/// What the client and its handles share.
#[derive(Default)]
pub(crate) struct Control(Mutex<State>);

#[derive(Default)]
struct State {
    phase: Phase,
    /// What a handle wants of the client, which has not seen it yet.
    wish: Option<Wish>,
    is_stopped: bool,
    /// Closes the current connection.
    closer: Closer,
    /// The task in `next`.
    waker: Option<Waker>,
    /// Made for the first subscriber.
    events: Option<broadcast::Sender<ReconnectEvent>>,
}

/// What the client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// An attempt is going to begin, or a connection exists.
    #[default]
    Else,
    Connecting,
    Waiting,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Begin the next attempt.
    Now,
    /// The same, from the first delay on, and in place of an attempt in progress.
    Anew,
}

impl ReconnectHandle {
    /// Ends the delay before the next attempt, whatever asked for it. Returns `false`, and has no effect,
    /// if the client is not waiting.
    ///
    /// The delays after it are as long as they would have been.
    pub fn reconnect_now(&self) -> bool {
        self.0.wish(Wish::Now, &[Phase::Waiting])
    }

    /// Tells the client that the network has returned or changed: a delay ends, an attempt in progress
    /// begins anew, and the next delay is a first one. Returns `false`, and has no effect, if the client
    /// does neither.
    ///
    /// Call it when the operating system reports a new network. It has no effect on a connection; a dead
    /// one is found by keepalive, or replaced when the program drops it.
    pub fn network_returned(&self) -> bool {
        self.0.wish(Wish::Anew, &[Phase::Waiting, Phase::Connecting])
    }

    /// Stops the client: a delay or an attempt ends, and every call of
    /// [`next`](crate::Reconnecting::next) returns `None`. A connection that exists stays open.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Stops the client, and begins to close the connection that exists, if any, as
    /// [`Connection::start_close`](crate::Connection::start_close) does. Keep receiving on it until the
    /// end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`](crate::ErrorKind::InvalidSend) for a code that must not be sent or a
    /// reason of more than 123 bytes. Nothing happens then.
    pub fn shutdown(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<()> {
        let frame = close_frame(code, reason.as_ref())?;
        self.0.close(frame);
        Ok(())
    }

    /// Subscribes to the events from now on. A subscriber that is more than 64 events behind misses the
    /// oldest, and is told [how many](ReconnectEvent::Missed).
    ///
    /// The events are sent while [`next`](crate::Reconnecting::next) is awaited.
    pub fn events(&self) -> ReconnectEvents {
        self.0.subscribe()
    }
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wish(&self, wish: Wish, phases: &[Phase]) -> bool {
        let mut state = self.lock();
        if state.is_stopped || !phases.contains(&state.phase) {
            return false;
        }
        if state.wish != Some(Wish::Anew) {
            state.wish = Some(wish);
        }
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn close(&self, frame: CloseFrame) {
        // Under one lock, or a connection noted in between would stay open.
        let (closer, waker) = {
            let mut state = self.lock();
            state.is_stopped = true;
            (std::mem::take(&mut state.closer), state.waker.take())
        };
        waker.into_iter().for_each(Waker::wake);
        closer.close(frame);
    }

    /// Notes the task in `next`. Returns whether the client is stopped.
    pub(crate) fn register(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        state.is_stopped
    }

    /// Notes what the client does now, and the event that this is. Once connected or at the end, wishes
    /// are void. That the network has returned holds for a delay or an attempt that begins just then.
    pub(crate) fn enter(&self, phase: Phase, event: impl FnOnce() -> ReconnectEvent) {
        let events = {
            let mut state = self.lock();
            state.phase = phase;
            if !(matches!(phase, Phase::Waiting | Phase::Connecting)
                && state.wish == Some(Wish::Anew))
            {
                state.wish = None;
            }
            match phase {
                // Dropped after the last event, so that subscribers see the end.
                Phase::Over => state.events.take(),
                _ => state.events.clone(),
            }
        };
        if let Some(events) = events.filter(|events| events.receiver_count() > 0) {
            let _ = events.send(event());
        }
    }

    /// Sets what closes the current connection. Returns `false` if the client has been stopped.
    pub(crate) fn set_closer(&self, closer: Closer) -> bool {
        let mut state = self.lock();
        state.closer = closer;
        !state.is_stopped
    }

    pub(crate) fn take_wish(&self) -> Option<Wish> {
        self.lock().wish.take()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().phase == Phase::Over
    }

    pub(crate) fn subscribe(&self) -> ReconnectEvents {
        let mut state = self.lock();
        let receiver = match (&state.events, state.phase) {
            (Some(events), _) => events.subscribe(),
            // There will be no event.
            (None, Phase::Over) => broadcast::Sender::new(1).subscribe(),
            (None, _) => {
                let events = broadcast::Sender::new(EVENTS);
                let receiver = events.subscribe();
                state.events = Some(events);
                receiver
            }
        };
        ReconnectEvents(receiver)
    }
}

impl fmt::Debug for ReconnectHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectHandle")
            .field("phase", &self.0.lock().phase)
            .finish_non_exhaustive()
    }
}
