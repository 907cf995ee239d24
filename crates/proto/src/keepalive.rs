//! Keepalive: pings a silent peer, and ends the connection if it stays silent.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::config::Keepalive;
use crate::nanos::Nanos;

/// Without a minimum, a connection could do nothing but send pings.
const SHORTEST: Duration = Duration::from_millis(1);

/// The keepalive timer. It has no clock: the caller passes the time.
#[derive(Debug)]
pub(crate) struct Timer {
    /// `None` without keepalive.
    interval: Option<Nanos>,
    grace: Option<Nanos>,
    /// When bytes of the peer were last received.
    heard: Instant,
    /// Set if something has happened since: a ping was sent, or the peer took bytes.
    later: Option<Later>,
}

/// How much later than bytes were received the latest sign was given: by this end with a ping, which
/// is unanswered, or by the peer, which took bytes.
///
/// In eight bytes, since each connection has one: the time in nanoseconds, at most 146 years, whether
/// it is a ping, and a bit that is set.
#[derive(Debug, Clone, Copy)]
struct Later(NonZeroU64);

impl Later {
    fn new(after: Duration, is_ping: bool) -> Self {
        let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX >> 2);
        Self(NonZeroU64::MIN | nanos << 2 | u64::from(is_ping) << 1)
    }

    fn after(self) -> Duration {
        Duration::from_nanos(self.0.get() >> 2)
    }

    fn is_ping(self) -> bool {
        self.0.get() & 2 != 0
    }
}

/// The action that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The peer has been silent: send a ping.
    Ping,
    /// The peer has not answered.
    Dead,
}

impl Timer {
    /// Creates a timer that counts the peer as heard at `now`.
    pub(crate) fn new(keepalive: Option<Keepalive>, now: Instant) -> Self {
        Self {
            interval: keepalive.map(|keepalive| keepalive.interval.into()),
            grace: keepalive.and_then(|keepalive| keepalive.grace).map(Nanos::from),
            heard: now,
            later: None,
        }
    }

    /// Returns the configuration. Durations are at least a nanosecond, and those of more
    /// than 584 years are [`Duration::MAX`].
    pub(crate) fn keepalive(&self) -> Option<Keepalive> {
        let keepalive = Keepalive::every(self.interval?.into());
        Some(keepalive.grace(self.grace.map(Duration::from)))
    }

    /// Records that bytes of the peer were received at `at`.
    pub(crate) fn handle_received(&mut self, at: Instant) {
        // With a coarse clock, the answer may have the time of the ping.
        let since = self.since();
        if at >= since {
            self.heard = at;
            self.later = None;
        } else if at > self.heard && !self.is_asked() {
            // The peer took bytes later, which was noted before.
            self.heard = at;
            self.later = Some(Later::new(since.saturating_duration_since(at), false));
        }
    }

    /// Records that the peer took bytes at `at`: it is alive, but was not heard.
    pub(crate) fn handle_taken(&mut self, at: Instant) {
        if at >= self.since() {
            self.later = Some(Later::new(at.saturating_duration_since(self.heard), false));
        }
    }

    /// Records that bytes of the peer were received between these two times. A ping may be early,
    /// but the peer must not be declared dead too early.
    pub(crate) fn handle_received_between(&mut self, from: Instant, to: Instant) {
        self.handle_received(if self.is_asked() { to } else { from });
    }

    /// Returns when [`poll_due`](Self::poll_due) next returns an action if nothing is received
    /// until then.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let Keepalive { interval, grace } = self.keepalive()?;
        let interval = interval.max(SHORTEST);
        let silence = if self.is_asked() { grace.unwrap_or(interval) } else { interval };
        self.since().checked_add(silence)
    }

    /// Returns the action that is due at `now`, if any.
    pub(crate) fn poll_due(&self, now: Instant) -> Option<Due> {
        if now < self.poll_timeout()? {
            return None;
        }
        let is_dead = self.is_asked() && self.grace.is_some();
        Some(if is_dead { Due::Dead } else { Due::Ping })
    }

    /// Records that a ping was sent.
    pub(crate) fn handle_ping_sent(&mut self, now: Instant) {
        self.later = Some(Later::new(now.saturating_duration_since(self.heard), true));
    }

    /// Returns when bytes of the peer were last received, as far as recorded.
    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// Returns whether a ping is unanswered.
    fn is_asked(&self) -> bool {
        self.later.is_some_and(Later::is_ping)
    }

    /// Returns when the unanswered ping was sent or, without one, when bytes were last received or
    /// taken.
    fn since(&self) -> Instant {
        let after = self.later.map(Later::after).unwrap_or_default();
        self.heard.checked_add(after).unwrap_or(self.heard)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn timer(start: Instant) -> Timer {
        Timer::new(Some(Keepalive::every(20 * SECOND)), start)
    }

    /// A moment that is no business of the clock's.
    fn start() -> Instant {
        crate::testing::start()
    }

    #[test]
    fn silence_is_asked_after_and_more_of_it_is_death() {
        let start = start();
        let mut timer = timer(start);
        assert_eq!(timer.poll_timeout(), Some(start + 20 * SECOND));
        assert_eq!(timer.poll_due(start + 19 * SECOND), None);
        assert_eq!(timer.poll_due(start + 20 * SECOND), Some(Due::Ping));
        timer.handle_ping_sent(start + 20 * SECOND);
        assert_eq!(timer.poll_timeout(), Some(start + 30 * SECOND));
        assert_eq!(timer.poll_due(start + 30 * SECOND), Some(Due::Dead));
    }

    #[test]
    fn any_byte_puts_the_question_off_and_is_an_answer() {
        let start = start();
        let mut timer = timer(start);
        timer.handle_received(start + 15 * SECOND);
        assert_eq!(timer.poll_due(start + 20 * SECOND), None);
        timer.handle_ping_sent(start + 35 * SECOND);
        timer.handle_received(start + 36 * SECOND);
        assert_eq!(timer.poll_timeout(), Some(start + 56 * SECOND));
    }

    #[test]
    fn a_peer_that_takes_bytes_is_alive_and_was_not_heard() {
        let start = start();
        let mut timer = timer(start);
        timer.handle_taken(start + 15 * SECOND);
        assert_eq!(timer.poll_timeout(), Some(start + 35 * SECOND));
        timer.handle_ping_sent(start + 35 * SECOND);
        timer.handle_taken(start + 40 * SECOND);
        assert_eq!((timer.poll_timeout(), timer.heard()), (Some(start + 60 * SECOND), start));
        // Received before that, and noted after it.
        timer.handle_received(start + 39 * SECOND);
        assert_eq!(timer.poll_timeout(), Some(start + 60 * SECOND));
        assert_eq!(timer.heard(), start + 39 * SECOND);
        // Earlier ones change nothing.
        timer.handle_received(start + 38 * SECOND);
        assert_eq!(timer.poll_timeout(), Some(start + 60 * SECOND));
        assert_eq!(timer.heard(), start + 39 * SECOND);
        timer.handle_received(start + 41 * SECOND);
        assert_eq!(timer.poll_timeout(), Some(start + 61 * SECOND));
        assert_eq!(timer.heard(), start + 41 * SECOND);
    }

    #[test]
    fn without_grace_it_asks_again_and_never_concludes() {
        let start = start();
        let keepalive = Keepalive::every(20 * SECOND).grace(None);
        let mut timer = Timer::new(Some(keepalive), start);
        for round in 1..5 {
            let now = start + round * 20 * SECOND;
            assert_eq!(timer.poll_due(now), Some(Due::Ping));
            timer.handle_ping_sent(now);
        }
    }

    #[test]
    fn without_keepalive_nothing_is_ever_due() {
        let start = start();
        let timer = Timer::new(None, start);
        assert_eq!(timer.poll_timeout(), None);
        assert_eq!(timer.poll_due(start + 1_000_000 * SECOND), None);
    }
}
