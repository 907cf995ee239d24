//! How long to wait before the next attempt, and when to stop.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::time::Duration;

/// A shorter ceiling would make a client that is refused spin.
const LEAST: Duration = Duration::from_millis(1);

/// How long a reconnecting client waits between attempts, and when it gives up.
///
/// The delays have *full jitter*: each is random between zero and a ceiling, which begins at
/// [`first`](Self::first()), grows by [`factor`](Self::factor()) with each attempt, and stops at
/// [`max`](Self::max()). So a thousand clients that lose their server at the same moment do not return at
/// the same moment.
///
/// The ceiling falls back to the beginning only after a connection has lasted for
/// [`stable_after`](Self::stable_after()). A server that accepts and closes at once is not asked ever more
/// often.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use towline::Backoff;
///
/// let backoff = Backoff::default()
///     .max(Duration::from_secs(300))
///     .max_attempts(NonZeroU32::new(20));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The ceiling of the delay before the second attempt, or before the first one after a stable
    /// connection was lost.
    ///
    /// The delay is half of it on average. The clients of a server that restarts return spread over this
    /// time. Less than 1 ms counts as 1 ms. Default: 1 s.
    pub first: Duration,

    /// The factor by which the ceiling grows with each attempt. With 1, it does not grow. Default: 2.
    pub factor: NonZeroU32,

    /// The largest ceiling.
    ///
    /// After a long outage, a client connects at most this much later than it could, and half of it on
    /// average. Default: 30 s.
    pub max: Duration,

    /// How long a connection must last for its loss to start again with the first delay.
    ///
    /// A shorter connection counts as a failed attempt. Zero makes every connection count as stable, so
    /// that a server which closes at once is asked again within `first` each time. Default: 60 s.
    pub stable_after: Duration,

    /// The longest delay that a server can ask for with `Retry-After` (RFC 9110, section 10.2.3). A longer
    /// one is shortened to this. Default: 1 hour.
    pub max_retry_after: Duration,

    /// The most attempts without a stable connection, or `None` for no limit. Default: `None`.
    pub max_attempts: Option<NonZeroU32>,

    /// The longest time without a connection, or `None` for no limit. It is counted from the beginning of
    /// the first attempt or from the end of the last stable connection, without the time that other
    /// connections lasted. An attempt that is in progress at the limit is ended. Default: `None`.
    pub give_up_after: Option<Duration>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            factor: const { NonZeroU32::new(2).expect("not zero") },
            max: Duration::from_secs(30),
            stable_after: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(3600),
            max_attempts: None,
            give_up_after: None,
        }
    }
}

impl Backoff {
    /// Sets [`first`](Self#structfield.first).
    #[must_use]
    pub fn first(mut self, ceiling: Duration) -> Self {
        self.first = ceiling;
        self
    }

    /// Sets [`factor`](Self#structfield.factor).
    #[must_use]
    pub fn factor(mut self, factor: NonZeroU32) -> Self {
        self.factor = factor;
        self
    }

    /// Sets [`max`](Self#structfield.max).
    #[must_use]
    pub fn max(mut self, ceiling: Duration) -> Self {
        self.max = ceiling;
        self
    }

    /// Sets [`stable_after`](Self#structfield.stable_after).
    #[must_use]
    pub fn stable_after(mut self, time: Duration) -> Self {
        self.stable_after = time;
        self
    }

    /// Sets [`max_retry_after`](Self#structfield.max_retry_after).
    #[must_use]
    pub fn max_retry_after(mut self, delay: Duration) -> Self {
        self.max_retry_after = delay;
        self
    }

    /// Sets [`max_attempts`](Self#structfield.max_attempts).
    #[must_use]
    pub fn max_attempts(mut self, attempts: impl Into<Option<NonZeroU32>>) -> Self {
        self.max_attempts = attempts.into();
        self
    }

    /// Sets [`give_up_after`](Self#structfield.give_up_after).
    #[must_use]
    pub fn give_up_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.give_up_after = time.into();
        self
    }

    /// The ceiling of the delay after this many delays without a stable connection.
    fn ceiling(&self, delays: u32) -> Duration {
        let factor = self.factor.get().saturating_pow(delays);
        self.first.max(LEAST).saturating_mul(factor).min(self.max.max(LEAST))
    }

    /// A delay, after this many without a stable connection.
    pub(crate) fn delay(&self, delays: u32) -> Duration {
        within(self.ceiling(delays), random())
    }
}

/// The part of the duration that `random` is of all numbers.
fn within(ceiling: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
}

/// A random number, from the keys that the standard library draws for its maps.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_ceiling_grows_by_the_factor_up_to_the_cap() {
        let backoff = Backoff::default();
        let ceilings: Vec<_> = (0..7).map(|delays| backoff.ceiling(delays).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.ceiling(u32::MAX), 30 * SECOND);
        assert_eq!(backoff.clone().factor(NonZeroU32::MIN).ceiling(1000), SECOND);
        let extreme = backoff.clone().first(Duration::MAX).max(Duration::MAX);
        assert_eq!(extreme.ceiling(u32::MAX), Duration::MAX);
        assert!(extreme.delay(7) <= Duration::from_nanos(u64::MAX));
        let none = backoff.first(Duration::ZERO).max(Duration::ZERO);
        assert_eq!(none.ceiling(3), LEAST);
    }

    #[test]
    fn a_delay_is_a_part_of_the_ceiling() {
        assert_eq!(within(8 * SECOND, 0), Duration::ZERO);
        assert_eq!(within(8 * SECOND, 1 << 63), 4 * SECOND);
        assert!(within(8 * SECOND, u64::MAX) <= 8 * SECOND);
    }

    /// The thundering herd: in each tenth of the ceiling there are about as many clients.
    #[test]
    fn the_delays_of_a_thousand_clients_are_spread_evenly() {
        let backoff = Backoff::default();
        for delays in [0, 3, 9] {
            let ceiling = backoff.ceiling(delays);
            let mut tenths = [0u32; 10];
            for _ in 0..1000 {
                let delay = backoff.delay(delays);
                assert!(delay <= ceiling);
                let tenth = (delay.as_nanos() * 10 / ceiling.as_nanos()) as usize;
                tenths[tenth.min(9)] += 1;
            }
            // Binomial: 100 each, with a standard deviation of 9.5. Seven of those.
            assert!(tenths.iter().all(|count| (33..=167).contains(count)), "{tenths:?}");
        }
    }
}
