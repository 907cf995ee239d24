//! A comparison as a page: `--compare A B --report FILE.html`.

use std::fmt::Write as _;

use crate::bench::compare::{Comparison, METHOD, Verdict};
use crate::bench::report::distribution::curves;
use crate::bench::report::frame::page;
use crate::bench::report::markup::escaped;
use crate::bench::report::tables::card;
use crate::bench::results::{Latencies, Results, Scenario};

/// The page.
pub(crate) fn html(comparison: &Comparison, runs: [&Results; 2]) -> String {
    let mut body = String::new();
    let class = if comparison.differences.is_empty() { "card said" } else { "card warn" };
    let sentence = escaped(&comparison.sentence());
    let _ =
        writeln!(body, "<section class=\"{class}\"><p><strong>{sentence}</strong></p></section>");
    for note in &comparison.reservations {
        let _ = writeln!(body, "<p class=\"card warn\">{}.</p>", escaped(note));
    }
    body.push_str(&table(comparison));
    let latencies = |run: &'_ Results| match run.load.scenario {
        Scenario::Storm | Scenario::Idle => run.handshakes.clone(),
        _ => run.latencies.clone(),
    };
    let [a, b]: [Latencies; 2] = runs.map(latencies);
    body.push_str(&curves(&[("one", "A", &a), ("two", "B", &b)], "messages").unwrap_or_default());
    body.push_str("<section class=\"card\"><h2>The two runs</h2><dl class=\"facts\">\n");
    for (letter, side) in ["A", "B"].into_iter().zip(&comparison.sides) {
        let text = format!("{}, {}, {}, {}", side.file, side.url, side.started, side.program);
        let _ = writeln!(body, "<div><dt>{letter}</dt><dd>{}</dd></div>", escaped(&text));
    }
    let _ = writeln!(body, "</dl><p class=\"hint\">{}</p></section>", METHOD.replace('\n', " "));
    let [a, b] = &comparison.sides;
    page(
        &format!("{} compared with {}", b.file, a.file),
        "A is the first run, B the second.",
        None,
        &body,
    )
}

/// What the columns are, beside the table on any screen.
const MEANING: &str = "Below a change is the range in which it lies with 99 % confidence. A difference is \
    noise if that contains zero, or if it is below 1 %.";

fn table(comparison: &Comparison) -> String {
    let mut html = card("Figures", MEANING);
    html.push_str(
        "<div class=\"scroll wide\"><table><thead><tr><th></th><th class=\"n\">A</th><th class=\"n\">B</th>\
         <th class=\"n\">change</th><th>verdict</th></tr></thead><tbody>\n",
    );
    for row in &comparison.rows {
        let _ = write!(html, "<tr><th>{}</th>", escaped(row.name));
        for value in [&row.before, &row.after] {
            let _ = write!(html, "<td class=\"n\">{}</td>", escaped(value));
        }
        let (change, range) = (escaped(&row.change), escaped(&row.range_text()));
        let _ = write!(html, "<td class=\"n\">{change}<small>{range}</small></td>");
        let class = match row.verdict {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Noise | Verdict::Open => "",
        };
        let _ = writeln!(html, "<td class=\"{class}\">{}</td></tr>", row.verdict.word());
    }
    html.push_str("</tbody></table></div></section>\n");
    html
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::bench::compare::compare;
    use crate::bench::sample;
    use crate::bench::stored::Stored;

    fn of(before: Results, after: Results) -> String {
        let stored = |name: &str, results| Stored { path: PathBuf::from(name), results };
        let (a, b) = (stored("a.json", before), stored("<b>.json", after));
        html(&compare(&a, &b), [&a.results, &b.results])
    }

    #[test]
    fn a_comparison_has_a_table_with_verdicts_and_both_curves() {
        let html = of(sample::faster(20, 1.0, 1), sample::faster(20, 1.2, 2));
        for text in [
            "B is better: messages/s +",
            "<td class=\"better\">better</td>",
            "line two",
            // On a phone as well: no class hides them.
            " %<small>+",
            "A difference is noise if that contains zero",
        ] {
            assert!(html.contains(text), "{text:?} is missing");
        }
        assert!(!html.contains("<b>.json") && !html.contains("<script"));
    }

    #[test]
    fn texts_of_the_files_are_never_markup_and_nothing_is_nan() {
        for other in [sample::hostile(), sample::silent(), sample::empty(), sample::storm()] {
            let html = of(sample::echo(10), other);
            assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("NaN"));
        }
    }
}
