//! Durations in half the memory, since each connection has some.

use std::num::NonZeroU64;
use std::time::Duration;

/// A duration of at least one nanosecond and at most 584 years, in eight bytes.
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
        Self::from_nanos(nanos.0.get())
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
        assert!(there_and_back(Duration::MAX) > 500 * 365 * day);
        assert_eq!(size_of::<Option<Nanos>>(), 8);
    }
}
