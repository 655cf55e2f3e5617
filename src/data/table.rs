//! The rows of a file under the names of its columns, in whatever format it is: the one place where
//! CSV, TSV, JSON Lines and Parquet become the same rows.

use std::path::Path;

use super::error::DataError;
use super::format::Format;
use super::json;
use super::parquet::Table as Parquet;
use super::read::{Loaded, column, text_of, unknown};
use super::separated::{Record, Separated};
use super::value::Value;

/// What tables of texts are read from.
const KNOWN: &str = "csv, tsv, jsonl, parquet";
/// Keys of JSON that a message about a missing one names.
const OTHERS_MAX: usize = 50;

/// Rows, each with a value for every column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub names: Vec<String>,
    /// The rows, in file order.
    pub rows: Vec<Vec<Value>>,
    /// What was read, but may be meant otherwise; for people.
    pub remarks: Vec<String>,
}

impl Table {
    /// The texts in a column, empty where a row has none; `path` is for messages.
    ///
    /// # Errors
    /// When there is no such column, or a row has something else than a text there.
    pub fn texts(&self, path: &Path, name: &str) -> Result<Vec<String>, DataError> {
        let at = column(path, &self.names, name)?;
        let rows = (1..).zip(&self.rows);
        rows.map(|(row, values)| text_of(path, row, name, &values[at])).collect()
    }
}

/// Reads the columns `wanted` in their order, or all columns.
///
/// # Errors
/// [`DataError`] for anything that is not understood and for columns that no row has.
pub(super) fn table(
    file: &Loaded<'_>,
    header: bool,
    wanted: Option<&[&str]>,
) -> Result<Table, DataError> {
    match file.format {
        Format::Csv | Format::Tsv => separated(file, header, wanted),
        Format::JsonLines => json_lines(file.path, &file.content, wanted),
        Format::Parquet => parquet(file, wanted),
        Format::Npy => Err(unknown(file.path, KNOWN)),
    }
}

/// The names and places of the columns, given all names and how to find one.
fn columns(
    path: &Path,
    names: &[String],
    wanted: Option<&[&str]>,
    find: impl Fn(&str) -> Result<usize, DataError>,
) -> Result<(Vec<String>, Vec<usize>), DataError> {
    let Some(wanted) = wanted else {
        // A column without a name, such as an index of pandas, is called by its number.
        let named = |(at, name): (usize, &String)| {
            if name.is_empty() { (at + 1).to_string() } else { name.clone() }
        };
        let names: Vec<String> = names.iter().enumerate().map(named).collect();
        if let Some(twice) = twice(&names) {
            return Err(DataError::TwoColumns { path: path.to_owned(), column: twice.to_owned() });
        }
        let places = (0..names.len()).collect();
        return Ok((names, places));
    };
    let places = wanted.iter().map(|name| find(name)).collect::<Result<_, _>>()?;
    Ok((wanted.iter().map(|name| (*name).to_owned()).collect(), places))
}

/// The first name that is there twice.
fn twice(names: &[String]) -> Option<&str> {
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.windows(2).find(|two| two[0] == two[1]).map(|two| two[0])
}

fn separated(file: &Loaded<'_>, header: bool, wanted: Option<&[&str]>) -> Result<Table, DataError> {
    let Some(mut reader) = Separated::open(file, header)? else {
        return Err(unknown(file.path, KNOWN));
    };
    let find = |name: &str| reader.column(name);
    let (names, places) = columns(file.path, reader.names(), wanted, find)?;
    let (mut rows, mut record) = (Vec::new(), Record::default());
    while reader.next(&mut record)? {
        let cell = |at: &usize| Ok(Value::Text(record.text(file.path, *at)?.to_owned()));
        rows.push(places.iter().map(cell).collect::<Result<_, DataError>>()?);
    }
    Ok(Table { names, rows, remarks: reader.remarks() })
}

fn json_lines(path: &Path, content: &[u8], wanted: Option<&[&str]>) -> Result<Table, DataError> {
    let mut names: Vec<String> =
        wanted.unwrap_or_default().iter().map(|name| (*name).to_owned()).collect();
    // In how many rows each of them is.
    let mut found = vec![0_u64; names.len()];
    let mut others: Vec<String> = Vec::new();
    let mut table = Table::default();
    let mut twice: Option<(u64, u64, String, u64)> = None;
    let lines = content.split(|byte| *byte == b'\n').enumerate();
    for (index, bytes) in lines.filter(|(_, bytes)| !bytes.trim_ascii().is_empty()) {
        let (row, line) = (table.rows.len() as u64 + 1, index as u64 + 1);
        let owned = || path.to_owned();
        let text = std::str::from_utf8(bytes).map_err(|_| DataError::Encoding {
            path: owned(),
            row,
            line,
        })?;
        let object = json::object(text).map_err(|message| DataError::Syntax {
            path: owned(),
            row,
            line,
            message,
        })?;
        if let Some(key) = object.twice {
            twice.get_or_insert((row, line, key, 0)).3 += 1;
        }
        let mut values = vec![Value::Null; names.len()];
        for (key, value) in object.members {
            let mut is_wanted = false;
            // One column may be wanted twice, as label and as auxiliary head.
            for at in (0..names.len()).filter(|at| names[*at] == key) {
                is_wanted = true;
                found[at] += 1;
                values[at] = value.clone();
            }
            if !is_wanted && wanted.is_none() {
                names.push(key);
                found.push(1);
                values.push(value);
            } else if !is_wanted && !others.contains(&key) && others.len() < OTHERS_MAX {
                others.push(key);
            }
        }
        table.rows.push(values);
    }
    if let Some(at) = found.iter().position(|rows| *rows == 0).filter(|_| !table.rows.is_empty()) {
        let known: Vec<String> = (0..names.len())
            .filter(|name| found[*name] > 0)
            .map(|name| names[name].clone())
            .chain(others)
            .collect();
        column(path, &known, &names[at])?;
    }
    table.rows.iter_mut().for_each(|row| row.resize(names.len(), Value::Null));
    table.remarks.extend(twice.map(|(row, line, key, count)| {
        format!(
            "{}: rows with a key twice: {count}, the first is \"{key}\" in row {row} (line \
             {line}); the last value was read",
            path.display()
        )
    }));
    Ok(Table { names, ..table })
}

fn parquet(file: &Loaded<'_>, wanted: Option<&[&str]>) -> Result<Table, DataError> {
    let path = file.path;
    let bad = |problem: String| DataError::Content { path: path.to_owned(), problem };
    let table = Parquet::open(file.content.clone()).map_err(bad)?;
    let find = |name: &str| column(path, table.names(), name);
    let (mut names, mut places) = columns(path, table.names(), wanted, find)?;
    let mut remarks = Vec::new();
    if wanted.is_none() {
        // A column that nobody asked for does not keep the others from being read.
        places.retain(|at| match table.unreadable(*at) {
            Some(problem) => {
                remarks.push(format!("{}: {problem}: it was left out", path.display()));
                false
            }
            None => true,
        });
        names = places.iter().map(|at| names[*at].clone()).collect();
    }
    let mut rows = vec![Vec::with_capacity(places.len()); table.rows()];
    for at in places {
        let values = table.column(at).map_err(bad)?;
        rows.iter_mut().zip(values).for_each(|(row, value)| row.push(value));
    }
    Ok(Table { names, rows, remarks })
}
