//! The terminal: data to stdout, messages to stderr, columns aligned, control characters shown and
//! not obeyed. A reader that has gone away is not an error.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::format::Format;
use super::{error, records};
use crate::app::{Answer, CsvCells, Error, ErrorKind, FileWritten, Result, RowFormat, RowTable};
use crate::base::fixed;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();

/// The terminal.
#[derive(Debug)]
pub(super) struct Ui {
    format: Format,
    /// Whether notes and progress are left out.
    quiet: bool,
}

/// Rows under a heading, all cells in one text: ten thousand rows of small strings take longer to
/// allocate and free than to print.
pub(super) struct Table {
    heading: Vec<String>,
    text: String,
    /// Bytes of each cell in `text`, and its columns on screen.
    cells: Vec<(u32, u32)>,
    widths: Vec<usize>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Self {
        let widths = heading.iter().map(|cell| cell.width()).collect();
        let heading = heading.iter().map(ToString::to_string).collect();
        Self { heading, text: String::new(), cells: vec![], widths }
    }

    /// Makes room for rows: a table that grows is copied again and again.
    pub(super) fn reserve(&mut self, rows: usize) {
        const ROW_BYTES: usize = 120;
        self.cells.reserve(rows * self.heading.len());
        self.text.reserve(rows * ROW_BYTES);
    }

    /// Adds a row of as many cells as the heading has.
    pub(super) fn row<C: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = C>) {
        for (cell, widest) in cells.into_iter().zip(&mut self.widths) {
            let cell = escape(cell.as_ref());
            let width = if cell.is_ascii() { cell.len() } else { cell.width() };
            *widest = width.max(*widest);
            self.text.push_str(&cell);
            let small = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
            self.cells.push((small(cell.len()), small(width)));
        }
    }

    /// Columns on screen that the widest line takes.
    pub(super) fn width(&self) -> usize {
        self.widths.iter().map(|width| width + 2).sum::<usize>().saturating_sub(2)
    }

    fn headline(&self) -> String {
        let mut line = String::new();
        self.line(&mut line, self.heading.iter().map(|cell| (cell.as_str(), cell.width())));
        line
    }

    fn write_rows(&self, out: &mut impl Write) -> io::Result<()> {
        let (mut line, mut start) = (String::new(), 0);
        for row in self.cells.chunks(self.heading.len()) {
            line.clear();
            let cells = row.iter().map(|(bytes, width)| {
                let cell = &self.text[start..start + *bytes as usize];
                start += cell.len();
                (cell, *width as usize)
            });
            self.line(&mut line, cells);
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        out.flush()
    }

    fn line<'c>(&self, text: &mut String, cells: impl Iterator<Item = (&'c str, usize)>) {
        const SPACES: &str = "                                ";
        let mut missing = 0;
        for ((cell, width), widest) in cells.zip(&self.widths) {
            while missing > 0 {
                let some = missing.min(SPACES.len());
                text.push_str(&SPACES[..some]);
                missing -= some;
            }
            text.push_str(cell);
            missing = widest - width + 2;
        }
    }
}

impl Ui {
    pub(super) fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// The format of the answer.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Prints the answer in another format: an old option asked for it.
    pub(super) fn set_format(&mut self, format: Format) {
        self.format = format;
    }

    /// Whether the answer is for programs.
    pub(super) fn json(&self) -> bool {
        self.format != Format::Human
    }

    /// Whether a progress bar makes sense.
    pub(super) fn has_terminal(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Columns of the screen; a usual width where the output is no terminal.
    pub(super) fn columns(&self) -> usize {
        const USUAL: usize = 120;
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(USUAL)
    }

    /// A table of a column for each of several things, as many tables below each other as it takes
    /// to fit the screen; each begins with the first column.
    pub(super) fn beside(&mut self, heading: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let columns = self.columns();
        let (mut from, mut to) = (1, heading.len());
        while from < heading.len() {
            let part = |to: usize| {
                let head: Vec<&str> =
                    [heading[0]].into_iter().chain(heading[from..to].iter().copied()).collect();
                let mut table = Table::new(&head);
                for row in rows {
                    table.row(row[..1].iter().chain(&row[from..to]));
                }
                table
            };
            let mut table = part(to);
            while table.width() > columns && to > from + 1 {
                to -= 1;
                table = part(to);
            }
            self.table(&table)?;
            if to < heading.len() {
                self.line("")?;
            }
            (from, to) = (to, heading.len());
        }
        Ok(())
    }

    /// Prints data: an object for programs, or what `human` writes for people.
    pub(super) fn data<T: Answer>(
        &mut self,
        value: &T,
        human: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let unfit = |e| Error::caused(ErrorKind::Bug, "the answer does not fit JSON", e);
        match self.format {
            Format::Human => human(self),
            Format::Json | Format::Sarif => {
                let text = serde_json::to_string_pretty(value).map_err(unfit)?;
                self.raw_line(&text)
            }
            Format::Jsonl => match serde_json::to_value(value).map_err(unfit)? {
                Value::Array(items) => {
                    items.iter().try_for_each(|item| self.raw_line(&item.to_string()))
                }
                one => self.raw_line(&one.to_string()),
            },
            Format::Csv | Format::Markdown | Format::Parquet => {
                let (columns, rows) = records::rows(&serde_json::to_value(value).map_err(unfit)?);
                let (name, kinds, cells) = ("rows", &[][..], CsvCells::Exact);
                self.records(&RowTable { name, columns: &columns, kinds, rows: &rows, cells })
            }
        }
    }

    /// Prints rows in the format that was chosen, one of CSV, Markdown and Parquet.
    pub(super) fn records(&mut self, rows: &RowTable<'_>) -> Result<()> {
        let format = match self.format {
            Format::Markdown => RowFormat::Markdown,
            Format::Parquet if io::stdout().is_terminal() => {
                let message = "Parquet is binary and is not written to a terminal";
                return Err(Error::new(ErrorKind::Usage, message)
                    .hint("write it to a file with --out FILE.parquet, or to a pipe"));
            }
            Format::Parquet => RowFormat::Parquet,
            _ => RowFormat::Csv,
        };
        let bytes = rows.bytes(format)?;
        self.bytes(&bytes)
    }

    /// Reports the file that was written instead of printing.
    pub(super) fn wrote(
        &mut self,
        path: PathBuf,
        note: impl FnOnce(&Path) -> String,
    ) -> Result<()> {
        let file = FileWritten { written: path };
        self.data(&file, |ui| {
            ui.note(&note(&file.written));
            Ok(())
        })
    }

    /// A line of data with its name before it, in a column of its own.
    pub(super) fn fact(&mut self, name: &str, value: impl Display) -> Result<()> {
        const NAME_WIDTH: usize = 11;
        self.line(&format!("{name:<NAME_WIDTH$} {value}"))
    }

    /// One line of data, or several.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        let lines: Vec<Cow<'_, str>> = text.split('\n').map(escape).collect();
        self.raw_line(&lines.join("\n"))
    }

    /// One line of data for programs.
    pub(super) fn raw_line(&mut self, text: &str) -> Result<()> {
        written(writeln!(anstream::stdout(), "{text}"))
    }

    /// Data as it is.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        written(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// A table of data.
    pub(super) fn table(&mut self, table: &Table) -> Result<()> {
        written(writeln!(anstream::stdout(), "{BOLD}{}{BOLD:#}", table.headline()))?;
        // In large pieces: a call for each of ten thousand lines takes longer than everything else.
        let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        written(table.write_rows(&mut out))
    }

    /// One message.
    pub(super) fn note(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        let _ = writeln!(anstream::stderr(), "{}", escape(text));
    }

    /// One message without which the answer would be misread.
    pub(super) fn notice(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{}", escape(text));
    }

    /// One message of lesser weight.
    pub(super) fn dim(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        let _ = writeln!(anstream::stderr(), "{DIM}{}{DIM:#}", escape(text));
    }

    /// One message the user should not miss.
    pub(super) fn warn(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{YELLOW}warning:{YELLOW:#} {}", escape(text));
    }

    /// Tells that an option has another name by now. It works until the next release.
    pub(super) fn old_spelling(&self, old: &str, new: &str) {
        self.warn(&format!(
            "{old} is the old spelling of {new}; it will not work in the next release"
        ));
    }

    /// Prints an error and gives its exit code.
    pub(super) fn fail(&mut self, error: &Error) -> ExitCode {
        if self.format.is_json() {
            let _ = anstream::stderr().write_all(error::json(error).as_bytes());
        } else {
            let text = error::human(error);
            let text = text.strip_prefix("error:").unwrap_or(&text);
            let lines: Vec<Cow<'_, str>> = text.lines().map(escape).collect();
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

/// Shows control characters instead of sending them to the terminal, and those that change the
/// order of letters or cannot be seen: a name or a text must not look like another.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    // To the end, whatever is found: many bytes at once.
    let plain = text.bytes().fold(true, |plain, byte| plain & (b' '..=b'~').contains(&byte));
    if plain || !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| -> String {
        if is_hidden(c) { c.escape_default().to_string() } else { c.to_string() }
    };
    Cow::Owned(text.chars().map(shown).collect())
}

fn is_hidden(c: char) -> bool {
    use unicode_general_category::GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator,
    };
    // Joiners are part of words and of signs in many scripts.
    let joiner = matches!(c, '\u{200c}' | '\u{200d}');
    let category = unicode_general_category::get_general_category(c);
    !joiner
        && c != '\t'
        && matches!(category, Control | Format | LineSeparator | ParagraphSeparator)
}

/// A share with four digits, or a dash.
pub(super) fn share(value: Option<f64>) -> Cow<'static, str> {
    value.map_or("-".into(), |value| fixed(value, 4).into())
}

/// A duration as people say it.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => fixed(seconds, 1) + " s",
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// The beginnings of a file's two digests, for columns headed `blake3` and `sha256`.
pub(super) fn digest_cells(blake3: impl Display, sha256: Option<impl Display>) -> [String; 2] {
    let sha256 = sha256.map_or("not recorded".to_owned(), |sha256| format!("{sha256:.12}"));
    [format!("{blake3:.12}"), sha256]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_never_rounded_up() {
        assert_eq!(duration(3599.9), "59 min 59 s");
    }

    #[test]
    fn nothing_that_is_printed_hides_or_turns_letters() {
        let hidden = "\u{1b}\u{7}\u{9b}\u{ad}\u{61c}\u{180e}\u{200b}\u{200e}\u{200f}\u{2028}\
            \u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\
            \u{2069}\u{feff}\u{fff9}\u{e0041}\r";
        for c in hidden.chars() {
            let text = format!("a{c}b");
            assert_eq!(escape(&text), format!("a{}b", c.escape_default()), "{c:?}");
        }
        for text in ["größe", "数", "👩\u{200d}🔬", "کتاب\u{200c}ها", "שלום", "a\tb", "├─ ⣿"]
        {
            assert_eq!(escape(text), text);
        }
    }

    #[test]
    fn columns_align_and_control_characters_are_shown() {
        let mut table = Table::new(&["name", "x"]);
        table.row(["b\u{1b}[31m", "1"]);
        table.row(["数", "22"]);
        let mut out = Vec::new();
        table.write_rows(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "b\\u{1b}[31m  1\n数           22\n");
        assert_eq!(table.headline(), "name         x");
    }
}
