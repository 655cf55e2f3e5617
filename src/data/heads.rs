//! Labels of auxiliary heads: one column each, in which a row may have none.

use std::collections::BTreeSet;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::DataError;
use super::label::LabelSpec;
use super::read::Dataset;
use super::spelling::{Spelling, TwoSpellings};
use crate::base::Split;
use crate::data::prepared::HeadTargets;

/// An auxiliary classifier. Rows without a label in its column teach it nothing.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// What its scores are called: letters, digits, `_` and `-`.
    pub name: String,
    /// The column of its labels.
    pub column: String,
    /// What its loss counts beside that of the labels, which counts 1.
    pub weight: f64,
}

/// The targets of every head for the rows `kept`, which have `splits`. The extra cells of a row
/// stand in the order of `heads`.
///
/// # Errors
/// When the training rows of a head have fewer than two labels.
pub(crate) fn targets(
    dataset: &Dataset,
    kept: &[u32],
    splits: &[Split],
    heads: &[HeadConfig],
) -> Result<Vec<HeadTargets>, DataError> {
    heads.iter().enumerate().map(|(at, head)| one(dataset, kept, splits, head, at)).collect()
}

fn one(
    dataset: &Dataset,
    kept: &[u32],
    splits: &[Split],
    head: &HeadConfig,
    at: usize,
) -> Result<HeadTargets, DataError> {
    let cell = |row: &u32| {
        let cell = dataset.rows[*row as usize].extra.get(at).map_or("", |cell| cell.trim());
        (!cell.is_empty()).then_some(cell)
    };
    let values: BTreeSet<&str> = kept.iter().filter_map(cell).collect();
    let spelling = Spelling::of(&values).map_err(|TwoSpellings(first, second)| {
        let path = dataset.files.first().map(|file| file.path.clone()).unwrap_or_default();
        DataError::Spellings { path, column: head.column.clone(), first, second }
    })?;
    let cell = |row: &u32| cell(row).map(|value| spelling.name(value));
    let values: BTreeSet<String> = kept.iter().filter_map(cell).collect();
    let trained = kept.iter().zip(splits).filter(|(_, split)| **split == Split::Train);
    let trained: BTreeSet<String> = trained.filter_map(|(row, _)| cell(row)).collect();
    if trained.len() < 2 {
        return Err(DataError::Head {
            head: head.name.clone(),
            column: head.column.clone(),
            found: trained.into_iter().collect(),
        });
    }
    let labels = LabelSpec::Infer.labels(&values.iter().map(String::as_str).collect());
    let class = |value: String| {
        let class = labels.iter().position(|label| label.value == value);
        class.and_then(|class| u32::try_from(class).ok())
    };
    let targets = kept.iter().map(|row| cell(row).and_then(class)).collect();
    let labels = labels.iter().map(|label| label.name.clone()).collect();
    Ok(HeadTargets { name: head.name.clone(), labels, targets })
}

#[cfg(test)]
mod tests {
    use super::super::{Row, Source, read};
    use super::*;

    fn dataset(name: &str, text: &str) -> Result<Dataset, DataError> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        crate::base::durable::write(&path, text.as_bytes()).unwrap();
        let extra_columns = vec!["severity".to_owned(), "work".to_owned()];
        read(&Source { extra_columns, ..Source::of(path, "text", "label") })
    }

    fn heads() -> Vec<HeadConfig> {
        let head = |name: &str| HeadConfig { name: name.into(), column: name.into(), weight: 0.5 };
        vec![head("severity"), head("work")]
    }

    const TRAIN: [Split; 3] = [Split::Train; 3];

    #[test]
    fn a_row_without_a_label_is_masked_in_every_format() {
        let csv = "text,label,severity,work\nx,a,10,\ny,b,9,no\nz,a, ,yes\n";
        let json = "{\"text\":\"x\",\"label\":\"a\",\"severity\":10}\n\
                    {\"text\":\"y\",\"label\":\"b\",\"severity\":9,\"work\":\"no\"}\n\
                    {\"text\":\"z\",\"label\":\"a\",\"severity\":null,\"work\":\"yes\"}\n";
        let mut found = Vec::new();
        for (name, text) in [("x.csv", csv), ("x.jsonl", json)] {
            let dataset = dataset(name, text).unwrap();
            found.push(targets(&dataset, &[0, 1, 2], &TRAIN, &heads()).unwrap());
        }
        assert_eq!(found[0], found[1]);
        let severity = &found[0][0];
        assert_eq!(severity.labels, ["9", "10"]);
        assert_eq!(severity.targets, [Some(1), Some(0), None]);
        assert_eq!(found[0][1].targets, [None, Some(0), Some(1)]);
    }

    #[test]
    fn a_head_with_nothing_to_tell_apart_is_refused() {
        let mut dataset = Dataset { rows: vec![Row::default(); 3], ..EMPTY };
        for (row, severity) in dataset.rows.iter_mut().zip(["1", "", "2"]) {
            row.extra = vec![severity.to_owned()];
        }
        let splits = [Split::Train, Split::Train, Split::Test];
        let error = targets(&dataset, &[0, 1, 2], &splits, &heads()[..1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "head \"severity\": the training rows have 1 label in column \"severity\" (1), at \
             least 2 are needed"
        );
        let error = self::dataset("x.csv", "text,label,severity\nx,a,1\ny,b,2\n").unwrap_err();
        assert!(error.to_string().contains("no column \"work\""), "{error}");
    }

    const EMPTY: Dataset = Dataset {
        files: Vec::new(),
        labels: Vec::new(),
        labels_inferred: true,
        multi: false,
        rows: Vec::new(),
        remarks: Vec::new(),
    };
}
