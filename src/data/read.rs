//! Reads one file of labelled texts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::format::Format;
use super::label::{Label, LabelColumns, LabelSpec, classify};
use super::spelling::{Spelling, TwoSpellings};
use super::suspect;
use super::table::{Table, table};
use super::value::Value;
use crate::base::{FileDigests, Split, suggest};
use crate::data::Pickle;

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
    /// Where the labels of a row are.
    pub label_columns: LabelColumns,
    /// How labels become classes.
    pub labels: LabelSpec,
    /// The column whose equal values must stay in one split, such as a patient.
    pub group_column: Option<String>,
    /// Columns of further labels, which a row may lack.
    pub extra_columns: Vec<String>,
    /// The column of a name for each series, which is none of its numbers.
    pub id_column: String,
    /// Whether rows with an empty text are left out; they are refused otherwise.
    pub drop_empty: bool,
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
            drop_empty: false,
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
    /// The rows, in file order; those without content are to be left out.
    pub rows: Vec<Row>,
    /// What was read, but may be meant otherwise; for people.
    pub remarks: Vec<String>,
}

/// One file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// The file.
    pub path: PathBuf,
    /// Digests of the file's bytes, as they lie on disk.
    pub digests: FileDigests,
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

impl Row {
    /// Whether there is nothing to learn from: the text is empty, and there are no numbers.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.text.trim().is_empty()
    }
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

/// A row as its file has it.
#[derive(Debug, Default)]
pub(super) struct RawRow {
    pub(super) text: String,
    pub(super) values: Vec<f32>,
    /// One cell, or one for each label column.
    pub(super) labels: Vec<Value>,
    pub(super) group: Option<String>,
    pub(super) extra: Vec<String>,
}

/// Reads the files of `source`. The record number of a row is its index in [`Dataset::rows`]: no
/// row is ever left out.
///
/// # Errors
/// [`DataError`] for anything that is not understood, naming the file and the row.
pub fn read(source: &Source) -> Result<Dataset, DataError> {
    read_with(source, |file| read_rows(source, file))
}

/// Reads all columns of one file of texts.
///
/// # Errors
/// As [`read`].
pub fn read_table(path: &Path, header: bool) -> Result<Table, DataError> {
    let (_, file) = load(path, None)?;
    table(&file, header, None)
}

/// A file, unpacked.
pub(super) struct Loaded<'a> {
    pub(super) path: &'a Path,
    pub(super) format: Format,
    pub(super) content: Vec<u8>,
    pub(super) split: Option<Split>,
}

/// The rows of a file.
#[derive(Default)]
pub(super) struct Decoded {
    pub(super) rows: Vec<RawRow>,
    /// The file of their labels, where it is another one.
    pub(super) labels: Option<DataFile>,
    /// What was read, but may be meant otherwise.
    pub(super) remarks: Vec<String>,
}

/// Reads the files of `source`, each as `decode` understands it.
pub(super) fn read_with(
    source: &Source,
    decode: impl Fn(&Loaded<'_>) -> Result<Decoded, DataError>,
) -> Result<Dataset, DataError> {
    let (mut files, mut raw, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
    for (path, split) in source.files() {
        let (mut file, loaded) = load(path, split)?;
        let decoded = decode(&loaded)?;
        if decoded.rows.is_empty() {
            return Err(DataError::Empty { path: path.to_owned() });
        }
        file.rows = decoded.rows.len();
        raw.push((file.path.clone(), decoded.rows));
        files.push(file);
        files.extend(decoded.labels);
        remarks.extend(decoded.remarks);
    }
    unify_groups(source, &mut raw)?;
    let (labels, rows) = classify(source, raw)?;
    let labels_inferred = source.labels == LabelSpec::Infer && !source.label_columns.are_named();
    let multi = source.label_columns.is_multi();
    remarks.extend(suspect::missing_as_text(&rows, labels_inferred.then_some(&labels)));
    Ok(Dataset { files, labels, labels_inferred, multi, rows, remarks })
}

/// Gives each group one spelling: rows of one patient, once `7` and once `7.0`, stay together.
fn unify_groups(source: &Source, files: &mut [(PathBuf, Vec<RawRow>)]) -> Result<(), DataError> {
    let rows = || files.iter().flat_map(|(_, rows)| rows);
    let groups: BTreeSet<String> = rows().filter_map(|row| row.group.clone()).collect();
    let spelling = Spelling::of(&groups.iter().map(String::as_str).collect());
    let spelling = spelling.map_err(|TwoSpellings(first, second)| DataError::Spellings {
        path: source.path.clone(),
        column: source.group_column.clone().unwrap_or_default(),
        first,
        second,
    })?;
    let groups = files.iter_mut().flat_map(|(_, rows)| rows).filter_map(|row| row.group.as_mut());
    groups.for_each(|group| *group = spelling.name(group));
    Ok(())
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
    let (digests, bytes) = (FileDigests::of(&raw), raw.len() as u64);
    let mut content = if gz { unpack(&raw).map_err(io)? } else { raw };
    if format.is_text() {
        content = plain_text(path, content)?;
    }
    let file = DataFile { path: path.to_owned(), digests, bytes, format, rows: 0, split };
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

/// Reads a small file of text, such as a list of names.
pub(super) fn text_file(path: &Path) -> Result<String, DataError> {
    let mut raw = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut raw))
        .map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let content = plain_text(path, raw)?;
    String::from_utf8(content).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        DataError::Encoding { path: path.to_owned(), row: line, line }
    })
}

/// Text without a byte order mark.
///
/// # Errors
/// [`DataError::Unicode`] for text in units of 16 or 32 bits.
pub(super) fn plain_text(path: &Path, mut content: Vec<u8>) -> Result<Vec<u8>, DataError> {
    let encoding = match content[..] {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        // Without a mark: the first sign of a table or of JSON is one that ASCII has.
        [first, second, ..] if (first == 0) != (second == 0) => Some("UTF-16"),
        _ => None,
    };
    if let Some(encoding) = encoding {
        return Err(DataError::Unicode { path: path.to_owned(), encoding });
    }
    if content.starts_with(BYTE_ORDER_MARK) {
        content.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(content)
}

/// The rows of a table of texts.
fn read_rows(source: &Source, file: &Loaded<'_>) -> Result<Decoded, DataError> {
    let labels = source.label_columns.names().count();
    let wanted: Vec<&str> = [source.text_column.as_str()]
        .into_iter()
        .chain(source.label_columns.names())
        .chain(source.group_column.as_deref())
        .chain(source.extra_columns.iter().map(String::as_str))
        .collect();
    let table = table(file, source.header, Some(&wanted))?;
    let mut rows = Vec::with_capacity(table.rows.len());
    for (row, mut values) in (1..).zip(table.rows) {
        let cell = |at: usize, value: &Value| text_of(file.path, row, wanted[at], value);
        let group = source.group_column.as_ref().map(|_| labels + 1);
        let extra = labels + 1 + usize::from(group.is_some());
        rows.push(RawRow {
            text: cell(0, &values[0])?,
            values: Vec::new(),
            group: group.map(|at| group_of(file.path, row, wanted[at], &values[at])).transpose()?,
            extra: (extra..wanted.len())
                .map(|at| cell(at, &values[at]))
                .collect::<Result<_, _>>()?,
            labels: values.drain(1..=labels).collect(),
        });
    }
    Ok(Decoded { rows, labels: None, remarks: table.remarks })
}

/// A value of a column that holds texts, numbers or truth values.
pub(super) fn text_of(
    path: &Path,
    row: u64,
    column: &str,
    value: &Value,
) -> Result<String, DataError> {
    value.text().map_err(|kind| DataError::Cell {
        path: path.to_owned(),
        row,
        column: column.to_owned(),
        problem: format!("{kind}, a text expected"),
    })
}

/// The group of a row. One that is empty is refused: all such rows would be one group.
pub(super) fn group_of(
    path: &Path,
    row: u64,
    column: &str,
    value: &Value,
) -> Result<String, DataError> {
    let group = text_of(path, row, column, value)?;
    if group.trim().is_empty() {
        let problem = "is empty: every row needs a group".to_owned();
        let column = column.to_owned();
        return Err(DataError::Cell { path: path.to_owned(), row, column, problem });
    }
    Ok(group)
}

/// Where the column `wanted` is.
pub(super) fn column(path: &Path, known: &[String], wanted: &str) -> Result<usize, DataError> {
    let mut found = known.iter().enumerate().filter(|(_, name)| *name == wanted);
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at),
        (Some(_), Some(_)) => {
            Err(DataError::TwoColumns { path: path.to_owned(), column: wanted.to_owned() })
        }
        (None, _) => Err(DataError::Column {
            path: path.to_owned(),
            column: wanted.to_owned(),
            nearest: suggest::nearest(wanted, known.iter().map(String::as_str)).map(str::to_owned),
            known: known.to_vec(),
        }),
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
        assert_eq!(error, "x.parquet: row 3: the text is empty");
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
            (
                "x.csv",
                b"text,label\na,0\nb,0\n",
                "",
                "x.csv: every row has the label \"0\" (2 rows)",
            ),
            ("x.csv", b"text,label\na,0\nb,\n", "", "x.csv: row 2: column \"label\" is empty"),
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
                "row 1: column \"text\" is a list, a text expected",
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
