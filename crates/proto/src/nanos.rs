//! Durations in half the memory, since each connection has some.

use std::num::NonZeroU64;
use std::time::Duration;

/// A duration of at least one nanosecond, in eight bytes. One of more than 584 years is
/// [`Duration::MAX`], so that its end is beyond the end of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nanos(NonZeroU64);

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN))
    }
}

impl From<Nanos> for Duration {
    fn from(nanos: Nanos) -> Self {
        match nanos.0 {
            NonZeroU64::MAX => Self::MAX,
            nanos => Self::from_nanos(nanos.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_beyond_its_bounds_become_the_bounds() {
        let there_and_back = |duration: Duration| Duration::from(Nanos::from(duration));
        let day = Duration::from_secs(86400);
        assert_eq!(there_and_back(day), day);
        assert_eq!(there_and_back(Duration::ZERO), Duration::from_nanos(1));
        assert_eq!(there_and_back(365 * 500 * day), 365 * 500 * day);
        assert_eq!(there_and_back(365 * 600 * day), Duration::MAX);
        assert_eq!(size_of::<Option<Nanos>>(), 8);
    }
}
