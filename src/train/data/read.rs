//! Reads one file of labelled texts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::format::Format;
use super::label::{Label, LabelColumns, LabelSpec, classify};
use super::parquet::{Table, Value};
use crate::base::{Digest, Split, suggest};
use crate::train::Pickle;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where labelled texts are, and how to read them.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file of the training rows, and of all rows of a split that has no file of its own.
    pub path: PathBuf,
    /// The file of the validation rows, where there is one.
    pub valid: Option<PathBuf>,
    /// The file of the test rows, where there is one.
    pub test: Option<PathBuf>,
    /// Whether the first line of a CSV or TSV file names the columns; they are 1, 2, 3 otherwise.
    pub header: bool,
    /// The column of the text.
    pub text_column: String,
    /// Where the labels of a row stand.
    pub label_columns: LabelColumns,
    /// How labels become classes.
    pub labels: LabelSpec,
    /// The column whose equal values must stay in one split, such as a patient.
    pub group_column: Option<String>,
    /// Columns of further labels, which a row may lack.
    pub extra_columns: Vec<String>,
    /// The column of a name for each series, which is none of its numbers.
    pub id_column: String,
}

/// The column of names where no other is asked for.
pub const ID_COLUMN: &str = "id";

impl Source {
    /// One file with a header, its label column and whatever labels stand there.
    pub fn of(path: PathBuf, text_column: &str, label_column: &str) -> Self {
        Self {
            path,
            valid: None,
            test: None,
            header: true,
            text_column: text_column.to_owned(),
            label_columns: LabelColumns::One(label_column.to_owned()),
            labels: LabelSpec::Infer,
            group_column: None,
            extra_columns: Vec::new(),
            id_column: ID_COLUMN.to_owned(),
        }
    }

    fn files(&self) -> impl Iterator<Item = (&Path, Option<Split>)> {
        let whole = self.valid.is_some() && self.test.is_some();
        [
            Some((self.path.as_path(), whole.then_some(Split::Train))),
            self.valid.as_deref().map(|path| (path, Some(Split::Valid))),
            self.test.as_deref().map(|path| (path, Some(Split::Test))),
        ]
        .into_iter()
        .flatten()
    }
}

/// The rows of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The files, in the order of their rows.
    pub files: Vec<DataFile>,
    /// The classes, in order.
    pub labels: Vec<Label>,
    /// Whether the labels were taken from the file because none were listed.
    pub labels_inferred: bool,
    /// Whether a row may have any number of labels.
    pub multi: bool,
    /// The rows, in file order.
    pub rows: Vec<Row>,
}

/// One file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// The file.
    pub path: PathBuf,
    /// Digest of the file's bytes, as they lie on disk.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
    /// How rows are written.
    pub format: Format,
    /// How many rows; 0 where it only holds the labels of the file before it.
    pub rows: usize,
    /// The split of all its rows, where the file decides it.
    pub split: Option<Split>,
}

/// One labelled text or series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Indices into [`Dataset::labels`], ascending; one unless a row may have any number.
    pub classes: Vec<u32>,
    /// The text as it stands in the file; empty where the row is a series.
    pub text: String,
    /// The numbers of a series; empty where the row is a text.
    pub values: Vec<f32>,
    /// What must stay together.
    pub group: Option<String>,
    /// The cells of the extra columns; empty where there is none.
    pub extra: Vec<String>,
}

impl Dataset {
    /// The names of the classes, in order.
    pub fn label_names(&self) -> Vec<String> {
        self.labels.iter().map(|label| label.name.clone()).collect()
    }

    /// The split that its file decides, of each row.
    pub fn fixed_splits(&self) -> Vec<Option<Split>> {
        self.files.iter().flat_map(|file| vec![file.split; file.rows]).collect()
    }

    /// Whether a file decides who belongs to `split`.
    pub fn has_file_of(&self, split: Split) -> bool {
        self.files.iter().any(|file| file.split == Some(split))
    }
}

/// A row as it stands in its file.
#[derive(Debug, Default)]
pub(super) struct RawRow {
    pub(super) text: String,
    pub(super) values: Vec<f32>,
    /// One cell, or one for each label column.
    pub(super) labels: Vec<String>,
    pub(super) group: Option<String>,
    pub(super) extra: Vec<String>,
}

/// Reads the files of `source`. The record number of a row is its index in [`Dataset::rows`]: no
/// row is ever left out.
///
/// # Errors
/// [`DataError`] for anything that is not understood, naming the file and the row.
pub fn read(source: &Source) -> Result<Dataset, DataError> {
    read_with(source, |file| {
        let (path, content) = (file.path, &file.content[..]);
        let rows = match file.format {
            Format::Csv => read_separated(source, path, content, b',')?,
            Format::Tsv => read_separated(source, path, content, b'\t')?,
            Format::JsonLines => read_json_lines(source, path, content)?,
            Format::Parquet => read_parquet(source, path, content)?,
            Format::Npy => return Err(unknown(path, "csv, tsv, jsonl, parquet")),
        };
        Ok((rows, None))
    })
}

/// A file, unpacked.
pub(super) struct Loaded<'a> {
    pub(super) path: &'a Path,
    pub(super) format: Format,
    pub(super) content: Vec<u8>,
    pub(super) split: Option<Split>,
}

/// The rows of a file and, where another one holds their labels, that one.
pub(super) type Decoded = (Vec<RawRow>, Option<DataFile>);

/// Reads the files of `source`, each as `decode` understands it.
pub(super) fn read_with(
    source: &Source,
    decode: impl Fn(&Loaded<'_>) -> Result<Decoded, DataError>,
) -> Result<Dataset, DataError> {
    let (mut files, mut raw) = (Vec::new(), Vec::new());
    for (path, split) in source.files() {
        let (mut file, loaded) = load(path, split)?;
        let (rows, labels) = decode(&loaded)?;
        if rows.is_empty() {
            return Err(DataError::Empty { path: path.to_owned() });
        }
        file.rows = rows.len();
        raw.push((file.path.clone(), rows));
        files.push(file);
        files.extend(labels);
    }
    let (labels, rows) = classify(source, raw)?;
    let labels_inferred = source.labels == LabelSpec::Infer && !source.label_columns.are_named();
    let multi = source.label_columns.is_multi();
    Ok(Dataset { files, labels, labels_inferred, multi, rows })
}

/// Reads and unpacks a file; its rows are yet to be counted.
pub(super) fn load(path: &Path, split: Option<Split>) -> Result<(DataFile, Loaded<'_>), DataError> {
    let io = |source| DataError::Io { path: path.to_owned(), source };
    let Some((format, gz)) = Format::of(path) else {
        let pickle = Pickle::at(path).map_err(io)?;
        let unknown = unknown(path, "csv, tsv, jsonl, parquet; npy for series");
        return Err(pickle.map_or(unknown, DataError::Pickle));
    };
    let mut raw = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut raw)).map_err(io)?;
    let (digest, bytes) = (Digest::of(&raw), raw.len() as u64);
    let mut content = if gz { unpack(&raw).map_err(io)? } else { raw };
    if content.starts_with(BYTE_ORDER_MARK) {
        content.drain(..BYTE_ORDER_MARK.len());
    }
    let file = DataFile { path: path.to_owned(), digest, bytes, format, rows: 0, split };
    Ok((file, Loaded { path, format, content, split }))
}

pub(super) fn unknown(path: &Path, known: &'static str) -> DataError {
    DataError::Format { path: path.to_owned(), known }
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut content)?;
    Ok(content)
}

/// Where in a record the columns stand.
struct Columns {
    text: usize,
    labels: Vec<usize>,
    group: Option<usize>,
    /// None where a row has no such column, as rows of JSON may.
    extra: Vec<Option<usize>>,
}

impl Columns {
    /// Finds them among the columns of a file.
    fn find(source: &Source, path: &Path, known: &[String]) -> Result<Self, DataError> {
        let extra = source.extra_columns.iter().map(|name| column(path, known, name).map(Some));
        let extra = extra.collect::<Result<_, _>>()?;
        Ok(Self { extra, ..Self::needed(source, path, known)? })
    }

    /// Finds all but the extra ones.
    fn needed(source: &Source, path: &Path, known: &[String]) -> Result<Self, DataError> {
        let at = |name: &str| column(path, known, name);
        Ok(Self {
            text: at(&source.text_column)?,
            labels: source.label_columns.names().map(at).collect::<Result<_, _>>()?,
            group: source.group_column.as_deref().map(at).transpose()?,
            extra: Vec::new(),
        })
    }

    /// Takes the columns out of a record, given how to read one of its fields.
    fn take<E>(&self, field: impl Fn(usize) -> Result<String, E>) -> Result<RawRow, E> {
        Ok(RawRow {
            text: field(self.text)?,
            values: Vec::new(),
            labels: self.labels.iter().map(|at| field(*at)).collect::<Result<_, _>>()?,
            group: self.group.map(&field).transpose()?,
            extra: self
                .extra
                .iter()
                .map(|at| at.map_or(Ok(String::new()), &field))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Opens a table; its columns are called 1, 2, 3 where the first line does not name them.
pub(super) fn separated<'c>(
    header: bool,
    path: &Path,
    content: &'c [u8],
    by: u8,
) -> Result<(csv::Reader<&'c [u8]>, Vec<String>), DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(by)
        .has_headers(header)
        // Tab-separated files quote nothing: a lone quote would swallow the rows after it.
        .quoting(by == b',')
        .from_reader(content);
    let first = reader.byte_headers().map_err(|e| csv_error(path, 0, &e))?;
    let names: Vec<String> = if header {
        first.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect()
    } else {
        (1..=first.len()).map(|number| number.to_string()).collect()
    };
    if names.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    Ok((reader, names))
}

fn read_separated(
    source: &Source,
    path: &Path,
    content: &[u8],
    by: u8,
) -> Result<Vec<RawRow>, DataError> {
    let (mut reader, names) = separated(source.header, path, content, by)?;
    let columns = Columns::find(source, path, &names)?;
    let mut rows = Vec::new();
    for (index, record) in reader.byte_records().enumerate() {
        let row = index as u64 + 1;
        let record = record.map_err(|e| csv_error(path, row, &e))?;
        rows.push(columns.take(|at| cell(path, row, &record, at).map(str::to_owned))?);
    }
    Ok(rows)
}

/// A field of a record as text.
pub(super) fn cell<'r>(
    path: &Path,
    row: u64,
    record: &'r csv::ByteRecord,
    at: usize,
) -> Result<&'r str, DataError> {
    let bytes = record.get(at).unwrap_or_default();
    std::str::from_utf8(bytes).map_err(|_| {
        let line = record.position().map_or(0, csv::Position::line);
        DataError::Encoding { path: path.to_owned(), row, line }
    })
}

pub(super) fn csv_error(path: &Path, row: u64, error: &csv::Error) -> DataError {
    let line = error.position().map_or(0, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{expected_len} fields expected, found {len}")
        }
        _ => error.to_string(),
    };
    DataError::Syntax { path: path.to_owned(), row, line, message }
}

pub(super) fn column(path: &Path, known: &[String], wanted: &str) -> Result<usize, DataError> {
    known.iter().position(|name| name == wanted).ok_or_else(|| DataError::Column {
        path: path.to_owned(),
        column: wanted.to_owned(),
        nearest: suggest::nearest(wanted, known.iter().map(String::as_str)).map(str::to_owned),
        known: known.to_vec(),
    })
}

fn read_json_lines(source: &Source, path: &Path, content: &[u8]) -> Result<Vec<RawRow>, DataError> {
    let mut rows = Vec::new();
    let lines = content.split(|byte| *byte == b'\n').enumerate();
    for (index, bytes) in lines.filter(|(_, bytes)| !bytes.trim_ascii().is_empty()) {
        let (row, line) = (rows.len() as u64 + 1, index as u64 + 1);
        let path = || path.to_owned();
        let syntax = |message: String| DataError::Syntax { path: path(), row, line, message };
        let text = std::str::from_utf8(bytes).map_err(|_| DataError::Encoding {
            path: path(),
            row,
            line,
        })?;
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|e| syntax(format!("not a JSON object: {e}")))?;
        let known: Vec<String> = object.keys().cloned().collect();
        let mut columns = Columns::needed(source, &path(), &known)?;
        let extra = source.extra_columns.iter();
        let given = |name: &String| known.iter().position(|k| k == name && !object[k].is_null());
        columns.extra = extra.map(given).collect();
        rows.push(columns.take(|at| {
            let name = &known[at];
            json_cell(&object[name])
                .ok_or_else(|| syntax(format!("\"{name}\" is neither a text nor a number")))
        })?);
    }
    Ok(rows)
}

fn read_parquet(source: &Source, path: &Path, content: &[u8]) -> Result<Vec<RawRow>, DataError> {
    let bad = |problem: String| DataError::Content { path: path.to_owned(), problem };
    let table = Table::open(content.to_vec()).map_err(bad)?;
    let columns = Columns::find(source, path, table.names())?;
    let extra: Vec<usize> = columns.extra.iter().copied().flatten().collect();
    let needed = [columns.text].into_iter().chain(columns.labels.iter().copied());
    let needed = needed.chain(columns.group).chain(extra.iter().copied());
    let cells = needed
        .map(|at| Ok((at, table.column(at).map_err(bad)?)))
        .collect::<Result<BTreeMap<usize, Vec<Value>>, DataError>>()?;
    let row = |row: usize| {
        columns.take(|at| match &cells[&at][row] {
            Value::Null if extra.contains(&at) => Ok(String::new()),
            value => value.text().ok_or_else(|| DataError::Cell {
                path: path.to_owned(),
                row: row as u64 + 1,
                column: table.names()[at].clone(),
                problem: "is empty".to_owned(),
            }),
        })
    };
    (0..table.rows()).map(row).collect()
}

/// A text, number or truth value as text; a list of them joined as in one cell of a CSV file.
fn json_cell(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(parts) if !parts.is_empty() => {
            let parts: Option<Vec<String>> = parts.iter().map(json_cell).collect();
            Some(parts?.join(","))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::parquet;
    use super::*;

    fn read_as(name: &str, content: &[u8], labels: &str) -> Result<Dataset, String> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        crate::base::durable::write(&path, content).unwrap();
        let labels = match labels {
            "" => LabelSpec::Infer,
            listed => LabelSpec::parse(listed).unwrap(),
        };
        let place = format!("{}/", root.path().display());
        read(&Source { labels, ..Source::of(path, "text", "label") })
            .map_err(|e| e.to_string().replace(&place, ""))
    }

    #[test]
    fn all_formats_give_the_same_rows() {
        let csv: &[u8] = b"\xef\xbb\xbflabel,text\nb,\"one, two\nthree\"\na,four\n";
        let rows = read_as("x.csv", csv, "").unwrap();
        assert_eq!(rows.label_names(), ["a", "b"]);
        assert!(rows.labels_inferred);
        assert_eq!(
            rows.rows[0],
            Row { classes: vec![1], text: "one, two\nthree".into(), ..Row::default() }
        );
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(csv).unwrap();
        let packed = read_as("x.CSV.gz", &gz.finish().unwrap(), "").unwrap();
        assert_eq!(packed.rows, rows.rows);
        let tsv = read_as("x.tsv", b"text\tlabel\n\"lone quote\t1\nother\t0\n", "").unwrap();
        assert_eq!(
            tsv.rows[0],
            Row { classes: vec![1], text: "\"lone quote".into(), ..Row::default() }
        );
        let json = b"{\"text\":\"x\",\"label\":1}\n\n{\"text\":\"y\",\"label\":0}\n";
        let parquet = parquet::tests::sample();
        let error = read_as("x.parquet", &parquet, "").unwrap_err();
        assert_eq!(error, "x.parquet: row 3: column \"text\" is empty");
        let json = read_as("x.jsonl", json, "0=no,1=yes").unwrap();
        assert_eq!(json.label_names(), ["no", "yes"]);
        assert_eq!(json.rows[0].classes, [1]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let cases: &[(&str, &[u8], &str, &str)] = &[
            ("x.csv", b"text,label\na,0\nb,2\n", "0=n,1=y", "x.csv: row 2: unknown label \"2\""),
            (
                "x.csv",
                b"text,label\na,hate\nb,ok\n",
                "hat,ok",
                "unknown label \"hate\", did you mean \"hat\"?",
            ),
            ("x.csv", b"txt,label\na,0\n", "", "x.csv: no column \"text\", did you mean \"txt\"?"),
            ("x.csv", b"text,label\na,0\n\xff\xfe,1\n", "", "x.csv: row 2 (line 3) is not UTF-8"),
            ("x.csv", b"text,label\na,0\n  ,1\n", "", "x.csv: row 2: the text is empty"),
            ("x.csv", b"text,label\na,0\nb,0\n", "", "x.csv: all 2 rows have the label \"0\""),
            ("x.csv", b"text,label\na,0\nb,\n", "", "x.csv: row 2: unknown label \"\""),
            (
                "x.csv",
                b"text,label\na,0,7\n",
                "",
                "x.csv: row 1 (line 2): 2 fields expected, found 3",
            ),
            ("x.csv", b"text,label\n", "", "x.csv holds no rows"),
            ("x.csv", b"", "", "x.csv holds no rows"),
            ("x.jsonl", b"", "", "x.jsonl holds no rows"),
            (
                "x.jsonl",
                b"{\"text\":\"a\",\"label\":0}\n[1]\n",
                "",
                "x.jsonl: row 2 (line 2): not a JSON object",
            ),
            (
                "x.jsonl",
                b"{\"text\":[],\"label\":0}\n",
                "",
                "\"text\" is neither a text nor a number",
            ),
            ("x.csv.gz", b"not gzip", "", "cannot read x.csv.gz"),
            ("x.xlsx", b"", "", "x.xlsx: unknown format"),
            ("x.npy", b"", "", "x.npy: unknown format (known: csv, tsv, jsonl, parquet"),
            ("x.parquet", b"", "", "x.parquet: "),
        ];
        for (name, content, labels, message) in cases {
            let error = read_as(name, content, labels).unwrap_err();
            assert!(error.contains(message), "{error:?} lacks {message:?}");
        }
    }
}
