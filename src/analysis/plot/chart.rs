//! Charts as SVG.

use std::fmt::Write as _;

use super::ruler::Ruler;
use super::svg::{FONT, HEIGHT, WIDTH, draw, heading, line, text, xml};
use super::{Chart, Series};

/// Room for the title, the axes and the legend.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 56.0;
/// Line height of the legend.
const LEGEND_LINE: f64 = 18.0;

impl Chart {
    pub(super) fn rulers(&self) -> (Ruler, Ruler) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let marks = self.marks.iter().map(|(x, _)| *x);
        (
            Ruler::new(&self.x, points().map(|p| p.0).chain(marks)),
            Ruler::new(&self.y, points().map(|p| p.1)),
        )
    }

    pub(super) fn legend_height(&self) -> f64 {
        if self.series.len() > 1 { LEGEND_LINE * self.series.len() as f64 } else { 0.0 }
    }

    pub(super) fn svg(&self) -> String {
        let (x, y) = self.rulers();
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let at_x = |value: f64| LEFT + x.at(value) * (right - LEFT);
        let at_y = |value: f64| bottom - y.at(value) * (bottom - TOP);
        let mut svg = String::new();
        heading(&mut svg, &self.title, &self.subtitle);
        for (value, word) in x.ticks() {
            let at = at_x(value);
            line(&mut svg, (at, TOP), (at, bottom), "stroke-opacity=\"0.15\"");
            text(&mut svg, (at, bottom + 16.0), "middle", 12.0, &word);
        }
        for (value, word) in y.ticks() {
            let at = at_y(value);
            line(&mut svg, (LEFT, at), (right, at), "stroke-opacity=\"0.15\"");
            text(&mut svg, (LEFT - 8.0, at + 4.0), "end", 12.0, &word);
        }
        line(&mut svg, (LEFT, bottom), (right, bottom), "");
        line(&mut svg, (LEFT, TOP), (LEFT, bottom), "");
        text(&mut svg, (f64::midpoint(LEFT, right), HEIGHT - 16.0), "middle", 13.0, &self.x.label);
        let middle = f64::midpoint(TOP, bottom);
        let _ = writeln!(
            svg,
            "<text transform=\"translate(16 {middle:.1}) rotate(-90)\" text-anchor=\"middle\" \
             font-size=\"13\" font-family=\"{FONT}\" fill=\"currentColor\">{}</text>",
            xml(&self.y.label)
        );
        if self.diagonal {
            let (low, high) = (x.low.max(y.low), x.high.min(y.high));
            let dash = "stroke-opacity=\"0.5\" stroke-dasharray=\"3 3\"";
            line(&mut svg, (at_x(low), at_y(low)), (at_x(high), at_y(high)), dash);
        }
        for (n, (value, word)) in self.marks.iter().enumerate() {
            let at = at_x(*value);
            let dash = "stroke-opacity=\"0.6\" stroke-dasharray=\"6 3\"";
            line(&mut svg, (at, TOP), (at, bottom), dash);
            let anchor = if x.at(*value) > 0.7 { "end" } else { "start" };
            let shift = if anchor == "end" { -4.0 } else { 4.0 };
            let down = TOP + 12.0 + 13.0 * (n % 6) as f64;
            text(&mut svg, (at + shift, down), anchor, 11.0, word);
        }
        for (n, series) in self.series.iter().enumerate() {
            let points: Vec<(f64, f64)> =
                series.points.iter().map(|(px, py)| (at_x(*px), at_y(*py))).collect();
            draw(&mut svg, n, series, &points);
        }
        self.legend(&mut svg);
        svg
    }

    fn legend(&self, svg: &mut String) {
        if self.series.len() < 2 {
            return;
        }
        for (n, series) in self.series.iter().enumerate() {
            let y = HEIGHT + LEGEND_LINE * n as f64;
            let ends = [(LEFT, y), (LEFT + 34.0, y)];
            let sample = Series { words: Vec::new(), ..series.clone() };
            draw(svg, n, &sample, if series.joined { &ends } else { &ends[1..] });
            text(svg, (LEFT + 44.0, y + 4.0), "start", 12.0, &series.name);
        }
    }
}
