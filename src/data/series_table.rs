//! Series in the rows of a table: a column for each number, or in Parquet one column of lists.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::DataError;
use super::format::Format;
use super::parquet::Table;
use super::read::{Loaded, RawRow, column, group_of, text_of, unknown};
use super::separated::{Record, Separated};
use super::value::Value;

/// Columns that an error names.
const NAMED_MAX: usize = 3;
/// What series can be read from.
pub(super) const KNOWN: &str = "csv, tsv, npy, parquet";
/// Where no label is asked for, this column is still none of the numbers: files that a model was
/// trained with can be given to it as they are.
const LABEL_COLUMN: &str = "label";

/// What is looked for in a table.
pub(super) struct Wanted<'a> {
    /// The columns of the labels; none where they are not asked for.
    pub(super) labels: &'a [&'a str],
    pub(super) group: Option<&'a str>,
    pub(super) id: &'a str,
    /// Numbers a row.
    pub(super) length: u32,
}

/// One row, and its name where there is a column of names.
#[derive(Default)]
pub(super) struct TableRow {
    pub(super) raw: RawRow,
    pub(super) id: Option<String>,
}

/// What stands where.
struct ColumnIndexes {
    labels: Vec<usize>,
    group: Option<usize>,
    id: Option<usize>,
    /// All the others.
    numbers: Vec<usize>,
}

impl Wanted<'_> {
    fn find(
        &self,
        names: &[String],
        find: impl Fn(&str) -> Result<usize, DataError>,
    ) -> Result<ColumnIndexes, DataError> {
        let labels = self.labels.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        let group = self.group.map(&find).transpose()?;
        let at = |wanted: &str| names.iter().position(|name| name == wanted);
        let id = at(self.id);
        let unasked = if labels.is_empty() { at(LABEL_COLUMN) } else { None };
        let none = [group, id, unasked];
        let is_number = |at: &usize| !labels.contains(at) && !none.contains(&Some(*at));
        let numbers = (0..names.len()).filter(is_number).collect();
        Ok(ColumnIndexes { labels, group, id, numbers })
    }
}

impl ColumnIndexes {
    /// Takes all but the numbers out of a row, given how to read one of its fields.
    fn take(
        &self,
        (path, row): (&Path, u64),
        names: &[String],
        field: impl Fn(usize) -> Result<Value, DataError>,
    ) -> Result<TableRow, DataError> {
        let labels = self.labels.iter().map(|at| field(*at)).collect::<Result<_, _>>()?;
        let group = |at: usize| group_of(path, row, &names[at], &field(at)?);
        let id = |at: usize| text_of(path, row, &names[at], &field(at)?);
        let (group, id) = (self.group.map(group).transpose()?, self.id.map(id).transpose()?);
        Ok(TableRow { raw: RawRow { labels, group, ..RawRow::default() }, id })
    }
}

/// Refuses another number of columns than expected; `names` are theirs.
pub(super) fn check_width(
    path: &Path,
    names: impl ExactSizeIterator<Item = String>,
    expected: u32,
) -> Result<(), DataError> {
    let found = names.len();
    if found == expected as usize {
        return Ok(());
    }
    let first: Vec<String> = names.take(NAMED_MAX).collect();
    let (path, first) = (path.to_owned(), format!("{}, ...", first.join(", ")));
    Err(DataError::Width { path, expected, found, first })
}

/// The number as models take it, unless it is none.
pub(super) fn finite(value: Option<f64>) -> Option<f32> {
    value.map(|value| value as f32).filter(|value| value.is_finite())
}

/// Reads the rows of a table of whatever format.
pub(super) fn table(
    file: &Loaded<'_>,
    header: bool,
    wanted: &Wanted<'_>,
) -> Result<Vec<TableRow>, DataError> {
    match Separated::open(file, header)? {
        Some(reader) => separated_rows(file.path, reader, wanted),
        None if file.format == Format::Parquet => parquet_rows(file, wanted),
        None => Err(unknown(file.path, KNOWN)),
    }
}

fn separated_rows(
    path: &Path,
    mut reader: Separated<'_>,
    wanted: &Wanted<'_>,
) -> Result<Vec<TableRow>, DataError> {
    let names = reader.names().to_vec();
    let found = wanted.find(&names, |name| reader.column(name))?;
    check_width(path, found.numbers.iter().map(|at| names[*at].clone()), wanted.length)?;
    let (mut rows, mut record) = (Vec::new(), Record::default());
    while reader.next(&mut record)? {
        let field = |at: usize| Ok(Value::Text(record.text(path, at)?.to_owned()));
        let mut taken = found.take((path, record.row), &names, field)?;
        let number = |at: &usize| {
            let cell = record.text(path, *at)?;
            let value = finite(cell.trim().parse().ok());
            value.ok_or_else(|| not_a_number(path, record.row, &names[*at], cell))
        };
        taken.raw.values = found.numbers.iter().map(number).collect::<Result<_, _>>()?;
        rows.push(taken);
    }
    Ok(rows)
}

fn not_a_number(path: &Path, row: u64, column: &str, found: &str) -> DataError {
    let (path, column, found) = (path.to_owned(), column.to_owned(), found.to_owned());
    DataError::Number { path, row, column, found }
}

fn parquet_rows(file: &Loaded<'_>, wanted: &Wanted<'_>) -> Result<Vec<TableRow>, DataError> {
    let path = file.path;
    let bad = |problem: String| DataError::Content { path: path.to_owned(), problem };
    let table = Table::open(file.content.clone()).map_err(bad)?;
    let names = table.names();
    let found = wanted.find(names, |name| column(path, names, name))?;
    let values = parquet_numbers(&table, path, &found.numbers, wanted.length)?;
    let others = found.labels.iter().copied().chain(found.group).chain(found.id);
    let cells = others
        .map(|at| Ok((at, table.column(at).map_err(bad)?)))
        .collect::<Result<BTreeMap<usize, Vec<Value>>, DataError>>()?;
    let row = |(row, values): (usize, Vec<f32>)| {
        let field = |at: usize| Ok(cells[&at][row].clone());
        let mut taken = found.take((path, row as u64 + 1), names, field)?;
        taken.raw.values = values;
        Ok(taken)
    };
    values.into_iter().enumerate().map(row).collect()
}

/// The numbers of each row, from as many columns or from one of lists.
fn parquet_numbers(
    table: &Table,
    path: &Path,
    columns: &[usize],
    length: u32,
) -> Result<Vec<Vec<f32>>, DataError> {
    let bad = |problem: String| DataError::Content { path: path.to_owned(), problem };
    let (names, width) = (table.names(), length as usize);
    if let [only] = *columns
        && width != 1
    {
        let lists = (1..).zip(table.column(only).map_err(bad)?);
        let numbers = |(row, list)| numbers_of(&list, path, row, &names[only], width);
        return lists.map(numbers).collect();
    }
    check_width(path, columns.iter().map(|at| names[*at].clone()), length)?;
    let mut rows = vec![Vec::with_capacity(width); table.rows()];
    // Column by column: all cells at once would take many times the memory of their numbers.
    for at in columns {
        let cells = table.column(*at).map_err(bad)?;
        for (row, (values, cell)) in (1..).zip(rows.iter_mut().zip(cells)) {
            let found = || not_a_number(path, row, &names[*at], &cell.to_json());
            values.push(finite(cell.number()).ok_or_else(found)?);
        }
    }
    Ok(rows)
}

/// The numbers of a list, `width` of them.
fn numbers_of(
    list: &Value,
    path: &Path,
    row: u64,
    column: &str,
    width: usize,
) -> Result<Vec<f32>, DataError> {
    let problem = |problem: String| {
        let (path, column) = (path.to_owned(), column.to_owned());
        DataError::Cell { path, row, column, problem }
    };
    let Value::List(values) = list else {
        return Err(problem(format!("is not a list of {width} numbers")));
    };
    if values.len() != width {
        return Err(problem(format!("holds {} numbers, {width} expected", values.len())));
    }
    let number = |value: &Value| {
        let found = value.to_json();
        finite(value.number()).ok_or_else(|| not_a_number(path, row, column, &found))
    };
    values.iter().map(number).collect()
}
