//! Grids as SVG.

use std::fmt::Write as _;

use super::Grid;
use super::svg::{COLOURS, FONT, heading, text, xml};

/// Room for the title.
const TOP: f64 = 62.0;

impl Grid {
    /// Width of the names at the left, side of a cell, and of all.
    fn measures(&self) -> (f64, f64) {
        let longest = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let side = if self.names.len() > 12 { 34.0 } else { 64.0 };
        (30.0 + 7.5 * longest.min(30) as f64, side)
    }

    pub(super) fn size(&self) -> (f64, f64) {
        let (left, side) = self.measures();
        let grid = side * self.names.len() as f64;
        ((left + grid + 20.0).max(420.0), TOP + left + grid + 20.0)
    }

    pub(super) fn svg(&self) -> String {
        let (left, side) = self.measures();
        let top = TOP + left;
        let mut svg = String::new();
        heading(&mut svg, &self.title, &self.subtitle);
        let middle = side * self.names.len() as f64 / 2.0;
        text(&mut svg, (left + middle, TOP + 6.0), "middle", 12.0, &self.columns_are);
        let _ = writeln!(
            svg,
            "<text transform=\"translate(12 {:.1}) rotate(-90)\" text-anchor=\"middle\" \
             font-size=\"12\" font-family=\"{FONT}\" fill=\"currentColor\">{}</text>",
            top + middle,
            xml(&self.rows_are)
        );
        for (n, name) in self.names.iter().enumerate() {
            let at = side * n as f64 + side / 2.0;
            text(&mut svg, (left - 6.0, top + at + 4.0), "end", 12.0, &cut(name));
            let _ = writeln!(
                svg,
                "<text transform=\"translate({:.1} {:.1}) rotate(-90)\" font-size=\"12\" \
                 font-family=\"{FONT}\" fill=\"currentColor\">{}</text>",
                left + at + 4.0,
                top - 6.0,
                xml(&cut(name))
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
                let size = if side < 50.0 { 10.0 } else { 13.0 };
                text(&mut svg, (cx, cy + 3.0), "middle", size, &count.to_string());
                if side > 50.0 {
                    let percent = format!("{:.0} %", share * 100.0);
                    text(&mut svg, (cx, cy + 18.0), "middle", 10.0, &percent);
                }
            }
        }
        svg
    }
}

fn cut(name: &str) -> String {
    if name.chars().count() <= 30 {
        name.into()
    } else {
        name.chars().take(29).collect::<String>() + "…"
    }
}
