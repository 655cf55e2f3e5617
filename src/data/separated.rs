//! Records of CSV (RFC 4180) and of tab-separated files, one after the other.
//!
//! No record is ever swallowed, merged or cut: a quote that is never closed, a record of another
//! width and a repeated header are errors with row and line, and what can be read in two ways is
//! reported as a [`Remarks`]. A tab-separated file may quote as CSV does (pandas, R) or not at all
//! (most corpora); [`quotes`] decides it for the whole file, and refuses a file that does both.

use std::path::Path;

use super::error::DataError;
use super::format::Format;
use super::read::{Loaded, column};

/// Full lines inside one quoted cell from which on it is suspected to have swallowed records.
const SWALLOWED_MIN: usize = 3;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One record: its fields, unquoted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Whether each field began with a quote that was read as one.
    quoted: Vec<bool>,
    /// Its number; 0 for the header.
    pub(super) row: u64,
    /// The line it starts on, from 1.
    pub(super) line: u64,
}

impl Record {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn field(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.ends.get(at).map_or(&[], |end| &self.bytes[start..*end])
    }

    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.field(at))
    }

    /// A field as text.
    pub(super) fn text(&self, path: &Path, at: usize) -> Result<&str, DataError> {
        std::str::from_utf8(self.field(at)).map_err(|_| DataError::Encoding {
            path: path.to_owned(),
            row: self.row,
            line: self.line,
        })
    }

    fn clear(&mut self, row: u64, line: u64) {
        self.bytes.clear();
        self.ends.clear();
        self.quoted.clear();
        (self.row, self.line) = (row, line);
    }
}

/// A fault, and the record it is in.
struct Fault {
    row: u64,
    line: u64,
    problem: String,
}

impl Fault {
    fn at(self, path: &Path) -> DataError {
        let Self { row, line, problem } = self;
        DataError::Syntax { path: path.to_owned(), row, line, message: problem }
    }
}

/// What was read, but may be meant otherwise.
#[derive(Clone, Debug, Default)]
struct Remarks {
    /// The first record with text behind a closing quote, and how many there are.
    after_quote: Option<(u64, u64, u64)>,
    /// The first record with a quoted cell whose lines look like records.
    swallowed: Option<(u64, u64, usize)>,
}

/// Whether quotes are signs of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// They are text.
    Plain,
    /// They enclose fields; what is odd about them is remarked upon.
    Lenient,
    /// They enclose fields; what is odd about them is a fault.
    Strict,
}

/// Reads records from bytes.
struct Reader<'c> {
    content: &'c [u8],
    at: usize,
    line: u64,
    row: u64,
    by: u8,
    quotes: Quotes,
    /// Fields of every record, once the first was read.
    width: Option<usize>,
    remarks: Remarks,
}

impl<'c> Reader<'c> {
    fn new(content: &'c [u8], by: u8, quotes: Quotes) -> Self {
        let remarks = Remarks::default();
        Self { content, at: 0, line: 1, row: 0, by, quotes, width: None, remarks }
    }

    fn peek(&self) -> Option<u8> {
        self.content.get(self.at).copied()
    }

    /// Passes the end of a line.
    fn pass_line_end(&mut self) {
        let crlf = self.content[self.at..].starts_with(b"\r\n");
        self.at += if crlf { 2 } else { 1 };
        self.line += 1;
    }

    /// Reads the next record that is not an empty line; false at the end.
    fn next(&mut self, record: &mut Record) -> Result<bool, Fault> {
        while matches!(self.peek(), Some(b'\n' | b'\r')) {
            self.pass_line_end();
        }
        if self.peek().is_none() {
            return Ok(false);
        }
        record.clear(self.row, self.line);
        loop {
            self.field(record)?;
            record.ends.push(record.bytes.len());
            match self.peek() {
                Some(byte) if byte == self.by => self.at += 1,
                Some(_) => {
                    self.pass_line_end();
                    break;
                }
                None => break,
            }
        }
        let found = record.len();
        let expected = *self.width.get_or_insert(found);
        if found != expected {
            let hint = if self.by == b',' && found > expected {
                "; a comma inside a cell needs quotes around the cell"
            } else {
                ""
            };
            let problem = format!("{expected} fields expected, found {found}{hint}");
            return Err(Fault { row: record.row, line: record.line, problem });
        }
        self.row += 1;
        Ok(true)
    }

    fn field(&mut self, record: &mut Record) -> Result<(), Fault> {
        let is_quoted = self.quotes != Quotes::Plain && self.peek() == Some(b'"');
        record.quoted.push(is_quoted);
        if is_quoted {
            self.quoted(record)?;
        }
        let rest = &self.content[self.at..];
        let ends = |byte: &u8| *byte == self.by || matches!(byte, b'\n' | b'\r');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let bare = &rest[..length];
        if self.quotes == Quotes::Strict && (is_quoted && length > 0 || bare.contains(&b'"')) {
            let problem = "a quote inside a cell is not doubled".to_owned();
            return Err(Fault { row: record.row, line: self.line, problem });
        }
        if is_quoted && length > 0 {
            let first = self.remarks.after_quote.get_or_insert((record.row, record.line, 0));
            first.2 += 1;
        }
        record.bytes.extend_from_slice(bare);
        self.at += length;
        Ok(())
    }

    /// Reads from an opening quote to its closing one.
    fn quoted(&mut self, record: &mut Record) -> Result<(), Fault> {
        let (opened, start) = (self.line, record.bytes.len());
        self.at += 1;
        loop {
            let rest = &self.content[self.at..];
            let Some(length) = rest.iter().position(|byte| matches!(byte, b'"' | b'\n' | b'\r'))
            else {
                let problem = format!(
                    "the quote that opens a cell in line {opened} is never closed; remove it, or \
                     write a quote inside a cell as two"
                );
                return Err(Fault { row: record.row, line: record.line, problem });
            };
            record.bytes.extend_from_slice(&rest[..length]);
            self.at += length;
            if rest[length] != b'"' {
                let before = self.at;
                self.pass_line_end();
                record.bytes.extend_from_slice(&self.content[before..self.at]);
                continue;
            }
            self.at += 1;
            if self.peek() != Some(b'"') {
                break;
            }
            record.bytes.push(b'"');
            self.at += 1;
        }
        if self.line > opened {
            self.suspect(record, start);
        }
        Ok(())
    }

    /// Remarks upon a quoted cell all of whose full lines have as many fields as a record.
    fn suspect(&mut self, record: &Record, start: usize) {
        let between = self.width.unwrap_or(1) - 1;
        let lines: Vec<&[u8]> = record.bytes[start..].split(|byte| *byte == b'\n').collect();
        let inner = lines.get(1..lines.len() - 1).unwrap_or_default();
        let is_record =
            |line: &&[u8]| line.iter().filter(|byte| **byte == self.by).count() == between;
        if between > 0 && inner.len() >= SWALLOWED_MIN && inner.iter().all(is_record) {
            let found = (record.row, record.line, inner.len() + 1);
            self.remarks.swallowed.get_or_insert(found);
        }
    }
}

/// A table of records under the names of its columns.
pub(super) struct Separated<'c> {
    path: &'c Path,
    reader: Reader<'c>,
    names: Vec<String>,
    header: bool,
    /// Another sign that seems to stand between the columns.
    other_sign: Option<&'static str>,
}

impl<'c> Separated<'c> {
    /// Opens a table; its columns are called 1, 2, 3 where the first line does not name them. None
    /// where the format is another one.
    pub(super) fn open(file: &'c Loaded<'_>, header: bool) -> Result<Option<Self>, DataError> {
        let (path, content) = (file.path, &file.content[..]);
        let (by, quotes) = match file.format {
            Format::Csv => (b',', Quotes::Lenient),
            Format::Tsv => (b'\t', quotes(content, header).map_err(|fault| fault.at(path))?),
            Format::JsonLines | Format::Npy | Format::Parquet => return Ok(None),
        };
        let mut reader = Reader::new(content, by, quotes);
        let mut first = Record::default();
        if !reader.next(&mut first).map_err(|fault| fault.at(path))? {
            return Err(DataError::Empty { path: path.to_owned() });
        }
        let single = if first.len() == 1 { first.field(0) } else { &[] };
        // "sep=," is a record of two fields itself.
        let is_short = first.len() == 1 || first.len() == 2 && first.field(1).is_empty();
        let start = first.field(0).get(..4).unwrap_or_default();
        if is_short && start.eq_ignore_ascii_case(b"sep=") {
            let problem = "the line \"sep=\" is a note for spreadsheets and no data; remove it";
            return Err(Fault { row: 0, line: first.line, problem: problem.into() }.at(path));
        }
        let signs = [(b';', "semicolons"), (b'\t', "tabs"), (b'|', "bars"), (b',', "commas")];
        let other = signs.iter().find(|(sign, _)| single.contains(sign)).map(|(_, word)| *word);
        let names = if header {
            first.fields().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect()
        } else {
            let width = reader.width;
            reader = Reader { width, row: 1, ..Reader::new(content, by, quotes) };
            (1..=first.len()).map(|number| number.to_string()).collect()
        };
        Ok(Some(Self { path, reader, names, header, other_sign: other }))
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Where the column `wanted` is.
    pub(super) fn column(&self, wanted: &str) -> Result<usize, DataError> {
        column(self.path, &self.names, wanted).map_err(|error| match (error, self.other_sign) {
            (DataError::Column { path, column, .. }, Some(sign)) => {
                let expected = if self.reader.by == b',' { "commas" } else { "tabs" };
                DataError::Separator { path, column, found: sign, expected }
            }
            (error, _) => error,
        })
    }

    /// Reads the next record; false at the end.
    pub(super) fn next(&mut self, record: &mut Record) -> Result<bool, DataError> {
        if !self.reader.next(record).map_err(|fault| fault.at(self.path))? {
            return Ok(false);
        }
        if self.header && self.names.len() > 1 && self.repeats_header(record) {
            let problem = "the header is repeated: several files were joined; remove it".to_owned();
            return Err(Fault { row: record.row, line: record.line, problem }.at(self.path));
        }
        Ok(true)
    }

    fn repeats_header(&self, record: &Record) -> bool {
        record.fields().zip(&self.names).all(|(field, name)| {
            let field = field.strip_prefix(BYTE_ORDER_MARK).unwrap_or(field);
            field.trim_ascii() == name.as_bytes()
        })
    }

    /// What was read, but may be meant otherwise.
    pub(super) fn remarks(&self) -> Vec<String> {
        let path = self.path.display();
        let mut lines = Vec::new();
        if let Some((row, line, count)) = self.reader.remarks.after_quote {
            lines.push(format!(
                "{path}: cells with text after a closing quote: {count}, the first in row {row} \
                 (line {line}); the quotes were left out"
            ));
        }
        if let Some((row, line, spanned)) = self.reader.remarks.swallowed {
            lines.push(format!(
                "{path}: row {row} (line {line}) has a quoted cell of {spanned} and more lines \
                 that look like rows of their own; check its quotes"
            ));
        }
        lines
    }
}

/// What the quotes of a tab-separated file are.
fn quotes(content: &[u8], header: bool) -> Result<Quotes, Fault> {
    if !content.contains(&b'"') {
        return Ok(Quotes::Plain);
    }
    let [plain, strict] = [Quotes::Plain, Quotes::Strict].map(|quotes| {
        let first = u64::from(!header);
        scan(Reader { row: first, ..Reader::new(content, b'\t', quotes) }, header)
    });
    match (plain.fault, strict.fault) {
        // No writer puts quotes around a field for nothing, but some do so for a whole column.
        (None, None) => {
            let is_meant = strict.needed || strict.columns.contains(&true);
            Ok(if is_meant { Quotes::Strict } else { Quotes::Plain })
        }
        (Some(_), None) => Ok(Quotes::Strict),
        (None, Some(_)) if !plain.needed => Ok(Quotes::Plain),
        (None, Some(fault)) => {
            let problem = format!("{}, while other cells are quoted as in CSV", fault.problem);
            Err(Fault { problem, ..fault })
        }
        (Some(plain), Some(strict)) => Err(if strict.row < plain.row { plain } else { strict }),
    }
}

/// What reading a whole file in one way comes to.
struct Scan {
    fault: Option<Fault>,
    /// Whether quotes enclose a sign that needs them.
    needed: bool,
    /// The columns all of whose fields are quoted.
    columns: Vec<bool>,
}

fn scan(mut reader: Reader<'_>, header: bool) -> Scan {
    let (mut record, mut needed, mut columns) = (Record::default(), false, Vec::new());
    let fault = loop {
        match reader.next(&mut record) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(fault) => break Some(fault),
        }
        if columns.is_empty() {
            columns = vec![true; record.len()];
        }
        for (at, all) in columns.iter_mut().enumerate() {
            let (field, quoted) = (record.field(at), record.quoted[at]);
            // A header may be bare above a column of quoted texts.
            *all &= quoted || header && record.row == 0;
            needed |= match reader.quotes {
                Quotes::Plain => is_doubled(field),
                _ => quoted && field.iter().any(|byte| b"\"\t\n\r".contains(byte)),
            };
        }
    };
    if header && reader.row < 2 {
        columns.clear();
    }
    Scan { fault, needed, columns }
}

/// Whether a field that was read as it is has quotes around it and doubled ones inside.
fn is_doubled(field: &[u8]) -> bool {
    let inner = field.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inner.is_some_and(|inner| {
        let (mut at, mut doubled) = (0, false);
        while at < inner.len() {
            if inner[at] == b'"' {
                if inner.get(at + 1) != Some(&b'"') {
                    return false;
                }
                doubled = true;
                at += 1;
            }
            at += 1;
        }
        doubled
    })
}
