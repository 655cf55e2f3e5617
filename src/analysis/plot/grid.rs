//! Grids as SVG.

use std::fmt::Write as _;

use super::Grid;
use super::label::{fit, width};
use super::svg::{COLOURS, FONT, heading, heading_height, text, xml};

/// The narrowest picture: its heading has to be read.
const WIDTH_MIN: f64 = 480.0;
/// Size of the names, and how much room they get at most.
const NAME: f64 = 12.0;
const NAME_ROOM: f64 = 220.0;

impl Grid {
    /// Width of the names at the left, side of a cell, width of all, and top of the names above.
    fn measures(&self) -> (f64, f64, f64, f64) {
        let longest = self.names.iter().map(|name| width(name, NAME)).fold(0.0, f64::max);
        let side = if self.names.len() > 12 { 34.0 } else { 64.0 };
        let left = 32.0 + longest.min(NAME_ROOM);
        let wide = (left + side * self.names.len() as f64 + 20.0).max(WIDTH_MIN);
        (left, side, wide, heading_height(&self.subtitle, wide).max(50.0) + 12.0)
    }

    pub(super) fn size(&self) -> (f64, f64) {
        let (left, side, wide, above) = self.measures();
        (wide, above + left + side * self.names.len() as f64 + 20.0)
    }

    pub(super) fn svg(&self) -> String {
        let (left, side, wide, above) = self.measures();
        let top = above + left;
        let mut svg = String::new();
        heading(&mut svg, &self.title, &self.subtitle, wide);
        let middle = side * self.names.len() as f64 / 2.0;
        text(&mut svg, (left + middle, above + 6.0), "middle", NAME, &self.columns_are);
        let _ = writeln!(
            svg,
            "<text transform=\"translate(12 {:.1}) rotate(-90)\" text-anchor=\"middle\" \
             font-size=\"12\" font-family=\"{FONT}\" fill=\"currentColor\">{}</text>",
            top + middle,
            xml(&self.rows_are)
        );
        for (n, name) in self.names.iter().enumerate() {
            let at = side * n as f64 + side / 2.0;
            let fitting = fit(name, NAME, NAME_ROOM);
            text(&mut svg, (left - 6.0, top + at + 4.0), "end", NAME, &fitting);
            let _ = writeln!(
                svg,
                "<text transform=\"translate({:.1} {:.1}) rotate(-90)\" font-size=\"12\" \
                 font-family=\"{FONT}\" fill=\"currentColor\">{}</text>",
                left + at + 4.0,
                top - 6.0,
                xml(&fitting)
            );
        }
        for (i, row) in self.counts.iter().enumerate() {
            let all: u64 = row.iter().sum();
            for (j, count) in row.iter().enumerate() {
                let (x, y) = (left + side * j as f64, top + side * i as f64);
                let share = if all == 0 { 0.0 } else { *count as f64 / all as f64 };
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" \
                     fill=\"{}\" fill-opacity=\"{:.3}\" stroke=\"currentColor\" \
                     stroke-opacity=\"{}\"/>",
                    COLOURS[0],
                    share * 0.75,
                    if i == j { "0.9" } else { "0.2" }
                );
                let (cx, cy) = (x + side / 2.0, y + side / 2.0);
                let (size, count) = (if side < 50.0 { 10.0 } else { 13.0 }, count.to_string());
                // A long number gets smaller, not wider than its cell.
                let size = (size * ((side - 4.0) / width(&count, size)).min(1.0)).floor();
                text(&mut svg, (cx, cy + 3.0), "middle", size, &count);
                if side > 50.0 {
                    let percent = format!("{:.0} %", share * 100.0);
                    text(&mut svg, (cx, cy + 18.0), "middle", 10.0, &percent);
                }
            }
        }
        svg
    }
}
