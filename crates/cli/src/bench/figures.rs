//! Figures as people read them.

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of events per second: `182,341`, `12.3`, `0.25`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        small if small < 10.0 => format!("{small:.2}"),
        small if small < 1000.0 => format!("{small:.1}"),
        large => count(large.round() as u64),
    }
}

/// A time of so many nanoseconds, with three digits: `840 ns`, `12.3 µs`, `1.24 ms`, `2.50 s`.
pub(crate) fn time(nanoseconds: f64) -> String {
    let (number, unit) = match nanoseconds {
        small if small < 999.5 => return format!("{small:.0} ns"),
        small if small < 999.5e3 => (small / 1e3, "µs"),
        small if small < 999.5e6 => (small / 1e6, "ms"),
        large => (large / 1e9, "s"),
    };
    match number {
        small if small < 9.995 => format!("{small:.2} {unit}"),
        small if small < 99.95 => format!("{small:.1} {unit}"),
        large => format!("{large:.0} {unit}"),
    }
}

/// The same for a whole number of nanoseconds.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn time_of(nanoseconds: u64) -> String {
    time(nanoseconds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_matter() {
        assert_eq!(
            (count(0), count(999), count(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
        assert_eq!(
            (rate(0.25), rate(12.34), rate(182_340.6)),
            ("0.25".into(), "12.3".into(), "182,341".into())
        );
        for (nanoseconds, text) in [
            (840.0, "840 ns"),
            (12_345.0, "12.3 µs"),
            (999_600.0, "1.00 ms"),
            (1_240_000.0, "1.24 ms"),
            (123_400_000.0, "123 ms"),
            (2.5e9, "2.50 s"),
        ] {
            assert_eq!(time(nanoseconds), text);
        }
    }
}
