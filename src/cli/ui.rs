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

    fn lines(&self) -> Vec<String> {
        let heading: Vec<String> = self.heading.iter().map(|cell| (*cell).to_owned()).collect();
        let mut widths: Vec<usize> = heading.iter().map(|cell| cell.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| {
                format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut lines = vec![format!("{BOLD}{}{BOLD:#}", line(&heading))];
        lines.extend(self.rows.iter().map(|row| line(row)));
        lines
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
        written(io::stdout().write_all(bytes))
    }

    /// A table of data.
    pub(super) fn table(&mut self, table: &Table) -> Result<()> {
        let mut out = anstream::AutoStream::auto(io::stdout().lock());
        table.lines().iter().try_for_each(|line| written(writeln!(out, "{line}")))
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
