//! Writes tables as CSV, JSON lines or Parquet, in the order of the log, on all cores.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

use super::super::cells::{Batch, Cell, row};
use super::super::source::{LOG_CHECKPOINTS, ScanSpec, Sink, Source, Stored};
use super::super::table::{CsvCells, EventRow, Fold, Role, Row, Rows, Table, Type};
use super::parquet;
use super::parquet::{Group, Shape};
use crate::base::Timestamp;
use crate::base::parallel::{cores, in_order};
use crate::domain::{Kind, all_kinds};

/// A file format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Typed columns, compressed; DuckDB, Polars and pandas read it.
    Parquet,
    /// One JSON object a line.
    Jsonl,
    /// RFC 4180, with a heading.
    Csv(CsvCells),
}

impl Format {
    /// The end of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Jsonl => "jsonl",
            Self::Csv(_) => "csv",
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

/// Fewer rows than these wait for those of the next part of the log.
const ROWS_WORTH_A_GROUP: usize = ROWS_AT_ONCE / 4;

/// Raw bytes of the events that one core reads and writes at a time: about as many small events.
const WINDOW_BYTES: u64 = 8 * 1024 * 1024;

const DAY_NS: i64 = 86_400_000_000_000;

/// How the rows of one table are made ready for its files, on any thread.
struct Maker {
    table: &'static Table,
    format: Format,
    shape: Shape,
    /// The column whose days part the files.
    recorded: Option<usize>,
}

/// Rows as they will lie in a file.
struct Chunk {
    /// The file's day, since 1970.
    day: Option<i64>,
    rows: u64,
    body: Body,
}

enum Body {
    Group(Group),
    Text(Vec<u8>),
}

impl Maker {
    fn new(table: &'static Table, format: Format, by_day: bool) -> io::Result<Self> {
        let recorded = table.columns.iter().position(|c| c.role == Role::Recorded);
        let columns = table.columns.iter().map(|column| (column.name, column.kind));
        let shape = Shape::new(table.name, columns)?;
        Ok(Self { table, format, shape, recorded: recorded.filter(|_| by_day) })
    }

    fn day_of(&self, batch: &Batch, row: usize) -> Option<i64> {
        match batch.cell(row, self.recorded?) {
            Cell::Time(time) => Some(time.0.div_euclid(DAY_NS)),
            _ => None,
        }
    }

    fn path(&self, day: Option<i64>) -> String {
        let (name, end) = (self.table.name, self.format.extension());
        match day {
            Some(day) => {
                let day = Timestamp(day.saturating_mul(DAY_NS)).date();
                format!("{name}/day={day}/{name}.{end}")
            }
            None => format!("{name}.{end}"),
        }
    }

    /// The rows of each day, no more than [`ROWS_AT_ONCE`] in a chunk.
    fn chunks(&self, batch: &Batch, chunks: &mut Vec<Chunk>) -> io::Result<()> {
        let mut start = 0;
        while start < batch.rows() {
            let most = batch.rows().min(start + ROWS_AT_ONCE);
            let day = self.day_of(batch, start);
            let other = |row: &usize| day.is_some() && self.day_of(batch, *row) != day;
            let end = (start + 1..most).find(other).unwrap_or(most);
            let (rows, body) = ((end - start) as u64, self.body(batch, start..end)?);
            chunks.push(Chunk { day, rows, body });
            start = end;
        }
        Ok(())
    }

    fn body(&self, batch: &Batch, rows: Range<usize>) -> io::Result<Body> {
        let columns = self.table.columns;
        let mut text = Vec::new();
        match self.format {
            Format::Parquet => return self.shape.group(batch, rows).map(Body::Group),
            Format::Jsonl => {
                for row in rows {
                    let cells = columns.iter().enumerate();
                    let object: serde_json::Map<String, serde_json::Value> = cells
                        .map(|(at, column)| (column.name.to_owned(), batch.cell(row, at).to_json()))
                        .collect();
                    serde_json::to_writer(&mut text, &object)?;
                    text.push(b'\n');
                }
            }
            Format::Csv(texts) => {
                let mut csv = csv::Writer::from_writer(&mut text);
                for row in rows {
                    let cells = (0..columns.len()).map(|column| batch.cell(row, column).to_text());
                    csv.write_record(cells.map(|cell| texts.text(&cell).into_owned()))?;
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
    fn new(maker: &Maker, mut out: Box<dyn Write + Send>) -> io::Result<Self> {
        if let Format::Csv(_) = maker.format {
            let mut csv = csv::Writer::from_writer(&mut out);
            csv.write_record(maker.table.columns.iter().map(|column| column.name))?;
            csv.flush()?;
        }
        Ok(match maker.format {
            Format::Parquet => Self::Parquet(parquet::Writer::new(&maker.shape, out)?),
            Format::Jsonl | Format::Csv(_) => Self::Text(out),
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
    maker: &'a Maker,
    /// What remembers the events before, where rows depend on them.
    whole: Option<Box<dyn Rows>>,
    /// Rows too few to be written.
    waiting: Batch,
    open: Option<(Option<i64>, Writer)>,
    rows: u64,
}

impl<'a> Files<'a> {
    fn new(maker: &'a Maker) -> Self {
        let whole = match maker.table.fold {
            Fold::Each(_) => None,
            Fold::Whole(rows) => Some(rows()),
        };
        let waiting = Batch::new(maker.table, u64::MAX);
        Self { maker, whole, waiting, open: None, rows: 0 }
    }

    fn write(&mut self, chunk: Chunk, target: &mut dyn Target) -> io::Result<()> {
        self.rows += chunk.rows;
        // `recorded` only grows: a day that is over does not come again.
        if self.open.as_ref().is_none_or(|(day, _)| *day != chunk.day) {
            self.close()?;
            let out = target.begin(&self.maker.path(chunk.day))?;
            self.open = Some((chunk.day, Writer::new(self.maker, out)?));
        }
        match &mut self.open {
            Some((_, writer)) => writer.write(chunk.body),
            None => Ok(()),
        }
    }

    /// Writes what waits, if it is as much as `least`.
    fn flush(&mut self, least: usize, target: &mut dyn Target) -> io::Result<()> {
        if self.waiting.rows() < least {
            return Ok(());
        }
        let mut chunks = Vec::new();
        self.maker.chunks(&self.waiting, &mut chunks)?;
        self.waiting.clear();
        chunks.into_iter().try_for_each(|chunk| self.write(chunk, target))
    }

    fn take(&mut self, made: Made, target: &mut dyn Target) -> io::Result<()> {
        if !made.chunks.is_empty() {
            self.flush(0, target)?;
        }
        made.chunks.into_iter().try_for_each(|chunk| self.write(chunk, target))?;
        self.waiting.append(&made.rest);
        self.flush(ROWS_AT_ONCE, target)
    }

    fn close(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), |(_, writer)| writer.end())
    }

    fn end(mut self, target: &mut dyn Target) -> io::Result<u64> {
        if let Some(whole) = &mut self.whole {
            whole.end(&mut self.waiting);
        }
        self.flush(0, target)?;
        if self.open.is_none() {
            // A table without rows has its columns all the same.
            let out = target.begin(&self.maker.path(None))?;
            self.open = Some((None, Writer::new(self.maker, out)?));
        }
        self.close()?;
        Ok(self.rows)
    }
}

/// What one part of the log gave to one table.
struct Made {
    chunks: Vec<Chunk>,
    /// Rows after those of the chunks.
    rest: Batch,
}

/// Makes the rows of all tables of one part of the log after the other, while it is read.
struct Making<'a> {
    makers: &'a [Maker],
    readers: &'a Readers,
    /// Rows of each table that are in no chunk yet.
    rows: Vec<Batch>,
    chunks: Vec<Vec<Chunk>>,
    /// Events for tables whose rows need those before.
    stored: Stored,
    failed: io::Result<()>,
}

impl<'a> Making<'a> {
    fn new(makers: &'a [Maker], readers: &'a Readers) -> Self {
        let rows = makers.iter().map(|maker| Batch::new(maker.table, u64::MAX)).collect();
        let chunks = makers.iter().map(|_| vec![]).collect();
        Self { makers, readers, rows, chunks, stored: Stored::default(), failed: Ok(()) }
    }

    /// Makes chunks of the rows of a table, if they are as many as `least`.
    fn chunk(&mut self, table: usize, least: usize) {
        let rows = &mut self.rows[table];
        if rows.rows() >= least && self.failed.is_ok() {
            self.failed = self.makers[table].chunks(rows, &mut self.chunks[table]);
            rows.clear();
        }
    }

    /// What the part that was read has given.
    fn end(&mut self) -> io::Result<(Vec<Made>, Stored)> {
        let tables = 0..self.makers.len();
        let made = |table: usize| {
            self.chunk(table, ROWS_WORTH_A_GROUP);
            let mut rest = Batch::new(self.makers[table].table, u64::MAX);
            rest.append(&self.rows[table]);
            self.rows[table].clear();
            Made { chunks: std::mem::take(&mut self.chunks[table]), rest }
        };
        let made = tables.map(made).collect();
        std::mem::replace(&mut self.failed, Ok(()))?;
        Ok((made, std::mem::take(&mut self.stored)))
    }
}

impl Sink for Making<'_> {
    fn take(&mut self, seen: &EventRow<'_>) {
        let mut remembered = false;
        for table in self.readers.of(seen.header.kind) {
            let made = self.makers[*table].table;
            match made.fold {
                _ if !made.takes(seen) => {}
                Fold::Each(fold) => {
                    fold(seen, &mut self.rows[*table]);
                    self.chunk(*table, ROWS_AT_ONCE);
                }
                Fold::Whole(_) => remembered = true,
            }
        }
        if remembered {
            self.stored.take(seen);
        }
    }
}

/// Which tables are made of which kinds.
struct Readers {
    all: Vec<usize>,
    of: BTreeMap<Kind, Vec<usize>>,
}

impl Readers {
    fn new(tables: &[&Table]) -> Self {
        let made_of = |kind: Option<Kind>| {
            let reads = |table: &Table| {
                table.kinds.is_none_or(|kinds| kind.is_some_and(|kind| kinds.contains(&kind)))
            };
            (0..tables.len()).filter(|table| reads(tables[*table])).collect()
        };
        let of = all_kinds().map(|info| (info.kind, made_of(Some(info.kind)))).collect();
        Self { all: made_of(None), of }
    }

    /// The tables that an event of this kind concerns.
    fn of(&self, kind: Kind) -> &[usize] {
        self.of.get(&kind).unwrap_or(&self.all)
    }
}

/// Writes tables in one pass over the log, each as `NAME.EXT`, or by the day of `recorded`, where
/// it has that, into `NAME/day=YYYY-MM-DD/NAME.EXT`. Gives how many rows each had.
///
/// Parts of the log are read, folded and packed on all cores and written in their order: the same
/// log gives the same bytes. In memory are a few parts for each core.
///
/// # Errors
/// When the log cannot be read or files cannot be written.
pub fn write_tables(
    source: &dyn Source,
    tables: &[&'static Table],
    format: Format,
    by_day: bool,
    target: &mut dyn Target,
) -> io::Result<Vec<u64>> {
    let maker = |table: &&'static Table| Maker::new(table, format, by_day);
    let makers = tables.iter().map(maker).collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<Files<'_>> = makers.iter().map(Files::new).collect();
    let (want, readers) = (ScanSpec::of(tables), Readers::new(tables));
    let windows = source.windows(&want, WINDOW_BYTES).map_err(io::Error::other)?;
    let new = || Making::new(&makers, &readers);
    let work = |making: &mut Making<'_>, window: &Range<u64>| {
        source.read(&want, window.clone(), making).map_err(io::Error::other)?;
        making.end()
    };
    in_order(cores(), &windows, new, work, |made: io::Result<(Vec<Made>, Stored)>| {
        let (made, stored) = made?;
        for (files, made) in files.iter_mut().zip(made) {
            files.take(made, target)?;
        }
        let remembered = stored.each(|seen| {
            for table in readers.of(seen.header.kind) {
                let Files { whole, waiting, .. } = &mut files[*table];
                if let Some(whole) = whole {
                    whole.take(seen, waiting);
                }
            }
        });
        remembered.map_err(io::Error::other)
    })?;
    for files in files.iter_mut().filter(|files| files.maker.table.name == LOG_CHECKPOINTS) {
        for (size, note) in source.log_checkpoints().map_err(io::Error::other)? {
            row![files.waiting; size, note];
        }
    }
    files.into_iter().map(|files| files.end(target)).collect()
}

/// Writes an answer as one Parquet file; a column has the type of the table's column that it is,
/// else the one that all its cells have, and is text where they differ.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_parquet(
    out: &mut (dyn Write + Send),
    name: &str,
    columns: &[String],
    declared: &[Option<Type>],
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
    let kind = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let declared = declared.get(index).copied().flatten();
        let holds = |kind: &Type| cells.clone().all(|cell| kind.holds(cell));
        declared.filter(holds).unwrap_or_else(|| Type::of(cells.clone()))
    };
    let kinds: Vec<Type> = (0..names.len()).map(kind).collect();
    let columns = names.iter().map(String::as_str).zip(kinds.iter().copied());
    let shape = Shape::new(name, columns)?;
    let mut writer = parquet::Writer::new(&shape, out)?;
    for rows in rows.chunks(ROWS_AT_ONCE) {
        writer.write(shape.group(&Batch::of_rows(&kinds, rows), 0..rows.len())?)?;
    }
    writer.end()
}
