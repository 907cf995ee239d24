//! The states of a reconnecting client.
//!
//! ```text
//!            attempt                     established
//!   Ready ───────────▶ Connecting ─────────────────────▶ Up
//!     ▲                    │ failed                       │ ended
//!     │       delay        ▼                              ▼
//!     └──────────────── Waiting ◀── again ── the policy, and the program's hook
//!                                                  │ fatal, limit, closed as intended, stopped
//!                                                  ▼
//!                                                 Over
//! ```
//!
//! All state is here and none in the future of `next`, which can be dropped at any time. There is no task:
//! dropping the client ends an attempt and a delay.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::client::Client;
use crate::client::reconnecting::attempt::Attempt;
use crate::client::reconnecting::backoff::Backoff;
use crate::client::reconnecting::dial::{Dial, DialError};
use crate::client::reconnecting::ending::{Ending, Retry};
use crate::client::reconnecting::event::ReconnectEvent;
use crate::client::reconnecting::handle::{Control, Phase, Wish};
use crate::connection::{Connection, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::transient::Verdict;

/// A future of the program's function.
pub(crate) type Dialling =
    Pin<Box<dyn Future<Output = std::result::Result<Dial, DialError>> + Send>>;

/// The program's hook.
pub(crate) type Decide = dyn FnMut(&Ending) -> Retry + Send;

type Connecting = Pin<Box<dyn Future<Output = std::result::Result<Connection, Ending>> + Send>>;

pub(crate) struct Driver {
    pub(crate) client: Client,
    pub(crate) dial: Box<dyn FnMut(Attempt) -> Dialling + Send>,
    pub(crate) backoff: Backoff,
    pub(crate) retry: Option<Box<Decide>>,
    pub(crate) control: Arc<Control>,
    pub(crate) state: State,
    pub(crate) progress: Progress,
    /// The connection before the current one, for what it has not sent.
    pub(crate) previous: Option<Watch>,
}

pub(crate) enum State {
    Ready,
    Connecting(Connecting),
    Up {
        watch: Watch,
        since: Instant,
    },
    Waiting(Pin<Box<Sleep>>),
    /// With the failure, and the words before it, unless the end was intended.
    Over(Option<(Ending, String)>),
}

/// What happened since the last stable connection.
#[derive(Default)]
pub(crate) struct Progress {
    attempts: u32,
    /// How many delays there were, as far as they count for the next.
    delays: u32,
    /// Since when there is no stable connection, later by the time that there was another.
    since: Option<Instant>,
    /// Since the beginning: how the last attempt ended.
    last: Option<Ending>,
}

impl Driver {
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Connection>>> {
        if self.control.register(cx.waker()) && !matches!(self.state, State::Over(_)) {
            self.end(None);
        }
        loop {
            if let Some(wish) = self.control.take_wish() {
                self.grant(wish);
            }
            match &mut self.state {
                State::Ready => self.begin(),
                State::Connecting(connecting) => match ready!(connecting.as_mut().poll(cx)) {
                    Ok(connection) => {
                        if let Some(connection) = self.connected(connection) {
                            return Poll::Ready(Ok(Some(connection)));
                        }
                    }
                    Err(ending) => self.handle_ending(ending, Instant::now()),
                },
                State::Up { watch, since } => {
                    let (closed, at) = ready!(watch.poll_end(cx));
                    let lasted = at.saturating_duration_since(*since);
                    self.lost(closed.map_or(Ending::Dropped, Ending::Closed), at, lasted);
                }
                State::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.state = State::Ready;
                }
                State::Over(None) => return Poll::Ready(Ok(None)),
                State::Over(Some((ending, preface))) => {
                    return Poll::Ready(Err(ending.error(preface)));
                }
            }
        }
    }

    /// Begins an attempt.
    fn begin(&mut self) {
        let Progress { attempts, since, last, .. } = &mut self.progress;
        let (number, is_first) = (attempts.saturating_add(1), last.is_none());
        *attempts = number;
        let since = *since.get_or_insert_with(Instant::now);
        let attempt = Attempt { number, is_first, last: last.clone() };
        self.control.enter(Phase::Connecting, || ReconnectEvent::Connecting { attempt: number });
        let (dialling, client) = ((self.dial)(attempt), self.client.clone());
        let limit = self.backoff.give_up_after;
        self.state = State::Connecting(Box::pin(async move {
            let connecting = connect(dialling, client);
            match limit.and_then(|limit| Some((limit, since.checked_add(limit)?))) {
                None => connecting.await,
                Some((limit, end)) => timeout_at(end, connecting).await.unwrap_or_else(|_| {
                    let message = format!("no connection within {limit:?} (give_up_after)");
                    Err(Ending::Failed(Arc::new(Error::new(ErrorKind::HandshakeTimeout, message))))
                }),
            }
        }));
    }

    /// Notes a connection. `None` if the client was stopped meanwhile.
    fn connected(&mut self, connection: Connection) -> Option<Connection> {
        let watch = Watch::new(&connection);
        if !self.control.set_closer(watch.closer()) {
            self.end(None);
            return None;
        }
        self.control.enter(Phase::Else, || ReconnectEvent::Connected);
        self.state = State::Up { watch, since: Instant::now() };
        Some(connection)
    }

    /// The connection has ended.
    fn lost(&mut self, ending: Ending, at: Instant, lasted: Duration) {
        if let State::Up { watch, .. } = std::mem::replace(&mut self.state, State::Ready) {
            self.previous = Some(watch);
        }
        self.control.enter(Phase::Else, || ReconnectEvent::Lost { why: ending.clone() });
        if lasted >= self.backoff.stable_after {
            self.progress = Progress { since: Some(at), ..Progress::default() };
        } else if let Some(since) = &mut self.progress.since {
            *since = (*since + lasted).min(at);
        }
        self.handle_ending(ending, at);
    }

    /// Decides what comes after an attempt or a connection that ended at this time.
    fn handle_ending(&mut self, ending: Ending, at: Instant) {
        self.progress.last = Some(ending.clone());
        let verdict = ending.verdict();
        let retry = self.retry.as_mut().map_or(Retry::Default, |retry| retry(&ending));
        let delay = match (retry, verdict) {
            (Retry::Default | Retry::No, Verdict::Over) => return self.end(Some(ending)),
            (Retry::Default, Verdict::Fatal) => return self.give_up(ending, "not tried again: "),
            (Retry::No, _) => return self.give_up(ending, "not tried again (retry_if): "),
            (Retry::After(delay), _) => delay,
            (Retry::Yes, _) | (Retry::Default, Verdict::Again) => self.delay(&ending),
        };
        self.wait(ending, at, delay);
    }

    /// The delay of the policy. It is added to what the server asks for, or all clients that it asks would
    /// return at once.
    fn delay(&mut self, ending: &Ending) -> Duration {
        let Self { backoff, progress, .. } = self;
        let delay = backoff.delay(progress.delays);
        progress.delays = progress.delays.saturating_add(1);
        let asked = ending.retry_after().unwrap_or_default().min(backoff.max_retry_after);
        asked.saturating_add(delay)
    }

    /// Waits for the next attempt, unless a limit is reached.
    fn wait(&mut self, ending: Ending, at: Instant, delay: Duration) {
        let (now, Progress { attempts, since, .. }) = (Instant::now(), &self.progress);
        if let Some(most) = self.backoff.max_attempts.filter(|most| *attempts >= most.get()) {
            return self
                .give_up(ending, &format!("gave up after {most} attempts (max_attempts): "));
        }
        // A delay that no clock can reach is one without end, as far as a program can tell.
        let far = || now + Duration::from_secs(86_400 * 365 * 30);
        let until = at.checked_add(delay).unwrap_or_else(far).max(now);
        if let (Some(limit), Some(since)) = (self.backoff.give_up_after, since)
            && until.saturating_duration_since(*since) >= limit
        {
            let delay = until.saturating_duration_since(now);
            let preface = format!(
                "gave up, as the next attempt, in {delay:.1?}, would be later than {limit:?} (give_up_after): "
            );
            return self.give_up(ending, &preface);
        }
        let delay = until.saturating_duration_since(now);
        self.state = State::Waiting(Box::pin(sleep_until(until)));
        self.control.enter(Phase::Waiting, || ReconnectEvent::Waiting { delay, why: ending });
    }

    /// Does what a handle wants.
    fn grant(&mut self, wish: Wish) {
        match (&self.state, wish) {
            (State::Waiting(_), _) | (State::Connecting(_), Wish::Anew) => {
                if matches!(self.state, State::Connecting(_)) {
                    // It is begun again, and has not failed.
                    self.progress.attempts = self.progress.attempts.saturating_sub(1);
                }
                self.state = State::Ready;
                if wish == Wish::Anew {
                    self.progress.delays = 0;
                }
            }
            _ => {}
        }
    }

    fn give_up(&mut self, ending: Ending, preface: &str) {
        self.state = State::Over(Some((ending.clone(), preface.to_owned())));
        self.control.enter(Phase::Over, || ReconnectEvent::GaveUp { why: ending });
    }

    fn end(&mut self, why: Option<Ending>) {
        self.state = State::Over(None);
        self.control.enter(Phase::Over, || ReconnectEvent::Ended { why });
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.control.is_over() {
            self.control.enter(Phase::Over, || ReconnectEvent::Ended { why: None });
        }
    }
}

async fn connect(dialling: Dialling, client: Client) -> std::result::Result<Connection, Ending> {
    let dial = dialling.await.map_err(|error| match error.own() {
        Some(own) => Ending::Failed(own.clone()),
        None => Ending::NotDialled(Arc::new(error)),
    })?;
    dial.connect(client).await.map_err(|error| Ending::Failed(Arc::new(error)))
}
