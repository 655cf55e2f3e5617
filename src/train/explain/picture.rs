//! The attention of some rows as a picture: every token on the shade of its relevance.

use std::fmt::Write as _;

use super::export::{labels, token};
use super::{Attended, probability};
use crate::data::prepared::Prepared;

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 16.0;
const LINE: f64 = 22.0;
/// Of a letter of the fixed-width font at this size.
const LETTER: f64 = 7.3;

/// Draws `rows` one below the other as SVG.
pub(super) fn draw(rows: &[Attended], data: &Prepared) -> String {
    let mut body = String::new();
    let mut y = MARGIN + LINE;
    let mut text = |x: f64, y: f64, style: &str, text: &str| {
        let _ = writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\"{style}>{}</text>", escape(text));
    };
    text(MARGIN, y, " font-weight=\"bold\"", "Where the model looks: attention rollout");
    y += LINE;
    text(
        MARGIN,
        y,
        "",
        "Darker tokens contribute more to the prediction; underlined tokens are in \
         the lexicon.",
    );
    for row in rows {
        y += 1.6 * LINE;
        y = draw_row(&mut body, row, data, y);
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"monospace\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// Draws one row from `y` on and gives the place of its last line.
fn draw_row(body: &mut String, row: &Attended, data: &Prepared, mut y: f64) -> f64 {
    let said = row.said();
    let share = 100.0 * probability(&row.logits, said, data.targets.is_multi());
    let title = format!(
        "row {}: {}, predicted {} ({share:.0} %)",
        data.rows[row.index],
        labels(row, data).join(" + "),
        data.labels[said]
    );
    let _ =
        writeln!(body, "<text x=\"{MARGIN}\" y=\"{y:.1}\" fill=\"#555\">{}</text>", escape(&title));
    y += LINE;
    let most = row.relevance.iter().copied().fold(f32::MIN, f32::max);
    let least = row.relevance.iter().copied().fold(f32::MAX, f32::min);
    let mut x = MARGIN;
    for (at, relevance) in row.relevance.iter().enumerate() {
        let shown = token(row, at, data);
        let (shown, is_inner) = shown.strip_prefix("##").map_or((shown, false), |s| (s, true));
        let width = LETTER * shown.chars().count() as f64 + 4.0;
        // Inner pieces touch the one before.
        x += if is_inner || at == 0 { 0.0 } else { 4.0 };
        if x + width > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + LINE);
        }
        let line = if row.concepts.get(at).is_some_and(|concept| *concept > 0) {
            " text-decoration=\"underline\""
        } else {
            ""
        };
        let _ = writeln!(
            body,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"18\" fill=\"#f4a261\" \
             fill-opacity=\"{:.3}\"/><text x=\"{:.1}\" y=\"{y:.1}\"{line}>{}</text>",
            y - 13.0,
            (relevance - least) / (most - least).max(f32::MIN_POSITIVE),
            x + 2.0,
            escape(shown)
        );
        x += width;
    }
    y
}

/// A text inside XML; what XML cannot hold is left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::prepared::Targets;

    #[test]
    fn what_stands_in_a_text_cannot_leave_it() {
        let mut data = Prepared { rows: vec![7], ..Prepared::default() };
        data.labels = vec!["a<b".into(), "c&d".into()];
        data.targets = Targets::Single(vec![0]);
        data.vocabulary = ["[CLS]", "<script>", "##ing"].map(str::to_owned).to_vec();
        let row = Attended {
            index: 0,
            ids: vec![0, 1, 2],
            concepts: vec![0, 1, 1],
            logits: vec![0.0, 3.0],
            relevance: vec![0.2, 0.7, 0.1],
            layers: Vec::new(),
            received: Vec::new(),
        };
        let svg = draw(&[row], &data);
        assert!(svg.contains(">&lt;script&gt;<") && !svg.contains("<script"), "{svg}");
        assert!(svg.contains("row 7: a&lt;b, predicted c&amp;d (95 %)"), "{svg}");
        assert!(svg.contains(">ing<"), "inner pieces without their mark");
        assert_eq!(svg.matches("underline\"").count(), 2);
        assert!(svg.contains("fill-opacity=\"1.000\"") && svg.contains("fill-opacity=\"0.167\""));
    }
}
