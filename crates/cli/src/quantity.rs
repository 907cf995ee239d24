//! Sizes and durations as people write them: `64MiB`, `20s`, `off`.

use std::num::{IntErrorKind, NonZeroU64, NonZeroUsize};
use std::time::Duration;

/// Reads a size in bytes: `65536`, `64KiB`, `64k`, `1MB`.
///
/// # Errors
///
/// A sentence for the user, which clap puts after the option and the value.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    bytes(text)?.ok_or_else(|| format!("too large: the limit is {} bytes", usize::MAX))
}

/// The same for what has a limit of its own, which the error names.
pub(crate) fn size_within(text: &str, limit: usize) -> Result<usize, String> {
    bytes(text)?
        .filter(|bytes| *bytes <= limit)
        .ok_or_else(|| format!("too large: the limit is {}", in_words(limit as u64)))
}

/// `None` is a number that does not fit.
fn bytes(text: &str) -> Result<Option<usize>, String> {
    let (number, unit) = split(text);
    let factor: usize = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(format!("{unit:?} is not a unit of size: write {SIZES}")),
    };
    if number.is_empty() {
        return Err(format!("not a size: write {SIZES}"));
    }
    let count: Option<usize> = number.parse().ok();
    Ok(count.and_then(|count| count.checked_mul(factor)))
}

const SIZES: &str = "a whole number with B, KiB, MiB or GiB, such as 64KiB";

/// Reads a duration: `20s`, `1m30s`, `250ms`.
///
/// # Errors
///
/// A sentence for the user, which clap puts after the option and the value.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    loop {
        let (number, after) = split(rest);
        let length = after.find(|next: char| next.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(length);
        if number.is_empty() {
            return Err(format!("not a duration: write {DURATIONS}"));
        }
        let milliseconds: u64 = match unit.to_ascii_lowercase().as_str() {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "" => return Err(format!("the unit is missing: write {DURATIONS}")),
            _ => return Err(format!("{unit:?} is not a unit of time: write {DURATIONS}")),
        };
        let part: Option<u64> = number.parse().ok();
        let part = part.and_then(|count| count.checked_mul(milliseconds));
        total = part
            .and_then(|part| total.checked_add(Duration::from_millis(part)))
            .filter(|total| *total <= LONGEST)
            .ok_or("too long: the limit is a year, 8760h")?;
        if next.is_empty() {
            return Ok(total);
        }
        rest = next;
    }
}

const DURATIONS: &str = "a whole number with ms, s, m or h, such as 20s or 1m30s";

/// A longer one is a typing error, and overflows clocks.
const LONGEST: Duration = Duration::from_secs(8760 * 3600);

/// Splits off the leading digits.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// A value that can be `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch<T> {
    Off,
    On(T),
}

impl<T> Switch<T> {
    /// Parses `off`, or else with `parse`.
    pub(crate) fn read(
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        parse(text).map(Self::On).map_err(|error| format!("{error}, or off"))
    }

    /// The value, unless it is off.
    pub(crate) fn on(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

/// Parses a size above zero, or `off`.
pub(crate) fn size_or_off(text: &str) -> Result<Switch<NonZeroUsize>, String> {
    Switch::read(text, |text| {
        NonZeroUsize::new(size(text)?).ok_or_else(|| "write a size above zero".to_owned())
    })
}

/// Parses a duration above zero, or `off`.
pub(crate) fn duration_or_off(text: &str) -> Result<Switch<Duration>, String> {
    Switch::read(text, some_duration)
}

/// Parses a duration above zero.
pub(crate) fn some_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be above zero".to_owned()),
        duration => Ok(duration),
    }
}

/// Parses a level of compression.
pub(crate) fn level(text: &str) -> Result<u8, String> {
    let level = text.parse().ok().filter(|level| (1..=9).contains(level));
    level.ok_or_else(|| "write a level from 1 (fast) to 9 (small)".to_owned())
}

/// Parses a whole number above zero.
pub(crate) fn some(text: &str) -> Result<NonZeroU64, String> {
    match text.parse::<NonZeroU64>() {
        Ok(number) => Ok(number),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => {
            Err(format!("too large: the limit is {}", u64::MAX))
        }
        Err(_) => Err("write a whole number above zero, such as 4".to_owned()),
    }
}

/// Parses a count above zero.
pub(crate) fn above_zero(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a whole number above zero, such as 4".to_owned())
}

/// Formats a size for people: `12 B`, `1.5 KiB`, `64 MiB`.
pub(crate) fn in_words(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1 << 10 {
        return format!("{bytes} B");
    }
    // Tenths are shown below ten units only.
    let mut tenths = bytes.saturating_mul(10) >> 10;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths >>= 10;
        unit += 1;
    }
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {}", UNITS[unit]),
        (whole, tenth) => format!("{whole}.{tenth} {}", UNITS[unit]),
    }
}

/// A number of things: `1 message`, `2 messages`, `2 processes`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let ending = match number {
        1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {what}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_the_units_people_use() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("12B", 12),
            ("64KiB", 65_536),
            ("64k", 65_536),
            ("64 MiB", 64 << 20),
            ("1GiB", 1 << 30),
            ("5MB", 5_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        for text in ["", "MiB", "-1", "1.5MiB", "64 pebbles", "12x"] {
            assert!(size(text).unwrap_err().contains("64KiB"), "{text}");
        }
        for text in ["99999999999999999999", "99999999999GiB"] {
            assert!(
                size(text).unwrap_err().ends_with(&format!("the limit is {} bytes", usize::MAX))
            );
        }
    }

    #[test]
    fn a_size_that_is_too_large_by_far_has_the_same_limit() {
        assert_eq!(size_within("16MiB", 16 << 20), Ok(16 << 20));
        for text in ["16777217", "17MiB", "99999999999999GiB", "99999999999999999999"] {
            assert_eq!(
                size_within(text, 16 << 20),
                Err("too large: the limit is 16 MiB".to_owned()),
                "{text}"
            );
        }
        assert!(size_within("16 pebbles", 16 << 20).unwrap_err().contains("pebbles"));
    }

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, milliseconds) in
            [("20s", 20_000), ("250ms", 250), ("2m", 120_000), ("1m30s", 90_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "20", "s", "20 fortnights", "1m30", "-5s", "1.5s"] {
            assert!(duration(text).unwrap_err().contains("20s"), "{text}");
        }
        assert!(duration("99999999999h").unwrap_err().contains("too long"));
    }

    #[test]
    fn an_interval_is_above_zero_or_off() {
        assert_eq!(duration_or_off("off"), Ok(Switch::Off));
        assert_eq!(duration_or_off("5s"), Ok(Switch::On(Duration::from_secs(5))));
        assert!(duration_or_off("0s").is_err());
        assert!(duration_or_off("never").unwrap_err().ends_with("or off"));
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        for (bytes, words) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (64 << 20, "64 MiB"),
            (5_000_000_000, "4.6 GiB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }

    #[test]
    fn one_is_singular_and_none_is_not() {
        for (number, what, words) in
            [(0, "fault", "0 faults"), (1, "process", "1 process"), (2, "process", "2 processes")]
        {
            assert_eq!(counted(number, what), words);
        }
    }
}
