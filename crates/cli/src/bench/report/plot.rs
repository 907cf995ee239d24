//! A plot: an SVG that fills its frame, with the texts beside it in HTML, so that they keep their size on
//! a phone and in print.

use std::fmt::Write as _;

use crate::bench::report::axis::Axis;
use crate::bench::report::markup::escaped;

/// The coordinates of all plots go from 0 to this.
const SIZE: f64 = 1000.0;

/// A plot in the making.
#[derive(Debug)]
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    /// What it shows, in a sentence.
    pub(crate) note: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    shapes: String,
    texts: String,
    ends: Vec<(f64, &'static str, String)>,
    /// What the script shows at the pointer: the line's name, its unit, and its values.
    values: Vec<String>,
}

/// A point of a line. `None` interrupts it.
pub(crate) type Point = Option<(f64, f64)>;

impl<'a> Plot<'a> {
    pub(crate) fn new(title: &'a str, note: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title,
            note: note.into(),
            x,
            y,
            shapes: String::new(),
            texts: String::new(),
            ends: Vec::new(),
            values: Vec::new(),
        }
    }

    /// A line through these points. A point alone is a dot.
    pub(crate) fn line(&mut self, class: &str, points: &[Point]) {
        let mut path = String::new();
        for part in points.split(Option::is_none) {
            for (index, (x, y)) in part.iter().flatten().enumerate() {
                let (x, y) = (self.across(*x), self.down(*y));
                let _ = write!(path, "{}{x} {y}", if index == 0 { 'M' } else { 'L' });
            }
            if part.len() == 1 {
                path.push_str("h0");
            }
        }
        self.path(&format!("line {class}"), &path);
    }

    /// The area from zero to these points.
    pub(crate) fn area(&mut self, class: &str, points: &[Point]) {
        let mut path = String::new();
        for part in points.split(Option::is_none) {
            let part: Vec<(f64, f64)> = part.iter().flatten().copied().collect();
            let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
            let _ = write!(path, "M{} {SIZE}", self.across(first.0));
            for (x, y) in &part {
                let _ = write!(path, "L{} {}", self.across(*x), self.down(*y));
            }
            let _ = write!(path, "L{} {SIZE}Z", self.across(last.0));
        }
        self.path(&format!("area {class}"), &path);
    }

    /// The area between two lines: (x, low, high).
    pub(crate) fn band(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        let mut path = String::new();
        let highs = points.iter().map(|(x, _, high)| (*x, *high));
        let lows = points.iter().rev().map(|(x, low, _)| (*x, *low));
        for (index, (x, y)) in highs.chain(lows).enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{} {}", self.across(x), self.down(y));
        }
        self.path(&format!("band {class}"), &path);
    }

    /// Bars from zero: (from, to, height). Even the smallest can be seen.
    pub(crate) fn bars(&mut self, class: &str, bars: &[(f64, f64, f64)]) {
        let mut path = String::new();
        for (from, to, height) in bars.iter().filter(|(_, _, height)| *height > 0.0) {
            let top = self.down(*height).min(SIZE - 6.0);
            let (from, to) = (self.across(*from), self.across(*to));
            let _ = write!(path, "M{from} {SIZE}V{top}H{}V{SIZE}Z", to.max(from + 1.0));
        }
        self.path(&format!("bars {class}"), &path);
    }

    /// A stretch of the x axis that is set apart.
    pub(crate) fn stretch(&mut self, from: f64, to: f64) {
        let (left, right) = (self.across(from), self.across(to));
        self.path("stretch", &format!("M{left} 0H{right}V{SIZE}H{left}Z"));
    }

    /// The name of a stretch, in its middle.
    pub(crate) fn name(&mut self, name: &str, from: f64, to: f64) {
        let middle = (self.across(from) + self.across(to)) / 20.0;
        let _ =
            write!(self.texts, "<i class=\"in\" style=\"left:{middle:.1}%\">{}</i>", escaped(name));
    }

    /// A horizontal line at a value, such as the one that was asked for.
    pub(crate) fn level(&mut self, name: &str, value: f64) {
        let y = self.down(value);
        self.path("line asked", &format!("M0 {y}H{SIZE}"));
        let top = y / 10.0;
        let _ = write!(self.texts, "<i class=\"at\" style=\"top:{top:.1}%\">{}</i>", escaped(name));
    }

    /// A vertical line at a value. Its name is above the plot, in one of three rows.
    pub(crate) fn mark(&mut self, name: &str, value: f64, row: usize) {
        let x = self.across(value);
        self.path("mark", &format!("M{x} 0V{SIZE}"));
        // A name at the right end is left of its line.
        let side = if x > SIZE * 0.7 { " left" } else { "" };
        let _ = write!(
            self.texts,
            "<i class=\"mark row{row}{side}\" style=\"left:{:.1}%\">{}</i>",
            x / 10.0,
            escaped(name)
        );
    }

    /// The name of a line, at its right end.
    pub(crate) fn end(&mut self, class: &'static str, name: impl Into<String>, value: f64) {
        self.ends.push((self.down(value) / SIZE, class, name.into()));
    }

    /// The values of a line for the script, one for each column. `unit` is `time`, `rate` or `count`.
    pub(crate) fn values(
        &mut self,
        name: &str,
        unit: &str,
        values: impl Iterator<Item = Option<f64>>,
    ) {
        let values: Vec<String> = values.map(whole).collect();
        self.values.push(format!("[\"{name}\",\"{unit}\",[{}]]", values.join(",")));
    }

    /// The figure. `show` formats values of the y axis, `tell` those of the x axis.
    pub(crate) fn html(
        &self,
        show: impl Fn(f64) -> String,
        tell: impl Fn(f64) -> String,
    ) -> String {
        let mut html = format!(
            "<figure class=\"card plot\"><figcaption><h2>{}</h2><p>{}</p></figcaption>\n",
            escaped(self.title),
            escaped(&self.note)
        );
        // Names of marks need room above.
        let class = if self.texts.contains("class=\"mark") { "frame marked" } else { "frame" };
        let _ = write!(html, "<div class=\"{class}\"");
        if !self.values.is_empty() {
            let values = format!("[{}]", self.values.join(","));
            let _ = write!(html, " data-values=\"{}\"", values.replace('"', "&quot;"));
        }
        let label = format!(
            "{}, from {} to {}, over {} to {}",
            self.title,
            show(self.y.low()),
            show(self.y.high()),
            tell(self.x.low()),
            tell(self.x.high())
        );
        let _ = writeln!(
            html,
            "><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
            escaped(&label)
        );
        let grid = self.y.ticks.iter().fold(String::new(), |mut path, tick| {
            let _ = write!(path, "M0 {}H{SIZE}", self.down(*tick));
            path
        });
        let _ = writeln!(html, "<path class=\"grid\" d=\"{grid}\"/>{}</svg>", self.shapes);
        for tick in &self.y.ticks {
            let top = self.down(*tick) / 10.0;
            let _ = write!(
                html,
                "<b class=\"y\" style=\"top:{top:.1}%\">{}</b>",
                escaped(&show(*tick))
            );
        }
        for (index, tick) in self.x.ticks.iter().enumerate() {
            let left = self.across(*tick) / 10.0;
            let class = if index % 2 == 1 { "x odd" } else { "x" };
            let _ = write!(
                html,
                "<b class=\"{class}\" style=\"left:{left:.1}%\">{}</b>",
                escaped(&tell(*tick))
            );
        }
        for (place, class, name) in apart(&self.ends) {
            let _ = write!(
                html,
                "<b class=\"end {class}\" style=\"top:{:.1}%\">{}</b>",
                place * 100.0,
                escaped(&name)
            );
        }
        let _ = writeln!(html, "{}</div></figure>", self.texts);
        html
    }

    fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            let _ = write!(self.shapes, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }

    fn across(&self, value: f64) -> f64 {
        (self.x.place(value) * SIZE).round()
    }

    fn down(&self, value: f64) -> f64 {
        ((1.0 - self.y.place(value)) * SIZE).round()
    }
}

/// A number for the script.
fn whole(value: Option<f64>) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => {
            let text = format!("{value:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        None => "null".to_owned(),
    }
}

/// Moves names apart that would cover each other. Places are shares of the height, from the top.
fn apart(ends: &[(f64, &'static str, String)]) -> Vec<(f64, &'static str, String)> {
    /// A line of text, as a share of the height.
    const LINE: f64 = 0.085;
    let mut ends = ends.to_vec();
    ends.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
    let mut least = 0.0;
    for (place, ..) in &mut ends {
        *place = place.max(least);
        least = *place + LINE;
    }
    let mut most = 1.0;
    for (place, ..) in ends.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LINE;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot<'static> {
        Plot::new("<Title>", "a & b", Axis::of_time(10.0), Axis::from_zero(100.0))
    }

    fn html(plot: &Plot<'_>) -> String {
        plot.html(|value| format!("{value}"), |value| format!("{value} s"))
    }

    #[test]
    fn a_line_has_its_gaps_and_lone_points() {
        let mut plot = plot();
        plot.line(
            "one",
            &[Some((0.0, 0.0)), Some((5.0, 50.0)), None, Some((10.0, 100.0)), None, None],
        );
        assert!(html(&plot).contains("<path class=\"line one\" d=\"M0 1000L500 500M1000 0h0\"/>"));
    }

    #[test]
    fn texts_are_escaped_and_numbers_are_finite() {
        let mut plot = plot();
        plot.line("one", &[Some((f64::NAN, f64::INFINITY))]);
        plot.bars("two", &[(0.0, 1.0, f64::NAN), (1.0, 2.0, 1e300)]);
        plot.mark("<m>", f64::NAN, 0);
        plot.level("<l>", f64::NEG_INFINITY);
        plot.end("one", "<e>", f64::NAN);
        plot.values("p50", "time", [Some(f64::NAN), Some(1234.5), Some(0.5), None].into_iter());
        let html = html(&plot);
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        for raw in ["<Title>", "<m>", "<l>", "<e>", "a & b"] {
            assert!(!html.contains(raw), "{raw}");
        }
        assert!(
            html.contains(
                "data-values=\"[[&quot;p50&quot;,&quot;time&quot;,[null,1234,0.5,null]]]\""
            )
        );
    }

    #[test]
    fn names_at_the_end_do_not_cover_each_other() {
        let ends: Vec<_> = [0.5, 0.5, 0.99, 1.0, 0.51]
            .into_iter()
            .map(|place| (place, "class", String::new()))
            .collect();
        let places: Vec<f64> = apart(&ends).into_iter().map(|(place, ..)| place).collect();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 0.084), "{places:?}");
        assert!(places.iter().all(|place| (0.0..=1.0).contains(place)), "{places:?}");
    }
}
