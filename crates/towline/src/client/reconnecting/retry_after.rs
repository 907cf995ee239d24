//! `Retry-After` (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How long the server asks to wait: a number of seconds, or until a date. A date is compared with the
/// server's own `Date`, if there is one, so that this machine's clock can be wrong.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number of 64 bits has are a very long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = date(value)?;
    let date_of_server = headers.get(DATE).and_then(|value| date(value.to_str().ok()?));
    let now = date_of_server.or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(now.as_secs()).ok()
    })?;
    Some(Duration::from_secs(u64::try_from(until.saturating_sub(now)).unwrap_or(0)))
}

/// The seconds since 1970 of an HTTP-date, in one of its three formats (RFC 9110, section 5.6.7).
fn date(text: &str) -> Option<i64> {
    let mut words = text.trim().split([' ', '-']).filter(|word| !word.is_empty());
    let first = words.next()?;
    let (day, month, year, time) = if first.ends_with(',') {
        // Sun, 06 Nov 1994 08:49:37 GMT and Sunday, 06-Nov-94 08:49:37 GMT
        let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
        if words.next() != Some("GMT") {
            return None;
        }
        (day, month, year, time)
    } else {
        // Sun Nov  6 08:49:37 1994
        let (month, day, time, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
        (day, month, year, time)
    };
    if words.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year = match (year.len(), number(year)?) {
        (4, year) => year,
        // "a timestamp that appears to be more than 50 years in the future" is in the past; nothing that
        // matters here is from before 1970.
        (2, year @ 70..) => 1900 + year,
        (2, year) => 2000 + year,
        _ => return None,
    };
    let mut time = time.split(':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let day = number(day)?;
    let is_valid = time.next().is_none()
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let days = days(year, i64::try_from(month).ok()?, day);
    is_valid.then_some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// A number of at most four digits.
fn number(text: &str) -> Option<i64> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// The days since 1970 of a day of the Gregorian calendar. Months count from 0, days from 1.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have the leap day at their end.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let of_years = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    of_years + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn after(value: &str) -> Option<u64> {
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        retry_after(&headers(&[(RETRY_AFTER, value), date])).map(|delay| delay.as_secs())
    }

    #[test]
    fn seconds_and_all_three_formats_of_a_date_are_understood() {
        for (value, seconds) in [
            ("0", 0),
            ("120", 120),
            (" 7 ", 7),
            ("99999999999999999999999", u64::MAX),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
            ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
            ("Sun Nov  6 08:50:37 1994", 60),
            ("Mon, 07 Nov 1994 08:49:37 GMT", 86_400),
            ("Sat, 05 Nov 1994 08:49:37 GMT", 0),
        ] {
            assert_eq!(after(value), Some(seconds), "{value}");
        }
    }

    #[test]
    fn the_servers_clock_counts_if_it_tells_its_time_and_else_this_machines() {
        let past = headers(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:50:37 GMT")]);
        assert_eq!(retry_after(&past), Some(Duration::ZERO));
        let future = headers(&[(RETRY_AFTER, "Fri, 06 Nov 9990 08:50:37 GMT")]);
        assert!(retry_after(&future).unwrap() > Duration::from_secs(1 << 37));
    }

    #[test]
    fn anything_else_is_no_delay() {
        for value in [
            "",
            "soon",
            "-1",
            "1.5",
            "1e3",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Non 1994 08:49:37 GMT",
            "Sun, 06 Nov 199 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
        ] {
            assert_eq!(after(value), None, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn days_are_counted_through_leap_years() {
        for (year, month, day, expected) in [
            (1970, 0, 1, 0),
            (1970, 1, 1, 31),
            (1972, 1, 29, 789),
            (1972, 2, 1, 790),
            (2000, 1, 29, 11_016),
            (2100, 2, 1, 47_541),
        ] {
            assert_eq!(days(year, month, day), expected, "{year}-{month}-{day}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(value in "[ -~]{0,40}|[0-9A-Za-z,: -]{0,32}") {
            let _ = date(&value);
        }
    }
}
