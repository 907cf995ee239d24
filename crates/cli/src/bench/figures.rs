//! Figures as people read them: `182,341`, `1.24 ms`, `+3.2 %`. None of these prints NaN or infinity.

/// What stands where there is no figure.
pub(crate) const NOTHING: &str = "–";

/// A whole number with its thousands apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 message`, `2,000 messages`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A number of events per second, without the unit: `182,341`, `12.3`, `0.25`.
pub(crate) fn rate(per_second: f64) -> String {
    if !per_second.is_finite() || per_second < 0.0 {
        return NOTHING.to_owned();
    }
    match per_second {
        0.0 => "0".to_owned(),
        small if small < 9.995 => trimmed(small, 2),
        small if small < 999.5 => trimmed(small, 1),
        large => count(whole(large)),
    }
}

/// A number that fits beside an axis: `250`, `50k`, `1.5M`.
pub(crate) fn short(number: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    if !number.is_finite() {
        return NOTHING.to_owned();
    }
    // From 10k on; 2,500 needs no more room than 2.5k.
    if number.abs() < 9_999.5 {
        return if number.fract() == 0.0 && number >= 0.0 {
            count(whole(number))
        } else {
            trimmed(number, 3)
        };
    }
    let (size, unit) =
        UNITS.into_iter().find(|(size, _)| number.abs() >= *size).unwrap_or((1.0, ""));
    format!("{}{unit}", trimmed(number / size, 2))
}

/// A time in nanoseconds, with three digits: `840 ns`, `12.3 µs`, `1.24 ms`, `2.50 s`, `3.20 min`.
pub(crate) fn time(nanoseconds: f64) -> String {
    match in_unit(nanoseconds) {
        Some((number, places, unit)) => format!("{number:.places$} {unit}"),
        None => NOTHING.to_owned(),
    }
}

/// A time in nanoseconds, without zeros at the end: `500 µs`, `2.5 s`, `10 min`.
pub(crate) fn short_time(nanoseconds: f64) -> String {
    match in_unit(nanoseconds) {
        Some((number, places, unit)) => format!("{} {unit}", trimmed(number, places)),
        None => NOTHING.to_owned(),
    }
}

/// A time in the unit that fits, and how many places make three digits.
fn in_unit(nanoseconds: f64) -> Option<(f64, usize, &'static str)> {
    if !nanoseconds.is_finite() || nanoseconds < 0.0 {
        return None;
    }
    let (size, unit) = match nanoseconds {
        small if small < 999.5 => return Some((nanoseconds, 0, "ns")),
        small if small < 999.5e3 => (1e3, "µs"),
        small if small < 999.5e6 => (1e6, "ms"),
        small if small < 119.95e9 => (1e9, "s"),
        _ => (60e9, "min"),
    };
    let number = nanoseconds / size;
    let places = match number {
        small if small < 9.995 => 2,
        small if small < 99.95 => 1,
        _ => 0,
    };
    Some((number, places, unit))
}

/// The same for a whole number of nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn time_of(nanoseconds: u64) -> String {
    time(nanoseconds as f64)
}

/// A share of one as a percentage: `0.012 %`, `3.4 %`, `100 %`.
pub(crate) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return NOTHING.to_owned();
    }
    let percent = share * 100.0;
    let places = match percent.abs() {
        0.0 => 0,
        small if small < 0.0995 => 3,
        small if small < 0.995 => 2,
        small if small < 99.5 => 1,
        _ => 0,
    };
    let text = trimmed(percent, places);
    // A few out of millions are not none, and almost all are not all.
    match text.as_str() {
        "0" if percent > 0.0 => "< 0.001 %".to_owned(),
        "100" if percent < 100.0 => "> 99.9 %".to_owned(),
        _ => format!("{text} %"),
    }
}

/// A change as a percentage with its sign: `+3.2 %`, `-12 %`, `±0 %`.
pub(crate) fn change(share: f64) -> String {
    if !share.is_finite() {
        return NOTHING.to_owned();
    }
    let percent = share * 100.0;
    let text = trimmed(percent.abs(), if percent.abs() < 9.95 { 1 } else { 0 });
    match text.as_str() {
        "0" => "±0 %".to_owned(),
        // U+2212 is as wide as the plus sign.
        _ if percent < 0.0 => format!("\u{2212}{text} %"),
        _ => format!("+{text} %"),
    }
}

/// With at most so many places, without zeros at the end.
fn trimmed(number: f64, places: usize) -> String {
    let text = format!("{number:.places$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "message"), "1 message");
        assert_eq!(counted(2000, "message"), "2,000 messages");
    }

    #[test]
    fn rates_have_as_many_digits_as_say_something() {
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (9.999, "10"),
            (12.34, "12.3"),
            (999.9, "1,000"),
            (182_341.2, "182,341"),
            (f64::NAN, NOTHING),
            (f64::INFINITY, NOTHING),
        ] {
            assert_eq!(rate(number), text);
        }
    }

    #[test]
    fn numbers_beside_an_axis_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.05, "0.05"),
            (2500.0, "2,500"),
            (50_000.0, "50k"),
            (1_500_000.0, "1.5M"),
            (2e9, "2G"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        for (nanoseconds, text, short) in [
            (0.0, "0 ns", "0 ns"),
            (840.0, "840 ns", "840 ns"),
            (999.9, "1.00 µs", "1 µs"),
            (12_340.0, "12.3 µs", "12.3 µs"),
            (1_240_000.0, "1.24 ms", "1.24 ms"),
            (999_900_000.0, "1.00 s", "1 s"),
            (2_500_000_000.0, "2.50 s", "2.5 s"),
            (60_000_000_000.0, "60.0 s", "60 s"),
            (192e9, "3.20 min", "3.2 min"),
            (f64::NAN, NOTHING, NOTHING),
            (-1.0, NOTHING, NOTHING),
        ] {
            assert_eq!(
                (time(nanoseconds), short_time(nanoseconds)),
                (text.to_owned(), short.to_owned())
            );
        }
    }

    #[test]
    fn a_share_is_never_rounded_to_none_or_all() {
        for (share, text) in [
            (0.0, "0 %"),
            (1.0, "100 %"),
            (0.034, "3.4 %"),
            (0.000_12, "0.012 %"),
            (1e-9, "< 0.001 %"),
            (0.999_999, "> 99.9 %"),
            (f64::NAN, NOTHING),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn a_change_has_its_sign() {
        for (share, text) in [
            (0.0, "±0 %"),
            (0.032, "+3.2 %"),
            (-0.12, "\u{2212}12 %"),
            (-0.000_01, "±0 %"),
            (2.5, "+250 %"),
            (f64::INFINITY, NOTHING),
        ] {
            assert_eq!(change(share), text);
        }
    }
}
