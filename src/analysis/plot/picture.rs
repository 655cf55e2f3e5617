//! A picture as a value: charts, grids, and what they show.

use super::svg::{HEIGHT, WIDTH, xml};

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// Points and lines over two axes.
    Chart(Chart),
    /// Counts in a grid.
    Grid(Grid),
}

/// Points and lines over two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Of which rows, of which split, how many.
    pub subtitle: String,
    /// Left to right.
    pub x: Axis,
    /// Bottom to top.
    pub y: Axis,
    /// What is drawn.
    pub series: Vec<Series>,
    /// Upright lines with a word: where on the x axis.
    pub marks: Vec<(f64, String)>,
    /// Whether the line of equal x and y helps to read it.
    pub diagonal: bool,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What is measured, with its unit.
    pub label: String,
    /// How values are spread on it.
    pub scale: Scale,
    /// Its ends; those of the values where none are given.
    pub ends: Option<(f64, f64)>,
}

impl Axis {
    /// An axis from the smallest value to the largest.
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), scale: Scale::Linear, ends: None }
    }

    /// An axis of shares.
    pub fn share(label: &str) -> Self {
        Self { ends: Some((0.0, 1.0)), ..Self::new(label) }
    }
}

/// How values are spread on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps.
    Linear,
    /// Equal factors; values are positive.
    Log,
    /// Days since 1970.
    Days,
}

/// Points of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
    /// A word beside each point; empty, or one a point.
    pub words: Vec<String>,
    /// Whether the points are joined.
    pub joined: bool,
}

/// Counts in a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// What it shows.
    pub title: String,
    /// Of which rows, of which split, how many.
    pub subtitle: String,
    /// What the rows are.
    pub rows_are: String,
    /// What the columns are.
    pub columns_are: String,
    /// Names of rows and columns.
    pub names: Vec<String>,
    /// Row by row.
    pub counts: Vec<Vec<u64>>,
}

impl Picture {
    /// What it shows.
    pub fn title(&self) -> &str {
        match self {
            Self::Chart(chart) => &chart.title,
            Self::Grid(grid) => &grid.title,
        }
    }

    /// As an SVG file by itself: dark on white.
    pub fn svg_file(&self) -> String {
        let (width, height) = self.size();
        let body = self.svg_body();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
             color=\"#111\" role=\"img\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             {body}</svg>\n"
        )
    }

    /// As a part of a page: in the colour of its text, as wide as there is room.
    pub fn svg_inline(&self) -> String {
        let (width, height) = self.size();
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">\n{}</svg>",
            xml(self.title()),
            self.svg_body()
        )
    }

    fn size(&self) -> (f64, f64) {
        match self {
            Self::Chart(chart) => (WIDTH, HEIGHT + chart.legend_height()),
            Self::Grid(grid) => grid.size(),
        }
    }

    fn svg_body(&self) -> String {
        match self {
            Self::Chart(chart) => chart.svg(),
            Self::Grid(grid) => grid.svg(),
        }
    }

    /// As text.
    pub fn text(&self) -> String {
        match self {
            Self::Chart(chart) => chart.text(),
            Self::Grid(grid) => grid.text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ruler::Ruler;
    use super::*;

    fn chart() -> Chart {
        Chart {
            title: "Loss <of> \"a\" & b".into(),
            subtitle: "valid split, n = 100".into(),
            x: Axis::new("epoch"),
            y: Axis::share("loss (nats)"),
            series: vec![
                Series {
                    name: "train".into(),
                    points: vec![(1.0, 0.9), (2.0, 0.5), (3.0, 0.25)],
                    words: Vec::new(),
                    joined: true,
                },
                Series {
                    name: "valid\u{1b}".into(),
                    points: vec![(1.0, 1.0), (3.0, 0.5)],
                    words: vec!["a".into(), "b".into()],
                    joined: false,
                },
            ],
            marks: vec![(2.0, "promoted".into())],
            diagonal: false,
        }
    }

    #[test]
    fn texts_are_escaped_and_the_bytes_are_the_same() {
        let picture = Picture::Chart(chart());
        let svg = picture.svg_file();
        assert_eq!(svg, picture.svg_file());
        assert!(svg.contains("Loss &lt;of&gt; &quot;a&quot; &amp; b"));
        assert!(!svg.contains('\u{1b}') && !svg.contains("NaN") && !svg.contains("inf"));
        for word in ["epoch", "loss (nats)", "valid split, n = 100", "promoted"] {
            assert!(svg.contains(word), "{word}");
        }
    }

    #[test]
    fn a_terminal_shows_the_ends_where_they_are() {
        let text = Picture::Chart(chart()).text();
        let lines: Vec<&str> = text.lines().collect();
        // The highest value is at the top left, the lowest at the right.
        assert!(lines[3].contains('x'), "{text}");
        assert!(text.contains("o train") && text.contains("| promoted (2)"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 76), "{text}");
    }

    #[test]
    fn ticks_are_round_and_few() {
        let ruler = |low, high, scale| Ruler { scale, low, high };
        let words = |r: Ruler| r.ticks().into_iter().map(|(_, w)| w).collect::<Vec<_>>();
        assert_eq!(
            words(ruler(0.0, 1.0, Scale::Linear)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            words(ruler(1e6, 6e7, Scale::Log)),
            ["1 M", "2 M", "5 M", "10 M", "20 M", "50 M"]
        );
        assert_eq!(words(ruler(20_000.0, 20_009.0, Scale::Days))[0], "2024-10-04");
        let hours = words(ruler(20_000.5, 20_000.75, Scale::Days));
        assert_eq!(hours[0], "10-04 12:00");
        assert!(hours.len() > 3, "{hours:?}");
        let flat = Ruler::new(&Axis::new("x"), [3.0].into_iter());
        assert!(flat.low < 3.0 && flat.high > 3.0 && !flat.ticks().is_empty());
    }

    /// The boxes of all texts of a picture, as the font draws them.
    fn boxes(picture: &Picture) -> (resvg::usvg::Size, Vec<(String, resvg::usvg::Rect)>) {
        use resvg::usvg::{Node, Options, Tree, fontdb::Database};
        let mut fonts = Database::new();
        fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
        let options = Options { fontdb: std::sync::Arc::new(fonts), ..Options::default() };
        let tree = Tree::from_str(&picture.svg_file(), &options).unwrap();
        let mut found = Vec::new();
        let mut groups = vec![tree.root()];
        while let Some(group) = groups.pop() {
            for node in group.children() {
                match node {
                    Node::Group(inner) => groups.push(inner),
                    Node::Text(text) => {
                        let words =
                            text.chunks().iter().map(resvg::usvg::TextChunk::text).collect();
                        found.push((words, text.abs_bounding_box()));
                    }
                    _ => {}
                }
            }
        }
        (tree.size(), found)
    }

    fn assert_readable(picture: &Picture) {
        let (size, boxes) = boxes(picture);
        assert!(boxes.len() > 3, "the font draws nothing");
        for (n, (words, one)) in boxes.iter().enumerate() {
            let inside = one.left() >= 0.0
                && one.top() >= 0.0
                && one.right() <= size.width()
                && one.bottom() <= size.height();
            assert!(inside, "{words:?} is cut: {one:?} in {size:?}");
            for (other, two) in &boxes[n + 1..] {
                let apart = one.right() <= two.left()
                    || two.right() <= one.left()
                    || one.bottom() <= two.top()
                    || two.bottom() <= one.top();
                assert!(apart, "{words:?} and {other:?} print over each other");
            }
        }
    }

    mod readable {
        use super::*;
        use proptest::prelude::*;

        fn name() -> impl Strategy<Value = String> {
            prop_oneof!["[a-z_]{1,12}", "[A-Z][a-zA-Z0-9_ ]{10,60}", "W{1,40}"]
        }

        fn scale() -> impl Strategy<Value = Scale> {
            prop_oneof![Just(Scale::Linear), Just(Scale::Log), Just(Scale::Days)]
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            #[test]
            fn labels_of_charts_neither_overlap_nor_leave_the_picture(
                title in name(),
                subtitle in proptest::collection::vec(name(), 1..6),
                axes in (name(), name(), scale()),
                values in proptest::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, name()), 1..14),
                spread in prop_oneof![Just(1e-6), Just(0.02), Just(1.0), Just(40.0), Just(1e9)],
                joined in any::<bool>(),
                marks in proptest::collection::vec((0.0..1.0_f64, name()), 0..6),
                // A first tick at the edge of the chart meets the lowest number of the y axis.
                edge in any::<bool>(),
            ) {
                let (x, y, scale) = axes;
                let first = if edge { 20_000.75 } else { 20_000.7 };
                let at = |value: f64| first + value * spread;
                let mut points: Vec<_> =
                    values.iter().map(|(px, py, _)| (at(*px), py * spread)).collect();
                if edge {
                    points[0] = (first, 0.0);
                }
                let words: Vec<String> = values.iter().map(|(.., word)| word.clone()).collect();
                let one = Series { name: title.clone(), points, words, joined };
                let two = Series { words: Vec::new(), ..one.clone() };
                assert_readable(&Picture::Chart(Chart {
                    title,
                    subtitle: subtitle.join(" "),
                    x: Axis { scale, ..Axis::new(&x) },
                    y: Axis::new(&y),
                    series: vec![one, two],
                    marks: marks.into_iter().map(|(x, word)| (at(x), word)).collect(),
                    diagonal: false,
                }));
            }

            #[test]
            fn labels_of_grids_neither_overlap_nor_leave_the_picture(
                names in proptest::collection::vec(name(), 2..16),
                subtitle in proptest::collection::vec(name(), 1..6),
                most in prop_oneof![Just(9_u64), Just(99_999), Just(u64::MAX / 100)],
            ) {
                let counts = vec![vec![most; names.len()]; names.len()];
                assert_readable(&Picture::Grid(Grid {
                    title: "Labels against predictions".into(),
                    subtitle: subtitle.join("; "),
                    rows_are: "label".into(),
                    columns_are: "predicted".into(),
                    names,
                    counts,
                }));
            }
        }
    }

    #[test]
    fn a_grid_has_every_count() {
        let grid = Grid {
            title: "Confusion".into(),
            subtitle: "test split, n = 10".into(),
            rows_are: "label".into(),
            columns_are: "predicted".into(),
            names: vec!["calm".into(), "risk".into()],
            counts: vec![vec![6, 1], vec![0, 3]],
        };
        let picture = Picture::Grid(grid);
        assert!(picture.svg_file().contains(">86 %<"));
        assert!(picture.text().contains("calm         6       1"), "{}", picture.text());
    }
}
