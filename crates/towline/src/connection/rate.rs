//! Rates, and the token buckets that hold them.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// How many messages, bytes or handshakes are allowed in a time, and how many at once.
///
/// It is a token bucket: the bucket holds [`burst`](Self::burst) tokens, each message, byte or
/// handshake takes one, and the rate fills it up again. By default the burst is as large as the
/// rate, so a peer that was silent for a second can send a second's worth at once.
///
/// ```
/// use towline::Rate;
///
/// // 50 a second in the long run, and up to 500 at once.
/// let rate = Rate::per_second(50).burst(500);
/// assert_eq!(rate.to_string(), "50 a second");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u64,
    per: Duration,
    burst: u64,
}

impl Rate {
    /// Allows this many a second, and as many at once. 0 is taken as 1.
    pub const fn per_second(count: u64) -> Self {
        Self::of(count, Duration::from_secs(1))
    }

    /// Allows this many a minute, and as many at once. 0 is taken as 1.
    pub const fn per_minute(count: u64) -> Self {
        Self::of(count, Duration::from_secs(60))
    }

    const fn of(count: u64, per: Duration) -> Self {
        let count = if count == 0 { 1 } else { count };
        Self { count, per, burst: count }
    }

    /// Sets how many are allowed at once. 0 is taken as 1.
    #[must_use]
    pub const fn burst(mut self, burst: u64) -> Self {
        self.burst = if burst == 0 { 1 } else { burst };
        self
    }

    /// How many are allowed in [a time](Self::per).
    pub(crate) fn count(self) -> u64 {
        self.count
    }

    /// The time that the rate counts in: a second or a minute.
    pub(crate) fn per(self) -> Duration {
        self.per
    }

    /// How many are allowed at once.
    pub(crate) fn at_once(self) -> u64 {
        self.burst
    }

    /// The time in which so many tokens are filled in.
    fn time_of(self, tokens: u64) -> Duration {
        let nanos = u128::from(tokens) * self.per.as_nanos() / u128::from(self.count);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The time in which an empty bucket fills up.
    pub(crate) fn time_of_burst(self) -> Duration {
        self.time_of(self.burst)
    }
}

/// `50 a second`
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = if self.per.as_secs() == 1 { "second" } else { "minute" };
        write!(f, "{} a {per}", self.count)
    }
}

/// The level of a bucket, as the time when it is full again. So it needs no refilling.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    full_at: Instant,
}

impl Meter {
    pub(crate) fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Whether the bucket is full, so that a new one is equal to it.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }

    /// When it is full.
    pub(crate) fn full_at(&self) -> Instant {
        self.full_at
    }

    /// Returns how long it takes until there is a token, or `None` if there is one.
    pub(crate) fn wait(&self, rate: Rate, now: Instant) -> Option<Duration> {
        let missing = self.full_at.saturating_duration_since(now) + rate.time_of(1);
        let wait = missing.saturating_sub(rate.time_of_burst());
        (!wait.is_zero()).then_some(wait)
    }

    /// Takes tokens, although there may be fewer. Then later ones are owed.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant, tokens: u64) {
        let from = self.full_at.max(now);
        // A time too far for the clock is far enough.
        self.full_at = from.checked_add(rate.time_of(tokens)).unwrap_or(from);
    }

    /// Takes tokens if all of them are there. Otherwise returns how long it takes until they are.
    /// More tokens than the burst are never there.
    pub(crate) fn try_take(
        &mut self,
        rate: Rate,
        now: Instant,
        tokens: u64,
    ) -> Result<(), Duration> {
        let missing = self.full_at.saturating_duration_since(now) + rate.time_of(tokens);
        let wait = missing.saturating_sub(rate.time_of_burst());
        if !wait.is_zero() {
            return Err(wait);
        }
        self.take(rate, now, tokens);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate_holds() {
        let rate = Rate::per_second(4).burst(6);
        let start = Instant::now();
        let mut meter = Meter::full(start);
        for _ in 0..6 {
            assert_eq!(meter.wait(rate, start), None);
            assert_eq!(meter.try_take(rate, start, 1), Ok(()));
        }
        let quarter = Duration::from_millis(250);
        assert_eq!(meter.try_take(rate, start, 1), Err(quarter));
        assert_eq!(meter.wait(rate, start), Some(quarter));
        assert_eq!(meter.try_take(rate, start + quarter, 1), Ok(()));
        assert_eq!(meter.try_take(rate, start + quarter, 1), Err(quarter));
        // However long it rests, it holds no more than the burst.
        let later = start + Duration::from_secs(1000);
        assert!(meter.is_full(later));
        let passed = (0..100).filter(|_| meter.try_take(rate, later, 1).is_ok()).count();
        assert_eq!(passed, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_beyond_the_burst_is_owed() {
        let rate = Rate::per_second(100);
        let start = Instant::now();
        let mut meter = Meter::full(start);
        meter.take(rate, start, 1000);
        assert_eq!(meter.wait(rate, start), Some(Duration::from_millis(9010)));
        assert_eq!(meter.wait(rate, start + Duration::from_millis(9010)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_and_the_greatest_rates_overflow_nothing() {
        for rate in [
            Rate::per_second(0).burst(0),
            Rate::per_minute(1).burst(u64::MAX),
            Rate::per_second(u64::MAX).burst(1),
            Rate::per_second(u64::MAX),
        ] {
            let now = Instant::now();
            let mut meter = Meter::full(now);
            assert_eq!(meter.try_take(rate, now, 1), Ok(()), "{rate}");
            meter.take(rate, now, u64::MAX);
            let _ = meter.wait(rate, now);
        }
    }
}
