//! Splits, duplicates, vocabulary and token ids, or scaled numbers, of one dataset.

use std::collections::BTreeMap;

use super::difficulty::difficulty;
use super::error::DataError;
use super::heads;
use super::lexicon::{self, Learned, Source};
use super::near;
use super::rationale;
use super::read::{Dataset, Row};
use super::report::{DataReport, Found};
use super::scaler::Scaler;
use super::split::assign;
use super::vocab::{SPECIALS, Tokens, Vocab};
use crate::base::{Digest, Split};
use crate::data::prepared::{Inputs, Prepared, Targets};
use crate::model::classical::has_word;
use crate::model::config::{Architecture, TrainConfig};
use crate::model::hf::Tokenizer;

/// A dataset ready to train on, and what was found on the way.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// Rows as the model takes them.
    pub prepared: Prepared,
    /// The concepts of the lexicon that stand in the training rows, where there is a lexicon.
    pub lexicon: Option<Learned>,
    /// The vocabulary, learned from the training rows alone; none where the model takes no tokens.
    pub vocab: Option<Vocab>,
    /// The tokenizer in the layout of Hugging Face, where the model has one.
    pub tokenizer: Option<Tokenizer>,
    /// The scale of each column of series, learned from the training rows alone.
    pub scaler: Option<Scaler>,
    /// Rows of each split, after what was removed.
    pub splits: Vec<SplitCounts>,
    /// Texts that stand in more than one split.
    pub leakage: Leakage,
    /// What the dataset is like.
    pub report: DataReport,
}

/// Rows of one split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitCounts {
    /// The split.
    pub split: Split,
    /// Rows in all.
    pub rows: u64,
    /// Rows of each class, in class order.
    pub classes: Vec<u64>,
}

/// Texts that stand in more than one split, compared without case and spacing. Rows count from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leakage {
    /// Training rows whose text stands in validation or test.
    pub train_rows: Vec<u32>,
    /// Validation rows whose text stands in test.
    pub valid_rows: Vec<u32>,
    /// Whether those rows were removed.
    pub removed: bool,
}

impl Leakage {
    /// Rows that make a score look better than it is: found and not removed.
    pub fn rows_left(&self) -> usize {
        if self.removed { 0 } else { self.train_rows.len() + self.valid_rows.len() }
    }
}

/// Assigns splits, finds duplicates across them (and removes those rows when `data.dedupe` is
/// set), learns the vocabulary and turns texts into token ids.
///
/// # Errors
/// When the number of labels is not the configured one, a split is empty, the training rows have a
/// single class or nothing that the model reads, or a head has nothing to tell apart.
pub fn prepare(dataset: &Dataset, config: &TrainConfig) -> Result<Preparation, DataError> {
    let labels = dataset.label_names();
    let configured = config.model.num_classes;
    if configured != 0 && configured as usize != labels.len() {
        return Err(DataError::ClassCount { configured, found: labels.len(), labels });
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
    let Taken { inputs, vocab, tokenizer, scaler, lexicon, concepts, cut } =
        take(&rows, &kept, &train, &prepared.labels, config)?;
    (prepared.inputs, prepared.concepts) = (inputs, concepts);
    let texts: Vec<&str> = dataset.rows.iter().map(|row| row.text.as_str()).collect();
    let is_exact = |a: u32, b: u32| keys[a as usize] == keys[b as usize];
    let near = near::find(&texts, &splits, is_exact);
    if let Some(vocab) = vocab.as_ref().filter(|_| config.attention.export_rows > 0) {
        prepared.vocabulary =
            (0..vocab.len()).filter_map(|id| vocab.token(id)).map(str::to_owned).collect();
    }
    let marks = u32::from(!config.attention.rationale_column.is_empty());
    prepared.concept_count = lexicon.as_ref().map_or(marks, |found| found.concepts.len());
    prepared.difficulty = difficulty(config, &prepared);
    let found = Found { leakage: &leakage, near: &near, empty_rows, cut };
    let report = DataReport::new(config, &prepared, &counts, found);
    let splits = counts;
    Ok(Preparation { report, prepared, lexicon, vocab, tokenizer, scaler, splits, leakage })
}

/// Rows as the model takes them, and what was learned from the training rows to make them.
#[derive(Default)]
struct Taken {
    inputs: Inputs,
    vocab: Option<Vocab>,
    tokenizer: Option<Tokenizer>,
    scaler: Option<Scaler>,
    lexicon: Option<Learned>,
    concepts: Vec<u32>,
    /// The rows whose text is longer than the model takes.
    cut: Vec<u32>,
}

/// `kept` are the numbers of `rows` in the dataset.
fn take(
    rows: &[&Row],
    kept: &[u32],
    train: &[&Row],
    labels: &[String],
    config: &TrainConfig,
) -> Result<Taken, DataError> {
    let architecture = config.model.architecture;
    let texts = train.iter().map(|row| row.text.as_str());
    if architecture.takes_series() {
        let train = train.iter().map(|row| &row.values[..]);
        let scaler = Scaler::fit(train, config.pat.length as usize);
        let values = rows.iter().flat_map(|row| scaler.apply(&row.values)).collect();
        let inputs = Inputs::Series { width: config.pat.length, values };
        return Ok(Taken { inputs, scaler: Some(scaler), ..Taken::default() });
    }
    if architecture.takes_texts() {
        if !texts.clone().any(has_word) {
            let problem = "no training text holds a word of two or more letters or digits";
            return Err(DataError::NoWords { problem: problem.to_owned() });
        }
        let inputs = Inputs::Texts(rows.iter().map(|row| row.text.clone()).collect());
        return Ok(Taken { inputs, ..Taken::default() });
    }
    if architecture == Architecture::Distilbert {
        let tokenizer = Tokenizer::for_training(config, labels, texts)?;
        if tokenizer.is_bare() {
            return Err(rare_words(config));
        }
        let (mut inputs, mut cut) = (Inputs::tokens(tokenizer.rows(config)), Vec::new());
        for (row, number) in rows.iter().zip(kept) {
            let tokens = tokenizer.tokens(&row.text)?;
            inputs.push_tokens(&tokens.ids);
            cut.extend(tokens.cut.then_some(*number));
        }
        return Ok(Taken { inputs, tokenizer: Some(tokenizer), cut, ..Taken::default() });
    }
    let vocab = Vocab::learn(texts.clone(), config.model.vocab_size, config.data.min_count);
    if architecture == Architecture::Encoder && vocab.len() as usize <= SPECIALS.len() {
        return Err(rare_words(config));
    }
    let mut lexicon = None;
    if config.lexicon.is_on() {
        let source = Source::new(&config.lexicon)?;
        lexicon = Some(lexicon::learn(&source, texts, config.data.min_count)?);
    }
    let mut inputs = Inputs::tokens(vocab.len());
    let (mut concepts, mut cut) = (Vec::new(), Vec::new());
    let max = config.model.max_seq_length as usize;
    let column = &config.attention.rationale_column;
    for (row, number) in rows.iter().zip(kept) {
        let tokens = if let Some(Learned { concepts: known, .. }) = &lexicon {
            known.encode(&vocab, &row.text, max)
        } else if let Some(cell) = row.extra.last().filter(|_| !column.is_empty()) {
            let wrong = |passage: &str| DataError::Rationale {
                row: *number,
                column: column.clone(),
                passage: passage.to_owned(),
            };
            rationale::encode(&vocab, &row.text, cell, max).map_err(wrong)?
        } else {
            Tokens { marks: Vec::new(), ..vocab.tokens(&row.text, max) }
        };
        inputs.push_tokens(&tokens.ids);
        concepts.extend(tokens.marks);
        cut.extend(tokens.cut.then_some(*number));
    }
    Ok(Taken { inputs, vocab: Some(vocab), lexicon, concepts, cut, ..Taken::default() })
}

fn rare_words(config: &TrainConfig) -> DataError {
    let count = config.data.min_count;
    let problem = format!("nothing in the training texts is there {count} times (data.min_count)");
    DataError::NoWords { problem }
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

fn find_leakage(keys: &[Digest], splits: &[Split], is_empty: &[bool]) -> Leakage {
    let mut last: BTreeMap<Digest, Split> = BTreeMap::new();
    for ((key, split), _) in keys.iter().zip(splits).zip(is_empty).filter(|(_, empty)| !**empty) {
        // `Split` is ordered by use, so the largest is the one that must stay clean.
        last.entry(*key).and_modify(|known| *known = (*known).max(*split)).or_insert(*split);
    }
    let leaking = |wanted: Split| {
        let rows = (0_u32..).zip(keys).zip(splits);
        rows.filter(|((_, key), split)| {
            **split == wanted && last.get(*key).is_some_and(|last| *last > wanted)
        })
        .map(|((row, _), _)| row)
        .collect()
    };
    Leakage { train_rows: leaking(Split::Train), valid_rows: leaking(Split::Valid), removed: false }
}

fn row_key(row: &Row) -> Digest {
    if !row.values.is_empty() {
        let bytes: Vec<u8> = row.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        return Digest::of(&bytes);
    }
    let words: Vec<&str> = row.text.split_whitespace().collect();
    Digest::of(words.join(" ").to_lowercase().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::{DataFile, Format, Label};
    use super::*;
    use crate::model::config::{Layer, resolve};

    fn dataset(texts: &[(&str, u32)]) -> Dataset {
        let label = |name: &str| Label { value: name.into(), name: name.into() };
        Dataset {
            files: vec![DataFile {
                path: "x.csv".into(),
                digest: Digest::of(b""),
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
            "row 8: \"very tired\" of column \"why\" does not stand in the row's text"
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
        assert!(matches!(error, DataError::EmptySplit { .. }), "{error}");
        let three = config(&[("model.num_classes", "3")]);
        let error = prepare(&dataset(&[("x", 0), ("y", 1)]), &three).unwrap_err();
        assert_eq!(error.to_string(), "`model.num_classes` is 3, but there are 2 labels (a, b)");
    }
}
