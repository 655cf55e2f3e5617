//! Files that other programs read, made of the tables and of the log's tree.

mod parquet;
pub mod tiles;

use std::io::{self, Write};
use std::sync::Arc;

use self::parquet::{Group, Shape};
use super::source::{LOG_CHECKPOINTS, Reading, Sink, Source, Want, read, threads};
use super::table::{Fold, Role, Row, Seen, Table, Type, Value};

/// A file format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Typed columns, compressed; DuckDB, Polars and pandas read it.
    Parquet,
    /// One JSON object a line.
    Jsonl,
    /// RFC 4180, with a heading.
    Csv,
}

impl Format {
    /// The end of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// Where files go.
pub trait Target {
    /// Begins a file under a relative path.
    ///
    /// # Errors
    /// When it cannot be made.
    fn begin(&mut self, path: &str) -> io::Result<Box<dyn Write + Send>>;
}

/// Rows that lie together in a file: a row group of Parquet.
const ROWS_AT_ONCE: usize = 64 * 1024;

/// Raw bytes of the events that one core reads and writes at a time: about as many small events.
const WINDOW_BYTES: u64 = 8 * 1024 * 1024;

/// How the rows of one table are made ready for its files, on any thread.
struct Maker<'a> {
    table: &'a Table,
    format: Format,
    shape: Shape,
    /// The column whose days part the files.
    recorded: Option<usize>,
}

/// Rows as they will lie in a file.
struct Chunk {
    day: Option<String>,
    rows: u64,
    body: Body,
}

enum Body {
    Group(Group),
    Text(Vec<u8>),
}

impl<'a> Maker<'a> {
    fn new(table: &'a Table, format: Format, by_day: bool) -> io::Result<Self> {
        let recorded = table.columns.iter().position(|c| c.role == Role::Recorded);
        let columns = table.columns.iter().map(|column| (column.name, column.kind));
        let shape = Shape::new(table.name, columns)?;
        Ok(Self { table, format, shape, recorded: recorded.filter(|_| by_day) })
    }

    fn day_of(&self, row: &Row) -> Option<String> {
        match row.get(self.recorded?)? {
            Value::Time(time) => Some(time.date()),
            _ => None,
        }
    }

    fn path(&self, day: Option<&String>) -> String {
        let (name, end) = (self.table.name, self.format.extension());
        match day {
            Some(day) => format!("{name}/day={day}/{name}.{end}"),
            None => format!("{name}.{end}"),
        }
    }

    /// The rows of each day, one chunk each.
    fn chunks(&self, rows: &[Row]) -> io::Result<Vec<Chunk>> {
        let days =
            rows.chunk_by(|a, b| self.recorded.is_none_or(|_| self.day_of(a) == self.day_of(b)));
        let chunk = |rows: &[Row]| {
            let day = rows.first().and_then(|row| self.day_of(row));
            Ok(Chunk { day, rows: rows.len() as u64, body: self.body(rows)? })
        };
        days.map(chunk).collect()
    }

    fn body(&self, rows: &[Row]) -> io::Result<Body> {
        let mut text = Vec::new();
        match self.format {
            Format::Parquet => return self.shape.group(rows).map(Body::Group),
            Format::Jsonl => {
                for row in rows {
                    let cells = self.table.columns.iter().zip(row);
                    let object: serde_json::Map<String, serde_json::Value> =
                        cells.map(|(c, value)| (c.name.to_owned(), value.to_json())).collect();
                    serde_json::to_writer(&mut text, &object)?;
                    text.push(b'\n');
                }
            }
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(&mut text);
                for row in rows {
                    csv.write_record(row.iter().map(|value| value.to_text().into_owned()))?;
                }
                csv.flush()?;
            }
        }
        Ok(Body::Text(text))
    }
}

/// The file being written.
enum Writer {
    Parquet(parquet::Writer<Box<dyn Write + Send>>),
    Text(Box<dyn Write + Send>),
}

impl Writer {
    fn new(maker: &Maker<'_>, mut out: Box<dyn Write + Send>) -> io::Result<Self> {
        if maker.format == Format::Csv {
            let mut csv = csv::Writer::from_writer(&mut out);
            csv.write_record(maker.table.columns.iter().map(|column| column.name))?;
            csv.flush()?;
        }
        Ok(match maker.format {
            Format::Parquet => Self::Parquet(parquet::Writer::new(&maker.shape, out)?),
            Format::Jsonl | Format::Csv => Self::Text(out),
        })
    }

    fn write(&mut self, body: Body) -> io::Result<()> {
        match (self, body) {
            (Self::Parquet(writer), Body::Group(group)) => writer.write(group),
            (Self::Text(out), Body::Text(text)) => out.write_all(&text),
            _ => Err(io::Error::other("BUG: rows of another format")),
        }
    }

    fn end(self) -> io::Result<()> {
        match self {
            Self::Parquet(writer) => writer.end(),
            Self::Text(mut out) => out.flush(),
        }
    }
}

/// The files of one table, one after the other.
struct Files<'a> {
    maker: &'a Maker<'a>,
    target: &'a mut dyn Target,
    open: Option<(Option<String>, Writer)>,
    rows: u64,
}

impl Files<'_> {
    fn write(&mut self, chunk: Chunk) -> io::Result<()> {
        self.rows += chunk.rows;
        // `recorded` only grows: a day that is over does not come again.
        if self.open.as_ref().is_none_or(|(day, _)| *day != chunk.day) {
            self.close()?;
            let out = self.target.begin(&self.maker.path(chunk.day.as_ref()))?;
            self.open = Some((chunk.day, Writer::new(self.maker, out)?));
        }
        match &mut self.open {
            Some((_, writer)) => writer.write(chunk.body),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), |(_, writer)| writer.end())
    }

    fn end(mut self) -> io::Result<u64> {
        if self.open.is_none() {
            // A table without rows has its columns all the same.
            let out = self.target.begin(&self.maker.path(None))?;
            self.open = Some((None, Writer::new(self.maker, out)?));
        }
        self.close()?;
        Ok(self.rows)
    }
}

/// Makes chunks of events while they are read.
struct Making<'a> {
    maker: &'a Maker<'a>,
    fold: fn(&Seen<'_>, &mut Vec<Row>),
    rows: Vec<Row>,
    chunks: io::Result<Vec<Chunk>>,
}

impl Sink for Making<'_> {
    fn take(&mut self, seen: &Seen<'_>) {
        (self.fold)(seen, &mut self.rows);
        if self.rows.len() >= ROWS_AT_ONCE {
            self.end();
        }
    }

    fn end(&mut self) {
        let Ok(chunks) = &mut self.chunks else { return };
        match self.maker.chunks(&self.rows) {
            Ok(made) => chunks.extend(made),
            Err(error) => self.chunks = Err(error),
        }
        self.rows.clear();
    }
}

/// Writes one table: `NAME.EXT`, or by the day of `recorded`, where the table has it, into
/// `NAME/day=YYYY-MM-DD/NAME.EXT`.
/// Gives how many rows there were.
///
/// # Errors
/// When the log cannot be read or files cannot be written.
pub fn write_table(
    source: &Arc<dyn Source>,
    table: &Table,
    format: Format,
    by_day: bool,
    target: &mut dyn Target,
) -> io::Result<u64> {
    let maker = Maker::new(table, format, by_day)?;
    let mut files = Files { maker: &maker, target, open: None, rows: 0 };
    let want = Want::all(table);
    if let Fold::Each(fold) = table.fold
        && table.name != LOG_CHECKPOINTS
    {
        let windows = source.windows(&want, WINDOW_BYTES).map_err(io::Error::other)?;
        for windows in windows.chunks(threads()) {
            let new = || Making { maker: &maker, fold, rows: vec![], chunks: Ok(vec![]) };
            let made = read(&**source, &want, windows.to_vec(), new).map_err(io::Error::other)?;
            for making in made {
                making.chunks?.into_iter().try_for_each(|chunk| files.write(chunk))?;
            }
        }
        return files.end();
    }
    let reading = Reading::new(Arc::clone(source), table, want);
    let mut waiting = Vec::new();
    for rows in reading.map_err(io::Error::other)? {
        waiting.extend(rows.map_err(io::Error::other)?.into_rows());
        if waiting.len() >= ROWS_AT_ONCE {
            maker.chunks(&waiting)?.into_iter().try_for_each(|chunk| files.write(chunk))?;
            waiting.clear();
        }
    }
    maker.chunks(&waiting)?.into_iter().try_for_each(|chunk| files.write(chunk))?;
    files.end()
}

/// Writes an answer as one Parquet file; a column has the type that all its cells have, and is
/// text where they differ.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_parquet(
    out: &mut (dyn Write + Send),
    name: &str,
    columns: &[String],
    rows: &[Row],
) -> io::Result<()> {
    let mut names: Vec<String> = Vec::new();
    for column in columns {
        // Readers find columns by name.
        let mut name = column.clone();
        let mut count = 1;
        while names.contains(&name) {
            count += 1;
            name = format!("{column}_{count}");
        }
        names.push(name);
    }
    let kinds = (0..names.len()).map(|index| Type::of(rows.iter().filter_map(|r| r.get(index))));
    let shape = Shape::new(name, names.iter().map(String::as_str).zip(kinds))?;
    let mut writer = parquet::Writer::new(&shape, out)?;
    for rows in rows.chunks(ROWS_AT_ONCE) {
        writer.write(shape.group(rows)?)?;
    }
    writer.end()
}
