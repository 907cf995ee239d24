//! Masking and validating in memory, compared with copying.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use towline_proto::text::validate;
use towline_proto::wire::mask;

const SIZES: [usize; 4] = [32, 1 << 10, 64 << 10, 1 << 20];

const ASCII: &str = r#"{"number":7,"name":"towline","values":[1,2.5,null]},"#;
const MULTILINGUAL: &str = "Seil, corde, σχοινί, верёвка, 曳航索, कर्षण रस्सी, 🚢⚓; ";

/// The speed of one operation with one size, in gigabytes (10⁹ bytes) per second.
#[derive(Serialize)]
pub(crate) struct Speed {
    what: &'static str,
    size: usize,
    gb_per_s: f64,
}

/// # Errors
///
/// If a result is wrong.
pub(crate) fn run(each: Duration) -> Result<Vec<Speed>> {
    let key = [1, 2, 3, 4];
    let mut speeds = Vec::new();
    for size in SIZES {
        let mut note = |what, step: &mut dyn FnMut()| {
            speeds.push(Speed { what, size, gb_per_s: speed(size, each, step) });
        };
        let source = vec![7; size];
        let mut target = vec![0; size];
        note("memcpy", &mut || {
            black_box(&mut target[..]).copy_from_slice(black_box(&source));
        });
        note("mask in place", &mut || {
            mask::apply(black_box(key), 0, black_box(&mut target));
        });
        let mut out = Vec::with_capacity(size);
        note("mask into a buffer", &mut || {
            out.clear();
            mask::extend(black_box(key), black_box(&source), &mut out);
            black_box(&mut out);
        });
        ensure!(out[size - 4..] == [6, 5, 4, 3], "masked wrongly");
        for (what, sample) in
            [("validate ASCII", ASCII), ("validate text in many scripts", MULTILINGUAL)]
        {
            let text = text(sample, size);
            ensure!(validate(&text).is_ok(), "the sample is no text");
            note(what, &mut || {
                black_box(validate(black_box(&text)).is_ok());
            });
        }
    }
    Ok(speeds)
}

/// Returns the best of five, since disturbances only slow down.
fn speed(size: usize, each: Duration, step: &mut dyn FnMut()) -> f64 {
    let times = ((256 << 10) / size).max(1);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        let mut rounds = 0_u32;
        while began.elapsed() < each / 5 {
            for _ in 0..times {
                step();
            }
            rounds += 1;
        }
        best = best.min(began.elapsed() / rounds.max(1));
    }
    let bytes = u32::try_from(times * size).unwrap_or(u32::MAX);
    f64::from(bytes) / best.as_secs_f64() / 1e9
}

/// Returns repeated characters of `sample` up to `size` bytes, padded with spaces.
fn text(sample: &str, size: usize) -> Vec<u8> {
    let mut text = String::new();
    for char in sample.chars().cycle() {
        if text.len() + char.len_utf8() > size {
            break;
        }
        text.push(char);
    }
    let mut bytes = text.into_bytes();
    bytes.resize(size, b' ');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_speed_for_each() {
        let speeds = run(Duration::from_millis(1)).expect("it masks rightly");
        assert_eq!(speeds.len(), 5 * SIZES.len());
        assert!(speeds.iter().all(|speed| speed.gb_per_s > 0.0));
    }
}
