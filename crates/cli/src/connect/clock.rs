//! The times that `--time` and `--record` write.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

/// Which times to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The date and the time, in UTC.
    Absolute,
    /// The seconds since the program began to connect.
    Relative,
}

/// The times of events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    kind: Kind,
    start: Instant,
}

impl Times {
    /// Relative times begin now.
    pub(crate) fn from_now(kind: Kind) -> Self {
        Self { kind, start: Instant::now() }
    }

    /// The time now, as it is shown before an event.
    pub(crate) fn text(&self) -> String {
        match self.kind {
            Kind::Absolute => rfc3339(SystemTime::now()),
            Kind::Relative => format!("{:+.3}", self.start.elapsed().as_secs_f64()),
        }
    }

    /// The time now, as JSON.
    pub(crate) fn json(&self) -> String {
        match self.kind {
            Kind::Absolute => format!("\"{}\"", rfc3339(SystemTime::now())),
            Kind::Relative => format!("{:.6}", self.start.elapsed().as_secs_f64()),
        }
    }
}

/// The time in UTC with milliseconds: `2026-11-27T16:05:13.042Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    // A clock before 1970 is not set.
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let milliseconds = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// The date of a day after 1970-01-01: the year, the month and the day.
fn date(mut day: u64) -> (u64, u64, u64) {
    // Counted from a 1st of March, a leap day is the last of its year, and of its 400 years.
    day += 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (era * 400 + year + u64::from(is_next_year), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_and_a_time_of_day() {
        for (milliseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_798_761_599_042, "2026-12-31T23:59:59.042Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(milliseconds)), text);
        }
    }
}
