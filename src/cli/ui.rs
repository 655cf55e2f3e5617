//! The terminal: data to stdout, messages to stderr, columns aligned, control characters shown and
//! not obeyed. A reader that has gone away is not an error.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use super::{Format, error};
use crate::app::{Error, ErrorKind, Result};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();

/// The terminal.
#[derive(Debug)]
pub(super) struct Ui {
    format: Format,
}

/// Rows under a heading.
pub(super) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: &[&'static str]) -> Self {
        Self { heading: heading.to_vec(), rows: vec![] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| escape(&cell)).collect());
    }

    /// The heading, and all rows as one text.
    fn text(&self) -> (String, String) {
        let heading: Vec<String> = self.heading.iter().map(|cell| (*cell).to_owned()).collect();
        let mut widths: Vec<usize> = heading.iter().map(|cell| cell.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let line = |text: &mut String, cells: &[String]| {
            for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                text.push_str(if index == 0 { "" } else { "  " });
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
            }
            text.truncate(text.trim_end_matches(' ').len());
        };
        let (mut first, mut rest) = (String::new(), String::new());
        line(&mut first, &heading);
        for row in &self.rows {
            line(&mut rest, row);
            rest.push('\n');
        }
        (first, rest)
    }
}

impl Ui {
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(super) fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a progress bar makes sense.
    pub(super) fn has_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Prints data: an object for programs, or what `human` writes for people.
    pub(super) fn data<T: Serialize>(
        &mut self,
        value: &T,
        human: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if self.json() {
            let text = serde_json::to_string_pretty(value)
                .map_err(|e| Error::caused(ErrorKind::Bug, "the answer does not fit JSON", e))?;
            return self.line(&text);
        }
        human(self)
    }

    /// One line of data.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        written(writeln!(anstream::stdout(), "{text}"))
    }

    /// Data as it is.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        written(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// A table of data.
    pub(super) fn table(&mut self, table: &Table) -> Result<()> {
        let (heading, rows) = table.text();
        written(writeln!(anstream::stdout(), "{BOLD}{heading}{BOLD:#}"))?;
        // In one piece: a call for each of ten thousand lines takes longer than everything else.
        self.bytes(rows.as_bytes())
    }

    /// One message.
    pub(super) fn note(&mut self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{}", escape(text));
    }

    /// One message of lesser weight.
    pub(super) fn dim(&mut self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{DIM}{}{DIM:#}", escape(text));
    }

    /// One message the user should not miss.
    pub(super) fn warn(&mut self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{YELLOW}warning:{YELLOW:#} {}", escape(text));
    }

    /// Prints an error and gives its exit code.
    pub(super) fn fail(&mut self, error: &Error) -> ExitCode {
        if self.json() {
            let _ = anstream::stderr().write_all(error::json(error).as_bytes());
        } else {
            let text = error::human(error);
            let text = text.strip_prefix("error:").unwrap_or(&text);
            let lines: Vec<String> = text.lines().map(escape).collect();
            let _ = writeln!(anstream::stderr(), "{RED}error:{RED:#}{}", lines.join("\n"));
        }
        ExitCode::from(error.kind.exit_code())
    }
}

fn written(result: io::Result<()>) -> Result<()> {
    match result {
        // Whoever reads has had enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|e| Error::io("write to standard output", e)),
    }
}

/// Shows control characters instead of sending them to the terminal.
pub(super) fn escape(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let shown = |c: char| -> String {
        if c.is_control() && c != '\t' { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(shown).collect()
}

/// A share with four digits, or a dash.
pub(super) fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// A duration as people say it.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), s % 60.0),
        s => format!("{:.0} h {:02.0} min", (s / 3600.0).floor(), (s % 3600.0) / 60.0),
    }
}

/// A size as people say it.
pub(super) fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e3 => format!("{bytes} B"),
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.2} GB", b / 1e9),
    }
}
