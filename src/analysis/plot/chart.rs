//! Charts as SVG.

use std::fmt::Write as _;

use super::label::{Area, Labels, fit, width};
use super::ruler::Ruler;
use super::svg::{
    FONT, HEIGHT, WIDTH, WORD, draw, heading, heading_height, line, text, words, xml,
};
use super::{Chart, Series};

/// Room at the right and for the axis below.
const RIGHT: f64 = 18.0;
const BOTTOM: f64 = 56.0;
/// Left of the numbers at the y axis is its name.
const Y_NAME: f64 = 28.0;
/// Size of numbers, and of the names of axes.
const TICK: f64 = 12.0;
const NAME: f64 = 13.0;
/// Line height of the legend.
const LEGEND_LINE: f64 = 18.0;
/// Where the names of the legend begin, after the samples.
const LEGEND_NAME: f64 = 114.0;

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
        let top = heading_height(&self.subtitle, WIDTH).max(50.0) + 12.0;
        let widest = y.ticks().iter().map(|(_, word)| width(word, TICK)).fold(0.0, f64::max);
        let left = Y_NAME + widest + 10.0;
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let at_x = |value: f64| left + x.at(value) * (right - left);
        let at_y = |value: f64| bottom - y.at(value) * (bottom - top);
        let mut svg = String::new();
        heading(&mut svg, &self.title, &self.subtitle, WIDTH);
        let below = Area { left: 2.0, top: bottom, right: WIDTH - 2.0, bottom: bottom + 24.0 };
        let mut numbers = Labels::new(below);
        // The lowest number of the y axis reaches into the row of the x axis.
        for (value, word) in y.ticks() {
            numbers.take(Area::of(&word, (left - 8.0, at_y(value) + 4.0), "end", TICK));
        }
        for (value, word) in x.ticks() {
            let at = at_x(value);
            line(&mut svg, (at, top), (at, bottom), "stroke-opacity=\"0.15\"");
            let under = bottom + 16.0;
            // The first number may begin beside those of the y axis, and the last end where the
            // picture does; one that has no room is left out.
            let beside = match at {
                _ if at > right - 60.0 => Some(((right + 14.0, under), "end")),
                _ if at < left + 60.0 => Some(((left - 8.0, under), "start")),
                _ => None,
            };
            let places = [Some(((at, under), "middle")), beside].into_iter().flatten();
            // A blank on each side keeps numbers apart.
            if let Some((at, anchor)) = numbers.place(&format!(" {word}"), TICK, places) {
                text(&mut svg, at, anchor, TICK, &word);
            }
        }
        for (value, word) in y.ticks() {
            let at = at_y(value);
            line(&mut svg, (left, at), (right, at), "stroke-opacity=\"0.15\"");
            text(&mut svg, (left - 8.0, at + 4.0), "end", TICK, &word);
        }
        line(&mut svg, (left, bottom), (right, bottom), "");
        line(&mut svg, (left, top), (left, bottom), "");
        let name = fit(&self.x.label, NAME, right - left);
        text(&mut svg, (f64::midpoint(left, right), HEIGHT - 16.0), "middle", NAME, &name);
        let middle = f64::midpoint(top, bottom);
        let _ = writeln!(
            svg,
            "<text transform=\"translate(16 {middle:.1}) rotate(-90)\" text-anchor=\"middle\" \
             font-size=\"{NAME:.0}\" font-family=\"{FONT}\" fill=\"currentColor\">{}</text>",
            xml(&fit(&self.y.label, NAME, bottom - top))
        );
        if self.diagonal {
            let (low, high) = (x.low.max(y.low), x.high.min(y.high));
            let dash = "stroke-opacity=\"0.5\" stroke-dasharray=\"3 3\"";
            line(&mut svg, (at_x(low), at_y(low)), (at_x(high), at_y(high)), dash);
        }
        let mut labels = Labels::new(Area { left: left + 2.0, top, right: WIDTH - 2.0, bottom });
        for (value, word) in &self.marks {
            let at = at_x(*value);
            let dash = "stroke-opacity=\"0.6\" stroke-dasharray=\"6 3\"";
            line(&mut svg, (at, top), (at, bottom), dash);
            let rows = (0..20).map(|row| top + 12.0 + 15.0 * f64::from(row));
            let places =
                rows.flat_map(|down| [((at + 4.0, down), "start"), ((at - 4.0, down), "end")]);
            if let Some((at, anchor)) = labels.place(word, WORD, places) {
                text(&mut svg, at, anchor, WORD, word);
            }
        }
        let placed = |series: &Series| -> Vec<(f64, f64)> {
            series.points.iter().map(|(px, py)| (at_x(*px), at_y(*py))).collect()
        };
        for (n, series) in self.series.iter().enumerate() {
            draw(&mut svg, n, series, &placed(series));
        }
        // Words come last, so that no line runs over them.
        for series in &self.series {
            words(&mut svg, &mut labels, series, &placed(series));
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
            let ends = [(LEGEND_NAME - 44.0, y), (LEGEND_NAME - 10.0, y)];
            let sample = Series { words: Vec::new(), ..series.clone() };
            draw(svg, n, &sample, if series.joined { &ends } else { &ends[1..] });
            let name = fit(&series.name, TICK, WIDTH - LEGEND_NAME - 4.0);
            text(svg, (LEGEND_NAME, y + 4.0), "start", TICK, &name);
        }
    }
}
