//! The ratios to the bare echo as an SVG plot: a row for each scenario, a dot for each server.
//!
//! The colours follow the reader's colour scheme. The default colours are visible on white and on black.

use std::fmt::Write;

use crate::bench::outcome::{EchoResult, EchoScenario};
use crate::bench::peer::Rank;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 270.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 108.0;
const ROW: f64 = 46.0;
const TICKS: [f64; 8] = [1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0];

const STYLE: &str = "\
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #6e7781 }
.title { font-size: 17px; font-weight: 600 }
.value { font-weight: 600; fill: #1f6feb }
.run { font-size: 12px }
.line { stroke: #8b949e; stroke-opacity: .35 }
.floor { stroke: #8b949e; stroke-width: 1.5 }
.towline { fill: #1f6feb }
.tuned { fill: #d4762c }
.plain { fill: none; stroke: #d4762c; stroke-width: 1.6 }
.foreign { fill: #8b949e }
@media (prefers-color-scheme: dark) {
  text { fill: #b1bac4 } .value { fill: #6cb6ff } .towline { fill: #6cb6ff }
  .tuned { fill: #f0883e } .plain { stroke: #f0883e }
}
@media (prefers-color-scheme: light) {
  text { fill: #424a53 } .value { fill: #0550ae } .towline { fill: #0969da }
  .tuned { fill: #bc4c00 } .plain { stroke: #bc4c00 } .foreign { fill: #6e7781 }
}
";

/// `run` describes the measurement.
pub(crate) fn draw(scenarios: &[EchoScenario], run: &str) -> String {
    let scale = Scale::over(scenarios);
    let rows = f64::from(u32::try_from(scenarios.len()).unwrap_or(0));
    let height = TOP + rows * ROW + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>CPU time per echoed message, in ratio to a bare TCP echo</title>\n\
         <style>\n{STYLE}</style>\n\
         <text class=\"title\" x=\"16\" y=\"30\">CPU time per echoed message, \
         in ratio to a bare TCP echo</text>\n"
    );
    let _ = writeln!(svg, "<text class=\"run\" x=\"16\" y=\"50\">{run}</text>");
    legend(&mut svg);
    for tick in TICKS.into_iter().filter(|tick| *tick <= scale.most) {
        let (x, class) = (scale.x(tick), if tick == 1.0 { "floor" } else { "line" });
        let bottom = height - 34.0;
        let _ = writeln!(
            svg,
            "<path class=\"{class}\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}×</text>",
            height - 14.0
        );
    }
    let mut y = TOP + ROW / 2.0;
    for scenario in scenarios {
        row(&mut svg, scenario, &scale, y);
        y += ROW;
    }
    svg + "</svg>\n"
}

/// Ratios, on a logarithmic scale.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    fn over(scenarios: &[EchoScenario]) -> Self {
        let ratios = scenarios.iter().flat_map(|scenario| &scenario.results);
        let ratios = ratios.filter_map(|result| result.ratio_to_bare);
        let (least, most) = ratios.fold((0.9, 2.0), |(least, most): (f64, f64), ratio| {
            (least.min(ratio), most.max(ratio))
        });
        Self { least: least * 0.95, most: most * 1.1 }
    }

    fn x(&self, ratio: f64) -> f64 {
        let part = (ratio / self.least).ln() / (self.most / self.least).ln();
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }
}

fn legend(svg: &mut String) {
    let entries = [
        (Rank::Towline, "Towline"),
        (Rank::Tuned, "Rust, tuned by hand"),
        (Rank::Plain, "Rust, plain send"),
        (Rank::Foreign, "other languages"),
    ];
    let mut x = 22.0;
    for (rank, label) in entries {
        dot(svg, rank, x, 76.0, label);
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"80.5\">{label}</text>", x + 13.0);
        x += 180.0;
    }
}

fn row(svg: &mut String, scenario: &EchoScenario, scale: &Scale, y: f64) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <path class=\"line\" d=\"M{LEFT} {y:.1}H{:.1}\"/>",
        LEFT - 14.0,
        y + 4.5,
        scenario.about,
        WIDTH - RIGHT
    );
    // Towline is drawn last, so that it is on top.
    let mut results = scenario.ranked(|rank| rank != Rank::Floor);
    results.sort_by_key(|result| result.rank == Rank::Towline);
    for result in results {
        let Some(ratio) = result.ratio_to_bare else { continue };
        dot(svg, result.rank, scale.x(ratio), y, &title(result, ratio));
    }
    if let Some(ratio) = scenario.of("towline").and_then(|towline| towline.ratio_to_bare) {
        let x = scale.x(ratio);
        let _ = writeln!(
            svg,
            "<text class=\"value\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{ratio:.2}</text>",
            y - 10.0
        );
    }
}

fn title(result: &EchoResult, ratio: f64) -> String {
    format!("{} {ratio:.2}", result.peer)
}

fn dot(svg: &mut String, rank: Rank, x: f64, y: f64, title: &str) {
    let (class, radius) = match rank {
        Rank::Towline => ("towline", 6.5),
        Rank::Tuned => ("tuned", 5.0),
        Rank::Plain => ("plain", 4.2),
        Rank::Foreign | Rank::Floor => ("foreign", 4.5),
    };
    let _ = writeln!(
        svg,
        "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\">\
         <title>{title}</title></circle>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_logarithmic() {
        let scale = Scale { least: 1.0, most: 100.0 };
        assert!((scale.x(1.0) - LEFT).abs() < 1e-9);
        assert!((scale.x(10.0) - (LEFT + (WIDTH - LEFT - RIGHT) / 2.0)).abs() < 1e-9);
    }
}
