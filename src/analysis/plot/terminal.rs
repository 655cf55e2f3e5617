//! Pictures as text.

use std::fmt::Write as _;

use super::ruler::day;
use super::{Chart, Grid, Scale};
use crate::analysis::column::number;

const GLYPHS: [char; 6] = ['o', 'x', '+', '*', '#', '%'];
/// Columns and lines of a drawing.
const TERMINAL: (usize, usize) = (64, 16);

impl Chart {
    /// As text, for a terminal of 80 columns.
    pub(super) fn text(&self) -> String {
        let (x, y) = self.rulers();
        let (columns, lines) = TERMINAL;
        let mut cells = vec![vec![' '; columns]; lines];
        let place = |value: (f64, f64)| {
            let column = (x.at(value.0) * (columns - 1) as f64).round();
            let line = ((1.0 - y.at(value.1)) * (lines - 1) as f64).round();
            let inside =
                (0.0..columns as f64).contains(&column) && (0.0..lines as f64).contains(&line);
            inside.then_some((column as usize, line as usize))
        };
        for (at, _) in &self.marks {
            if let Some((column, _)) = place((*at, y.low)) {
                cells.iter_mut().for_each(|line| line[column] = '|');
            }
        }
        for (n, series) in self.series.iter().enumerate() {
            let glyph = GLYPHS[n % GLYPHS.len()];
            if series.joined {
                for pair in series.points.windows(2) {
                    for step in 1..columns {
                        let part = step as f64 / columns as f64;
                        let between = |a: f64, b: f64| a + (b - a) * part;
                        let point = (between(pair[0].0, pair[1].0), between(pair[0].1, pair[1].1));
                        if let Some((column, line)) = place(point)
                            && cells[line][column] == ' '
                        {
                            cells[line][column] = '.';
                        }
                    }
                }
            }
            for point in &series.points {
                if let Some((column, line)) = place(*point) {
                    cells[line][column] = glyph;
                }
            }
        }
        let mut out = format!("{}\n{}\n{}\n", self.title, self.subtitle, self.y.label);
        let ticks = y.ticks();
        for (n, line) in cells.iter().enumerate() {
            let tick = ticks
                .iter()
                .find(|(value, _)| place((x.low, *value)).is_some_and(|(_, line)| line == n));
            let word = tick.map_or("", |(_, word)| word.as_str());
            let line: String = line.iter().collect();
            let _ = writeln!(out, "{word:>9} |{}", line.trim_end());
        }
        let _ = writeln!(out, "{:>9} +{}", "", "-".repeat(columns));
        let words = x
            .ticks()
            .into_iter()
            .filter_map(|(value, word)| Some((place((value, y.low))?.0, word)));
        let mut under = String::new();
        for (column, word) in words {
            let start = column.saturating_sub(word.chars().count() / 2);
            if under.chars().count() < start || under.is_empty() {
                let room = start.saturating_sub(under.chars().count());
                under.push_str(&" ".repeat(room));
                under.push_str(&word);
                under.push(' ');
            }
        }
        let _ = writeln!(out, "{:>10} {}", "", under.trim_end());
        let _ = writeln!(out, "{:>10} {}", "", self.x.label);
        for (n, series) in self.series.iter().enumerate() {
            let _ = writeln!(out, "{:>9} {} {}", "", GLYPHS[n % GLYPHS.len()], series.name);
        }
        for (at, word) in &self.marks {
            let at = if self.x.scale == Scale::Days { day(*at) } else { number(*at) };
            let _ = writeln!(out, "{:>9} | {word} ({at})", "");
        }
        out
    }
}

impl Grid {
    /// As text.
    pub(super) fn text(&self) -> String {
        let wide = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(6);
        let mut out = format!("{}\n{}\n", self.title, self.subtitle);
        let _ = writeln!(out, "rows: {}; columns: {}", self.rows_are, self.columns_are);
        let _ = write!(out, "{:wide$}", "");
        for name in &self.names {
            let _ = write!(out, "  {name:>wide$}");
        }
        out.push('\n');
        for (name, row) in self.names.iter().zip(&self.counts) {
            let _ = write!(out, "{name:wide$}");
            for count in row {
                let _ = write!(out, "  {count:>wide$}");
            }
            out.push('\n');
        }
        out
    }
}
