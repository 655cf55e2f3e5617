//! Reads series of numbers: one row for each subject, all of one length.
//!
//! A table (CSV, TSV, Parquet) has a column for each number, besides the columns of labels, group
//! and name; one of Parquet may have a single column of lists instead. An array of NumPy has the
//! numbers alone; its labels lie beside it, in an array of one column (`X_train.npy` and
//! `y_train.npy`, or `week.npy` and `week.labels.npy`) or in a table with a row for each of its
//! rows (`week.labels.csv`).

use std::path::{Path, PathBuf};

use super::error::DataError;
use super::format::Format;
use super::npy::Array;
use super::read::{DataFile, Dataset, Decoded, Loaded, RawRow, Source, group_of, load, read_with};
use super::separated::{Record, Separated};
use super::series_table::{Wanted, check_width, finite, table};
use super::value::Value;

use crate::base::counted;
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
    read_with(source, |file| {
        if file.format == Format::Npy {
            return labelled_array(source, file, length);
        }
        let labels: Vec<&str> = source.label_columns.names().collect();
        let group = source.group_column.as_deref();
        let wanted = Wanted { labels: &labels, group, id: &source.id_column, length };
        let rows = table(file, source.header, &wanted)?;
        let rows = rows.into_iter().map(|row| row.raw).collect();
        Ok(Decoded { rows, ..Decoded::default() })
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
    if file.format == Format::Npy {
        let named = (1..).zip(array(&file, length)?);
        all.extend(named.map(|(row, values)| Series { name: format!("{row}"), values }));
    } else {
        let wanted = Wanted { labels: &[], group: None, id, length };
        for (number, row) in (1..).zip(table(&file, header, &wanted)?) {
            let name = row.id.unwrap_or_else(|| format!("{number}"));
            all.push(Series { name, values: row.raw.values });
        }
    }
    if all.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    Ok(all)
}

/// The rows of an array of NumPy.
fn array(file: &Loaded<'_>, length: u32) -> Result<Vec<Vec<f32>>, DataError> {
    let path = file.path;
    let bad = |problem: String| DataError::Content { path: path.to_owned(), problem };
    let array = Array::read(&file.content).map_err(bad)?;
    check_width(path, (0..array.cols).map(|col| col.to_string()), length)?;
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
    if source.label_columns.names().next().is_none() {
        let alone = |values| RawRow { values, ..RawRow::default() };
        let rows = rows.into_iter().map(alone).collect();
        return Ok(Decoded { rows, ..Decoded::default() });
    }
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
    let rows = joined.map(|(values, raw)| RawRow { values, ..raw }).collect();
    Ok(Decoded { rows, labels: Some(labels_file), remarks: Vec::new() })
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
    if let Some(mut reader) = Separated::open(&labels, source.header)? {
        let find = |name: &str| reader.column(name);
        let at = source.label_columns.names().map(find).collect::<Result<Vec<_>, _>>()?;
        let group = source.group_column.as_deref();
        let group_at = group.map(|name| Ok::<_, DataError>((name, find(name)?))).transpose()?;
        let (mut rows, mut record) = (Vec::new(), Record::default());
        while reader.next(&mut record)? {
            let cell = |at: usize| Ok(Value::Text(record.text(path, at)?.to_owned()));
            let group = |(name, at)| group_of(path, record.row, name, &cell(at)?);
            rows.push(RawRow {
                labels: at.iter().map(|at| cell(*at)).collect::<Result<_, DataError>>()?,
                group: group_at.map(group).transpose()?,
                ..RawRow::default()
            });
        }
        return Ok((rows, data_file));
    }
    let bad = |problem: String| DataError::Content { path: path.clone(), problem };
    let array = Array::read(&labels.content).map_err(bad)?;
    if array.cols != 1 {
        return Err(bad(format!("{} of labels, 1 expected", counted(array.cols, "column"))));
    }
    let row = |row| RawRow { labels: vec![array.label(row)], ..RawRow::default() };
    let rows = (0..array.rows).map(row);
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
    use super::super::{LabelColumns, npy};
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
        for name in ["x.csv", "week.npy"] {
            let mut source = Source::of(root.path().join(name), "text", "label");
            source.label_columns = LabelColumns::Flags(Vec::new());
            let unlabelled = read_series(&source, 3).unwrap();
            assert_eq!(unlabelled.rows[1].values, [3.0, 4.0, 5.0], "{name}");
            assert!(unlabelled.labels.is_empty() && unlabelled.rows[1].classes.is_empty());
        }
        npy.pop();
        crate::base::durable::write(&root.path().join("week.npy"), &npy).unwrap();
        let error = read(&root, "week.npy").unwrap_err();
        assert_eq!(error, "week.npy: 2 rows of 3 numbers announced, 11 bytes found");
    }

    #[test]
    fn other_programs_tables_give_the_same_rows() {
        let file = |name: &str| {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/train/fixtures");
            Source::of(fixtures.join(name), "text", "label")
        };
        let expected = read_series(&file("wide.csv"), 4).unwrap();
        assert_eq!(expected.rows.len(), 6);
        for name in ["wide_snappy", "wide_zstd", "wide_gzip", "wide_lz4", "lists"] {
            let source = file(&format!("{name}.parquet"));
            assert_eq!(read_series(&source, 4).unwrap().rows, expected.rows, "{name}");
            let alone = read_unlabelled(&source.path, true, "id", 4).unwrap();
            assert_eq!(
                (alone[5].name.as_str(), &alone[5].values),
                ("S5", &expected.rows[5].values)
            );
        }
        let error = read_series(&file("lists.parquet"), 5).unwrap_err().to_string();
        assert!(error.ends_with("row 1: column \"week\" holds 4 numbers, 5 expected"), "{error}");
        let error = read_series(&file("wide_zstd.parquet"), 3).unwrap_err().to_string();
        assert!(error.contains("4 columns of numbers (m0, m1, m2, ...), 3 expected"), "{error}");
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
            (
                "x.jsonl",
                b"{}",
                "x.jsonl: unknown format (known: csv, tsv, npy, parquet, each also .gz)",
            ),
            ("x.npy", &npy, "no labels for x.npy: one of x.labels.npy, x.labels.csv"),
            ("x.npy", b"no", "x.npy: not an array of NumPy"),
        ];
        for (name, content, message) in cases {
            let error = read(&place(&[(name, content)]), name).unwrap_err();
            assert!(error.contains(message), "{error:?} lacks {message:?}");
        }
        let root = place(&[("x.npy", &npy), ("x.labels.csv", b"label\n1\n")]);
        assert_eq!(read(&root, "x.npy").unwrap_err(), "x.labels.csv has 1 row, x.npy has 2");
    }
}
