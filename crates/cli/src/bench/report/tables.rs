//! The figures of a report: the headline, percentiles, failures, close codes, and every option.

use std::fmt::Write as _;

use towline::CloseCode;

use crate::bench::figures::{NOTHING, count, counted, percent, rate, time};
use crate::bench::report::markup::{escaped, shortened};
use crate::bench::report::words::{facts, failures, known};
use crate::bench::results::{Latencies, Results, Scenario};
use crate::quantity::in_words;

/// The headline figures.
pub(crate) fn tiles(results: &Results) -> String {
    let totals = &results.totals;
    let latencies = headline(results);
    let mut html = "<dl class=\"tiles\">\n".to_owned();
    let mut tile = |name: &str, value: &str, is_wrong: bool, more: &str| {
        let class = if is_wrong { " class=\"wrong\"" } else { "" };
        let _ = write!(
            html,
            "<div class=\"card\"><dt>{}</dt><dd{class}>{}</dd>",
            escaped(name),
            escaped(value)
        );
        let _ = writeln!(html, "<dd class=\"more\">{}</dd></div>", escaped(more));
    };
    match results.load.scenario {
        Scenario::Storm => {
            let more = format!("{} opened", count(totals.opened));
            tile("connections/s", &rate(results.per_s(totals.opened)), totals.opened == 0, &more);
        }
        Scenario::Idle => {
            let held = totals.opened.saturating_sub(totals.lost);
            let more = format!("of {} opened", count(totals.opened));
            tile("connections held", &count(held), held == 0, &more);
        }
        _ => {
            let bytes = whole(results.per_s(totals.bytes_received));
            let more = format!("{}/s received", in_words(bytes));
            let is_none = totals.messages_received == 0;
            tile("messages/s", &rate(results.received_per_s()), is_none, &more);
        }
    }
    let of = match results.load.scenario {
        Scenario::Push => "gap between messages",
        Scenario::Storm | Scenario::Idle => "time to connect",
        _ => "latency",
    };
    tile("p50", &known(latencies.at(50.0)), false, &format!("{of}, half is below"));
    let longest = (latencies.count > 0).then_some(latencies.max_ns);
    tile("p99", &known(latencies.at(99.0)), false, &format!("longest: {}", known(longest)));
    let all = failures(results);
    let kinds = match results.errors.len() {
        0 => "none of any kind".to_owned(),
        kinds => format!("of {}, in the whole run", counted(kinds as u64, "kind")),
    };
    tile("errors", &count(all), all > 0, &kinds);
    if results.load.scenario != Scenario::Idle {
        let more = match (totals.failed, totals.lost) {
            (0, 0) => "none failed or lost".to_owned(),
            (failed, lost) => format!("{} failed, {} lost", count(failed), count(lost)),
        };
        tile(
            "connections",
            &count(results.load.connections),
            totals.failed.max(totals.lost) > 0,
            &more,
        );
    } else {
        let more = format!("{} failed", count(totals.failed));
        tile("lost", &count(totals.lost), totals.lost > 0, &more);
    }
    html.push_str("</dl>\n");
    html
}

/// The latencies that the run is about.
pub(crate) fn headline(results: &Results) -> &Latencies {
    match results.load.scenario {
        Scenario::Storm | Scenario::Idle => &results.handshakes,
        _ => &results.latencies,
    }
}

/// All percentiles, of messages and handshakes.
pub(crate) fn percentiles(results: &Results) -> String {
    let columns: Vec<(&str, &Latencies)> =
        [("messages", &results.latencies), ("handshakes", &results.handshakes)]
            .into_iter()
            .filter(|(_, latencies)| latencies.count > 0)
            .collect();
    if columns.is_empty() {
        return String::new();
    }
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    let mut row = |name: &str, of: &dyn Fn(&Latencies) -> String| {
        rows.push((name.to_owned(), columns.iter().map(|(_, latencies)| of(latencies)).collect()));
    };
    row("count", &|of| count(of.count));
    row("shortest", &|of| known(Some(of.min_ns)));
    for percentile in crate::bench::results::PERCENTILES {
        row(&format!("p{percentile}"), &|of| known(of.at(percentile)));
    }
    row("longest", &|of| known(Some(of.max_ns)));
    row("mean", &|of| time(of.mean_ns));
    row("standard deviation", &|of| time(of.stddev_ns));
    let mut html =
        card("Latencies", "A percentile is the time that this share of all did not exceed.");
    html.push_str("<div class=\"scroll\"><table><thead><tr><th></th>");
    for (name, _) in &columns {
        let _ = write!(html, "<th class=\"n\">{name}</th>");
    }
    html.push_str("</tr></thead><tbody>\n");
    for (name, values) in rows {
        let _ = write!(html, "<tr><th>{}</th>", escaped(&name));
        for value in values {
            let _ = write!(html, "<td class=\"n\">{}</td>", escaped(&value));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div></section>\n");
    html
}

/// More kinds are not listed: their names can be the server's.
const MOST_KINDS: usize = 40;

/// What failed, by kind.
pub(crate) fn errors(results: &Results) -> String {
    if results.errors.is_empty() {
        return format!("{}</section>\n", card("Errors", "There were none."));
    }
    let all = failures(results);
    let mut kinds: Vec<_> = results.errors.iter().collect();
    kinds.sort_by_key(|(_, failures)| std::cmp::Reverse(failures.count));
    let most = kinds.first().map_or(0, |(_, failures)| failures.count);
    let note =
        format!("{} in the whole run, with one example of each kind.", counted(all, "failure"));
    let mut html = card("Errors by kind", &note);
    html.push_str("<ul class=\"kinds\">\n");
    for (kind, failures) in kinds.iter().take(MOST_KINDS) {
        let _ = writeln!(
            html,
            "<li><b>{}</b><span>{}, {}</span><i style=\"width:{:.1}%\"></i><small>{}</small></li>",
            shortened(kind),
            count(failures.count),
            percent(precise(failures.count) / precise(all).max(1.0)),
            precise(failures.count) / precise(most).max(1.0) * 100.0,
            shortened(&failures.example)
        );
    }
    html.push_str("</ul>");
    if kinds.len() > MOST_KINDS {
        let _ = write!(
            html,
            "<p class=\"hint\">{} more kinds are not listed.</p>",
            kinds.len() - MOST_KINDS
        );
    }
    html.push_str("</section>\n");
    html
}

/// The codes that ended connections early.
pub(crate) fn close_codes(results: &Results) -> String {
    if results.close_codes.is_empty() {
        return String::new();
    }
    let mut html =
        card("Close codes", "Of connections that ended before the generator closed them.");
    html.push_str("<div class=\"scroll\"><table><tbody>\n");
    let mut codes: Vec<_> = results.close_codes.iter().collect();
    codes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (code, connections) in codes.iter().take(MOST_KINDS) {
        let name = CloseCode::new(**code).to_string();
        let connections = counted(**connections, "connection");
        let _ = writeln!(
            html,
            "<tr><th>{}</th><td class=\"n\">{connections}</td></tr>",
            escaped(&name)
        );
    }
    html.push_str("</tbody></table></div></section>\n");
    html
}

/// Every option of the load.
pub(crate) fn options(results: &Results) -> String {
    let mut html = card("What was run", "");
    html.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts(results) {
        let value = if value.is_empty() { NOTHING } else { &value };
        let _ = writeln!(html, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(value));
    }
    html.push_str("</dl></section>\n");
    html
}

/// The beginning of a card.
pub(crate) fn card(title: &str, note: &str) -> String {
    let note = match note {
        "" => String::new(),
        note => format!("<p class=\"hint\">{}</p>", escaped(note)),
    };
    format!("<section class=\"card\"><h2>{}</h2>{note}", escaped(title))
}

#[expect(clippy::cast_precision_loss, reason = "figures are shown with three digits")]
fn precise(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
