//! What set the limit: the generator, the machine that it ran on, or neither of them.

use crate::bench::figures::{count, percent, time_of};
use crate::bench::results::{Generator, Pacing, Results};

/// The generator may have been the bottleneck from this on, in percent of what its threads can use.
pub(crate) const BUSY_GENERATOR: f64 = 90.0;

/// The machine was full from this on, in percent of all its cores.
pub(crate) const BUSY_MACHINE: f64 = 95.0;

/// How busy the generator was in the measured time, in percent of what its threads can use: a core each,
/// or all cores if there are fewer.
#[expect(clippy::cast_precision_loss, reason = "a percentage is shown with three digits")]
pub(crate) fn busy(generator: &Generator, measured_s: f64) -> Option<f64> {
    let most = generator.threads.min(generator.cores) as f64 * measured_s;
    // The thread that conducts them can make it more.
    generator
        .measured_cpu_s
        .filter(|_| most > 0.0)
        .map(|used| (used * 100.0 / most).clamp(0.0, 100.0))
}

/// Why the generator may have set the limit.
#[expect(clippy::cast_precision_loss, reason = "a percentage is shown with one digit")]
pub(crate) fn of_generator(results: &Results, generator: &Generator) -> Option<String> {
    let mut reasons = Vec::new();
    if let Some(busy) = generator.busy_percent.filter(|busy| *busy >= BUSY_GENERATOR) {
        reasons.push(format!(
            "its threads were {} busy, with --threads {} on {} cores",
            percent(busy / 100.0),
            generator.threads,
            generator.cores
        ));
    }
    let is_open = matches!(results.load.pacing, Pacing::Open { .. });
    let late = generator.late_sends as f64 / results.totals.messages_sent.max(1) as f64;
    if is_open && late >= 0.01 {
        reasons.push(format!(
            "{:.1} % of the messages were sent more than 1 ms after they were due, the latest {} after",
            late * 100.0,
            time_of(generator.latest_send_ns)
        ));
    }
    for (kind, what) in [
        ("no_descriptors", "descriptors (ulimit -n)"),
        ("no_ports", "local ports"),
        ("overload", "room for unanswered messages"),
    ] {
        if let Some(failures) = results.errors.get(kind) {
            reasons.push(format!("{} times it had no {what}", count(failures.count)));
        }
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Why the figures are those of a machine that was full, if it was so by others than the generator.
pub(crate) fn of_machine(generator: &Generator) -> Option<String> {
    let is_by_others = generator.busy_percent.is_none_or(|busy| busy < BUSY_GENERATOR);
    let machine = generator.machine_percent.filter(|busy| is_by_others && *busy >= BUSY_MACHINE)?;
    let generator = match generator.busy_percent {
        Some(busy) => format!(", and the generator's threads {}", percent(busy / 100.0)),
        None => String::new(),
    };
    Some(format!(
        "its cores were {} busy{generator}: the figures are of the contention between all that ran here",
        percent(machine / 100.0)
    ))
}

/// What is said where neither is so.
pub(crate) fn of_neither(generator: &Generator) -> String {
    let Some(busy) = generator.busy_percent else {
        return "whether it was the bottleneck is unknown: the system does not tell its processor time"
            .to_owned();
    };
    let machine = match generator.machine_percent {
        Some(busy) => format!("the machine {} ({BUSY_MACHINE} %)", percent(busy / 100.0)),
        None => "how busy the machine was is unknown".to_owned(),
    };
    format!(
        "it was not the bottleneck: its threads were {} busy (the limit is {BUSY_GENERATOR} %), \
         {machine}",
        percent(busy / 100.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample;

    /// Which verdict there is on a generator that used so many cores of two.
    fn verdict(cores: f64, threads: u64, machine_percent: Option<f64>) -> (&'static str, String) {
        let mut results = sample::echo(10);
        let mut generator = Generator { threads, machine_percent, ..results.generator.clone() };
        generator.measured_cpu_s = Some(cores * results.measured_s);
        generator.busy_percent = busy(&generator, results.measured_s);
        generator.bottleneck = of_generator(&results, &generator);
        generator.contention = of_machine(&generator);
        results.generator = generator;
        let text = crate::bench::summary::table(&results, 200);
        let said = [
            "warning: the generator may have been the bottleneck: ",
            "warning: the machine was full: ",
            "it was not the bottleneck: ",
        ];
        let found: Vec<&str> = said.into_iter().filter(|said| text.contains(said)).collect();
        let [found] = found[..] else { panic!("{found:?} in {text}") };
        (found, text)
    }

    #[test]
    fn each_verdict_follows_from_two_figures_and_names_them() {
        for (cores, threads, machine, said, figures) in [
            (1.94, 2, Some(100.0), "the generator may", &["97 %", "--threads 2 on 2 cores"][..]),
            (0.95, 1, Some(60.0), "the generator may", &["95 %", "--threads 1"]),
            (1.0, 2, Some(99.0), "the machine", &["99 % busy", "threads 50 %"]),
            (0.6, 2, Some(71.5), "it was not", &["30 % busy", "71.5 %", "(95 %)", "90 %"]),
            (0.6, 2, None, "it was not", &["30 % busy", "the machine was is unknown"]),
        ] {
            let (found, text) = verdict(cores, threads, machine);
            assert!(found.contains(said), "{said:?} is not in {text}");
            for figure in figures {
                assert!(text.contains(figure), "{figure:?} is not in {text}");
            }
        }
    }

    /// However little of it the generator was.
    #[test]
    fn a_full_machine_is_never_acquitted() {
        for cores in [0.0, 0.19, 0.21, 0.5, 1.0, 1.7, 1.9, 2.0] {
            let (found, text) = verdict(cores, 2, Some(100.0));
            assert!(found.starts_with("warning: "), "{cores}: {text}");
        }
    }

    #[test]
    fn a_system_that_tells_nothing_is_no_acquittal() {
        let mut results = sample::echo(10);
        results.generator.busy_percent = None;
        results.generator.machine_percent = None;
        let text = crate::bench::summary::table(&results, 200);
        assert!(text.contains("whether it was the bottleneck is unknown"), "{text}");
    }
}
