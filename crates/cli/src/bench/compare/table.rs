//! A comparison as text.

use unicode_width::UnicodeWidthStr as _;

use crate::bench::compare::{Comparison, Row};

/// The lines to print.
pub(crate) fn lines(comparison: &Comparison) -> Vec<String> {
    let mut lines = Vec::new();
    for (letter, side) in ["A", "B"].into_iter().zip(&comparison.sides) {
        lines.push(format!("{letter}: {}, {}, {}", side.file, side.url, side.started));
    }
    lines.push(String::new());
    lines.extend(table(&comparison.rows));
    lines.push(String::new());
    lines.push(comparison.sentence());
    lines.extend(comparison.reservations.iter().map(|note| format!("Note: {note}.")));
    lines
}

fn table(rows: &[Row]) -> Vec<String> {
    const HEAD: [&str; 6] = ["", "A", "B", "change", "range (99 %)", "verdict"];
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        [
            row.name.to_owned(),
            row.before.clone(),
            row.after.clone(),
            row.change.clone(),
            row.range_text(),
            row.verdict.word().to_owned(),
        ]
    }));
    let widths: [usize; 6] = std::array::from_fn(|column| {
        cells.iter().map(|row| row[column].width()).max().unwrap_or_default()
    });
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            let room = " ".repeat(width - cell.width());
            // Names and verdicts are words; the others are figures.
            if matches!(column, 0 | 5) { format!("{cell}{room}") } else { format!("{room}{cell}") }
        });
        cells.collect::<Vec<String>>().join("   ").trim_end().to_owned()
    };
    cells.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::bench::compare::{Verdict, compare};
    use crate::bench::results::{Pacing, Results, Scenario, Shard, Totals};
    use crate::bench::sample;
    use crate::bench::stored::Stored;

    fn of(before: Results, after: Results) -> Comparison {
        let stored = |name: &str, results| Stored { path: PathBuf::from(name), results };
        compare(&stored("a.json", before), &stored("b.json", after))
    }

    fn verdict(comparison: &Comparison, name: &str) -> Verdict {
        comparison.rows.iter().find(|row| row.name == name).unwrap().verdict
    }

    #[test]
    fn the_same_run_again_is_noise() {
        let comparison = of(sample::faster(20, 1.0, 1), sample::faster(20, 1.0, 2));
        for name in ["messages/s", "p50", "p90", "p99", "mean"] {
            assert_eq!(verdict(&comparison, name), Verdict::Noise, "{name}");
        }
        assert_eq!(comparison.sentence(), "No difference beyond the noise within the runs.");
    }

    #[test]
    fn few_of_many_comparisons_of_the_same_are_taken_for_a_difference() {
        let run = |seed: u64| sample::faster(12, 1.0, seed * 7919);
        let differs = (0..12_u64).filter(|seed| {
            let comparison = of(run(2 * seed), run(2 * seed + 1));
            comparison
                .rows
                .iter()
                .any(|row| matches!(row.verdict, Verdict::Better | Verdict::Worse))
        });
        assert!(differs.count() <= 2);
    }

    #[test]
    fn what_is_faster_is_better_and_what_is_slower_is_worse() {
        let (slow, fast) = (sample::faster(20, 1.0, 1), sample::faster(20, 1.1, 2));
        let better = of(slow.clone(), fast.clone());
        let worse = of(fast, slow);
        for name in ["messages/s", "p50", "mean"] {
            assert_eq!(verdict(&better, name), Verdict::Better, "{name}");
            assert_eq!(verdict(&worse, name), Verdict::Worse, "{name}");
        }
        // What has no known spread is shown and not judged.
        assert_eq!(verdict(&better, "longest"), Verdict::Open);
        assert!(
            better.sentence().starts_with("B is better: messages/s +"),
            "{}",
            better.sentence()
        );
    }

    #[test]
    fn loads_that_differ_are_not_comparable_and_the_difference_is_named() {
        let other = |change: fn(&mut Results)| {
            let mut after = sample::echo(10);
            change(&mut after);
            of(sample::echo(10), after)
        };
        for (comparison, difference) in [
            (other(|r| r.load.connections = 1000), "connections: 60 and 1,000"),
            (other(|r| r.load.scenario = Scenario::Push), "scenario: echo and push"),
            (other(|r| r.load.payload.bytes = 1024), "size of messages: 64 B and 1,024 B"),
            (
                other(|r| r.load.payload.kind = "binary".to_owned()),
                "kind of messages: text and binary",
            ),
            (
                other(|r| r.load.pacing = Pacing::Open { messages_per_s: 5000.0 }),
                "pacing: closed loop, 1 in flight and open loop, 5,000 messages/s",
            ),
            (other(|r| r.load.compression = Some(6)), "compression: none and level 6"),
            (other(|r| r.load.protocols = vec!["chat".to_owned()]), "subprotocols: none and chat"),
            (other(|r| r.load.http_version = "2".to_owned()), "version of HTTP: 1.1 and 2"),
            (
                other(|r| r.shard = Some(Shard { index: 1, count: 3 })),
                "part of the run: a whole run and shard 1 of 3",
            ),
        ] {
            let sentence = comparison.sentence();
            assert!(sentence.starts_with("Not comparable: the loads differ in "), "{sentence}");
            assert!(sentence.contains(difference), "{difference:?} is not in {sentence:?}");
            assert!(comparison.rows.iter().all(|row| row.verdict == Verdict::Open));
        }
    }

    #[test]
    fn a_server_that_is_gone_is_worse_by_any_share() {
        let dead = of(sample::echo(10), sample::silent());
        assert!(dead.is_worse_by(10.0), "{}", dead.sentence());
        assert_eq!(verdict(&dead, "messages/s"), Verdict::Worse);
        assert_eq!(verdict(&dead, "p99"), Verdict::Worse);
        assert!(dead.sentence().starts_with("B is worse: messages/s gone"), "{}", dead.sentence());
        // There was nothing to lose.
        assert!(!of(sample::silent(), sample::silent()).is_judged());
        // Connections that are held have counts only.
        assert!(of(sample::idle(), sample::idle()).is_judged());
    }

    #[test]
    fn more_failures_are_worse() {
        for (name, change) in [
            ("connections failed", (|totals, count| totals.failed = count) as fn(&mut Totals, u64)),
            ("connections lost", |totals, count| totals.lost = count),
            ("unanswered", |totals, count| totals.unanswered = count),
            ("answers that differ", |totals, count| totals.mismatched = count),
        ] {
            let with = |seconds, count| {
                let mut results = sample::echo(seconds);
                change(&mut results.totals, count);
                results
            };
            let first = of(with(10, 0), with(10, 1));
            assert_eq!(verdict(&first, name), Verdict::Worse);
            assert!(first.is_worse_by(10.0), "{name}");
            let more = of(with(10, 100), with(10, 120));
            assert_eq!((more.is_worse_by(0.1), more.is_worse_by(0.3)), (true, false), "{name}");
            assert_eq!(verdict(&of(with(10, 100), with(10, 80)), name), Verdict::Open);
            // As many in the same time.
            assert_eq!(verdict(&of(with(10, 100), with(20, 200)), name), Verdict::Open);
        }
    }

    #[test]
    fn reservations_are_noted() {
        let mut after = sample::echo(5);
        after.url = "ws://other/".to_owned();
        after.interrupted = true;
        after.generator.bottleneck = Some("it was busy".to_owned());
        after.generator.contention = Some("its cores were busy".to_owned());
        let comparison = of(sample::echo(20), after);
        let text = lines(&comparison).join("\n");
        for note in [
            "Note: B was limited by the generator: it was busy.",
            "Note: B was measured on a full machine: its cores were busy.",
            "Note: B was ended early.",
            "Note: B measured 5 s; below 8 s chance can't be told apart.",
            "Note: the servers are different ones: ws://127.0.0.1:9001/ and ws://other/.",
            "Nothing can be judged.",
        ] {
            assert!(text.contains(note), "{note:?} is not in {text}");
        }
    }

    #[test]
    fn runs_without_messages_are_compared_without_nan() {
        let all = [
            sample::silent(),
            sample::empty(),
            sample::echo(1),
            sample::storm(),
            sample::idle(),
            sample::troubled(12),
        ];
        for before in &all {
            for after in &all {
                let text = lines(&of(before.clone(), after.clone())).join("\n");
                assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }
    }

    #[test]
    fn the_columns_stand_below_each_other() {
        let comparison = of(sample::faster(10, 1.0, 1), sample::faster(10, 2.0, 2));
        let table = table(&comparison.rows);
        let head = &table[0];
        assert!(head.contains("A") && head.ends_with("verdict"), "{head}");
        let place = head.find("verdict").unwrap();
        for line in &table[1..] {
            // In characters: the minus sign and the dash have more than one byte.
            let verdict: String = line.chars().skip(head[..place].chars().count()).collect();
            assert!(["better", "worse", "noise", "–"].contains(&verdict.as_str()), "{line:?}");
        }
    }
}
