//! Splits, duplicates, vocabulary and token ids, or scaled numbers, of one dataset.

use super::config::TrainConfig;
use super::error::ModelError;
use super::inputs::RowsToPrepare;
use super::specification::Pipeline;
use crate::base::{Digest, Split};
use crate::data::difficulty::difficulty;
use crate::data::leakage::{find_leakage, row_key};
use crate::data::lexicon::Learned;
use crate::data::prepared::{Prepared, Targets};
use crate::data::report::{DataReport, RowFindings};
use crate::data::split::assign;
use crate::data::{DataError, Dataset, Leakage, Row, SplitCounts, heads, near};

/// A dataset ready to train on, and what was found on the way.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// Rows as the model takes them.
    pub prepared: Prepared,
    /// The concepts of the lexicon that stand in the training rows, where there is a lexicon.
    pub lexicon: Option<Learned>,
    /// What the model needs to take other rows, learned from the training rows alone: files by
    /// name, written beside the settings.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Rows of each split, after what was removed.
    pub splits: Vec<SplitCounts>,
    /// Texts that stand in more than one split.
    pub leakage: Leakage,
    /// What the dataset is like.
    pub report: DataReport,
}

/// Assigns splits, finds duplicates across them (and removes those rows when `data.dedupe` is
/// set), learns the vocabulary and turns texts into token ids.
///
/// # Errors
/// When the number of labels is not the configured one, a split is empty, the training rows have a
/// single class or nothing that the model reads, or a head has nothing to tell apart.
pub fn prepare(dataset: &Dataset, config: &TrainConfig) -> Result<Preparation, ModelError> {
    prepare_as(config.model.architecture.pipeline(), dataset, config)
}

/// As [`prepare`], for a given architecture.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_as(
    pipeline: &dyn Pipeline,
    dataset: &Dataset,
    config: &TrainConfig,
) -> Result<Preparation, ModelError> {
    let labels = dataset.label_names();
    let configured = config.model.num_classes;
    if configured != 0 && configured as usize != labels.len() {
        return Err(DataError::ClassCount { configured, found: labels.len(), labels }.into());
    }
    let splits = assign(dataset, &config.data.split, config.training.seed);
    let keys: Vec<Digest> = dataset.rows.iter().map(row_key).collect();
    let is_empty: Vec<bool> = dataset.rows.iter().map(Row::is_empty).collect();
    let mut leakage = find_leakage(&keys, &splits, &is_empty);
    leakage.removed = config.data.dedupe && leakage.rows_left() > 0;
    let is_kept = |row: &u32| {
        !is_empty[*row as usize]
            && (!leakage.removed
                || leakage.train_rows.binary_search(row).is_err()
                    && leakage.valid_rows.binary_search(row).is_err())
    };
    let empty_rows =
        (0..).zip(&is_empty).filter(|(_, empty)| **empty).map(|(row, _)| row).collect();
    let kept: Vec<u32> = (0..).take(dataset.rows.len()).filter(is_kept).collect();
    let kept_rows = || kept.iter().map(|row| &dataset.rows[*row as usize]);
    let targets = if dataset.multi {
        Targets::Multi(kept_rows().map(|row| row.classes.clone()).collect())
    } else {
        Targets::Single(kept_rows().filter_map(|row| row.classes.first().copied()).collect())
    };
    let rows: Vec<&Row> = kept_rows().collect();
    let is_train = |row: &&u32| splits[**row as usize] == Split::Train;
    let train: Vec<&Row> =
        kept.iter().filter(is_train).map(|row| &dataset.rows[*row as usize]).collect();
    let kept_splits: Vec<Split> = kept.iter().map(|row| splits[*row as usize]).collect();
    let heads = heads::targets(dataset, &kept, &kept_splits, &config.multitask.heads)?;
    let mut prepared = Prepared {
        labels,
        rows: kept.clone(),
        splits: kept_splits,
        targets,
        heads,
        ..Prepared::default()
    };
    // Before anything is learned from rows that are too few.
    let counts = count_splits(&prepared)?;
    one_training_class(&prepared)?;
    let taken = pipeline.prepare(
        &RowsToPrepare {
            rows: &rows,
            numbers: &kept,
            train: &train,
            labels: &prepared.labels,
            multi_label: dataset.multi,
        },
        config,
    )?;
    let concept_count = taken.concept_count();
    let texts: Vec<&str> = dataset.rows.iter().map(|row| row.text.as_str()).collect();
    let is_exact = |a: u32, b: u32| keys[a as usize] == keys[b as usize];
    let near = near::find(&texts, &splits, is_exact);
    if let Some(vocab) = taken.vocab.as_ref().filter(|_| config.attention.export_rows > 0) {
        prepared.vocabulary =
            (0..vocab.len()).filter_map(|id| vocab.token(id)).map(str::to_owned).collect();
    }
    let marks = u32::from(!config.attention.rationale_column.is_empty());
    prepared.concept_count = concept_count.unwrap_or(marks);
    (prepared.inputs, prepared.concepts) = (taken.inputs, taken.concepts);
    if !config.curriculum.stages.is_empty() {
        prepared.difficulty = difficulty(config.curriculum.difficulty, &prepared);
    }
    let found = RowFindings { leakage: &leakage, near: &near, empty_rows, cut: taken.cut };
    let report = DataReport::new(config.model.max_seq_length, &prepared, &counts, found);
    let (files, lexicon, splits) = (taken.files, taken.lexicon, counts);
    Ok(Preparation { report, prepared, lexicon, files, splits, leakage })
}

/// Refuses training rows with nothing to tell apart.
fn one_training_class(prepared: &Prepared) -> Result<(), DataError> {
    let counts = prepared.class_counts(Split::Train);
    let mut used = counts.iter().zip(&prepared.labels).filter(|(rows, _)| **rows > 0);
    match (used.next(), used.next(), prepared.targets.is_multi()) {
        (Some((rows, label)), None, false) => {
            let (label, rows) = (label.clone(), usize::try_from(*rows).unwrap_or(usize::MAX));
            Err(DataError::OneTrainingClass { label, rows })
        }
        _ => Ok(()),
    }
}

fn count_splits(prepared: &Prepared) -> Result<Vec<SplitCounts>, DataError> {
    Split::ALL
        .into_iter()
        .map(|split| {
            let classes = prepared.class_counts(split);
            match prepared.of_split(split).len() as u64 {
                0 => Err(DataError::EmptySplit { split, rows: prepared.rows.len() }),
                rows => Ok(SplitCounts { split, rows, classes }),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataFile, Format, Label};
    use crate::model::config::{Layer, resolve};

    fn dataset(texts: &[(&str, u32)]) -> Dataset {
        let label = |name: &str| Label { value: name.into(), name: name.into() };
        Dataset {
            files: vec![DataFile {
                path: "x.csv".into(),
                digests: crate::base::FileDigests::of(b""),
                bytes: 0,
                format: Format::Csv,
                rows: texts.len(),
                split: None,
            }],
            labels: vec![label("a"), label("b")],
            labels_inferred: true,
            multi: false,
            rows: texts
                .iter()
                .map(|(text, class)| Row {
                    classes: vec![*class],
                    text: (*text).into(),
                    ..Row::default()
                })
                .collect(),
            remarks: Vec::new(),
        }
    }

    fn config(settings: &[(&str, &str)]) -> TrainConfig {
        let layers: Vec<Layer<'_>> =
            settings.iter().map(|(key, value)| Layer::Set { key, value }).collect();
        resolve(&layers).unwrap()
    }

    #[test]
    fn rationales_mark_tokens_and_must_stand_in_their_text() {
        let texts: Vec<(&str, u32)> = (0..60).map(|i| ("so tired of it all", i % 2)).collect();
        let mut dataset = dataset(&texts);
        let config = config(&[
            ("attention.rationale_column", "why"),
            ("attention.supervision_weight", "0.5"),
        ]);
        for row in &mut dataset.rows {
            row.extra = vec!["tired".into()];
        }
        dataset.rows[7].extra = vec![String::new()];
        let prepared = prepare(&dataset, &config).unwrap().prepared;
        assert_eq!(prepared.concepts.chunks(6).nth(6), Some(&[0, 0, 1, 0, 0, 0][..]));
        assert_eq!(prepared.concepts.chunks(6).nth(7), Some(&[0; 6][..]));
        dataset.rows[8].extra = vec!["very tired".into()];
        assert_eq!(
            prepare(&dataset, &config).unwrap_err().to_string(),
            "row 8: \"very tired\" of column \"why\" does not occur in the row's text"
        );
    }

    #[test]
    fn duplicates_across_splits_are_found_and_removed_on_request() {
        let texts: Vec<String> = (0..200).map(|i| format!("text number {}", i % 100)).collect();
        let rows: Vec<(&str, u32)> = texts.iter().map(|text| (text.as_str(), 0)).collect();
        let mut rows = rows;
        rows[3].1 = 1;
        let found = prepare(&dataset(&rows), &config(&[])).unwrap();
        assert!(found.leakage.rows_left() > 10, "{:?}", found.leakage);
        assert_eq!(found.prepared.rows.len(), 200);
        let clean = prepare(&dataset(&rows), &config(&[("data.dedupe", "true")])).unwrap();
        assert_eq!(clean.leakage.train_rows, found.leakage.train_rows);
        assert_eq!(clean.leakage.rows_left(), 0);
        assert_eq!(clean.prepared.rows.len(), 200 - found.leakage.rows_left());
        let removed = |row: &u32| clean.leakage.train_rows.contains(row);
        assert!(!clean.prepared.rows.iter().any(removed));
    }

    #[test]
    fn too_few_rows_and_other_class_counts_are_refused() {
        let error = prepare(&dataset(&[("x", 0), ("y", 1)]), &config(&[])).unwrap_err();
        assert!(matches!(error, ModelError::Data(DataError::EmptySplit { .. })), "{error}");
        let three = config(&[("model.num_classes", "3")]);
        let error = prepare(&dataset(&[("x", 0), ("y", 1)]), &three).unwrap_err();
        assert_eq!(error.to_string(), "`model.num_classes` is 3, but the data has 2 labels (a, b)");
    }
}
