//! Reads one file of labelled texts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::format::Format;
use super::label::{Label, LabelSpec};
use crate::base::{Digest, suggest};

/// Where labelled texts are, and how to read them.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The column of the text.
    pub text_column: String,
    /// The column of the label.
    pub label_column: String,
    /// How labels become classes.
    pub labels: LabelSpec,
}

/// The rows of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The file.
    pub path: PathBuf,
    /// Digest of the file's bytes, as they lie on disk.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
    /// How rows are written.
    pub format: Format,
    /// The classes, in order.
    pub labels: Vec<Label>,
    /// Whether the labels were taken from the file because none were listed.
    pub labels_inferred: bool,
    /// The rows, in file order.
    pub rows: Vec<Row>,
}

/// One labelled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index into [`Dataset::labels`].
    pub class: u32,
    /// The text as it stands in the file.
    pub text: String,
}

impl Dataset {
    /// The names of the classes, in order.
    pub fn label_names(&self) -> Vec<String> {
        self.labels.iter().map(|label| label.name.clone()).collect()
    }
}

/// Reads the file of `source`. The record number of a row is its index in [`Dataset::rows`]: no
/// row is ever left out.
///
/// # Errors
/// [`DataError`] for anything that is not understood, naming the row.
pub fn read(source: &Source) -> Result<Dataset, DataError> {
    let path = &source.path;
    let (format, gz) = Format::of(path).ok_or_else(|| DataError::Format { path: path.clone() })?;
    let io = |source| DataError::Io { path: path.clone(), source };
    let mut raw = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut raw)).map_err(io)?;
    let (digest, bytes) = (Digest::of(&raw), raw.len() as u64);
    let content = if gz { unpack(&raw).map_err(io)? } else { raw };
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content);
    let pairs = match format {
        Format::Csv => read_separated(source, content, b',')?,
        Format::Tsv => read_separated(source, content, b'\t')?,
        Format::JsonLines => read_json_lines(source, content)?,
    };
    let (labels, rows) = classify(source, pairs)?;
    let labels_inferred = source.labels == LabelSpec::Infer;
    Ok(Dataset { path: path.clone(), digest, bytes, format, labels, labels_inferred, rows })
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut content)?;
    Ok(content)
}

/// Text and label of each row.
type Pairs = Vec<(String, String)>;

fn read_separated(source: &Source, content: &[u8], by: u8) -> Result<Pairs, DataError> {
    let path = &source.path;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(by)
        // Tab-separated files quote nothing: a lone quote would swallow the rows after it.
        .quoting(by == b',')
        .from_reader(content);
    let headers: Vec<String> = reader
        .byte_headers()
        .map_err(|e| csv_error(path, 0, &e))?
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().to_owned())
        .collect();
    if headers.is_empty() {
        return Err(DataError::Empty { path: path.clone() });
    }
    let text = column(path, &headers, &source.text_column)?;
    let label = column(path, &headers, &source.label_column)?;
    let mut pairs = Vec::new();
    for (index, record) in reader.byte_records().enumerate() {
        let row = index as u64 + 1;
        let record = record.map_err(|e| csv_error(path, row, &e))?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: usize| {
            let bytes = record.get(at).unwrap_or_default();
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DataError::Encoding {
                path: path.clone(),
                row,
                line,
            })
        };
        pairs.push((field(text)?, field(label)?));
    }
    Ok(pairs)
}

fn csv_error(path: &Path, row: u64, error: &csv::Error) -> DataError {
    let line = error.position().map_or(0, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{expected_len} fields expected, found {len}")
        }
        _ => error.to_string(),
    };
    DataError::Syntax { path: path.to_owned(), row, line, message }
}

fn column(path: &Path, known: &[String], wanted: &str) -> Result<usize, DataError> {
    known.iter().position(|name| name == wanted).ok_or_else(|| DataError::Column {
        path: path.to_owned(),
        column: wanted.to_owned(),
        nearest: suggest::nearest(wanted, known.iter().map(String::as_str)).map(str::to_owned),
        known: known.to_vec(),
    })
}

fn read_json_lines(source: &Source, content: &[u8]) -> Result<Pairs, DataError> {
    let path = &source.path;
    let mut pairs = Vec::new();
    let lines = content.split(|byte| *byte == b'\n').enumerate();
    for (index, bytes) in lines.filter(|(_, bytes)| !bytes.trim_ascii().is_empty()) {
        let (row, line) = (pairs.len() as u64 + 1, index as u64 + 1);
        let syntax = |message: String| DataError::Syntax { path: path.clone(), row, line, message };
        let text = std::str::from_utf8(bytes).map_err(|_| DataError::Encoding {
            path: path.clone(),
            row,
            line,
        })?;
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|e| syntax(format!("not a JSON object: {e}")))?;
        let field = |name: &str| {
            let known: Vec<String> = object.keys().cloned().collect();
            let at = column(path, &known, name)?;
            match &object[&known[at]] {
                serde_json::Value::String(text) => Ok(text.clone()),
                value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                    Ok(value.to_string())
                }
                _ => Err(syntax(format!("\"{name}\" is neither a text nor a number"))),
            }
        };
        pairs.push((field(&source.text_column)?, field(&source.label_column)?));
    }
    Ok(pairs)
}

fn classify(source: &Source, pairs: Pairs) -> Result<(Vec<Label>, Vec<Row>), DataError> {
    let path = || source.path.clone();
    if pairs.is_empty() {
        return Err(DataError::Empty { path: path() });
    }
    if u32::try_from(pairs.len()).is_err() {
        return Err(DataError::TooManyRows { path: path(), max: u32::MAX });
    }
    for (index, (text, label)) in pairs.iter().enumerate() {
        let row = index as u64 + 1;
        if text.trim().is_empty() {
            return Err(DataError::EmptyText { path: path(), row });
        }
        if label.trim().is_empty() {
            return Err(unknown_label(source, row, "", &[]));
        }
    }
    let values: BTreeSet<&str> = pairs.iter().map(|(_, label)| label.trim()).collect();
    let labels = source.labels.labels(&values);
    if let [only] = values.iter().collect::<Vec<_>>()[..] {
        let label = (*only).to_owned();
        return Err(DataError::OneClass { path: path(), label, rows: pairs.len() });
    }
    let mut rows = Vec::with_capacity(pairs.len());
    for (index, (text, label)) in pairs.into_iter().enumerate() {
        let label = label.trim();
        let class = labels.iter().position(|known| known.value == label);
        let class = class.and_then(|class| u32::try_from(class).ok());
        let class = class.ok_or_else(|| unknown_label(source, index as u64 + 1, label, &labels))?;
        rows.push(Row { class, text });
    }
    Ok((labels, rows))
}

fn unknown_label(source: &Source, row: u64, label: &str, labels: &[Label]) -> DataError {
    let known: Vec<String> = labels.iter().map(|label| label.value.clone()).collect();
    let nearest = suggest::nearest(label, known.iter().map(String::as_str));
    DataError::Label {
        path: source.path.clone(),
        row,
        label: label.to_owned(),
        nearest: nearest.map(str::to_owned),
        known,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read_as(name: &str, content: &[u8], labels: &str) -> Result<Dataset, String> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        crate::base::durable::write(&path, content).unwrap();
        let labels = match labels {
            "" => LabelSpec::Infer,
            listed => LabelSpec::parse(listed).unwrap(),
        };
        let (text_column, label_column) = ("text".into(), "label".into());
        let place = format!("{}/", root.path().display());
        read(&Source { path, text_column, label_column, labels })
            .map_err(|e| e.to_string().replace(&place, ""))
    }

    #[test]
    fn all_formats_give_the_same_rows() {
        let csv: &[u8] = b"\xef\xbb\xbflabel,text\nb,\"one, two\nthree\"\na,four\n";
        let rows = read_as("x.csv", csv, "").unwrap();
        assert_eq!(rows.label_names(), ["a", "b"]);
        assert!(rows.labels_inferred);
        assert_eq!(rows.rows[0], Row { class: 1, text: "one, two\nthree".into() });
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(csv).unwrap();
        let packed = read_as("x.CSV.gz", &gz.finish().unwrap(), "").unwrap();
        assert_eq!(packed.rows, rows.rows);
        let tsv = read_as("x.tsv", b"text\tlabel\n\"lone quote\t1\nother\t0\n", "").unwrap();
        assert_eq!(tsv.rows[0], Row { class: 1, text: "\"lone quote".into() });
        let json = b"{\"text\":\"x\",\"label\":1}\n\n{\"text\":\"y\",\"label\":0}\n";
        let json = read_as("x.jsonl", json, "0=no,1=yes").unwrap();
        assert_eq!(json.label_names(), ["no", "yes"]);
        assert_eq!(json.rows[0].class, 1);
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
            ("x.parquet", b"", "", "x.parquet: unknown format"),
        ];
        for (name, content, labels, message) in cases {
            let error = read_as(name, content, labels).unwrap_err();
            assert!(error.contains(message), "{error:?} lacks {message:?}");
        }
    }
}
