//! Files that other programs read, made of the tables and of the log's tree.

mod parquet;
pub mod tiles;

use std::io::{self, Write};

use super::query::{Reading, Source, Want};
use super::table::{Role, Row, Table, Value};

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

/// Rows that a table's file takes before they are written out.
const ROWS_AT_ONCE: usize = 64 * 1024;

/// A table's rows on their way into one file.
enum Writer {
    Parquet(parquet::Writer),
    Jsonl(Box<dyn Write + Send>),
    Csv(csv::Writer<Box<dyn Write + Send>>),
}

impl Writer {
    fn new(format: Format, table: &Table, out: Box<dyn Write + Send>) -> io::Result<Self> {
        Ok(match format {
            Format::Parquet => Self::Parquet(parquet::Writer::new(table, out)?),
            Format::Jsonl => Self::Jsonl(out),
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                csv.write_record(table.columns.iter().map(|column| column.name))?;
                Self::Csv(csv)
            }
        })
    }

    fn write(&mut self, table: &Table, rows: &[Row]) -> io::Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(table, rows)?,
            Self::Jsonl(out) => {
                for row in rows {
                    let cells = table.columns.iter().zip(row);
                    let object: serde_json::Map<String, serde_json::Value> =
                        cells.map(|(c, value)| (c.name.to_owned(), value.to_json())).collect();
                    serde_json::to_writer(&mut *out, &object)?;
                    out.write_all(b"\n")?;
                }
            }
            Self::Csv(csv) => {
                for row in rows {
                    csv.write_record(row.iter().map(|value| value.to_text().into_owned()))?;
                }
            }
        }
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        match self {
            Self::Parquet(writer) => writer.end(),
            Self::Jsonl(mut out) => out.flush(),
            Self::Csv(mut csv) => csv.flush(),
        }
    }
}

/// Writes one table: `NAME.EXT`, or by the day of `recorded`, where the table has it, into
/// `NAME/day=YYYY-MM-DD/NAME.EXT`.
/// Gives how many rows there were.
///
/// # Errors
/// When the log cannot be read or files cannot be written.
pub fn write_table(
    source: &dyn Source,
    table: &Table,
    format: Format,
    by_day: bool,
    target: &mut dyn Target,
) -> io::Result<u64> {
    let (name, end) = (table.name, format.extension());
    let recorded = table.columns.iter().position(|c| c.role == Role::Recorded).filter(|_| by_day);
    let day_of = |row: &Row| match recorded.and_then(|index| row.get(index)) {
        Some(Value::Time(time)) => Some(time.date()),
        _ => None,
    };
    let path = |day: &Option<String>| match day {
        Some(day) => format!("{name}/day={day}/{name}.{end}"),
        None => format!("{name}.{end}"),
    };
    let mut reading = Reading::new(table, Want::all(table));
    let (mut count, mut waiting) = (0, Vec::new());
    let mut open: Option<(Option<String>, Writer)> = None;
    let mut flush = |rows: &mut Vec<Row>, open: &mut Option<(Option<String>, Writer)>| {
        for rows in rows.chunk_by(|a, b| day_of(a) == day_of(b)) {
            let day = rows.first().and_then(day_of);
            // `recorded` only grows: a day that is over does not come again.
            if open.as_ref().is_none_or(|(known, _)| *known != day) {
                if let Some((_, writer)) = open.take() {
                    writer.end()?;
                }
                let writer = Writer::new(format, table, target.begin(&path(&day))?)?;
                *open = Some((day, writer));
            }
            if let Some((_, writer)) = open {
                writer.write(table, rows)?;
            }
        }
        rows.clear();
        Ok::<_, io::Error>(())
    };
    while let Some(rows) = reading.next(source).map_err(io::Error::other)? {
        count += rows.len() as u64;
        waiting.extend(rows);
        if waiting.len() >= ROWS_AT_ONCE {
            flush(&mut waiting, &mut open)?;
        }
    }
    flush(&mut waiting, &mut open)?;
    match open {
        Some((_, writer)) => writer.end()?,
        // A table without rows has its columns all the same.
        None => Writer::new(format, table, target.begin(&path(&None))?)?.end()?,
    }
    Ok(count)
}
