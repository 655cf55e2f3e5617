//! Reads series of numbers: one row for each subject, all of one length.
//!
//! A table (CSV, TSV) has a column for each number, besides the columns of labels, group and
//! name. An array of NumPy has the numbers alone; its labels lie beside it, in an array of one
//! column (`X_train.npy` and `y_train.npy`, or `week.npy` and `week.labels.npy`) or in a table
//! with a row for each of its rows (`week.labels.csv`).

use std::path::{Path, PathBuf};

use super::error::DataError;
use super::format::Format;
use super::npy::Array;
use super::read::{
    DataFile, Dataset, Decoded, Loaded, RawRow, Source, cell, column, csv_error, load, read_with,
    separated, unknown,
};

/// Columns that an error names.
const NAMED_MAX: usize = 3;
const KNOWN: &str = "csv, tsv, npy";
/// Columns that are no numbers where no label is asked for: files a model was trained with can be
/// given to it as they are.
const LABEL_COLUMN: &str = "label";

/// A series to be scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the file, or its number there, counted from 1.
    pub name: String,
    /// Its numbers.
    pub values: Vec<f32>,
}

/// Reads series of `length` numbers with their labels, as [`read`](super::read()) reads texts.
///
/// # Errors
/// [`DataError`] for anything that is not understood, naming the file and the row.
pub fn read_series(source: &Source, length: u32) -> Result<Dataset, DataError> {
    read_with(source, |file| match separator(file.format) {
        Some(by) => {
            let mut rows = Vec::new();
            let labels: Vec<&str> = source.label_columns.names().collect();
            let group = source.group_column.as_deref();
            let columns = Wanted { labels: &labels, group, id: &source.id_column, length };
            table(file, by, source.header, &columns, |row| rows.push(row.raw))?;
            Ok((rows, None))
        }
        None if file.format == Format::Npy => labelled_array(source, file, length),
        None => Err(unknown(file.path, KNOWN)),
    })
}

/// Reads series of `length` numbers without labels.
///
/// # Errors
/// As [`read_series`].
pub fn read_unlabelled(
    path: &Path,
    header: bool,
    id: &str,
    length: u32,
) -> Result<Vec<Series>, DataError> {
    let (_, file) = load(path, None)?;
    let mut all = Vec::new();
    if let Some(by) = separator(file.format) {
        let (_, names) = separated(header, path, &file.content, by)?;
        let labels: &[&str] =
            if names.iter().any(|name| name == LABEL_COLUMN) { &[LABEL_COLUMN] } else { &[] };
        let columns = Wanted { labels, group: None, id, length };
        table(&file, by, header, &columns, |row| {
            let name = row.id.unwrap_or_else(|| (all.len() + 1).to_string());
            all.push(Series { name, values: row.raw.values });
        })?;
    } else if file.format == Format::Npy {
        let rows = array(&file, length)?;
        let named = (1..).zip(rows);
        all.extend(named.map(|(row, values)| Series { name: format!("{row}"), values }));
    } else {
        return Err(unknown(path, KNOWN));
    }
    if all.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    Ok(all)
}

fn separator(format: Format) -> Option<u8> {
    match format {
        Format::Csv => Some(b','),
        Format::Tsv => Some(b'\t'),
        Format::JsonLines | Format::Npy => None,
    }
}

/// What is looked for in a table.
struct Wanted<'a> {
    labels: &'a [&'a str],
    group: Option<&'a str>,
    id: &'a str,
    length: u32,
}

struct TableRow {
    raw: RawRow,
    id: Option<String>,
}

fn table(
    file: &Loaded<'_>,
    by: u8,
    header: bool,
    wanted: &Wanted<'_>,
    mut take: impl FnMut(TableRow),
) -> Result<(), DataError> {
    let path = file.path;
    let (mut reader, names) = separated(header, path, &file.content, by)?;
    let find = |name: &&str| column(path, &names, name);
    let labels = wanted.labels.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let group = wanted.group.as_ref().map(find).transpose()?;
    let id = names.iter().position(|name| name == wanted.id);
    let is_number = |at: &usize| !labels.contains(at) && group != Some(*at) && id != Some(*at);
    let numbers: Vec<usize> = (0..names.len()).filter(is_number).collect();
    let named = numbers.iter().take(NAMED_MAX).map(|at| names[*at].as_str());
    check_width(path, numbers.len(), wanted.length, &named.collect::<Vec<_>>().join(", "))?;
    for (row, record) in (1..).zip(reader.byte_records()) {
        let record = record.map_err(|e| csv_error(path, row, &e))?;
        let text = |at: usize| cell(path, row, &record, at);
        let number = |at: &usize| {
            let found = text(*at)?;
            finite(found.trim().parse().ok()).ok_or_else(|| DataError::Number {
                path: path.to_owned(),
                row,
                column: names[*at].clone(),
                found: found.to_owned(),
            })
        };
        let owned = |at: usize| text(at).map(str::to_owned);
        take(TableRow {
            raw: RawRow {
                text: String::new(),
                values: numbers.iter().map(number).collect::<Result<_, _>>()?,
                labels: labels.iter().map(|at| owned(*at)).collect::<Result<_, _>>()?,
                group: group.map(owned).transpose()?,
                extra: Vec::new(),
            },
            id: id.map(owned).transpose()?,
        });
    }
    Ok(())
}

fn check_width(path: &Path, found: usize, expected: u32, first: &str) -> Result<(), DataError> {
    if found == expected as usize {
        return Ok(());
    }
    let (path, first) = (path.to_owned(), format!("{first}, ..."));
    Err(DataError::Width { path, expected, found, first })
}

fn finite(value: Option<f64>) -> Option<f32> {
    value.map(|value| value as f32).filter(|value| value.is_finite())
}

/// The rows of an array of NumPy.
fn array(file: &Loaded<'_>, length: u32) -> Result<Vec<Vec<f32>>, DataError> {
    let path = file.path;
    let bad = |problem: String| DataError::Npy { path: path.to_owned(), problem };
    let array = Array::read(&file.content).map_err(bad)?;
    check_width(path, array.cols, length, "0, 1, 2")?;
    let number = |row: usize, (col, value): (usize, f64)| {
        finite(Some(value)).ok_or_else(|| DataError::Number {
            path: path.to_owned(),
            row: row as u64 + 1,
            column: col.to_string(),
            found: value.to_string(),
        })
    };
    let row = |row: usize| array.row(row).enumerate().map(|cell| number(row, cell)).collect();
    (0..array.rows).map(row).collect()
}

fn labelled_array(source: &Source, file: &Loaded<'_>, length: u32) -> Result<Decoded, DataError> {
    let rows = array(file, length)?;
    let (labels, mut labels_file) = labels_beside(source, file)?;
    if labels.len() != rows.len() {
        return Err(DataError::LabelRows {
            path: file.path.to_owned(),
            rows: rows.len(),
            labels: labels_file.path,
            found: labels.len(),
        });
    }
    labels_file.split = file.split;
    let joined = rows.into_iter().zip(labels);
    Ok((joined.map(|(values, raw)| RawRow { values, ..raw }).collect(), Some(labels_file)))
}

/// The labels of an array, from the first file beside it that may hold them.
fn labels_beside(source: &Source, file: &Loaded<'_>) -> Result<(Vec<RawRow>, DataFile), DataError> {
    let looked_for = names_of_labels(file.path);
    let found = looked_for.iter().find(|path| path.is_file());
    let path = found.ok_or_else(|| DataError::NoLabels {
        path: file.path.to_owned(),
        looked_for: looked_for.iter().map(|path| path.display().to_string()).collect(),
    })?;
    let (data_file, labels) = load(path, None)?;
    if let Some(by) = separator(labels.format) {
        let (mut reader, names) = separated(source.header, path, &labels.content, by)?;
        let find = |name: &str| column(path, &names, name);
        let at = source.label_columns.names().map(find).collect::<Result<Vec<_>, _>>()?;
        let group = source.group_column.as_deref().map(find).transpose()?;
        let mut rows = Vec::new();
        for (row, record) in (1..).zip(reader.byte_records()) {
            let record = record.map_err(|e| csv_error(path, row, &e))?;
            let owned = |at: usize| cell(path, row, &record, at).map(str::to_owned);
            rows.push(RawRow {
                labels: at.iter().map(|at| owned(*at)).collect::<Result<_, _>>()?,
                group: group.map(owned).transpose()?,
                ..RawRow::default()
            });
        }
        return Ok((rows, data_file));
    }
    let bad = |problem: String| DataError::Npy { path: path.clone(), problem };
    let array = Array::read(&labels.content).map_err(bad)?;
    if array.cols != 1 {
        return Err(bad(format!("{} columns of labels, 1 expected", array.cols)));
    }
    // Whole numbers lose their fraction in print: 1.0 is the label 1.
    let label = |row: usize| array.row(row).map(|value| value.to_string()).collect();
    let rows = (0..array.rows).map(|row| RawRow { labels: label(row), ..RawRow::default() });
    Ok((rows.collect(), data_file))
}

/// `X_a.npy` has its labels in `y_a.npy`; any `b.npy` in `b.labels.npy`, `.csv` or `.tsv`.
fn names_of_labels(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split_once('.').map_or(&*name, |(stem, _)| stem);
    let mut names: Vec<PathBuf> = ["npy", "csv", "tsv"]
        .into_iter()
        .map(|ending| path.with_file_name(format!("{stem}.labels.{ending}")))
        .collect();
    if let Some(rest) = name.strip_prefix('X') {
        names.insert(0, path.with_file_name(format!("y{rest}")));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::npy;
    use super::*;

    fn place(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            crate::base::durable::write(&root.path().join(name), content).unwrap();
        }
        root
    }

    fn read(root: &tempfile::TempDir, name: &str) -> Result<Dataset, String> {
        let source = Source::of(root.path().join(name), "text", "label");
        let place = format!("{}/", root.path().display());
        read_series(&source, 3).map_err(|e| e.to_string().replace(&place, ""))
    }

    #[test]
    fn tables_and_arrays_give_the_same_rows() {
        let csv = b"id,label,m0,m1,m2\nA,1,0,1.5,2\nB,0,3,4,5\n";
        let mut npy = npy::write(3, &[0, 1, 2, 3, 4, 5]);
        let labels = b"label\n1\n0\n";
        let root = place(&[
            ("x.csv", csv),
            ("week.npy", &npy),
            ("week.labels.csv", labels),
            ("X_a.npy", &npy),
            ("y_a.npy", &npy::write(1, &[1, 0])),
        ]);
        let table = read(&root, "x.csv").unwrap();
        assert_eq!(table.label_names(), ["0", "1"]);
        assert_eq!(table.rows[0].values, [0.0, 1.5, 2.0]);
        assert_eq!((&table.rows[0].classes[..], &table.rows[1].classes[..]), (&[1][..], &[0][..]));
        for name in ["week.npy", "X_a.npy"] {
            let array = read(&root, name).unwrap();
            assert_eq!(array.rows[1], table.rows[1], "{name}");
            assert_eq!(array.files.len(), 2, "the labels are data too");
            assert_eq!(array.fixed_splits().len(), 2);
        }
        let alone = read_unlabelled(&root.path().join("x.csv"), true, "id", 3).unwrap();
        assert_eq!((alone[1].name.as_str(), &alone[1].values[..]), ("B", &[3.0, 4.0, 5.0][..]));
        let alone = read_unlabelled(&root.path().join("week.npy"), true, "id", 3).unwrap();
        assert_eq!((alone[1].name.as_str(), &alone[1].values[..]), ("2", &[3.0, 4.0, 5.0][..]));
        npy.pop();
        crate::base::durable::write(&root.path().join("week.npy"), &npy).unwrap();
        let error = read(&root, "week.npy").unwrap_err();
        assert_eq!(error, "week.npy: 2 rows of 3 numbers announced, 11 bytes found");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let npy = npy::write(3, &[0, 1, 2, 3, 4, 5]);
        let cases: &[(&str, &[u8], &str)] = &[
            ("x.csv", b"label,a,b\n1,2,3\n", "x.csv: 2 columns of numbers (a, b, ...), 3 expected"),
            ("x.csv", b"SEQN,label,a,b,c\n", "4 columns of numbers (SEQN, a, b, ...), 3 expected"),
            ("x.csv", b"label,a,b,c\n1,2,,4\n", "row 1: \"\" in column \"b\" is not a finite"),
            ("x.csv", b"label,a,b,c\n1,2,nan,4\n", "\"nan\" in column \"b\" is not a finite"),
            ("x.csv", b"label,a,b,c\n1,2,1e99,4\n", "\"1e99\" in column \"b\" is not a finite"),
            ("x.csv", b"lable,a,b,c\n1,2,3,4\n", "no column \"label\", did you mean \"lable\"?"),
            ("x.csv", b"label,a,b,c\n", "x.csv holds no rows"),
            ("x.jsonl", b"{}", "x.jsonl: unknown format (known: csv, tsv, npy, each also .gz)"),
            ("x.npy", &npy, "no labels for x.npy: one of x.labels.npy, x.labels.csv"),
            ("x.npy", b"no", "x.npy: not an array of NumPy"),
        ];
        for (name, content, message) in cases {
            let error = read(&place(&[(name, content)]), name).unwrap_err();
            assert!(error.contains(message), "{error:?} lacks {message:?}");
        }
        let root = place(&[("x.npy", &npy), ("x.labels.csv", b"label\n1\n")]);
        assert_eq!(read(&root, "x.npy").unwrap_err(), "x.labels.csv has 1 rows, x.npy has 2");
    }
}
