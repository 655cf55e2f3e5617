//! Which labels there are, and which class each is. Never guessed row by row: either the user
//! lists them, or all values of the column in sorted order are taken and that is said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::read::{RawRow, Row, Source};
use crate::base::suggest;

/// Where the labels of a row stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelColumns {
    /// One label in this column.
    One(String),
    /// Any number of labels in this column, separated by commas, or in a JSON list.
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
    /// As it stands in the file.
    pub value: String,
    /// As it is shown.
    pub name: String,
}

impl Label {
    /// A label that is shown as it stands in the file.
    fn same(value: &str) -> Self {
        Self { value: value.to_owned(), name: value.to_owned() }
    }
}

impl LabelSpec {
    /// Reads a list of names, one a line: the name in line n (from 0) belongs to the value n.
    ///
    /// # Errors
    /// [`DataError::LabelSpec`] for double entries and for fewer than two.
    pub fn from_lines(text: &str) -> Result<Self, DataError> {
        let names = text.lines().map(str::trim).filter(|name| !name.is_empty()).enumerate();
        let listed: Vec<String> = names.map(|(value, name)| format!("{value}={name}")).collect();
        Self::parse(&listed.join(","))
    }

    /// Reads `0=hate,1=offensive` (value=name) or `hate,offensive` (value is name).
    ///
    /// # Errors
    /// [`DataError::LabelSpec`] for empty or double entries and for fewer than two.
    pub fn parse(spec: &str) -> Result<Self, DataError> {
        let bad = |problem: String| DataError::LabelSpec { spec: spec.to_owned(), problem };
        let mut labels: Vec<Label> = Vec::new();
        for part in spec.split(',') {
            let (value, name) = part.split_once('=').unwrap_or((part, part));
            let (value, name) = (value.trim().to_owned(), name.trim().to_owned());
            if value.is_empty() || name.is_empty() {
                return Err(bad(format!("\"{part}\" lacks a value or a name")));
            }
            if labels.iter().any(|label| label.value == value || label.name == name) {
                return Err(bad(format!("\"{part}\" stands twice")));
            }
            labels.push(Label { value, name });
        }
        if labels.len() < 2 {
            return Err(bad("at least 2 labels are needed".into()));
        }
        Ok(Self::Listed(labels))
    }

    /// The labels in class order, given all values that occur.
    pub(super) fn labels(&self, values: &BTreeSet<&str>) -> Vec<Label> {
        match self {
            Self::Listed(labels) => labels.clone(),
            Self::Infer => {
                let mut values: Vec<&str> = values.iter().copied().collect();
                if values.iter().all(|value| value.parse::<i64>().is_ok()) {
                    values.sort_by_key(|value| value.parse::<i64>().unwrap_or(i64::MAX));
                }
                values.into_iter().map(Label::same).collect()
            }
        }
    }
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
    let mut seen = BTreeSet::new();
    let mut cells = Vec::with_capacity(total);
    for (path, rows) in &files {
        for (row, raw) in (1_u64..).zip(rows) {
            if raw.values.is_empty() && raw.text.trim().is_empty() {
                return Err(DataError::EmptyText { path: path.clone(), row });
            }
            let values = values_of(&source.label_columns, raw, path, row)?;
            seen.extend(values.iter().copied());
            cells.push((path, row, values));
        }
    }
    let labels = match &source.label_columns {
        LabelColumns::Flags(names) => names.iter().map(|name| Label::same(name)).collect(),
        _ => source.labels.labels(&seen),
    };
    if let ([only], LabelColumns::One(_)) =
        (&seen.iter().collect::<Vec<_>>()[..], &source.label_columns)
    {
        let (path, label) = (source.path.clone(), (**only).to_owned());
        return Err(DataError::OneClass { path, label, rows: total });
    }
    let mut classes = Vec::with_capacity(total);
    for (path, row, values) in cells {
        let class = |value: &&str| {
            let at = labels.iter().position(|known| known.value == *value);
            at.and_then(|at| u32::try_from(at).ok())
                .ok_or_else(|| unknown_label(path, row, value, &labels))
        };
        let mut found = values.iter().map(class).collect::<Result<Vec<u32>, _>>()?;
        found.sort_unstable();
        found.dedup();
        classes.push(found);
    }
    let raw = files.into_iter().flat_map(|(_, rows)| rows);
    let row = |(raw, classes): (RawRow, _)| {
        let RawRow { text, values, group, extra, .. } = raw;
        Row { classes, text, values, group, extra }
    };
    Ok((labels, raw.zip(classes).map(row).collect()))
}

/// The labels of one row, as they stand in the file.
fn values_of<'r>(
    columns: &'r LabelColumns,
    raw: &'r RawRow,
    path: &Path,
    row: u64,
) -> Result<Vec<&'r str>, DataError> {
    let cell = raw.labels.first().map_or("", |cell| cell.trim());
    match columns {
        LabelColumns::One(_) if cell.is_empty() => Err(unknown_label(path, row, "", &[])),
        LabelColumns::One(_) => Ok(vec![cell]),
        LabelColumns::List(_) => {
            Ok(cell.split(',').map(str::trim).filter(|value| !value.is_empty()).collect())
        }
        LabelColumns::Flags(names) => {
            let mut values = Vec::new();
            for (name, cell) in names.iter().zip(&raw.labels) {
                match cell.trim() {
                    "1" | "1.0" | "true" | "True" => values.push(name.as_str()),
                    "0" | "0.0" | "false" | "False" => {}
                    other => {
                        let (path, found) = (path.to_owned(), other.to_owned());
                        return Err(DataError::Flag { path, row, column: name.clone(), found });
                    }
                }
            }
            Ok(values)
        }
    }
}

fn unknown_label(path: &Path, row: u64, label: &str, labels: &[Label]) -> DataError {
    let known: Vec<String> = labels.iter().map(|label| label.value.clone()).collect();
    let nearest = suggest::nearest(label, known.iter().map(String::as_str));
    DataError::Label {
        path: path.to_owned(),
        row,
        label: label.to_owned(),
        nearest: nearest.map(str::to_owned),
        known,
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
        for bad in ["", "a", "a,a", "a,=b", "1=x,2=x"] {
            assert!(LabelSpec::parse(bad).is_err(), "{bad}");
        }
        let names = |values: &[&str]| -> Vec<String> {
            let labels = LabelSpec::Infer.labels(&values.iter().copied().collect());
            labels.into_iter().map(|label| label.name).collect()
        };
        assert_eq!(names(&["10", "9"]), ["9", "10"]);
        assert_eq!(names(&["b", "10", "9"]), ["10", "9", "b"]);
    }
}
