//! The parts that SVG pictures are made of.

use std::fmt::Write as _;

use super::Series;
use super::label::{Labels, fit, wrap};

/// Size of a chart in CSS pixels.
pub(super) const WIDTH: f64 = 720.0;
pub(super) const HEIGHT: f64 = 440.0;
/// Colours that people with any colour vision tell apart (Okabe and Ito, 2008), readable on white
/// and on black.
pub(super) const COLOURS: [&str; 6] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const DASHES: [&str; 6] = ["", "7 4", "2 3", "10 3 2 3", "4 2", "1 2"];
/// Size of words inside a chart.
pub(super) const WORD: f64 = 11.0;
pub(super) const FONT: &str = "'Ubuntu', 'Helvetica Neue', Arial, sans-serif";

/// Sizes of the title, of the subtitle and of its lines.
const TITLE: f64 = 16.0;
const SUBTITLE: f64 = 12.0;
const SUBTITLE_LINE: f64 = 15.0;
const SUBTITLE_LINES_MAX: usize = 3;
const MARGIN: f64 = 12.0;

fn subtitle_lines(subtitle: &str, width: f64) -> Vec<String> {
    wrap(subtitle, SUBTITLE, width - 2.0 * MARGIN, SUBTITLE_LINES_MAX)
}

/// Room for title and subtitle in a picture of some width.
pub(super) fn heading_height(subtitle: &str, width: f64) -> f64 {
    32.0 + SUBTITLE_LINE * subtitle_lines(subtitle, width).len() as f64
}

pub(super) fn heading(svg: &mut String, title: &str, subtitle: &str, width: f64) {
    let title = fit(title, TITLE, width - 2.0 * MARGIN);
    text(svg, (MARGIN, 24.0), "start", TITLE, &title);
    for (n, line) in subtitle_lines(subtitle, width).iter().enumerate() {
        text(svg, (MARGIN, 44.0 + SUBTITLE_LINE * n as f64), "start", SUBTITLE, line);
    }
}

pub(super) fn text(svg: &mut String, at: (f64, f64), anchor: &str, size: f64, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" font-size=\"{size:.0}\" \
         font-family=\"{FONT}\" fill=\"currentColor\">{}</text>",
        at.0,
        at.1,
        xml(words)
    );
}

pub(super) fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), style: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"currentColor\" \
         {style}/>",
        from.0, from.1, to.0, to.1
    );
}

pub(super) fn draw(svg: &mut String, n: usize, series: &Series, points: &[(f64, f64)]) {
    let (colour, dash) = (COLOURS[n % COLOURS.len()], DASHES[n % DASHES.len()]);
    if series.joined && points.len() > 1 {
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dash}\"/>",
            path.join(" ")
        );
    }
    // Markers on a line of many points would hide it.
    if !series.joined || points.len() <= 40 {
        points.iter().for_each(|at| marker(svg, n, colour, *at));
    }
}

/// The words beside the points of a series, each where it covers no other.
pub(super) fn words(svg: &mut String, labels: &mut Labels, series: &Series, points: &[(f64, f64)]) {
    for (word, (x, y)) in series.words.iter().zip(points) {
        // Above a line that rises there is room at the left.
        let sides = if series.joined { [-1.0, 1.0] } else { [1.0, -1.0] };
        let near = |down: f64| {
            sides.map(|side| {
                let anchor = if side > 0.0 { "start" } else { "end" };
                ((x + side * 8.0, y + down), anchor)
            })
        };
        let heights = (0..12).flat_map(|n| {
            let away = 15.0 * f64::from(n);
            [-6.0 - away, 14.0 + away]
        });
        let Some((at, anchor)) = labels.place(word, WORD, heights.flat_map(near)) else {
            continue;
        };
        if (at.1 - y).abs() > 20.0 {
            line(svg, (*x, *y), at, "stroke-opacity=\"0.3\"");
        }
        text(svg, at, anchor, WORD, word);
    }
}

fn marker(svg: &mut String, n: usize, colour: &str, (x, y): (f64, f64)) {
    let r = 4.0;
    let path = match n % 4 {
        0 => {
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\" fill=\"{colour}\"/>");
            return;
        }
        1 => format!("M{:.1} {:.1}h8v8h-8z", x - r, y - r),
        2 => format!("M{x:.1} {:.1}l5 9h-10z", y - 5.0),
        _ => format!("M{x:.1} {:.1}l5 5l-5 5l-5 -5z", y - 5.0),
    };
    let _ = writeln!(svg, "<path d=\"{path}\" fill=\"{colour}\"/>");
}

/// A text as XML and HTML take it.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters may not stand in XML at all.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
