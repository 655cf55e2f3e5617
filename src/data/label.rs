//! Which labels there are, and which class each is. Never guessed row by row: either the user
//! lists them, or all values of the column in sorted order are taken and that is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::given::{self, Given};
use super::read::{RawRow, Row, Source, text_file};
use super::spelling::{Spelling, TwoSpellings};
use super::suspect;
use super::value::{by_size, canonical};
use crate::base::suggest;

/// Shorter labels are all alike: none of them is proposed for another.
const SUGGESTED_MIN: usize = 3;

/// Where the labels of a row are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelColumns {
    /// One label in this column.
    One(String),
    /// Any number of labels in this column, separated by commas or in a list.
    List(String),
    /// A column for each label: 1 where the row has it, 0 where not.
    Flags(Vec<String>),
}

impl LabelColumns {
    /// The names of the columns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(name) | Self::List(name) => std::slice::from_ref(name),
            Self::Flags(names) => names.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }

    /// Whether a row may have any number of labels.
    pub fn is_multi(&self) -> bool {
        !matches!(self, Self::One(_))
    }

    /// Whether the columns are the labels.
    pub(super) fn are_named(&self) -> bool {
        matches!(self, Self::Flags(_))
    }
}

/// How the values of the label column become classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LabelSpec {
    /// Every value that occurs, numbers by size and texts by bytes.
    #[default]
    Infer,
    /// These, in class order.
    Listed(Vec<Label>),
}

/// One class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// As the file has it.
    pub value: String,
    /// As it is shown.
    pub name: String,
}

impl Label {
    /// A label that is shown as the file has it.
    fn same(value: &str) -> Self {
        Self { value: value.to_owned(), name: value.to_owned() }
    }
}

impl LabelSpec {
    /// Reads a file of names, one a line: the name in line n (from 0) belongs to the value n.
    ///
    /// # Errors
    /// [`DataError`] when it cannot be read, for empty lines, double names and fewer than two.
    pub fn from_file(path: &Path) -> Result<Self, DataError> {
        let text = text_file(path)?;
        let bad =
            |problem: String| DataError::LabelSpec { spec: path.display().to_string(), problem };
        let mut labels: Vec<Label> = Vec::new();
        for (number, line) in text.trim_end().lines().enumerate() {
            let name = line.trim().to_owned();
            // Left out, it would shift the names of all values after it.
            if name.is_empty() {
                return Err(bad(format!("line {} is empty", number + 1)));
            }
            if labels.iter().any(|label| label.name == name) {
                return Err(bad(format!("\"{name}\" occurs twice")));
            }
            labels.push(Label { value: number.to_string(), name });
        }
        Self::listed(labels, bad)
    }

    /// Reads `0=hate,1=offensive` (value=name) or `hate,offensive` (value is name). A label with a
    /// comma is written in quotes, as in CSV.
    ///
    /// # Errors
    /// [`DataError::LabelSpec`] for empty or double entries and for fewer than two.
    pub fn parse(spec: &str) -> Result<Self, DataError> {
        let bad = |problem: String| DataError::LabelSpec { spec: spec.to_owned(), problem };
        let mut labels: Vec<Label> = Vec::new();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(spec.as_bytes());
        let parts = reader.records().next().transpose();
        let parts = parts.map_err(|e| bad(e.to_string()))?.unwrap_or_default();
        if spec.matches('"').count() % 2 == 1 {
            return Err(bad("a quote is never closed".into()));
        }
        for part in &parts {
            let (value, name) = part.split_once('=').unwrap_or((part, part));
            let (value, name) = (value.trim().to_owned(), name.trim().to_owned());
            if value.is_empty() || name.is_empty() {
                return Err(bad(format!("\"{part}\" lacks a value or a name")));
            }
            if labels.iter().any(|label| label.value == value || label.name == name) {
                return Err(bad(format!("\"{part}\" occurs twice")));
            }
            labels.push(Label { value, name });
        }
        Self::listed(labels, bad)
    }

    fn listed(labels: Vec<Label>, bad: impl Fn(String) -> DataError) -> Result<Self, DataError> {
        if labels.len() < 2 {
            return Err(bad("at least 2 labels are needed".into()));
        }
        let values = labels.iter().map(|label| label.value.as_str()).collect();
        match Spelling::of(&values) {
            Ok(spelling) => {
                let names: BTreeSet<String> = values.iter().map(|v| spelling.name(v)).collect();
                if names.len() < labels.len() {
                    return Err(bad("two values are one number or truth value".into()));
                }
                Ok(Self::Listed(labels))
            }
            Err(TwoSpellings(a, b)) => {
                Err(bad(format!("\"{a}\" and \"{b}\" are one number in two spellings")))
            }
        }
    }

    /// Whether `text` is the value of a listed label.
    fn lists(&self, text: &str) -> bool {
        match self {
            Self::Infer => false,
            Self::Listed(labels) => labels.iter().any(|label| label.value == text),
        }
    }

    /// The labels in class order, given all values that occur.
    pub(super) fn labels(&self, values: &BTreeSet<&str>) -> Vec<Label> {
        match self {
            Self::Listed(labels) => labels.clone(),
            Self::Infer => sorted(values).into_iter().map(Label::same).collect(),
        }
    }
}

/// Numbers by size, texts by bytes.
fn sorted<'v>(values: &BTreeSet<&'v str>) -> Vec<&'v str> {
    let mut sorted: Vec<&str> = values.iter().copied().collect();
    let numbers: Option<BTreeMap<&str, String>> =
        values.iter().map(|value| Some((*value, canonical(value)?))).collect();
    if let Some(numbers) = numbers {
        sorted.sort_by(|a, b| by_size(&numbers[a], &numbers[b]));
    }
    sorted
}

/// The labels of one row.
struct Labelled<'r> {
    path: &'r Path,
    row: u64,
    values: Vec<String>,
    /// Whether the row counts: its text is not empty.
    counts: bool,
}

/// Turns the cells of all files into classes.
pub(super) fn classify(
    source: &Source,
    files: Vec<(PathBuf, Vec<RawRow>)>,
) -> Result<(Vec<Label>, Vec<Row>), DataError> {
    let total: usize = files.iter().map(|(_, rows)| rows.len()).sum();
    if u32::try_from(total).is_err() {
        return Err(DataError::TooManyRows { path: source.path.clone(), max: u32::MAX });
    }
    let mut rows = Vec::with_capacity(total);
    for (path, raw) in &files {
        for (row, raw) in (1_u64..).zip(raw) {
            let counts = !(raw.values.is_empty() && raw.text.trim().is_empty());
            if !counts && !source.drop_empty {
                return Err(DataError::EmptyText { path: path.clone(), row });
            }
            let values = if counts { values_of(source, raw, path, row)? } else { Vec::new() };
            rows.push(Labelled { path, row, values, counts });
        }
    }
    if rows.iter().all(|row| !row.counts) {
        return Err(DataError::AllEmpty { path: source.path.clone(), rows: total });
    }
    let labels = match &source.label_columns {
        LabelColumns::Flags(names) => names.iter().map(|name| Label::same(name)).collect(),
        LabelColumns::One(column) | LabelColumns::List(column) => {
            labels(source, column, &mut rows)?
        }
    };
    let classes = classes(&rows, &labels)?;
    let raw = files.into_iter().flat_map(|(_, rows)| rows);
    let row = |(raw, classes): (RawRow, _)| {
        let RawRow { text, values, group, extra, .. } = raw;
        Row { classes, text, values, group, extra }
    };
    Ok((labels, raw.zip(classes).map(row).collect()))
}

/// The labels of a column, after each of them has one spelling in `rows`.
fn labels(
    source: &Source,
    column: &str,
    rows: &mut [Labelled<'_>],
) -> Result<Vec<Label>, DataError> {
    let path = || source.path.clone();
    let is_multi = source.label_columns.is_multi();
    let lists: Vec<&[String]> =
        rows.iter().map(|row| &row.values[..]).filter(|values| !values.is_empty()).collect();
    if is_multi && suspect::is_vector(&lists) {
        let first = rows.iter().find(|row| !row.values.is_empty());
        let (path, row) = first.map_or((path(), 0), |row| (row.path.to_owned(), row.row));
        return Err(DataError::Vector { path, row, column: column.to_owned() });
    }
    let all = |rows: &[Labelled<'_>]| -> BTreeSet<String> {
        rows.iter().flat_map(|row| row.values.iter().cloned()).collect()
    };
    let values = all(rows);
    let spelling = Spelling::of(&values.iter().map(String::as_str).collect());
    let spelling = spelling.map_err(|TwoSpellings(first, second)| DataError::Spellings {
        path: path(),
        column: column.to_owned(),
        first,
        second,
    })?;
    for value in rows.iter_mut().flat_map(|row| &mut row.values) {
        // What the user listed is as the user spells it.
        if !source.labels.lists(value) {
            *value = spelling.name(value);
        }
    }
    let values = all(rows);
    let values: BTreeSet<&str> = values.iter().map(String::as_str).collect();
    if source.labels == LabelSpec::Infer {
        let signs: &[char] = if is_multi { &[';', '|', ' '] } else { &[',', ';', '|', ' '] };
        if let Some(found) = suspect::combined(&values, signs) {
            return Err(DataError::Combined {
                path: path(),
                column: column.to_owned(),
                labels: values.len(),
                example: found.example,
                parts: found.parts,
                sign: found.sign,
                multi: is_multi,
            });
        }
    }
    if values.is_empty() {
        return Err(DataError::NoLabel { path: path(), row: None, column: column.to_owned() });
    }
    if let (1, false, Some(only)) = (values.len(), is_multi, values.first()) {
        let (label, rows) = ((*only).to_owned(), rows.iter().filter(|row| row.counts).count());
        return Err(DataError::OneClass { path: path(), label, rows });
    }
    Ok(source.labels.labels(&values))
}

/// The classes of each row, ascending.
fn classes(rows: &[Labelled<'_>], labels: &[Label]) -> Result<Vec<Vec<u32>>, DataError> {
    let spelling = Spelling::of(&labels.iter().map(|label| label.value.as_str()).collect()).ok();
    let spelled: Vec<String> = labels
        .iter()
        .map(|label| spelling.map_or_else(|| label.value.clone(), |s| s.name(&label.value)))
        .collect();
    let mut known: BTreeMap<&str, u32> = BTreeMap::new();
    for (class, (label, spelled)) in (0_u32..).zip(labels.iter().zip(&spelled)) {
        known.insert(&label.value, class);
        known.entry(spelled).or_insert(class);
    }
    let of_row = |row: &Labelled<'_>| {
        let class = |value: &String| {
            let class = known.get(value.as_str()).copied();
            class.ok_or_else(|| unknown_label(row.path, row.row, value, labels))
        };
        let mut found = row.values.iter().map(class).collect::<Result<Vec<u32>, _>>()?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    };
    rows.iter().map(of_row).collect()
}

/// The labels of one row, as the file has them.
fn values_of(
    source: &Source,
    raw: &RawRow,
    path: &Path,
    row: u64,
) -> Result<Vec<String>, DataError> {
    let columns = &source.label_columns;
    if let LabelColumns::Flags(names) = columns {
        return flags(names, raw, path, row);
    }
    let owned = || path.to_owned();
    let column = || columns.names().next().unwrap_or_default().to_owned();
    let Some(cell) = raw.labels.first() else { return Ok(Vec::new()) };
    let is_listed = |text: &str| source.labels.lists(text);
    let given = given::labels(cell, columns.is_multi(), is_listed)
        .map_err(|problem| DataError::Cell { path: owned(), row, column: column(), problem })?;
    let found = match given {
        Given::Nothing => Vec::new(),
        Given::One(label) => vec![label],
        Given::Many(labels) => labels,
    };
    match (columns, found.len()) {
        (LabelColumns::One(_), 0) => {
            Err(DataError::NoLabel { path: owned(), row: Some(row), column: column() })
        }
        (LabelColumns::One(_), 2..) => Err(DataError::ManyLabels { path: owned(), row, found }),
        _ => Ok(found),
    }
}

/// The names of the columns that are true in a row.
fn flags(names: &[String], raw: &RawRow, path: &Path, row: u64) -> Result<Vec<String>, DataError> {
    let mut values = Vec::new();
    for (name, cell) in names.iter().zip(&raw.labels) {
        let found = cell.text().unwrap_or_else(|_| cell.to_json());
        match found.trim() {
            "1" | "1.0" | "true" | "True" => values.push(name.clone()),
            "0" | "0.0" | "false" | "False" => {}
            other => {
                let (path, found) = (path.to_owned(), other.to_owned());
                return Err(DataError::Flag { path, row, column: name.clone(), found });
            }
        }
    }
    Ok(values)
}

fn unknown_label(path: &Path, row: u64, label: &str, labels: &[Label]) -> DataError {
    let known: Vec<String> = labels.iter().map(|label| label.value.clone()).collect();
    // A number or a letter is as near to any other: none of them is a slip of the finger.
    let is_word = |word: &str| word.chars().count() >= SUGGESTED_MIN && canonical(word).is_none();
    let nearest = if is_word(label) {
        suggest::nearest(label, known.iter().map(String::as_str).filter(|word| is_word(word)))
    } else {
        None
    };
    DataError::Label {
        path: path.to_owned(),
        row,
        label: label.to_owned(),
        nearest: nearest.map(str::to_owned),
        known,
        named: labels.iter().any(|label| label.value != label.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_listed_or_sorted() {
        let LabelSpec::Listed(labels) = LabelSpec::parse("0=hate, 1=other").unwrap() else {
            panic!("not listed")
        };
        assert_eq!((labels[1].value.as_str(), labels[1].name.as_str()), ("1", "other"));
        for bad in ["", "a", "a,a", "a,=b", "1=x,2=x", "1=x,1.0=y", "\"a,b", "01=x,1=y"] {
            assert!(LabelSpec::parse(bad).is_err(), "{bad}");
        }
        let LabelSpec::Listed(labels) = LabelSpec::parse("\"a,b\",c").unwrap() else {
            panic!("not listed")
        };
        assert_eq!(labels[0].name, "a,b");
        let names = |values: &[&str]| -> Vec<String> {
            let labels = LabelSpec::Infer.labels(&values.iter().copied().collect());
            labels.into_iter().map(|label| label.name).collect()
        };
        assert_eq!(names(&["10", "9"]), ["9", "10"]);
        assert_eq!(names(&["b", "10", "9"]), ["10", "9", "b"]);
    }

    #[test]
    fn a_file_of_names_numbers_its_lines() {
        let root = tempfile::tempdir().unwrap();
        let read = |bytes: &[u8]| {
            let path = root.path().join("labels.txt");
            crate::base::durable::write(&path, bytes).unwrap();
            LabelSpec::from_file(&path).map_err(|e| e.to_string())
        };
        let LabelSpec::Listed(labels) = read(b"\xef\xbb\xbfjoy, real\r\na=b\n\n").unwrap() else {
            panic!("not listed")
        };
        assert_eq!(labels[0].name, "joy, real");
        assert_eq!((labels[1].value.as_str(), labels[1].name.as_str()), ("1", "a=b"));
        for (bytes, problem) in [
            (&b"a\n\nb\n"[..], "line 2 is empty"),
            (b"a\na\n", "twice"),
            (b"a\n", "at least 2"),
            (b"\xff\xfea\0\n\0b\0", "UTF-16"),
            (b"a\nb\xff\n", "line 2"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(problem), "{error:?} lacks {problem:?}");
        }
    }
}
