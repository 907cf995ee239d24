//! Axes: where values lie, and few round numbers beside them.

/// An axis from its lowest to its highest tick.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    is_logarithmic: bool,
    pub(crate) ticks: Vec<f64>,
}

impl Axis {
    /// From zero to a round number at or above this.
    pub(crate) fn from_zero(high: f64) -> Self {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let step = round_up(high / 4.0);
        let count = (high / step - 1e-9).ceil().max(1.0);
        let ticks = steps(count).map(|index| index * step).collect();
        Self { low: 0.0, high: count * step, is_logarithmic: false, ticks }
    }

    /// From zero, in whole numbers.
    pub(crate) fn of_counts(high: f64) -> Self {
        Self::from_zero(high.max(4.0))
    }

    /// From zero to exactly this, in seconds, with ticks at times that people count in.
    pub(crate) fn of_time(high: f64) -> Self {
        const STEPS: [f64; 26] = [
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0,
            60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0,
        ];
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let fits = |step: &f64| high / step < 7.0;
        let step = STEPS
            .into_iter()
            .find(fits)
            .unwrap_or_else(|| round_up(high / 86_400.0 / 6.0) * 86_400.0);
        let ticks = steps((high / step + 1e-9).floor()).map(|index| index * step).collect();
        Self { low: 0.0, high, is_logarithmic: false, ticks }
    }

    /// From a round number below the lowest value to one above the highest.
    pub(crate) fn logarithmic(low: f64, high: f64) -> Self {
        let low = if low.is_finite() { low.max(1.0) } else { 1.0 };
        let high = if high.is_finite() { high.max(low) } else { low };
        let low = round_down(low);
        let high = round_up(high).max(low * 2.0);
        let mut ticks = vec![low];
        while let Some(last) = ticks.last().copied().filter(|last| *last < high * 0.999) {
            ticks.push(round_up(last * 1.01));
        }
        if ticks.len() > 7 {
            let whole = |tick: &f64| (tick.log10() - tick.log10().round()).abs() < 1e-6;
            ticks.retain(whole);
            let every = ticks.len().div_ceil(7);
            ticks = ticks.into_iter().step_by(every).collect();
        }
        Self { low, high, is_logarithmic: true, ticks }
    }

    /// Percentiles as the nines they have, from 0 %, with ticks at 50 %, 90 %, 99 % and so on.
    pub(crate) fn of_nines(most: f64) -> Self {
        let most = if most.is_finite() { most.max(1.0) } else { 1.0 };
        let mut ticks: Vec<f64> = steps(most + 1e-9).collect();
        ticks[0] = 2.0_f64.log10();
        Self { low: 0.0, high: most, is_logarithmic: false, ticks }
    }

    /// Linear from zero; logarithmic if the values would not be told apart otherwise.
    pub(crate) fn of_latencies(low: f64, high: f64) -> Self {
        if high > low * 8.0 { Self::logarithmic(low, high) } else { Self::from_zero(high) }
    }

    pub(crate) fn is_logarithmic(&self) -> bool {
        self.is_logarithmic
    }

    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    pub(crate) fn high(&self) -> f64 {
        self.high
    }

    /// Where a value lies, from 0 to 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let share = match self.is_logarithmic {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The distance between two ticks of a linear axis.
    pub(crate) fn step(&self) -> f64 {
        match self.ticks.as_slice() {
            [first, second, ..] => second - first,
            _ => self.high - self.low,
        }
    }
}

fn steps(count: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.0), |index| Some(index + 1.0))
        .take_while(move |index| *index <= count)
}

/// The next of 1, 2, 5, 10, … that is not below.
fn round_up(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    let found = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= value * 0.999_999);
    found.unwrap_or(10.0) * power
}

/// The next of 1, 2, 5, 10, … that is not above.
fn round_down(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    let found = [5.0, 2.0].into_iter().find(|factor| factor * power <= value * 1.000_001);
    found.unwrap_or(1.0) * power
}

/// A time on an axis with this step, in the unit that fits.
pub(crate) fn time_label(seconds: f64, step: f64) -> String {
    let (size, unit) = match step {
        small if small < 60.0 => (1.0, "s"),
        small if small < 3600.0 => (60.0, "min"),
        small if small < 86_400.0 => (3600.0, "h"),
        _ => (86_400.0, "d"),
    };
    let number = (seconds / size * 1000.0).round() / 1000.0;
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        assert_eq!(Axis::from_zero(18_300.0).ticks, [0.0, 5000.0, 10_000.0, 15_000.0, 20_000.0]);
        assert_eq!(Axis::from_zero(20_000.0).ticks, [0.0, 5000.0, 10_000.0, 15_000.0, 20_000.0]);
        assert_eq!(Axis::from_zero(0.0).high(), 1.0);
        assert_eq!(Axis::of_counts(1.0).ticks, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(Axis::of_time(33.5).ticks, [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(Axis::of_time(3600.0).ticks.len(), 7);
        for high in [1e-3, 0.7, 9.0, 61.0, 1e4, 1e6, 3e7, f64::NAN, -1.0] {
            for axis in
                [Axis::from_zero(high), Axis::of_time(high), Axis::logarithmic(high / 1e4, high)]
            {
                assert!((1..=8).contains(&axis.ticks.len()), "{high}: {axis:?}");
                assert!(axis.ticks.iter().all(|tick| tick.is_finite()), "{high}: {axis:?}");
            }
        }
    }

    #[test]
    fn a_logarithmic_axis_has_its_values_within() {
        let axis = Axis::logarithmic(130.0, 4200.0);
        assert_eq!((axis.low(), axis.high()), (100.0, 5000.0));
        assert!((axis.place(1000.0) - 1000.0_f64.log(50.0) + 100.0_f64.log(50.0)).abs() < 1e-9);
        assert_eq!((axis.place(0.0), axis.place(1e9), axis.place(f64::NAN)), (0.0, 1.0, 0.0));
        assert!(!Axis::of_latencies(100.0, 300.0).is_logarithmic());
        assert!(Axis::of_latencies(100.0, 3000.0).is_logarithmic());
    }

    #[test]
    fn times_beside_an_axis_have_one_unit() {
        assert_eq!(time_label(90.0, 30.0), "90 s");
        assert_eq!(time_label(600.0, 300.0), "10 min");
        assert_eq!(time_label(0.5, 0.1), "0.5 s");
        assert_eq!(time_label(0.02, 0.01), "0.02 s");
        assert_eq!(time_label(7200.0, 3600.0), "2 h");
    }
}
